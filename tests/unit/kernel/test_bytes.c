/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/bytes.h"

static bool
is_utf8(const char *string)
{
    return text_is_utf8(text_of(string));
}

static void
texts_compare_by_content(void **state)
{
    (void)state;
    assert_true(text_equal_string((struct text){"memory.store", 6}, "memory"));
    assert_false(text_equal_string((struct text){"memory", 5}, "memory"));
    assert_true(text_equal((struct text){NULL, 0}, text_of("")));
    assert_true(text_is_empty(text_of(NULL)));
    assert_true(text_starts_with(text_of("service:memory"), "service:"));
    assert_true(text_starts_with(text_of("service:"), "service:"));
    assert_false(text_starts_with(text_of("service"), "service:"));
    assert_true(text_starts_with((struct text){NULL, 0}, ""));
}

static void
a_copy_ends_with_a_nul(void **state)
{
    (void)state;
    char *copy = text_copy((struct text){"memory.store", 6});
    assert_string_equal(copy, "memory");
    free(copy);
    copy = text_copy((struct text){NULL, 0});
    assert_string_equal(copy, "");
    free(copy);
}

static void
utf8_of_every_length_is_valid(void **state)
{
    (void)state;
    assert_true(is_utf8(""));
    assert_true(is_utf8("plain text that is longer than eight bytes"));
    assert_true(is_utf8("caf\xC3\xA9"));
    assert_true(is_utf8("seven77\xE2\x82\xAC and more than eight"));
    assert_true(is_utf8("\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF"));
    assert_true(is_utf8("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));
    assert_true(text_is_utf8((struct text){"a\0b", 3}));
}

static void
ill_formed_utf8_is_refused_wherever_it_stands(void **state)
{
    static const char *const bad[] = {
        "\x80",             /* continuation without a lead */
        "\xC0\x80",         /* overlong NUL */
        "\xC1\xBF",         /* overlong */
        "\xC3",             /* cut short */
        "\xC3(",            /* lead without continuation */
        "\xE0\x9F\xBF",     /* overlong */
        "\xE2\x82",         /* cut short */
        "\xED\xA0\x80",     /* surrogate */
        "\xED\xBF\xBF",     /* surrogate */
        "\xF0\x8F\xBF\xBF", /* overlong */
        "\xF4\x90\x80\x80", /* beyond U+10FFFF */
        "\xF5\x80\x80\x80",
        "\xFE",
        "\xFF",
        "\xF0\x9F\x98",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];
        for (int before = 0; before < 20; before++) {
            snprintf(text, sizeof text, "%.*s%s", before, "aaaaaaaaaaaaaaaaaaaa", bad[i]);
            assert_false(is_utf8(text));
            snprintf(text, sizeof text, "%.*s%s-and-more-behind", before, "aaaaaaaaaaaaaaaaaaaa",
                     bad[i]);
            assert_false(is_utf8(text));
        }
    }
}

static void
a_buffer_holds_what_was_appended(void **state)
{
    struct buffer buffer;
    (void)state;
    buffer_init(&buffer);

    buffer_append(&buffer, NULL, 0);
    buffer_append_byte(&buffer, 'a');
    buffer_append_string(&buffer, "bc");
    buffer_append_text(&buffer, (struct text){"def", 1});
    buffer_append_format(&buffer, "-%d-%s", 42, "x");

    assert_true(text_equal_string(buffer_text(&buffer), "abcd-42-x"));
    assert_int_equal(buffer_bytes(&buffer).size, 9);
    buffer_clear(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.size, 0);
}

static void
a_buffer_grows_and_reset_keeps_its_memory(void **state)
{
    struct buffer buffer = {0};
    (void)state;
    for (unsigned i = 0; i < 10000; i++)
        buffer_append_format(&buffer, "%04u", i);
    assert_int_equal(buffer.size, 40000);
    assert_memory_equal(buffer.data + 4 * 1234, "1234", 4);
    assert_memory_equal(buffer.data + 4 * 9999, "9999", 4);

    size_t capacity = buffer.capacity;
    buffer_reset(&buffer);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer.capacity, capacity);
    buffer_clear(&buffer);
}

static void
a_buffer_that_cannot_grow_keeps_its_data_and_fails_until_reset(void **state)
{
    struct buffer buffer = {0};
    (void)state;
    buffer_append_string(&buffer, "kept");

    assert_false(buffer_reserve(&buffer, SIZE_MAX));
    assert_true(buffer.failed);
    buffer_append_string(&buffer, "lost");
    buffer_append_format(&buffer, "%d", 1);
    assert_true(text_equal_string(buffer_text(&buffer), "kept"));

    buffer_reset(&buffer);
    buffer_append_string(&buffer, "again");
    assert_true(text_equal_string(buffer_text(&buffer), "again"));
    assert_false(buffer_reserve(&buffer, SIZE_MAX - 4));
    buffer_clear(&buffer);
}

static void
hexadecimal_digits_of_either_case_have_a_value_and_nothing_else_has(void **state)
{
    (void)state;
    static const char digits[] = "0123456789abcdef", capitals[] = "0123456789ABCDEF";
    size_t found = 0;
    for (int i = 0; i < 16; i++) {
        assert_int_equal(hex_digit_value(digits[i]), i);
        assert_int_equal(hex_digit_value(capitals[i]), i);
    }
    for (int byte = CHAR_MIN; byte <= CHAR_MAX; byte++)
        found += hex_digit_value((char)byte) >= 0;
    assert_int_equal(found, 22);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_compare_by_content),
        cmocka_unit_test(a_copy_ends_with_a_nul),
        cmocka_unit_test(utf8_of_every_length_is_valid),
        cmocka_unit_test(ill_formed_utf8_is_refused_wherever_it_stands),
        cmocka_unit_test(a_buffer_holds_what_was_appended),
        cmocka_unit_test(a_buffer_grows_and_reset_keeps_its_memory),
        cmocka_unit_test(a_buffer_that_cannot_grow_keeps_its_data_and_fails_until_reset),
        cmocka_unit_test(hexadecimal_digits_of_either_case_have_a_value_and_nothing_else_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
