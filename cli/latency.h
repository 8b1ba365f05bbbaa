/* SPDX-License-Identifier: Apache-2.0 */
/* cli/latency.h - how long things took lately: percentiles over a sliding window.
 *
 * Durations are counted in buckets that grow by a fourth of an octave, so a percentile is within a
 * fifth of what it says. The window is a ring of slots, of which the oldest is forgotten. */
#ifndef SOS_CLI_LATENCY_H
#define SOS_CLI_LATENCY_H

#include <stdint.h>

enum { LATENCY_BUCKETS = 128, LATENCY_SLOTS = 6, LATENCY_SLOT_US = 10000000 };

struct latency_slot {
    uint64_t number; /* of its ten seconds */
    uint64_t count, errors, max_us;
    uint32_t buckets[LATENCY_BUCKETS];
};

/* Zero-initialise. */
struct latency {
    struct latency_slot slots[LATENCY_SLOTS];
};

struct latency_sum {
    uint64_t count, errors, max_us;
    uint64_t buckets[LATENCY_BUCKETS];
};

void latency_add(struct latency *latency, uint64_t now_us, uint64_t took_us, int failed);

/* Adds what the newest `slots` slots hold, the one under way among them. */
void latency_collect(const struct latency *latency, uint64_t now_us, unsigned slots,
                     struct latency_sum *sum);

/* share: 0.5, 0.99. 0 when nothing was counted. Never above the largest seen. */
uint64_t latency_percentile(const struct latency_sum *sum, double share);

#endif
