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

/* Rows of all sizes, larger than a block among them. */
static size_t
size_of_row(size_t index)
{
    return index % 7 == 3 ? 100000 + index : index * 37 % 5000;
}

static void
add_row(struct store_batch *batch, size_t index)
{
    uint8_t *value;
    uint8_t key = (uint8_t)index;
    assert_int_equal(store_batch_put(batch, 1, (struct bytes){&key, 1}, size_of_row(index), &value),
                     STATUS_OK);
    memset(value, (int)index, size_of_row(index));
}

static void
rows_stand_whatever_is_added_and_taken_back_behind_them(void **state)
{
    (void)state;
    struct store_batch *batch = store_batch_new();
    for (size_t round = 0; round < 3; round++) {
        for (size_t i = store_batch_count(batch); i < 100; i++)
            add_row(batch, i);
        store_batch_truncate(batch, 60 - round * 20);
        for (size_t i = store_batch_count(batch); i < 80; i++)
            add_row(batch, i);
        size_t bytes = 0;
        for (size_t i = 0; i < 80; i++) {
            const struct store_write *write = store_batch_at(batch, i);
            assert_int_equal(write->key.data[0], i);
            assert_int_equal(write->value.size, size_of_row(i));
            for (size_t at = 0; at < write->value.size; at += 97)
                assert_int_equal(write->value.data[at], i);
            bytes += 1 + write->value.size;
        }
        assert_int_equal(store_batch_bytes(batch), bytes);
    }
    store_batch_truncate(batch, 0);
    assert_int_equal(store_batch_bytes(batch), 0);
    add_row(batch, 3);
    store_batch_truncate(batch, 0);
    add_row(batch, 1);
    assert_int_equal(store_batch_at(batch, 0)->value.data[36], 1);
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
        cmocka_unit_test(rows_stand_whatever_is_added_and_taken_back_behind_them),
        cmocka_unit_test(too_large_keys_and_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
