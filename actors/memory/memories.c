/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/memories.h"

#include <stdlib.h>

#include "actors/memory/set.h"

enum { CAPACITY_MIN = 16 };

/* Where a memory is. Ids are time-ordered, so that a new one goes to the end of the sorted array.
 */
struct place {
    struct uuid id;
    struct set *set;
    uint32_t slot;
};

struct memories {
    struct memories_limits limits;
    struct bm25_key key;
    struct set **sets; /* sorted by agent id */
    size_t set_count, set_capacity;
    struct place *places; /* sorted by id */
    size_t place_count, place_capacity;
    size_t bytes; /* of all sets */
};

enum status
memories_new(struct memories **memories_p, const struct memories_limits *limits,
             const struct bm25_key *key)
{
    struct memories *memories = calloc(1, sizeof *memories);
    if (!memories)
        return STATUS_NOMEM;
    memories->limits = *limits;
    memories->key = *key;
    *memories_p = memories;
    return STATUS_OK;
}

void
memories_destroy(struct memories **memories_p)
{
    struct memories *memories = *memories_p;
    if (!memories)
        return;
    for (size_t i = 0; i < memories->set_count; i++)
        set_destroy(&memories->sets[i]);
    free(memories->sets);
    free(memories->places);
    free(memories);
    *memories_p = NULL;
}

const struct memories_limits *
memories_limits(const struct memories *memories)
{
    return &memories->limits;
}

void
memories_set_limits(struct memories *memories, const struct memories_limits *limits)
{
    memories->limits = *limits;
}

/* ---- sorted arrays */

static int
compare_texts(struct text a, struct text b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size > 0 ? memcmp(a.data, b.data, size) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* The first set that does not come before this agent's. */
static size_t
set_index(const struct memories *memories, struct text agent_id)
{
    size_t low = 0, high = memories->set_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_texts(memories->sets[middle]->agent_id, agent_id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct set *
find_set(const struct memories *memories, struct text agent_id)
{
    size_t index = set_index(memories, agent_id);
    if (index < memories->set_count && text_equal(memories->sets[index]->agent_id, agent_id))
        return memories->sets[index];
    return NULL;
}

static size_t
place_index(const struct memories *memories, const struct uuid *id)
{
    size_t count = memories->place_count;
    if (count > 0 && uuid_compare(&memories->places[count - 1].id, id) < 0)
        return count;
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (uuid_compare(&memories->places[middle].id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct place *
find_place(const struct memories *memories, const struct uuid *id)
{
    size_t index = place_index(memories, id);
    if (index < memories->place_count && uuid_equal(&memories->places[index].id, id))
        return &memories->places[index];
    return NULL;
}

/* Room for one more element; NULL when out of memory, the array is then as before. */
static void *
make_room(void *array, size_t count, size_t *capacity, size_t element)
{
    if (count < *capacity)
        return array;
    size_t larger = *capacity ? *capacity * 2 : CAPACITY_MIN;
    void *moved = realloc(array, larger * element);
    if (moved)
        *capacity = larger;
    return moved;
}

static struct set *
find_or_make_set(struct memories *memories, struct text agent_id)
{
    struct set *set = find_set(memories, agent_id);
    if (set)
        return set;
    struct set **sets = make_room(memories->sets, memories->set_count, &memories->set_capacity,
                                  sizeof *memories->sets);
    if (!sets)
        return NULL;
    memories->sets = sets;
    set = set_new(agent_id, &memories->key);
    if (!set)
        return NULL;
    size_t index = set_index(memories, agent_id);
    memmove(sets + index + 1, sets + index, (memories->set_count - index) * sizeof *sets);
    sets[index] = set;
    memories->set_count++;
    memories->bytes += set_bytes(set);
    return set;
}

/* An agent without memories takes no memory. */
static void
drop_empty_set(struct memories *memories, struct set *set)
{
    if (set->count > 0)
        return;
    size_t index = set_index(memories, set->agent_id);
    memories->bytes -= set_bytes(set);
    set_destroy(&set);
    memories->set_count--;
    memmove(memories->sets + index, memories->sets + index + 1,
            (memories->set_count - index) * sizeof *memories->sets);
}

/* ---- adding and removing */

static enum status
add_to_set(struct memories *memories, struct set *set, const struct uuid *id,
           const struct record *record, uint32_t *slot)
{
    size_t before = set_bytes(set);
    enum status status = set_add(set, id, record, slot);
    memories->bytes += set_bytes(set) - before;
    return status;
}

enum status
memories_put(struct memories *memories, const struct uuid *id, const struct record *record)
{
    memories_remove(memories, id);
    struct place *places = make_room(memories->places, memories->place_count,
                                     &memories->place_capacity, sizeof *memories->places);
    if (!places)
        return STATUS_NOMEM;
    memories->places = places;
    struct set *set = find_or_make_set(memories, record->agent_id);
    if (!set)
        return STATUS_NOMEM;
    uint32_t slot;
    enum status status = add_to_set(memories, set, id, record, &slot);
    if (status != STATUS_OK) {
        drop_empty_set(memories, set);
        return status;
    }
    size_t index = place_index(memories, id);
    memmove(places + index + 1, places + index, (memories->place_count - index) * sizeof *places);
    places[index] = (struct place){*id, set, slot};
    memories->place_count++;
    return STATUS_OK;
}

void
memories_remove(struct memories *memories, const struct uuid *id)
{
    struct place *place = find_place(memories, id);
    if (!place)
        return;
    struct set *set = place->set;
    size_t before = set_bytes(set);
    set_remove(set, place->slot);
    memories->bytes -= before - set_bytes(set);
    drop_empty_set(memories, set);
    memories->place_count--;
    memmove(place, place + 1,
            (memories->place_count - (size_t)(place - memories->places)) * sizeof *place);
}

bool
memories_has(const struct memories *memories, const struct uuid *id)
{
    return find_place(memories, id) != NULL;
}

static size_t
bytes_of(const struct memories *memories)
{
    return memories->bytes + memories->place_capacity * sizeof *memories->places +
           memories->set_capacity * sizeof *memories->sets;
}

enum status
memories_check_room(const struct memories *memories, struct error *error)
{
    const struct memories_limits *limits = &memories->limits;
    if (limits->memories_max == 0) {
        error_set_word(error, "memory_disabled", "this edition keeps no memories");
        return STATUS_FORBIDDEN;
    }
    if (memories->place_count >= limits->memories_max) {
        error_set(error, "%zu memories are kept, as many as this edition allows",
                  limits->memories_max);
        return STATUS_MEMORY_FULL;
    }
    if (bytes_of(memories) >= limits->bytes_max) {
        error_set(error, "the index of the memories takes %zu MiB, as much as it may",
                  limits->bytes_max >> 20);
        return STATUS_MEMORY_FULL;
    }
    return STATUS_OK;
}

/* ---- searching */

enum status
memories_search(const struct memories *memories, const struct memories_query *query,
                struct memories_hit *hits, size_t *count)
{
    const struct set *set = find_set(memories, query->agent_id);
    if (set)
        return set_search(set, query, hits, count);
    *count = 0;
    return STATUS_OK;
}

enum status
memories_alike(const struct memories *memories, struct text agent_id,
               const struct embedding *embedding, double min_similarity, struct memories_hit *hits,
               size_t max, size_t *count)
{
    const struct set *set = find_set(memories, agent_id);
    if (set)
        return set_alike(set, embedding, min_similarity, hits, max, count);
    *count = 0;
    return STATUS_OK;
}

/* ---- figures */

static void
add_figures(const struct set *set, struct memories_figures *figures)
{
    figures->agents++;
    figures->memories += set->count;
    for (size_t i = 0; i < MEMORY_TYPES; i++)
        figures->by_type[i] += set->by_type[i];
    figures->content_bytes += set->content_bytes;
    figures->documents += bm25_documents(set->words);
    figures->terms += bm25_terms(set->words);
    figures->index_bytes += set_bytes(set);
}

void
memories_figures(const struct memories *memories, const struct text *agent_id,
                 struct memories_figures *figures)
{
    *figures = (struct memories_figures){0};
    if (agent_id) {
        const struct set *set = find_set(memories, *agent_id);
        if (set)
            add_figures(set, figures);
        return;
    }
    for (size_t i = 0; i < memories->set_count; i++)
        add_figures(memories->sets[i], figures);
    figures->index_bytes = bytes_of(memories);
}
