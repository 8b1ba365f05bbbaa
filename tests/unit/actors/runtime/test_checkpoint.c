/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static const struct sending the_operator = {.source = "user:operator"};

static void
a_checkpoint_is_answered_when_it_is_made_and_holds_commits_meanwhile(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id =
        runtime_send(f, &the_operator, "store_checkpoint", "folder", "/backups/one", NULL);
    service_run(f);
    assert_string_equal(f->checkpoint, "/backups/one");
    assert_int_equal(service_replies_to(f, &id), 0);

    struct uuid write = runtime_send(f, NULL, "notes_put", "name", "a", "text", "1x", NULL);
    service_run(f);
    assert_int_equal(service_replies_to(f, &write), 0);
    assert_int_equal(f->commits, 0);

    f->checkpoint = NULL;
    dispatch_committed(f->dispatch, STATUS_OK, NULL);
    service_run(f);

    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(service_status(f, &write), STATUS_OK);
}

static void
a_checkpoint_waits_for_the_commit_under_way(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    runtime_send(f, NULL, "notes_put", "name", "a", "text", "1x", NULL);
    service_run(f);
    runtime_send(f, &the_operator, "store_checkpoint", "folder", "/backups/one", NULL);
    service_run(f);
    assert_null(f->checkpoint);

    service_commit(f);
    dispatch_run(f->dispatch);

    assert_non_null(f->checkpoint);
    f->checkpoint = NULL;
    dispatch_committed(f->dispatch, STATUS_OK, NULL);
}

static void
a_failed_checkpoint_says_why_and_does_not_make_the_store_failed(void **state)
{
    struct service_fixture *f = *state;
    struct error error;
    struct uuid id =
        runtime_send(f, &the_operator, "store_checkpoint", "folder", "/backups/one", NULL);
    service_run(f);
    f->checkpoint = NULL;
    error_set(&error, "/backups/one is there already");

    dispatch_committed(f->dispatch, STATUS_ALREADY_EXISTS, &error);

    assert_int_equal(service_status(f, &id), STATUS_ALREADY_EXISTS);
    struct uuid write = runtime_send(f, NULL, "notes_put", "name", "a", "text", "1x", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &write), STATUS_OK);
}

static void
only_the_operator_itself_may_ask(void **state)
{
    struct service_fixture *f = *state;
    static const struct sending others[] = {{.source = "agent:kasra"},
                                            {.source = "service:gateway"},
                                            {.source = "user:operator", .principal = "user:local"}};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct uuid id =
            runtime_send(f, &others[i], "store_checkpoint", "folder", "/backups/one", NULL);
        service_run(f);
        assert_int_equal(service_status(f, &id), STATUS_FORBIDDEN);
        assert_null(f->checkpoint);
    }
}

static void
a_bad_folder_is_refused_by_name(void **state)
{
    struct service_fixture *f = *state;
    static const char *const folders[] = {"", "relative/path", "12"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        struct uuid id =
            runtime_send(f, &the_operator, "store_checkpoint", "folder", folders[i], NULL);
        service_run(f);
        assert_int_equal(service_status(f, &id), STATUS_VALIDATION);
    }
    struct uuid none = runtime_send(f, &the_operator, "store_checkpoint", NULL);
    assert_int_equal(service_status(f, &none), STATUS_VALIDATION);
    assert_null(f->checkpoint);
}

static void
a_second_checkpoint_at_once_is_busy(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, &the_operator, "store_checkpoint", "folder", "/backups/one", NULL);
    struct uuid second =
        runtime_send(f, &the_operator, "store_checkpoint", "folder", "/backups/two", NULL);
    assert_int_equal(service_status(f, &second), STATUS_BUSY);
}

#define CHECKPOINT_TEST(name) cmocka_unit_test_setup_teardown(name, runtime_setup, runtime_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CHECKPOINT_TEST(a_checkpoint_is_answered_when_it_is_made_and_holds_commits_meanwhile),
        CHECKPOINT_TEST(a_checkpoint_waits_for_the_commit_under_way),
        CHECKPOINT_TEST(a_failed_checkpoint_says_why_and_does_not_make_the_store_failed),
        CHECKPOINT_TEST(only_the_operator_itself_may_ask),
        CHECKPOINT_TEST(a_bad_folder_is_refused_by_name),
        CHECKPOINT_TEST(a_second_checkpoint_at_once_is_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
