/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "broker/net/audit_limit.h"

enum { SECOND = 1000000 };

static int
take(struct audit_limit *limit, const char *event, int count, uint64_t now_us)
{
    int taken = 0;
    for (int i = 0; i < count; i++)
        taken += audit_limit_take(limit, event, now_us);
    return taken;
}

static void
ten_lines_of_each_event_pass_in_a_second(void **state)
{
    (void)state;
    struct audit_limit limit = {.count = 0};
    uint64_t now = 5 * SECOND;
    assert_int_equal(take(&limit, "a", 25, now), 10);
    assert_int_equal(take(&limit, "b", 25, now), 10);
    assert_int_equal(take(&limit, "a", 5, now + SECOND - 1), 0);
}

static void
then_one_line_says_how_many_were_left_out(void **state)
{
    (void)state;
    struct audit_limit limit = {.count = 0};
    const char *event = NULL;
    uint64_t left_out = 0;
    uint64_t now = 5 * SECOND;
    take(&limit, "a", 25, now);
    take(&limit, "b", 3, now);
    assert_int_equal(audit_limit_next(&limit), now + SECOND);
    assert_false(audit_limit_due(&limit, now + SECOND - 1, &event, &left_out));
    assert_true(audit_limit_due(&limit, now + SECOND, &event, &left_out));
    assert_string_equal(event, "a");
    assert_int_equal(left_out, 15);
    assert_false(audit_limit_due(&limit, now + SECOND, &event, &left_out));
    assert_true(audit_limit_next(&limit) == UINT64_MAX);
    assert_int_equal(take(&limit, "a", 25, now + SECOND), 10);
}

static void
nothing_that_is_left_out_goes_untold(void **state)
{
    (void)state;
    struct audit_limit limit = {.count = 0};
    const char *event = NULL;
    uint64_t left_out = 0;
    take(&limit, "a", 11, 0);
    assert_int_equal(take(&limit, "a", 4, 9 * SECOND), 0); /* the one is still to be told */
    assert_true(audit_limit_due(&limit, 9 * SECOND, &event, &left_out));
    assert_int_equal(left_out, 5);
}

static void
events_beyond_the_table_share_a_place(void **state)
{
    (void)state;
    struct audit_limit limit = {.count = 0};
    char name[64];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "an event with a name that is longer than there is room %d", i);
        audit_limit_take(&limit, name + 20, 0);
    }
    assert_int_equal(limit.count, AUDIT_LIMIT_EVENTS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_lines_of_each_event_pass_in_a_second),
        cmocka_unit_test(then_one_line_says_how_many_were_left_out),
        cmocka_unit_test(nothing_that_is_left_out_goes_untold),
        cmocka_unit_test(events_beyond_the_table_share_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
