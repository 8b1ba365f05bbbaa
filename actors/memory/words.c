/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/words.h"

#include <stdlib.h>

/* ---- characters */

/* Decodes one character; anything that is not UTF-8 is one byte of nothing (0). */
static uint32_t
decode(struct text text, size_t at, size_t *size)
{
    const uint8_t *bytes = (const uint8_t *)text.data + at;
    size_t left = text.size - at;
    uint8_t first = bytes[0];
    *size = 1;
    if (first < 0x80)
        return first;
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
    if (length == 0 || first > 0xf4 || length > left)
        return 0;
    uint32_t point = first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (bytes[i] & 0x3fu);
    }
    *size = length;
    return point;
}

struct range {
    uint32_t first, last;
};

static bool
is_in(uint32_t point, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (point >= ranges[i].first && point <= ranges[i].last)
            return true;
    return false;
}

/* Beyond ASCII everything is a letter but punctuation, spaces and controls. */
static bool
is_letter(uint32_t point)
{
    static const struct range others[] = {
        {0x80, 0xa9},     {0xab, 0xb4},     {0xb6, 0xb9},     {0xbb, 0xbf},     {0xd7, 0xd7},
        {0xf7, 0xf7},     {0x37e, 0x37e},   {0x387, 0x387},   {0x55a, 0x55f},   {0x589, 0x58a},
        {0x5be, 0x5be},   {0x5c0, 0x5c0},   {0x5c3, 0x5c3},   {0x5f3, 0x5f4},   {0x60c, 0x60d},
        {0x61b, 0x61f},   {0x66a, 0x66d},   {0x6d4, 0x6d4},   {0x964, 0x965},   {0x2000, 0x206f},
        {0x20a0, 0x20cf}, {0x2190, 0x2bff}, {0x3000, 0x3004}, {0x3008, 0x3020}, {0xfe10, 0xfe6f},
        {0xfeff, 0xfeff}, {0xff01, 0xff0f}, {0xff1a, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xff65},
        {0xfff0, 0xffff},
    };
    if (point < 0x80)
        return (point >= 'a' && point <= 'z') || (point >= 'A' && point <= 'Z') ||
               (point >= '0' && point <= '9');
    return !is_in(point, others, sizeof others / sizeof others[0]);
}

/* Han, kana, Thai, Lao, Khmer, Burmese, and pictographs: no spaces between words. */
static bool
stands_alone(uint32_t point)
{
    static const struct range scripts[] = {
        {0xe00, 0xeff},     {0x1000, 0x109f},   {0x1780, 0x17ff}, {0x3005, 0x30ff},
        {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfaff}, {0xff66, 0xff9f},
        {0x1f000, 0x1faff}, {0x20000, 0x3ffff},
    };
    return point >= 0xe00 && is_in(point, scripts, sizeof scripts / sizeof scripts[0]);
}

/* Marks that do not tell words apart: soft hyphen, Arabic vowel signs and tatweel, joiners. */
static bool
is_ignored(uint32_t point)
{
    static const struct range marks[] = {
        {0xad, 0xad},   {0x610, 0x61a},   {0x640, 0x640},
        {0x64b, 0x65f}, {0x200c, 0x200f}, {0xfe00, 0xfe0f},
    };
    return point >= 0xad && is_in(point, marks, sizeof marks / sizeof marks[0]);
}

static bool
is_apostrophe(uint32_t point)
{
    return point == '\'' || point == 0x2019 || point == 0x2bc;
}

/* Simple case folding of Unicode's CaseFolding.txt for the alphabets with regular blocks. Each row
 * adds shift; of rows with step 2 only every second character, from first on, is a capital. */
static uint32_t
fold(uint32_t point)
{
    static const struct {
        uint32_t first, last;
        uint32_t step;
        int32_t shift;
    } rows[] = {
        {0xc0, 0xd6, 1, 32},
        {0xd8, 0xde, 1, 32},
        {0x100, 0x12e, 2, 1},
        {0x132, 0x136, 2, 1},
        {0x139, 0x147, 2, 1},
        {0x14a, 0x176, 2, 1},
        {0x178, 0x178, 1, -121},
        {0x179, 0x17d, 2, 1},
        {0x218, 0x21e, 2, 1},
        {0x386, 0x386, 1, 38},
        {0x388, 0x38a, 1, 37},
        {0x38c, 0x38c, 1, 64},
        {0x38e, 0x38f, 1, 63},
        {0x391, 0x3a1, 1, 32},
        {0x3a3, 0x3ab, 1, 32},
        {0x3c2, 0x3c2, 1, 1},
        {0x400, 0x40f, 1, 80},
        {0x410, 0x42f, 1, 32},
        {0x460, 0x480, 2, 1},
        {0x48a, 0x4be, 2, 1},
        {0x4c1, 0x4cd, 2, 1},
        {0x4d0, 0x52e, 2, 1},
        {0x531, 0x556, 1, 48},
        {0x643, 0x643, 1, 0x66},
        {0x660, 0x669, 1, '0' - 0x660},
        {0x6f0, 0x6f9, 1, '0' - 0x6f0},
        {0x1e00, 0x1e94, 2, 1},
        {0x1ea0, 0x1efe, 2, 1},
        {0xff10, 0xff19, 1, '0' - 0xff10},
        {0xff21, 0xff3a, 1, 'a' - 0xff21},
        {0xff41, 0xff5a, 1, 'a' - 0xff41},
    };
    if (point < 0x80)
        return point >= 'A' && point <= 'Z' ? point + 32 : point;
    if (point == 0x649 || point == 0x64a)
        return 0x6cc; /* Arabic yeh, as Persian keyboards write it */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (point >= rows[i].first && point <= rows[i].last &&
            (point - rows[i].first) % rows[i].step == 0)
            return (uint32_t)((int32_t)point + rows[i].shift);
    return point;
}

/* ---- stems */

static bool
ends_with(const struct word *word, const char *ending)
{
    size_t size = strlen(ending);
    if (word->stem_count < size)
        return false;
    for (size_t i = 0; i < size; i++)
        if (word->stem[word->stem_count - size + i] != (uint32_t)ending[i])
            return false;
    return true;
}

static bool
has_vowel(const uint32_t *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (points[i] < 0x80 && strchr("aeiouy", (int)points[i]))
            return true;
    return false;
}

static void
strip_plural(struct word *word)
{
    if (word->stem_count > 4 && ends_with(word, "ies")) {
        word->stem_count -= 2;
        word->stem[word->stem_count - 1] = 'y';
    } else if (word->stem_count > 3 && ends_with(word, "s") && !ends_with(word, "ss") &&
               !ends_with(word, "us") && !ends_with(word, "is")) {
        word->stem_count--;
    }
}

/* "stopped" becomes "stop", "called" stays "call". */
static void
strip_double(struct word *word)
{
    size_t count = word->stem_count;
    uint32_t last = word->stem[count - 1];
    if (count > 3 && last == word->stem[count - 2] && !strchr("aeioulsz", (int)last))
        word->stem_count--;
}

static void
strip_tense(struct word *word)
{
    size_t ending = ends_with(word, "ing") ? 3 : ends_with(word, "ed") ? 2 : 0;
    if (ending == 0 || ends_with(word, "eed") || word->stem_count < ending + 3 ||
        !has_vowel(word->stem, word->stem_count - ending))
        return;
    word->stem_count -= ending;
    if (ending == 2 && word->stem[word->stem_count - 1] == 'i')
        word->stem[word->stem_count - 1] = 'y';
    strip_double(word);
}

static void
make_stem(struct word *word)
{
    memcpy(word->stem, word->points, word->count * sizeof word->points[0]);
    word->stem_count = word->count;
    for (size_t i = 0; i < word->count; i++)
        if (word->points[i] < 'a' || word->points[i] > 'z')
            return;
    strip_plural(word);
    strip_tense(word);
    if (word->stem_count > 3 && ends_with(word, "e"))
        word->stem_count--;
}

/* ---- common words */

static int
compare_words(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

static bool
is_common(const struct word *word)
{
    static const char *const common[] = {
        "a",    "about", "after", "all",   "also",  "am",    "an",   "and",   "any",   "are",
        "as",   "at",    "be",    "been",  "but",   "by",    "can",  "could", "did",   "do",
        "does", "for",   "from",  "had",   "has",   "have",  "he",   "her",   "him",   "his",
        "how",  "i",     "if",    "in",    "into",  "is",    "it",   "its",   "just",  "me",
        "my",   "no",    "not",   "of",    "on",    "or",    "our",  "out",   "she",   "should",
        "so",   "some",  "than",  "that",  "the",   "their", "them", "then",  "there", "these",
        "they", "this",  "those", "to",    "too",   "up",    "us",   "very",  "was",   "we",
        "were", "what",  "when",  "where", "which", "who",   "whom", "whose", "why",   "will",
        "with", "would", "you",   "your",
    };
    char text[8];
    if (word->count >= sizeof text)
        return false;
    for (size_t i = 0; i < word->count; i++) {
        if (word->points[i] >= 0x80)
            return false;
        text[i] = (char)word->points[i];
    }
    text[word->count] = '\0';
    return bsearch(text, common, sizeof common / sizeof common[0], sizeof common[0],
                   compare_words) != NULL;
}

/* ---- words */

struct words
words_of(struct text text)
{
    return (struct words){text, 0};
}

/* Does a letter follow here, so that an apostrophe stands inside a word? */
static bool
letter_follows(struct text text, size_t at)
{
    size_t size;
    return at < text.size && is_letter(decode(text, at, &size));
}

bool
words_next(struct words *words, struct word *word)
{
    struct text text = words->text;
    size_t apostrophe = 0; /* letters before the last one */
    size_t size;
    word->count = 0;
    for (; words->at < text.size; words->at += size) {
        uint32_t point = decode(text, words->at, &size);
        if (is_ignored(point))
            continue;
        if (word->count > 0 && is_apostrophe(point) && letter_follows(text, words->at + size)) {
            apostrophe = word->count;
            continue;
        }
        bool alone = stands_alone(point);
        if (!is_letter(point) || is_apostrophe(point) || alone) {
            if (word->count > 0)
                break;
            if (!alone)
                continue;
        }
        if (word->count == 0)
            word->begin = words->at;
        if (word->count < WORD_MAX)
            word->points[word->count++] = fold(point);
        word->end = words->at + size;
        if (alone) {
            words->at += size;
            break;
        }
    }
    if (word->count == 0)
        return false;
    if (apostrophe > 0 && apostrophe + 1 == word->count && word->points[apostrophe] == 's')
        word->count = apostrophe; /* "Kasra's" is about Kasra */
    make_stem(word);
    word->is_common = is_common(word);
    return true;
}

uint64_t
points_hash(const uint32_t *points, size_t count, uint64_t seed)
{
    uint64_t hash = points_hash_begin(seed);
    for (size_t i = 0; i < count; i++)
        hash = points_hash_add(hash, points[i]);
    return points_hash_end(hash);
}
