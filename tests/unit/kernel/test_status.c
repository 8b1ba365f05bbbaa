/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/status.h"

#include <string.h>

static const struct {
    enum status status;
    uint64_t code;
    int http;
    const char *word;
} rows[] = {
#define STATUS_TEST(id, code, http, word, text) {STATUS_##id, code, http, word},
    STATUS_MAP(STATUS_TEST)
#undef STATUS_TEST
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static void
every_row_answers_for_its_number(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        assert_int_equal(status_from_code(rows[i].code), rows[i].status);
        assert_int_equal((uint64_t)rows[i].status, rows[i].code);
        assert_int_equal(status_http(rows[i].status), rows[i].http);
        assert_string_equal(status_word(rows[i].status), rows[i].word);
        assert_true(strlen(status_text(rows[i].status)) > 0);
    }
}

static void
numbers_and_texts_are_those_of_the_specification(void **state)
{
    (void)state;
    assert_int_equal(STATUS_OK, 0);
    assert_int_equal(status_http(STATUS_OK), 200);
    assert_int_equal(STATUS_VALIDATION, 1005);
    assert_int_equal(status_http(STATUS_VALIDATION), 422);
    assert_string_equal(status_word(STATUS_VALIDATION), "validation_error");
    assert_int_equal(STATUS_SCOPE_DENIED, 2005);
    assert_int_equal(STATUS_NOT_FOUND, 3001);
    assert_int_equal(status_http(STATUS_INSUFFICIENT_FUNDS), 402);
    assert_string_equal(status_word(STATUS_SANDBOX_ERROR), "sandbox_error");
}

static void
numbers_without_a_row_are_unknown(void **state)
{
    static const uint64_t codes[] = {2, 999, 1999, 9999, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_int_equal(status_from_code(codes[i]), STATUS_UNKNOWN);
    assert_int_equal(status_http((enum status)77777), status_http(STATUS_UNKNOWN));
    assert_string_equal(status_word((enum status)77777), "unknown");
    assert_string_equal(status_text((enum status) - 1), status_text(STATUS_UNKNOWN));
}

static void
every_row_has_one_of_the_seven_response_words(void **state)
{
    static const char *const words[] = {"success",         "error",        "pending",
                                        "unauthorized",    "rate_limited", "not_found",
                                        "validation_error"};
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        const char *word = status_response_word(rows[i].status);
        bool known = false;
        for (size_t j = 0; j < sizeof words / sizeof words[0]; j++)
            known = known || strcmp(word, words[j]) == 0;
        assert_true(known);
        assert_int_equal(strcmp(word, "success") == 0, rows[i].status == STATUS_OK);
    }
    assert_string_equal(status_response_word(STATUS_PENDING), "pending");
    assert_string_equal(status_response_word(STATUS_UNAUTHORIZED), "unauthorized");
    assert_string_equal(status_response_word(STATUS_SCOPE_DENIED), "unauthorized");
    assert_string_equal(status_response_word(STATUS_QUOTA_EXCEEDED), "rate_limited");
    assert_string_equal(status_response_word(STATUS_TOOL_NOT_FOUND), "not_found");
    assert_string_equal(status_response_word(STATUS_VALIDATION), "validation_error");
    assert_string_equal(status_response_word(STATUS_TIMEOUT), "error");
    assert_string_equal(status_response_word(STATUS_GONE), "error");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_answers_for_its_number),
        cmocka_unit_test(numbers_and_texts_are_those_of_the_specification),
        cmocka_unit_test(numbers_without_a_row_are_unknown),
        cmocka_unit_test(every_row_has_one_of_the_seven_response_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
