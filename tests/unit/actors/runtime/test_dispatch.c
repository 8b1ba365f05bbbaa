/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

static void
a_write_is_answered_after_its_commit(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    struct uuid id = runtime_send(f, NULL, "notes_put", "name", "a", "text", "one", NULL);
    service_run(f);
    assert_int_equal(service_replies_to(f, &id), 0);
    assert_int_equal(runtime_state(f)->rows_applied, 0);

    service_commit(f);

    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_true(text_equal_string(runtime_text_of(f, &id, "name"), "a"));
    assert_true(runtime_stored(f, "a", "one"));
    assert_int_equal(runtime_state(f)->rows_applied, 1);
    assert_int_equal(dispatch_request_count(f->dispatch), 0);
}

static void
a_batch_that_only_reads_is_not_committed(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_get", "name", "a", NULL);
    char word[64];

    service_run(f);

    assert_int_equal(f->commits, 0);
    assert_int_equal(service_status(f, &id), STATUS_NOT_FOUND);
    assert_string_equal(runtime_word_of(f, &id, word), "note_not_found");
}

static void
a_bad_payload_is_refused_before_the_handler(void **state)
{
    struct service_fixture *f = *state;
    struct uuid missing = runtime_send(f, NULL, "notes_put", "text", "x", NULL);
    struct uuid ill_typed = runtime_send(f, NULL, "notes_put", "name", "12", NULL);

    service_run(f);

    assert_int_equal(service_status(f, &missing), STATUS_VALIDATION);
    assert_int_equal(service_status(f, &ill_typed), STATUS_VALIDATION);
    assert_int_equal(notes_of(f)->handler_runs, 0);
}

static void
an_unknown_operation_is_not_found(void **state)
{
    struct service_fixture *f = *state;
    char word[64];
    struct uuid id = runtime_send(f, NULL, "notes_dance", NULL);
    assert_int_equal(service_status(f, &id), STATUS_NOT_FOUND);
    assert_string_equal(runtime_word_of(f, &id, word), "operation_not_found");
}

static void
requests_of_one_batch_share_a_commit_and_a_failing_one_leaves_no_trace(void **state)
{
    struct service_fixture *f = *state;
    struct uuid first = runtime_send(f, NULL, "notes_put", "name", "a", "text", "1", NULL);
    struct uuid second = runtime_send(f, NULL, "notes_put", "name", "b", "text", "one", NULL);
    struct uuid spoiled = runtime_send(f, NULL, "notes_spoil", "name", "b", "text", "bad", NULL);
    struct uuid third = runtime_send(f, NULL, "notes_put", "name", "c", "text", "two", NULL);

    service_run(f);

    assert_int_equal(f->commits, 1);
    assert_int_equal(service_status(f, &first), STATUS_VALIDATION); /* 1 is a number */
    assert_int_equal(service_status(f, &second), STATUS_OK);
    assert_int_equal(service_status(f, &spoiled), STATUS_INTERNAL);
    assert_int_equal(service_status(f, &third), STATUS_OK);
    assert_true(runtime_stored(f, "b", "one"));
    assert_true(runtime_stored(f, "c", "two"));
}

static void
causes_of_internal_errors_stay_in_the_log(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_spoil", "name", "b", NULL);

    service_run(f);

    struct text message = runtime_text_of(f, &id, "message");
    assert_true(text_equal_string(message, status_text(STATUS_INTERNAL)));
    assert_int_equal(f->error_lines, 1);
    assert_non_null(strstr(f->last_error, "/var/lib/x"));
}

static void
reads_see_the_writes_of_their_batch_and_wait_for_its_commit(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    runtime_send(f, NULL, "notes_put", "name", "b", "text", "two", NULL);
    service_run(f);
    service_commit(f);
    runtime_send(f, NULL, "notes_put", "name", "a", "text", "one", NULL);
    runtime_send(f, NULL, "notes_put", "name", "b", "text", "new", NULL);
    struct uuid get = runtime_send(f, NULL, "notes_get", "name", "b", NULL);
    struct uuid list = runtime_send(f, NULL, "notes_list", "name", "x", NULL);
    struct uuid back = runtime_send(f, NULL, "notes_list", "name", "x", "how", "reverse", NULL);
    service_run(f);
    assert_int_equal(service_replies_to(f, &get), 0);

    service_commit(f);

    assert_true(text_equal_string(runtime_text_of(f, &get, "text"), "new"));
    assert_true(text_equal_string(runtime_text_of(f, &list, "names"), "a=one b=new"));
    assert_true(text_equal_string(runtime_text_of(f, &back, "names"), "b=new a=one"));
}

static void
nothing_is_dispatched_while_a_commit_is_under_way(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    runtime_send(f, NULL, "notes_put", "name", "a", "text", "one", NULL);
    service_run(f);

    struct uuid late = runtime_send(f, NULL, "notes_put", "name", "b", "text", "x", NULL);
    struct uuid health = runtime_send(f, NULL, "health_check", NULL);
    service_run(f);

    assert_int_equal(notes_of(f)->handler_runs, 1);
    assert_int_equal(service_status(f, &health), STATUS_OK);
    assert_true(text_equal_string(runtime_text_of(f, &health, "status"), "ok"));
    service_commit(f);
    service_run(f);
    service_commit(f);
    assert_int_equal(service_status(f, &late), STATUS_OK);
}

static void
a_failed_commit_fails_its_whole_batch_and_loads_the_state_again(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, NULL, "notes_put", "name", "kept", "text", "x", NULL);
    service_run(f);
    f->hold_commits = true;
    struct uuid write = runtime_send(f, NULL, "notes_put", "name", "a", "text", "one", NULL);
    struct uuid read = runtime_send(f, NULL, "notes_get", "name", "a", NULL);
    struct uuid waits = runtime_send(f, NULL, "notes_await", "name", "w", "how", "call", NULL);
    service_run(f);
    struct note_state *before = runtime_state(f);
    before->rows_live = 99;

    store_fault_after(f->store, 0);
    service_commit(f);

    assert_int_equal(service_status(f, &write), STATUS_STORE_FAILED);
    assert_int_equal(service_status(f, &read), STATUS_STORE_FAILED);
    assert_int_equal(service_status(f, &waits), STATUS_STORE_FAILED);
    assert_int_equal(f->call_count, 0);
    assert_int_equal(notes_of(f)->progress_alive, 0);
    assert_int_equal(runtime_state(f)->rows_live, 1);
    assert_false(runtime_stored(f, "a", "one"));
    assert_null(dispatch_failure(f->dispatch));
    struct uuid health = runtime_send(f, NULL, "health_check", NULL);
    assert_true(text_equal_string(runtime_text_of(f, &health, "status"), "unhealthy"));

    f->hold_commits = false;
    struct uuid soon = runtime_send(f, NULL, "notes_put", "name", "a", "text", "two", NULL);
    service_pass(f, 1);
    assert_int_equal(service_status(f, &soon), STATUS_STORE_FAILED);
    assert_int_equal(f->commits, 2);
    service_pass(f, 1000);
    struct uuid again = runtime_send(f, NULL, "notes_put", "name", "a", "text", "two", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &again), STATUS_OK);
    health = runtime_send(f, NULL, "health_check", NULL);
    assert_true(text_equal_string(runtime_text_of(f, &health, "status"), "ok"));
}

static void
a_state_that_cannot_be_loaded_again_ends_the_actor(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_put", "name", "poison", "text", "x", NULL);

    service_run(f);

    assert_int_equal(service_status(f, &id), STATUS_OK); /* it is on disk */
    assert_non_null(dispatch_failure(f->dispatch));
    struct uuid next = runtime_send(f, NULL, "notes_get", "name", "a", NULL);
    assert_int_equal(service_status(f, &next), STATUS_UNAVAILABLE);
}

static void
a_row_that_cannot_be_loaded_is_named_at_start(void **state)
{
    struct service_fixture *f = *state;
    struct error error = ERROR_INIT;
    struct store_batch *batch = store_batch_new();
    store_batch_add(batch, STORE_PUT, NOTE_SPACE, (struct bytes){(const uint8_t *)"poison", 6},
                    (struct bytes){0});
    assert_int_equal(store_commit(f->store, batch, &error), STATUS_OK);
    store_batch_destroy(&batch);
    struct dispatch *other = NULL;

    assert_int_equal(dispatch_new(&other, &f->options, &error), STATUS_STORE_FAILED);

    assert_null(other);
    assert_non_null(strstr(error.message, "706f69736f6e"));
    assert_non_null(strstr(error.message, "space 1"));
}

/* Every storage call fails once: the answer is an error and nothing is half done. */
static void
storage_faults_at_any_step_leave_all_or_nothing(void **state)
{
    struct service_fixture *f = *state;
    const struct sending keyed = {.key = "k"};
    bool passed = false;
    for (int step = 0; step < 20 && !passed; step++) {
        struct dispatch_options options = f->options;
        struct error error = ERROR_INIT;
        struct store *store = f->store;
        assert_int_equal(store_open_memory(&f->store, 1), STATUS_OK);
        options.store = f->store;
        dispatch_destroy(&f->dispatch);
        assert_int_equal(dispatch_new(&f->dispatch, &options, &error), STATUS_OK);
        store_close(&store);
        f->options = options;

        store_fault_after(f->store, step);
        struct uuid id = runtime_send(f, &keyed, "notes_make", "name", "a", "text", "x", NULL);
        service_run(f);
        store_fault_after(f->store, -1);

        passed = service_status(f, &id) == STATUS_OK;
        if (!passed)
            assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);
        assert_int_equal(runtime_stored(f, "a", "x"), passed);
        assert_int_equal(runtime_state(f)->rows_live, passed ? 1 : 0);
        assert_int_equal(dispatch_request_count(f->dispatch), 0);
        assert_true(step > 0 || !passed);
    }
    assert_true(passed);
}

static void
an_expectation_that_fails_refuses_only_its_own_request(void **state)
{
    struct service_fixture *f = *state;
    struct uuid first = runtime_send(f, NULL, "notes_make", "name", "a", "text", "one", NULL);
    struct uuid second = runtime_send(f, NULL, "notes_make", "name", "a", "text", "two", NULL);
    struct uuid other = runtime_send(f, NULL, "notes_put", "name", "b", "text", "x", NULL);

    service_run(f);

    assert_int_equal(service_status(f, &first), STATUS_OK);
    assert_int_equal(service_status(f, &second), STATUS_CONFLICT);
    assert_int_equal(service_status(f, &other), STATUS_OK);
    assert_true(runtime_stored(f, "a", "one"));
    struct uuid later = runtime_send(f, NULL, "notes_make", "name", "a", "text", "three", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &later), STATUS_CONFLICT);
}

static void
a_foreign_writer_costs_only_the_requests_that_it_met(void **state)
{
    struct service_fixture *f = *state;
    struct error error = ERROR_INIT;
    f->hold_commits = true;
    struct uuid guilty = runtime_send(f, NULL, "notes_make", "name", "a", "text", "mine", NULL);
    struct uuid reader = runtime_send(f, NULL, "notes_get", "name", "a", NULL);
    struct uuid other = runtime_send(f, NULL, "notes_put", "name", "b", "text", "x", NULL);
    service_run(f);
    struct store_batch *batch = store_batch_new();
    store_batch_add(batch, STORE_PUT, NOTE_SPACE, (struct bytes){(const uint8_t *)"a", 1},
                    (struct bytes){(const uint8_t *)"theirs", 6});
    assert_int_equal(store_commit(f->store, batch, &error), STATUS_OK);
    store_batch_destroy(&batch);

    while (f->commit)
        service_commit(f);

    assert_int_equal(service_status(f, &guilty), STATUS_CONFLICT);
    assert_int_equal(service_status(f, &reader), STATUS_CONFLICT);
    assert_int_equal(service_status(f, &other), STATUS_OK);
    assert_true(runtime_stored(f, "a", "theirs"));
    assert_true(runtime_stored(f, "b", "x"));
    assert_int_equal(runtime_state(f)->rows_live, 2);
    assert_false(dispatch_is_committing(f->dispatch));
}

static void
an_answer_beyond_a_record_is_refused_and_writes_nothing(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_huge", "name", "a", "text", "x", NULL);

    service_run(f);

    assert_int_equal(service_status(f, &id), STATUS_TOO_LARGE);
    assert_false(runtime_stored(f, "a", "x"));
}

static void
too_many_requests_are_refused_as_busy(void **state)
{
    struct service_fixture *f = *state;
    f->options.limits.requests_max = 3;
    service_reopen(f);
    f->hold_commits = true;
    struct uuid ids[4];
    for (int i = 0; i < 4; i++)
        ids[i] = runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);

    assert_int_equal(service_replies_to(f, &ids[2]), 0);
    assert_int_equal(service_status(f, &ids[3]), STATUS_BUSY);
    service_run(f);
    service_commit(f);
    assert_int_equal(service_status(f, &ids[2]), STATUS_OK);
}

static void
more_requests_than_a_batch_holds_go_in_several(void **state)
{
    struct service_fixture *f = *state;
    for (int i = 0; i < 600; i++) {
        char name[16];
        snprintf(name, sizeof name, "n%d", i);
        runtime_send(f, NULL, "notes_put", "name", name, "text", "x", NULL);
    }
    service_run(f);
    assert_int_equal(f->reply_count, 600);
    assert_int_equal(f->commits, 3);
    assert_int_equal(runtime_state(f)->rows_live, 600);
}

static void
the_same_request_sent_again_runs_once(void **state)
{
    struct service_fixture *f = *state;
    const struct sending other = {.source = "user:eve"};
    const struct sending same = {.source = "user:ana"};
    struct uuid id = runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);

    runtime_send_again(f, &same, &id, "notes_put");
    service_run(f);
    assert_int_equal(notes_of(f)->handler_runs, 1);
    assert_int_equal(service_replies_to(f, &id), 1);

    struct uuid held = runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);
    runtime_send_again(f, &other, &held, "notes_put");
    assert_int_equal(service_status(f, &held), STATUS_ALREADY_EXISTS);
}

static void
a_stopping_service_refuses_what_has_not_begun(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);
    dispatch_stop(f->dispatch);
    struct uuid later = runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);
    assert_int_equal(service_status(f, &id), STATUS_UNAVAILABLE);
    assert_int_equal(service_status(f, &later), STATUS_UNAVAILABLE);
    assert_int_equal(dispatch_request_count(f->dispatch), 0);
}

static void
metrics_count_requests_by_operation_and_status(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);
    runtime_send(f, NULL, "notes_get", "name", "zzz", NULL);
    service_run(f);

    runtime_send(f, NULL, "hostile\"type", NULL);
    struct uuid id = runtime_send(f, NULL, "metrics", NULL);

    char *text = text_copy(runtime_text_of(f, &id, "text"));
    assert_non_null(strstr(text, "sos_actor_requests_total{operation=\"put\",status=\"ok\"} 1"));
    assert_non_null(
        strstr(text, "sos_actor_requests_total{operation=\"get\",status=\"not_found\"} 1"));
    assert_non_null(
        strstr(text, "sos_actor_requests_total{operation=\"unknown\",status=\"not_found\"} 1"));
    assert_non_null(strstr(text, "sos_commit_duration_seconds_count 1"));
    assert_non_null(strstr(text, "sos_queue_depth{service=\"notes\",queue=\"waiting\"} 0"));
    free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, runtime_setup, runtime_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_write_is_answered_after_its_commit),
        TEST(a_batch_that_only_reads_is_not_committed),
        TEST(a_bad_payload_is_refused_before_the_handler),
        TEST(an_unknown_operation_is_not_found),
        TEST(requests_of_one_batch_share_a_commit_and_a_failing_one_leaves_no_trace),
        TEST(causes_of_internal_errors_stay_in_the_log),
        TEST(reads_see_the_writes_of_their_batch_and_wait_for_its_commit),
        TEST(nothing_is_dispatched_while_a_commit_is_under_way),
        TEST(a_failed_commit_fails_its_whole_batch_and_loads_the_state_again),
        TEST(a_state_that_cannot_be_loaded_again_ends_the_actor),
        TEST(a_row_that_cannot_be_loaded_is_named_at_start),
        TEST(storage_faults_at_any_step_leave_all_or_nothing),
        TEST(an_expectation_that_fails_refuses_only_its_own_request),
        TEST(a_foreign_writer_costs_only_the_requests_that_it_met),
        TEST(an_answer_beyond_a_record_is_refused_and_writes_nothing),
        TEST(too_many_requests_are_refused_as_busy),
        TEST(more_requests_than_a_batch_holds_go_in_several),
        TEST(the_same_request_sent_again_runs_once),
        TEST(a_stopping_service_refuses_what_has_not_begun),
        TEST(metrics_count_requests_by_operation_and_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
