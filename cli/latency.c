/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/latency.h"

#include <string.h>

enum { PARTS = 4 /* of an octave */ };

static unsigned
bucket_of(uint64_t us)
{
    unsigned octave = 0;
    while (octave < 62 && us >> (octave + 1))
        octave++;
    if (octave < 2)
        return (unsigned)us;
    unsigned part = (unsigned)(us >> (octave - 2)) & (PARTS - 1);
    unsigned bucket = octave * PARTS + part;
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The largest duration that falls into it. */
static uint64_t
bound_of(unsigned bucket)
{
    if (bucket < 2 * PARTS)
        return bucket;
    unsigned octave = bucket / PARTS;
    uint64_t part = bucket % PARTS;
    return ((PARTS + part + 1) << (octave - 2)) - 1;
}

void
latency_add(struct latency *latency, uint64_t now_us, uint64_t took_us, int failed)
{
    uint64_t number = now_us / LATENCY_SLOT_US;
    struct latency_slot *slot = &latency->slots[number % LATENCY_SLOTS];
    if (slot->number != number) {
        memset(slot, 0, sizeof *slot);
        slot->number = number;
    }
    slot->count++;
    slot->errors += failed != 0;
    slot->buckets[bucket_of(took_us)]++;
    if (took_us > slot->max_us)
        slot->max_us = took_us;
}

void
latency_collect(const struct latency *latency, uint64_t now_us, unsigned slots,
                struct latency_sum *sum)
{
    uint64_t newest = now_us / LATENCY_SLOT_US;
    for (unsigned i = 0; i < LATENCY_SLOTS; i++) {
        const struct latency_slot *slot = &latency->slots[i];
        if (slot->count == 0 || slot->number > newest || newest - slot->number >= slots)
            continue;
        sum->count += slot->count;
        sum->errors += slot->errors;
        if (slot->max_us > sum->max_us)
            sum->max_us = slot->max_us;
        for (unsigned j = 0; j < LATENCY_BUCKETS; j++)
            sum->buckets[j] += slot->buckets[j];
    }
}

uint64_t
latency_percentile(const struct latency_sum *sum, double share)
{
    uint64_t wanted = (uint64_t)((double)sum->count * share + 0.9999);
    uint64_t seen = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS && sum->count > 0; i++) {
        seen += sum->buckets[i];
        if (seen < wanted)
            continue;
        uint64_t bound = bound_of(i);
        return bound < sum->max_us ? bound : sum->max_us;
    }
    return sum->max_us;
}
