/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/keywords.h - a text as sentences and as a set of content words.
 *
 * For the built-in model: words are lower-cased and lightly stemmed for English, so that "called"
 * meets "calls"; other languages meet on whole words. Any bytes are safe. */
#ifndef SOS_ENGINE_KEYWORDS_H
#define SOS_ENGINE_KEYWORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/bytes.h"

enum { WORDS_MAX = 256 /* of one text; what follows is not looked at */ };

/* Words that say nothing alone (the, what, is) are left out; those that say little (called, name)
 * are weak. */
struct keywords {
    uint64_t stems[WORDS_MAX]; /* hashes, each once */
    bool weak[WORDS_MAX];
    size_t count;
    size_t strong_count;
};

void keywords_of(struct keywords *words, struct text text);
/* Adds the words of another text. */
void keywords_add(struct keywords *words, struct text text);
bool keywords_have(const struct keywords *words, uint64_t stem);

/* "What do you know about me?", "Do you remember?" */
bool keywords_ask_for_anything(struct text text);

/* The next sentence of *rest, without blanks around it; false when there is none. */
struct sentence {
    struct text text;
    bool is_question; /* by its mark, or by how it begins */
};
bool sentence_next(struct text *rest, struct sentence *sentence);

/* At most size_max bytes of it, cut between characters. */
struct text text_cut(struct text text, size_t size_max);

#endif
