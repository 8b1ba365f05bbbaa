/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/model_local.h"

#include "actors/engine/keywords.h"

/* A statement that may answer. */
struct candidate {
    struct local_citation cited;
    unsigned score;
};

/* The message by what its sentences are. */
struct parts {
    struct keywords asked; /* of its questions */
    struct keywords said;  /* of the rest */
    size_t questions;
};

static void
take_apart(struct text message, struct parts *parts)
{
    struct sentence sentence;
    keywords_of(&parts->asked, (struct text){0});
    keywords_of(&parts->said, (struct text){0});
    parts->questions = 0;
    while (sentence_next(&message, &sentence)) {
        keywords_add(sentence.is_question ? &parts->asked : &parts->said, sentence.text);
        parts->questions += sentence.is_question;
    }
}

/* A word that says little counts only beside one that says more, where the question has one. */
static unsigned
score_of(const struct keywords *asked, const struct keywords *stated)
{
    unsigned strong = 0, weak = 0;
    for (size_t i = 0; i < asked->count; i++) {
        if (!keywords_have(stated, asked->stems[i]))
            continue;
        if (asked->weak[i])
            weak++;
        else
            strong++;
    }
    if (strong == 0 && asked->strong_count > 0)
        return 0;
    return 4 * strong + weak;
}

/* Better ones first; the newer one of two that are equally good, then the one recalled first. */
static void
insert(struct candidate *best, size_t *count, const struct candidate *candidate)
{
    for (size_t i = 0; i < *count; i++)
        if (text_equal(best[i].cited.words, candidate->cited.words))
            return;
    size_t place = *count;
    while (place > 0 && (best[place - 1].score < candidate->score ||
                         (best[place - 1].score == candidate->score &&
                          best[place - 1].cited.at_us < candidate->cited.at_us)))
        place--;
    if (place >= LOCAL_CITATIONS_MAX)
        return;
    if (*count < LOCAL_CITATIONS_MAX)
        ++*count;
    for (size_t i = *count - 1; i > place; i--)
        best[i] = best[i - 1];
    best[place] = *candidate;
}

/* A short note is one statement; of a long one the sentence that fits best is cited. */
static void
weigh(const struct keywords *asked, const struct local_note *note, bool anything,
      struct candidate *best, size_t *count)
{
    struct keywords stated;
    struct text rest = note->words;
    struct sentence sentence;
    struct candidate found = {{{0}, note->memory_id, note->at_us}, 0};
    size_t statements = 0, sentences = 0;
    keywords_of(&stated, (struct text){0});
    while (sentence_next(&rest, &sentence)) {
        sentences++;
        if (sentence.is_question)
            continue;
        statements++;
        keywords_add(&stated, sentence.text);
        struct keywords own;
        keywords_of(&own, sentence.text);
        unsigned score = anything ? 1 : score_of(asked, &own);
        if (score > found.score && own.count > 0) {
            found.score = score;
            found.cited.words = text_cut(sentence.text, LOCAL_CITATION_SIZE_MAX);
        }
    }
    bool whole =
        statements > 1 && statements == sentences && note->words.size <= LOCAL_CITATION_SIZE_MAX;
    unsigned score = anything ? found.score : score_of(asked, &stated);
    if (whole && score >= found.score && score > 0) {
        found.score = score;
        found.cited.words = note->words;
    }
    if (found.score > 0)
        insert(best, count, &found);
}

static void
append_citation(struct buffer *content, const struct local_citation *citation)
{
    buffer_append_string(content, "\"");
    buffer_append_text(content, citation->words);
    buffer_append_string(content, "\" [");
    if (text_is_empty(citation->memory_id)) {
        buffer_append_string(content, "this conversation]");
        return;
    }
    buffer_append_string(content, "memory ");
    buffer_append_text(content, citation->memory_id);
    buffer_append_string(content, "]");
}

static void
acknowledge(const struct local_question *question, const struct parts *parts,
            struct buffer *content)
{
    if (parts->said.count == 0) {
        buffer_append_string(content,
                             "Hello. Tell me something to remember, or ask me about what you "
                             "have told me.");
        return;
    }
    struct text words = text_cut(question->message, LOCAL_CITATION_SIZE_MAX);
    buffer_append_string(content, question->remembers ? "I will remember that: \""
                                                      : "I keep that for this conversation: \"");
    buffer_append_text(content, words);
    buffer_append_string(content, words.size < question->message.size ? "…\"" : "\"");
}

size_t
model_local_answer(const struct local_question *question, struct buffer *content,
                   struct local_citation citations[static LOCAL_CITATIONS_MAX])
{
    struct parts parts;
    take_apart(question->message, &parts);
    if (parts.questions == 0) {
        acknowledge(question, &parts, content);
        return 0;
    }

    bool anything = parts.asked.count == 0 && keywords_ask_for_anything(question->message);
    struct candidate best[LOCAL_CITATIONS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < question->note_count; i++)
        weigh(&parts.asked, &question->notes[i], anything, best, &count);
    while (count > 1 && best[count - 1].score < best[0].score)
        count--;

    if (count == 0) {
        buffer_append_string(content, "I know nothing about that yet. Tell me, and ask again.");
        return 0;
    }
    buffer_append_string(content, count == 1 ? "You told me: " : "You told me:");
    for (size_t i = 0; i < count; i++) {
        if (count > 1)
            buffer_append_string(content, "\n- ");
        append_citation(content, &best[i].cited);
        citations[i] = best[i].cited;
    }
    return count;
}
