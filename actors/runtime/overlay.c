/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table of the latest write per key; each write remembers the one that it covers, so that
 * going back to a savepoint undoes the table step by step. A scan sorts the batch's rows of its
 * prefix: batches are small (bounded by dispatch), an ordered index would cost more than it saves.
 */
#include "actors/runtime/overlay.h"

#include <sodium.h>
#include <stdlib.h>

#include "kernel/assert.h"

enum {
    SLOTS_MIN = 256 /* power of two */
};

#define NONE UINT32_MAX /* no write */

struct entry {
    uint32_t covered; /* earlier write of the same key */
    uint32_t next;    /* in the slot's chain; meaningful for the latest write of a key */
    uint64_t hash;
    uint16_t step;
    bool indexed; /* PUT and DELETE; expectations are no rows */
};

struct overlay {
    struct store_batch *batch;
    struct entry *entries; /* parallel to the batch */
    size_t entry_capacity;
    uint32_t *slots;
    size_t slot_count;
    uint8_t hash_key[crypto_shorthash_KEYBYTES];
    size_t step;
    struct step_set *seen;
};

bool
step_set_has(const struct step_set *set, size_t step)
{
    return (set->bits[step / 64] >> (step % 64)) & 1;
}

void
step_set_add(struct step_set *set, size_t step)
{
    set->bits[step / 64] |= UINT64_C(1) << (step % 64);
}

bool
step_set_intersects(const struct step_set *a, const struct step_set *b)
{
    for (size_t i = 0; i < sizeof a->bits / sizeof a->bits[0]; i++)
        if (a->bits[i] & b->bits[i])
            return true;
    return false;
}

static void
clear_slots(struct overlay *overlay)
{
    for (size_t i = 0; i < overlay->slot_count; i++)
        overlay->slots[i] = NONE;
}

struct overlay *
overlay_new(void)
{
    struct overlay *overlay = calloc(1, sizeof *overlay);
    if (!overlay)
        return NULL;
    overlay->batch = store_batch_new();
    overlay->slots = malloc(SLOTS_MIN * sizeof *overlay->slots);
    if (!overlay->batch || !overlay->slots) {
        overlay_destroy(&overlay);
        return NULL;
    }
    overlay->slot_count = SLOTS_MIN;
    clear_slots(overlay);
    /* Keys come from peers: an unkeyed hash could be aimed at one slot. */
    crypto_shorthash_keygen(overlay->hash_key);
    return overlay;
}

void
overlay_destroy(struct overlay **overlay_p)
{
    struct overlay *overlay = *overlay_p;
    if (!overlay)
        return;
    store_batch_destroy(&overlay->batch);
    free(overlay->entries);
    free(overlay->slots);
    free(overlay);
    *overlay_p = NULL;
}

void
overlay_reset(struct overlay *overlay)
{
    store_batch_truncate(overlay->batch, 0);
    clear_slots(overlay);
    overlay->seen = NULL;
}

void
overlay_begin_step(struct overlay *overlay, size_t step, struct step_set *seen)
{
    ASSERT(step < OVERLAY_STEPS_MAX);
    overlay->step = step;
    overlay->seen = seen;
}

size_t
overlay_count(const struct overlay *overlay)
{
    return store_batch_count(overlay->batch);
}

const struct store_batch *
overlay_batch(const struct overlay *overlay)
{
    return overlay->batch;
}

static uint64_t
hash_of(const struct overlay *overlay, store_space space, struct bytes key)
{
    uint64_t hash;
    uint8_t digest[crypto_shorthash_BYTES];
    crypto_shorthash(digest, key.data, key.size, overlay->hash_key);
    memcpy(&hash, digest, sizeof hash);
    return hash ^ (uint64_t)space * UINT64_C(0x9e3779b97f4a7c15);
}

static bool
is_row(const struct store_write *write)
{
    return write->type == STORE_PUT || write->type == STORE_DELETE;
}

static int
compare_bytes(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order != 0)
        return order;
    return a.size < b.size ? -1 : a.size > b.size;
}

static bool
same_key(const struct store_write *write, store_space space, struct bytes key)
{
    return write->space == space && compare_bytes(write->key, key) == 0;
}

/* The place that holds the index of the key's latest write, or the chain's end. */
static uint32_t *
find_place(const struct overlay *overlay, uint64_t hash, store_space space, struct bytes key)
{
    uint32_t *place = &overlay->slots[hash & (overlay->slot_count - 1)];
    while (*place != NONE) {
        const struct entry *entry = &overlay->entries[*place];
        if (entry->hash == hash && same_key(store_batch_at(overlay->batch, *place), space, key))
            break;
        place = &overlay->entries[*place].next;
    }
    return place;
}

static void
index_entry(struct overlay *overlay, uint32_t index)
{
    const struct store_write *write = store_batch_at(overlay->batch, index);
    struct entry *entry = &overlay->entries[index];
    uint32_t *place = find_place(overlay, entry->hash, write->space, write->key);
    entry->covered = *place;
    entry->next = *place == NONE ? NONE : overlay->entries[*place].next;
    *place = index;
}

/* A failure to grow only makes chains longer. */
static void
grow_slots(struct overlay *overlay)
{
    size_t count = overlay_count(overlay);
    if (count < overlay->slot_count)
        return;
    uint32_t *slots = realloc(overlay->slots, overlay->slot_count * 2 * sizeof *slots);
    if (!slots)
        return;
    overlay->slots = slots;
    overlay->slot_count *= 2;
    clear_slots(overlay);
    for (size_t i = 0; i < count; i++)
        if (overlay->entries[i].indexed)
            index_entry(overlay, (uint32_t)i);
}

enum status
overlay_write(struct overlay *overlay, enum store_write_type type, store_space space,
              struct bytes key, struct bytes value)
{
    size_t count = overlay_count(overlay);
    if (count >= NONE)
        return STATUS_NOMEM;
    grow_slots(overlay);
    if (count == overlay->entry_capacity) {
        size_t capacity = overlay->entry_capacity ? overlay->entry_capacity * 2 : SLOTS_MIN;
        struct entry *entries = realloc(overlay->entries, capacity * sizeof *entries);
        if (!entries)
            return STATUS_NOMEM;
        overlay->entries = entries;
        overlay->entry_capacity = capacity;
    }
    enum status status = store_batch_add(overlay->batch, type, space, key, value);
    if (status != STATUS_OK)
        return status;

    struct entry *entry = &overlay->entries[count];
    *entry = (struct entry){.covered = NONE, .next = NONE, .step = (uint16_t)overlay->step};
    if (is_row(store_batch_at(overlay->batch, count))) {
        entry->indexed = true;
        entry->hash = hash_of(overlay, space, key);
        index_entry(overlay, (uint32_t)count);
    }
    return STATUS_OK;
}

void
overlay_truncate(struct overlay *overlay, size_t count)
{
    for (size_t i = overlay_count(overlay); i > count; i--) {
        const struct entry *entry = &overlay->entries[i - 1];
        if (!entry->indexed)
            continue;
        const struct store_write *write = store_batch_at(overlay->batch, i - 1);
        uint32_t *place = find_place(overlay, entry->hash, write->space, write->key);
        ASSERT(*place == i - 1);
        if (entry->covered != NONE)
            overlay->entries[entry->covered].next = entry->next;
        *place = entry->covered != NONE ? entry->covered : entry->next;
    }
    store_batch_truncate(overlay->batch, count);
}

static void
note_seen(struct overlay *overlay, uint32_t index)
{
    if (overlay->seen && overlay->entries[index].step != overlay->step)
        step_set_add(overlay->seen, overlay->entries[index].step);
}

const struct store_write *
overlay_find(struct overlay *overlay, store_space space, struct bytes key)
{
    if (overlay_count(overlay) == 0)
        return NULL;
    uint32_t index = *find_place(overlay, hash_of(overlay, space, key), space, key);
    if (index == NONE)
        return NULL;
    note_seen(overlay, index);
    return store_batch_at(overlay->batch, index);
}

enum status
overlay_get(struct overlay *overlay, struct store *store, store_space space, struct bytes key,
            struct buffer *out, struct error *error)
{
    const struct store_write *write = overlay_find(overlay, space, key);
    if (!write)
        return store_get(store, space, key, out, error);
    if (write->type == STORE_DELETE)
        return STATUS_NOT_FOUND;
    buffer_append(out, write->value.data, write->value.size);
    return out->failed ? STATUS_NOMEM : STATUS_OK;
}

/* ---- scan: both sides come in the same order and are zipped together */

struct merge {
    struct store_write *rows; /* the batch's, sorted in scan order; copies, as row may write */
    size_t count;
    size_t at;
    bool reverse;
    store_row_fn *row;
    void *context;
};

static int
compare_rows(const void *a, const void *b)
{
    const struct store_write *left = a, *right = b;
    return compare_bytes(left->key, right->key);
}

static enum status
pass_row(struct merge *merge, struct error *error)
{
    const struct store_write *write = &merge->rows[merge->at++];
    if (write->type == STORE_DELETE)
        return STATUS_OK;
    return merge->row(merge->context, write->key, write->value, error);
}

static enum status
merge_stored(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct merge *merge = context;
    while (merge->at < merge->count) {
        int order = compare_bytes(merge->rows[merge->at].key, key);
        if (merge->reverse)
            order = -order;
        if (order > 0)
            break;
        enum status status = pass_row(merge, error);
        if (status != STATUS_OK || order == 0)
            return status;
    }
    return merge->row(merge->context, key, value, error);
}

/* Fills merge->rows; the caller frees it. */
static enum status
collect_rows(struct overlay *overlay, store_space space, struct bytes prefix, struct merge *merge)
{
    size_t count = overlay_count(overlay);
    merge->rows = malloc(count * sizeof *merge->rows);
    if (!merge->rows)
        return STATUS_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct store_write *write = store_batch_at(overlay->batch, i);
        const struct entry *entry = &overlay->entries[i];
        if (!entry->indexed || write->space != space || write->key.size < prefix.size ||
            (prefix.size > 0 && memcmp(write->key.data, prefix.data, prefix.size) != 0))
            continue;
        if (*find_place(overlay, entry->hash, space, write->key) != i)
            continue;
        note_seen(overlay, (uint32_t)i);
        merge->rows[merge->count++] = *write;
    }
    qsort(merge->rows, merge->count, sizeof *merge->rows, compare_rows);
    if (merge->reverse)
        for (size_t i = 0; i < merge->count / 2; i++) {
            const struct store_write row = merge->rows[i];
            merge->rows[i] = merge->rows[merge->count - 1 - i];
            merge->rows[merge->count - 1 - i] = row;
        }
    return STATUS_OK;
}

enum status
overlay_scan(struct overlay *overlay, struct store *store, store_space space, struct bytes prefix,
             bool reverse, store_row_fn *row, void *context, struct error *error)
{
    if (overlay_count(overlay) == 0)
        return store_scan(store, space, prefix, reverse, row, context, error);

    struct merge merge = {.reverse = reverse, .row = row, .context = context};
    enum status status = collect_rows(overlay, space, prefix, &merge);
    if (status == STATUS_OK)
        status = store_scan(store, space, prefix, reverse, merge_stored, &merge, error);
    while (status == STATUS_OK && merge.at < merge.count)
        status = pass_row(&merge, error);
    free(merge.rows);
    return status;
}
