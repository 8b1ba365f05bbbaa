/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/fuse.h"

#include <stdbool.h>
#include <stdlib.h>

/* Newer memories, whose ids are larger, go first among equals. */
static int
compare_hits(const void *a, const void *b)
{
    const struct hit *left = a, *right = b;
    if (left->score != right->score)
        return left->score > right->score ? -1 : 1;
    return uuid_compare(right->id, left->id);
}

static bool
is_worse(const struct hit *a, const struct hit *b)
{
    return compare_hits(a, b) > 0;
}

static void
swap(struct hit *a, struct hit *b)
{
    struct hit hit = *a;
    *a = *b;
    *b = hit;
}

static void
sift_up(struct hit *hits, size_t at)
{
    for (; at > 0 && is_worse(&hits[at], &hits[(at - 1) / 2]); at = (at - 1) / 2)
        swap(&hits[at], &hits[(at - 1) / 2]);
}

static void
sift_down(struct hit *hits, size_t count)
{
    for (size_t at = 0;;) {
        size_t worst = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++)
            if (is_worse(&hits[child], &hits[worst]))
                worst = child;
        if (worst == at)
            return;
        swap(&hits[at], &hits[worst]);
        at = worst;
    }
}

void
ranking_offer(struct ranking *ranking, struct hit hit)
{
    if (ranking->count < ranking->max) {
        ranking->hits[ranking->count] = hit;
        sift_up(ranking->hits, ranking->count++);
    } else if (ranking->max > 0 && is_worse(&ranking->hits[0], &hit)) {
        ranking->hits[0] = hit;
        sift_down(ranking->hits, ranking->count);
    }
}

void
ranking_sort(struct ranking *ranking)
{
    if (ranking->count > 1)
        qsort(ranking->hits, ranking->count, sizeof *ranking->hits, compare_hits);
}

static int
compare_slots(const void *a, const void *b)
{
    const struct hit *left = a, *right = b;
    return (left->slot > right->slot) - (left->slot < right->slot);
}

static size_t
take_ranks(const struct ranking *ranking, struct hit *out)
{
    for (size_t i = 0; i < ranking->count; i++) {
        out[i] = ranking->hits[i];
        out[i].score = 1.0 / (double)(FUSE_K + i + 1);
    }
    return ranking->count;
}

size_t
fuse(const struct ranking *a, const struct ranking *b, struct hit *out)
{
    size_t taken = take_ranks(a, out);
    taken += take_ranks(b, out + taken);
    if (taken == 0)
        return 0;
    qsort(out, taken, sizeof *out, compare_slots);
    size_t count = 1;
    for (size_t i = 1; i < taken; i++) {
        if (out[i].slot == out[count - 1].slot)
            out[count - 1].score += out[i].score;
        else
            out[count++] = out[i];
    }
    qsort(out, count, sizeof *out, compare_hits);
    return count;
}
