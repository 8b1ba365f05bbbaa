/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of the mailbox: any bytes are refused or read, and what is read encodes to the same
 * bytes again. */
#include <stdlib.h>

#include "broker/core/mail_op.h"
#include "broker/mail/mail_rows.h"
#include "kernel/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same(struct bytes row, const uint8_t *again, size_t size)
{
    ASSERT(row.size == size && memcmp(row.data, again, size) == 0);
}

static void
try_letter(struct bytes row, uint8_t *again)
{
    struct letter letter;
    struct letter head;
    size_t size = row.size < LETTER_HEAD_MAX ? row.size : LETTER_HEAD_MAX;
    bool fits = letter_decode(row, &letter);
    ASSERT(letter_decode_head((struct bytes){row.data, size}, row.size, &head) == fits);
    if (!fits)
        return;
    ASSERT(head.record.size == letter.record.size && text_equal(head.sender, letter.sender));
    letter_encode(&letter, again);
    same(row, again, letter_size(&letter));
}

static void
try_figures(struct bytes row)
{
    struct inbox_figures inbox;
    struct sender_figures sender;
    uint8_t again[INBOX_ROW_SIZE];
    if (inbox_decode(row, &inbox)) {
        inbox_encode(&inbox, again);
        same(row, again, INBOX_ROW_SIZE);
    }
    if (sender_decode(row, &sender)) {
        sender_encode(&sender, again);
        same(row, again, SENDER_ROW_SIZE);
    }
}

static void
try_squad(struct bytes row, uint8_t *again)
{
    static struct text members[MAIL_SQUAD_MAX];
    size_t count;
    size_t found = 0;
    size_t at = 0;
    if (!squad_row_is_fit(row, &count))
        return;
    while (found < count && squad_row_next(row, &at, &members[found]))
        found++;
    ASSERT(found == count);
    squad_row_encode(members, count, again);
    same(row, again, squad_row_size(members, count));
}

static void
try_others(struct bytes row, uint8_t *again)
{
    struct known_row known;
    struct memory_row memory;
    uint8_t secret[SECRET_SIZE];
    uint64_t floor;
    if (known_decode(row, &known)) {
        known_encode(known.accepted_us, again);
        memcpy(again + KNOWN_FIXED_SIZE, known.ids, known.count * MAIL_ID_SIZE);
        same(row, again, KNOWN_FIXED_SIZE + known.count * MAIL_ID_SIZE);
    }
    if (memory_row_decode(row, &memory)) {
        memory_row_encode(&memory, again);
        same(row, again, memory_row_size(&memory));
    }
    if (secret_decode(row, secret)) {
        secret_encode(secret, again);
        same(row, again, SECRET_ROW_SIZE);
    }
    if (floor_decode(row, &floor)) {
        floor_encode(floor, again);
        same(row, again, FLOOR_ROW_SIZE);
    }
}

static void
try_keys(struct bytes row)
{
    struct mail_key again;
    struct text name;
    uint64_t number;
    uint64_t time_us;
    if (mail_key_read_number(row, &name, &number)) {
        mail_key_number(&again, name, number);
        same(row, again.bytes, again.size);
    }
    if (mail_key_read_time(row, &time_us, &name, &number)) {
        mail_key_time(&again, time_us, name, number);
        same(row, again.bytes, again.size);
    }
    if (mail_key_read_count(row, &number)) {
        mail_key_count(&again, number);
        same(row, again.bytes, again.size);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes row = {data, size};
    uint8_t *again = malloc(size + 1);
    if (!again)
        return 0;
    try_letter(row, again);
    try_figures(row);
    try_squad(row, again);
    try_others(row, again);
    try_keys(row);
    free(again);
    return 0;
}
