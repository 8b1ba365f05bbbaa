/* SPDX-License-Identifier: Apache-2.0 */
/* Ids stand in a ring in the order in which they were accepted, under numbers that only grow; an
 * open-addressing table (linear probing, removal by shifting back) leads to them. */
#include "broker/mail/mail_known.h"

#include <assert.h>
#include <stdlib.h>

#include <sodium.h>

enum { RING_MIN = 1024, ROWS_MIN = 64, DELETES_MAX = 64 };

struct known_one {
    struct mail_id id;
    int64_t at_us; /* monotonic; negative: before this machine's start */
};

struct known {
    uint8_t secret[SECRET_SIZE];
    int64_t age_us_max;
    uint64_t count_max;

    struct known_one *ring; /* the one with number n at n % ring_size */
    size_t ring_size;       /* a power of two */
    uint64_t first;         /* number of the oldest one that is known */
    uint64_t kept;          /* from here on they belong to the batch under way */
    uint64_t next;
    uint32_t *slots; /* place in the ring + 1; 0: free. Twice as many as the ring has places */

    /* Rows on disk, by the number of their first id; each reaches to the next one, the last to
     * `kept`. */
    uint64_t *rows;
    size_t rows_size; /* a power of two */
    uint64_t row_first;
    uint64_t row_next;
    uint64_t row_deleted; /* rows before this one are deleted by the batch under way */
};

/* ---- the table */

static size_t
home_of(const struct known *known, const struct mail_id *id)
{
    uint64_t hash;
    memcpy(&hash, id->bytes, sizeof hash);
    return (size_t)hash & (known->ring_size * 2 - 1);
}

static struct known_one *
at_number(const struct known *known, uint64_t number)
{
    return &known->ring[number & (known->ring_size - 1)];
}

static void
index_one(struct known *known, uint64_t number)
{
    size_t mask = known->ring_size * 2 - 1;
    size_t slot = home_of(known, &at_number(known, number)->id);
    while (known->slots[slot])
        slot = (slot + 1) & mask;
    known->slots[slot] = (uint32_t)(number & (known->ring_size - 1)) + 1;
}

static void
unindex_one(struct known *known, uint64_t number)
{
    size_t mask = known->ring_size * 2 - 1;
    uint32_t value = (uint32_t)(number & (known->ring_size - 1)) + 1;
    size_t hole = home_of(known, &at_number(known, number)->id);
    while (known->slots[hole] != value)
        hole = (hole + 1) & mask;
    for (size_t slot = (hole + 1) & mask; known->slots[slot]; slot = (slot + 1) & mask) {
        size_t home = home_of(known, &known->ring[known->slots[slot] - 1].id);
        if (((slot - home) & mask) < ((slot - hole) & mask))
            continue; /* it would come to stand before its home */
        known->slots[hole] = known->slots[slot];
        hole = slot;
    }
    known->slots[hole] = 0;
}

static bool
resize(struct known *known, size_t size)
{
    struct known_one *ring = calloc(size, sizeof *ring);
    uint32_t *slots = calloc(size * 2, sizeof *slots);
    if (!ring || !slots) {
        free(ring);
        free(slots);
        return false;
    }
    for (uint64_t number = known->first; number != known->next; number++)
        ring[number & (size - 1)] = *at_number(known, number);
    free(known->ring);
    free(known->slots);
    known->ring = ring;
    known->slots = slots;
    known->ring_size = size;
    for (uint64_t number = known->first; number != known->next; number++)
        index_one(known, number);
    return true;
}

static bool
append(struct known *known, const struct mail_id *id, int64_t at_us)
{
    if (known->next - known->first == known->ring_size &&
        (known->ring_size > UINT32_MAX / 4 || !resize(known, known->ring_size * 2)))
        return false;
    *at_number(known, known->next) = (struct known_one){*id, at_us};
    index_one(known, known->next);
    known->next++;
    return true;
}

struct mail_id
known_id(const struct known *known, struct text sender, const struct uuid *id)
{
    uint8_t from[MAIL_NAME_MAX + 1 + sizeof id->bytes];
    struct mail_id hashed;
    static_assert(crypto_shorthash_siphashx24_BYTES == MAIL_ID_SIZE, "hash");
    static_assert(crypto_shorthash_siphashx24_KEYBYTES == SECRET_SIZE, "its key");
    memcpy(from, id->bytes, sizeof id->bytes);
    memcpy(from + sizeof id->bytes, sender.data, sender.size);
    crypto_shorthash_siphashx24(hashed.bytes, from, sizeof id->bytes + sender.size, known->secret);
    return hashed;
}

enum known_answer
known_find(const struct known *known, const struct mail_id *id)
{
    size_t mask = known->ring_size * 2 - 1;
    for (size_t slot = home_of(known, id); known->slots[slot]; slot = (slot + 1) & mask) {
        size_t place = known->slots[slot] - 1;
        if (memcmp(known->ring[place].id.bytes, id->bytes, MAIL_ID_SIZE) != 0)
            continue;
        uint64_t behind_first = (place - known->first) & (known->ring_size - 1);
        return known->first + behind_first < known->kept ? KNOWN_KEPT : KNOWN_UNDER_WAY;
    }
    return KNOWN_NOT;
}

bool
known_add(struct known *known, const struct mail_id *id, struct now now)
{
    return append(known, id, (int64_t)now.monotonic_us);
}

void
known_take_back(struct known *known)
{
    known->next--;
    unindex_one(known, known->next);
}

static void
forget_first(struct known *known)
{
    unindex_one(known, known->first);
    known->first++;
}

void
known_forget(struct known *known, struct now now)
{
    int64_t oldest_us = (int64_t)now.monotonic_us - known->age_us_max;
    while (known->first != known->kept && (known->kept - known->first > known->count_max ||
                                           at_number(known, known->first)->at_us < oldest_us))
        forget_first(known);
}

/* ---- rows */

static uint64_t *
row_at(const struct known *known, uint64_t row)
{
    return &known->rows[row & (known->rows_size - 1)];
}

static bool
make_row_room(struct known *known)
{
    if (known->row_next - known->row_first < known->rows_size)
        return true;
    size_t size = known->rows_size * 2;
    uint64_t *rows = calloc(size, sizeof *rows);
    if (!rows)
        return false;
    for (uint64_t row = known->row_first; row != known->row_next; row++)
        rows[row & (size - 1)] = *row_at(known, row);
    free(known->rows);
    known->rows = rows;
    known->rows_size = size;
    return true;
}

/* Number of the first id behind the row. */
static uint64_t
row_end(const struct known *known, uint64_t row)
{
    return row + 1 == known->row_next ? known->kept : *row_at(known, row + 1);
}

static enum status
write_new(struct known *known, struct store_batch *batch, struct now now)
{
    struct mail_key key;
    uint8_t *value;
    size_t count = (size_t)(known->next - known->kept);
    if (count == 0)
        return STATUS_OK;
    if (!make_row_room(known))
        return STATUS_NOMEM;
    mail_key_count(&key, known->kept);
    enum status status = store_batch_put(batch, MAIL_SPACE_KNOWN, mail_key_bytes(&key),
                                         KNOWN_FIXED_SIZE + count * MAIL_ID_SIZE, &value);
    if (status != STATUS_OK)
        return status;
    known_encode(now.wall_us, value);
    value += KNOWN_FIXED_SIZE;
    for (uint64_t number = known->kept; number != known->next; number++, value += MAIL_ID_SIZE)
        memcpy(value, at_number(known, number)->id.bytes, MAIL_ID_SIZE);
    return STATUS_OK;
}

enum status
known_write(struct known *known, struct store_batch *batch, struct now now)
{
    enum status status = write_new(known, batch, now);
    known->row_deleted = known->row_first;
    for (int i = 0; status == STATUS_OK && i < DELETES_MAX; i++) {
        struct mail_key key;
        if (known->row_deleted == known->row_next ||
            row_end(known, known->row_deleted) > known->first)
            break;
        mail_key_count(&key, *row_at(known, known->row_deleted));
        status = store_batch_add(batch, STORE_DELETE, MAIL_SPACE_KNOWN, mail_key_bytes(&key),
                                 (struct bytes){NULL, 0});
        if (status == STATUS_OK)
            known->row_deleted++;
    }
    return status;
}

void
known_keep(struct known *known)
{
    known->row_first = known->row_deleted;
    if (known->next != known->kept) {
        *row_at(known, known->row_next) = known->kept;
        known->row_next++;
    }
    known->kept = known->next;
}

void
known_revert(struct known *known)
{
    known->row_deleted = known->row_first;
    while (known->next != known->kept)
        known_take_back(known);
}

uint64_t
known_due_us(const struct known *known)
{
    if (known->row_first == known->row_next)
        return UINT64_MAX;
    if (known->first == known->kept)
        return 0;
    /* A batch that comes along takes the old rows with it; only when none does they go alone. */
    int64_t due_us = at_number(known, known->first)->at_us + 2 * known->age_us_max;
    return due_us < 0 ? 0 : (uint64_t)due_us;
}

/* ---- opening */

struct loading {
    struct known *known;
    struct now now;
    int64_t last_us;
};

static enum status
load_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct loading *loading = context;
    struct known *known = loading->known;
    struct known_row row;
    uint64_t number;
    bool is_first = known->row_next == known->row_first;
    if (!mail_key_read_count(key, &number) || !known_decode(value, &row) ||
        (!is_first && number != known->next)) {
        error_set(error, "the row of known ids that begins with number %llu cannot be read",
                  is_first ? 0 : (unsigned long long)known->next);
        return STATUS_VALIDATION;
    }
    if (is_first) {
        known->first = number;
        known->kept = number;
        known->next = number;
    }
    /* The wall clock may have been set back meanwhile: then they count as new. */
    uint64_t age_us =
        loading->now.wall_us > row.accepted_us ? loading->now.wall_us - row.accepted_us : 0;
    if (age_us > INT64_MAX / 4)
        age_us = INT64_MAX / 4;
    int64_t at_us = (int64_t)loading->now.monotonic_us - (int64_t)age_us;
    if (at_us < loading->last_us)
        at_us = loading->last_us;
    loading->last_us = at_us;
    if (!make_row_room(known))
        return STATUS_NOMEM;
    for (size_t i = 0; i < row.count; i++) {
        struct mail_id id;
        memcpy(id.bytes, row.ids + i * MAIL_ID_SIZE, MAIL_ID_SIZE);
        if (!append(known, &id, at_us))
            return STATUS_NOMEM;
    }
    *row_at(known, known->row_next) = number;
    known->row_next++;
    known->kept = known->next;
    known_forget(known, loading->now);
    return STATUS_OK;
}

static enum status
make_secret(struct known *known, struct store *store, struct bytes key, struct error *error)
{
    uint8_t row[SECRET_ROW_SIZE];
    struct store_batch *batch = store_batch_new();
    if (!batch)
        return STATUS_NOMEM;
    randombytes_buf(known->secret, sizeof known->secret);
    secret_encode(known->secret, row);
    enum status status =
        store_batch_add(batch, STORE_PUT, MAIL_SPACE_OWN, key, (struct bytes){row, sizeof row});
    if (status == STATUS_OK)
        status = store_commit(store, batch, error);
    store_batch_destroy(&batch);
    return status;
}

static enum status
load_secret(struct known *known, struct store *store, struct error *error)
{
    static const struct bytes key = {(const uint8_t *)"secret", 6};
    struct buffer row;
    buffer_init(&row);
    enum status status = store_get(store, MAIL_SPACE_OWN, key, &row, error);
    if (status == STATUS_NOT_FOUND) {
        status = make_secret(known, store, key, error);
    } else if (status == STATUS_OK && !secret_decode(buffer_bytes(&row), known->secret)) {
        error_set(error, "the row \"secret\" cannot be read");
        status = STATUS_VALIDATION;
    }
    buffer_clear(&row);
    return status;
}

enum status
known_open(struct known **known_p, struct store *store, uint64_t age_ms_max, uint64_t count_max,
           struct now now, struct error *error)
{
    struct known *known = calloc(1, sizeof *known);
    if (!known)
        return STATUS_NOMEM;
    uint64_t age_us_max = age_ms_max < INT64_MAX / 8000 ? age_ms_max * 1000 : INT64_MAX / 8;
    known->age_us_max = (int64_t)age_us_max;
    known->count_max = count_max;
    known->rows = calloc(ROWS_MIN, sizeof *known->rows);
    known->rows_size = ROWS_MIN;
    struct loading loading = {known, now, INT64_MIN};
    enum status status = sodium_init() >= 0 && known->rows && resize(known, RING_MIN)
                             ? load_secret(known, store, error)
                             : STATUS_NOMEM;
    if (status == STATUS_OK)
        status = store_scan(store, MAIL_SPACE_KNOWN, (struct bytes){NULL, 0}, false, load_row,
                            &loading, error);
    if (status != STATUS_OK) {
        known_close(&known);
        return status;
    }
    *known_p = known;
    return STATUS_OK;
}

void
known_close(struct known **known_p)
{
    struct known *known = *known_p;
    if (!known)
        return;
    sodium_memzero(known->secret, sizeof known->secret);
    free(known->ring);
    free(known->slots);
    free(known->rows);
    free(known);
    *known_p = NULL;
}
