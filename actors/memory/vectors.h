/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/vectors.h - the embeddings of one agent, side by side, and their cosines with a
 * query.
 *
 * Exact: every vector is compared. Slots are numbers that the owner gives, small and reused. */
#ifndef SOS_MEMORY_VECTORS_H
#define SOS_MEMORY_VECTORS_H

#include "actors/memory/embedding.h"

struct vectors {
    float *values;   /* EMBEDDING_DIMENSIONS per slot */
    size_t capacity; /* slots */
};

void vectors_clear(struct vectors *vectors);
/* Grows to hold the slot. NOMEM: as before. */
enum status vectors_set(struct vectors *vectors, uint32_t slot, const struct embedding *embedding);
size_t vectors_bytes(const struct vectors *vectors);

/* cosines[slot] becomes the cosine of the query with that slot, for first <= slot < end; the others
 * stay. */
void vectors_compare(const struct vectors *vectors, const struct embedding *query, float *cosines,
                     size_t first, size_t end);

#endif
