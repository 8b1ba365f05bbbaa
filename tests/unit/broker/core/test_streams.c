/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

static void
chunk(struct fixture *f, peer_number peer, const struct uuid *request, uint64_t seq, uint32_t flags)
{
    static const uint8_t word[] = {0xa2, 'h', 'i'};
    say(f, peer,
        (struct message){.kind = KIND_CHUNK,
                         .correlation = *request,
                         .seq = seq,
                         .flags = flags,
                         .payload = {word, sizeof word}});
}

static void
credit(struct fixture *f, peer_number peer, const struct uuid *request, uint64_t chunks)
{
    say(f, peer,
        (struct message){.kind = KIND_CONTROL,
                         .correlation = *request,
                         .type = text_of("credit"),
                         .seq = chunks});
}

/* Peer 1 asks, peer 2 serves. */
static struct uuid
open_stream(struct fixture *f, uint32_t flags)
{
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "engine", true, 0);
    struct uuid id = ask(f, 1, "engine", flags, 10000);
    take_kind(f, 2, KIND_REQUEST);
    return id;
}

static void
assert_overrun(struct fixture *f, const char *word)
{
    take_kind(f, 2, KIND_CANCEL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_QUOTA_EXCEEDED, word);
}

static void
chunks_are_passed_on_and_the_reply_ends_the_stream(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM);
    chunk(f, 2, &id, 0, 0);
    chunk(f, 2, &id, 1, MESSAGE_FINAL);
    answer(f, 2, &id, "end");
    assert_int_equal(take_kind(f, 1, KIND_CHUNK)->seq, 0);
    assert_int_equal(take_kind(f, 1, KIND_CHUNK)->seq, 1);
    take_kind(f, 1, KIND_REPLY);
    chunk(f, 2, &id, 2, 0);
    assert_true(has_nothing(f, 1));
    assert_true(has_nothing(f, 2)); /* it crossed the end: no fault, no answer */
}

static void
a_producer_without_credit_is_cancelled(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM);
    for (uint64_t seq = 0; seq < 32; seq++) {
        chunk(f, 2, &id, seq, 0);
        take_kind(f, 1, KIND_CHUNK);
    }
    chunk(f, 2, &id, 32, 0);
    assert_overrun(f, "stream_overrun");
}

static void
credit_lets_the_producer_go_on_but_never_beyond_the_limit(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM);
    for (uint64_t seq = 0; seq < 10; seq++)
        chunk(f, 2, &id, seq, 0);
    credit(f, 1, &id, 4);
    assert_int_equal(take_kind(f, 2, KIND_CONTROL)->seq, 4);
    credit(f, 1, &id, 1000000);
    assert_int_equal(take_kind(f, 2, KIND_CONTROL)->seq, 6);
    credit(f, 1, &id, 1);
    assert_true(has_nothing(f, 2));
    for (uint64_t seq = 10; seq < 42; seq++)
        chunk(f, 2, &id, seq, 0);
    assert_true(has_nothing(f, 2));
    chunk(f, 2, &id, 42, 0);
    take_kind(f, 2, KIND_CANCEL);
}

static void
a_chunk_out_of_sequence_breaks_the_stream(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM);
    chunk(f, 2, &id, 1, 0);
    assert_overrun(f, "stream_overrun");
}

static void
a_chunk_after_the_final_one_breaks_the_stream(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM);
    chunk(f, 2, &id, 0, MESSAGE_FINAL);
    take_kind(f, 1, KIND_CHUNK);
    chunk(f, 2, &id, 1, 0);
    assert_overrun(f, "stream_overrun");
}

static void
a_caller_that_asked_for_no_stream_gets_none(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, 0);
    chunk(f, 2, &id, 0, 0);
    assert_overrun(f, "stream_overrun");
}

static void
a_chunk_larger_than_allowed_breaks_the_stream(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM);
    static uint8_t payload[CHUNK_SIZE_MAX + 1];
    say(f, 2,
        (struct message){
            .kind = KIND_CHUNK, .correlation = id, .payload = {payload, sizeof payload}});
    assert_overrun(f, "chunk_too_large");
}

static void
a_consumer_that_does_not_keep_up_has_its_stream_cancelled(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM);
    choke(f, 1);
    chunk(f, 2, &id, 0, 0);
    take_kind(f, 2, KIND_CANCEL);
    assert_true(count_of(f, "sos_bus_pending ") == 0);
}

static void
strangers_can_neither_send_chunks_nor_give_credit(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM);
    join_greeted(f, 3, "agent:mallory");
    chunk(f, 3, &id, 0, 0);
    assert_refused(take_kind(f, 3, KIND_ERROR), STATUS_NOT_FOUND, "request_unknown");
    credit(f, 3, &id, 5);
    assert_refused(take_kind(f, 3, KIND_ERROR), STATUS_NOT_FOUND, "request_unknown");
    assert_true(has_nothing(f, 1));
    chunk(f, 2, &id, 0, 0);
    take_kind(f, 1, KIND_CHUNK);
}

static void
uploads_have_credit_and_sequence_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM);
    chunk(f, 1, &id, 0, 0);
    chunk(f, 2, &id, 0, 0);
    chunk(f, 1, &id, 1, MESSAGE_FINAL);
    assert_int_equal(take_kind(f, 2, KIND_CHUNK)->seq, 0);
    assert_int_equal(take_kind(f, 2, KIND_CHUNK)->seq, 1);
    take_kind(f, 1, KIND_CHUNK);
    chunk(f, 1, &id, 2, 0);
    assert_overrun(f, "stream_overrun");
}

static void
the_instance_gives_credit_for_an_upload(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, 0);
    chunk(f, 1, &id, 0, 0);
    take_kind(f, 2, KIND_CHUNK);
    credit(f, 2, &id, 1);
    assert_int_equal(take_kind(f, 1, KIND_CONTROL)->seq, 1);
}

static void
chunks_of_a_held_upload_wait_with_their_request(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    struct uuid id = ask(f, 1, "artifacts", 0, 10000);
    chunk(f, 1, &id, 0, 0);
    chunk(f, 1, &id, 1, MESSAGE_FINAL);
    assert_true(has_nothing(f, 1));
    join_service(f, 2, "artifacts", true, 0);
    assert_true(uuid_equal(&take_kind(f, 2, KIND_REQUEST)->id, &id));
    assert_int_equal(take_kind(f, 2, KIND_CHUNK)->seq, 0);
    assert_int_equal(take_kind(f, 2, KIND_CHUNK)->seq, 1);
}

static void
a_held_upload_is_bounded_in_bytes(void **state)
{
    struct fixture *f = *state;
    f->options.held_bytes_max = 1000;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    struct uuid id = ask(f, 1, "artifacts", 0, 10000);
    static uint8_t payload[2000];
    say(f, 1,
        (struct message){
            .kind = KIND_CHUNK, .correlation = id, .payload = {payload, sizeof payload}});
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_BUSY, "service_busy");
}

static void
a_stream_whose_instance_dies_is_answered_even_when_idempotent(void **state)
{
    struct fixture *f = *state;
    struct uuid id = open_stream(f, MESSAGE_STREAM | MESSAGE_IDEMPOTENT);
    chunk(f, 2, &id, 0, 0);
    take_kind(f, 1, KIND_CHUNK);
    core_disconnected(f->core, 2, f->now);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_UNAVAILABLE, "service_unavailable");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(chunks_are_passed_on_and_the_reply_ends_the_stream),
        TEST(a_producer_without_credit_is_cancelled),
        TEST(credit_lets_the_producer_go_on_but_never_beyond_the_limit),
        TEST(a_chunk_out_of_sequence_breaks_the_stream),
        TEST(a_chunk_after_the_final_one_breaks_the_stream),
        TEST(a_caller_that_asked_for_no_stream_gets_none),
        TEST(a_chunk_larger_than_allowed_breaks_the_stream),
        TEST(a_consumer_that_does_not_keep_up_has_its_stream_cancelled),
        TEST(strangers_can_neither_send_chunks_nor_give_credit),
        TEST(uploads_have_credit_and_sequence_of_their_own),
        TEST(the_instance_gives_credit_for_an_upload),
        TEST(chunks_of_a_held_upload_wait_with_their_request),
        TEST(a_held_upload_is_bounded_in_bytes),
        TEST(a_stream_whose_instance_dies_is_answered_even_when_idempotent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
