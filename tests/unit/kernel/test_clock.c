/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <time.h>

#include "kernel/clock.h"

static struct now
read_fixed(void *context)
{
    return *(struct now *)context;
}

static void
a_clock_is_read_through_its_function(void **state)
{
    struct now fixed = {.monotonic_us = 5, .wall_us = 7};
    struct clock clock = {read_fixed, &fixed};
    (void)state;
    assert_int_equal(clock_now(&clock).monotonic_us, 5);
    fixed.wall_us = 8;
    assert_int_equal(clock_now(&clock).wall_us, 8);
}

static void
times_format_as_rfc_3339_with_microseconds(void **state)
{
    char text[TIMESTAMP_TEXT_SIZE];
    (void)state;
    timestamp_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000000Z");
    timestamp_format(UINT64_C(1767323045678901), text);
    assert_string_equal(text, "2026-01-02T03:04:05.678901Z");
    timestamp_format(UINT64_C(1709164800000001), text);
    assert_string_equal(text, "2024-02-29T00:00:00.000001Z");
    timestamp_format(UINT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999999Z");
}

/* gmtime_r is the oracle, from 1970 to 2500 in steps that meet every day of the year. */
static void
dates_agree_with_the_c_library_both_ways(void **state)
{
    (void)state;
    for (time_t seconds = 0; seconds < (time_t)530 * 365 * 86400; seconds += 5 * 86400 + 12347) {
        char text[TIMESTAMP_TEXT_SIZE], wanted[64];
        struct tm parts;
        uint64_t parsed;
        assert_non_null(gmtime_r(&seconds, &parts));
        strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%S.000000Z", &parts);

        timestamp_format((uint64_t)seconds * 1000000, text);

        assert_string_equal(text, wanted);
        assert_true(timestamp_parse(text_of(text), &parsed));
        assert_true(parsed == (uint64_t)seconds * 1000000);
    }
}

static void
every_accepted_form_gives_the_same_time(void **state)
{
    static const char *const forms[] = {
        "2026-01-02T03:04:05.500000Z",
        "2026-01-02T03:04:05.5Z",
        "2026-01-02 03:04:05.5",
        "2026-01-02T03:04:05.500000",
        "2026-01-02T03:04:05.500000+00:00",
        "2026-01-02t03:04:05.5z",
        "2026-01-02T05:34:05.5+02:30",
        "2026-01-01T22:04:05.5-05:00",
        "2026-01-02T03:04:05.500000999Z",
    };
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        uint64_t parsed = 0;
        if (!timestamp_parse(text_of(forms[i]), &parsed))
            fail_msg("%s is refused", forms[i]);
        assert_true(parsed == UINT64_C(1767323045500000));
    }
    uint64_t parsed;
    assert_true(timestamp_parse(text_of("2026-01-02T03:04:05"), &parsed));
    assert_true(parsed == UINT64_C(1767323045000000));
    assert_true(timestamp_parse(text_of("2016-12-31T23:59:60Z"), &parsed));
    assert_true(parsed == UINT64_C(1483228800000000));
}

static void
other_texts_are_refused_and_leave_the_output_alone(void **state)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-02",
        "2026-01-02T03:04",
        "2026-1-2T03:04:05Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T00:60:00Z",
        "2026-01-02T00:00:61Z",
        "2026-01-02T00:00:00.Z",
        "2026-01-02T00:00:00,5Z",
        "2026-01-02T00:00:00Zx",
        "2026-01-02T00:00:00+1:00",
        "2026-01-02T00:00:00+0100",
        "2026-01-02T00:00:00+24:00",
        "2026-01-02T00:00:00+01:60",
        "2026-01-02T00:00:00 Z",
        "2026-01-02X00:00:00Z",
        " 2026-01-02T00:00:00Z",
        "-026-01-02T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
        "0000-01-01T00:00:00Z",
        "+026-01-02T00:00:00Z",
    };
    uint64_t time = 42;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (timestamp_parse(text_of(bad[i]), &time))
            fail_msg("%s is accepted", bad[i]);
        assert_int_equal(time, 42);
    }
    assert_false(timestamp_parse((struct text){"2026-01-02\0"
                                               "00:00:00",
                                               19},
                                 &time));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_is_read_through_its_function),
        cmocka_unit_test(times_format_as_rfc_3339_with_microseconds),
        cmocka_unit_test(dates_agree_with_the_c_library_both_ways),
        cmocka_unit_test(every_accepted_form_gives_the_same_time),
        cmocka_unit_test(other_texts_are_refused_and_leave_the_output_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
