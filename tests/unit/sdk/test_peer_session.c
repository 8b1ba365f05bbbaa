/* SPDX-License-Identifier: Apache-2.0 */
/* The session of a peer: hello, ready, heartbeats, keys, and what it makes of broken input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <zmq.h>

#include "fixture_broker.h"

/* ---- hello, ready, heartbeats */

static void
a_client_says_hello_and_is_ready_once_welcomed(void **state)
{
    struct fixture *f = *state;

    fixture_connect(f);

    const struct message *hello = &fixture_take(f, KIND_HELLO)->message;
    struct value payload;
    uint64_t version = 0;
    assert_true(value_parse(hello->payload, &payload));
    assert_true(value_find_uint(&payload, "version_min", &version));
    assert_int_equal(version, MESSAGE_VERSION);
    assert_true(text_equal_string(hello->source, "agent:kasra"));
    assert_int_equal(peer_epoch(f->peer), 7);
    assert_int_equal(peer_stream_credit(f->peer), 32);
    assert_int_equal(f->state_count, 1);
}

static void
hello_is_said_again_with_the_same_id_until_it_is_answered(void **state)
{
    struct fixture *f = *state;
    f->greets = false;
    fixture_open(f);

    struct uuid first = fixture_take(f, KIND_HELLO)->message.id;
    f->time_us += 1000000;
    struct uuid second = fixture_take(f, KIND_HELLO)->message.id;

    assert_true(uuid_equal(&first, &second));
    assert_int_equal(peer_state(f->peer), PEER_CONNECTING);
    fixture_welcome(f, &second);
    fixture_until_state(f, PEER_READY);
}

static void
a_welcome_to_another_hello_is_ignored(void **state)
{
    struct fixture *f = *state;
    f->greets = false;
    fixture_open(f);
    struct uuid other = fixture_take(f, KIND_HELLO)->message.id;
    other.bytes[3] ^= 1;

    fixture_welcome(f, &other);
    fixture_settle(f);

    assert_int_equal(peer_state(f->peer), PEER_CONNECTING);
}

static void
a_service_announces_itself_with_its_store(void **state)
{
    struct fixture *f = *state;

    fixture_connect_service(f);

    struct value payload;
    struct text name = {0};
    bool single = false;
    uint64_t epoch = 0;
    struct bytes uuid = {0};
    assert_true(value_parse(fixture_take(f, KIND_READY)->message.payload, &payload));
    assert_true(value_find_text(&payload, "service", &name));
    assert_true(value_find_bool(&payload, "single", &single));
    assert_true(value_find_uint(&payload, "store_epoch", &epoch));
    assert_true(value_find_bin(&payload, "store_uuid", &uuid));
    assert_true(text_equal_string(name, "memory"));
    assert_true(single);
    assert_int_equal(epoch, 5);
    assert_int_equal(uuid.size, 16);
    assert_int_equal(f->states[0], PEER_WELCOME);
    assert_int_equal(f->states[1], PEER_READY);
}

static void
ready_is_tried_again_while_another_instance_lives(void **state)
{
    struct fixture *f = *state;
    f->greets = false;
    fixture_open_service(f);
    fixture_welcome(f, &fixture_take(f, KIND_HELLO)->message.id);
    struct uuid first = fixture_take(f, KIND_READY)->message.id;

    fixture_say_error(f, KIND_ERROR, &first, STATUS_CONFLICT, "instance_exists");
    fixture_settle(f);
    assert_int_equal(fixture_count(f, KIND_READY), 0);
    f->time_us += 200000;
    struct uuid second = fixture_take(f, KIND_READY)->message.id;

    assert_int_equal(peer_state(f->peer), PEER_WELCOME);
    struct message accepted = fixture_message(f, KIND_CONTROL, &second);
    accepted.type = text_of("ready");
    fixture_say(f, &accepted);
    fixture_until_state(f, PEER_READY);
}

static void
any_other_refusal_of_ready_is_final(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    f->greets = false;
    fixture_open_service(f);
    fixture_welcome(f, &fixture_take(f, KIND_HELLO)->message.id);
    struct uuid ready = fixture_take(f, KIND_READY)->message.id;
    fixture_call(f, "waits", 0, 60000, &answered);

    fixture_say_error(f, KIND_ERROR, &ready, STATUS_CONFLICT, "store_mismatch");
    fixture_until_state(f, PEER_REFUSED);

    assert_string_equal(peer_refusal(f->peer)->word, "store_mismatch");
    assert_non_null(strstr(peer_refusal(f->peer)->message, "store_mismatch"));
    assert_int_equal(answered.count, 1);
    fixture_take(f, KIND_BYE);
    struct error error;
    struct peer_request request = fixture_request("memory_query", (struct bytes){0}, &answered);
    assert_int_equal(peer_call(f->peer, &request, NULL, &error), STATUS_UNAVAILABLE);
}

static void
a_version_that_the_broker_does_not_speak_is_final(void **state)
{
    struct fixture *f = *state;
    f->greets = false;
    fixture_open(f);
    struct uuid hello = fixture_take(f, KIND_HELLO)->message.id;

    fixture_say_error(f, KIND_ERROR, &hello, STATUS_VERSION, "version_unsupported");

    fixture_until_state(f, PEER_REFUSED);
}

static void
a_heartbeat_leaves_when_nothing_else_did(void **state)
{
    struct fixture *f = *state;
    fixture_connect(f);
    fixture_settle(f);
    assert_int_equal(fixture_count(f, KIND_HEARTBEAT), 0);

    f->time_us += 1000000;

    fixture_take(f, KIND_HEARTBEAT);
}

static void
three_heartbeats_of_silence_are_a_loss(void **state)
{
    struct fixture *f = *state;
    fixture_connect(f);
    fixture_forget(f);
    f->greets = false;
    f->time_us += 2900000;
    fixture_settle(f);
    assert_int_equal(peer_state(f->peer), PEER_READY);

    f->time_us += 200000;
    fixture_take(f, KIND_HELLO);

    assert_int_equal(peer_state(f->peer), PEER_CONNECTING);
}

static void
bye_is_said_at_the_end(void **state)
{
    struct fixture *f = *state;
    fixture_connect(f);

    peer_close(&f->peer);

    fixture_take(f, KIND_BYE);
}

/* ---- keys */

static bool
has_refusal(const struct fixture *f, const void *argument)
{
    (void)argument;
    return *peer_refusal(f->peer)->message != '\0';
}

static void
a_wrong_broker_key_is_said_in_words(void **state)
{
    struct fixture *f = *state;
    struct curve_keys other;
    curve_keys_make(&other);
    memcpy(f->connection.broker_public_key, other.public_key, CURVE_KEY_TEXT_SIZE);
    fixture_open(f);

    fixture_until(f, has_refusal, NULL);

    assert_int_equal(peer_state(f->peer), PEER_CONNECTING);
    assert_non_null(strstr(peer_refusal(f->peer)->message, "handshake"));
}

/* Answers one waiting ZAP request (RFC 27). */
static void
judge(void *zap, const char *code)
{
    char request_id[64];
    char part[256];
    size_t request_id_size = 0;
    int more = 1;
    for (int i = 0; more; i++) {
        int size = zmq_recv(zap, part, sizeof part, ZMQ_DONTWAIT);
        if (size < 0)
            return;
        if (i == 1) {
            request_id_size = (size_t)size;
            memcpy(request_id, part, request_id_size);
        }
        size_t more_size = sizeof more;
        zmq_getsockopt(zap, ZMQ_RCVMORE, &more, &more_size);
    }
    zmq_send(zap, "1.0", 3, ZMQ_SNDMORE);
    zmq_send(zap, request_id, request_id_size, ZMQ_SNDMORE);
    zmq_send(zap, code, 3, ZMQ_SNDMORE);
    zmq_send(zap, "", 0, ZMQ_SNDMORE);
    zmq_send(zap, "", 0, ZMQ_SNDMORE);
    zmq_send(zap, "", 0, 0);
}

static bool
is_refused_in_words(const struct fixture *f, const void *argument)
{
    judge(f->zap, argument);
    return has_refusal(f, NULL);
}

static bool
is_ready_after_judgement(const struct fixture *f, const void *argument)
{
    judge(f->zap, argument);
    return peer_state(f->peer) == PEER_READY;
}

static void
a_key_that_is_let_in_later_gets_in(void **state)
{
    struct fixture *f = *state;
    f->zap = zmq_socket(f->context, ZMQ_REP);
    assert_int_equal(zmq_bind(f->zap, "inproc://zeromq.zap.01"), 0);
    fixture_open(f);
    fixture_until(f, is_refused_in_words, "400");
    assert_int_equal(peer_state(f->peer), PEER_CONNECTING);
    assert_string_equal(peer_refusal(f->peer)->word, "unauthorized");
    assert_non_null(strstr(peer_refusal(f->peer)->message, "refused this key"));

    fixture_until(f, is_ready_after_judgement, "200");

    assert_string_equal(peer_refusal(f->peer)->message, "");
}

/* ---- broken input */

static void
bad_records_are_passed_over(void **state)
{
    struct fixture *f = *state;
    struct answered answered = {0};
    fixture_connect(f);
    struct uuid id = fixture_call(f, "question", 0, 60000, &answered);
    fixture_take(f, KIND_REQUEST);

    zmq_send(f->router, f->route, f->route_size, ZMQ_SNDMORE);
    zmq_send(f->router, "\xff\xff\xff\xff garbage", 12, 0);
    zmq_send(f->router, f->route, f->route_size, ZMQ_SNDMORE);
    zmq_send(f->router, "two", 3, ZMQ_SNDMORE);
    zmq_send(f->router, "frames", 6, 0);
    fixture_reply_text(f, &id, "still here");
    fixture_until_answered(f, &answered);

    assert_string_equal(answered.text, "still here");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_client_says_hello_and_is_ready_once_welcomed),
        TEST(hello_is_said_again_with_the_same_id_until_it_is_answered),
        TEST(a_welcome_to_another_hello_is_ignored),
        TEST(a_service_announces_itself_with_its_store),
        TEST(ready_is_tried_again_while_another_instance_lives),
        TEST(any_other_refusal_of_ready_is_final),
        TEST(a_version_that_the_broker_does_not_speak_is_final),
        TEST(a_heartbeat_leaves_when_nothing_else_did),
        TEST(three_heartbeats_of_silence_are_a_loss),
        TEST(bye_is_said_at_the_end),
        TEST(a_wrong_broker_key_is_said_in_words),
        TEST(a_key_that_is_let_in_later_gets_in),
        TEST(bad_records_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
