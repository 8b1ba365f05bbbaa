/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken on, what is refused, and who hears of it. */
#include <stdlib.h>

#include "broker/core/mail.h"
#include "broker/core/mail_form.h"
#include "broker/core/mail_state.h"
#include "broker/core/peers.h"
#include "fixture_mail.h"

static const char kasra[] = "agent:kasra";
static const char river[] = "agent:river";

static void
refuses(struct fixture *f, struct message message, enum status status, const char *word)
{
    message.kind = KIND_SEND;
    struct uuid id = say(f, 1, message);
    const struct message *error = take_kind(f, 1, KIND_ERROR);
    assert_true(uuid_equal(&error->correlation, &id));
    assert_refused(error, status, word);
    assert_int_equal(mail_open(f), 0);
}

static void
only_inboxes_and_squads_are_sent_to(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    const char *const others[] = {"agent:kasra:events", "user:a:b", "system:events", ""};
    for (size_t i = 0; i < 4; i++)
        refuses(f, (struct message){.target = text_of(others[i])}, STATUS_INVALID, "not_an_inbox");
    const char *const good[] = {"agent:x", "user:ana", "service:memory", "squad:s", "guild:g:h"};
    for (size_t i = 0; i < 5; i++) {
        mail_send(f, 1, good[i], "x");
        assert_int_equal(mail_open(f), i + 1);
    }
    assert_true(count_of(f, "sos_mail_refused_total{reason=\"not_an_inbox\"} ") == 4);
}

static void
an_id_of_zero_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    struct error error = ERROR_INIT;
    struct message message = {.kind = KIND_SEND,
                              .source = text_of(kasra),
                              .target = text_of(river),
                              .timestamp_us = f->now.wall_us};
    buffer_reset(&f->frame);
    assert_int_equal(message_encode(&f->frame, &message, &error), STATUS_OK);
    deliver(f, 1);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "invalid_request");
    assert_int_equal(mail_open(f), 0);
}

static void
a_time_of_delivery_is_a_number(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    struct buffer metadata;
    buffer_init(&metadata);
    pack_map(&metadata, 1);
    pack_pair_string(&metadata, "deliver_at", "tomorrow");
    refuses(f, (struct message){.target = text_of(river), .metadata = buffer_bytes(&metadata)},
            STATUS_INVALID, "invalid_request");
    buffer_reset(&metadata);
    pack_map(&metadata, 1);
    pack_pair_uint(&metadata, "deliver_at", UINT64_MAX);
    refuses(f, (struct message){.target = text_of(river), .metadata = buffer_bytes(&metadata)},
            STATUS_INVALID, "invalid_request");
    buffer_clear(&metadata);
}

static void
what_could_not_be_delivered_is_too_large(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_listen(f, 2, river, 4, 1000);
    struct bytes zeros = {calloc(1, RECORD_SIZE_MAX), RECORD_SIZE_MAX - 200};
    refuses(f, (struct message){.target = text_of(river), .payload = zeros}, STATUS_TOO_LARGE,
            "payload_too_large");
    zeros.size = MAIL_RECORD_MAX - 100;
    struct uuid id =
        say(f, 1, (struct message){.kind = KIND_SEND, .target = text_of(river), .payload = zeros});
    mail_settle(f);
    take_kind(f, 1, KIND_ACK);
    assert_int_equal(take_delivery(f, 2, &id, 1)->payload.size, zeros.size);

    /* A header of nearly 64 KiB leaves no room for number and attempt. */
    struct buffer metadata;
    buffer_init(&metadata);
    pack_map(&metadata, 1);
    pack_string(&metadata, "x");
    pack_bin(&metadata, zeros.data, 65400);
    refuses(f, (struct message){.target = text_of(river), .metadata = buffer_bytes(&metadata)},
            STATUS_TOO_LARGE, "payload_too_large");
    buffer_clear(&metadata);
    free((void *)(uintptr_t)zeros.data);
}

static void
a_message_that_is_known_is_acknowledged_with_zero(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid id = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &id, 1);
    say(f, 1, (struct message){.kind = KIND_SEND, .id = id, .target = text_of(river)});
    mail_settle(f);
    const struct message *ack = take_kind(f, 1, KIND_ACK);
    assert_true(uuid_equal(&ack->correlation, &id));
    assert_int_equal(ack->seq, 0);
    assert_true(has_nothing(f, 2));
    assert_true(count_of(f, "sos_mail_accepted_total ") == 1);
}

static void
a_sender_may_burst_for_a_second_and_is_limited_then(void **state)
{
    struct fixture *f = *state;
    f->options.mail_rate = 10;
    fixture_restart(f);
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    for (size_t i = 0; i < 10; i++)
        mail_put(f, 1, river, "x");
    refuses(f, (struct message){.target = text_of(river)}, STATUS_RATE_LIMITED, "rate_limited");
    mail_put(f, 2, kasra, "others have their own");
    mail_pass(f, 100);
    mail_put(f, 1, river, "x");
    refuses(f, (struct message){.target = text_of(river)}, STATUS_RATE_LIMITED, "rate_limited");
    mail_pass(f, 2500);
    for (size_t i = 0; i < 10; i++)
        mail_put(f, 1, river, "x");
    refuses(f, (struct message){.target = text_of(river)}, STATUS_RATE_LIMITED, "rate_limited");
    assert_false(was_cut(f, 1));
}

static void
a_sender_waits_for_its_answers(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    for (size_t i = 0; i < MAIL_UNANSWERED_MAX; i++)
        mail_send(f, 1, river, "x");
    mail_send(f, 1, river, "x");
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_BUSY, "service_busy");
    mail_send(f, 2, kasra, "x");
    assert_int_equal(mail_open(f), MAIL_UNANSWERED_MAX + 1);
    mail_answer(f, 1);
    take_kind(f, 1, KIND_ACK);
    mail_send(f, 1, river, "x");
    assert_true(has_nothing(f, 1));
}

static void
a_full_mailbox_is_busy(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    f->mail->question_max = 1;
    mail_send(f, 1, river, "x");
    mail_send(f, 1, river, "x");
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_BUSY, "service_busy");
}

static void
what_the_mailbox_refuses_the_sender_hears_without_blame(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    const enum status faults[] = {STATUS_STORE_FAILED, STATUS_UNKNOWN_OUTCOME};
    for (size_t i = 0; i < 2; i++) {
        f->mail->fails[MAIL_APPEND] = faults[i];
        for (size_t j = 0; j < 150; j++) {
            struct uuid id = mail_send(f, 1, river, "x");
            mail_settle(f);
            const struct message *error = take_kind(f, 1, KIND_ERROR);
            assert_true(uuid_equal(&error->correlation, &id));
            assert_refused(error, faults[i], "storage_failed");
        }
    }
    assert_false(was_cut(f, 1));
    assert_true(count_of(f, "sos_mail_refused_total{reason=\"storage_failed\"} ") == 300);
}

static void
what_may_be_on_disk_is_delivered_when_it_is(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_listen(f, 2, river, 4, 60000);
    f->mail->fails[MAIL_APPEND] = STATUS_UNKNOWN_OUTCOME;
    struct uuid id = mail_send(f, 1, river, "x");
    mail_settle(f);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_UNKNOWN_OUTCOME, "storage_failed");
    take_delivery(f, 2, &id, 1);

    /* It shows late, and the sender has asked again by then. */
    f->mail->fails[MAIL_APPEND] = STATUS_STORE_FAILED;
    id = mail_send(f, 1, river, "y");
    mail_settle(f);
    take_kind(f, 1, KIND_ERROR);
    f->mail->fails[MAIL_APPEND] = STATUS_UNKNOWN_OUTCOME;
    f->mail->fails[MAIL_READ] = STATUS_STORE_FAILED;
    struct message again = {.kind = KIND_SEND, .id = id, .target = text_of(river)};
    say(f, 1, again);
    mail_settle(f);
    take_kind(f, 1, KIND_ERROR);
    assert_true(has_nothing(f, 2));
    f->mail->fails[MAIL_APPEND] = STATUS_OK;
    f->mail->fails[MAIL_READ] = STATUS_OK;
    say(f, 1, again);
    mail_settle(f);
    assert_int_equal(take_kind(f, 1, KIND_ACK)->seq, 0);
    take_delivery(f, 2, &id, 1);
    assert_true(has_nothing(f, 2));
}

static void
an_answer_for_a_sender_that_went_is_not_told(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid id = mail_send(f, 1, river, "x");
    core_disconnected(f->core, 1, f->now);
    mail_settle(f);
    assert_true(has_nothing(f, 1));
    take_delivery(f, 2, &id, 1); /* it is on disk all the same */

    join_greeted(f, 3, kasra);
    mail_send(f, 3, river, "x");
    say(f, 3, (struct message){.kind = KIND_BYE});
    mail_settle(f);
    assert_true(has_nothing(f, 3));
}

static void
without_a_mailbox_there_are_no_inboxes(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    mail_send(f, 1, river, "x");
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_NOT_IMPLEMENTED, "not_implemented");
    mail_subscribe_to(f, 1, kasra, 4, 1000);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_NOT_IMPLEMENTED, "not_implemented");
    struct uuid id = uuid_next(&f->ids, f->now.wall_us);
    mail_ack(f, 1, &id, true);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_NOT_IMPLEMENTED, "not_implemented");
    say(f, 1,
        (struct message){.kind = KIND_REQUEST,
                         .target = text_of("service:bus"),
                         .type = text_of("bus_mailboxes")});
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_NOT_IMPLEMENTED, "not_implemented");
}

/* ---- subscribing */

static void
only_the_owner_takes_from_an_inbox(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    mail_subscribe_to(f, 1, river, 4, 1000);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_FORBIDDEN, "not_your_inbox");
    mail_subscribe_to(f, 1, "agent:kasra:events", 4, 1000);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "not_an_inbox");
    assert_int_equal(f->core->mail->inboxes.count, 0);
}

static void
windows_and_times_have_limits(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    const uint32_t bad[][2] = {{0, 1000}, {1025, 1000}, {4, 0}, {4, 3600001}};
    for (size_t i = 0; i < 4; i++) {
        mail_subscribe_to(f, 1, kasra, bad[i][0], bad[i][1]);
        assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "invalid_request");
    }
    assert_int_equal(f->core->mail->inboxes.count, 0);
}

static void
the_answer_comes_before_the_first_message(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_subscribe_to(f, 2, river, 4, 1000);
    struct uuid id = mail_send(f, 1, river, "x");
    core_tick(f->core, f->now);
    mail_settle(f);
    take_kind(f, 2, KIND_ACK);
    take_delivery(f, 2, &id, 1);
}

static void
a_subscription_without_an_answer_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 2, river);
    f->mail->question_max = 0;
    mail_subscribe_to(f, 2, river, 4, 1000);
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_BUSY, "service_busy");
    assert_int_equal(f->core->mail->inboxes.count, 0);
    f->mail->question_max = FAKE_QUESTIONS;
    f->mail->fails[MAIL_FIGURES] = STATUS_STORE_FAILED;
    mail_subscribe_to(f, 2, river, 4, 1000);
    mail_settle(f);
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_STORE_FAILED, "storage_failed");
    assert_int_equal(f->core->mail->inboxes.count, 0);
    assert_int_equal(f->core->mail->tickets.count, 0);
    f->mail->fails[MAIL_FIGURES] = STATUS_OK;
    assert_int_equal(mail_listen(f, 2, river, 4, 1000), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_mail_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_inboxes_and_squads_are_sent_to),
        TEST(an_id_of_zero_is_refused),
        TEST(a_time_of_delivery_is_a_number),
        TEST(what_could_not_be_delivered_is_too_large),
        TEST(a_message_that_is_known_is_acknowledged_with_zero),
        TEST(a_sender_may_burst_for_a_second_and_is_limited_then),
        TEST(a_sender_waits_for_its_answers),
        TEST(a_full_mailbox_is_busy),
        TEST(what_the_mailbox_refuses_the_sender_hears_without_blame),
        TEST(what_may_be_on_disk_is_delivered_when_it_is),
        TEST(an_answer_for_a_sender_that_went_is_not_told),
        cmocka_unit_test_setup_teardown(without_a_mailbox_there_are_no_inboxes, fixture_setup,
                                        fixture_teardown),
        TEST(only_the_owner_takes_from_an_inbox),
        TEST(windows_and_times_have_limits),
        TEST(the_answer_comes_before_the_first_message),
        TEST(a_subscription_without_an_answer_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
