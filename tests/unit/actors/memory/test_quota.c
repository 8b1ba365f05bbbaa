/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
each_edition_has_its_bound(void **state)
{
    (void)state;
    static const struct {
        const char *edition;
        size_t memories_max;
    } rows[] = {{"business", 100000}, {"education", 10000}, {"kids", 0}, {"art", 50000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct memories_limits limits;
        assert_int_equal(quota_find(text_of(rows[i].edition), &limits, NULL), STATUS_OK);
        assert_int_equal(limits.memories_max, rows[i].memories_max);
        assert_int_equal(limits.bytes_max, 1u << 30);
    }
}

static void
an_unknown_edition_is_refused(void **state)
{
    (void)state;
    struct memories_limits limits;
    struct error error = ERROR_INIT;
    assert_int_equal(quota_find(text_of("kid"), &limits, &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "edition: came kid, expected business"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_edition_has_its_bound),
        cmocka_unit_test(an_unknown_edition_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
