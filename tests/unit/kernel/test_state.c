/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <string.h>

#include "kernel/state.h"

enum { DOOR_SHUT, DOOR_AJAR, DOOR_STATES };
enum { DOOR_PUSH, DOOR_PULL, DOOR_EVENTS };

static const char *const states[] = {"shut", "ajar"};
static const char *const events[] = {"push", "pull"};
static const struct state_row rows[] = {{DOOR_SHUT, DOOR_PUSH, DOOR_AJAR},
                                        {DOOR_AJAR, DOOR_PULL, DOOR_SHUT}};
static const struct state_machine door = {"door", states, DOOR_STATES, events, DOOR_EVENTS,
                                          rows,   2};

static void
a_row_moves_the_state(void **state)
{
    (void)state;
    int at = DOOR_SHUT;
    assert_int_equal(state_step(&door, &at, DOOR_PUSH, NULL), STATUS_OK);
    assert_int_equal(at, DOOR_AJAR);
    assert_int_equal(state_step(&door, &at, DOOR_PULL, NULL), STATUS_OK);
    assert_int_equal(at, DOOR_SHUT);
}

static void
no_row_is_a_conflict_that_names_state_and_action(void **state)
{
    (void)state;
    int at = DOOR_SHUT;
    struct error error = ERROR_INIT;
    assert_int_equal(state_step(&door, &at, DOOR_PULL, &error), STATUS_CONFLICT);
    assert_int_equal(at, DOOR_SHUT);
    assert_string_equal(error.message, "door is shut: pull is not allowed");
}

static void
states_and_events_beyond_the_table_are_refused(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    int at = 99;
    assert_int_equal(state_step(&door, &at, -1, &error), STATUS_CONFLICT);
    assert_int_equal(at, 99);
    assert_non_null(strstr(error.message, "unknown"));
}

static void
allows_answers_as_step_does_for_every_pair(void **state)
{
    (void)state;
    for (int from = 0; from < DOOR_STATES; from++) {
        for (int event = 0; event < DOOR_EVENTS; event++) {
            int at = from;
            bool stepped = state_step(&door, &at, event, NULL) == STATUS_OK;
            assert_int_equal(state_allows(&door, from, event), stepped);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_moves_the_state),
        cmocka_unit_test(no_row_is_a_conflict_that_names_state_and_action),
        cmocka_unit_test(states_and_events_beyond_the_table_are_refused),
        cmocka_unit_test(allows_answers_as_step_does_for_every_pair),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
