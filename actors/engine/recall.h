/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/recall.h - what the memory service gave for a message, and what it is given to keep
 * of an exchange.
 *
 * An episode carries the user's own words and what the answer rested on beside its text: so a
 * question asked often does not bury the statement that answers it. */
#ifndef SOS_ENGINE_RECALL_H
#define SOS_ENGINE_RECALL_H

#include <stdbool.h>

#include "actors/engine/model_local.h"
#include "kernel/error.h"
#include "kernel/pack.h"
#include "kernel/status.h"

enum {
    RECALL_LIMIT = 8, /* memories asked for */
    RECALL_MAX = RECALL_LIMIT * (1 + LOCAL_CITATIONS_MAX),
    RECALL_CONTENT_MAX = 4096, /* bytes used of one memory */
    RECALL_QUERY_MAX = 8192    /* as the memory contract */
};

struct recalled {
    struct text id;
    struct text words;   /* the user's own; of a memory that is no episode of a chat: its content */
    struct text content; /* all of it */
    uint64_t at_us;      /* 0 when it is not told */
    bool is_cited;       /* not recalled itself: a recalled answer rested on it */
};

/* Best first. Items are views into payload. */
struct recall {
    struct buffer payload;
    struct recalled items[RECALL_MAX];
    size_t count;
};

void recall_clear(struct recall *recall);

/* The request to memory.search. */
void recall_pack_query(struct buffer *out, struct text agent, struct text message);

/* The answer, copied. RETRIEVAL_FAILED when it is none; entries of another form are left out. */
enum status recall_read(struct recall *recall, struct bytes answer, struct error *error);

/* One exchange. */
struct exchange {
    struct text agent;
    struct text conversation;
    struct text question;
    struct text answer;
    const struct local_citation *citations;
    size_t citation_count;
};

/* The request to memory.store. */
void recall_pack_episode(struct buffer *out, const struct exchange *exchange);

/* citations as a list of {id, text, at}. */
void recall_pack_citations(struct buffer *out, const struct local_citation *citations,
                           size_t count);

#endif
