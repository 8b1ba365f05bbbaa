/* SPDX-License-Identifier: Apache-2.0 */
/* A reserve on the disk: who may still write when it is reached. */
#include "fixture_store.h"

#include <stdlib.h>

enum { MIB = 1 << 20 };

static const uint64_t DISK = 1ull << 30;

struct room_fixture {
    struct store *store;
    struct error error;
};

static int
setup(void **state)
{
    struct room_fixture *fixture = calloc(1, sizeof *fixture);
    *state = fixture;
    return store_open_memory(&fixture->store, FIXTURE_SCHEMA) == STATUS_OK ? 0 : -1;
}

static int
teardown(void **state)
{
    struct room_fixture *fixture = *state;
    store_close(&fixture->store);
    free(fixture);
    return 0;
}

/* size: bytes of the put's value; 0: none. */
static enum status
write_rows(struct room_fixture *f, size_t size, unsigned deletes)
{
    struct store_batch *batch = store_batch_new();
    uint8_t *value;
    if (size > 0) {
        assert_int_equal(store_batch_put(batch, FIXTURE_SPACE, bytes_of("put"), size, &value),
                         STATUS_OK);
        memset(value, 'v', size);
    }
    for (unsigned i = 0; i < deletes; i++)
        assert_int_equal(
            store_batch_add(batch, STORE_DELETE, FIXTURE_SPACE, bytes_of("gone"), bytes_of("")),
            STATUS_OK);
    f->error = ERROR_INIT;
    enum status status = store_commit(f->store, batch, &f->error);
    store_batch_destroy(&batch);
    return status;
}

static void
without_a_reserve_nothing_is_refused(void **state)
{
    struct room_fixture *f = *state;
    store_pretend_room(f->store, 0, DISK);
    assert_int_equal(write_rows(f, 100, 0), STATUS_OK);
    assert_false(store_is_full(f->store, 100, NULL));
}

static void
a_put_that_would_touch_the_reserve_is_refused_in_words(void **state)
{
    struct room_fixture *f = *state;
    store_set_reserve(f->store, 64 * MIB);
    store_pretend_room(f->store, 64 * MIB + 2000, DISK);
    assert_int_equal(write_rows(f, 1000, 0), STATUS_OK);
    assert_int_equal(write_rows(f, 1000, 0), STATUS_STORE_FAILED);
    assert_string_equal(f->error.word, "storage_full");
    assert_non_null(strstr(f->error.message, "67108864"));
    assert_false(store_has_failed(f->store));
}

static void
what_was_refused_is_not_written(void **state)
{
    struct room_fixture *f = *state;
    store_set_reserve(f->store, 64 * MIB);
    store_pretend_room(f->store, 64 * MIB, DISK);
    assert_int_equal(write_rows(f, 10, 0), STATUS_STORE_FAILED);
    store_lacks(f->store, "put");
    assert_int_equal(write_rows(f, 0, 3), STATUS_OK);
    store_pretend_room(f->store, 66 * MIB, DISK);
    assert_int_equal(write_rows(f, 10, 0), STATUS_OK);
    store_has(f->store, "put", "vvvvvvvvvv");
}

static void
what_shrinks_is_allowed_down_to_a_quarter(void **state)
{
    struct room_fixture *f = *state;
    store_set_reserve(f->store, 64 * MIB);
    store_pretend_room(f->store, 16 * MIB, DISK);
    assert_int_equal(write_rows(f, 900, 1), STATUS_OK);
    assert_int_equal(write_rows(f, 1100, 1), STATUS_STORE_FAILED);
    store_pretend_room(f->store, 16 * MIB, DISK);
    assert_int_equal(write_rows(f, 1100, 2), STATUS_OK);
    store_pretend_room(f->store, 16 * MIB - 1, DISK);
    assert_int_equal(write_rows(f, 100, 1), STATUS_STORE_FAILED);
    assert_int_equal(write_rows(f, 0, 1), STATUS_OK);
    store_pretend_room(f->store, 0, DISK);
    assert_int_equal(write_rows(f, 0, 1), STATUS_OK);
}

static void
the_reserve_is_an_eighth_of_a_small_disk_and_never_less_than_a_little(void **state)
{
    struct room_fixture *f = *state;
    store_set_reserve(f->store, 64 * MIB);
    store_pretend_room(f->store, 20 * MIB, 128 * MIB);
    assert_int_equal(write_rows(f, 100, 0), STATUS_OK);
    store_pretend_room(f->store, 16 * MIB, 128 * MIB);
    assert_int_equal(write_rows(f, 100, 0), STATUS_STORE_FAILED);
    store_pretend_room(f->store, 10 * MIB, 32 * MIB);
    assert_int_equal(write_rows(f, 100, 0), STATUS_OK);
    store_set_reserve(f->store, 0);
    store_pretend_room(f->store, 8 * MIB, DISK);
    assert_int_equal(write_rows(f, 100, 0), STATUS_STORE_FAILED);
}

static void
a_full_disk_must_get_some_room_before_puts_are_taken_again(void **state)
{
    struct room_fixture *f = *state;
    store_set_reserve(f->store, 64 * MIB);
    store_pretend_room(f->store, 64 * MIB - 1, DISK);
    assert_int_equal(write_rows(f, 100, 0), STATUS_STORE_FAILED);
    store_pretend_room(f->store, 65 * MIB - 1, DISK);
    assert_true(store_is_full(f->store, 0, &f->error));
    assert_string_equal(f->error.word, "storage_full");
    store_pretend_room(f->store, 65 * MIB, DISK);
    assert_false(store_is_full(f->store, 0, NULL));
    assert_true(store_is_full(f->store, 2 * MIB, NULL));
    assert_int_equal(write_rows(f, 100, 0), STATUS_OK);
}

static void
a_large_batch_is_refused_while_small_ones_fit(void **state)
{
    struct room_fixture *f = *state;
    store_set_reserve(f->store, 64 * MIB);
    store_pretend_room(f->store, 68 * MIB, DISK);
    assert_int_equal(write_rows(f, 5 * MIB, 0), STATUS_STORE_FAILED);
    assert_int_equal(write_rows(f, MIB, 0), STATUS_OK);
}

static void
a_store_on_disk_knows_how_much_is_free(void **state)
{
    void *base = NULL;
    (void)state;
    assert_int_equal(fixture_setup(&base), 0);
    struct fixture *fixture = base;
    struct store *store = fixture_open(fixture, fixture->folder);
    store_set_reserve(store, 1);
    store_put(store, "a", "1");
    assert_false(store_is_full(store, 1000, NULL));
    assert_true(store_is_full(store, UINT64_MAX / 2, NULL));
    store_close(&store);
    fixture_teardown(&base);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_a_reserve_nothing_is_refused),
        TEST(a_put_that_would_touch_the_reserve_is_refused_in_words),
        TEST(what_was_refused_is_not_written),
        TEST(what_shrinks_is_allowed_down_to_a_quarter),
        TEST(the_reserve_is_an_eighth_of_a_small_disk_and_never_less_than_a_little),
        TEST(a_full_disk_must_get_some_room_before_puts_are_taken_again),
        TEST(a_large_batch_is_refused_while_small_ones_fit),
        cmocka_unit_test(a_store_on_disk_knows_how_much_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
