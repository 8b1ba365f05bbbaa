/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/latency.h"

enum { SECOND = 1000000 };

static void
percentiles_are_within_a_fifth_and_never_above_the_largest(void **state)
{
    (void)state;
    for (uint64_t scale = 1; scale <= 1000000; scale *= 10) {
        struct latency latency = {.slots = {{0}}};
        struct latency_sum sum = {.count = 0};
        for (uint64_t i = 1; i <= 100; i++)
            latency_add(&latency, SECOND, i * scale, 0);
        latency_collect(&latency, SECOND, 1, &sum);
        assert_int_equal(sum.count, 100);
        assert_int_equal(sum.max_us, 100 * scale);
        double p50 = (double)latency_percentile(&sum, 0.5) / (double)scale;
        double p99 = (double)latency_percentile(&sum, 0.99) / (double)scale;
        assert_true(p50 >= 50 && p50 <= 60);
        assert_true(p99 >= 99 && p99 <= 100);
    }
}

static void
durations_of_all_sizes_have_a_bucket(void **state)
{
    (void)state;
    static const uint64_t durations[] = {0, 1, 2, 3, 4, 5, 1u << 20, UINT64_C(1) << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
        struct latency latency = {.slots = {{0}}};
        struct latency_sum sum = {.count = 0};
        latency_add(&latency, 0, durations[i], 1);
        latency_collect(&latency, 0, 1, &sum);
        assert_int_equal(sum.errors, 1);
        assert_true(latency_percentile(&sum, 0.5) <= durations[i]);
        assert_true(latency_percentile(&sum, 0.5) >= durations[i] / 2 || durations[i] > 1u << 31);
    }
}

static void
what_is_older_than_the_window_is_forgotten(void **state)
{
    (void)state;
    struct latency latency = {.slots = {{0}}};
    for (uint64_t slot = 0; slot < 20; slot++) {
        struct latency_sum last = {.count = 0};
        struct latency_sum all = {.count = 0};
        latency_add(&latency, slot * LATENCY_SLOT_US, 100 + slot, 0);
        latency_collect(&latency, slot * LATENCY_SLOT_US, 1, &last);
        latency_collect(&latency, slot * LATENCY_SLOT_US, LATENCY_SLOTS, &all);
        assert_int_equal(last.count, 1);
        assert_int_equal(last.max_us, 100 + slot);
        assert_int_equal(all.count, slot < LATENCY_SLOTS ? slot + 1 : LATENCY_SLOTS);
    }
    struct latency_sum later = {.count = 0};
    latency_collect(&latency, UINT64_C(1000) * LATENCY_SLOT_US, LATENCY_SLOTS, &later);
    assert_int_equal(later.count, 0);
    assert_int_equal(latency_percentile(&later, 0.99), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_within_a_fifth_and_never_above_the_largest),
        cmocka_unit_test(durations_of_all_sizes_have_a_bucket),
        cmocka_unit_test(what_is_older_than_the_window_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
