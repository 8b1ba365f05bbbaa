/* SPDX-License-Identifier: Apache-2.0 */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "broker/core/tap_expression.h"

static struct expression *
make(const char *pattern)
{
    struct expression *expression = NULL;
    const char *why = "";
    enum status status = expression_new(&expression, text_of(pattern), &why);
    if (status != STATUS_OK)
        print_error("%s: %s\n", pattern, why);
    assert_int_equal(status, STATUS_OK);
    return expression;
}

static bool
matches(const char *pattern, const char *text)
{
    struct expression *expression = make(pattern);
    bool result = expression_matches(expression, text_of(text));
    expression_destroy(&expression);
    return result;
}

static void
it_matches_what_posix_says(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        {"", "", true},
        {"", "any", true},
        {"abc", "xxabcxx", true},
        {"abc", "ab", false},
        {"^abc", "xabc", false},
        {"abc$", "xabc", true},
        {"abc$", "abcx", false},
        {"^$", "", true},
        {"^$", "x", false},
        {"a.c", "abc", true},
        {"a\\.c", "abc", false},
        {"a\\.c", "a.c", true},
        {"ab*c", "ac", true},
        {"ab+c", "ac", false},
        {"ab?c", "abbc", false},
        {"a(b|c)d", "acd", true},
        {"a(b|c)d", "aed", false},
        {"^(ab){2,3}$", "ababab", true},
        {"^(ab){2,3}$", "ab", false},
        {"^(ab){2,3}$", "abababab", false},
        {"^a{0}$", "", true},
        {"^a{2,}$", "aaaa", true},
        {"^a{2,}$", "a", false},
        {"[a-c]x", "bx", true},
        {"[^a-c]x", "bx", false},
        {"[]a]", "]", true},
        {"[^]a]", "]", false},
        {"[a-]", "-", true},
        {"[[:digit:]]+", "x7", true},
        {"^[[:alpha:]_]+$", "memory_store", true},
        {"^[[:alpha:]_]+$", "memory-store", false},
        {"(^|:)bus$", "service:bus", true},
        {"request agent:[a-z]+ service:memory memory_(store|search) - forwarded",
         "request agent:kasra service:memory memory_search - forwarded", true},
        {"a||b", "", true},
        {"()*x", "x", true},
        {"(a*)*b", "aaab", true},
        {"a**", "", true},
        {"x$y", "xy", false},
        {"x^y", "xy", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (matches(rows[i].pattern, rows[i].text) != rows[i].matches)
            fail_msg("'%s' on '%s'", rows[i].pattern, rows[i].text);
    }
}

static void
what_is_none_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *why;
    } rows[] = {
        {"(a", "not closed"},
        {"a)", "not opened"},
        {"[a", "not closed"},
        {"[[:nope:]]", "class"},
        {"*a", "nothing before"},
        {"a|*", "nothing before"},
        {"(*)", "nothing before"},
        {"a{2", "interval"},
        {"a{3,2}", "interval"},
        {"a{256}", "interval"},
        {"a{,3}", "interval"},
        {"\\", "backslash"},
        {"(a)\\1", "backslash"},
        {"[z-a]", "ends before"},
        {"[[.a.]]", "collating"},
        {"(((a{99}){99}){99})", "add up"},
        {"((((((x{0}){255}){255}){255}){255}){255})", "add up"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct expression *expression = NULL;
        const char *why = "";
        assert_int_equal(expression_new(&expression, text_of(rows[i].pattern), &why),
                         STATUS_INVALID);
        assert_null(expression);
        if (!strstr(why, rows[i].why))
            fail_msg("'%s': %s", rows[i].pattern, why);
    }
    char deep[EXPRESSION_SIZE_MAX + 2];
    const char *why = "";
    struct expression *expression = NULL;
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(expression_new(&expression, text_of(deep), &why), STATUS_INVALID);
    deep[EXPRESSION_SIZE_MAX] = '\0';
    assert_int_equal(expression_new(&expression, text_of(deep), &why), STATUS_INVALID);
    assert_non_null(strstr(why, "nest"));
}

/* Small patterns over small letters, so that most of them match something. Anchors stand at the
 * ends alone: within repetitions the C library takes them wrongly. */
static void
make_pattern(unsigned *seed, char *out, size_t size, int depth)
{
    static const char *const parts[] = {"a",  "b",   ".", "[ab]", "[^a]",
                                        "ab", "a|b", "",  "c?",   "b*a"};
    static const char *const repeats[] = {"", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}"};
    out[0] = '\0';
    int count = 1 + rand_r(seed) % 3;
    for (int i = 0; i < count; i++) {
        char inner[64] = "";
        char part[80];
        if (depth > 0 && rand_r(seed) % 3 == 0)
            make_pattern(seed, inner, sizeof inner / 4, depth - 1);
        else
            snprintf(inner, sizeof inner, "%s", parts[rand_r(seed) % 10]);
        snprintf(part, sizeof part, "(%s)%s", inner, repeats[rand_r(seed) % 9]);
        if (strlen(out) + strlen(part) + 1 < size)
            strcat(out, part);
    }
}

static void
it_agrees_with_the_c_library_on_thousands_of_small_expressions(void **state)
{
    (void)state;
    unsigned seed = 7;
    int compared = 0;
    for (int i = 0; i < 4000; i++) {
        char pattern[128];
        regex_t oracle;
        char middle[120];
        make_pattern(&seed, middle, sizeof middle, 2);
        snprintf(pattern, sizeof pattern, "%s(%s)%s", rand_r(&seed) % 2 ? "^" : "", middle,
                 rand_r(&seed) % 2 ? "$" : "");
        if (regcomp(&oracle, pattern, REG_EXTENDED | REG_NOSUB) != 0)
            continue;
        struct expression *expression = make(pattern);
        for (int j = 0; j < 12; j++) {
            char text[12];
            int size = rand_r(&seed) % 9;
            for (int k = 0; k < size; k++)
                text[k] = "abc"[rand_r(&seed) % 3];
            text[size] = '\0';
            bool expected = regexec(&oracle, text, 0, NULL, 0) == 0;
            if (expression_matches(expression, text_of(text)) != expected)
                fail_msg("'%s' on '%s': expected %d", pattern, text, expected);
            compared++;
        }
        expression_destroy(&expression);
        regfree(&oracle);
    }
    assert_true(compared > 10000);
}

/* What takes the C library minutes. */
static void
no_expression_takes_more_than_its_size_for_each_byte(void **state)
{
    (void)state;
    static const char *const patterns[] = {".*a.{100}c", "(a|b)*a(a|b){200}c", "((((a?)*)*)*)*c",
                                           "(.*.*.*.*.*)*c", "(a{0,20}){0,45}c"};
    char line[1025];
    unsigned seed = 1;
    for (size_t i = 0; i < sizeof line - 1; i++)
        line[i] = "ab"[rand_r(&seed) & 1];
    line[sizeof line - 1] = '\0';
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct timespec from, to;
        struct expression *expression = make(patterns[i]);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
        assert_false(expression_matches(expression, text_of(line)));
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
        double seconds =
            (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
        assert_true(seconds < 2.0); /* 20 ms where nothing slows it down */
        expression_destroy(&expression);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_matches_what_posix_says),
        cmocka_unit_test(what_is_none_is_refused_with_the_reason),
        cmocka_unit_test(it_agrees_with_the_c_library_on_thousands_of_small_expressions),
        cmocka_unit_test(no_expression_takes_more_than_its_size_for_each_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
