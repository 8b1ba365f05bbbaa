/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that a peer answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "fixture_broker.h"

static bool
has_taken(const struct fixture *f, const void *count)
{
    return f->message_count >= *(const size_t *)count;
}

static struct uuid
ask(struct fixture *f, uint8_t number)
{
    struct message request = fixture_message(f, KIND_REQUEST, NULL);
    request.id = (struct uuid){{0, number}};
    request.source = text_of("agent:ana");
    request.type = text_of("memory_query");
    request.flags = MESSAGE_STREAM;
    size_t wanted = f->message_count + 1;
    fixture_say(f, &request);
    fixture_until(f, has_taken, &wanted);
    assert_int_equal(f->message_count, wanted);
    return request.id;
}

static void
a_service_answers_its_requester(void **state)
{
    struct fixture *f = *state;
    fixture_connect_service(f);
    struct uuid id = ask(f, 1);
    struct error error;

    assert_int_equal(peer_send_chunk(f->peer, &f->origin, 0, true, (struct bytes){0}, &error),
                     STATUS_OK);
    assert_int_equal(peer_reply(f->peer, &f->origin, STATUS_OK, (struct bytes){0}, &error),
                     STATUS_OK);

    const struct message *chunk = &fixture_take(f, KIND_CHUNK)->message;
    assert_true(uuid_equal(&chunk->correlation, &id));
    assert_int_equal(chunk->flags, MESSAGE_FINAL);
    const struct message *reply = &fixture_take(f, KIND_REPLY)->message;
    assert_true(uuid_equal(&reply->correlation, &id));
    assert_true(text_equal_string(reply->target, "agent:ana"));
    assert_int_equal(peer_reply(f->peer, &f->origin, STATUS_OK, (struct bytes){0}, &error),
                     STATUS_GONE);
}

static void
an_answer_that_is_too_large_leaves_the_request_open(void **state)
{
    struct fixture *f = *state;
    fixture_connect_service(f);
    ask(f, 1);
    struct error error;
    struct buffer payload;
    buffer_init(&payload);
    char *data = calloc(1, RECORD_SIZE_MAX);
    pack_bin(&payload, data, RECORD_SIZE_MAX);

    assert_int_equal(peer_reply(f->peer, &f->origin, STATUS_OK, buffer_bytes(&payload), &error),
                     STATUS_TOO_LARGE);
    assert_int_equal(peer_send_chunk(f->peer, &f->origin, 0, false, buffer_bytes(&payload), &error),
                     STATUS_TOO_LARGE);
    assert_int_equal(peer_reply(f->peer, &f->origin, STATUS_TOO_LARGE, (struct bytes){0}, &error),
                     STATUS_OK);
    assert_int_equal(fixture_take(f, KIND_REPLY)->message.status, STATUS_TOO_LARGE);
    free(data);
    buffer_clear(&payload);
}

static void
a_cancelled_request_is_not_answered(void **state)
{
    struct fixture *f = *state;
    fixture_connect_service(f);
    struct uuid id = ask(f, 1);
    struct message cancel = fixture_message(f, KIND_CANCEL, &id);
    fixture_say(f, &cancel);
    fixture_settle(f);

    struct error error;
    assert_int_equal(f->last_message.kind, KIND_CANCEL);
    assert_int_equal(peer_reply(f->peer, &f->origin, STATUS_OK, (struct bytes){0}, &error),
                     STATUS_GONE);
    fixture_settle(f);
    assert_int_equal(fixture_count(f, KIND_REPLY), 0);
}

static void
a_request_of_a_lost_session_is_not_answered_in_the_next(void **state)
{
    struct fixture *f = *state;
    fixture_connect_service(f);
    ask(f, 1);
    fixture_require_hello(f);
    fixture_until_state(f, PEER_CONNECTING);
    fixture_until_state(f, PEER_READY);

    struct error error;
    assert_int_equal(peer_reply(f->peer, &f->origin, STATUS_OK, (struct bytes){0}, &error),
                     STATUS_GONE);
}

static void
credit_reaches_the_service_that_streams(void **state)
{
    struct fixture *f = *state;
    fixture_connect_service(f);
    struct uuid id = ask(f, 1);
    struct message credit = fixture_message(f, KIND_CONTROL, &id);
    credit.type = text_of("credit");
    credit.seq = 5;

    fixture_say(f, &credit);
    fixture_settle(f);

    assert_int_equal(f->message_count, 2);
    assert_int_equal(f->last_message.kind, KIND_CONTROL);
    assert_int_equal(f->last_message.seq, 5);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_service_answers_its_requester),
        TEST(an_answer_that_is_too_large_leaves_the_request_open),
        TEST(a_cancelled_request_is_not_answered),
        TEST(a_request_of_a_lost_session_is_not_answered_in_the_next),
        TEST(credit_reaches_the_service_that_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
