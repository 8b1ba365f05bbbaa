/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/bm25.h - an inverted index over the word stems of one agent's memories, ranked by
 * Okapi BM25 (Robertson, Walker et al. 1994) with k1 = 1.2, b = 0.75 and the Robertson/Sparck Jones
 * weight
 *
 *     idf(t) = ln(1 + (N - n(t) + 0.5) / (n(t) + 0.5))
 *
 * kept positive by the 1, as Lucene does, so that a word that most memories hold still counts for a
 * little.
 *
 * Words are known by a keyed 64-bit hash (SipHash-2-4): nobody can choose words that crowd one
 * bucket. */
#ifndef SOS_MEMORY_BM25_H
#define SOS_MEMORY_BM25_H

#include "kernel/bytes.h"
#include "kernel/status.h"

struct bm25_key {
    uint8_t bytes[16]; /* random, the same for the whole life of an index */
};

struct bm25;

struct bm25 *bm25_new(const struct bm25_key *key); /* NULL when out of memory */
void bm25_destroy(struct bm25 **bm25_p);

/* The slot must be free. NOMEM: nothing was added. */
enum status bm25_add(struct bm25 *bm25, uint32_t slot, struct text text);
void bm25_remove(struct bm25 *bm25, uint32_t slot); /* a free slot: nothing happens */

/* Adds each memory's score to scores[slot], which the caller has set to 0; count: entries of
 * scores, beyond every used slot. Common words of the query ("what is my") count only when it has
 * no others. NOMEM. */
enum status bm25_score(const struct bm25 *bm25, struct text query, double *scores, size_t count);

size_t bm25_documents(const struct bm25 *bm25);
size_t bm25_terms(const struct bm25 *bm25);
size_t bm25_bytes(const struct bm25 *bm25); /* memory it takes */

#endif
