/* SPDX-License-Identifier: Apache-2.0 */
/* Redelivery: what counts as a try, when a message comes again, when it is dead; and what comes of
 * it when the disk or the broker fails. */
#include <stdio.h>

#include "broker/core/mail.h"
#include "broker/core/mail_state.h"
#include "fixture_bus.h"
#include "fixture_mail.h"

static const char kasra[] = "agent:kasra";
static const char river[] = "agent:river";

/* 1 sends, 2 receives. */
static void
two_agents(struct fixture *f)
{
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
}

static size_t
inboxes(const struct fixture *f)
{
    return f->core->mail->inboxes.count;
}

static size_t
out(const struct fixture *f)
{
    return f->core->mail->entries.count;
}

static void
handle(struct fixture *f, peer_number peer, const struct uuid *id)
{
    mail_ack(f, peer, id, false);
    mail_settle(f);
}

/* ---- redelivery */

static void
times_grow_until_the_message_is_dead(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid id = mail_put(f, 1, river, "x");
    /* That time was waited already: it comes again at once. */
    const uint64_t times_ms[] = {1000, 2000, 4000, 4000};
    for (uint32_t i = 0; i < 4; i++) {
        take_delivery(f, 2, &id, i + 1);
        mail_pass(f, times_ms[i] - 100);
        assert_true(has_nothing(f, 2));
        mail_pass(f, 100);
        assert_int_equal(mail_row_of(f, river, &id)->attempts, i + 1);
    }
    assert_true(has_nothing(f, 2));
    assert_int_equal(mail_dead_rows(f, river), 1);
    struct fake_row *row = mail_row_of(f, river, &id);
    assert_int_equal(row->attempts, 4);
    assert_string_equal(row->reason, "not acknowledged in time");
    assert_int_equal(out(f), 0);
    assert_true(count_of(f, "sos_mail_dead_total ") == 1);
    assert_true(count_of(f, "sos_mail_redelivered_total ") == 3);
    assert_true(count_of(f, "sos_mail_delivered_total ") == 4);
}

static void
a_nack_is_tried_again_after_one_two_and_four_seconds(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 60000);
    struct uuid id = mail_put(f, 1, river, "x");
    const uint64_t delays_ms[] = {1000, 2000, 4000};
    for (uint32_t i = 0; i < 3; i++) {
        take_delivery(f, 2, &id, i + 1);
        mail_nack(f, 2, &id, -1, false);
        mail_pass(f, delays_ms[i] - 100);
        assert_true(has_nothing(f, 2));
        mail_pass(f, 100);
    }
    take_delivery(f, 2, &id, 4);
    mail_nack(f, 2, &id, -1, false);
    mail_settle(f);
    assert_int_equal(mail_dead_rows(f, river), 1);
    assert_int_equal(mail_row_of(f, river, &id)->attempts, 4);
}

static void
a_nack_names_its_own_delay(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 60000);
    struct uuid id = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &id, 1);
    mail_nack(f, 2, &id, 0, false);
    mail_settle(f);
    take_delivery(f, 2, &id, 2);
    mail_nack(f, 2, &id, 10000, false);
    mail_pass(f, 9900);
    assert_true(has_nothing(f, 2));
    mail_pass(f, 100);
    take_delivery(f, 2, &id, 3);
}

static void
a_nack_kills_at_once_when_it_says_so(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    subscribe_well(f, 1, "system:events", LIVE_ONLY);
    mail_listen(f, 2, river, 4, 60000);
    struct uuid id = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &id, 1);
    mail_nack(f, 2, &id, -1, true);
    assert_true(has_nothing(f, 1));
    mail_settle(f);
    const struct message *event = take_kind(f, 1, KIND_EVENT);
    struct value map;
    assert_true(text_equal_string(event->type, "mail.dead"));
    assert_true(value_parse(event->payload, &map));
    assert_true(text_equal_string(text_in(&map, "identity"), river));
    struct fake_row *row = mail_row_of(f, river, &id);
    assert_true(row->dead);
    assert_int_equal(row->attempts, 1);
    assert_string_equal(row->reason, "it is poison");
    mail_pass(f, 10000);
    assert_true(has_nothing(f, 2));
}

static void
the_time_of_the_next_begins_when_it_becomes_the_oldest(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid first = mail_put(f, 1, river, "x"), second = mail_put(f, 1, river, "y");
    take_delivery(f, 2, &first, 1);
    take_delivery(f, 2, &second, 1);
    mail_pass(f, 900);
    handle(f, 2, &first);
    mail_pass(f, 900);
    assert_true(has_nothing(f, 2));
    assert_int_equal(f->mail->asked[MAIL_TRIED], 0);
    mail_pass(f, 200);
    take_delivery(f, 2, &second, 2);
}

static void
a_hung_receiver_is_charged_one_message_at_a_time(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 3, 1000);
    struct uuid ids[3];
    for (size_t i = 0; i < 3; i++) {
        ids[i] = mail_put(f, 1, river, "x");
        take_delivery(f, 2, &ids[i], 1);
    }
    mail_pass(f, 1050);
    assert_int_equal(f->mail->asked[MAIL_TRIED], 1);
    take_delivery(f, 2, &ids[0], 2);
    mail_pass(f, 1050);
    assert_int_equal(f->mail->asked[MAIL_TRIED], 2);
    take_delivery(f, 2, &ids[1], 2);
}

static void
extended_messages_are_not_taken_for_lost(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid id = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &id, 1);
    struct buffer payload;
    for (int i = 0; i < 3; i++) {
        buffer_init(&payload);
        pack_map(&payload, 2);
        pack_string(&payload, "ids");
        pack_array(&payload, 1);
        pack_bin(&payload, id.bytes, sizeof id.bytes);
        pack_pair_uint(&payload, "ms", 3000);
        say(f, 2,
            (struct message){.kind = KIND_CONTROL,
                             .type = text_of("extend"),
                             .payload = buffer_bytes(&payload)});
        buffer_clear(&payload);
        mail_pass(f, 2900);
        assert_true(has_nothing(f, 2));
    }
    mail_pass(f, 200);
    take_delivery(f, 2, &id, 2);
}

static void
an_ack_of_a_message_that_waits_for_redelivery_counts(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 60000);
    struct uuid id = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &id, 1);
    mail_nack(f, 2, &id, -1, false);
    handle(f, 2, &id);
    assert_int_equal(mail_rows(f, river), 0);
    mail_pass(f, 5000);
    assert_true(has_nothing(f, 2));
    assert_int_equal(out(f), 0);
}

static void
an_ack_while_the_redelivery_is_read_counts(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 60000);
    struct uuid id = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &id, 1);
    mail_nack(f, 2, &id, 0, false);
    assert_int_equal(f->mail->asked[MAIL_READ_ONE], 1);
    handle(f, 2, &id);
    assert_true(has_nothing(f, 2));
    assert_int_equal(mail_rows(f, river), 0);
    assert_int_equal(out(f), 0);
}

static void
what_is_read_again_keeps_its_room(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 1, 60000);
    struct uuid first = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &first, 1);
    struct uuid second = mail_send(f, 1, river, "y");
    mail_nack(f, 2, &first, 0, false);
    mail_settle(f);
    take_delivery(f, 2, &first, 2);
    assert_true(has_nothing(f, 2));
    handle(f, 2, &first);
    take_delivery(f, 2, &second, 1);
}

static void
what_a_session_held_comes_before_newer_mail(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    enum { COUNT = 3 * MAIL_READS_MAX };
    struct uuid ids[COUNT];
    mail_listen(f, 2, river, COUNT, 60000);
    for (size_t i = 0; i < COUNT; i++) {
        ids[i] = mail_put(f, 1, river, "x");
        take_delivery(f, 2, &ids[i], 1);
    }
    mail_listen(f, 2, river, COUNT, 60000);
    core_disconnected(f->core, 2, f->now);
    f->identities[2] = NULL;
    join_greeted(f, 3, river);
    mail_subscribe_to(f, 3, river, 2 * COUNT, 60000);
    mail_answer(f, 2);
    take_kind(f, 3, KIND_ACK);
    struct uuid newer = mail_send(f, 1, river, "y");
    mail_settle(f);
    for (size_t i = 1; i < COUNT; i++)
        take_delivery(f, 3, &ids[i], 1);
    take_delivery(f, 3, &newer, 1);
}

static void
poison_is_tried_four_times_and_holds_up_nobody(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 2, 60000);
    struct uuid poison = mail_put(f, 1, river, "poison");
    uint32_t tries = 0;
    size_t handled = 0;
    for (int i = 0; i < 100; i++) {
        struct uuid id = mail_put(f, 1, river, "x");
        while (!has_nothing(f, 2)) {
            const struct message *message = take_kind(f, 2, KIND_DELIVER);
            struct uuid got = message->id;
            if (message_says(message, "poison")) {
                assert_int_equal(message->attempt, ++tries);
                mail_nack(f, 2, &got, -1, false);
            } else {
                assert_true(uuid_equal(&got, &id));
                handled++;
                mail_ack(f, 2, &got, false);
            }
        }
        mail_pass(f, 100);
    }
    assert_int_equal(tries, 4);
    assert_int_equal(handled, 100);
    assert_int_equal(mail_dead_rows(f, river), 1);
    assert_true(mail_row_of(f, river, &poison)->dead);
    assert_int_equal(mail_rows(f, river), 0);
}

static void
memory_is_bounded_when_everything_is_refused(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    for (size_t i = 0; i < 100; i++)
        mail_send(f, 1, river, "x");
    mail_settle(f);
    mail_listen(f, 2, river, 4, 60000);
    for (size_t i = 0; i < 100; i++) {
        while (!has_nothing(f, 2)) {
            struct uuid id = take_kind(f, 2, KIND_DELIVER)->id;
            mail_nack(f, 2, &id, 3600000, false);
        }
        mail_settle(f);
        assert_true(out(f) <= 4 * MAIL_HELD_WINDOWS);
    }
    assert_int_equal(out(f), 4 * MAIL_HELD_WINDOWS);
}

static void
a_crash_of_the_broker_keeps_attempts_and_loses_nothing(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid handled = mail_put(f, 1, river, "a"), tried = mail_put(f, 1, river, "b"),
                out_then = mail_put(f, 1, river, "c");
    take_delivery(f, 2, &handled, 1);
    handle(f, 2, &handled);
    take_delivery(f, 2, &tried, 1);
    take_delivery(f, 2, &out_then, 1);
    mail_pass(f, 1100);
    take_delivery(f, 2, &tried, 2);
    struct uuid unanswered = mail_send(f, 1, river, "d");
    mail_ack(f, 2, &out_then, false); /* this one is lost */

    mail_crash(f);
    two_agents(f);
    assert_int_equal(f->mail->asked[MAIL_TRIED], 1); /* nobody is charged for it */
    mail_listen(f, 2, river, 4, 1000);
    take_delivery(f, 2, &tried, 2);
    take_delivery(f, 2, &out_then, 1);
    assert_true(has_nothing(f, 2));
    struct message again = {.kind = KIND_SEND, .id = unanswered, .target = text_of(river)};
    say(f, 1, again);
    mail_settle(f);
    assert_int_equal(take_kind(f, 1, KIND_ACK)->seq, 1);
    take_delivery(f, 2, &unanswered, 1);
}

static void
a_second_hello_is_a_lost_session(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid id = mail_put(f, 1, river, "a");
    take_delivery(f, 2, &id, 1);
    greet(f, 2);
    mail_settle(f);
    assert_int_equal(f->mail->asked[MAIL_TRIED], 1);
    mail_listen(f, 2, river, 4, 1000);
    assert_true(has_nothing(f, 2));
    mail_pass(f, 1000);
    take_delivery(f, 2, &id, 2);
}

static void
a_session_that_goes_while_rows_are_read_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    struct uuid id = mail_put(f, 1, river, "a");
    mail_subscribe_to(f, 2, river, 4, 1000);
    mail_answer(f, 1); /* figures; the rows are asked for now */
    core_tick(f->core, f->now);
    core_disconnected(f->core, 2, f->now);
    assert_int_equal(inboxes(f), 0);
    join_greeted(f, 3, river);
    mail_subscribe_to(f, 3, river, 4, 1000);
    mail_settle(f);
    take_kind(f, 3, KIND_ACK);
    take_delivery(f, 3, &id, 1);
    assert_true(has_nothing(f, 3));
}

static void
a_disk_that_cannot_be_read_is_tried_again(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    struct uuid id = mail_put(f, 1, river, "a");
    f->mail->fails[MAIL_READ] = STATUS_STORE_FAILED;
    mail_listen(f, 2, river, 4, 60000);
    assert_true(has_nothing(f, 2));
    f->mail->fails[MAIL_READ] = STATUS_OK;
    mail_pass(f, 1100);
    take_delivery(f, 2, &id, 1);
    f->mail->fails[MAIL_READ_ONE] = STATUS_STORE_FAILED;
    mail_nack(f, 2, &id, 0, false);
    mail_pass(f, 3000);
    assert_true(has_nothing(f, 2));
    f->mail->fails[MAIL_READ_ONE] = STATUS_OK;
    mail_pass(f, 1100);
    take_delivery(f, 2, &id, 2);
}

static void
a_mailbox_without_room_is_asked_again(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    struct uuid id = mail_put(f, 1, river, "a");
    mail_listen(f, 2, river, 4, 60000);
    take_delivery(f, 2, &id, 1);
    f->mail->question_max = 0;
    handle(f, 2, &id);
    assert_int_equal(mail_rows(f, river), 1);
    /* Nothing new is taken on while what must be asked waits. */
    f->mail->question_max = 1;
    mail_send(f, 1, river, "b");
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_BUSY, "service_busy");
    mail_pass(f, 10);
    assert_int_equal(mail_rows(f, river), 0);
    f->mail->question_max = FAKE_QUESTIONS;
    id = mail_put(f, 1, river, "b");
    take_delivery(f, 2, &id, 1);

    /* An answer makes room. */
    f->mail->question_max = 1;
    mail_send(f, 1, river, "c");
    mail_ack(f, 2, &id, false);
    assert_int_equal(f->mail->asked[MAIL_REMOVE], 1);
    mail_answer(f, 1);
    assert_int_equal(f->mail->asked[MAIL_REMOVE], 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_mail_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(times_grow_until_the_message_is_dead),
        TEST(a_nack_is_tried_again_after_one_two_and_four_seconds),
        TEST(a_nack_names_its_own_delay),
        TEST(a_nack_kills_at_once_when_it_says_so),
        TEST(the_time_of_the_next_begins_when_it_becomes_the_oldest),
        TEST(a_hung_receiver_is_charged_one_message_at_a_time),
        TEST(extended_messages_are_not_taken_for_lost),
        TEST(an_ack_of_a_message_that_waits_for_redelivery_counts),
        TEST(an_ack_while_the_redelivery_is_read_counts),
        TEST(what_is_read_again_keeps_its_room),
        TEST(what_a_session_held_comes_before_newer_mail),
        TEST(poison_is_tried_four_times_and_holds_up_nobody),
        TEST(memory_is_bounded_when_everything_is_refused),
        TEST(a_crash_of_the_broker_keeps_attempts_and_loses_nothing),
        TEST(a_second_hello_is_a_lost_session),
        TEST(a_session_that_goes_while_rows_are_read_leaves_nothing),
        TEST(a_disk_that_cannot_be_read_is_tried_again),
        TEST(a_mailbox_without_room_is_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
