/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

/* The stems of a text with a space between them, in ASCII; others as U+XXXX. */
static const char *
stems(const char *text, char out[static 256])
{
    struct words words = words_of(text_of(text));
    struct word word;
    size_t at = 0;
    out[0] = '\0';
    while (words_next(&words, &word)) {
        at += (size_t)snprintf(out + at, 256 - at, "%s", at > 0 ? " " : "");
        for (size_t i = 0; i < word.stem_count; i++)
            at += (size_t)snprintf(out + at, 256 - at, word.stem[i] < 0x80 ? "%c" : "U+%X",
                                   word.stem[i]);
    }
    return out;
}

static void
forms_of_a_word_meet_in_its_stem(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"close closes closed closing", "clos clos clos clos"},
        {"call calls called calling", "call call call call"},
        {"stop stops stopped stopping", "stop stop stop stop"},
        {"box boxes", "box box"},
        {"try tries tried trying", "try try try try"},
        {"bus buses glass this is", "bus bus glass this is"},
        {"king string need speed red", "king string need speed red"},
        {"Kasra's dogs' don't o'clock", "kasra dog dont oclock"},
        {"x2 3.5 2019", "x2 3 5 2019"},
        {"cafés", "cafU+E9s"},
    };
    char out[256];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(stems(rows[i][0], out), rows[i][1]);
}

static void
characters_of_scripts_without_spaces_are_words(void **state)
{
    (void)state;
    char out[256];
    assert_string_equal(stems("猫。is猫x", out), "U+732B is U+732B x");
    assert_string_equal(stems("hi🙂", out), "hi U+1F642");
}

static void
bytes_that_are_no_text_separate_words(void **state)
{
    (void)state;
    char out[256];
    assert_string_equal(stems("a\xff"
                              "b\xc3 c\xed\xa0",
                              out),
                        "a b c");
    assert_string_equal(stems("", out), "");
    assert_string_equal(stems("' '' -", out), "");
}

static void
a_word_says_where_it_stands_and_whether_it_is_common(void **state)
{
    (void)state;
    struct words words = words_of(text_of(" The Ärger "));
    struct word word;
    assert_true(words_next(&words, &word));
    assert_int_equal(word.begin, 1);
    assert_int_equal(word.end, 4);
    assert_true(word.is_common);
    assert_true(words_next(&words, &word));
    assert_int_equal(word.begin, 5);
    assert_int_equal(word.end, 11);
    assert_false(word.is_common);
    assert_false(words_next(&words, &word));
}

static void
every_common_word_is_found(void **state)
{
    (void)state;
    static const char text[] = "a about all an and are as at be can do for he i in is it me my "
                               "not of on or our she so that the to up us was we what you your";
    struct words words = words_of(text_of(text));
    struct word word;
    while (words_next(&words, &word))
        if (!word.is_common)
            fail_msg("%.*s", (int)(word.end - word.begin), text + word.begin);
}

static void
a_long_word_is_bounded(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'q', sizeof text);
    struct words words = words_of((struct text){text, sizeof text});
    struct word word;
    assert_true(words_next(&words, &word));
    assert_int_equal(word.count, WORD_MAX);
    assert_int_equal(word.end, sizeof text);
    assert_false(words_next(&words, &word));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_of_a_word_meet_in_its_stem),
        cmocka_unit_test(characters_of_scripts_without_spaces_are_words),
        cmocka_unit_test(bytes_that_are_no_text_separate_words),
        cmocka_unit_test(a_word_says_where_it_stands_and_whether_it_is_common),
        cmocka_unit_test(every_common_word_is_found),
        cmocka_unit_test(a_long_word_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
