/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/vectors.h"

#include <stdlib.h>

#include "kernel/assert.h"

enum { CAPACITY_MIN = 4, LANES = 16 };

void
vectors_clear(struct vectors *vectors)
{
    free(vectors->values);
    *vectors = (struct vectors){0};
}

size_t
vectors_bytes(const struct vectors *vectors)
{
    return vectors->capacity * sizeof(struct embedding);
}

enum status
vectors_set(struct vectors *vectors, uint32_t slot, const struct embedding *embedding)
{
    if (slot >= vectors->capacity) {
        size_t capacity = vectors->capacity ? vectors->capacity : CAPACITY_MIN;
        while (capacity <= slot)
            capacity *= 2;
        float *values = realloc(vectors->values, capacity * sizeof *embedding);
        if (!values)
            return STATUS_NOMEM;
        memset(values + vectors->capacity * EMBEDDING_DIMENSIONS, 0,
               (capacity - vectors->capacity) * sizeof *embedding);
        vectors->values = values;
        vectors->capacity = capacity;
    }
    memcpy(vectors->values + (size_t)slot * EMBEDDING_DIMENSIONS, embedding, sizeof *embedding);
    return STATUS_OK;
}

/* Separate sums: floating point additions may not be reordered, so one sum could not become
 * vector instructions. */
static float
dot(const float *restrict a, const float *restrict b)
{
    float sums[LANES] = {0};
    for (size_t i = 0; i < EMBEDDING_DIMENSIONS; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += a[i + lane] * b[i + lane];
    float sum = 0;
    for (size_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}

void
vectors_compare(const struct vectors *vectors, const struct embedding *query, float *cosines,
                size_t first, size_t end)
{
    ASSERT(end <= vectors->capacity);
    for (size_t slot = first; slot < end; slot++)
        cosines[slot] = dot(vectors->values + slot * EMBEDDING_DIMENSIONS, query->values);
}
