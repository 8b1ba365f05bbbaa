/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/bm25.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>

#include "actors/memory/words.h"
#include "kernel/assert.h"

enum { TERMS_MIN = 16, POSTINGS_MIN = 2, DOCUMENTS_MIN = 4 };

static const double k1 = 1.2, b = 0.75;

struct posting {
    uint32_t slot;
    uint32_t times;
};

struct term {
    uint64_t hash;
    struct posting *postings;
    uint32_t count; /* 0: a free place */
    uint32_t capacity;
};

/* The other direction: what must be taken out again. */
struct document {
    uint64_t *terms;
    uint32_t term_count;
    uint32_t length; /* words */
    bool is_used;
};

struct bm25 {
    struct bm25_key key;
    struct term *terms; /* open addressing, at most half full */
    size_t term_capacity, term_count;
    struct document *documents;
    size_t document_capacity, document_count;
    uint64_t length; /* of all documents */
    size_t bytes;    /* of postings and term lists */
};

_Static_assert(sizeof((struct bm25_key){0}.bytes) == crypto_shorthash_KEYBYTES, "SipHash key");

struct bm25 *
bm25_new(const struct bm25_key *key)
{
    struct bm25 *bm25 = calloc(1, sizeof *bm25);
    if (!bm25)
        return NULL;
    bm25->key = *key;
    bm25->term_capacity = TERMS_MIN;
    bm25->terms = calloc(bm25->term_capacity, sizeof *bm25->terms);
    if (!bm25->terms)
        bm25_destroy(&bm25);
    return bm25;
}

void
bm25_destroy(struct bm25 **bm25_p)
{
    struct bm25 *bm25 = *bm25_p;
    if (!bm25)
        return;
    for (size_t i = 0; bm25->terms && i < bm25->term_capacity; i++)
        free(bm25->terms[i].postings);
    for (size_t i = 0; i < bm25->document_capacity; i++)
        free(bm25->documents[i].terms);
    free(bm25->terms);
    free(bm25->documents);
    free(bm25);
    *bm25_p = NULL;
}

size_t
bm25_documents(const struct bm25 *bm25)
{
    return bm25->document_count;
}

size_t
bm25_terms(const struct bm25 *bm25)
{
    return bm25->term_count;
}

size_t
bm25_bytes(const struct bm25 *bm25)
{
    return sizeof *bm25 + bm25->term_capacity * sizeof *bm25->terms +
           bm25->document_capacity * sizeof *bm25->documents + bm25->bytes;
}

/* ---- the table of terms */

static struct term *
find_place(const struct bm25 *bm25, uint64_t hash)
{
    size_t mask = bm25->term_capacity - 1;
    for (size_t i = (size_t)hash & mask;; i = (i + 1) & mask)
        if (bm25->terms[i].count == 0 || bm25->terms[i].hash == hash)
            return &bm25->terms[i];
}

static bool
grow_terms(struct bm25 *bm25)
{
    struct bm25 larger = {.term_capacity = bm25->term_capacity * 2};
    larger.terms = calloc(larger.term_capacity, sizeof *larger.terms);
    if (!larger.terms)
        return false;
    for (size_t i = 0; i < bm25->term_capacity; i++)
        if (bm25->terms[i].count > 0)
            *find_place(&larger, bm25->terms[i].hash) = bm25->terms[i];
    free(bm25->terms);
    bm25->terms = larger.terms;
    bm25->term_capacity = larger.term_capacity;
    return true;
}

/* Frees the place and closes the gap, so that later terms are still found (Knuth 6.4, algorithm R).
 */
static void
drop_term(struct bm25 *bm25, struct term *term)
{
    size_t mask = bm25->term_capacity - 1;
    size_t gap = (size_t)(term - bm25->terms);
    bm25->bytes -= term->capacity * sizeof *term->postings;
    free(term->postings);
    bm25->term_count--;
    for (size_t i = (gap + 1) & mask; bm25->terms[i].count > 0; i = (i + 1) & mask) {
        size_t home = (size_t)bm25->terms[i].hash & mask;
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        bm25->terms[gap] = bm25->terms[i];
        gap = i;
    }
    bm25->terms[gap] = (struct term){0};
}

/* ---- adding and removing */

static uint64_t
hash_of(const struct bm25 *bm25, const struct word *word)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)word->stem,
                     word->stem_count * sizeof word->stem[0], bm25->key.bytes);
    return hash;
}

static int
compare_hashes(const void *a, const void *b_)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b_;
    return (left > right) - (left < right);
}

/* The hashes of all words, sorted. */
static enum status
collect(const struct bm25 *bm25, struct text text, bool with_common, struct buffer *hashes)
{
    struct words words = words_of(text);
    struct word word;
    while (words_next(&words, &word)) {
        if (word.is_common && !with_common)
            continue;
        uint64_t hash = hash_of(bm25, &word);
        buffer_append(hashes, &hash, sizeof hash);
    }
    if (hashes->failed)
        return STATUS_NOMEM;
    if (hashes->size > 0)
        qsort(hashes->data, hashes->size / sizeof(uint64_t), sizeof(uint64_t), compare_hashes);
    return STATUS_OK;
}

static size_t
run_length(const uint64_t *hashes, size_t count)
{
    size_t length = 1;
    while (length < count && hashes[length] == hashes[0])
        length++;
    return length;
}

static bool
add_posting(struct bm25 *bm25, uint64_t hash, uint32_t slot, size_t times)
{
    if ((bm25->term_count + 1) * 2 > bm25->term_capacity && !grow_terms(bm25))
        return false;
    struct term *term = find_place(bm25, hash);
    if (term->count == term->capacity) {
        uint32_t capacity = term->capacity ? term->capacity * 2 : POSTINGS_MIN;
        struct posting *postings = realloc(term->postings, capacity * sizeof *postings);
        if (!postings)
            return false;
        bm25->bytes += (capacity - term->capacity) * sizeof *postings;
        term->postings = postings;
        term->capacity = capacity;
    }
    if (term->count == 0) {
        term->hash = hash;
        bm25->term_count++;
    }
    term->postings[term->count++] = (struct posting){slot, (uint32_t)times};
    return true;
}

static void
remove_posting(struct bm25 *bm25, uint64_t hash, uint32_t slot)
{
    struct term *term = find_place(bm25, hash);
    for (uint32_t i = 0; i < term->count; i++) {
        if (term->postings[i].slot != slot)
            continue;
        if (term->count == 1) {
            drop_term(bm25, term);
            return;
        }
        term->postings[i] = term->postings[--term->count];
        return;
    }
}

static struct document *
document_at(struct bm25 *bm25, uint32_t slot)
{
    if (slot >= bm25->document_capacity) {
        size_t capacity = bm25->document_capacity ? bm25->document_capacity : DOCUMENTS_MIN;
        while (capacity <= slot)
            capacity *= 2;
        struct document *documents = realloc(bm25->documents, capacity * sizeof *documents);
        if (!documents)
            return NULL;
        memset(documents + bm25->document_capacity, 0,
               (capacity - bm25->document_capacity) * sizeof *documents);
        bm25->documents = documents;
        bm25->document_capacity = capacity;
    }
    return &bm25->documents[slot];
}

static void
take_out(struct bm25 *bm25, uint32_t slot)
{
    struct document *document = &bm25->documents[slot];
    for (uint32_t i = 0; i < document->term_count; i++)
        remove_posting(bm25, document->terms[i], slot);
    bm25->bytes -= document->term_count * sizeof *document->terms;
    bm25->length -= document->length;
    bm25->document_count--;
    free(document->terms);
    *document = (struct document){0};
}

static enum status
put_in(struct bm25 *bm25, uint32_t slot, const uint64_t *hashes, size_t count)
{
    size_t unique = 0;
    for (size_t i = 0; i < count; i += run_length(hashes + i, count - i))
        unique++;
    struct document *document = document_at(bm25, slot);
    uint64_t *terms = malloc((unique + 1) * sizeof *terms);
    if (!document || !terms) {
        free(terms);
        return STATUS_NOMEM;
    }
    ASSERT(!document->is_used);
    *document = (struct document){
        .terms = terms, .term_count = (uint32_t)unique, .length = (uint32_t)count, .is_used = true};
    bm25->bytes += unique * sizeof *terms;
    bm25->length += count;
    bm25->document_count++;

    size_t times;
    for (size_t i = 0; i < count; i += times) {
        times = run_length(hashes + i, count - i);
        *terms++ = hashes[i];
        if (!add_posting(bm25, hashes[i], slot, times)) {
            bm25->bytes -= (size_t)(document->terms + unique - terms) * sizeof *terms;
            document->term_count = (uint32_t)(terms - document->terms);
            take_out(bm25, slot);
            return STATUS_NOMEM;
        }
    }
    return STATUS_OK;
}

enum status
bm25_add(struct bm25 *bm25, uint32_t slot, struct text text)
{
    struct buffer hashes;
    buffer_init(&hashes);
    enum status status = collect(bm25, text, true, &hashes);
    if (status == STATUS_OK)
        status = put_in(bm25, slot, (const uint64_t *)(const void *)hashes.data,
                        hashes.size / sizeof(uint64_t));
    buffer_clear(&hashes);
    return status;
}

void
bm25_remove(struct bm25 *bm25, uint32_t slot)
{
    if (slot < bm25->document_capacity && bm25->documents[slot].is_used)
        take_out(bm25, slot);
}

/* ---- scoring */

static void
score_term(const struct bm25 *bm25, const struct term *term, double *scores, size_t count)
{
    double n = term->count, total = (double)bm25->document_count;
    double idf = log(1.0 + (total - n + 0.5) / (n + 0.5));
    double average = (double)bm25->length / total;
    for (uint32_t i = 0; i < term->count; i++) {
        uint32_t slot = term->postings[i].slot;
        double times = term->postings[i].times;
        double length = bm25->documents[slot].length;
        ASSERT(slot < count);
        scores[slot] += idf * times * (k1 + 1.0) / (times + k1 * (1.0 - b + b * length / average));
    }
}

/* Sums in the order of the words' hashes would differ between two keys in the last bit, and so
 * between two starts: the words are taken in the query's order. */
static enum status
score_words(const struct bm25 *bm25, struct text query, bool with_common, double *scores,
            size_t count)
{
    struct buffer done;
    buffer_init(&done);
    struct words words = words_of(query);
    struct word word;
    while (!done.failed && words_next(&words, &word)) {
        if (word.is_common && !with_common)
            continue;
        uint64_t hash = hash_of(bm25, &word);
        const struct term *term = find_place(bm25, hash);
        bool is_new = term->count > 0;
        for (size_t i = 0; is_new && i < done.size; i += sizeof hash)
            is_new = memcmp(done.data + i, &hash, sizeof hash) != 0;
        if (!is_new)
            continue;
        buffer_append(&done, &hash, sizeof hash);
        score_term(bm25, term, scores, count);
    }
    bool failed = done.failed;
    buffer_clear(&done);
    return failed ? STATUS_NOMEM : STATUS_OK;
}

static bool
has_other_than_common(struct text text)
{
    struct words words = words_of(text);
    struct word word;
    while (words_next(&words, &word))
        if (!word.is_common)
            return true;
    return false;
}

enum status
bm25_score(const struct bm25 *bm25, struct text query, double *scores, size_t count)
{
    if (bm25->document_count == 0)
        return STATUS_OK;
    return score_words(bm25, query, !has_other_than_common(query), scores, count);
}
