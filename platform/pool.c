/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/pool.h"

#include <stdlib.h>
#include <string.h>

/* The list's link stands in the block: memcpy, as the block has no type. */
static void *
next_of(const void *block)
{
    void *next;
    memcpy(&next, block, sizeof next);
    return next;
}

static void
set_next(void *block, void *next)
{
    memcpy(block, &next, sizeof next);
}

void
pool_init(struct pool *pool, size_t block_size, size_t spares_max)
{
    atomic_init(&pool->returned, NULL);
    pool->spares = NULL;
    pool->spare_count = 0;
    pool->spares_max = spares_max;
    pool->block_size = block_size;
}

/* All at once, so that no other thread can see a block leave and come back in between. */
static void
take_back(struct pool *pool)
{
    void *block = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
    while (block) {
        void *next = next_of(block);
        if (pool->spare_count < pool->spares_max) {
            set_next(block, pool->spares);
            pool->spares = block;
            pool->spare_count++;
        } else {
            free(block);
        }
        block = next;
    }
}

void
pool_clear(struct pool *pool)
{
    take_back(pool);
    while (pool->spares) {
        void *next = next_of(pool->spares);
        free(pool->spares);
        pool->spares = next;
    }
    pool->spare_count = 0;
}

void *
pool_take(struct pool *pool)
{
    if (!pool->spares)
        take_back(pool);
    void *block = pool->spares;
    if (!block)
        return malloc(pool->block_size);
    pool->spares = next_of(block);
    pool->spare_count--;
    return block;
}

void
pool_give(struct pool *pool, void *block)
{
    void *first = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    do
        set_next(block, first);
    while (!atomic_compare_exchange_weak_explicit(&pool->returned, &first, block,
                                                  memory_order_release, memory_order_relaxed));
}
