/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/embedding.h - turns text into a vector whose cosine says how alike texts are; built
 * in, no model, no network.
 *
 * Features are word stems, pairs of neighbouring stems, and the 3 to 5 letter pieces of each word
 * between boundary marks (as fastText: Bojanowski et al. 2017), which forgive misspelling. Each is
 * hashed to one of the dimensions with a sign (feature hashing, Weinberger et al. 2009), weighs 1 +
 * ln(count), and common words weigh little. The vector is normalised to length 1, so the dot
 * product is the cosine.
 *
 * Deterministic: the same text gives the same vector in every run. Embeddings are not stored but
 * made again at start (20,000 of 100 bytes take well below a second), so no stored row depends on
 * this code. */
#ifndef SOS_MEMORY_EMBEDDING_H
#define SOS_MEMORY_EMBEDDING_H

#include "kernel/bytes.h"
#include "kernel/status.h"

enum {
    EMBEDDING_DIMENSIONS = 384,
    EMBEDDING_TEXT_MAX = 8192 /* bytes that are looked at; bounds what a text can cost */
};

struct embedding {
    float values[EMBEDDING_DIMENSIONS];
};

/* Any text; of one without words the bytes themselves count. NOMEM. */
enum status embedding_make(struct embedding *embedding, struct text text);

#endif
