/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/answer.h - the shapes of the service's answers. Each appends one
 * packed value; out of memory shows in out->failed. */
#ifndef SOS_MEMORY_ANSWER_H
#define SOS_MEMORY_ANSWER_H

#include "actors/memory/highlight.h"
#include "actors/memory/memories.h"

struct answer_memory {
    const struct uuid *id;
    const struct record *record;
    struct access access;
};

/* embedding NULL: without one. */
void answer_memory(struct buffer *out, const struct answer_memory *memory,
                   const struct embedding *embedding);

/* {memory, similarity, highlights} */
void answer_result(struct buffer *out, const struct answer_memory *memory, double similarity,
                   const struct query_words *words);

/* {id, content, metadata, score} */
void answer_short_result(struct buffer *out, const struct answer_memory *memory, double similarity);

/* agent_id NULL: of all. */
void answer_figures(struct buffer *out, const struct memories_figures *figures,
                    const struct text *agent_id, size_t memories_max, uint64_t store_bytes);

void answer_id(struct buffer *out, const struct uuid *id);

#endif
