/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/vectors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
cosines_are_those_of_each_slot(void **state)
{
    (void)state;
    struct vectors vectors = {0};
    struct embedding query = {{0}}, other = {{0}};
    for (size_t i = 0; i < EMBEDDING_DIMENSIONS; i++) {
        query.values[i] = (float)i;
        other.values[i] = 2;
    }
    assert_int_equal(vectors_set(&vectors, 9, &other), STATUS_OK);
    assert_int_equal(vectors_set(&vectors, 0, &query), STATUS_OK);
    float cosines[10];

    vectors_compare(&vectors, &query, cosines, 0, 10);

    assert_float_equal(cosines[9], 383.0f * 384.0f, 0.5f);                 /* 2 · sum of i */
    assert_float_equal(cosines[0], 383.0f * 384.0f * 767.0f / 6.0f, 2.0f); /* sum of i² */
    for (size_t slot = 1; slot < 9; slot++)
        assert_true(cosines[slot] == 0);
    assert_true(vectors_bytes(&vectors) >= 10 * sizeof query);
    vectors_clear(&vectors);
    assert_int_equal(vectors_bytes(&vectors), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cosines_are_those_of_each_slot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
