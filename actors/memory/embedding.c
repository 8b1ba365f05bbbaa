/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/embedding.h"

#include <math.h>
#include <stdlib.h>

#include "actors/memory/words.h"

enum { PIECE_MIN = 3, PIECE_MAX = 5, BOUNDARY_BEGIN = '<', BOUNDARY_END = '>' };

/* So that a word, a pair and a piece of the same letters are different features. */
enum feature_kind { FEATURE_WORD = 1, FEATURE_PAIR, FEATURE_PIECE, FEATURE_BYTES };

/* What a feature weighs. Found by trying: words decide, pieces help where words differ by
 * an ending or a slip, common words break ties. */
static const float word_weight = 1.0f, common_weight = 0.15f;
static const float pair_weight = 0.4f, common_pair_weight = 0.1f;
static const float piece_weight = 0.2f;

struct feature {
    uint64_t hash;
    uint32_t count; /* 0: a free place */
    float weight;
};

/* Open addressing; grows at half full. */
struct features {
    struct feature *places;
    size_t capacity; /* a power of two */
    size_t count;
};

static struct feature *
find(const struct features *features, uint64_t hash)
{
    size_t mask = features->capacity - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask)
        if (features->places[i].count == 0 || features->places[i].hash == hash)
            return &features->places[i];
}

static bool
grow(struct features *features, size_t capacity)
{
    struct features larger = {.capacity = capacity, .count = features->count};
    larger.places = calloc(larger.capacity, sizeof *larger.places);
    if (!larger.places)
        return false;
    for (size_t i = 0; i < features->capacity; i++)
        if (features->places[i].count > 0)
            *find(&larger, features->places[i].hash) = features->places[i];
    free(features->places);
    *features = larger;
    return true;
}

static bool
add(struct features *features, uint64_t hash, float weight)
{
    if (features->count * 2 >= features->capacity && !grow(features, features->capacity * 2))
        return false;
    struct feature *feature = find(features, hash);
    if (feature->count == 0) {
        feature->hash = hash;
        feature->weight = weight;
        features->count++;
    }
    feature->count++;
    return true;
}

static bool
add_pieces(struct features *features, const struct word *word)
{
    uint32_t marked[WORD_MAX + 2];
    size_t count = word->count + 2;
    marked[0] = BOUNDARY_BEGIN;
    memcpy(marked + 1, word->points, word->count * sizeof word->points[0]);
    marked[count - 1] = BOUNDARY_END;
    for (size_t at = 0; at + PIECE_MIN <= count; at++) {
        uint64_t hash = points_hash_begin(FEATURE_PIECE);
        for (size_t size = 1; size <= PIECE_MAX && at + size <= count; size++) {
            hash = points_hash_add(hash, marked[at + size - 1]);
            if (size >= PIECE_MIN && !add(features, points_hash_end(hash), piece_weight))
                return false;
        }
    }
    return true;
}

static bool
add_words(struct features *features, struct text text)
{
    struct words words = words_of(text);
    struct word word;
    uint64_t before = 0;
    bool has_before = false, before_is_common = false;
    while (words_next(&words, &word)) {
        uint64_t hash = points_hash(word.stem, word.stem_count, FEATURE_WORD);
        if (!add(features, hash, word.is_common ? common_weight : word_weight))
            return false;
        if (has_before) {
            const uint32_t pair[] = {(uint32_t)before, (uint32_t)(before >> 32), (uint32_t)hash,
                                     (uint32_t)(hash >> 32)};
            float weight = before_is_common || word.is_common ? common_pair_weight : pair_weight;
            if (!add(features, points_hash(pair, 4, FEATURE_PAIR), weight))
                return false;
        }
        if (!word.is_common && !add_pieces(features, &word))
            return false;
        before = hash;
        before_is_common = word.is_common;
        has_before = true;
    }
    return true;
}

/* "!!!" and the like: only the same text is alike. */
static bool
add_bytes(struct features *features, struct text text)
{
    uint64_t hash = points_hash_begin(FEATURE_BYTES);
    for (size_t i = 0; i < text.size; i++)
        hash = points_hash_add(hash, (uint8_t)text.data[i]);
    return add(features, points_hash_end(hash), word_weight);
}

static void
sum(const struct features *features, struct embedding *embedding)
{
    double sums[EMBEDDING_DIMENSIONS] = {0};
    double square = 0;
    for (size_t i = 0; i < features->capacity; i++) {
        const struct feature *feature = &features->places[i];
        if (feature->count == 0)
            continue;
        size_t dimension = (size_t)((feature->hash >> 32) * EMBEDDING_DIMENSIONS >> 32);
        double weight = (double)feature->weight * (1.0 + log(feature->count));
        sums[dimension] += feature->hash & 1 ? weight : -weight;
    }
    for (size_t i = 0; i < EMBEDDING_DIMENSIONS; i++)
        square += sums[i] * sums[i];
    double scale = square > 0 ? 1.0 / sqrt(square) : 0;
    for (size_t i = 0; i < EMBEDDING_DIMENSIONS; i++)
        embedding->values[i] = (float)(sums[i] * scale);
}

enum status
embedding_make(struct embedding *embedding, struct text text)
{
    struct features features = {0};
    if (text.size > EMBEDDING_TEXT_MAX)
        text.size = EMBEDDING_TEXT_MAX;
    size_t capacity = 512;
    while (capacity < text.size * 2)
        capacity *= 2;
    bool made = grow(&features, capacity) && add_words(&features, text) &&
                (features.count > 0 || add_bytes(&features, text));
    if (made)
        sum(&features, embedding);
    free(features.places);
    return made ? STATUS_OK : STATUS_NOMEM;
}
