/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/highlight.h - the short pieces of a text that hold words of a query. */
#ifndef SOS_MEMORY_HIGHLIGHT_H
#define SOS_MEMORY_HIGHLIGHT_H

#include "kernel/bytes.h"

enum {
    HIGHLIGHTS_MAX = 3,
    HIGHLIGHT_SIZE_MAX = 160, /* bytes, cut between characters */
    QUERY_WORDS_MAX = 64
};

/* The stems of a query, without its common words unless it has no others. */
struct query_words {
    uint64_t stems[QUERY_WORDS_MAX];
    size_t count;
};

void query_words_init(struct query_words *words, struct text query);

/* Sentences, cut around the first word found when they are long; those with most words of the
 * query first. Views into content. */
size_t highlight(const struct query_words *words, struct text content,
                 struct text pieces[static HIGHLIGHTS_MAX]);

#endif
