/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/highlight.h"

#include "actors/memory/words.h"

static uint64_t
stem_of(const struct word *word)
{
    return points_hash(word->stem, word->stem_count, 0);
}

static void
collect(struct query_words *words, struct text query, bool with_common)
{
    struct words all = words_of(query);
    struct word word;
    while (words->count < QUERY_WORDS_MAX && words_next(&all, &word))
        if (with_common || !word.is_common)
            words->stems[words->count++] = stem_of(&word);
}

void
query_words_init(struct query_words *words, struct text query)
{
    words->count = 0;
    collect(words, query, false);
    if (words->count == 0)
        collect(words, query, true);
}

static bool
holds(const struct query_words *words, uint64_t stem, uint64_t *found)
{
    for (size_t i = 0; i < words->count; i++)
        if (words->stems[i] == stem) {
            *found |= UINT64_C(1) << i;
            return true;
        }
    return false;
}

/* ---- sentences */

static bool
is_stop(char c)
{
    return c == '.' || c == '!' || c == '?' || c == '\n';
}

/* Up to and with the stop that a space or the end follows ("3.5" is none). */
static struct text
next_sentence(struct text content, size_t *at)
{
    size_t begin = *at;
    size_t end = begin;
    while (end < content.size) {
        char c = content.data[end++];
        if (c == '\n' || (is_stop(c) && (end == content.size || content.data[end] == ' ' ||
                                         content.data[end] == '\n')))
            break;
    }
    *at = end;
    while (begin < end && (content.data[begin] == ' ' || content.data[begin] == '\n'))
        begin++;
    while (end > begin && (content.data[end - 1] == ' ' || content.data[end - 1] == '\n'))
        end--;
    return (struct text){content.data + begin, end - begin};
}

static bool
is_inside_character(struct text text, size_t at)
{
    return at < text.size && ((uint8_t)text.data[at] & 0xc0) == 0x80;
}

/* A long sentence is cut to the part around the word at `from`. */
static struct text
cut(struct text sentence, size_t from)
{
    if (sentence.size <= HIGHLIGHT_SIZE_MAX)
        return sentence;
    size_t begin = from > HIGHLIGHT_SIZE_MAX / 4 ? from - HIGHLIGHT_SIZE_MAX / 4 : 0;
    if (begin + HIGHLIGHT_SIZE_MAX > sentence.size)
        begin = sentence.size - HIGHLIGHT_SIZE_MAX;
    size_t end = begin + HIGHLIGHT_SIZE_MAX;
    while (is_inside_character(sentence, begin))
        begin++;
    while (is_inside_character(sentence, end))
        end--;
    return (struct text){sentence.data + begin, end - begin};
}

/* How many different words of the query it holds; *from: where the first one stands. */
static int
count_words(const struct query_words *words, struct text sentence, size_t *from)
{
    struct words all = words_of(sentence);
    struct word word;
    uint64_t found = 0;
    bool is_first = true;
    while (words_next(&all, &word))
        if (holds(words, stem_of(&word), &found) && is_first) {
            *from = word.begin;
            is_first = false;
        }
    return __builtin_popcountll(found);
}

size_t
highlight(const struct query_words *words, struct text content,
          struct text pieces[static HIGHLIGHTS_MAX])
{
    int counts[HIGHLIGHTS_MAX] = {0};
    size_t used = 0;
    for (size_t at = 0; at < content.size;) {
        struct text sentence = next_sentence(content, &at);
        size_t from = 0;
        int count = count_words(words, sentence, &from);
        size_t rank = used;
        while (rank > 0 && counts[rank - 1] < count)
            rank--;
        if (count == 0 || rank == HIGHLIGHTS_MAX)
            continue;
        if (used < HIGHLIGHTS_MAX)
            used++;
        for (size_t i = used - 1; i > rank; i--) {
            counts[i] = counts[i - 1];
            pieces[i] = pieces[i - 1];
        }
        counts[rank] = count;
        pieces[rank] = cut(sentence, from);
    }
    return used;
}
