/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store.h"

#include <stdlib.h>

#include "kernel/assert.h"

struct store_batch {
    struct store_write *writes; /* key and value of one write share one block, at key.data */
    size_t count;
    size_t capacity;
    size_t bytes;
};

struct store_batch *
store_batch_new(void)
{
    return calloc(1, sizeof(struct store_batch));
}

void
store_batch_destroy(struct store_batch **batch_p)
{
    if (!*batch_p)
        return;
    store_batch_truncate(*batch_p, 0);
    free((*batch_p)->writes);
    free(*batch_p);
    *batch_p = NULL;
}

static bool
make_room(struct store_batch *batch)
{
    if (batch->count < batch->capacity)
        return true;
    size_t capacity = batch->capacity ? batch->capacity * 2 : 16;
    struct store_write *writes = reallocarray(batch->writes, capacity, sizeof *writes);
    if (!writes)
        return false;
    batch->writes = writes;
    batch->capacity = capacity;
    return true;
}

enum status
store_batch_add(struct store_batch *batch, enum store_write_type type, store_space space,
                struct bytes key, struct bytes value)
{
    if (type != STORE_PUT && type != STORE_EXPECT_VALUE)
        value = (struct bytes){NULL, 0};
    if (key.size > STORE_KEY_MAX || value.size > STORE_VALUE_MAX)
        return STATUS_TOO_LARGE;
    if (!make_room(batch))
        return STATUS_NOMEM;

    uint8_t *copy = malloc(key.size + value.size + 1);
    if (!copy)
        return STATUS_NOMEM;
    if (key.size > 0)
        memcpy(copy, key.data, key.size);
    if (value.size > 0)
        memcpy(copy + key.size, value.data, value.size);

    batch->writes[batch->count++] = (struct store_write){.type = type,
                                                         .space = space,
                                                         .key = {copy, key.size},
                                                         .value = {copy + key.size, value.size}};
    batch->bytes += key.size + value.size;
    return STATUS_OK;
}

size_t
store_batch_count(const struct store_batch *batch)
{
    return batch->count;
}

const struct store_write *
store_batch_at(const struct store_batch *batch, size_t index)
{
    ASSERT(index < batch->count);
    return &batch->writes[index];
}

void
store_batch_truncate(struct store_batch *batch, size_t count)
{
    while (batch->count > count) {
        struct store_write *write = &batch->writes[--batch->count];
        batch->bytes -= write->key.size + write->value.size;
        free((void *)(uintptr_t)write->key.data);
    }
}

size_t
store_batch_bytes(const struct store_batch *batch)
{
    return batch->bytes;
}
