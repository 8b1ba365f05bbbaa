/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_store.h"

static enum status
ignore_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    (void)context;
    (void)key;
    (void)value;
    (void)error;
    return STATUS_OK;
}

static enum status
call(struct store *store, int which, struct error *error)
{
    struct buffer out;
    buffer_init(&out);
    enum status status;
    if (which == 0)
        status = store_get(store, FIXTURE_SPACE, bytes_of("a"), &out, error);
    else if (which == 1)
        status = store_scan(store, FIXTURE_SPACE, bytes_of(""), false, ignore_row, NULL, error);
    else
        status = store_put_status(store, "b", bytes_of("2"), error);
    buffer_clear(&out);
    return status;
}

static void
the_counted_call_fails_once_whatever_it_is(void **state)
{
    (void)state;
    for (int after = 0; after < 3; after++) {
        for (int which = 0; which < 3; which++) {
            struct store *store = NULL;
            struct error error = ERROR_INIT;
            assert_int_equal(store_open_memory(&store, 1), STATUS_OK);
            store_put(store, "a", "1");
            store_fault_after(store, after);

            for (int i = 0; i < after; i++)
                assert_int_equal(call(store, 0, &error), STATUS_OK);
            assert_int_equal(call(store, which, &error), STATUS_STORE_FAILED);
            assert_string_not_equal(error.message, "");
            store_lacks(store, "b");
            for (int i = 0; i < 3; i++)
                assert_int_equal(call(store, i, &error), STATUS_OK);
            store_close(&store);
        }
    }
}

static void
a_negative_count_means_never(void **state)
{
    (void)state;
    struct store *store = NULL;
    assert_int_equal(store_open_memory(&store, 1), STATUS_OK);
    store_fault_after(store, 0);
    store_fault_after(store, -1);
    store_put(store, "a", "1");
    store_has(store, "a", "1");
    store_close(&store);
}

static void
a_store_in_memory_cannot_be_copied_to_a_folder(void **state)
{
    (void)state;
    struct store *store = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(store_open_memory(&store, 1), STATUS_OK);
    assert_int_equal(store_checkpoint(store, "/nowhere", &error), STATUS_NOT_IMPLEMENTED);
    store_close(&store);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counted_call_fails_once_whatever_it_is),
        cmocka_unit_test(a_negative_count_means_never),
        cmocka_unit_test(a_store_in_memory_cannot_be_copied_to_a_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
