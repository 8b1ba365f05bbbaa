/* SPDX-License-Identifier: Apache-2.0 */
/* The store without a disk: one sorted array. For tests, and for trying a service out; inserting
 * costs O(rows), which is nothing at the sizes of a test.
 *
 * Scans call back without the lock, over a copy, so that a row function may read the store. */
#include "store/store_driver.h"

#include <pthread.h>
#include <stdlib.h>

struct row {
    uint8_t *data;   /* space byte, key, value */
    size_t key_size; /* with the space byte */
    size_t value_size;
};

struct memory_store {
    struct store base;
    pthread_mutex_t lock;
    struct row *rows;
    size_t count;
    size_t capacity;
    int faults_after; /* fallible calls that still work; negative: all */
    uint64_t free_bytes;
    uint64_t total_bytes;
};

static struct memory_store *
memory_of(struct store *store)
{
    return (struct memory_store *)store;
}

/* Under the lock. */
static bool
fault_is_due(struct memory_store *store, struct error *error)
{
    if (store->faults_after < 0)
        return false;
    if (store->faults_after-- > 0)
        return false;
    error_set(error, "storage failed (injected fault)");
    return true;
}

static int
compare_key(const struct row *row, store_space space, struct bytes key)
{
    if (row->data[0] != space)
        return row->data[0] < space ? -1 : 1;
    size_t size = row->key_size - 1;
    size_t common = size < key.size ? size : key.size;
    int order = common ? memcmp(row->data + 1, key.data, common) : 0;
    if (order != 0)
        return order;
    return size < key.size ? -1 : size > key.size;
}

/* Index of the first row at or after the key. */
static size_t
lower_bound(const struct memory_store *store, store_space space, struct bytes key)
{
    size_t low = 0;
    size_t high = store->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_key(&store->rows[middle], space, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool
row_is(const struct memory_store *store, size_t index, store_space space, struct bytes key)
{
    return index < store->count && compare_key(&store->rows[index], space, key) == 0;
}

static bool
row_has_prefix(const struct row *row, store_space space, struct bytes prefix)
{
    return row->data[0] == space && row->key_size - 1 >= prefix.size &&
           (prefix.size == 0 || memcmp(row->data + 1, prefix.data, prefix.size) == 0);
}

static bool
make_row(struct row *row, store_space space, struct bytes key, struct bytes value)
{
    uint8_t *data = malloc(1 + key.size + value.size);
    if (!data)
        return false;
    data[0] = space;
    if (key.size > 0)
        memcpy(data + 1, key.data, key.size);
    if (value.size > 0)
        memcpy(data + 1 + key.size, value.data, value.size);
    *row = (struct row){data, 1 + key.size, value.size};
    return true;
}

static struct bytes
row_key(const struct row *row)
{
    return (struct bytes){row->data + 1, row->key_size - 1};
}

static struct bytes
row_value(const struct row *row)
{
    return (struct bytes){row->data + row->key_size, row->value_size};
}

static void
memory_close(struct store *base)
{
    struct memory_store *store = memory_of(base);
    for (size_t i = 0; i < store->count; i++)
        free(store->rows[i].data);
    free(store->rows);
    pthread_mutex_destroy(&store->lock);
    store_room_clear(&base->room);
    free(store);
}

/* Under the lock. */
static enum status
lookup_head(struct store *base, store_space space, struct bytes key, size_t max, struct buffer *out,
            size_t *size, struct error *error)
{
    struct memory_store *store = memory_of(base);
    size_t index = lower_bound(store, space, key);
    if (!row_is(store, index, space, key)) {
        error_set(error, "no such key in space 0x%02x", space);
        return STATUS_NOT_FOUND;
    }
    struct bytes value = row_value(&store->rows[index]);
    size_t part = value.size < max ? value.size : max;
    if (!buffer_reserve(out, part))
        return STATUS_NOMEM;
    buffer_append(out, value.data, part);
    *size = value.size;
    return STATUS_OK;
}

static enum status
lookup(struct store *base, store_space space, struct bytes key, struct buffer *out,
       struct error *error)
{
    size_t size;
    return lookup_head(base, space, key, SIZE_MAX, out, &size, error);
}

static enum status
memory_get_head(struct store *base, store_space space, struct bytes key, size_t max,
                struct buffer *out, size_t *size, struct error *error)
{
    struct memory_store *store = memory_of(base);
    pthread_mutex_lock(&store->lock);
    enum status status = fault_is_due(store, error)
                             ? STATUS_STORE_FAILED
                             : lookup_head(base, space, key, max, out, size, error);
    pthread_mutex_unlock(&store->lock);
    return status;
}

static void
free_rows(struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(rows[i].data);
    free(rows);
}

static int
compare_bytes(struct bytes a, struct bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

/* Under the lock: copies of the rows with the prefix, from a key on. */
static bool
copy_rows(const struct memory_store *store, store_space space, struct bytes prefix,
          struct bytes first, struct row **rows_out, size_t *count_out)
{
    size_t from = lower_bound(store, space, compare_bytes(first, prefix) > 0 ? first : prefix);
    size_t to = from;
    while (to < store->count && row_has_prefix(&store->rows[to], space, prefix))
        to++;

    struct row *rows = calloc(to - from + 1, sizeof *rows);
    if (!rows)
        return false;
    for (size_t i = from; i < to; i++) {
        const struct row *row = &store->rows[i];
        if (!make_row(&rows[i - from], space, row_key(row), row_value(row))) {
            free_rows(rows, i - from);
            return false;
        }
    }
    *rows_out = rows;
    *count_out = to - from;
    return true;
}

static enum status
memory_scan(struct store *base, store_space space, struct bytes prefix, struct bytes from,
            bool reverse, store_row_fn *row, void *context, struct error *error)
{
    struct memory_store *store = memory_of(base);
    struct row *rows = NULL;
    size_t count = 0;

    pthread_mutex_lock(&store->lock);
    enum status status = STATUS_OK;
    if (fault_is_due(store, error))
        status = STATUS_STORE_FAILED;
    else if (!copy_rows(store, space, prefix, from, &rows, &count))
        status = STATUS_NOMEM;
    pthread_mutex_unlock(&store->lock);

    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        const struct row *at = &rows[reverse ? count - 1 - i : i];
        status = row(context, row_key(at), row_value(at), error);
    }
    free_rows(rows, count);
    return status;
}

/* Makes everything that can fail fail before the first row changes: rows for the puts, and room
 * for them. */
static enum status
prepare(struct memory_store *store, const struct store_batch *batch, struct row **fresh_out)
{
    size_t count = store_batch_count(batch);
    struct row *fresh = calloc(count, sizeof *fresh);
    if (!fresh)
        return STATUS_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct store_write *write = store_batch_at(batch, i);
        if (write->type == STORE_PUT &&
            !make_row(&fresh[i], write->space, write->key, write->value))
            goto fail;
    }
    if (store->capacity - store->count < count) {
        size_t capacity = store->count + count + store->capacity;
        struct row *rows = reallocarray(store->rows, capacity, sizeof *rows);
        if (!rows)
            goto fail;
        store->rows = rows;
        store->capacity = capacity;
    }
    *fresh_out = fresh;
    return STATUS_OK;

fail:
    free_rows(fresh, count);
    return STATUS_NOMEM;
}

static void
apply_write(struct memory_store *store, const struct store_write *write, struct row fresh)
{
    size_t index = lower_bound(store, write->space, write->key);
    bool is_there = row_is(store, index, write->space, write->key);
    struct row *at = &store->rows[index];

    if (write->type == STORE_PUT && is_there) {
        free(at->data);
        *at = fresh;
    } else if (write->type == STORE_PUT) {
        memmove(at + 1, at, (store->count - index) * sizeof *at);
        *at = fresh;
        store->count++;
    } else if (write->type == STORE_DELETE && is_there) {
        free(at->data);
        store->count--;
        memmove(at, at + 1, (store->count - index) * sizeof *at);
    }
}

static enum status
memory_commit(struct store *base, const struct store_batch *batch, struct error *error)
{
    struct memory_store *store = memory_of(base);
    struct row *fresh = NULL;

    pthread_mutex_lock(&store->lock);
    enum status status =
        fault_is_due(store, error) ? STATUS_STORE_FAILED : store_check(base, batch, lookup, error);
    if (status == STATUS_OK)
        status = prepare(store, batch, &fresh);
    if (status == STATUS_OK)
        for (size_t i = 0; i < store_batch_count(batch); i++)
            apply_write(store, store_batch_at(batch, i), fresh[i]);
    pthread_mutex_unlock(&store->lock);
    free(fresh);
    return status;
}

static enum status
memory_checkpoint(struct store *base, const char *folder, struct error *error)
{
    (void)base;
    error_set(error, "copy the store to %s: a store in memory has no files", folder);
    return STATUS_NOT_IMPLEMENTED;
}

static enum status
memory_verify(struct store *base, struct error *error)
{
    (void)base;
    (void)error;
    return STATUS_OK;
}

static uint64_t
memory_size(struct store *base)
{
    struct memory_store *store = memory_of(base);
    uint64_t size = 0;
    pthread_mutex_lock(&store->lock);
    for (size_t i = 0; i < store->count; i++)
        size += store->rows[i].key_size + store->rows[i].value_size;
    pthread_mutex_unlock(&store->lock);
    return size;
}

static void
memory_fault_after(struct store *base, int calls)
{
    struct memory_store *store = memory_of(base);
    pthread_mutex_lock(&store->lock);
    store->faults_after = calls;
    pthread_mutex_unlock(&store->lock);
}

static bool
memory_has_failed(struct store *store)
{
    (void)store; /* a countdown fault passes */
    return false;
}

static bool
memory_room(struct store *base, uint64_t *free_bytes, uint64_t *total_bytes, uint64_t *needed_bytes)
{
    struct memory_store *store = memory_of(base);
    *free_bytes = store->free_bytes;
    *total_bytes = store->total_bytes;
    *needed_bytes = 0;
    return true;
}

static void
memory_tidy(struct store *base, bool flush)
{
    (void)base;
    (void)flush;
}

static void
memory_pretend_room(struct store *base, uint64_t free_bytes, uint64_t total_bytes)
{
    struct memory_store *store = memory_of(base);
    store->free_bytes = free_bytes;
    store->total_bytes = total_bytes;
}

static const struct store_driver memory_driver = {.close = memory_close,
                                                  .get_head = memory_get_head,
                                                  .scan = memory_scan,
                                                  .commit = memory_commit,
                                                  .checkpoint = memory_checkpoint,
                                                  .verify = memory_verify,
                                                  .size = memory_size,
                                                  .has_failed = memory_has_failed,
                                                  .fault_after = memory_fault_after,
                                                  .room = memory_room,
                                                  .tidy = memory_tidy,
                                                  .pretend_room = memory_pretend_room};

enum status
store_open_memory(struct store **store_p, uint32_t schema)
{
    struct memory_store *store = calloc(1, sizeof *store);
    if (!store)
        return STATUS_NOMEM;
    store->base.driver = &memory_driver;
    store->faults_after = -1;
    store->free_bytes = UINT64_MAX;
    store->total_bytes = UINT64_MAX;
    if (!store_room_init(&store->base.room)) {
        free(store);
        return STATUS_NOMEM;
    }
    if (pthread_mutex_init(&store->lock, NULL) != 0) {
        store_room_clear(&store->base.room);
        free(store);
        return STATUS_NOMEM;
    }
    enum status status = store_begin(&store->base, schema, true, NULL);
    if (status != STATUS_OK) {
        memory_close(&store->base);
        return status;
    }
    *store_p = &store->base;
    return STATUS_OK;
}
