/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/error.h"

static void
a_message_is_formatted_and_clears_word_and_field(void **state)
{
    struct error error = {"old", "old_word", "old_field"};
    (void)state;
    error_set(&error, "wal %06d.log offset %d", 12, 4711);
    assert_string_equal(error.message, "wal 000012.log offset 4711");
    assert_string_equal(error.word, "");
    assert_string_equal(error.field, "");
}

static void
wrapping_puts_text_in_front_and_keeps_word_and_field(void **state)
{
    struct error error = ERROR_INIT;
    (void)state;
    error_set_word(&error, "memory_not_found", "no memory %s", "m-1");
    error_wrap(&error, "recall");
    error_wrap(&error, "agent:%s", "kasra");
    assert_string_equal(error.message, "agent:kasra: recall: no memory m-1");
    assert_string_equal(error.word, "memory_not_found");
}

static void
a_field_error_names_the_field_in_front(void **state)
{
    struct error error = ERROR_INIT;
    (void)state;
    error_set_field(&error, "limits.max", "came %d, expected 1 to %d", 0, 9);
    assert_string_equal(error.message, "limits.max: came 0, expected 1 to 9");
    assert_string_equal(error.field, "limits.max");
    assert_string_equal(error.word, "");
}

static void
no_error_struct_is_allowed_everywhere(void **state)
{
    (void)state;
    error_set(NULL, "%d", 1);
    error_set_word(NULL, "word", "%d", 1);
    error_set_field(NULL, "field", "%d", 1);
    error_wrap(NULL, "%d", 1);
}

static void
an_error_may_be_set_from_its_own_text(void **state)
{
    struct error error = ERROR_INIT;
    (void)state;
    error_set_word(&error, "bad_key", "first");
    error_set_word(&error, error.word, "second after %s", error.message);
    assert_string_equal(error.message, "second after first");
    assert_string_equal(error.word, "bad_key");
}

static void
control_characters_become_spaces(void **state)
{
    struct error error = ERROR_INIT;
    (void)state;
    error_set(&error, "a\nb\tc\x1B[31m\x7F\xC2\x9B"
                      "d");
    assert_string_equal(error.message, "a b c [31m   d");
}

static void
bytes_that_are_not_utf8_become_question_marks(void **state)
{
    struct error error = ERROR_INIT;
    (void)state;
    error_set(&error, "%s", "a\xFF-caf\xC3\xA9-\xED\xA0\x80-\xE2\x82");
    assert_string_equal(error.message, "a?-caf\xC3\xA9-??\?-??");
}

/* Whatever number of bytes stands before the cut, no half of a character is left. */
static void
long_texts_are_cut_between_characters(void **state)
{
    char text[600];
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        struct error error = ERROR_INIT;
        memset(text, 'a', shift);
        size_t size = shift;
        while (size + 4 < sizeof text) {
            memcpy(text + size, "\xF0\x9F\x98\x80", 4);
            size += 4;
        }
        text[size] = '\0';

        error_set_word(&error, text, "%s", text);

        size_t kept = shift + (sizeof error.message - 1 - shift) / 4 * 4;
        assert_int_equal(strlen(error.message), kept);
        assert_memory_equal(error.message, text, kept);
        assert_true(text_is_utf8(text_of(error.word)));
        assert_true(strlen(error.word) >= sizeof error.word - 4);

        error_wrap(&error, "outer");
        assert_true(text_starts_with(text_of(error.message), "outer: "));
        assert_true(text_is_utf8(text_of(error.message)));
        assert_null(strchr(error.message, '?'));
        assert_true(strlen(error.message) >= sizeof error.message - 4);
    }
}

static void
foreign_text_is_copied_by_the_same_rules(void **state)
{
    char line[8];
    (void)state;
    error_copy_text(line, sizeof line, (struct text){"ab\ncdefg", 8});
    assert_string_equal(line, "ab cdef");
    error_copy_text(line, sizeof line, (struct text){"abcdef\xC3\xA9", 8});
    assert_string_equal(line, "abcdef");
    error_copy_text(line, sizeof line, (struct text){NULL, 0});
    assert_string_equal(line, "");
    error_copy_text(line, 1, text_of("x"));
    assert_string_equal(line, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_formatted_and_clears_word_and_field),
        cmocka_unit_test(wrapping_puts_text_in_front_and_keeps_word_and_field),
        cmocka_unit_test(a_field_error_names_the_field_in_front),
        cmocka_unit_test(no_error_struct_is_allowed_everywhere),
        cmocka_unit_test(an_error_may_be_set_from_its_own_text),
        cmocka_unit_test(control_characters_become_spaces),
        cmocka_unit_test(bytes_that_are_not_utf8_become_question_marks),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(foreign_text_is_copied_by_the_same_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
