/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/capability.h"

struct cursor {
    const unsigned char *at;
    const unsigned char *end;
};

static struct cursor
cursor_of(struct text text)
{
    const unsigned char *start = (const unsigned char *)text.data;
    return (struct cursor){start, start ? start + text.size : start};
}

/* Takes the next character; a byte that begins no UTF-8 sequence counts as one, apart
 * from all code points. */
static uint32_t
take(struct cursor *cursor)
{
    unsigned char first = *cursor->at;
    size_t left = (size_t)(cursor->end - cursor->at);
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (size > left || !text_is_utf8((struct text){(const char *)cursor->at, size})) {
        cursor->at++;
        return 0x80000000U | first;
    }
    uint32_t code = size == 1 ? first : first & (0x7fU >> size);
    for (size_t i = 1; i < size; i++)
        code = code << 6 | (cursor->at[i] & 0x3fU);
    cursor->at += size;
    return code;
}

/* The bracket that closes the set whose '[' was just taken; NULL when there is none. One that
 * stands first, also behind '!', is a member. Behind the pattern's last bracket there is nothing
 * to look for: a run of '[' would be searched to its end from each of them. */
static const unsigned char *
find_set_end(struct cursor set, const unsigned char *brackets_end)
{
    const unsigned char *at = set.at;
    if (at < brackets_end && *at == '!')
        at++;
    if (at < brackets_end && *at == ']')
        at++;
    return at < brackets_end ? memchr(at, ']', (size_t)(brackets_end - at)) : NULL;
}

static bool
set_holds(struct cursor set, uint32_t wanted)
{
    bool negated = set.at < set.end && *set.at == '!';
    if (negated)
        set.at++;
    bool found = false;
    while (set.at < set.end && !found) {
        uint32_t low = take(&set), high = low;
        if (set.end - set.at >= 2 && *set.at == '-') {
            set.at++;
            high = take(&set);
        }
        found = low <= wanted && wanted <= high;
    }
    return found != negated;
}

/* Matches what the pattern's next item, which is no '*', asks for; moves both on success. */
static bool
match_one(struct cursor *pattern, struct cursor *text, const unsigned char *brackets_end)
{
    struct cursor item = *pattern, rest = *text;
    uint32_t wanted = take(&item);
    uint32_t given = take(&rest);
    const unsigned char *set_end = wanted == '[' ? find_set_end(item, brackets_end) : NULL;
    if (set_end) {
        if (!set_holds((struct cursor){item.at, set_end}, given))
            return false;
        item.at = set_end + 1;
    } else if (wanted != '?' && wanted != given) {
        return false;
    }
    *pattern = item;
    *text = rest;
    return true;
}

/* Takes the next item of a pattern: a set as a whole, anything else by its first character. The
 * item's bytes are where the cursor was. */
static uint32_t
take_item(struct cursor *pattern, const unsigned char *brackets_end)
{
    uint32_t first = take(pattern);
    const unsigned char *set_end = first == '[' ? find_set_end(*pattern, brackets_end) : NULL;
    if (!set_end)
        return first;
    pattern->at = set_end + 1;
    return '[';
}

static const unsigned char *
find_brackets_end(struct text pattern)
{
    const unsigned char *last = pattern.size > 0 ? memrchr(pattern.data, ']', pattern.size) : NULL;
    return last ? last + 1 : (const unsigned char *)pattern.data;
}

/* Does the wider pattern's next item, which is no '*', match everything that the narrower one's
 * next item matches? Moves both then. Of two sets only the same bytes are known to. */
static bool
cover_one(struct cursor *wide, struct cursor *narrow, const unsigned char *wide_end,
          const unsigned char *narrow_end)
{
    struct cursor item = *narrow, one = *wide;
    uint32_t wanted = take_item(&item, narrow_end);
    if (wanted == '*')
        return false;
    size_t size = (size_t)(item.at - narrow->at);
    bool is_set = wanted == '[' && size > 1;
    if (wanted == '?' || is_set) {
        uint32_t given = take_item(&one, wide_end);
        bool same = size == (size_t)(one.at - wide->at) && memcmp(wide->at, narrow->at, size) == 0;
        if (given != '?' && !same)
            return false;
        *wide = one;
    } else {
        struct cursor rest = *narrow;
        if (!match_one(&one, &rest, wide_end))
            return false;
        *wide = one;
    }
    *narrow = item;
    return true;
}

/* The matching of glob_match() over items instead of characters: a '*' takes any items, another '*'
 * among them. */
bool
glob_covers(struct text pattern, struct text narrower)
{
    struct cursor wide = cursor_of(pattern), narrow = cursor_of(narrower);
    const unsigned char *wide_end = find_brackets_end(pattern);
    const unsigned char *narrow_end = find_brackets_end(narrower);
    struct cursor retry_wide = {NULL, NULL}, retry_narrow = {NULL, NULL};
    while (narrow.at < narrow.end) {
        if (wide.at < wide.end && *wide.at == '*') {
            wide.at++;
            retry_wide = wide;
            retry_narrow = narrow;
        } else if (wide.at == wide.end || !cover_one(&wide, &narrow, wide_end, narrow_end)) {
            if (!retry_wide.at)
                return false;
            take_item(&retry_narrow, narrow_end);
            wide = retry_wide;
            narrow = retry_narrow;
        }
    }
    while (wide.at < wide.end && *wide.at == '*')
        wide.at++;
    return wide.at == wide.end;
}

/* Only the last '*' is ever tried again: what an earlier one could take in its place, the last
 * can take as well. */
bool
glob_match(struct text pattern_text, struct text text)
{
    struct cursor pattern = cursor_of(pattern_text), rest = cursor_of(text);
    const unsigned char *brackets_end = find_brackets_end(pattern_text);
    struct cursor retry_pattern = {NULL, NULL}, retry_rest = {NULL, NULL};
    while (rest.at < rest.end) {
        if (pattern.at < pattern.end && *pattern.at == '*') {
            pattern.at++;
            retry_pattern = pattern;
            retry_rest = rest;
        } else if (pattern.at == pattern.end || !match_one(&pattern, &rest, brackets_end)) {
            if (!retry_pattern.at)
                return false;
            take(&retry_rest);
            pattern = retry_pattern;
            rest = retry_rest;
        }
    }
    while (pattern.at < pattern.end && *pattern.at == '*')
        pattern.at++;
    return pattern.at == pattern.end;
}

bool
glob_is_pattern(struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '*' || text.data[i] == '?' || text.data[i] == '[')
            return true;
    return false;
}
