/* SPDX-License-Identifier: Apache-2.0 */
/* Taking from an inbox by calls, and saying what became of it. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/mail.h"
#include "broker/core/mail_state.h"
#include "fixture_call.h"
#include "fixture_mail.h"
#include "kernel/clock.h"

static const char kasra[] = "agent:kasra";
static const char river[] = "agent:river";

/* ---- inbox */

static void
an_inbox_gives_what_it_has(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    struct uuid ids[5];
    for (size_t i = 0; i < 5; i++)
        ids[i] = mail_put(f, 1, river, "hello");
    struct call call = call_inbox(river, 3);
    struct value reply = call_result(f, 2, "bus_inbox", &call);
    assert_int_equal(length_in(&reply, "messages"), 3);
    assert_int_equal(uint_in(&reply, "waiting"), 2);
    struct value mail = item_in(&reply, "messages", 0);
    char sent_at[TIMESTAMP_TEXT_SIZE];
    timestamp_format(f->now.wall_us, sent_at);
    assert_true(id_is(&mail, "id", &ids[0]));
    assert_true(text_is(&mail, "from", kasra));
    assert_true(text_is(&mail, "to", river));
    assert_true(text_is(&mail, "type", "note"));
    assert_true(text_is(&mail, "payload", "hello"));
    assert_true(text_is(&mail, "sent_at", sent_at));
    assert_int_equal(uint_in(&mail, "attempt"), 1);
    assert_int_equal(uint_in(&mail, "seq"), 1);
    call = call_inbox(river, 3);
    reply = call_result(f, 2, "bus_inbox", &call);
    assert_int_equal(length_in(&reply, "messages"), 2);
    assert_int_equal(uint_in(&reply, "waiting"), 0);
    call = call_inbox(river, 3);
    reply = call_result(f, 2, "bus_inbox", &call);
    assert_int_equal(length_in(&reply, "messages"), 0);
    assert_int_equal(f->core->mail->tickets.count, 0);
}

static void
what_an_inbox_gave_is_acknowledged_by_a_call(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    struct uuid ids[2];
    for (size_t i = 0; i < 2; i++)
        ids[i] = mail_put(f, 1, river, "hello");
    struct call call = call_inbox(river, 10);
    call_result(f, 2, "bus_inbox", &call);
    char texts[2][UUID_TEXT_SIZE];
    for (size_t i = 0; i < 2; i++)
        uuid_format(&ids[i], texts[i]);
    const char *const named[] = {texts[0], "nonsense", texts[1], texts[1]};
    call = call_new();
    call_text(&call, "agent_id", river);
    call_texts(&call, "ids", named, 4);
    struct uuid request = call_make(f, 2, "bus_ack", &call);
    assert_true(has_nothing(f, 2));
    mail_settle(f);
    struct value reply = call_reply(f, 2, &request);
    assert_int_equal(uint_in(&reply, "acked"), 2);
    assert_int_equal(length_in(&reply, "unknown"), 2);
    struct value unknown = item_in(&reply, "unknown", 0);
    assert_true(text_equal_string(unknown.as.text, "nonsense"));
    assert_int_equal(mail_rows(f, river), 0);
    mail_pass(f, 100);
    assert_int_equal(f->core->mail->inboxes.count, 0);
}

static void
who_takes_and_vanishes_is_charged_the_oldest(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    struct uuid ids[3];
    for (size_t i = 0; i < 3; i++)
        ids[i] = mail_put(f, 1, river, "hello");
    struct call call = call_inbox(river, 10);
    call_number(&call, "ack_ms", 5000);
    call_result(f, 2, "bus_inbox", &call);
    mail_pass(f, 4900);
    call = call_inbox(river, 10);
    struct value reply = call_result(f, 2, "bus_inbox", &call);
    assert_int_equal(length_in(&reply, "messages"), 0);
    mail_pass(f, 200);
    call = call_inbox(river, 10);
    reply = call_result(f, 2, "bus_inbox", &call);
    assert_int_equal(length_in(&reply, "messages"), 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct value mail = item_in(&reply, "messages", i);
        struct uuid id = id_in(&mail, "id");
        assert_int_equal(uint_in(&mail, "attempt"), uuid_equal(&id, &ids[0]) ? 2 : 1);
    }
    assert_int_equal(f->mail->asked[MAIL_TRIED], 1);
}

static void
a_call_waits_for_the_first_message(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    struct call call = call_inbox(river, 10);
    call_number(&call, "wait_ms", 3000);
    struct uuid request = call_make(f, 2, "bus_inbox", &call);
    mail_pass(f, 2500);
    assert_true(has_nothing(f, 2));
    struct uuid id = mail_put(f, 1, river, "hello");
    mail_settle(f);
    struct value reply = call_reply(f, 2, &request);
    struct value mail = item_in(&reply, "messages", 0);
    assert_true(id_is(&mail, "id", &id));

    call = call_inbox(river, 10);
    call_number(&call, "wait_ms", 1000);
    request = call_make(f, 2, "bus_inbox", &call);
    mail_pass(f, 900);
    assert_true(has_nothing(f, 2));
    mail_pass(f, 100);
    reply = call_reply(f, 2, &request);
    assert_int_equal(length_in(&reply, "messages"), 0);
}

static void
a_call_waits_no_longer_than_its_own_time(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 2, river);
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "agent_id", river);
    pack_pair_uint(&payload, "wait_ms", 30000);
    struct uuid request = say(f, 2,
                              (struct message){.kind = KIND_REQUEST,
                                               .target = text_of("service:bus"),
                                               .type = text_of("bus_inbox"),
                                               .ttl_ms = 1000,
                                               .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    mail_pass(f, 1000);
    struct value reply = call_reply(f, 2, &request);
    assert_int_equal(length_in(&reply, "messages"), 0);
}

static void
a_cancelled_call_gives_back_what_it_took(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_put(f, 1, river, "hello");
    struct call call = call_inbox(river, 10);
    struct uuid request = call_make(f, 2, "bus_inbox", &call);
    core_tick(f->core, f->now);
    mail_answer(f, 1); /* the rows: it has the message now, and asks how many wait */
    assert_int_equal(f->core->mail->entries.count, 1);
    say(f, 2, (struct message){.kind = KIND_CANCEL, .correlation = request});
    mail_settle(f);
    assert_true(has_nothing(f, 2));
    call = call_inbox(river, 10);
    struct value reply = call_result(f, 2, "bus_inbox", &call);
    assert_int_equal(length_in(&reply, "messages"), 1);
    assert_int_equal(f->mail->asked[MAIL_TRIED], 0);
}

static void
looking_takes_nothing(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    struct uuid ids[3];
    for (size_t i = 0; i < 3; i++)
        ids[i] = mail_put(f, 1, river, "hello");
    for (uint64_t after = 0; after < 3; after++) {
        struct call call = call_inbox(river, 2);
        call_true(&call, "peek");
        call_number(&call, "after", after);
        struct value reply = call_result(f, 2, "bus_inbox", &call);
        assert_int_equal(length_in(&reply, "messages"), after < 2 ? 2 : 1);
        struct value mail = item_in(&reply, "messages", 0);
        assert_true(id_is(&mail, "id", &ids[after]));
        assert_int_equal(uint_in(&mail, "attempt"), 0);
    }
    assert_int_equal(f->core->mail->entries.count, 0);
    assert_int_equal(f->core->mail->inboxes.count, 0);
}

static void
an_answer_stops_where_a_record_ends(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    struct bytes zeros = {calloc(1, 100000), 100000};
    for (size_t i = 0; i < 5; i++) {
        say(f, 1, (struct message){.kind = KIND_SEND, .target = text_of(river), .payload = zeros});
        mail_settle(f);
        take_kind(f, 1, KIND_ACK);
    }
    size_t seen = 0;
    for (size_t i = 0; i < 3; i++) {
        struct call call = call_inbox(river, 10);
        struct value reply = call_result(f, 2, "bus_inbox", &call);
        assert_int_equal(length_in(&reply, "messages"), i < 2 ? 2 : 1);
        seen += length_in(&reply, "messages");
        assert_int_equal(uint_in(&reply, "waiting"), 5 - seen);
    }
    struct call call = call_inbox(river, 10);
    call_true(&call, "peek");
    struct value reply = call_result(f, 2, "bus_inbox", &call);
    assert_int_equal(length_in(&reply, "messages"), 2);
    free((void *)(uintptr_t)zeros.data);
}

static void
who_never_acknowledges_gets_no_more(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    f->mail->endless = true;
    mail_put(f, 1, river, "x");
    for (size_t i = 0; i < MAIL_HELD_MAX / 256; i++) {
        struct call call = call_inbox(river, 256);
        call_number(&call, "ack_ms", 3600000);
        struct value reply = call_result(f, 2, "bus_inbox", &call);
        assert_int_equal(length_in(&reply, "messages"), 256);
    }
    struct call call = call_inbox(river, 256);
    call_fails(f, 2, "bus_inbox", &call, STATUS_QUOTA_EXCEEDED, "too_many_unacked");
    assert_int_equal(f->core->mail->entries.count, MAIL_HELD_MAX);
}

static void
a_broken_disk_fails_the_call(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 2, river);
    f->mail->fails[MAIL_READ] = STATUS_STORE_FAILED;
    struct call call = call_inbox(river, 10);
    call_number(&call, "wait_ms", 1000);
    call_fails(f, 2, "bus_inbox", &call, STATUS_STORE_FAILED, "storage_failed");
    call = call_inbox(river, 10);
    call_true(&call, "peek");
    call_fails(f, 2, "bus_inbox", &call, STATUS_STORE_FAILED, "storage_failed");
    assert_int_equal(f->core->mail->inboxes.count, 0);
    assert_int_equal(f->core->mail->tickets.count, 0);
}

static void
others_do_not_take(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    struct call call = call_inbox(river, 10);
    call_fails(f, 1, "bus_inbox", &call, STATUS_FORBIDDEN, "capability_subject_mismatch");
}

/* ---- nack, extend */

static void
a_call_refuses_a_message(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    struct uuid id = mail_put(f, 1, river, "x");
    struct call call = call_inbox(river, 10);
    call_result(f, 2, "bus_inbox", &call);
    call = call_receipt(river, &id);
    call_number(&call, "delay_ms", 0);
    struct value reply = call_result(f, 2, "bus_nack", &call);
    assert_int_equal(uint_in(&reply, "nacked"), 1);
    assert_int_equal(length_in(&reply, "unknown"), 1);
    assert_int_equal(mail_row_of(f, river, &id)->attempts, 1);

    call = call_inbox(river, 10);
    reply = call_result(f, 2, "bus_inbox", &call);
    struct value mail = item_in(&reply, "messages", 0);
    assert_int_equal(uint_in(&mail, "attempt"), 2);
    call = call_receipt(river, &id);
    call_true(&call, "dead");
    call_text(&call, "reason", "cannot be read");
    reply = call_result(f, 2, "bus_nack", &call);
    assert_int_equal(uint_in(&reply, "nacked"), 1);
    assert_string_equal(mail_row_of(f, river, &id)->reason, "cannot be read");
    assert_int_equal(mail_row_of(f, river, &id)->attempts, 2);
}

static void
a_call_extends_the_time(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    struct uuid id = mail_put(f, 1, river, "x");
    struct call call = call_inbox(river, 10);
    call_number(&call, "ack_ms", 1000);
    call_result(f, 2, "bus_inbox", &call);
    call = call_receipt(river, &id);
    call_number(&call, "ms", 8000);
    struct value reply = call_result(f, 2, "bus_extend", &call);
    assert_int_equal(uint_in(&reply, "extended"), 1);
    assert_int_equal(length_in(&reply, "unknown"), 1);
    mail_pass(f, 7900);
    assert_int_equal(f->mail->asked[MAIL_TRIED], 0);
    mail_pass(f, 200);
    assert_int_equal(f->mail->asked[MAIL_TRIED], 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_mail_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_inbox_gives_what_it_has),
        TEST(what_an_inbox_gave_is_acknowledged_by_a_call),
        TEST(who_takes_and_vanishes_is_charged_the_oldest),
        TEST(a_call_waits_for_the_first_message),
        TEST(a_call_waits_no_longer_than_its_own_time),
        TEST(a_cancelled_call_gives_back_what_it_took),
        TEST(looking_takes_nothing),
        TEST(an_answer_stops_where_a_record_ends),
        TEST(who_never_acknowledges_gets_no_more),
        TEST(a_broken_disk_fails_the_call),
        TEST(others_do_not_take),
        TEST(a_call_refuses_a_message),
        TEST(a_call_extends_the_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
