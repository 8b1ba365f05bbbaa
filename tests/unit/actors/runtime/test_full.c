/* SPDX-License-Identifier: Apache-2.0 */
/* A full disk: writes are refused in plain words, reads go on, and so do writes when there is room
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static const uint64_t DISK = 1ull << 30;

static void
fill(struct service_fixture *f)
{
    store_set_reserve(f->store, 64 << 20);
    store_pretend_room(f->store, 1 << 20, DISK);
}

static void
a_full_disk_refuses_writes_and_answers_reads(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, NULL, "notes_put", "name", "kept", "text", "x", NULL);
    service_run(f);
    fill(f);

    struct uuid write = runtime_send(f, NULL, "notes_put", "name", "a", "text", "one", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &write), STATUS_STORE_FAILED);
    assert_true(text_equal_string(runtime_text_of(f, &write, "detail"), "storage_full"));
    assert_false(runtime_stored(f, "a", "one"));

    struct uuid read = runtime_send(f, NULL, "notes_get", "name", "kept", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &read), STATUS_OK);
    assert_null(dispatch_failure(f->dispatch));
    struct uuid health = runtime_send(f, NULL, "health_check", NULL);
    assert_true(text_equal_string(runtime_text_of(f, &health, "status"), "degraded"));
}

static void
the_state_is_not_loaded_again_for_want_of_room(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, NULL, "notes_put", "name", "kept", "text", "x", NULL);
    service_run(f);
    fill(f);
    struct note_state *before = runtime_state(f);
    runtime_send(f, NULL, "notes_put", "name", "a", "text", "one", NULL);
    service_run(f);
    assert_ptr_equal(runtime_state(f), before);
    assert_int_equal(before->rows_live, 1);
}

static void
writes_are_taken_again_at_once_when_there_is_room(void **state)
{
    struct service_fixture *f = *state;
    fill(f);
    struct uuid refused = runtime_send(f, NULL, "notes_put", "name", "a", "text", "one", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &refused), STATUS_STORE_FAILED);

    store_pretend_room(f->store, DISK / 2, DISK);
    struct uuid write = runtime_send(f, NULL, "notes_put", "name", "a", "text", "one", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &write), STATUS_OK);
    assert_true(runtime_stored(f, "a", "one"));
    struct uuid health = runtime_send(f, NULL, "health_check", NULL);
    assert_true(text_equal_string(runtime_text_of(f, &health, "status"), "ok"));
}

static void
reads_are_answered_beside_a_write_that_is_refused(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, NULL, "notes_put", "name", "kept", "text", "x", NULL);
    service_run(f);
    fill(f);
    f->hold_commits = true;
    struct uuid write = runtime_send(f, NULL, "notes_put", "name", "a", "text", "one", NULL);
    struct uuid read = runtime_send(f, NULL, "notes_get", "name", "kept", NULL);
    struct uuid fresh = runtime_send(f, NULL, "notes_get", "name", "a", NULL);
    struct uuid count = runtime_send(f, NULL, "notes_count", "name", "c", "text", "one", NULL);
    service_run(f);
    service_commit(f);
    assert_int_equal(service_status(f, &write), STATUS_STORE_FAILED);
    assert_int_equal(service_status(f, &read), STATUS_OK);
    assert_int_equal(service_status(f, &fresh), STATUS_STORE_FAILED); /* it saw what is not kept */
    assert_int_equal(service_status(f, &count), STATUS_OK);
    assert_false(runtime_stored(f, "c", "one"));
    assert_int_equal(runtime_state(f)->rows_live, 1);
}

int
main(void)
{
#define FULL_TEST(name) cmocka_unit_test_setup_teardown(name, runtime_setup, runtime_teardown)
    const struct CMUnitTest tests[] = {
        FULL_TEST(a_full_disk_refuses_writes_and_answers_reads),
        FULL_TEST(the_state_is_not_loaded_again_for_want_of_room),
        FULL_TEST(reads_are_answered_beside_a_write_that_is_refused),
        FULL_TEST(writes_are_taken_again_at_once_when_there_is_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
