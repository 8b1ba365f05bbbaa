/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture_vectors.h"
#include "kernel/capability.h"

static bool
matches(const char *pattern, const char *text)
{
    return glob_match(text_of(pattern), text_of(text));
}

static void
star_takes_any_run_and_the_whole_text_counts(void **state)
{
    (void)state;
    assert_true(matches("*", ""));
    assert_true(matches("memory:*", "memory:agent:kasra/new"));
    assert_true(matches("a*b*c", "a/b:b/c"));
    assert_true(matches("**", "x"));
    assert_false(matches("memory:", "memory:x"));
    assert_false(matches("emory:*", "memory:x"));
    assert_false(matches("", "x"));
    assert_true(matches("", ""));
}

static void
question_mark_takes_one_character_of_several_bytes(void **state)
{
    (void)state;
    assert_true(matches("a?b", "a\xc3\xa9"
                               "b"));
    assert_true(matches("?", "\xf0\x9f\x98\x80"));
    assert_false(matches("??", "\xf0\x9f\x98\x80"));
    assert_false(matches("?", ""));
}

static void
broken_utf8_matches_only_itself(void **state)
{
    (void)state;
    assert_true(matches("a\xff", "a\xff"));
    assert_false(matches("a\xff", "a\xc3\xbf"));
    assert_true(matches("a?", "a\xff"));
    assert_false(matches("[\xc2\xa0-\xc3\xbf]", "\xff"));
}

static void
an_unclosed_set_is_a_plain_bracket(void **state)
{
    (void)state;
    assert_true(matches("a[b", "a[b"));
    assert_true(matches("[]", "[]"));
    assert_true(matches("[!]", "[!]"));
    assert_false(matches("[b", "b"));
}

static void
hostile_patterns_take_no_more_than_their_product(void **state)
{
    (void)state;
    enum { SIZE = 4000 };
    char *pattern = malloc(SIZE), *text = malloc(SIZE);
    assert_true(pattern && text);
    memset(text, '[', SIZE);
    for (size_t i = 0; i < SIZE; i++)
        pattern[i] = i % 2 == 0 ? '*' : '[';
    pattern[SIZE - 1] = 'x';
    assert_false(glob_match((struct text){pattern, SIZE}, (struct text){text, SIZE}));

    memset(pattern, '[', SIZE);
    pattern[0] = '*';
    pattern[SIZE - 1] = 'x';
    assert_false(glob_match((struct text){pattern, SIZE}, (struct text){text, SIZE}));
    free(pattern);
    free(text);
}

static void
every_vector_agrees_with_python(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("capabilities.json");
    json_t *globs = json_object_get(vectors, "globs"), *vector;
    size_t i;
    assert_true(json_array_size(globs) > 1000);
    json_array_foreach(globs, i, vector)
    {
        const char *pattern = json_string_value(json_object_get(vector, "pattern"));
        const char *text = json_string_value(json_object_get(vector, "text"));
        bool expected = json_is_true(json_object_get(vector, "match"));
        if (matches(pattern, text) != expected)
            fail_msg("pattern %s, text %s: expected %s", pattern, text,
                     expected ? "a match" : "none");
    }
    json_decref(vectors);
}

static bool
covers(const char *pattern, const char *narrower)
{
    return glob_covers(text_of(pattern), text_of(narrower));
}

static void
a_pattern_covers_what_matches_nothing_else(void **state)
{
    (void)state;
    assert_true(covers("squad:*", "squad:eng"));
    assert_true(covers("squad:*", "squad:*"));
    assert_true(covers("squad:*", "squad:e*"));
    assert_true(covers("squad:**", "squad:*"));
    assert_true(covers("*:events", "agent:*:events"));
    assert_true(covers("a*c", "a*b*c"));
    assert_true(covers("a?c", "a?c"));
    assert_true(covers("a?", "a[xy]"));
    assert_true(covers("a[xy]", "a[xy]"));
    assert_true(covers("a[xy]", "ax"));
    assert_true(covers("*", "[!x]?*"));
    assert_true(covers("a[b", "a[b"));
    assert_true(covers("", ""));
    assert_true(covers("*", ""));

    assert_false(covers("squad:e*", "squad:*"));
    assert_false(covers("squad:?", "squad:*"));
    assert_false(covers("squad:?*", "squad:*"));
    assert_false(covers("squad:[!x]", "squad:*"));
    assert_false(covers("squad:[*]", "squad:*"));
    assert_false(covers("a?", "a*"));
    assert_false(covers("ab", "a?"));
    assert_false(covers("*se*", "[se]"));
    assert_false(covers("a[xy]", "a[xz]"));
    assert_false(covers("a[x", "a[xy]"));
    assert_false(covers("", "*"));
    assert_false(covers("*x", "*"));
}

/* Over few letters and short texts: whatever a covered pattern matches the wider one matches. */
static void
no_covered_pattern_matches_more(void **state)
{
    (void)state;
    static const char letters[] = "ab*?[]!", plain[] = "ab[";
    uint64_t random = 88172645463325252ULL;
    size_t covered = 0;
    for (int round = 0; round < 100000; round++) {
        char wide[8], narrow[8], text[6];
        char *const patterns[] = {wide, narrow};
        for (size_t k = 0; k < 2; k++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            size_t size = random % 7;
            for (size_t i = 0; i < size; i++)
                patterns[k][i] = letters[(random >> (8 + 4 * i)) % (sizeof letters - 1)];
            patterns[k][size] = '\0';
        }
        if (!covers(wide, narrow))
            continue;
        covered++;
        for (unsigned n = 0; n < 3 * 3 * 3 * 3; n++) {
            for (size_t size = 0; size < 5; size++) {
                unsigned rest = n;
                for (size_t i = 0; i < size; i++, rest /= 3)
                    text[i] = plain[rest % 3];
                text[size] = '\0';
                if (matches(narrow, text) && !matches(wide, text))
                    fail_msg("%s covers %s, but %s", wide, narrow, text);
            }
        }
    }
    assert_true(covered > 1000);
}

static void
a_pattern_is_what_has_a_wildcard(void **state)
{
    (void)state;
    assert_true(glob_is_pattern(text_of("squad:*")));
    assert_true(glob_is_pattern(text_of("?")));
    assert_true(glob_is_pattern(text_of("a[b")));
    assert_false(glob_is_pattern(text_of("squad:eng]!")));
    assert_false(glob_is_pattern(text_of("")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(star_takes_any_run_and_the_whole_text_counts),
        cmocka_unit_test(question_mark_takes_one_character_of_several_bytes),
        cmocka_unit_test(broken_utf8_matches_only_itself),
        cmocka_unit_test(an_unclosed_set_is_a_plain_bracket),
        cmocka_unit_test(hostile_patterns_take_no_more_than_their_product),
        cmocka_unit_test(every_vector_agrees_with_python),
        cmocka_unit_test(a_pattern_covers_what_matches_nothing_else),
        cmocka_unit_test(no_covered_pattern_matches_more),
        cmocka_unit_test(a_pattern_is_what_has_a_wildcard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
