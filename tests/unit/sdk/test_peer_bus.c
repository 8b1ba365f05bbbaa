/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "fixture_broker.h"

static void
connect_hearing(struct fixture *f)
{
    f->hears_bus = true;
    fixture_connect(f);
}

static void
every_kind_of_the_bus_leaves_with_its_id(void **state)
{
    static const enum kind kinds[] = {KIND_SEND,      KIND_ACK,         KIND_NACK,   KIND_PUBLISH,
                                      KIND_SUBSCRIBE, KIND_UNSUBSCRIBE, KIND_CONTROL};
    struct fixture *f = *state;
    fixture_connect(f);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct message message = {.kind = kinds[i], .target = text_of("agent:river"), .seq = i};
        struct uuid id;
        assert_int_equal(peer_say(f->peer, &message, &id, NULL), STATUS_OK);
        struct seen *seen = fixture_take(f, kinds[i]);
        assert_true(uuid_equal(&seen->message.id, &id));
        assert_false(uuid_is_nil(&id));
        assert_true(text_equal_string(seen->message.source, "agent:kasra"));
        assert_true(text_equal_string(seen->message.target, "agent:river"));
        assert_int_equal(seen->message.seq, i);
        assert_true(seen->message.timestamp_us > 0);
    }
}

static void
an_id_and_a_time_that_were_given_stay(void **state)
{
    struct fixture *f = *state;
    fixture_connect(f);
    struct message message = {.kind = KIND_SEND, .timestamp_us = 77, .id = {{9, 9}}};
    struct uuid id;
    assert_int_equal(peer_say(f->peer, &message, &id, NULL), STATUS_OK);
    struct seen *seen = fixture_take(f, KIND_SEND);
    assert_true(uuid_equal(&seen->message.id, &message.id));
    assert_true(uuid_equal(&id, &message.id));
    assert_int_equal(seen->message.timestamp_us, 77);
}

static void
a_record_that_was_encoded_before_leaves_as_it_is(void **state)
{
    struct fixture *f = *state;
    struct buffer record;
    fixture_connect(f);
    buffer_init(&record);
    struct message message = {.kind = KIND_SEND,
                              .id = {{7}},
                              .source = text_of("agent:kasra"),
                              .target = text_of("agent:river")};
    assert_int_equal(message_encode(&record, &message, NULL), STATUS_OK);
    assert_int_equal(peer_say_record(f->peer, buffer_bytes(&record), NULL), STATUS_OK);
    struct seen *seen = fixture_take(f, KIND_SEND);
    assert_int_equal(seen->message.raw.size, record.size);
    assert_memory_equal(seen->message.raw.data, record.data, record.size);
    buffer_clear(&record);
}

static void
what_is_not_of_the_bus_or_has_no_session_is_refused(void **state)
{
    struct fixture *f = *state;
    struct error error;
    struct message message = {.kind = KIND_SEND};
    fixture_open(f);
    assert_int_equal(peer_say(f->peer, &message, NULL, &error), STATUS_UNAVAILABLE);
    assert_non_null(strstr(error.message, f->connection.endpoint));
    assert_int_equal(peer_say_record(f->peer, (struct bytes){0}, &error), STATUS_UNAVAILABLE);
    fixture_until_state(f, PEER_READY);
    static const enum kind kinds[] = {KIND_HELLO, KIND_BYE, KIND_DELIVER, KIND_EVENT, KIND_REPLY};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        message.kind = kinds[i];
        assert_int_equal(peer_say(f->peer, &message, NULL, &error), STATUS_INVALID);
    }
}

static bool
has_heard(const struct fixture *f, const void *argument)
{
    return f->bus_count >= *(const size_t *)argument;
}

static void
a_client_hears_what_the_broker_says_of_the_bus(void **state)
{
    struct fixture *f = *state;
    connect_hearing(f);
    const struct uuid id = {{5}};
    struct message message = fixture_message(f, KIND_DELIVER, NULL);
    fixture_say(f, &message);
    message = fixture_message(f, KIND_EVENT, NULL);
    message.seq = 4;
    fixture_say(f, &message);
    message = fixture_message(f, KIND_ACK, &id);
    fixture_say(f, &message);
    fixture_say_error(f, KIND_ERROR, &id, STATUS_QUOTA_EXCEEDED, "inbox_full");
    message = fixture_message(f, KIND_CONTROL, NULL);
    message.type = text_of("events_dropped");
    fixture_say(f, &message);

    size_t expected = 5;
    fixture_until(f, has_heard, &expected);

    static const enum kind kinds[] = {KIND_DELIVER, KIND_EVENT, KIND_ACK, KIND_ERROR, KIND_CONTROL};
    assert_memory_equal(f->bus_kinds, kinds, sizeof kinds);
    assert_int_equal(f->bus_seqs[1], 4);
    assert_int_equal(f->message_count, 0);
}

static void
other_records_do_not_come_that_way(void **state)
{
    struct fixture *f = *state;
    connect_hearing(f);
    fixture_say_error(f, KIND_ERROR, NULL, STATUS_INVALID, "whatever"); /* of nothing */
    struct message message = fixture_message(f, KIND_CONTROL, NULL);
    message.type = text_of("credit");
    fixture_say(f, &message);
    message = fixture_message(f, KIND_REQUEST, NULL);
    fixture_say(f, &message);
    fixture_settle(f);
    assert_int_equal(f->bus_count, 0);
    assert_int_equal(f->message_count, 0);
}

static void
an_error_of_a_call_goes_to_the_call(void **state)
{
    struct fixture *f = *state;
    connect_hearing(f);
    struct answered answered = {0};
    struct uuid id = fixture_call(f, "x", 0, 60000, &answered);
    fixture_take(f, KIND_REQUEST);
    fixture_say_error(f, KIND_ERROR, &id, STATUS_INVALID, "target_unknown");
    fixture_until_answered(f, &answered);
    assert_int_equal(f->bus_count, 0);
}

static void
a_call_may_bring_its_id(void **state)
{
    struct fixture *f = *state;
    fixture_connect(f);
    struct answered answered = {0};
    const struct uuid own = {{8, 8}};
    struct peer_request request = fixture_request("memory_query", (struct bytes){0}, &answered);
    struct error error;
    request.id = &own;
    assert_int_equal(peer_call(f->peer, &request, NULL, NULL), STATUS_OK);
    assert_int_equal(peer_call(f->peer, &request, NULL, &error), STATUS_ALREADY_EXISTS);
    assert_string_equal(error.word, "request_id_pending");
    struct seen *seen = fixture_take(f, KIND_REQUEST);
    assert_true(uuid_equal(&seen->message.id, &own));
    fixture_reply_text(f, &own, "yes");
    fixture_until_answered(f, &answered);
    assert_string_equal(answered.text, "yes");
}

static void
a_client_becomes_a_service_and_stays_one(void **state)
{
    struct fixture *f = *state;
    struct error error;
    strcpy(f->connection.identity, "service:memory");
    fixture_connect(f);
    struct peer_service service = {.name = "memory", .requests_max = 8};

    assert_int_equal(peer_announce(f->peer, &service, &error), STATUS_OK);

    fixture_take(f, KIND_READY);
    fixture_until_state(f, PEER_READY);
    assert_int_equal(peer_announce(f->peer, &service, &error), STATUS_CONFLICT);
    struct message request = fixture_message(f, KIND_REQUEST, NULL);
    fixture_say(f, &request);
    fixture_settle(f);
    assert_int_equal(f->message_count, 1);

    fixture_require_hello(f);
    fixture_take(f, KIND_READY);
}

static void
a_client_without_a_session_announces_itself_in_the_first(void **state)
{
    struct fixture *f = *state;
    char long_name[MESSAGE_NAME_MAX + 2];
    struct error error;
    struct peer_service service = {.name = long_name};
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    fixture_open(f);
    assert_int_equal(peer_announce(f->peer, &service, &error), STATUS_VALIDATION);
    service.name = "memory";
    assert_int_equal(peer_announce(f->peer, &service, &error), STATUS_OK);
    fixture_take(f, KIND_READY);
    fixture_until_state(f, PEER_READY);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_the_bus_leaves_with_its_id),
        TEST(an_id_and_a_time_that_were_given_stay),
        TEST(a_record_that_was_encoded_before_leaves_as_it_is),
        TEST(what_is_not_of_the_bus_or_has_no_session_is_refused),
        TEST(a_client_hears_what_the_broker_says_of_the_bus),
        TEST(other_records_do_not_come_that_way),
        TEST(an_error_of_a_call_goes_to_the_call),
        TEST(a_call_may_bring_its_id),
        TEST(a_client_becomes_a_service_and_stays_one),
        TEST(a_client_without_a_session_announces_itself_in_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
