/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fixture_bus.h"

static int
setup(void **state)
{
    *state = bus_new();
    return 0;
}

static int
teardown(void **state)
{
    struct bus *bus = *state;
    bus_destroy(&bus);
    return 0;
}

static int
send_text(struct sos *sos, const char *to, const char *text, struct sos_error *error)
{
    struct sos_map *map = sos_map_new();
    sos_map_put_text(map, "text", text);
    int status = sos_send(sos, to, "note", sos_map_payload(map), error);
    sos_map_free(&map);
    return status;
}

static void
take_text(struct sos *sos, const char *expected)
{
    struct sos_mail *mail = NULL;
    struct sos_error error;
    if (sos_receive(sos, 10000, &mail, &error) != SOS_OK)
        fail_msg("nothing came: %s", error.message);
    assert_string_equal(sos_map_text(sos_mail_map(mail), "text"), expected);
    assert_int_equal(sos_mail_ack(&mail, NULL), SOS_OK);
    assert_null(mail);
}

static void
expect_nothing(struct sos *sos)
{
    struct sos_mail *mail = NULL;
    assert_int_equal(sos_receive(sos, 100, &mail, NULL), SOS_NOTHING);
}

static void
a_message_goes_from_one_to_the_other(void **state)
{
    struct bus *bus = *state;
    struct sos *kasra = bus_connect(bus, "agent:kasra", NULL);
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    struct sos_mail *mail = NULL;
    assert_int_equal(send_text(kasra, "agent:river", "hello", NULL), SOS_OK);

    assert_int_equal(sos_receive(river, 5000, &mail, NULL), SOS_OK);

    assert_string_equal(sos_mail_from(mail), "agent:kasra");
    assert_string_equal(sos_mail_to(mail), "agent:river");
    assert_string_equal(sos_mail_type(mail), "note");
    assert_string_equal(sos_map_text(sos_mail_map(mail), "text"), "hello");
    assert_int_equal(sos_mail_attempt(mail), 1);
    assert_false(sos_id_is_none(sos_mail_id(mail)));
    assert_true(sos_id_is_none(sos_mail_in_reply_to(mail)));
    assert_true(sos_mail_sent_us(mail) > 0);
    assert_int_equal(sos_mail_ack(&mail, NULL), SOS_OK);
    assert_int_equal(sos_flush(river, 5000, NULL), SOS_OK);
    assert_int_equal(bus_waiting(bus, "agent:river"), 0);
    sos_close(&kasra);
    sos_close(&river);
}

static void
a_refused_message_says_why(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct sos_error error;
    assert_int_equal(send_text(sos, "agent:full", "x", &error), SOS_QUOTA_EXCEEDED);
    assert_string_equal(error.word, "inbox_full");
    assert_int_equal(sos_send(sos, NULL, "note", (struct sos_bytes){0}, &error), SOS_INVALID);
    assert_string_equal(error.field, "to");
    sos_close(&sos);
}

static void
the_same_id_is_stored_once(void **state)
{
    struct sos *sos = bus_connect(*state, "agent:kasra", NULL);
    struct sos_receipt receipt;
    struct sos_message message = {.to = "agent:river", .id = {{1, 2, 3}}};
    assert_int_equal(sos_send_message(sos, &message, &receipt, NULL), SOS_OK);
    assert_int_equal(receipt.copies, 1);
    assert_int_equal(sos_send_message(sos, &message, &receipt, NULL), SOS_OK);
    assert_int_equal(receipt.copies, 0);
    assert_memory_equal(&receipt.id, &message.id, sizeof receipt.id);
    sos_close(&sos);
}

static void
a_busy_broker_is_asked_again(void **state)
{
    struct bus *bus = *state;
    struct sos *sos = bus_connect(bus, "agent:kasra", NULL);
    bus_set(bus, &bus->busy_sends, 2);
    assert_int_equal(send_text(sos, "agent:river", "x", NULL), SOS_OK);
    assert_int_equal(bus_get(bus, &bus->sends), 3);
    sos_close(&sos);
}

static void
a_full_queue_says_busy(void **state)
{
    struct bus *bus = *state;
    struct sos_options options = {.timeout_ms = -1, .sends_max = 2, .close_ms = 1};
    bus_stop(bus);
    struct sos *sos = bus_connect(bus, "agent:kasra", &options);
    struct sos_message message = {.to = "agent:river"};
    struct sos_error error;
    assert_int_equal(sos_send_async(sos, &message, NULL, NULL, NULL, NULL), SOS_OK);
    assert_int_equal(sos_send_async(sos, &message, NULL, NULL, NULL, NULL), SOS_OK);
    assert_int_equal(sos_send_async(sos, &message, NULL, NULL, NULL, &error), SOS_BUSY);
    sos_close(&sos);
}

static void
a_message_that_finds_no_broker_ends_in_time(void **state)
{
    struct bus *bus = *state;
    struct sos *sos = bus_connect(bus, "agent:kasra", NULL);
    struct sos_message message = {.to = "agent:river", .timeout_ms = 100};
    struct sos_error error;
    bus_stop(bus);
    int status = sos_send_message(sos, &message, NULL, &error);
    assert_true(status == SOS_TIMEOUT || status == SOS_UNKNOWN_OUTCOME);
    sos_close(&sos);
}

struct sent {
    int count;
    int ok;
    uint64_t copies;
};

static void
count_sent(void *context, const struct sos_error *error, const struct sos_receipt *receipt)
{
    struct sent *sent = context;
    sent->count++;
    sent->ok += error == NULL;
    if (!error)
        sent->copies += receipt->copies;
}

static void
send_numbers(struct sos *sos, int count, struct sent *sent)
{
    for (int i = 0; i < count; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        struct sos_map *map = sos_map_new();
        sos_map_put_text(map, "text", text);
        struct sos_message message = {.to = "agent:river", .payload = sos_map_payload(map)};
        assert_int_equal(sos_send_async(sos, &message, count_sent, sent, NULL, NULL), SOS_OK);
        sos_map_free(&map);
    }
}

static void
messages_that_found_the_broker_busy_keep_their_order(void **state)
{
    struct bus *bus = *state;
    struct sos_options options = {.timeout_ms = -1};
    bus_stop(bus);
    bus_set(bus, &bus->busy_sends, 5);
    struct sos *kasra = bus_connect(bus, "agent:kasra", &options);
    struct sent sent = {0};
    send_numbers(kasra, 5, &sent);
    bus_start(bus);
    while (sent.count < 5)
        assert_int_equal(sos_poll(kasra, 15000, NULL), SOS_OK);
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    for (int i = 0; i < 5; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        take_text(river, text);
    }
    sos_close(&kasra);
    sos_close(&river);
}

static void
unanswered_messages_are_sent_again_to_a_new_broker_in_order(void **state)
{
    enum { COUNT = 500, STORED = 200 };
    struct bus *bus = *state;
    struct sos *kasra = bus_connect(bus, "agent:kasra", NULL);
    struct sent sent = {0};
    bus_set(bus, &bus->mute_sends, STORED);
    bus_set(bus, &bus->lost_sends, COUNT);
    send_numbers(kasra, COUNT, &sent);
    bus_await(bus, &bus->sends, STORED + 100); /* some were stored, none was answered */

    bus_stop(bus);
    bus_set(bus, &bus->lost_sends, 0);
    bus_start(bus);

    while (sent.count < COUNT)
        assert_int_equal(sos_poll(kasra, 15000, NULL), SOS_OK);
    assert_int_equal(sent.ok, COUNT);
    assert_int_equal(sent.copies, COUNT - STORED); /* those that were there are not there twice */
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    for (int i = 0; i < COUNT; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        take_text(river, text);
    }
    expect_nothing(river);
    sos_close(&kasra);
    sos_close(&river);
}

static void
an_answer_that_was_lost_is_asked_for_again(void **state)
{
    struct bus *bus = *state;
    struct sos *sos = bus_connect(bus, "agent:kasra", NULL);
    struct sos_receipt receipt;
    struct sos_message message = {.to = "agent:river"};
    bus_set(bus, &bus->mute_sends, 1);
    assert_int_equal(sos_send_message(sos, &message, &receipt, NULL), SOS_OK); /* after 5 s */
    assert_int_equal(receipt.copies, 0);
    assert_int_equal(bus_get(bus, &bus->sends), 2);
    sos_close(&sos);
}

static void
what_was_acknowledged_here_is_not_handed_out_again(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    bus_post(bus, "agent:kasra", "agent:river", "once");
    bus_set(bus, &bus->mute_acks, 1);
    take_text(river, "once");
    bus_await(bus, &bus->acks, 1); /* it came, and is lost with the broker */

    bus_set_flag(bus, &bus->hold_mail, true);
    bus_restart(bus);
    bus_await(bus, &bus->acks, 2); /* the new one does not know what it is about */

    assert_int_equal(sos_flush(river, 100, NULL), SOS_TIMEOUT);
    bus_set_flag(bus, &bus->hold_mail, false);
    expect_nothing(river);
    assert_int_equal(sos_flush(river, 10000, NULL), SOS_OK);
    assert_int_equal(bus_waiting(bus, "agent:river"), 0);
    sos_close(&river);
}

static void
what_comes_again_while_it_is_held_is_not_handed_out_twice(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    struct sos_mail *mail = NULL;
    bus_post(bus, "agent:kasra", "agent:river", "held");
    assert_int_equal(sos_receive(river, 5000, &mail, NULL), SOS_OK);

    bus_redeliver(bus);
    expect_nothing(river);
    bus_restart(bus);
    expect_nothing(river);

    assert_int_equal(sos_mail_ack(&mail, NULL), SOS_OK);
    assert_int_equal(sos_flush(river, 10000, NULL), SOS_OK);
    assert_int_equal(bus_waiting(bus, "agent:river"), 0);
    sos_close(&river);
}

static void
what_is_acknowledged_without_a_broker_is_confirmed_by_the_next(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    struct sos_mail *mail = NULL;
    bus_post(bus, "agent:kasra", "agent:river", "x");
    assert_int_equal(sos_receive(river, 5000, &mail, NULL), SOS_OK);
    bus_stop(bus);
    while (sos_state(river) == SOS_CONNECTED)
        sos_poll(river, 1, NULL);
    assert_int_equal(sos_mail_ack(&mail, NULL), SOS_OK);
    assert_int_equal(sos_flush(river, 50, NULL), SOS_TIMEOUT);
    bus_set_flag(bus, &bus->hold_mail, true);
    bus_start(bus);
    bus_await(bus, &bus->acks, 1);
    assert_int_equal(sos_flush(river, 100, NULL), SOS_TIMEOUT);
    bus_set_flag(bus, &bus->hold_mail, false);
    assert_int_equal(sos_flush(river, 15000, NULL), SOS_OK);
    assert_int_equal(bus_waiting(bus, "agent:river"), 0);
    expect_nothing(river);
    sos_close(&river);
}

static void
what_was_not_taken_goes_with_the_session(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    struct sos_mail *mail = NULL;
    expect_nothing(river);
    bus_post(bus, "agent:kasra", "agent:river", "somebody's");
    while (sos_receive(river, 0, &mail, NULL) == SOS_NOTHING)
        continue;
    bus_post(bus, "agent:kasra", "agent:river", "nobody's");
    struct sos *other = bus_connect(bus, "agent:other", NULL); /* both came by then */
    assert_int_equal(send_text(other, "agent:other", "x", NULL), SOS_OK);

    bus_stop(bus);
    while (sos_state(river) == SOS_CONNECTED)
        sos_poll(river, 1, NULL);

    struct sos_mail *none = NULL;
    assert_int_equal(sos_receive(river, 0, &none, NULL), SOS_NOTHING);
    bus_start(bus);
    take_text(river, "nobody's");
    assert_int_equal(sos_mail_ack(&mail, NULL), SOS_OK);
    sos_close(&other);
    sos_close(&river);
}

static void *
receive_long(void *argument)
{
    struct sos *sos = argument;
    struct sos_mail *mail = NULL;
    return (void *)(intptr_t)sos_receive(sos, -1, &mail, NULL);
}

static void
stop_ends_a_thread_that_waits_without_end(void **state)
{
    struct sos *river = bus_connect(*state, "agent:river", NULL);
    pthread_t thread;
    void *status = NULL;
    expect_nothing(river);
    pthread_create(&thread, NULL, receive_long, river);
    sos_stop(river);
    pthread_join(thread, &status);
    assert_int_equal((int)(intptr_t)status, SOS_CANCELLED);
    expect_nothing(river); /* a wait with an end goes on */
    sos_close(&river);
}

static void
an_inbox_that_is_not_read_stops_at_its_window(void **state)
{
    struct bus *bus = *state;
    struct sos_options options = {.inbox_window = 3};
    struct sos *river = bus_connect(bus, "agent:river", &options);
    expect_nothing(river); /* opens it */
    for (int i = 0; i < 5; i++) {
        char text[4];
        snprintf(text, sizeof text, "%d", i);
        bus_post(bus, "agent:kasra", "agent:river", text);
    }
    struct sos_mail *held[3] = {NULL};
    for (int i = 0; i < 3; i++)
        assert_int_equal(sos_receive(river, 5000, &held[i], NULL), SOS_OK);
    expect_nothing(river);

    assert_int_equal(sos_mail_ack(&held[1], NULL), SOS_OK);

    take_text(river, "3");
    sos_mail_release(&held[0]);
    sos_mail_release(&held[2]);
    sos_close(&river);
}

static void
leases_are_extended_while_a_message_is_held(void **state)
{
    struct bus *bus = *state;
    struct sos_options options = {.lease_ms = 1000};
    struct sos *river = bus_connect(bus, "agent:river", &options);
    struct sos_mail *mail = NULL;
    bus_post(bus, "agent:kasra", "agent:river", "long work");
    assert_int_equal(sos_receive(river, 5000, &mail, NULL), SOS_OK);
    bus_await(bus, &bus->extends, 2);
    assert_int_equal(sos_mail_ack(&mail, NULL), SOS_OK);
    sos_close(&river);
}

static void
what_is_given_back_comes_again_and_what_is_rejected_is_dead(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    struct sos_mail *mail = NULL;
    bus_post(bus, "agent:kasra", "agent:river", "try");
    assert_int_equal(sos_receive(river, 5000, &mail, NULL), SOS_OK);
    assert_int_equal(sos_mail_nack(&mail, "not now", 0, NULL), SOS_OK);
    assert_null(mail);
    assert_int_equal(sos_receive(river, 5000, &mail, NULL), SOS_OK);
    assert_int_equal(sos_mail_attempt(mail), 2);
    sos_mail_release(&mail);
    assert_null(mail);
    assert_int_equal(sos_receive(river, 5000, &mail, NULL), SOS_OK);
    assert_int_equal(sos_mail_reject(&mail, "never", NULL), SOS_OK);
    assert_int_equal(sos_flush(river, 5000, NULL), SOS_OK);
    expect_nothing(river);
    assert_int_equal(bus_waiting(bus, "agent:river"), 0);
    sos_close(&river);
}

static void
a_closed_inbox_gives_back_what_was_not_taken(void **state)
{
    struct bus *bus = *state;
    struct sos *one = bus_connect(bus, "agent:river", NULL);
    struct sos *two = bus_connect(bus, "agent:river", NULL);
    bus_post(bus, "agent:kasra", "agent:river", "first");
    bus_post(bus, "agent:kasra", "agent:river", "second");
    take_text(one, "first");
    assert_int_equal(sos_inbox_close(one, NULL), SOS_OK);
    take_text(two, "second");
    assert_int_equal(sos_inbox_close(two, NULL), SOS_OK);
    bus_post(bus, "agent:kasra", "agent:river", "third");
    take_text(one, "third"); /* opened again */
    sos_close(&one);
    sos_close(&two);
}

static void
a_refused_inbox_says_why(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    struct sos_mail *mail = NULL;
    struct sos_error error;
    bus_set_flag(bus, &bus->refuse_subscribe, true);
    assert_int_equal(sos_receive(river, 5000, &mail, &error), SOS_FORBIDDEN);
    assert_non_null(strstr(error.message, "agent:river"));
    bus_set_flag(bus, &bus->refuse_subscribe, false);
    bus_post(bus, "agent:kasra", "agent:river", "later");
    take_text(river, "later");
    sos_close(&river);
}

static void
take_by_callback(void *context, struct sos_mail *mail)
{
    int *count = context;
    *count += 1;
    sos_mail_ack(&mail, NULL);
}

static void
mail_comes_by_callback(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    struct sos_mail *mail = NULL;
    int count = 0;
    bus_post(bus, "agent:kasra", "agent:river", "one");
    bus_post(bus, "agent:kasra", "agent:river", "two");
    assert_int_equal(sos_on_mail(river, take_by_callback, &count, NULL), SOS_OK);
    assert_int_equal(sos_receive(river, 0, &mail, NULL), SOS_CONFLICT);
    while (count < 2)
        assert_int_equal(sos_poll(river, 5000, NULL), SOS_OK);
    assert_int_equal(sos_flush(river, 5000, NULL), SOS_OK);
    assert_int_equal(bus_waiting(bus, "agent:river"), 0);

    assert_int_equal(sos_on_mail(river, NULL, NULL, NULL), SOS_OK);
    bus_post(bus, "agent:kasra", "agent:river", "three");
    take_text(river, "three");
    sos_close(&river);
}

static void
callbacks_of_a_lost_session_do_not_run_on_what_is_gone(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    int count = 0;
    assert_int_equal(sos_on_mail(river, take_by_callback, &count, NULL), SOS_OK);
    for (int i = 0; i < 20; i++)
        bus_post(bus, "agent:kasra", "agent:river", "x");
    bus_restart(bus);
    while (count < 20)
        assert_int_equal(sos_poll(river, 15000, NULL), SOS_OK);
    assert_int_equal(sos_flush(river, 5000, NULL), SOS_OK);
    assert_int_equal(count, 20);
    sos_close(&river);
}

static void
mail_may_be_ended_after_its_client(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    struct sos_mail *one = NULL;
    struct sos_mail *two = NULL;
    bus_post(bus, "agent:kasra", "agent:river", "one");
    bus_post(bus, "agent:kasra", "agent:river", "two");
    assert_int_equal(sos_receive(river, 5000, &one, NULL), SOS_OK);
    assert_int_equal(sos_receive(river, 5000, &two, NULL), SOS_OK);
    sos_close(&river);
    assert_int_equal(sos_mail_ack(&one, NULL), SOS_CANCELLED);
    assert_null(one);
    sos_mail_release(&two);
    assert_null(two);
    assert_int_equal(bus_waiting(bus, "agent:river"), 2);
}

static void
closing_waits_for_what_was_acknowledged(void **state)
{
    struct bus *bus = *state;
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    for (int i = 0; i < 300; i++)
        bus_post(bus, "agent:kasra", "agent:river", "x");
    for (int i = 0; i < 300; i++)
        take_text(river, "x");
    sos_close(&river);
    assert_int_equal(bus_waiting(bus, "agent:river"), 0);
}

/* ---- questions and answers */

struct answerer {
    struct sos *sos;
    int refusals;
    int answers;
};

static void *
answer_questions(void *argument)
{
    struct answerer *answerer = argument;
    for (int i = 0; i < answerer->answers; i++) {
        struct sos_mail *mail = NULL;
        if (sos_receive(answerer->sos, 10000, &mail, NULL) != SOS_OK)
            return NULL;
        sos_mail_reply(mail, NULL, sos_mail_payload(mail), NULL);
        sos_mail_reply(mail, NULL, sos_mail_payload(mail), NULL); /* once is enough */
        sos_mail_ack(&mail, NULL);
    }
    return NULL;
}

static void
a_question_gets_its_answer_and_other_mail_stays(void **state)
{
    struct bus *bus = *state;
    struct sos *kasra = bus_connect(bus, "agent:kasra", NULL);
    struct answerer answerer = {.sos = bus_connect(bus, "agent:river", NULL), .answers = 1};
    pthread_t thread;
    pthread_create(&thread, NULL, answer_questions, &answerer);
    bus_post(bus, "agent:bird", "agent:kasra", "by the way");
    struct sos_message question = {.to = "agent:river", .payload = {"\xa3why", 4}};
    struct sos_mail *answer = NULL;

    assert_int_equal(sos_ask(kasra, &question, 10000, &answer, NULL), SOS_OK);

    assert_string_equal(sos_mail_from(answer), "agent:river");
    assert_string_equal(sos_mail_type(answer), "reply");
    assert_memory_equal(sos_mail_payload(answer).data, "\xa3why", 4);
    assert_int_equal(sos_mail_ack(&answer, NULL), SOS_OK);
    take_text(kasra, "by the way");
    expect_nothing(kasra);
    pthread_join(thread, NULL);
    sos_close(&answerer.sos);
    sos_close(&kasra);
}

static void
a_late_answer_is_mail(void **state)
{
    struct bus *bus = *state;
    struct sos *kasra = bus_connect(bus, "agent:kasra", NULL);
    struct sos *river = bus_connect(bus, "agent:river", NULL);
    struct sos_message question = {.to = "agent:river"};
    struct sos_mail *answer = NULL;
    struct sos_mail *mail = NULL;
    struct sos_error error;
    assert_int_equal(sos_ask(kasra, &question, 200, &answer, &error), SOS_TIMEOUT);
    assert_string_equal(error.message, "no answer so far");

    assert_int_equal(sos_receive(river, 5000, &mail, NULL), SOS_OK);
    assert_int_equal(sos_mail_reply(mail, "late", (struct sos_bytes){0}, NULL), SOS_OK);

    assert_int_equal(sos_receive(kasra, 5000, &answer, NULL), SOS_OK);
    assert_memory_equal(sos_mail_in_reply_to(answer), sos_mail_id(mail), sizeof(struct sos_id));
    assert_int_equal(sos_mail_ack(&mail, NULL), SOS_OK);
    assert_int_equal(sos_mail_ack(&answer, NULL), SOS_OK);
    sos_close(&kasra);
    sos_close(&river);
}

static void
a_question_that_cannot_be_sent_says_so(void **state)
{
    struct sos *kasra = bus_connect(*state, "agent:kasra", NULL);
    struct sos_message question = {.to = "agent:full"};
    struct sos_mail *answer = NULL;
    assert_int_equal(sos_ask(kasra, &question, 5000, &answer, NULL), SOS_QUOTA_EXCEEDED);
    sos_close(&kasra);
}

static void
answer_on_poll(void *context, struct sos_request *request)
{
    struct answerer *answerer = context;
    if (strcmp(sos_request_type(request), "bad") == 0) {
        answerer->refusals++;
        sos_refuse(&request, SOS_CONFLICT, "not_today", "come back tomorrow", NULL);
        return;
    }
    answerer->answers++;
    sos_reply(&request, sos_request_payload(request), NULL);
}

static void *
run_client(void *argument)
{
    sos_run(((struct answerer *)argument)->sos, NULL);
    return NULL;
}

static void
an_agent_serves_by_mail(void **state)
{
    struct bus *bus = *state;
    struct sos *kasra = bus_connect(bus, "agent:kasra", NULL);
    struct answerer answerer = {.sos = bus_connect(bus, "agent:river", NULL)};
    pthread_t thread;
    assert_int_equal(sos_serve(answerer.sos, NULL, answer_on_poll, &answerer, NULL), SOS_OK);
    pthread_create(&thread, NULL, run_client, &answerer);
    struct sos_message question = {.to = "agent:river", .payload = {"\xa3why", 4}};
    struct sos_mail *answer = NULL;
    struct sos_error error;

    assert_int_equal(sos_ask(kasra, &question, 10000, &answer, NULL), SOS_OK);
    assert_memory_equal(sos_mail_payload(answer).data, "\xa3why", 4);
    sos_mail_ack(&answer, NULL);
    question.type = "bad";
    assert_int_equal(sos_ask(kasra, &question, 10000, &answer, &error), SOS_CONFLICT);
    assert_string_equal(error.word, "not_today");
    assert_string_equal(error.message, "come back tomorrow");

    sos_stop(answerer.sos);
    pthread_join(thread, NULL);
    sos_close(&answerer.sos);
    assert_int_equal(bus_waiting(bus, "agent:river"), 0); /* acknowledged behind the answers */
    assert_int_equal(answerer.answers, 1);
    assert_int_equal(answerer.refusals, 1);
    sos_close(&kasra);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_message_goes_from_one_to_the_other),
        TEST(a_refused_message_says_why),
        TEST(the_same_id_is_stored_once),
        TEST(a_busy_broker_is_asked_again),
        TEST(a_full_queue_says_busy),
        TEST(a_message_that_finds_no_broker_ends_in_time),
        TEST(messages_that_found_the_broker_busy_keep_their_order),
        TEST(unanswered_messages_are_sent_again_to_a_new_broker_in_order),
        TEST(an_answer_that_was_lost_is_asked_for_again),
        TEST(what_was_acknowledged_here_is_not_handed_out_again),
        TEST(what_comes_again_while_it_is_held_is_not_handed_out_twice),
        TEST(what_is_acknowledged_without_a_broker_is_confirmed_by_the_next),
        TEST(what_was_not_taken_goes_with_the_session),
        TEST(stop_ends_a_thread_that_waits_without_end),
        TEST(an_inbox_that_is_not_read_stops_at_its_window),
        TEST(leases_are_extended_while_a_message_is_held),
        TEST(what_is_given_back_comes_again_and_what_is_rejected_is_dead),
        TEST(a_closed_inbox_gives_back_what_was_not_taken),
        TEST(a_refused_inbox_says_why),
        TEST(mail_comes_by_callback),
        TEST(callbacks_of_a_lost_session_do_not_run_on_what_is_gone),
        TEST(mail_may_be_ended_after_its_client),
        TEST(closing_waits_for_what_was_acknowledged),
        TEST(a_question_gets_its_answer_and_other_mail_stays),
        TEST(a_late_answer_is_mail),
        TEST(a_question_that_cannot_be_sent_says_so),
        TEST(an_agent_serves_by_mail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
