/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/fuse.h - the best of many scored slots, and one ranking out of two.
 *
 * Rankings are fused by reciprocal ranks, sum of 1 / (60 + rank) (Cormack, Clarke, Büttcher 2009):
 * scores of different kinds need no common scale. Equal scores are ordered by id, so that no
 * ranking depends on the order in which memories came into the index. */
#ifndef SOS_MEMORY_FUSE_H
#define SOS_MEMORY_FUSE_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/id.h"

enum { FUSE_K = 60 };

struct hit {
    double score;
    uint32_t slot;
    const struct uuid *id; /* borrowed */
};

/* The `max` best of what is offered: a heap with the worst on top. */
struct ranking {
    struct hit *hits; /* room for max, the caller's */
    size_t max;
    size_t count;
};

void ranking_offer(struct ranking *ranking, struct hit hit);
void ranking_sort(struct ranking *ranking); /* best first; nothing may be offered afterwards */

/* Both sorted. out: room for the hits of both; sorted, with the fused scores. */
size_t fuse(const struct ranking *a, const struct ranking *b, struct hit *out);

#endif
