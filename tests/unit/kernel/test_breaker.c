/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/breaker.h"

static const uint64_t SECOND = 1000000;

static void
every_pair_of_state_and_event_goes_where_the_specification_says(void **state)
{
    (void)state;
    enum { NONE = -1 };
    static const int expected[BREAKER_STATES][BREAKER_EVENTS] = {
        [BREAKER_CLOSED] = {[BREAKER_ON_TRIP] = BREAKER_OPEN,
                            [BREAKER_ON_COOLED] = NONE,
                            [BREAKER_ON_SUCCESS] = BREAKER_CLOSED,
                            [BREAKER_ON_FAILURE] = BREAKER_CLOSED},
        [BREAKER_OPEN] = {[BREAKER_ON_TRIP] = NONE,
                          [BREAKER_ON_COOLED] = BREAKER_HALF_OPEN,
                          [BREAKER_ON_SUCCESS] = NONE,
                          [BREAKER_ON_FAILURE] = NONE},
        [BREAKER_HALF_OPEN] = {[BREAKER_ON_TRIP] = NONE,
                               [BREAKER_ON_COOLED] = NONE,
                               [BREAKER_ON_SUCCESS] = BREAKER_CLOSED,
                               [BREAKER_ON_FAILURE] = BREAKER_OPEN},
    };
    for (int from = 0; from < BREAKER_STATES; from++) {
        for (int event = 0; event < BREAKER_EVENTS; event++) {
            int at = from;
            enum status status = state_step(&breaker_machine, &at, event, NULL);
            int to = expected[from][event];
            assert_int_equal(status, to == NONE ? STATUS_CONFLICT : STATUS_OK);
            assert_int_equal(at, to == NONE ? from : to);
        }
    }
}

static void
fail_times(struct breaker *breaker, unsigned times, uint64_t now_us)
{
    for (unsigned i = 0; i < times; i++) {
        assert_true(breaker_admit(breaker, now_us));
        breaker_report(breaker, false, now_us);
    }
}

static void
three_consecutive_failures_open_it_for_a_minute(void **state)
{
    (void)state;
    struct breaker breaker;
    breaker_init(&breaker);
    fail_times(&breaker, 2, SECOND);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_int_equal(breaker_retry_ms(&breaker, SECOND), 0);
    fail_times(&breaker, 1, 2 * SECOND);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_false(breaker_admit(&breaker, 2 * SECOND));
    assert_int_equal(breaker_retry_ms(&breaker, 2 * SECOND), 60000);
    assert_int_equal(breaker_retry_ms(&breaker, 2 * SECOND + 1), 60000);
    assert_int_equal(breaker_retry_ms(&breaker, 61 * SECOND), 1000);
    assert_false(breaker_admit(&breaker, 62 * SECOND - 1));
    assert_true(breaker_admit(&breaker, 62 * SECOND));
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
}

static void
a_success_in_between_starts_the_count_anew(void **state)
{
    (void)state;
    struct breaker breaker;
    breaker_init(&breaker);
    fail_times(&breaker, 2, 0);
    breaker_report(&breaker, true, 0);
    fail_times(&breaker, 2, 0);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void
half_open_lets_one_try_decide(void **state)
{
    (void)state;
    struct breaker breaker;
    breaker_init(&breaker);
    fail_times(&breaker, 3, 0);
    assert_true(breaker_admit(&breaker, 60 * SECOND));
    assert_false(breaker_admit(&breaker, 60 * SECOND));
    assert_true(breaker_retry_ms(&breaker, 60 * SECOND) > 0);

    breaker_report(&breaker, false, 61 * SECOND);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_false(breaker_admit(&breaker, 121 * SECOND - 1));

    assert_true(breaker_admit(&breaker, 121 * SECOND));
    breaker_report(&breaker, true, 122 * SECOND);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    fail_times(&breaker, 2, 122 * SECOND);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void
an_abandoned_try_leaves_room_for_the_next(void **state)
{
    (void)state;
    struct breaker breaker;
    breaker_init(&breaker);
    fail_times(&breaker, 3, 0);
    assert_true(breaker_admit(&breaker, 60 * SECOND));
    breaker_abandon(&breaker);
    assert_int_equal(breaker_retry_ms(&breaker, 60 * SECOND), 0);
    assert_true(breaker_admit(&breaker, 60 * SECOND));
}

static void
late_results_change_nothing_while_it_is_open(void **state)
{
    (void)state;
    struct breaker breaker;
    breaker_init(&breaker);
    fail_times(&breaker, 3, 0);
    breaker_report(&breaker, true, SECOND);
    breaker_report(&breaker, false, 30 * SECOND);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_true(breaker_admit(&breaker, 60 * SECOND));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_state_and_event_goes_where_the_specification_says),
        cmocka_unit_test(three_consecutive_failures_open_it_for_a_minute),
        cmocka_unit_test(a_success_in_between_starts_the_count_anew),
        cmocka_unit_test(half_open_lets_one_try_decide),
        cmocka_unit_test(an_abandoned_try_leaves_room_for_the_next),
        cmocka_unit_test(late_results_change_nothing_while_it_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
