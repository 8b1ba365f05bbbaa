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
pool_init(struct pool *pool, size_t block_size, size_t idle_max)
{
    atomic_init(&pool->returned, NULL);
    atomic_init(&pool->idle, 0);
    pool->spares = NULL;
    pool->idle_max = idle_max;
    pool->block_size = block_size;
}

/* All at once, so that no other thread can see a block leave and come back in between. */
static void
take_back(struct pool *pool)
{
    pool->spares = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
}

void *
pool_take_idle(struct pool *pool)
{
    if (!pool->spares)
        take_back(pool);
    void *block = pool->spares;
    if (!block)
        return NULL;
    pool->spares = next_of(block);
    atomic_fetch_sub_explicit(&pool->idle, 1, memory_order_relaxed);
    return block;
}

void *
pool_take(struct pool *pool)
{
    void *block = pool_take_idle(pool);
    return block ? block : malloc(pool->block_size);
}

void
pool_give(struct pool *pool, void *block)
{
    if (atomic_fetch_add_explicit(&pool->idle, 1, memory_order_relaxed) >= pool->idle_max) {
        atomic_fetch_sub_explicit(&pool->idle, 1, memory_order_relaxed);
        free(block);
        return;
    }
    void *first = atomic_load_explicit(&pool->returned, memory_order_relaxed);
    do
        set_next(block, first);
    while (!atomic_compare_exchange_weak_explicit(&pool->returned, &first, block,
                                                  memory_order_release, memory_order_relaxed));
}

static void
free_all(void *block)
{
    while (block) {
        void *next = next_of(block);
        free(block);
        block = next;
    }
}

void
pool_clear(struct pool *pool)
{
    free_all(pool->spares);
    take_back(pool);
    free_all(pool->spares);
    pool->spares = NULL;
    atomic_store_explicit(&pool->idle, 0, memory_order_relaxed);
}
