/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/mail/mail_rows.h"

#include "broker/core/mail_op.h"
#include "kernel/assert.h"

enum { FORM = 1, SQUAD_FIXED_SIZE = 1 + 2 };

/* ---- numbers */

static uint8_t *
put(uint8_t *at, uint64_t number, size_t size)
{
    for (size_t i = size; i > 0; i--, number >>= 8)
        at[i - 1] = (uint8_t)number;
    return at + size;
}

static uint8_t *
put_data(uint8_t *at, const void *data, size_t size)
{
    if (size > 0)
        memcpy(at, data, size);
    return at + size;
}

/* Takes a number off the front; the caller has checked that it is there. */
static uint64_t
take(const uint8_t **at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | (*at)[i];
    *at += size;
    return number;
}

bool
mail_name_is_fit(struct text name)
{
    return name.size > 0 && name.size <= MAIL_NAME_MAX && !memchr(name.data, '\0', name.size);
}

/* ---- keys */

static uint8_t *
put_name(uint8_t *at, struct text name)
{
    ASSERT(name.size <= MAIL_NAME_MAX);
    at = put_data(at, name.data, name.size);
    *at = '\0';
    return at + 1;
}

void
mail_key_prefix(struct mail_key *key, struct text name)
{
    key->size = (size_t)(put_name(key->bytes, name) - key->bytes);
}

void
mail_key_number(struct mail_key *key, struct text name, uint64_t number)
{
    key->size = (size_t)(put(put_name(key->bytes, name), number, 8) - key->bytes);
}

void
mail_key_time(struct mail_key *key, uint64_t time_us, struct text name, uint64_t number)
{
    uint8_t *at = put(key->bytes, time_us, 8);
    key->size = (size_t)(put(put_name(at, name), number, 8) - key->bytes);
}

void
mail_key_count(struct mail_key *key, uint64_t number)
{
    key->size = (size_t)(put(key->bytes, number, 8) - key->bytes);
}

bool
mail_key_read_number(struct bytes key, struct text *name, uint64_t *number)
{
    if (key.size < 1 + 1 + 8)
        return false;
    size_t name_size = key.size - 9;
    *name = (struct text){(const char *)key.data, name_size};
    const uint8_t *at = key.data + name_size;
    if (!mail_name_is_fit(*name) || *at++ != '\0')
        return false;
    *number = take(&at, 8);
    return *number <= INT64_MAX;
}

bool
mail_key_read_time(struct bytes key, uint64_t *time_us, struct text *name, uint64_t *number)
{
    if (key.size < 8)
        return false;
    const uint8_t *at = key.data;
    *time_us = take(&at, 8);
    return mail_key_read_number((struct bytes){at, key.size - 8}, name, number);
}

bool
mail_key_read_count(struct bytes key, uint64_t *number)
{
    const uint8_t *at = key.data;
    if (key.size != 8)
        return false;
    *number = take(&at, 8);
    return *number <= INT64_MAX;
}

/* ---- letters: form | u64 kept | u64 expires | u32 attempts | u16 reason | u8 sender | sender |
 * reason | record */

size_t
letter_size(const struct letter *letter)
{
    return LETTER_FIXED_SIZE + letter->sender.size + letter->reason.size + letter->record.size;
}

void
letter_encode(const struct letter *letter, uint8_t *to)
{
    ASSERT(letter->sender.size <= MAIL_NAME_MAX && letter->reason.size <= MAIL_REASON_MAX);
    *to++ = FORM;
    to = put(to, letter->kept_us, 8);
    to = put(to, letter->expires_us, 8);
    to = put(to, letter->attempts, 4);
    to = put(to, letter->reason.size, 2);
    to = put(to, letter->sender.size, 1);
    to = put_data(to, letter->sender.data, letter->sender.size);
    to = put_data(to, letter->reason.data, letter->reason.size);
    put_data(to, letter->record.data, letter->record.size);
}

bool
letter_decode_head(struct bytes head, size_t whole, struct letter *letter)
{
    const uint8_t *at = head.data;
    if (head.size < LETTER_FIXED_SIZE || head.size > whole || *at++ != FORM)
        return false;
    struct letter read = {.kept_us = take(&at, 8)};
    read.expires_us = take(&at, 8);
    read.attempts = (uint32_t)take(&at, 4);
    read.reason.size = (size_t)take(&at, 2);
    read.sender.size = (size_t)take(&at, 1);
    read.sender.data = (const char *)at;
    if (head.size - LETTER_FIXED_SIZE < read.sender.size || !mail_name_is_fit(read.sender) ||
        read.reason.size > MAIL_REASON_MAX ||
        whole - LETTER_FIXED_SIZE - read.sender.size <= read.reason.size)
        return false;
    read.record.size = whole - LETTER_FIXED_SIZE - read.sender.size - read.reason.size;
    *letter = read;
    return true;
}

bool
letter_decode(struct bytes row, struct letter *letter)
{
    if (!letter_decode_head(row, row.size, letter))
        return false;
    letter->reason.data = letter->sender.data + letter->sender.size;
    letter->record.data = (const uint8_t *)letter->reason.data + letter->reason.size;
    return true;
}

/* ---- figures */

void
inbox_encode(const struct inbox_figures *figures, uint8_t to[static INBOX_ROW_SIZE])
{
    uint8_t *at = to;
    *at++ = FORM;
    at = put(at, figures->waiting, 8);
    at = put(at, figures->delayed, 8);
    at = put(at, figures->dead, 8);
    at = put(at, figures->bytes, 8);
    at = put(at, figures->next_number, 8);
    at = put(at, figures->low_number, 8);
    at = put(at, figures->next_dead, 8);
    at = put(at, figures->memory_next, 8);
    at = put(at, figures->memory_count, 4);
    put(at, figures->squads, 4);
}

bool
inbox_decode(struct bytes row, struct inbox_figures *figures)
{
    const uint8_t *at = row.data;
    if (row.size != INBOX_ROW_SIZE || *at++ != FORM)
        return false;
    struct inbox_figures read;
    read.waiting = take(&at, 8);
    read.delayed = take(&at, 8);
    read.dead = take(&at, 8);
    read.bytes = take(&at, 8);
    read.next_number = take(&at, 8);
    read.low_number = take(&at, 8);
    read.next_dead = take(&at, 8);
    read.memory_next = take(&at, 8);
    read.memory_count = (uint32_t)take(&at, 4);
    read.squads = (uint32_t)take(&at, 4);
    if (read.next_number == 0 || read.next_number > INT64_MAX || read.next_dead > INT64_MAX ||
        read.memory_next > INT64_MAX || read.low_number == 0 ||
        read.low_number > read.next_number || read.waiting > read.next_number - read.low_number ||
        read.next_dead == 0 || read.dead >= read.next_dead ||
        read.memory_count > MAIL_MEMORY_ITEMS || read.memory_count > read.memory_next)
        return false;
    *figures = read;
    return true;
}

void
sender_encode(const struct sender_figures *figures, uint8_t to[static SENDER_ROW_SIZE])
{
    *to = FORM;
    put(put(to + 1, figures->count, 8), figures->bytes, 8);
}

bool
sender_decode(struct bytes row, struct sender_figures *figures)
{
    const uint8_t *at = row.data;
    if (row.size != SENDER_ROW_SIZE || *at++ != FORM)
        return false;
    figures->count = take(&at, 8);
    figures->bytes = take(&at, 8);
    return true;
}

/* ---- known ids */

void
known_encode(uint64_t accepted_us, uint8_t to[static KNOWN_FIXED_SIZE])
{
    *to = FORM;
    put(to + 1, accepted_us, 8);
}

bool
known_decode(struct bytes row, struct known_row *known)
{
    const uint8_t *at = row.data;
    if (row.size <= KNOWN_FIXED_SIZE || (row.size - KNOWN_FIXED_SIZE) % MAIL_ID_SIZE != 0 ||
        *at++ != FORM)
        return false;
    known->accepted_us = take(&at, 8);
    known->ids = at;
    known->count = (row.size - KNOWN_FIXED_SIZE) / MAIL_ID_SIZE;
    return true;
}

/* ---- working memory */

size_t
memory_row_size(const struct memory_row *memory)
{
    return 1 + 8 + memory->item.size;
}

void
memory_row_encode(const struct memory_row *memory, uint8_t *to)
{
    *to = FORM;
    put_data(put(to + 1, memory->pushed_us, 8), memory->item.data, memory->item.size);
}

bool
memory_row_decode(struct bytes row, struct memory_row *memory)
{
    const uint8_t *at = row.data;
    if (row.size <= 1 + 8 || *at++ != FORM)
        return false;
    memory->pushed_us = take(&at, 8);
    memory->item = (struct bytes){at, row.size - (1 + 8)};
    return true;
}

/* ---- squads: form | u16 count | (u8 size, name) … */

size_t
squad_row_size(const struct text *members, size_t count)
{
    size_t size = SQUAD_FIXED_SIZE;
    for (size_t i = 0; i < count; i++)
        size += 1 + members[i].size;
    return size;
}

void
squad_row_encode(const struct text *members, size_t count, uint8_t *to)
{
    *to++ = FORM;
    to = put(to, count, 2);
    for (size_t i = 0; i < count; i++) {
        to = put(to, members[i].size, 1);
        to = put_data(to, members[i].data, members[i].size);
    }
}

bool
squad_row_next(struct bytes row, size_t *at, struct text *member)
{
    size_t from = *at < SQUAD_FIXED_SIZE ? SQUAD_FIXED_SIZE : *at;
    if (from >= row.size || row.data[from] > row.size - from - 1)
        return false;
    *member = (struct text){(const char *)row.data + from + 1, row.data[from]};
    *at = from + 1 + member->size;
    return true;
}

static bool
comes_before(struct text a, struct text b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, common);
    return order < 0 || (order == 0 && a.size < b.size);
}

bool
squad_row_is_fit(struct bytes row, size_t *count)
{
    struct text before = {NULL, 0};
    struct text member;
    size_t found = 0;
    size_t at = 0;
    if (row.size < SQUAD_FIXED_SIZE || row.data[0] != FORM)
        return false;
    size_t said = (size_t)row.data[1] << 8 | row.data[2];
    while (squad_row_next(row, &at, &member)) {
        if (!mail_name_is_fit(member) || (found > 0 && !comes_before(before, member)))
            return false;
        before = member;
        found++;
    }
    if (found == 0 || found != said || found > MAIL_SQUAD_MAX || at != row.size)
        return false;
    *count = found;
    return true;
}

/* ---- the mailbox's own */

void
secret_encode(const uint8_t secret[static SECRET_SIZE], uint8_t to[static SECRET_ROW_SIZE])
{
    *to = FORM;
    memcpy(to + 1, secret, SECRET_SIZE);
}

bool
secret_decode(struct bytes row, uint8_t secret[static SECRET_SIZE])
{
    if (row.size != SECRET_ROW_SIZE || row.data[0] != FORM)
        return false;
    memcpy(secret, row.data + 1, SECRET_SIZE);
    return true;
}

void
floor_encode(uint64_t floor, uint8_t to[static FLOOR_ROW_SIZE])
{
    *to = FORM;
    put(to + 1, floor, 8);
}

bool
floor_decode(struct bytes row, uint64_t *floor)
{
    const uint8_t *at = row.data;
    if (row.size != FLOOR_ROW_SIZE || *at++ != FORM)
        return false;
    *floor = take(&at, 8);
    return *floor <= INT64_MAX;
}
