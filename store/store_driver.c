/* SPDX-License-Identifier: Apache-2.0 */
/* The meta row: space 0xf0, key "meta":
 *
 *     u8 form = 1 | 16 bytes uuid | u64 epoch | u32 schema          (big-endian, 29 bytes)
 *
 * Batches cannot touch it: who holds a store is told apart by it. */
#include "store/store_driver.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum { META_FORM = 1, META_SIZE = 1 + 16 + 8 + 4 };

static const struct bytes META_KEY = {(const uint8_t *)"meta", 4};

struct meta {
    struct uuid uuid;
    uint64_t epoch;
    uint32_t schema;
};

static bool
bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static void
write_number(uint8_t *at, uint64_t number, size_t size)
{
    for (size_t i = size; i > 0; i--, number >>= 8)
        at[i - 1] = (uint8_t)number;
}

static uint64_t
read_number(const uint8_t *at, size_t size)
{
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | at[i];
    return number;
}

static void
encode_meta(const struct meta *meta, uint8_t row[static META_SIZE])
{
    row[0] = META_FORM;
    memcpy(row + 1, meta->uuid.bytes, 16);
    write_number(row + 17, meta->epoch, 8);
    write_number(row + 25, meta->schema, 4);
}

static enum status
decode_meta(struct bytes row, struct meta *meta, struct error *error)
{
    if (row.size != META_SIZE || row.data[0] != META_FORM) {
        error_set(error, "the meta row has %zu bytes of form %u, expected %d of form %d", row.size,
                  row.size ? row.data[0] : 0u, META_SIZE, META_FORM);
        return STATUS_STORE_FAILED;
    }
    memcpy(meta->uuid.bytes, row.data + 1, 16);
    meta->epoch = read_number(row.data + 17, 8);
    meta->schema = (uint32_t)read_number(row.data + 25, 4);
    return STATUS_OK;
}

static struct meta
new_meta(uint32_t schema)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
    struct uuid_source source = {0};
    return (struct meta){.uuid = uuid_next(&source, now_us), .epoch = 0, .schema = schema};
}

static enum status
load_meta(struct store *store, uint32_t schema, bool is_new, struct meta *meta, struct error *error)
{
    struct buffer row;
    buffer_init(&row);
    enum status status = store_get(store, STORE_SPACE_RUNTIME, META_KEY, &row, error);
    if (status == STATUS_OK) {
        status = decode_meta(buffer_bytes(&row), meta, error);
    } else if (status == STATUS_NOT_FOUND && is_new) {
        *meta = new_meta(schema);
        status = STATUS_OK;
    } else if (status == STATUS_NOT_FOUND) {
        error_set(error, "the database holds rows but no meta row: it is not a store of this kind");
        status = STATUS_STORE_FAILED;
    }
    buffer_clear(&row);
    return status;
}

enum status
store_begin(struct store *store, uint32_t schema, bool is_new, struct error *error)
{
    struct meta meta;
    enum status status = load_meta(store, schema, is_new, &meta, error);
    if (status != STATUS_OK)
        return status;
    if (meta.schema != schema) {
        error_set(error, "the store has schema %" PRIu32 ", this program expects %" PRIu32,
                  meta.schema, schema);
        return STATUS_CONFLICT;
    }
    if (meta.epoch == UINT64_MAX) {
        error_set(error, "the store's epoch cannot grow any more");
        return STATUS_STORE_FAILED;
    }
    meta.epoch++;

    uint8_t row[META_SIZE];
    encode_meta(&meta, row);
    struct store_batch *batch = store_batch_new();
    if (!batch)
        return STATUS_NOMEM;
    status = store_batch_add(batch, STORE_PUT, STORE_SPACE_RUNTIME, META_KEY,
                             (struct bytes){row, sizeof row});
    if (status == STATUS_OK)
        status = store->driver->commit(store, batch, error);
    store_batch_destroy(&batch);
    if (status == STATUS_OK) {
        store->uuid = meta.uuid;
        store->epoch = meta.epoch;
    }
    return status;
}

static bool
same_key(const struct store_write *a, const struct store_write *b)
{
    return a->space == b->space && bytes_equal(a->key, b->key);
}

/* The last write to the key of write `index` before it in the batch; NULL: none. */
static const struct store_write *
earlier_write(const struct store_batch *batch, size_t index)
{
    const struct store_write *expectation = store_batch_at(batch, index);
    for (size_t i = index; i > 0; i--) {
        const struct store_write *write = store_batch_at(batch, i - 1);
        if ((write->type == STORE_PUT || write->type == STORE_DELETE) &&
            same_key(write, expectation))
            return write;
    }
    return NULL;
}

static enum status
check_one(struct store *store, const struct store_batch *batch, size_t index,
          store_lookup_fn *lookup, struct buffer *scratch, struct error *error)
{
    const struct store_write *expectation = store_batch_at(batch, index);
    const struct store_write *earlier = earlier_write(batch, index);
    bool is_there;
    struct bytes value = {NULL, 0};

    if (earlier) {
        is_there = earlier->type == STORE_PUT;
        value = earlier->value;
    } else {
        buffer_reset(scratch);
        enum status status = lookup(store, expectation->space, expectation->key, scratch, error);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND)
            return status;
        is_there = status == STATUS_OK;
        value = buffer_bytes(scratch);
    }

    const char *fault = NULL;
    if (expectation->type == STORE_EXPECT_ABSENT && is_there)
        fault = "the key is there, expected it absent";
    else if (expectation->type == STORE_EXPECT_VALUE && !is_there)
        fault = "the key is absent, expected it with a value";
    else if (expectation->type == STORE_EXPECT_VALUE && !bytes_equal(value, expectation->value))
        fault = "the key has another value than expected";
    if (!fault)
        return STATUS_OK;
    error_set(error, "write %zu of the batch, space 0x%02x: %s", index + 1, expectation->space,
              fault);
    return STATUS_CONFLICT;
}

enum status
store_check(struct store *store, const struct store_batch *batch, store_lookup_fn *lookup,
            struct error *error)
{
    enum status status = STATUS_OK;
    struct buffer scratch;
    buffer_init(&scratch);
    for (size_t i = 0; i < store_batch_count(batch) && status == STATUS_OK; i++) {
        enum store_write_type type = store_batch_at(batch, i)->type;
        if (type == STORE_EXPECT_ABSENT || type == STORE_EXPECT_VALUE)
            status = check_one(store, batch, i, lookup, &scratch, error);
    }
    buffer_clear(&scratch);
    return status;
}

void
store_close(struct store **store_p)
{
    if (!*store_p)
        return;
    (*store_p)->driver->close(*store_p);
    *store_p = NULL;
}

struct uuid
store_uuid(const struct store *store)
{
    return store->uuid;
}

uint64_t
store_epoch(const struct store *store)
{
    return store->epoch;
}

enum status
store_get(struct store *store, store_space space, struct bytes key, struct buffer *out,
          struct error *error)
{
    size_t size;
    return store->driver->get_head(store, space, key, SIZE_MAX, out, &size, error);
}

enum status
store_get_head(struct store *store, store_space space, struct bytes key, size_t max,
               struct buffer *out, size_t *size, struct error *error)
{
    return store->driver->get_head(store, space, key, max, out, size, error);
}

enum status
store_scan(struct store *store, store_space space, struct bytes prefix, bool reverse,
           store_row_fn *row, void *context, struct error *error)
{
    return store->driver->scan(store, space, prefix, (struct bytes){NULL, 0}, reverse, row, context,
                               error);
}

enum status
store_scan_from(struct store *store, store_space space, struct bytes prefix, struct bytes from,
                store_row_fn *row, void *context, struct error *error)
{
    return store->driver->scan(store, space, prefix, from, false, row, context, error);
}

enum status
store_commit(struct store *store, const struct store_batch *batch, struct error *error)
{
    size_t count = store_batch_count(batch);
    if (count == 0)
        return STATUS_OK;
    for (size_t i = 0; i < count; i++) {
        const struct store_write *write = store_batch_at(batch, i);
        if (write->space == STORE_SPACE_RUNTIME && bytes_equal(write->key, META_KEY)) {
            error_set(error, "write %zu of the batch: the meta row cannot be written", i + 1);
            return STATUS_INVALID;
        }
    }
    enum status status = store_room_admit(store, batch, error);
    return status == STATUS_OK ? store->driver->commit(store, batch, error) : status;
}

enum status
store_checkpoint(struct store *store, const char *folder, struct error *error)
{
    return store->driver->checkpoint(store, folder, error);
}

enum status
store_verify(struct store *store, struct error *error)
{
    return store->driver->verify(store, error);
}

uint64_t
store_size(struct store *store)
{
    return store->driver->size(store);
}

bool
store_has_failed(struct store *store)
{
    return store->driver->has_failed(store);
}

void
store_fault_after(struct store *store, int calls)
{
    store->driver->fault_after(store, calls);
}
