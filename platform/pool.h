/* SPDX-License-Identifier: Apache-2.0 */
/* platform/pool.h - blocks of one size that other threads give back.
 *
 * For bytes that are handed to a library's thread and freed by it: they come back here instead of
 * going through malloc() on two threads. One thread owns the pool and takes; any thread gives. */
#ifndef SOS_PLATFORM_POOL_H
#define SOS_PLATFORM_POOL_H

#include <stdatomic.h>
#include <stddef.h>

struct pool {
    _Atomic(void *) returned; /* a list through the blocks' first bytes */
    void *spares;             /* another, the owner's */
    atomic_size_t idle;       /* in both */
    size_t idle_max;          /* more are freed */
    size_t block_size;
};

/* block_size: at least a pointer's. */
void pool_init(struct pool *pool, size_t block_size, size_t idle_max);
/* Frees what is idle. Blocks that are given afterwards are lost: all have come back. */
void pool_clear(struct pool *pool);

/* NULL when out of memory. A block may also be passed to free(). */
void *pool_take(struct pool *pool);
/* One that came back; NULL: none did. */
void *pool_take_idle(struct pool *pool);
/* Any thread. */
void pool_give(struct pool *pool, void *block);

#endif
