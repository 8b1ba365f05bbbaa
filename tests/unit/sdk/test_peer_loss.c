/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of calls when a session is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zmq.h>

#include "fixture_broker.h"

static void
hello_required_ends_a_call_as_unknown_outcome(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    fixture_call(f, "write", MESSAGE_WRITE, 60000, &answered);
    fixture_take(f, KIND_REQUEST);
    fixture_forget(f);

    f->epoch = 8;
    fixture_require_hello(f);
    fixture_until_answered(f, &answered);
    fixture_until_state(f, PEER_READY);
    fixture_settle(f);

    assert_int_equal(answered.status, STATUS_UNKNOWN_OUTCOME);
    assert_int_equal(peer_epoch(f->peer), 8);
    assert_int_equal(f->states[1], PEER_CONNECTING);
    assert_int_equal(fixture_count(f, KIND_REQUEST), 0);
}

static void
idempotent_calls_are_sent_again_with_the_same_ids_in_their_order(void **state)
{
    struct fixture *f = *state;
    struct answered answered[3] = {{0}};
    struct uuid ids[3];
    fixture_connect(f);
    for (size_t i = 0; i < 3; i++)
        ids[i] = fixture_call(f, "read", MESSAGE_IDEMPOTENT, 60000, &answered[i]);
    fixture_take(f, KIND_REQUEST);
    fixture_forget(f);
    f->time_us += 400000;

    fixture_require_hello(f);

    for (size_t i = 0; i < 3; i++) {
        const struct message *request = &fixture_take(f, KIND_REQUEST)->message;
        assert_true(uuid_equal(&request->id, &ids[i]));
        assert_true(request->ttl_ms < 60000);
        assert_int_equal(answered[i].count, 0);
    }
    fixture_reply_text(f, &ids[1], "found");
    fixture_until_answered(f, &answered[1]);
    assert_string_equal(answered[1].text, "found");
}

static void
a_stream_that_has_begun_is_not_begun_again(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    struct uuid id = fixture_call(f, "tell", MESSAGE_STREAM | MESSAGE_IDEMPOTENT, 60000, &answered);
    fixture_take(f, KIND_REQUEST);
    struct message chunk = fixture_message(f, KIND_CHUNK, &id);
    fixture_say(f, &chunk);
    fixture_settle(f);

    fixture_require_hello(f);
    fixture_until_answered(f, &answered);

    assert_int_equal(answered.status, STATUS_UNKNOWN_OUTCOME);
}

static void
a_new_epoch_is_a_loss(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    struct uuid hello = fixture_take(f, KIND_HELLO)->message.id;
    fixture_call(f, "write", 0, 60000, &answered);
    fixture_take(f, KIND_REQUEST);

    f->epoch = 9;
    fixture_welcome(f, &hello);
    fixture_until_answered(f, &answered);

    assert_int_equal(answered.status, STATUS_UNKNOWN_OUTCOME);
    fixture_until_state(f, PEER_READY);
    assert_int_equal(peer_epoch(f->peer), 9);
}

static void
stop_broker(struct fixture *f)
{
    zmq_unbind(f->router, f->connection.endpoint);
    zmq_close(f->router);
    f->router = NULL;
}

static void
start_broker(struct fixture *f, uint64_t epoch)
{
    int on = 1;
    int linger = 0;
    f->epoch = epoch;
    f->router = zmq_socket(f->context, ZMQ_ROUTER);
    zmq_setsockopt(f->router, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(f->router, ZMQ_CURVE_SERVER, &on, sizeof on);
    zmq_setsockopt(f->router, ZMQ_CURVE_SECRETKEY, f->broker_keys.secret_key, CURVE_KEY_TEXT_SIZE);
    assert_int_equal(zmq_bind(f->router, f->connection.endpoint), 0);
}

static void
a_broker_that_dies_is_missed_at_once_and_found_again(void **state)
{
    struct fixture *f = *state;
    struct answered in_flight = {0};
    struct answered later = {0};
    fixture_connect(f);
    fixture_call(f, "write", 0, 60000, &in_flight);
    fixture_take(f, KIND_REQUEST);
    fixture_forget(f);

    uint64_t before_us = f->time_us;
    stop_broker(f);
    fixture_until_answered(f, &in_flight);
    assert_int_equal(in_flight.status, STATUS_UNKNOWN_OUTCOME);
    assert_true(f->time_us - before_us < 1000000);
    struct uuid id = fixture_call(f, "write", 0, 60000, &later);

    start_broker(f, 8);
    const struct message *request = &fixture_take(f, KIND_REQUEST)->message;

    assert_true(uuid_equal(&request->id, &id));
    assert_int_equal(peer_epoch(f->peer), 8);
    fixture_reply_text(f, &id, "done");
    fixture_until_answered(f, &later);
    assert_string_equal(later.text, "done");
}

static bool
takes_nothing(const struct fixture *f, const void *argument)
{
    (void)argument;
    int events = 0;
    size_t size = sizeof events;
    zmq_getsockopt(peer_socket(f->peer), ZMQ_EVENTS, &events, &size);
    return (events & ZMQ_POLLOUT) == 0;
}

static void
a_call_that_never_left_is_no_unknown_outcome(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    fixture_settle(f);
    stop_broker(f);
    /* The peer does not work meanwhile: it still believes in its session. */
    zmq_pollitem_t item = {.socket = peer_socket(f->peer), .events = ZMQ_POLLIN};
    for (int i = 0; i < 1000 && !takes_nothing(f, NULL); i++)
        zmq_poll(&item, 1, 5);
    assert_true(takes_nothing(f, NULL));
    assert_int_equal(peer_state(f->peer), PEER_READY);

    struct uuid id = fixture_call(f, "write", 0, 60000, &answered);
    peer_flush(f->peer);
    fixture_settle(f);
    assert_int_equal(peer_state(f->peer), PEER_CONNECTING);
    assert_int_equal(answered.count, 0);

    start_broker(f, 8);
    assert_true(uuid_equal(&fixture_take(f, KIND_REQUEST)->message.id, &id));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(hello_required_ends_a_call_as_unknown_outcome),
        TEST(idempotent_calls_are_sent_again_with_the_same_ids_in_their_order),
        TEST(a_stream_that_has_begun_is_not_begun_again),
        TEST(a_new_epoch_is_a_loss),
        TEST(a_broker_that_dies_is_missed_at_once_and_found_again),
        TEST(a_call_that_never_left_is_no_unknown_outcome),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
