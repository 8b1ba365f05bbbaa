/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/tap_ring.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/assert.h"

enum { ALIGNMENT = 16, CACHE_LINE = 64 };

/* What stands before each entry's bytes. size 0: the rest up to the ring's end is unused. */
struct entry {
    size_t size; /* all of it, rounded up */
    struct tap_sighting sighting;
};

/* Positions grow without end; their place in the ring is what is left of them. */
struct tap_ring {
    size_t size;
    uint8_t *bytes;
    uint64_t number; /* the producer's */
    _Alignas(CACHE_LINE) atomic_size_t written;
    size_t seen_read; /* the producer's last look at `read` */
    _Alignas(CACHE_LINE) atomic_size_t read;
    size_t taken; /* the consumer's */
    size_t limit; /* its last look at `written` */
};

struct tap_ring *
tap_ring_new(size_t size)
{
    ASSERT(size >= 4096 && (size & (size - 1)) == 0);
    struct tap_ring *ring = aligned_alloc(CACHE_LINE, sizeof *ring);
    if (!ring)
        return NULL;
    memset(ring, 0, sizeof *ring);
    atomic_init(&ring->written, 0);
    atomic_init(&ring->read, 0);
    ring->size = size;
    ring->bytes = aligned_alloc(CACHE_LINE, size);
    if (!ring->bytes)
        tap_ring_destroy(&ring);
    return ring;
}

void
tap_ring_destroy(struct tap_ring **ring_p)
{
    struct tap_ring *ring = *ring_p;
    if (!ring)
        return;
    free(ring->bytes);
    free(ring);
    *ring_p = NULL;
}

/* ---- the texts behind an entry, in this order */

enum { PARTS = 7 };

static void
parts_of(const struct tap_sighting *sighting, struct bytes parts[static PARTS])
{
    const struct text texts[PARTS - 1] = {sighting->source,  sighting->target,
                                          sighting->type,    sighting->principal,
                                          sighting->verdict, sighting->capability};
    for (size_t i = 0; i < PARTS - 1; i++)
        parts[i] = (struct bytes){(const uint8_t *)texts[i].data, texts[i].size};
    parts[PARTS - 1] = sighting->payload;
}

/* The same views, into the bytes behind the entry. */
static void
point_at(struct tap_sighting *sighting, const uint8_t *at)
{
    struct text *const texts[PARTS - 1] = {&sighting->source,  &sighting->target,
                                           &sighting->type,    &sighting->principal,
                                           &sighting->verdict, &sighting->capability};
    for (size_t i = 0; i < PARTS - 1; i++) {
        texts[i]->data = (const char *)at;
        at += texts[i]->size;
    }
    sighting->payload.data = at;
}

/* ---- the producer's */

static size_t
rounded(size_t size)
{
    return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static bool
has_room(struct tap_ring *ring, size_t written, size_t size)
{
    if (written + size - ring->seen_read <= ring->size)
        return true;
    ring->seen_read = atomic_load_explicit(&ring->read, memory_order_acquire);
    return written + size - ring->seen_read <= ring->size;
}

bool
tap_ring_put(struct tap_ring *ring, const struct tap_sighting *sighting)
{
    struct bytes parts[PARTS];
    size_t size = sizeof(struct entry);
    parts_of(sighting, parts);
    for (size_t i = 0; i < PARTS; i++)
        size += parts[i].size;
    size = rounded(size);

    size_t written = atomic_load_explicit(&ring->written, memory_order_relaxed);
    size_t place = written & (ring->size - 1);
    size_t unused = ring->size - place < size ? ring->size - place : 0;
    if (size > ring->size / 2 || !has_room(ring, written, unused + size))
        return false;
    if (unused > 0) {
        const size_t none = 0;
        memcpy(ring->bytes + place, &none, sizeof none); /* places are multiples of ALIGNMENT */
        place = 0;
    }
    struct entry entry = {size, *sighting};
    entry.sighting.number = ring->number++;
    uint8_t *at = ring->bytes + place;
    memcpy(at, &entry, sizeof entry);
    at += sizeof entry;
    for (size_t i = 0; i < PARTS; i++) {
        if (parts[i].size > 0)
            memcpy(at, parts[i].data, parts[i].size);
        at += parts[i].size;
    }
    atomic_store_explicit(&ring->written, written + unused + size, memory_order_release);
    return true;
}

uint64_t
tap_ring_next(const struct tap_ring *ring)
{
    return ring->number;
}

size_t
tap_ring_used(const struct tap_ring *ring)
{
    return atomic_load_explicit(&ring->written, memory_order_relaxed) -
           atomic_load_explicit(&ring->read, memory_order_relaxed);
}

/* ---- the consumer's */

bool
tap_ring_look(struct tap_ring *ring)
{
    ring->limit = atomic_load_explicit(&ring->written, memory_order_acquire);
    return ring->limit != ring->taken;
}

bool
tap_ring_take(struct tap_ring *ring, struct tap_sighting *sighting)
{
    if (ring->taken == ring->limit)
        return false;
    size_t place = ring->taken & (ring->size - 1);
    size_t size;
    memcpy(&size, ring->bytes + place, sizeof size);
    if (size == 0) {
        ring->taken += ring->size - place;
        place = 0;
        memcpy(&size, ring->bytes, sizeof size);
    }
    struct entry entry;
    memcpy(&entry, ring->bytes + place, sizeof entry);
    *sighting = entry.sighting;
    point_at(sighting, ring->bytes + place + sizeof entry);
    ring->taken += size;
    return true;
}

void
tap_ring_release(struct tap_ring *ring)
{
    atomic_store_explicit(&ring->read, ring->taken, memory_order_release);
}
