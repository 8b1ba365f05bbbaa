/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bus_values.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/json.h"

static void
expect_body(const char *text, bool plain, const char *json)
{
    struct buffer packed = {0};
    struct buffer printed = {0};
    assert_int_equal(values_body(text_of(text), plain, &packed, NULL), STATUS_OK);
    assert_int_equal(msgpack_to_json(buffer_bytes(&packed), &printed, NULL), STATUS_OK);
    buffer_append_byte(&printed, 0);
    assert_string_equal((char *)printed.data, json);
    buffer_clear(&packed);
    buffer_clear(&printed);
}

static void
a_payload_is_json_or_else_text(void **state)
{
    (void)state;
    expect_body("{\"a\": [1, null]}", false, "{\"a\":[1,null]}");
    expect_body("5", false, "5");
    expect_body("5", true, "\"5\"");
    expect_body("hello", false, "\"hello\"");
    expect_body("", false, "\"\"");
    expect_body("{\"a\":1} trailing", false, "\"{\\\"a\\\":1} trailing\"");
    expect_body("{\"a\":1,\"a\":2}", false, "\"{\\\"a\\\":1,\\\"a\\\":2}\"");
}

static void
bytes_that_are_no_text_are_refused(void **state)
{
    struct buffer packed = {0};
    struct error error = ERROR_INIT;
    (void)state;
    assert_int_equal(values_body(text_of("\xff"), false, &packed, &error), STATUS_VALIDATION);
    assert_int_equal(packed.size, 0);
    assert_non_null(strstr(error.message, "UTF-8"));
    buffer_clear(&packed);
}

static void
durations_have_units(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {{"0", 0},           {"250", 250},    {"250ms", 250},    {"30s", 30000},
                {"5m", 300000},     {"2h", 7200000}, {"7d", 604800000}, {"4294967295", UINT32_MAX},
                {"49d", 4233600000}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t ms = 1;
        assert_int_equal(values_duration("--ttl", rows[i].text, UINT32_MAX, &ms, NULL), STATUS_OK);
        assert_int_equal(ms, rows[i].ms);
    }
}

static void
durations_of_another_form_are_refused(void **state)
{
    static const char *const rows[] = {"",
                                       "s",
                                       "-1",
                                       "+5",
                                       "1.5s",
                                       "5 s",
                                       "5S",
                                       "5ss",
                                       "4294967296",
                                       "50d",
                                       "99999999999999999999",
                                       "1h30m",
                                       "0x10"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = ERROR_INIT;
        uint64_t ms = 77;
        assert_int_equal(values_duration("--ttl", rows[i], UINT32_MAX, &ms, &error),
                         STATUS_VALIDATION);
        assert_int_equal(ms, 77);
        assert_non_null(strstr(error.message, "--ttl: came '"));
    }
}

static void
moments_are_dates_or_from_now_on(void **state)
{
    const uint64_t now_us = UINT64_C(1700000000000000);
    char text[TIMESTAMP_TEXT_SIZE];
    struct error error = ERROR_INIT;
    (void)state;
    assert_int_equal(values_moment("--at", "+90s", now_us, text, NULL), STATUS_OK);
    assert_string_equal(text, "2023-11-14T22:14:50.000000Z");
    assert_int_equal(values_moment("--at", "2026-01-31T12:00:00+01:00", now_us, text, NULL),
                     STATUS_OK);
    assert_string_equal(text, "2026-01-31T11:00:00.000000Z");
    assert_int_equal(values_moment("--at", "tomorrow", now_us, text, &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "tomorrow"));
    assert_int_equal(values_moment("--at", "+tomorrow", now_us, text, NULL), STATUS_VALIDATION);
    assert_int_equal(values_moment("--at", "+99999999d", now_us, text, NULL), STATUS_VALIDATION);
}

static void
numbers_stay_within_their_bounds(void **state)
{
    uint64_t number = 7;
    (void)state;
    assert_int_equal(values_number("--limit", "256", 1, 256, &number, NULL), STATUS_OK);
    assert_int_equal(number, 256);
    static const char *const rows[] = {"0", "257", "", "1x", "-1", " 1", "18446744073709551616"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(values_number("--limit", rows[i], 1, 256, &number, NULL),
                         STATUS_VALIDATION);
    assert_int_equal(number, 256);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_payload_is_json_or_else_text),
        cmocka_unit_test(bytes_that_are_no_text_are_refused),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(durations_of_another_form_are_refused),
        cmocka_unit_test(moments_are_dates_or_from_now_on),
        cmocka_unit_test(numbers_stay_within_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
