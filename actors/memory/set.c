/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/set.h"

#include <stdlib.h>

#include "kernel/assert.h"

enum {
    CAPACITY_MIN = 4,
    CANDIDATES_MORE = 100 /* of each ranking beyond the limit, for the fusion to choose from */
};

struct set *
set_new(struct text agent_id, const struct bm25_key *key)
{
    struct set *set = calloc(1, sizeof *set);
    if (!set)
        return NULL;
    set->first_free = SET_NO_SLOT;
    set->agent_id = (struct text){text_copy(agent_id), agent_id.size};
    set->words = bm25_new(key);
    if (!set->agent_id.data || !set->words)
        set_destroy(&set);
    return set;
}

void
set_destroy(struct set **set_p)
{
    struct set *set = *set_p;
    if (!set)
        return;
    vectors_clear(&set->vectors);
    bm25_destroy(&set->words);
    free(set->members);
    free((char *)set->agent_id.data);
    free(set);
    *set_p = NULL;
}

size_t
set_bytes(const struct set *set)
{
    return sizeof *set + set->agent_id.size + set->capacity * sizeof *set->members +
           vectors_bytes(&set->vectors) + bm25_bytes(set->words);
}

/* ---- adding and removing */

static bool
grow(struct set *set)
{
    uint32_t capacity = set->capacity ? set->capacity * 2 : CAPACITY_MIN;
    if (capacity >= SET_NO_SLOT)
        return false;
    struct member *members = realloc(set->members, capacity * sizeof *members);
    if (!members)
        return false;
    memset(members + set->capacity, 0, (capacity - set->capacity) * sizeof *members);
    set->members = members;
    set->capacity = capacity;
    return true;
}

static enum status
fill(struct set *set, uint32_t slot, struct text content)
{
    struct embedding embedding;
    enum status status = embedding_make(&embedding, content);
    if (status == STATUS_OK)
        status = vectors_set(&set->vectors, slot, &embedding);
    if (status == STATUS_OK)
        status = bm25_add(set->words, slot, content);
    return status;
}

enum status
set_add(struct set *set, const struct uuid *id, const struct record *record, uint32_t *slot)
{
    bool is_reused = set->first_free != SET_NO_SLOT;
    uint32_t place = is_reused ? set->first_free : set->slots;
    if (place >= set->capacity && !grow(set))
        return STATUS_NOMEM;
    enum status status = fill(set, place, record->content);
    if (status != STATUS_OK)
        return status;

    struct member *member = &set->members[place];
    if (is_reused)
        set->first_free = member->next_free;
    else
        set->slots++;
    *member = (struct member){.id = *id,
                              .type = record->type,
                              .is_used = true,
                              .content_bytes = (uint32_t)record->content.size};
    set->count++;
    set->by_type[record->type]++;
    set->content_bytes += record->content.size;
    *slot = place;
    return STATUS_OK;
}

void
set_remove(struct set *set, uint32_t slot)
{
    struct member *member = &set->members[slot];
    ASSERT(slot < set->slots && member->is_used);
    bm25_remove(set->words, slot);
    set->count--;
    set->by_type[member->type]--;
    set->content_bytes -= member->content_bytes;
    *member = (struct member){.next_free = set->first_free};
    set->first_free = slot;
}

/* ---- searching */

struct search {
    float *cosines; /* per slot */
    double *scores;
    struct hit *hits; /* room for both rankings, and behind them for the fused one */
    size_t depth;
};

static void
search_clear(struct search *search)
{
    free(search->cosines);
    free(search->scores);
    free(search->hits);
}

static enum status
search_init(struct search *search, const struct set *set, size_t depth)
{
    *search = (struct search){.depth = depth < set->count ? depth : set->count};
    search->cosines = calloc(set->slots + 1u, sizeof *search->cosines);
    search->scores = calloc(set->slots + 1u, sizeof *search->scores);
    search->hits = calloc(4 * search->depth + 1, sizeof *search->hits);
    if (search->cosines && search->scores && search->hits)
        return STATUS_OK;
    search_clear(search);
    return STATUS_NOMEM;
}

static bool
is_wanted(const struct member *member, const struct memories_query *query, double cosine)
{
    return member->is_used && (query->types == 0 || query->types & 1u << member->type) &&
           (!query->has_min_similarity || cosine >= query->min_similarity);
}

static void
rank(const struct set *set, const struct memories_query *query, const struct search *search,
     uint32_t first, struct ranking *by_meaning, struct ranking *by_words)
{
    for (uint32_t slot = first; slot < set->slots; slot++) {
        const struct member *member = &set->members[slot];
        double cosine = (double)search->cosines[slot];
        if (!is_wanted(member, query, cosine))
            continue;
        if (cosine > 0 || query->has_min_similarity)
            ranking_offer(by_meaning, (struct hit){cosine, slot, &member->id});
        if (search->scores[slot] > 0)
            ranking_offer(by_words, (struct hit){search->scores[slot], slot, &member->id});
    }
    ranking_sort(by_meaning);
    ranking_sort(by_words);
}

static void
write_hits(const struct search *search, const struct hit *ranked, size_t count,
           struct memories_hit *hits)
{
    for (size_t i = 0; i < count; i++)
        hits[i] = (struct memories_hit){*ranked[i].id, (double)search->cosines[ranked[i].slot]};
}

enum status
set_search(const struct set *set, const struct memories_query *query, struct memories_hit *hits,
           size_t *count)
{
    struct search search;
    enum status status = search_init(&search, set, query->limit + CANDIDATES_MORE);
    if (status != STATUS_OK)
        return status;
    vectors_compare(&set->vectors, query->embedding, search.cosines, 0, set->slots);
    status = bm25_score(set->words, query->text, search.scores, set->slots);
    if (status == STATUS_OK) {
        struct ranking by_meaning = {.hits = search.hits, .max = search.depth};
        struct ranking by_words = {.hits = search.hits + search.depth, .max = search.depth};
        struct hit *fused = search.hits + 2 * search.depth;
        rank(set, query, &search, 0, &by_meaning, &by_words);
        size_t found = fuse(&by_meaning, &by_words, fused);
        *count = found < query->limit ? found : query->limit;
        write_hits(&search, fused, *count, hits);
    }
    search_clear(&search);
    return status;
}

enum status
set_alike(const struct set *set, const struct embedding *embedding, double min_similarity,
          struct memories_hit *hits, size_t max, size_t *count)
{
    const struct memories_query query = {.has_min_similarity = true,
                                         .min_similarity = min_similarity};
    struct search search;
    enum status status = search_init(&search, set, max);
    if (status != STATUS_OK)
        return status;
    uint32_t first = set->slots > SET_ALIKE_MAX ? set->slots - SET_ALIKE_MAX : 0;
    vectors_compare(&set->vectors, embedding, search.cosines, first, set->slots);
    struct ranking by_meaning = {.hits = search.hits, .max = search.depth};
    struct ranking by_words = {.hits = search.hits + search.depth, .max = search.depth};
    rank(set, &query, &search, first, &by_meaning, &by_words);
    *count = by_meaning.count;
    write_hits(&search, by_meaning.hits, *count, hits);
    search_clear(&search);
    return STATUS_OK;
}
