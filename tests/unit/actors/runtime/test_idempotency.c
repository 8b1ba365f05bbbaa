/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "fixture.h"

static const struct sending keyed = {.key = "k1"};

static void
a_retry_gets_the_first_answer_and_writes_nothing(void **state)
{
    struct service_fixture *f = *state;
    struct uuid first = runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    struct uuid again = runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &first), STATUS_OK);
    assert_int_equal(service_status(f, &again), STATUS_OK);
    assert_true(text_equal_string(runtime_text_of(f, &again, "name"), "a"));
    assert_int_equal(notes_of(f)->handler_runs, 1);
    assert_int_equal(f->commits, 1);
}

static void
a_retry_in_the_same_batch_waits_for_the_commit(void **state)
{
    struct service_fixture *f = *state;
    f->hold_commits = true;
    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    struct uuid again = runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_int_equal(notes_of(f)->handler_runs, 1);
    assert_int_equal(service_replies_to(f, &again), 0);

    store_fault_after(f->store, 0);
    service_commit(f);

    assert_int_equal(service_status(f, &again), STATUS_STORE_FAILED);
}

static void
a_retry_after_a_restart_gets_the_first_answer(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    service_reopen(f);
    struct uuid again = runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &again), STATUS_OK);
    assert_int_equal(notes_of(f)->handler_runs, 1);
}

static void
a_key_with_another_body_is_a_conflict(void **state)
{
    struct service_fixture *f = *state;
    char word[64];
    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    struct uuid other = runtime_send(f, &keyed, "notes_put", "name", "a", "text", "y", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &other), STATUS_CONFLICT);
    assert_string_equal(runtime_word_of(f, &other, word), "idempotency_key_reused");
}

static void
keys_of_other_principals_and_operations_are_other_keys(void **state)
{
    struct service_fixture *f = *state;
    const struct sending eve = {.key = "k1", .source = "user:eve"};
    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    struct uuid other = runtime_send(f, &eve, "notes_put", "name", "a", "text", "y", NULL);
    struct uuid make = runtime_send(f, &keyed, "notes_make", "name", "b", "text", "y", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &other), STATUS_OK);
    assert_int_equal(service_status(f, &make), STATUS_OK);
}

static void
a_retry_while_the_first_still_runs_is_a_conflict(void **state)
{
    struct service_fixture *f = *state;
    char word[64];
    struct uuid first = runtime_send(f, &keyed, "notes_await", "name", "a", "how", "call", NULL);
    service_run(f);
    struct uuid again = runtime_send(f, &keyed, "notes_await", "name", "a", "how", "call", NULL);
    struct uuid other = runtime_send(f, &keyed, "notes_await", "name", "b", "how", "call", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &again), STATUS_CONFLICT);
    assert_string_equal(runtime_word_of(f, &again, word), "idempotency_in_progress");
    assert_string_equal(runtime_word_of(f, &other, word), "idempotency_key_reused");

    dispatch_answer(f->dispatch, f->calls[0].handle, STATUS_OK, (struct bytes){0});
    service_run(f);
    struct uuid late = runtime_send(f, &keyed, "notes_await", "name", "a", "how", "call", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &first), STATUS_OK);
    assert_int_equal(service_status(f, &late), STATUS_OK);
    assert_int_equal(f->call_count, 1);
}

static void
a_refusal_is_not_kept(void **state)
{
    struct service_fixture *f = *state;
    struct uuid failed = runtime_send(f, &keyed, "notes_spoil", "name", "a", NULL);
    service_run(f);
    struct uuid again = runtime_send(f, &keyed, "notes_spoil", "name", "a", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &failed), STATUS_INTERNAL);
    assert_int_equal(service_status(f, &again), STATUS_INTERNAL);
    assert_int_equal(f->error_lines, 2);
}

static void
an_answer_is_kept_for_a_day(void **state)
{
    struct service_fixture *f = *state;
    const uint64_t day_ms = UINT64_C(24) * 3600 * 1000;
    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    service_pass(f, day_ms);
    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_int_equal(notes_of(f)->handler_runs, 1);

    service_pass(f, 1000);

    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_int_equal(notes_of(f)->handler_runs, 2);
}

static void
a_key_used_again_after_its_day_keeps_its_younger_answer(void **state)
{
    struct service_fixture *f = *state;
    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    f->now.wall_us += UINT64_C(25) * 3600 * 1000000;

    /* The old row is cleaned away in the very batch that writes the new one. */
    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_int_equal(notes_of(f)->handler_runs, 2);

    runtime_send(f, &keyed, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_int_equal(notes_of(f)->handler_runs, 2);
}

static enum status
count_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    (void)key;
    (void)value;
    (void)error;
    (*(size_t *)context)++;
    return STATUS_OK;
}

static size_t
kept_rows(struct service_fixture *f)
{
    size_t count = 0;
    store_scan(f->store, STORE_SPACE_IDEMPOTENCY, (struct bytes){0}, false, count_row, &count,
               NULL);
    return count;
}

static void
the_oldest_answers_go_when_there_are_too_many(void **state)
{
    struct service_fixture *f = *state;
    f->options.limits.idempotency =
        (struct idempotency_limits){.rows_max = 10, .bytes_max = 1 << 20, .keep_us = UINT64_MAX};
    service_reopen(f);
    for (int i = 0; i < 300; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        const struct sending sending = {.key = key};
        f->now.wall_us++;
        runtime_send(f, &sending, "notes_put", "name", "a", "text", key, NULL);
        if (i % 50 == 49)
            service_run(f);
    }
    service_pass(f, 2000);
    assert_int_equal(kept_rows(f), 10);

    const struct sending newest = {.key = "key299"}, oldest = {.key = "key0"};
    size_t runs = notes_of(f)->handler_runs;
    runtime_send(f, &newest, "notes_put", "name", "a", "text", "key299", NULL);
    service_run(f);
    assert_int_equal(notes_of(f)->handler_runs, runs);
    runtime_send(f, &oldest, "notes_put", "name", "a", "text", "key0", NULL);
    service_run(f);
    assert_int_equal(notes_of(f)->handler_runs, runs + 1);
}

static void
the_oldest_answers_go_when_they_take_too_many_bytes(void **state)
{
    struct service_fixture *f = *state;
    f->options.limits.idempotency =
        (struct idempotency_limits){.rows_max = 1000, .bytes_max = 500, .keep_us = UINT64_MAX};
    service_reopen(f);
    for (int i = 0; i < 20; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%d", i);
        const struct sending sending = {.key = key};
        runtime_send(f, &sending, "notes_put", "name", "a", "text", "x", NULL);
        service_run(f);
    }
    service_pass(f, 2000);
    assert_in_range(kept_rows(f), 1, 7);
}

static void
an_ill_typed_key_is_refused(void **state)
{
    struct service_fixture *f = *state;
    char longest[258];
    memset(longest, 'k', 256);
    longest[256] = '\0';
    const struct sending over = {.key = longest}, at = {.key = longest + 1}, none = {.key = ""};
    struct uuid refused = runtime_send(f, &over, "notes_put", "name", "a", "text", "x", NULL);
    struct uuid empty = runtime_send(f, &none, "notes_put", "name", "a", "text", "x", NULL);
    struct uuid taken = runtime_send(f, &at, "notes_put", "name", "a", "text", "x", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &refused), STATUS_VALIDATION);
    assert_int_equal(service_status(f, &empty), STATUS_VALIDATION);
    assert_int_equal(service_status(f, &taken), STATUS_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, runtime_setup, runtime_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_retry_gets_the_first_answer_and_writes_nothing),
        TEST(a_retry_in_the_same_batch_waits_for_the_commit),
        TEST(a_retry_after_a_restart_gets_the_first_answer),
        TEST(a_key_with_another_body_is_a_conflict),
        TEST(keys_of_other_principals_and_operations_are_other_keys),
        TEST(a_retry_while_the_first_still_runs_is_a_conflict),
        TEST(a_refusal_is_not_kept),
        TEST(an_answer_is_kept_for_a_day),
        TEST(a_key_used_again_after_its_day_keeps_its_younger_answer),
        TEST(the_oldest_answers_go_when_there_are_too_many),
        TEST(the_oldest_answers_go_when_they_take_too_many_bytes),
        TEST(an_ill_typed_key_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
