/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and values stand one behind the other in a few large blocks: a batch of thousands of small
 * rows costs a copy of each, and no allocation. */
#include "store/store.h"

#include <stdlib.h>

#include "kernel/assert.h"

enum { BLOCK_SIZE = 64 * 1024 };

struct block {
    struct block *older;
    size_t size;
    size_t used;
    uint8_t data[];
};

struct store_batch {
    struct store_write *writes; /* value right behind key, in one block */
    size_t count;
    size_t capacity;
    size_t bytes;
    struct block *newest;
};

struct store_batch *
store_batch_new(void)
{
    return calloc(1, sizeof(struct store_batch));
}

static void
drop_newest(struct store_batch *batch)
{
    struct block *block = batch->newest;
    batch->newest = block->older;
    free(block);
}

void
store_batch_destroy(struct store_batch **batch_p)
{
    if (!*batch_p)
        return;
    while ((*batch_p)->newest)
        drop_newest(*batch_p);
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

/* Never NULL but when out of memory: an empty key has a place too. */
static uint8_t *
take_place(struct store_batch *batch, size_t size)
{
    struct block *block = batch->newest;
    if (!block || block->size - block->used <= size) {
        size_t room = size < BLOCK_SIZE ? BLOCK_SIZE : size + 1;
        block = malloc(sizeof *block + room);
        if (!block)
            return NULL;
        *block = (struct block){.older = batch->newest, .size = room};
        batch->newest = block;
    }
    uint8_t *place = block->data + block->used;
    block->used += size;
    return place;
}

static enum status
add(struct store_batch *batch, enum store_write_type type, store_space space, struct bytes key,
    size_t value_size, uint8_t **value)
{
    if (key.size > STORE_KEY_MAX || value_size > STORE_VALUE_MAX)
        return STATUS_TOO_LARGE;
    if (!make_room(batch))
        return STATUS_NOMEM;
    uint8_t *place = take_place(batch, key.size + value_size);
    if (!place)
        return STATUS_NOMEM;
    if (key.size > 0)
        memcpy(place, key.data, key.size);
    *value = place + key.size;
    batch->writes[batch->count++] = (struct store_write){
        .type = type, .space = space, .key = {place, key.size}, .value = {*value, value_size}};
    batch->bytes += key.size + value_size;
    return STATUS_OK;
}

enum status
store_batch_add(struct store_batch *batch, enum store_write_type type, store_space space,
                struct bytes key, struct bytes value)
{
    uint8_t *place;
    if (type != STORE_PUT && type != STORE_EXPECT_VALUE)
        value = (struct bytes){NULL, 0};
    enum status status = add(batch, type, space, key, value.size, &place);
    if (status == STATUS_OK && value.size > 0)
        memcpy(place, value.data, value.size);
    return status;
}

enum status
store_batch_put(struct store_batch *batch, store_space space, struct bytes key, size_t value_size,
                uint8_t **value)
{
    return add(batch, STORE_PUT, space, key, value_size, value);
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

static bool
holds(const struct block *block, const uint8_t *place)
{
    return (uintptr_t)place >= (uintptr_t)block->data &&
           (uintptr_t)place < (uintptr_t)block->data + block->size;
}

void
store_batch_truncate(struct store_batch *batch, size_t count)
{
    if (batch->count <= count)
        return;
    const uint8_t *from = batch->writes[count].key.data;
    while (batch->count > count) {
        const struct store_write *write = &batch->writes[--batch->count];
        batch->bytes -= write->key.size + write->value.size;
    }
    while (!holds(batch->newest, from))
        drop_newest(batch);
    batch->newest->used = (size_t)(from - batch->newest->data);
    if (count == 0 && batch->newest->size > BLOCK_SIZE)
        drop_newest(batch); /* one of the usual size is kept for the next rows, no larger one */
}

size_t
store_batch_bytes(const struct store_batch *batch)
{
    return batch->bytes;
}
