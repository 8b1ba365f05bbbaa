/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/memories.h - the memory service's state: the fold of its rows.
 *
 * Each agent has a set of its own, with its own vectors and word index: a search names the one set
 * it looks into, so it cannot touch another agent's. Contents are not kept here but read from the
 * store.
 *
 * Answers depend on the rows alone, not on the order in which they came. */
#ifndef SOS_MEMORY_MEMORIES_H
#define SOS_MEMORY_MEMORIES_H

#include "actors/memory/bm25.h"
#include "actors/memory/embedding.h"
#include "actors/memory/record.h"

/* When they are reached, check_room refuses. The requests of one batch do not see each other, so a
 * batch may pass them by its own size. */
struct memories_limits {
    size_t memories_max; /* 0: nothing is kept */
    size_t bytes_max;    /* of memory for sets and indexes, an estimate */
};

struct memories;

enum status memories_new(struct memories **memories_p, const struct memories_limits *limits,
                         const struct bm25_key *key);
void memories_destroy(struct memories **memories_p);

/* Adds, or replaces the one with this id. NOMEM. */
enum status memories_put(struct memories *memories, const struct uuid *id,
                         const struct record *record);
void memories_remove(struct memories *memories, const struct uuid *id); /* unknown: nothing */
bool memories_has(const struct memories *memories, const struct uuid *id);

/* FORBIDDEN (word "memory_disabled"), or MEMORY_FULL naming the limit. */
enum status memories_check_room(const struct memories *memories, struct error *error);

struct memories_query {
    struct text agent_id;
    struct text text;
    const struct embedding *embedding; /* of text */
    size_t limit;
    bool has_min_similarity;
    double min_similarity; /* without one: whatever is alike at all, or shares a word */
    unsigned types;        /* bits 1 << enum memory_type; 0: all */
};

struct memories_hit {
    struct uuid id;
    double similarity; /* cosine */
};

/* By meaning and by words, best first. hits: room for limit. NOMEM. */
enum status memories_search(const struct memories *memories, const struct memories_query *query,
                            struct memories_hit *hits, size_t *count);

/* By meaning alone, among the agent's newest memories (about 2,000): at most max that are at least
 * this similar (> 0), best first. NOMEM. */
enum status memories_alike(const struct memories *memories, struct text agent_id,
                           const struct embedding *embedding, double min_similarity,
                           struct memories_hit *hits, size_t max, size_t *count);

struct memories_figures {
    size_t agents, memories;
    size_t by_type[MEMORY_TYPES];
    uint64_t content_bytes;
    size_t documents; /* in the word indexes; as many as memories */
    size_t terms;
    size_t index_bytes; /* memory that the sets and indexes take */
};

/* agent_id NULL: of all. */
void memories_figures(const struct memories *memories, const struct text *agent_id,
                      struct memories_figures *figures);
const struct memories_limits *memories_limits(const struct memories *memories);
/* Deletes nothing: where more is kept than allowed nothing is added. */
void memories_set_limits(struct memories *memories, const struct memories_limits *limits);

#endif
