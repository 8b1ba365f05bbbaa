/* SPDX-License-Identifier: Apache-2.0 */
/* Sending, dead letters, squads, working memory and figures as calls of service:bus. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/mail.h"
#include "broker/core/mail_state.h"
#include "fixture_call.h"
#include "fixture_mail.h"
#include "kernel/clock.h"

static const char kasra[] = "agent:kasra";
static const char river[] = "agent:river";

/* ---- send */

static void
a_call_sends_and_hears_when_it_is_on_disk(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    mail_listen(f, 2, river, 4, 1000);
    struct call call = call_new();
    struct uuid answered = uuid_next(&f->ids, f->now.wall_us);
    call_text(&call, "from", kasra);
    call_text(&call, "to", river);
    call_text(&call, "payload", "hello");
    call_number(&call, "ttl_ms", 5000);
    call_id(&call, "in_reply_to", &answered);
    struct uuid request = call_make(f, 1, "bus_send", &call);
    assert_true(has_nothing(f, 1));
    mail_settle(f);
    struct value reply = call_reply(f, 1, &request);
    struct uuid id = id_in(&reply, "message_id");
    bool duplicate = true;
    assert_true(value_find_bool(&reply, "duplicate", &duplicate));
    assert_false(duplicate);
    assert_int_equal(uint_in(&reply, "copies"), 1);
    const struct message *got = take_delivery(f, 2, &id, 1);
    assert_true(text_equal_string(got->source, kasra));
    assert_true(text_equal_string(got->type, "message"));
    assert_true(uuid_equal(&got->correlation, &answered));
    assert_int_equal(got->ttl_ms, 5000);
    assert_true(message_says(got, "hello"));
}

static void
a_call_that_is_sent_again_is_the_same_message(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "from", kasra);
    pack_pair_string(&payload, "to", river);
    struct message request = {.kind = KIND_REQUEST,
                              .id = uuid_next(&f->ids, f->now.wall_us),
                              .target = text_of("service:bus"),
                              .type = text_of("bus_send"),
                              .payload = buffer_bytes(&payload)};
    for (int i = 0; i < 2; i++) {
        say(f, 1, request);
        mail_settle(f);
        struct value reply = call_reply(f, 1, &request.id);
        assert_int_equal(uint_in(&reply, "copies"), i == 0);
        bool duplicate;
        assert_true(value_find_bool(&reply, "duplicate", &duplicate));
        assert_int_equal(duplicate, i == 1);
    }
    assert_int_equal(mail_rows(f, river), 1);
    buffer_clear(&payload);
}

static void
a_call_that_cannot_be_sent_says_why(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    const struct {
        const char *to, *key, *value;
        enum status status;
        const char *word;
    } cases[] = {
        {"agent:a:b", "type", "x", STATUS_INVALID, "not_an_inbox"},
        {"squad:none", "type", "x", STATUS_NOT_FOUND, "squad_empty"},
        {river, "message_id", "no id at all, 36 characters long ....", STATUS_VALIDATION,
         "validation_error"},
        {river, "message_id", "00000000-0000-0000-0000-000000000000", STATUS_VALIDATION,
         "validation_error"},
        {river, "deliver_at", "tomorrow", STATUS_VALIDATION, "validation_error"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct call call = call_new();
        call_text(&call, "from", kasra);
        call_text(&call, "to", cases[i].to);
        call_text(&call, cases[i].key, cases[i].value);
        call_fails(f, 1, "bus_send", &call, cases[i].status, cases[i].word);
    }
    f->mail->fails[MAIL_APPEND] = STATUS_STORE_FAILED;
    struct call call = call_new();
    call_text(&call, "from", kasra);
    call_text(&call, "to", river);
    call_fails(f, 1, "bus_send", &call, STATUS_STORE_FAILED, "storage_failed");
    call = call_new();
    call_text(&call, "from", river);
    call_text(&call, "to", river);
    call_fails(f, 1, "bus_send", &call, STATUS_FORBIDDEN, "capability_subject_mismatch");
    assert_int_equal(f->core->mail->tickets.count, 0);
    assert_int_equal(f->core->requests.count, 0);
}

static void
who_acts_for_others_names_an_agent_or_a_user(void **state)
{
    struct fixture *f = *state;
    join_service(f, 1, "gateway", true, 0);
    const struct {
        const char *from;
        enum status status;
        const char *word;
    } cases[] = {{"nonsense", STATUS_VALIDATION, "validation_error"},
                 {"service:memory", STATUS_FORBIDDEN, "capability_subject_mismatch"}};
    for (size_t i = 0; i < 2; i++) {
        struct call call = call_new();
        call_text(&call, "from", cases[i].from);
        call_text(&call, "to", river);
        call_fails(f, 1, "bus_send", &call, cases[i].status, cases[i].word);
    }
    struct call call = call_new();
    call_text(&call, "from", kasra);
    call_text(&call, "to", river);
    call_result(f, 1, "bus_send", &call);
    assert_string_equal(f->mail->rows[0].source, kasra);
}

static void
a_delayed_call_waits_in_the_mailbox(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(f->now.wall_us + 5000000, text);
    struct call call = call_new();
    call_text(&call, "from", kasra);
    call_text(&call, "to", river);
    call_text(&call, "deliver_at", text);
    call_result(f, 1, "bus_send", &call);
    assert_int_equal(f->mail->rows[0].due_us, f->now.wall_us + 5000000);
}

/* ---- dead letters */

static void
kill_some(struct fixture *f, struct uuid *ids, size_t count)
{
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    for (size_t i = 0; i < count; i++) {
        ids[i] = mail_put(f, 1, river, "hello");
        struct call call = call_inbox(river, 1);
        call_result(f, 2, "bus_inbox", &call);
        call = call_receipt(river, &ids[i]);
        call_true(&call, "dead");
        call_text(&call, "reason", "bad");
        call_result(f, 2, "bus_nack", &call);
    }
    assert_int_equal(mail_dead_rows(f, river), count);
}

static void
dead_letters_are_listed_and_shown(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[3];
    kill_some(f, ids, 3);
    struct call call = call_new();
    call_text(&call, "agent_id", river);
    call_number(&call, "limit", 2);
    struct value reply = call_result(f, 2, "bus_dead_list", &call);
    assert_int_equal(uint_in(&reply, "count"), 3);
    assert_int_equal(length_in(&reply, "dead_letters"), 2);
    struct value letter = item_in(&reply, "dead_letters", 1), message, payload;
    assert_true(text_is(&letter, "reason", "bad"));
    assert_int_equal(uint_in(&letter, "attempts"), 1);
    assert_true(value_find(&letter, "message", &message));
    assert_true(id_is(&message, "id", &ids[1]));
    assert_false(value_find(&message, "payload", &payload));
    struct text dead_id;
    assert_true(value_find_text(&letter, "dead_id", &dead_id));
    char text[32];
    snprintf(text, sizeof text, "%.*s", TEXT_ARGS(dead_id));

    call = call_new();
    call_text(&call, "agent_id", river);
    call_text(&call, "after", text);
    reply = call_result(f, 2, "bus_dead_list", &call);
    assert_int_equal(length_in(&reply, "dead_letters"), 1);

    call = call_new();
    call_text(&call, "agent_id", river);
    call_text(&call, "dead_id", text);
    reply = call_result(f, 2, "bus_dead_get", &call);
    assert_true(text_is(&reply, "dead_id", text));
    assert_true(value_find(&reply, "message", &message));
    assert_true(text_is(&message, "payload", "hello"));
    char before[32];
    snprintf(before, sizeof before, "%llu",
             (unsigned long long)mail_row_of(f, river, &ids[0])->seq - 1);
    const char *const unknown[] = {before, "0", "999", "-1", "x", "99999999999999999999"};
    for (size_t i = 0; i < 6; i++) {
        call = call_new();
        call_text(&call, "agent_id", river);
        call_text(&call, "dead_id", unknown[i]);
        call_fails(f, 2, "bus_dead_get", &call, STATUS_NOT_FOUND, "dead_letter_not_found");
    }
    call = call_new();
    call_text(&call, "agent_id", river);
    call_text(&call, "after", "x");
    call_fails(f, 2, "bus_dead_list", &call, STATUS_VALIDATION, "validation_error");
}

static void
dead_letters_are_sent_again(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[3];
    kill_some(f, ids, 3);
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)mail_row_of(f, river, &ids[1])->seq);
    mail_listen(f, 2, river, 4, 1000);
    const char *const named[] = {"x", text, "999"};
    struct call call = call_new();
    call_text(&call, "agent_id", river);
    call_texts(&call, "ids", named, 3);
    struct uuid request = call_make(f, 2, "bus_dead_replay", &call);
    mail_settle(f);
    struct value reply = call_reply(f, 2, &request);
    assert_int_equal(uint_in(&reply, "replayed"), 1);
    assert_int_equal(uint_in(&reply, "left"), 2);
    assert_int_equal(length_in(&reply, "unknown"), 2);
    take_delivery(f, 2, &ids[1], 1);

    /* An empty list is not all of them. */
    call = call_new();
    call_text(&call, "agent_id", river);
    call_texts(&call, "ids", NULL, 0);
    reply = call_result(f, 2, "bus_dead_drop", &call);
    assert_int_equal(uint_in(&reply, "dropped"), 0);
    assert_int_equal(uint_in(&reply, "left"), 2);
    assert_int_equal(length_in(&reply, "unknown"), 0);
    call = call_new();
    call_text(&call, "agent_id", river);
    reply = call_result(f, 2, "bus_dead_drop", &call);
    assert_int_equal(uint_in(&reply, "dropped"), 2);
    assert_int_equal(uint_in(&reply, "left"), 0);
}

/* ---- squads, memory, figures */

static void
squads_are_joined_and_left(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    const char *const types[] = {"bus_join", "bus_leave"};
    for (size_t i = 0; i < 2; i++) {
        struct call call = call_new();
        call_text(&call, "squad", "squad:all");
        call_text(&call, "agent_id", kasra);
        struct value reply = call_result(f, 1, types[i], &call);
        assert_int_equal(uint_in(&reply, "members"), i == 0);
        call = call_new();
        call_text(&call, "squad", "squad:all");
        reply = call_result(f, 1, "bus_members", &call);
        assert_int_equal(length_in(&reply, "members"), i == 0);
        if (i == 0)
            assert_true(text_equal_string(item_in(&reply, "members", 0).as.text, kasra));
        call = call_new();
        call_text(&call, "squad", "agent:kasra");
        call_text(&call, "agent_id", kasra);
        call_fails(f, 1, types[i], &call, STATUS_INVALID, "not_a_squad");
    }
    struct call call = call_new();
    call_text(&call, "squad", "agent:kasra");
    call_fails(f, 1, "bus_members", &call, STATUS_INVALID, "not_a_squad");
}

static void
working_memory_is_pushed_and_recalled(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    for (uint64_t i = 1; i <= 3; i++) {
        struct call call = call_new();
        call_text(&call, "agent_id", kasra);
        call_number(&call, "item", i);
        struct value reply = call_result(f, 1, "bus_memory_push", &call);
        assert_int_equal(uint_in(&reply, "count"), i);
    }
    struct call call = call_new();
    call_text(&call, "agent_id", kasra);
    struct value reply = call_result(f, 1, "bus_memory_recall", &call);
    assert_int_equal(length_in(&reply, "items"), 3);
    struct value newest = item_in(&reply, "items", 0);
    char at[TIMESTAMP_TEXT_SIZE];
    timestamp_format(f->now.wall_us, at);
    assert_int_equal(uint_in(&newest, "item"), 3);
    assert_true(text_is(&newest, "at", at));

    struct bytes zeros = {calloc(1, MAIL_MEMORY_ITEM_MAX), MAIL_MEMORY_ITEM_MAX};
    call = call_new();
    call_text(&call, "agent_id", kasra);
    pack_string(&call.map, "item");
    pack_text(&call.map, (struct text){(const char *)zeros.data, zeros.size});
    call.count++;
    call_fails(f, 1, "bus_memory_push", &call, STATUS_TOO_LARGE, "payload_too_large");
    free((void *)(uintptr_t)zeros.data);
}

static void
a_long_memory_is_cut_to_a_record(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    struct bytes zeros = {calloc(1, 16000), 16000};
    for (size_t i = 0; i < 20; i++) {
        struct call call = call_new();
        call_text(&call, "agent_id", kasra);
        pack_string(&call.map, "item");
        pack_text(&call.map, (struct text){(const char *)zeros.data, zeros.size});
        call.count++;
        call_result(f, 1, "bus_memory_push", &call);
    }
    struct call call = call_new();
    call_text(&call, "agent_id", kasra);
    struct value reply = call_result(f, 1, "bus_memory_recall", &call);
    assert_int_equal(length_in(&reply, "items"), 16);
    free((void *)(uintptr_t)zeros.data);
}

static void
figures_tell_what_is_out(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    join_greeted(f, 2, river);
    for (size_t i = 0; i < 3; i++)
        mail_put(f, 1, river, "x");
    mail_listen(f, 2, river, 2, 1000);
    struct call call = call_new();
    call_text(&call, "pattern", river);
    struct value reply = call_result(f, 1, "bus_mailboxes", &call);
    struct value mailbox = item_in(&reply, "mailboxes", 0);
    assert_true(text_is(&mailbox, "agent_id", river));
    assert_int_equal(uint_in(&mailbox, "waiting"), 1);
    assert_int_equal(uint_in(&mailbox, "unacked"), 2);
    assert_int_equal(uint_in(&mailbox, "dead"), 0);
    assert_int_equal(uint_in(&mailbox, "delayed"), 0);
    assert_true(uint_in(&mailbox, "bytes") > 100);
}

/* ---- all of them */

static void
calls_end_with_their_session(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    const char *const types[] = {"bus_inbox", "bus_dead_list", "bus_dead_drop", "bus_mailboxes",
                                 "bus_memory_recall"};
    for (size_t i = 0; i < 5; i++) {
        struct call call = call_new();
        call_text(&call, "agent_id", kasra);
        call_make(f, 1, types[i], &call);
    }
    core_tick(f->core, f->now);
    assert_int_equal(f->core->mail->tickets.count, 5);
    core_disconnected(f->core, 1, f->now);
    assert_int_equal(f->core->mail->tickets.count, 0);
    assert_int_equal(f->core->mail->inboxes.count, 0);
    mail_settle(f);
}

static void
calls_find_a_full_mailbox_busy(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, kasra);
    f->mail->question_max = 0;
    const char *const types[] = {"bus_dead_list", "bus_dead_drop", "bus_mailboxes",
                                 "bus_memory_recall"};
    for (size_t i = 0; i < 4; i++) {
        struct call call = call_new();
        call_text(&call, "agent_id", kasra);
        call_make(f, 1, types[i], &call);
        assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_BUSY, "service_busy");
    }
    struct call call = call_new();
    call_text(&call, "from", kasra);
    call_text(&call, "to", river);
    call_make(f, 1, "bus_send", &call);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_BUSY, "service_busy");
    assert_int_equal(f->core->mail->tickets.count, 0);
}

static void
pending_calls_are_bounded(void **state)
{
    struct fixture *f = *state;
    f->options.pending_peer_max = 3;
    fixture_restart(f);
    join_greeted(f, 1, kasra);
    for (size_t i = 0; i < 4; i++) {
        struct call call = call_new();
        call_make(f, 1, "bus_mailboxes", &call);
    }
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_QUOTA_EXCEEDED, "too_many_pending");
    assert_int_equal(mail_open(f), 3);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_mail_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_call_sends_and_hears_when_it_is_on_disk),
        TEST(a_call_that_is_sent_again_is_the_same_message),
        TEST(a_call_that_cannot_be_sent_says_why),
        TEST(who_acts_for_others_names_an_agent_or_a_user),
        TEST(a_delayed_call_waits_in_the_mailbox),
        TEST(dead_letters_are_listed_and_shown),
        TEST(dead_letters_are_sent_again),
        TEST(squads_are_joined_and_left),
        TEST(working_memory_is_pushed_and_recalled),
        TEST(a_long_memory_is_cut_to_a_record),
        TEST(figures_tell_what_is_out),
        TEST(calls_end_with_their_session),
        TEST(calls_find_a_full_mailbox_busy),
        TEST(pending_calls_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
