/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of a peer: answers, deadlines, limits, streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "fixture_broker.h"

/* ---- answers, deadlines, limits */

static void
a_call_gets_its_reply_exactly_once(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);

    struct uuid id = fixture_call(f, "question", MESSAGE_IDEMPOTENT, 60000, &answered);
    const struct message *request = &fixture_take(f, KIND_REQUEST)->message;
    assert_true(uuid_equal(&request->id, &id));
    assert_true(text_equal_string(request->target, "service:memory"));
    assert_true(text_equal_string(request->type, "memory_query"));
    assert_int_equal(request->flags, MESSAGE_IDEMPOTENT);
    assert_int_equal(request->ttl_ms, 60000);
    fixture_reply_text(f, &id, "answer");
    fixture_reply_text(f, &id, "second answer");
    fixture_until_answered(f, &answered);
    fixture_settle(f);

    assert_int_equal(answered.count, 1);
    assert_int_equal(answered.status, STATUS_OK);
    assert_string_equal(answered.text, "answer");
}

static void
a_refused_call_gets_the_status_and_its_words(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);

    struct uuid id = fixture_call(f, "question", 0, 60000, &answered);
    fixture_take(f, KIND_REQUEST);
    fixture_say_error(f, KIND_ERROR, &id, STATUS_NOT_FOUND, "memory_not_found");
    fixture_until_answered(f, &answered);

    assert_int_equal(answered.status, STATUS_NOT_FOUND);
    assert_string_equal(answered.text, "because of memory_not_found");
}

static void
calls_wait_for_the_welcome_while_their_ttl_runs(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    f->greets = false;
    fixture_open(f);
    struct uuid id = fixture_call(f, "early", 0, 10000, &answered);
    struct uuid hello = fixture_take(f, KIND_HELLO)->message.id;
    f->time_us += 500000;

    fixture_welcome(f, &hello);
    const struct message *request = &fixture_take(f, KIND_REQUEST)->message;

    assert_true(uuid_equal(&request->id, &id));
    assert_true(request->ttl_ms <= 9500);
    assert_true(request->ttl_ms > 1000);
    assert_int_equal(answered.count, 0);
}

static void
a_call_in_flight_ends_at_its_deadline_and_is_cancelled(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    struct uuid id = fixture_call(f, "slow", 0, 800, &answered);
    fixture_take(f, KIND_REQUEST);
    f->time_us += 700000;
    fixture_settle(f);
    assert_int_equal(answered.count, 0);

    f->time_us += 100000;
    fixture_until_answered(f, &answered);

    assert_int_equal(answered.status, STATUS_TIMEOUT);
    assert_true(uuid_equal(&fixture_take(f, KIND_CANCEL)->message.correlation, &id));
    fixture_reply_text(f, &id, "too late");
    fixture_settle(f);
    assert_int_equal(answered.count, 1);
}

static void
a_call_that_waits_ends_at_its_deadline_too(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    f->greets = false;
    fixture_open(f);

    fixture_call(f, "early", 0, 300, &answered);
    f->time_us += 300000;
    fixture_until_answered(f, &answered);

    assert_int_equal(answered.status, STATUS_TIMEOUT);
    assert_non_null(strstr(answered.text, "not connected"));
}

static void
deadlines_come_in_their_own_order(void **state)
{
    struct fixture *f = *state;
    static const uint32_t ttls[] = {900, 300, 700, 100, 500};
    struct answered answered[5] = {{0}};
    fixture_connect(f);
    for (size_t i = 0; i < 5; i++)
        fixture_call(f, "slow", 0, ttls[i], &answered[i]);

    f->time_us += 510000;
    fixture_settle(f);

    for (size_t i = 0; i < 5; i++)
        assert_int_equal(answered[i].count, ttls[i] <= 500);
}

static void
a_cancelled_call_never_calls_back(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    struct uuid id = fixture_call(f, "question", 0, 60000, &answered);
    fixture_take(f, KIND_REQUEST);

    peer_cancel(f->peer, &id);
    assert_true(uuid_equal(&fixture_take(f, KIND_CANCEL)->message.correlation, &id));
    fixture_reply_text(f, &id, "late");
    fixture_settle(f);

    assert_int_equal(answered.count, 0);
}

static void
more_calls_than_allowed_are_busy(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    for (int i = 0; i < 64; i++)
        fixture_call(f, "one of many", 0, 60000, &answered);

    struct error error;
    struct peer_request request = fixture_request("memory_query", (struct bytes){0}, &answered);
    assert_int_equal(peer_call(f->peer, &request, NULL, &error), STATUS_BUSY);

    struct uuid first = fixture_take(f, KIND_REQUEST)->message.id;
    fixture_reply_text(f, &first, "room");
    fixture_until_answered(f, &answered);
    assert_int_equal(peer_call(f->peer, &request, NULL, &error), STATUS_OK);
}

static void
calls_beyond_the_brokers_limit_wait_here(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    f->requests_max = 2;
    fixture_connect(f);
    for (int i = 0; i < 5; i++)
        fixture_call(f, "one of many", 0, 60000, &answered);
    fixture_settle(f);
    assert_int_equal(fixture_count(f, KIND_REQUEST), 2);

    struct uuid first = fixture_take(f, KIND_REQUEST)->message.id;
    fixture_reply_text(f, &first, "done");
    fixture_until_answered(f, &answered);
    fixture_settle(f);

    assert_int_equal(fixture_count(f, KIND_REQUEST), 2);
}

static void
a_request_that_is_too_large_is_refused_here(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    struct buffer payload;
    struct error error;
    fixture_connect(f);
    buffer_init(&payload);
    char *data = calloc(1, RECORD_SIZE_MAX);
    pack_bin(&payload, data, RECORD_SIZE_MAX);
    struct peer_request request =
        fixture_request("memory_store", buffer_bytes(&payload), &answered);

    assert_int_equal(peer_call(f->peer, &request, NULL, &error), STATUS_TOO_LARGE);
    fixture_settle(f);

    assert_int_equal(fixture_count(f, KIND_REQUEST), 0);
    assert_int_equal(answered.count, 0);
    free(data);
    buffer_clear(&payload);
}

static void
what_libzmq_does_not_take_is_bounded(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    struct buffer payload;
    fixture_connect(f);
    buffer_init(&payload);
    char *data = calloc(1, 200000);
    pack_bin(&payload, data, 200000);
    struct peer_request request =
        fixture_request("memory_store", buffer_bytes(&payload), &answered);

    /* The broker reads nothing: first the sockets fill up, then the peer's own buffer. */
    struct error error = ERROR_INIT;
    enum status status = STATUS_OK;
    size_t accepted = 0;
    while (status == STATUS_OK && accepted < 10000) {
        struct uuid id;
        status = peer_call(f->peer, &request, &id, &error);
        if (status == STATUS_OK) {
            accepted++;
            peer_cancel(f->peer, &id); /* so that not calls_max is what ends it */
        }
    }

    assert_int_equal(status, STATUS_BUSY);
    assert_non_null(strstr(error.message, "wait for the broker"));
    assert_true(accepted < 500); /* 100 MB: the sockets' own bounds and the peer's */
    free(data);
    buffer_clear(&payload);
}

static void
small_records_leave_together(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    fixture_settle(f);
    for (int i = 0; i < 20; i++)
        fixture_call(f, "small", 0, 60000, &answered);
    assert_int_equal(peer_deadline_us(f->peer), 0); /* the owner must flush */
    peer_flush(f->peer);

    zmq_pollitem_t item = {.socket = f->router, .events = ZMQ_POLLIN};
    assert_int_equal(zmq_poll(&item, 1, 5000), 1);
    zmq_msg_t part;
    zmq_msg_init(&part);
    assert_true(zmq_msg_recv(&part, f->router, 0) > 0);
    assert_true(zmq_msg_recv(&part, f->router, 0) > 0);

    size_t records = 0;
    struct bytes frame = {zmq_msg_data(&part), zmq_msg_size(&part)};
    while (frame.size) {
        struct message message;
        size_t used;
        assert_int_equal(message_decode(&message, frame, &used, NULL), STATUS_OK);
        records++;
        frame.data += used;
        frame.size -= used;
    }
    assert_int_equal(records, 20);
    zmq_msg_close(&part);
}

/* ---- streams */

static void
chunks_come_before_the_reply_and_credit_goes_back(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    struct uuid id = fixture_call(f, "tell", MESSAGE_STREAM, 60000, &answered);
    fixture_take(f, KIND_REQUEST);

    for (uint64_t seq = 0; seq < 3; seq++) {
        struct message chunk = fixture_message(f, KIND_CHUNK, &id);
        chunk.seq = seq;
        fixture_say(f, &chunk);
    }
    struct uuid unknown = {{9}};
    struct message stray = fixture_message(f, KIND_CHUNK, &unknown);
    fixture_say(f, &stray);
    fixture_settle(f);
    peer_grant(f->peer, &id, 3);
    peer_grant(f->peer, &unknown, 3);

    assert_int_equal(answered.chunks, 3);
    assert_int_equal(answered.last_seq, 2);
    assert_int_equal(answered.count, 0);
    const struct message *credit = &fixture_take(f, KIND_CONTROL)->message;
    assert_true(text_equal_string(credit->type, "credit"));
    assert_true(uuid_equal(&credit->correlation, &id));
    assert_int_equal(credit->seq, 3);
    fixture_settle(f);
    assert_int_equal(fixture_count(f, KIND_CONTROL), 0);
    fixture_reply_text(f, &id, "end");
    fixture_until_answered(f, &answered);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_call_gets_its_reply_exactly_once),
        TEST(a_refused_call_gets_the_status_and_its_words),
        TEST(calls_wait_for_the_welcome_while_their_ttl_runs),
        TEST(a_call_in_flight_ends_at_its_deadline_and_is_cancelled),
        TEST(a_call_that_waits_ends_at_its_deadline_too),
        TEST(deadlines_come_in_their_own_order),
        TEST(a_cancelled_call_never_calls_back),
        TEST(more_calls_than_allowed_are_busy),
        TEST(calls_beyond_the_brokers_limit_wait_here),
        TEST(a_request_that_is_too_large_is_refused_here),
        TEST(what_libzmq_does_not_take_is_bounded),
        TEST(small_records_leave_together),
        TEST(chunks_come_before_the_reply_and_credit_goes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
