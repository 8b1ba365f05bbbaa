/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

static struct bytes
bytes(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

static void
a_call_resumes_its_request_with_the_answer(void **state)
{
    struct service_fixture *f = *state;
    const struct sending sending = {.source = "service:engine", .principal = "user:ana"};
    struct uuid id =
        runtime_send(f, &sending, "notes_await", "name", "w", "text", "x", "how", "call", NULL);
    service_run(f);
    assert_int_equal(f->call_count, 1);
    assert_string_equal(f->calls[0].type, "memory_query");
    assert_string_equal(f->calls[0].principal, "user:ana");
    assert_int_equal(service_replies_to(f, &id), 0);

    dispatch_answer(f->dispatch, f->calls[0].handle, STATUS_OK, bytes("hi"));
    service_run(f);

    assert_true(text_equal_string(runtime_text_of(f, &id, "came"), "hi"));
    assert_int_equal(notes_of(f)->progress_alive, 0);
    assert_true(runtime_stored(f, "resumed", "w"));
}

static void
a_call_starts_only_when_the_writes_before_it_are_on_disk(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    runtime_send(f, NULL, "notes_await", "name", "w", "text", "x", "how", "call", NULL);
    service_run(f);
    assert_int_equal(f->call_count, 0);

    service_commit(f);

    assert_int_equal(f->call_count, 1);
    assert_true(runtime_stored(f, "w", "x"));
}

static void
an_answer_waits_while_a_commit_is_under_way(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_await", "name", "w", "how", "call", NULL);
    service_run(f);
    f->hold_commits = true;
    runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);

    dispatch_answer(f->dispatch, f->calls[0].handle, STATUS_OK, bytes("hi"));
    service_run(f);
    assert_int_equal(service_replies_to(f, &id), 0);

    f->hold_commits = false;
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);
}

static void
a_call_never_outlives_its_request(void **state)
{
    struct service_fixture *f = *state;
    const struct sending sending = {.ttl_ms = 700};
    runtime_send(f, &sending, "notes_await", "name", "w", "how", "call", NULL);
    f->now.monotonic_us += 200000;
    service_run(f);
    assert_in_range(f->calls[0].ttl_ms, 490, 501);
}

static void
a_call_that_cannot_start_resumes_with_its_error(void **state)
{
    struct service_fixture *f = *state;
    f->call_result = STATUS_BUSY;
    struct uuid id = runtime_send(f, NULL, "notes_await", "name", "w", "how", "call", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_BUSY);
    assert_true(text_equal_string(runtime_text_of(f, &id, "message"), "the port says no"));
}

static void
a_failed_call_carries_the_words_of_the_other_service(void **state)
{
    struct service_fixture *f = *state;
    struct error error = ERROR_INIT;
    struct buffer payload;
    char word[64];
    struct uuid id = runtime_send(f, NULL, "notes_await", "name", "w", "how", "call", NULL);
    service_run(f);
    buffer_init(&payload);
    error_set_word(&error, "memory_not_found", "gone");
    error_pack(&payload, STATUS_NOT_FOUND, &error);

    dispatch_answer(f->dispatch, f->calls[0].handle, STATUS_NOT_FOUND, buffer_bytes(&payload));
    service_run(f);

    assert_int_equal(service_status(f, &id), STATUS_NOT_FOUND);
    assert_string_equal(runtime_word_of(f, &id, word), "memory_not_found");
    buffer_clear(&payload);
}

static void
a_timer_resumes_its_request_when_it_is_due(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_await", "name", "w", "how", "timer", NULL);
    service_run(f);
    assert_true(dispatch_deadline_us(f->dispatch) <= f->now.monotonic_us + 500000);
    service_pass(f, 499);
    assert_int_equal(service_replies_to(f, &id), 0);

    service_pass(f, 1);

    assert_int_equal(service_status(f, &id), STATUS_OK);
}

static void
an_answer_stops_what_else_the_request_waits_for(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_await", "name", "w", "how", "both", NULL);
    service_run(f);

    service_pass(f, 500);

    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(f->cancelled_calls, 1);
    assert_int_equal(notes_of(f)->progress_alive, 0);
}

static void
two_events_of_one_request_in_one_batch_answer_once(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_await", "name", "w", "how", "both", NULL);
    service_run(f);
    f->now.monotonic_us += 500000;
    dispatch_answer(f->dispatch, f->calls[0].handle, STATUS_OK, bytes("hi"));
    service_run(f);
    assert_int_equal(service_replies_to(f, &id), 1);
    assert_int_equal(notes_of(f)->resumes, 1);
}

static void
an_http_answer_resumes_its_request(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_await", "name", "w", "how", "http", NULL);
    service_run(f);
    struct error error = ERROR_INIT;
    dispatch_http_done(f->dispatch, f->https[0].handle, STATUS_OK, &error, 200, bytes("body"));
    service_run(f);
    assert_true(text_equal_string(runtime_text_of(f, &id, "came"), "body"));
}

static void
pieces_of_an_http_answer_are_passed_on_while_a_commit_is_under_way(void **state)
{
    struct service_fixture *f = *state;
    const struct sending streaming = {.flags = MESSAGE_STREAM};
    struct uuid id = runtime_send(f, &streaming, "notes_await", "name", "w", "how", "stream", NULL);
    service_run(f);
    f->hold_commits = true;
    runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_true(dispatch_is_committing(f->dispatch));

    dispatch_http_data(f->dispatch, f->https[0].handle, 200, bytes("piece"));

    assert_int_equal(f->chunk_count, 1);
    service_commit(f);
    assert_true(runtime_stored(f, "a", "x"));
    struct error error = ERROR_INIT;
    f->hold_commits = false;
    dispatch_http_done(f->dispatch, f->https[0].handle, STATUS_OK, &error, 200, bytes(""));
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);
}

static void
a_write_in_http_data_fails_the_request(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_await", "name", "w", "how", "stream", NULL);
    service_run(f);
    dispatch_http_data(f->dispatch, f->https[0].handle, 200, bytes("bad"));
    assert_int_equal(service_status(f, &id), STATUS_INTERNAL);
    assert_int_equal(f->aborted_https, 1);
    assert_int_equal(notes_of(f)->progress_alive, 0);
}

static void
a_handler_that_waits_for_nothing_is_an_error(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_await", "name", "w", "how", "nothing", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_INTERNAL);
    assert_false(runtime_stored(f, "w", ""));
}

static void
a_cancelled_request_frees_its_progress_and_stops_its_calls(void **state)
{
    struct service_fixture *f = *state;
    struct uuid call = runtime_send(f, NULL, "notes_await", "name", "w", "how", "call", NULL);
    struct uuid http = runtime_send(f, NULL, "notes_await", "name", "w", "how", "http", NULL);
    struct uuid timer = runtime_send(f, NULL, "notes_await", "name", "w", "how", "timer", NULL);
    service_run(f);
    struct uuid waiting = runtime_send(f, NULL, "notes_put", "name", "w", NULL);
    assert_int_equal(notes_of(f)->progress_alive, 3);

    runtime_cancel(f, &call);
    runtime_cancel(f, &http);
    runtime_cancel(f, &timer);
    runtime_cancel(f, &waiting);
    service_pass(f, 1000);

    assert_int_equal(notes_of(f)->progress_alive, 0);
    assert_int_equal(f->cancelled_calls, 1);
    assert_int_equal(f->aborted_https, 1);
    assert_int_equal(f->reply_count, 0);
    assert_int_equal(notes_of(f)->handler_runs, 0);
    assert_int_equal(dispatch_request_count(f->dispatch), 0);
}

static void
a_request_cancelled_during_its_commit_is_not_answered(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    struct uuid done = runtime_send(f, NULL, "notes_put", "name", "a", "text", "x", NULL);
    struct uuid pending = runtime_send(f, NULL, "notes_await", "name", "w", "how", "call", NULL);
    service_run(f);
    runtime_cancel(f, &done);
    runtime_cancel(f, &pending);
    runtime_cancel(f, &pending);

    service_commit(f);

    assert_int_equal(f->reply_count, 0);
    assert_int_equal(f->call_count, 0);
    assert_int_equal(notes_of(f)->progress_alive, 0);
    assert_true(runtime_stored(f, "a", "x"));
}

static void
a_request_ends_at_its_deadline_without_an_answer(void **state)
{
    struct service_fixture *f = *state;
    const struct sending sending = {.ttl_ms = 100};
    runtime_send(f, &sending, "notes_await", "name", "w", "how", "call", NULL);
    service_run(f);
    service_pass(f, 99);
    assert_int_equal(dispatch_request_count(f->dispatch), 1);

    service_pass(f, 1);

    assert_int_equal(dispatch_request_count(f->dispatch), 0);
    assert_int_equal(f->cancelled_calls, 1);
    assert_int_equal(notes_of(f)->progress_alive, 0);
    assert_int_equal(f->reply_count, 0);
}

static void
a_lost_session_ends_everything_that_runs(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, NULL, "notes_await", "name", "w", "how", "call", NULL);
    service_run(f);
    dispatch_answer(f->dispatch, f->calls[0].handle, STATUS_UNKNOWN_OUTCOME, bytes(""));
    dispatch_session_lost(f->dispatch);
    service_run(f);
    assert_int_equal(dispatch_request_count(f->dispatch), 0);
    assert_int_equal(f->reply_count, 0);
    assert_int_equal(notes_of(f)->progress_alive, 0);
}

/* ---- streams */

static const struct sending streaming = {.flags = MESSAGE_STREAM};

static void
chunks_leave_as_far_as_the_reader_has_credit_and_the_answer_after_them(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id =
        runtime_send(f, &streaming, "notes_stream", "name", "s", "count", "6", "size", "10", NULL);
    service_run(f);
    assert_int_equal(f->chunk_count, 4);
    assert_int_equal(service_replies_to(f, &id), 0);

    runtime_credit(f, &id, 1);
    assert_int_equal(f->chunk_count, 5);
    assert_int_equal(service_replies_to(f, &id), 0);
    runtime_credit(f, &id, 1);

    assert_int_equal(f->chunk_count, 6);
    assert_int_equal(f->chunks[5].seq, 5);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(dispatch_request_count(f->dispatch), 0);
}

static void
credit_beyond_the_start_of_a_stream_is_cut(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id =
        runtime_send(f, &streaming, "notes_stream", "name", "s", "count", "20", "size", "1", NULL);
    service_run(f);
    runtime_credit(f, &id, UINT64_MAX);
    assert_int_equal(f->chunk_count, 8);
}

static void
a_reader_that_is_too_slow_ends_its_stream(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, &streaming, "notes_stream", "name", "s", "count", "9", "size",
                                  "60000", NULL);
    struct uuid tiny = runtime_send(f, &streaming, "notes_stream", "name", "s", "count", "100000",
                                    "size", "0", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_QUOTA_EXCEEDED);
    assert_int_equal(service_status(f, &tiny), STATUS_QUOTA_EXCEEDED);
    assert_int_equal(dispatch_request_count(f->dispatch), 0);
}

static void
a_chunk_beyond_its_size_is_refused(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, &streaming, "notes_stream", "name", "s", "count", "1", "size",
                                  "70000", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_TOO_LARGE);
}

static void
a_caller_that_takes_no_stream_gets_the_answer_alone(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id =
        runtime_send(f, NULL, "notes_stream", "name", "s", "count", "6", "size", "10", NULL);
    service_run(f);
    assert_int_equal(f->chunk_count, 0);
    assert_int_equal(service_status(f, &id), STATUS_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, runtime_setup, runtime_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_resumes_its_request_with_the_answer),
        TEST(a_call_starts_only_when_the_writes_before_it_are_on_disk),
        TEST(an_answer_waits_while_a_commit_is_under_way),
        TEST(a_call_never_outlives_its_request),
        TEST(a_call_that_cannot_start_resumes_with_its_error),
        TEST(a_failed_call_carries_the_words_of_the_other_service),
        TEST(a_timer_resumes_its_request_when_it_is_due),
        TEST(an_answer_stops_what_else_the_request_waits_for),
        TEST(two_events_of_one_request_in_one_batch_answer_once),
        TEST(an_http_answer_resumes_its_request),
        TEST(pieces_of_an_http_answer_are_passed_on_while_a_commit_is_under_way),
        TEST(a_write_in_http_data_fails_the_request),
        TEST(a_handler_that_waits_for_nothing_is_an_error),
        TEST(a_cancelled_request_frees_its_progress_and_stops_its_calls),
        TEST(a_request_cancelled_during_its_commit_is_not_answered),
        TEST(a_request_ends_at_its_deadline_without_an_answer),
        TEST(a_lost_session_ends_everything_that_runs),
        TEST(chunks_leave_as_far_as_the_reader_has_credit_and_the_answer_after_them),
        TEST(credit_beyond_the_start_of_a_stream_is_cut),
        TEST(a_reader_that_is_too_slow_ends_its_stream),
        TEST(a_chunk_beyond_its_size_is_refused),
        TEST(a_caller_that_takes_no_stream_gets_the_answer_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
