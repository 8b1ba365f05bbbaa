/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/keywords.h"

#include <stdlib.h>

enum { WORD_SIZE_MAX = 64 };

struct word {
    char data[WORD_SIZE_MAX];
    size_t size;
};

/* Sorted, for bsearch. Letters behind an apostrophe (what's, I'm, we'll) stand here too. */
static const char *const empty_words[] = {
    "a",        "about",    "again",  "all",    "also",  "am",    "an",     "and",    "any",
    "anything", "are",      "as",     "at",     "be",    "been",  "but",    "by",     "can",
    "could",    "d",        "did",    "do",     "does",  "for",   "from",   "had",    "has",
    "have",     "he",       "hello",  "her",    "hers",  "hey",   "hi",     "him",    "his",
    "how",      "i",        "if",     "in",     "is",    "it",    "its",    "know",   "ll",
    "m",        "many",     "may",    "me",     "might", "mine",  "much",   "must",   "my",
    "no",       "not",      "of",     "on",     "or",    "our",   "ours",   "please", "re",
    "recall",   "remember", "remind", "s",      "shall", "she",   "should", "so",     "some",
    "t",        "tell",     "thank",  "thanks", "that",  "the",   "their",  "them",   "there",
    "these",    "they",     "thing",  "things", "this",  "those", "to",     "told",   "us",
    "ve",       "was",      "we",     "were",   "what",  "when",  "where",  "which",  "who",
    "whom",     "whose",    "why",    "will",   "with",  "would", "you",    "your",   "yours"};

static const char *const weak_words[] = {"call", "called", "calls", "get",  "got",
                                         "make", "name",   "named", "names"};

static const char *const question_words[] = {"how", "what", "when",  "where", "which",
                                             "who", "whom", "whose", "why"};
static const char *const auxiliaries[] = {
    "am", "are", "can",   "could", "did",   "do",     "does", "had",  "has",  "have",
    "is", "may", "might", "must",  "shall", "should", "was",  "were", "will", "would"};
static const char *const subjects[] = {"a",     "an",   "any",  "he",   "i",   "it",
                                       "my",    "our",  "she",  "that", "the", "their",
                                       "there", "they", "this", "we",   "you", "your"};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static int
compare_word(const void *key, const void *entry)
{
    return strcmp(key, *(const char *const *)entry);
}

static bool
is_among(const struct word *word, const char *const *table, size_t count)
{
    return bsearch(word->data, table, count, sizeof *table, compare_word) != NULL;
}

/* Bytes of one character, and whether it is part of a word. Beyond ASCII: the punctuation blocks
 * are not. */
static size_t
look(struct text text, bool *letter)
{
    const uint8_t *at = (const uint8_t *)text.data;
    uint8_t first = at[0];
    if (first < 0x80) {
        *letter = (first >= '0' && first <= '9') || (first >= 'a' && first <= 'z') ||
                  (first >= 'A' && first <= 'Z');
        return 1;
    }
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (size > text.size)
        size = text.size;
    uint8_t second = size > 1 ? at[1] : 0, third = size > 2 ? at[2] : 0;
    bool general = first == 0xe2 && (second == 0x80 || second == 0x81);
    bool ideographic = first == 0xe3 && second == 0x80;
    bool fullwidth =
        first == 0xef && second == 0xbc && (third < 0x90 || third > 0x99) && third < 0xa1;
    bool arabic = first == 0xd8 && (second == 0x8c || second == 0x9b || second == 0x9f);
    bool latin = first == 0xc2;
    *letter = !(general || ideographic || fullwidth || arabic || latin);
    return size;
}

static void
append_lower(struct word *word, struct text character)
{
    if (word->size + character.size >= WORD_SIZE_MAX)
        return;
    char *to = word->data + word->size;
    memcpy(to, character.data, character.size);
    if (character.size == 1 && *to >= 'A' && *to <= 'Z')
        *to = (char)(*to + ('a' - 'A'));
    uint8_t second = character.size == 2 ? (uint8_t)to[1] : 0;
    if (second >= 0x80 && second <= 0x9e && second != 0x97 && (uint8_t)to[0] == 0xc3)
        to[1] = (char)(second + 0x20); /* À to Þ */
    word->size += character.size;
}

static bool
next_word(struct text *rest, struct word *word)
{
    word->size = 0;
    while (rest->size > 0) {
        bool letter;
        size_t size = look(*rest, &letter);
        if (letter)
            append_lower(word, (struct text){rest->data, size});
        else if (word->size > 0)
            break;
        rest->data += size;
        rest->size -= size;
    }
    word->data[word->size] = '\0';
    return word->size > 0;
}

static bool
ends_with(const struct word *word, const char *end, size_t rest_min)
{
    size_t size = strlen(end);
    return word->size >= size + rest_min && memcmp(word->data + word->size - size, end, size) == 0;
}

static void
undouble(struct word *word)
{
    char last = word->size > 1 ? word->data[word->size - 1] : '\0';
    if (last && last == word->data[word->size - 2] && !strchr("lsze", last))
        word->size--;
}

static void
stem(struct word *word)
{
    if (ends_with(word, "ies", 2)) {
        word->size -= 2;
        word->data[word->size - 1] = 'y';
    } else if (ends_with(word, "sses", 1)) {
        word->size -= 2;
    } else if (ends_with(word, "s", 3) && !ends_with(word, "ss", 0) && !ends_with(word, "us", 0) &&
               !ends_with(word, "is", 0)) {
        word->size--;
    }
    if (ends_with(word, "ing", 3)) {
        word->size -= 3;
        undouble(word);
    } else if (ends_with(word, "ed", 3)) {
        word->size -= 2;
        undouble(word);
    }
    if (ends_with(word, "e", 3))
        word->size--;
}

static uint64_t
hash_word(const struct word *word)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
    for (size_t i = 0; i < word->size; i++)
        hash = (hash ^ (uint8_t)word->data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

bool
keywords_have(const struct keywords *words, uint64_t hash)
{
    for (size_t i = 0; i < words->count; i++)
        if (words->stems[i] == hash)
            return true;
    return false;
}

void
keywords_add(struct keywords *words, struct text text)
{
    struct word word;
    while (words->count < WORDS_MAX && next_word(&text, &word)) {
        if (is_among(&word, empty_words, COUNT(empty_words)))
            continue;
        bool weak = is_among(&word, weak_words, COUNT(weak_words));
        stem(&word);
        uint64_t hash = hash_word(&word);
        if (keywords_have(words, hash))
            continue;
        words->weak[words->count] = weak;
        words->stems[words->count++] = hash;
        words->strong_count += !weak;
    }
}

void
keywords_of(struct keywords *words, struct text text)
{
    words->count = 0;
    words->strong_count = 0;
    keywords_add(words, text);
}

bool
keywords_ask_for_anything(struct text text)
{
    static const char *const asking_words[] = {"know",   "recall", "remember",
                                               "remind", "said",   "told"};
    struct word word;
    while (next_word(&text, &word))
        if (is_among(&word, asking_words, COUNT(asking_words)))
            return true;
    return false;
}

/* ---- sentences */

enum mark { MARK_NONE, MARK_END, MARK_QUESTION };

/* Does a sentence end at this character? */
static enum mark
mark_at(struct text text, size_t *size)
{
    bool letter;
    *size = look(text, &letter);
    if (*size == 1) {
        bool last = text.size == 1 || strchr(" \t\r\n\"')", text.data[1]) != NULL;
        switch (text.data[0]) {
        case '?':
            return MARK_QUESTION;
        case '!':
        case '\n':
            return MARK_END;
        case '.': /* not in 3.14 or sos.json */
            return last ? MARK_END : MARK_NONE;
        default:
            return MARK_NONE;
        }
    }
    if (text_starts_with(text, "\xd8\x9f") || text_starts_with(text, "\xef\xbc\x9f"))
        return MARK_QUESTION;
    return text_starts_with(text, "\xe3\x80\x82") || text_starts_with(text, "\xef\xbc\x81")
               ? MARK_END
               : MARK_NONE;
}

static bool
begins_as_question(struct text text)
{
    struct word words[4];
    size_t count = 0;
    while (count < COUNT(words) && next_word(&text, &words[count]))
        count++;
    if (count == 0)
        return false;
    bool tells = strcmp(words[0].data, "tell") == 0 || strcmp(words[0].data, "remind") == 0;
    if (tells)
        return count > 2 && strcmp(words[1].data, "me") == 0;
    if (is_among(&words[0], auxiliaries, COUNT(auxiliaries)))
        return count > 1 && is_among(&words[1], subjects, COUNT(subjects));
    if (!is_among(&words[0], question_words, COUNT(question_words)))
        return false;
    /* "How old is my cat", but not "When I was young, I lived in Rome". */
    bool measured = strcmp(words[0].data, "how") == 0 || strcmp(words[0].data, "what") == 0 ||
                    strcmp(words[0].data, "which") == 0 || strcmp(words[0].data, "whose") == 0;
    for (size_t i = 1; i < count && (i == 1 || measured); i++)
        if (is_among(&words[i], auxiliaries, COUNT(auxiliaries)) || strcmp(words[i].data, "s") == 0)
            return true;
    return false;
}

static struct text
trim(struct text text)
{
    while (text.size > 0 && strchr(" \t\r\n", text.data[0]) && text.data[0]) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && text.data[text.size - 1] && strchr(" \t\r\n", text.data[text.size - 1]))
        text.size--;
    return text;
}

bool
sentence_next(struct text *rest, struct sentence *sentence)
{
    while (rest->size > 0) {
        struct text whole = {rest->data, 0};
        enum mark mark = MARK_NONE;
        while (rest->size > 0 && mark == MARK_NONE) {
            size_t size;
            mark = mark_at(*rest, &size);
            rest->data += size;
            rest->size -= size;
            whole.size += size;
        }
        /* "Really?!" is one sentence. */
        while (rest->size > 0 &&
               (rest->data[0] == '?' || rest->data[0] == '!' || rest->data[0] == '.')) {
            if (rest->data[0] == '?')
                mark = MARK_QUESTION;
            rest->data++;
            rest->size--;
            whole.size++;
        }
        sentence->text = trim(whole);
        if (sentence->text.size == 0)
            continue;
        bool stated = mark == MARK_END && sentence->text.data[sentence->text.size - 1] == '.';
        sentence->is_question =
            mark == MARK_QUESTION || (!stated && begins_as_question(sentence->text));
        return true;
    }
    return false;
}

struct text
text_cut(struct text text, size_t size_max)
{
    if (text.size <= size_max)
        return text;
    while (size_max > 0 && ((uint8_t)text.data[size_max] & 0xc0) == 0x80)
        size_max--;
    return (struct text){text.data, size_max};
}
