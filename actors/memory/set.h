/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/set.h - the memories of one agent: who is in which slot, vectors, word index.
 *
 * Of use to memories.c alone. */
#ifndef SOS_MEMORY_SET_H
#define SOS_MEMORY_SET_H

#include "actors/memory/fuse.h"
#include "actors/memory/memories.h"
#include "actors/memory/vectors.h"

struct member {
    struct uuid id;
    enum memory_type type;
    bool is_used;
    uint32_t content_bytes;
    uint32_t next_free; /* when not used */
};

struct set {
    struct text agent_id; /* owned */
    struct member *members;
    uint32_t capacity;
    uint32_t slots;      /* slots that were ever used: those above are free */
    uint32_t first_free; /* SET_NO_SLOT: none below slots */
    size_t count;
    size_t by_type[MEMORY_TYPES];
    uint64_t content_bytes;
    struct vectors vectors;
    struct bm25 *words;
};

enum {
    SET_NO_SLOT = UINT32_MAX >> 1,
    SET_ALIKE_MAX = 2048 /* slots that set_alike() looks at */
};

struct set *set_new(struct text agent_id, const struct bm25_key *key); /* NULL: out of memory */
void set_destroy(struct set **set_p);

/* NOMEM: as before. */
enum status set_add(struct set *set, const struct uuid *id, const struct record *record,
                    uint32_t *slot);
void set_remove(struct set *set, uint32_t slot);
size_t set_bytes(const struct set *set);

enum status set_search(const struct set *set, const struct memories_query *query,
                       struct memories_hit *hits, size_t *count);
/* Looks at the last SET_ALIKE_MAX slots, where the newest memories stand: it is part of every
 * write, whose cost must not grow with all that was ever written. min_similarity > 0. */
enum status set_alike(const struct set *set, const struct embedding *embedding,
                      double min_similarity, struct memories_hit *hits, size_t max, size_t *count);

#endif
