/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <sodium.h>

#include "kernel/revocations.h"

enum { SOON = 100, LATE = 1000 };

static enum status
add(struct revocations *revocations, const char *id, uint64_t expires_us, uint64_t now_us)
{
    const struct revocation one = {text_of(id), expires_us};
    struct error error = ERROR_INIT;
    return revocations_add(revocations, &one, 1, now_us, &error);
}

static void
a_capability_is_revoked_until_it_expires(void **state)
{
    (void)state;
    struct revocations *revocations = revocations_new();
    assert_int_equal(add(revocations, "cap_a", SOON, 1), STATUS_OK);
    assert_true(revocations_has(revocations, text_of("cap_a"), SOON - 1));
    assert_false(revocations_has(revocations, text_of("cap_a"), SOON));
    assert_false(revocations_has(revocations, text_of("cap_b"), 1));
    assert_false(revocations_has(revocations, text_of(""), 1));
    revocations_destroy(&revocations);
}

static void
an_earlier_end_takes_nothing_away(void **state)
{
    (void)state;
    struct revocations *revocations = revocations_new();
    assert_int_equal(add(revocations, "cap_a", LATE, 1), STATUS_OK);
    assert_int_equal(add(revocations, "cap_a", SOON, 1), STATUS_OK);
    assert_true(revocations_has(revocations, text_of("cap_a"), LATE - 1));
    assert_int_equal(add(revocations, "cap_a", LATE + 1, 1), STATUS_OK);
    assert_true(revocations_has(revocations, text_of("cap_a"), LATE));
    assert_int_equal(revocations_count(revocations), 1);
    revocations_destroy(&revocations);
}

static void
ids_of_any_other_size_are_refused_with_all_that_came_along(void **state)
{
    (void)state;
    char longest[CAPABILITY_ID_MAX + 2];
    memset(longest, 'x', sizeof longest);
    struct revocations *revocations = revocations_new();
    struct error error = ERROR_INIT;
    const struct revocation list[] = {{text_of("cap_a"), LATE},
                                      {{longest, CAPABILITY_ID_MAX + 1}, LATE}};
    assert_int_equal(revocations_add(revocations, list, 2, 1, &error), STATUS_VALIDATION);
    assert_int_equal(revocations_count(revocations), 0);
    assert_int_equal(add(revocations, "", LATE, 1), STATUS_VALIDATION);
    const struct revocation fits = {{longest, CAPABILITY_ID_MAX}, LATE};
    assert_int_equal(revocations_add(revocations, &fits, 1, 1, &error), STATUS_OK);
    assert_true(revocations_has(revocations, fits.id, 1));
    revocations_destroy(&revocations);
}

static void
count_visit(void *context, struct text name, uint64_t until_us)
{
    size_t *count = context;
    assert_true(name.size > 0 && until_us > 0);
    (*count)++;
}

static void
only_so_many_are_kept_and_those_that_expired_make_room(void **state)
{
    (void)state;
    struct revocations *revocations = revocations_new();
    char id[32];
    for (int i = 0; i < REVOCATIONS_MAX; i++) {
        snprintf(id, sizeof id, "cap_%012d", i);
        assert_int_equal(add(revocations, id, i % 2 ? SOON : LATE, 1), STATUS_OK);
    }
    struct error error = ERROR_INIT;
    const struct revocation one = {text_of("cap_more"), LATE};
    assert_int_equal(revocations_add(revocations, &one, 1, 1, &error), STATUS_QUOTA_EXCEEDED);
    assert_string_equal(error.word, "too_many_revocations");
    assert_int_equal(add(revocations, "cap_000000000000", LATE, 1), STATUS_OK); /* it is there */

    assert_int_equal(add(revocations, "cap_more", LATE, SOON), STATUS_OK);
    size_t count = 0;
    revocations_visit(revocations, SOON, count_visit, &count);
    assert_int_equal(count, REVOCATIONS_MAX / 2 + 1);
    assert_true(revocations_has(revocations, text_of("cap_000000000002"), SOON));
    assert_false(revocations_has(revocations, text_of("cap_000000000001"), SOON));
    revocations_destroy(&revocations);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_capability_is_revoked_until_it_expires),
        cmocka_unit_test(an_earlier_end_takes_nothing_away),
        cmocka_unit_test(ids_of_any_other_size_are_refused_with_all_that_came_along),
        cmocka_unit_test(only_so_many_are_kept_and_those_that_expired_make_room),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
