/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_store.h"

#include <stdlib.h>

static void
batch_keeps_its_own_copies_in_order(void **state)
{
    (void)state;
    char key[] = "key";
    char value[] = "value";
    struct store_batch *batch = store_batch_new();

    assert_int_equal(store_batch_add(batch, STORE_PUT, 1, bytes_of(key), bytes_of(value)),
                     STATUS_OK);
    assert_int_equal(store_batch_add(batch, STORE_DELETE, 2, bytes_of("gone"), bytes_of("ignored")),
                     STATUS_OK);
    memset(key, 'x', 3);
    memset(value, 'x', 5);

    assert_int_equal(store_batch_count(batch), 2);
    assert_int_equal(store_batch_bytes(batch), 3 + 5 + 4);
    const struct store_write *put = store_batch_at(batch, 0);
    assert_int_equal(put->type, STORE_PUT);
    assert_int_equal(put->space, 1);
    assert_int_equal(put->key.size, 3);
    assert_memory_equal(put->key.data, "key", 3);
    assert_int_equal(put->value.size, 5);
    assert_memory_equal(put->value.data, "value", 5);
    assert_int_equal(store_batch_at(batch, 1)->value.size, 0);

    store_batch_destroy(&batch);
    assert_null(batch);
    store_batch_destroy(&batch);
}

static void
truncating_returns_to_a_savepoint(void **state)
{
    (void)state;
    struct store_batch *batch = store_batch_new();
    for (int i = 0; i < 100; i++)
        assert_int_equal(store_batch_add(batch, STORE_PUT, 1, bytes_of("k"), bytes_of("vv")),
                         STATUS_OK);

    store_batch_truncate(batch, 40);
    assert_int_equal(store_batch_count(batch), 40);
    assert_int_equal(store_batch_bytes(batch), 120);
    store_batch_truncate(batch, 41);
    assert_int_equal(store_batch_count(batch), 40);
    store_batch_truncate(batch, 0);
    assert_int_equal(store_batch_bytes(batch), 0);

    store_batch_destroy(&batch);
}

static void
too_large_keys_and_values_are_refused(void **state)
{
    (void)state;
    struct store_batch *batch = store_batch_new();
    uint8_t *large = calloc(1, STORE_VALUE_MAX + 1);
    assert_non_null(large);

    assert_int_equal(store_batch_add(batch, STORE_PUT, 1, (struct bytes){large, STORE_KEY_MAX + 1},
                                     bytes_of("")),
                     STATUS_TOO_LARGE);
    assert_int_equal(store_batch_add(batch, STORE_PUT, 1, bytes_of("k"),
                                     (struct bytes){large, STORE_VALUE_MAX + 1}),
                     STATUS_TOO_LARGE);
    assert_int_equal(store_batch_count(batch), 0);
    assert_int_equal(
        store_batch_add(batch, STORE_PUT, 1, (struct bytes){large, STORE_KEY_MAX}, bytes_of("")),
        STATUS_OK);

    free(large);
    store_batch_destroy(&batch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batch_keeps_its_own_copies_in_order),
        cmocka_unit_test(truncating_returns_to_a_savepoint),
        cmocka_unit_test(too_large_keys_and_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
