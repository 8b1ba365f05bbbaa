/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/words.h - splits text into words that compare well.
 *
 * A word is a run of letters and digits, case folded (Latin, Greek, Cyrillic, Armenian; Arabic
 * letter and digit variants unified), with a stem: English endings are taken off plain ASCII words,
 * so that "closes" and "close" meet (after Harman's S stemmer, 1991, and step 1b of Porter's,
 * 1980). Scripts written without spaces give one word per character. Pure and deterministic; any
 * bytes are safe, what is not UTF-8 separates words. */
#ifndef SOS_MEMORY_WORDS_H
#define SOS_MEMORY_WORDS_H

#include "kernel/bytes.h"

enum {
    WORD_MAX = 64 /* code points; the rest of a longer word is passed over */
};

struct word {
    uint32_t points[WORD_MAX]; /* folded */
    size_t count;
    uint32_t stem[WORD_MAX];
    size_t stem_count;
    size_t begin, end; /* in the text, bytes */
    bool is_common;    /* "the", "is", "what": says little about what the text is about */
};

struct words {
    struct text text;
    size_t at;
};

struct words words_of(struct text text);

/* The next word; false at the end. */
bool words_next(struct words *words, struct word *word);

/* 64 bits of some points, for features that must come out alike everywhere: FNV-1a over points
 * instead of bytes, finished as MurmurHash3. Not keyed: only for what an attacker gains nothing by
 * colliding. */
static inline uint64_t
points_hash_begin(uint64_t seed)
{
    return UINT64_C(0xcbf29ce484222325) ^ seed;
}

static inline uint64_t
points_hash_add(uint64_t hash, uint32_t point)
{
    return (hash ^ point) * UINT64_C(0x100000001b3);
}

static inline uint64_t
points_hash_end(uint64_t hash)
{
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ (hash >> 33);
}

/* All three at once. */
uint64_t points_hash(const uint32_t *points, size_t count, uint64_t seed);

#endif
