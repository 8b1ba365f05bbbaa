/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets which message when: order, windows, several who take, lost sessions. */
#include <stdio.h>

#include "broker/core/mail.h"
#include "broker/core/mail_inbox.h"
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

/* ---- delivery */

static void
a_message_arrives_as_it_was_sent(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    assert_int_equal(mail_listen(f, 2, river, 8, 1000), 0);
    static const uint8_t trace[24] = {1, 2, 3};
    struct buffer metadata, payload;
    buffer_init(&metadata);
    buffer_init(&payload);
    pack_map(&metadata, 1);
    pack_pair_string(&metadata, "idempotency_key", "k");
    pack_string(&payload, "hello");
    struct message sent = {.kind = KIND_SEND,
                           .target = text_of(river),
                           .type = text_of("note"),
                           .correlation = uuid_next(&f->ids, f->now.wall_us),
                           .trace = {trace, sizeof trace},
                           .ttl_ms = 5000,
                           .capability = text_of("a secret token"),
                           .metadata = buffer_bytes(&metadata),
                           .payload = buffer_bytes(&payload)};
    struct uuid id = say(f, 1, sent);
    uint64_t sent_us = f->now.wall_us;
    assert_true(has_nothing(f, 1));
    assert_true(has_nothing(f, 2));
    advance_ms(f, 1000);
    mail_settle(f);

    const struct message *ack = take_kind(f, 1, KIND_ACK);
    assert_true(uuid_equal(&ack->correlation, &id));
    assert_int_equal(ack->seq, 1);
    const struct message *got = take_delivery(f, 2, &id, 1);
    assert_true(text_equal_string(got->source, kasra));
    assert_true(text_equal_string(got->target, river));
    assert_true(text_equal_string(got->type, "note"));
    assert_true(uuid_equal(&got->correlation, &sent.correlation));
    assert_int_equal(got->timestamp_us, sent_us);
    assert_int_equal(got->ttl_ms, 4000);
    assert_int_equal(got->seq, 1);
    assert_memory_equal(got->trace.data, trace, sizeof trace);
    assert_int_equal(got->metadata.size, metadata.size);
    assert_memory_equal(got->metadata.data, metadata.data, metadata.size);
    assert_true(message_says(got, "hello"));
    assert_int_equal(got->capability.size, 0);
    struct fake_row *row = mail_row_of(f, river, &id);
    assert_null(memmem(row->record.data, row->record.size, "a secret token", 14));
    buffer_clear(&metadata);
    buffer_clear(&payload);
}

static void
what_came_while_nobody_listened_is_there_later(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    struct uuid ids[3];
    for (size_t i = 0; i < 3; i++)
        ids[i] = mail_put(f, 1, river, "hello");
    assert_int_equal(inboxes(f), 0);
    assert_true(has_nothing(f, 2));

    assert_int_equal(mail_listen(f, 2, river, 8, 1000), 3);
    for (size_t i = 0; i < 3; i++)
        take_delivery(f, 2, &ids[i], 1);
    assert_true(has_nothing(f, 2));
}

static void
a_new_message_is_delivered_without_being_read(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 8, 1000);
    size_t reads = f->mail->asked[MAIL_READ];
    for (size_t i = 0; i < 20; i++) {
        struct uuid id = mail_put(f, 1, river, "hello");
        take_delivery(f, 2, &id, 1);
        handle(f, 2, &id);
    }
    assert_int_equal(f->mail->asked[MAIL_READ], reads);
    assert_int_equal(mail_rows(f, river), 0);
    assert_int_equal(out(f), 0);
}

static void
numbers_with_gaps_are_read_and_keep_their_order(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    f->mail->seq_step = 3;
    mail_listen(f, 2, river, 64, 1000);
    struct uuid ids[10];
    for (size_t i = 0; i < 10; i++)
        ids[i] = mail_send(f, 1, river, "hello");
    mail_settle(f);
    for (size_t i = 0; i < 10; i++)
        take_delivery(f, 2, &ids[i], 1);
    assert_true(has_nothing(f, 2));
}

static void
mail_to_a_squad_reaches_each_member_in_order(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    join_greeted(f, 3, "agent:third");
    for (size_t i = 0; i < 2; i++) {
        snprintf(f->mail->members[i].squad, 64, "squad:all");
        snprintf(f->mail->members[i].name, 64, "%s", i ? "agent:third" : river);
    }
    f->mail->member_count = 2;
    mail_listen(f, 2, river, 8, 1000);
    mail_listen(f, 3, "agent:third", 8, 1000);
    /* The arrival in the squad's inboxes is told behind the answer of the third. */
    struct uuid first = mail_send(f, 1, river, "one");
    struct uuid second = mail_send(f, 1, "squad:all", "two");
    struct uuid third = mail_send(f, 1, river, "three");
    mail_settle(f);
    take_delivery(f, 2, &first, 1);
    const struct message *got = take_delivery(f, 2, &second, 1);
    assert_true(text_equal_string(got->target, "squad:all"));
    take_delivery(f, 2, &third, 1);
    take_delivery(f, 3, &second, 1);
    take_kind(f, 1, KIND_ACK);
    assert_int_equal(take_kind(f, 1, KIND_ACK)->seq, 2);
    mail_send(f, 1, "squad:nobody", "x");
    mail_settle(f);
    take_kind(f, 1, KIND_ACK);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_NOT_FOUND, "squad_empty");
}

static void
a_delayed_message_comes_when_it_is_due(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 8, 1000);
    struct buffer metadata;
    buffer_init(&metadata);
    pack_map(&metadata, 1);
    pack_pair_uint(&metadata, "deliver_at", f->now.wall_us + 300000);
    struct uuid id =
        say(f, 1,
            (struct message){
                .kind = KIND_SEND, .target = text_of(river), .metadata = buffer_bytes(&metadata)});
    buffer_clear(&metadata);
    mail_settle(f);
    take_kind(f, 1, KIND_ACK);
    struct uuid later = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &later, 1);
    assert_true(has_nothing(f, 2));
    advance_ms(f, 300);
    mail_sweep(f);
    mail_settle(f);
    take_delivery(f, 2, &id, 1);
}

static void
what_has_expired_is_not_delivered(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    say(f, 1, (struct message){.kind = KIND_SEND, .target = text_of(river), .ttl_ms = 500});
    mail_settle(f);
    struct uuid id = mail_send(f, 1, river, "lasting");
    mail_settle(f);
    mail_pass(f, 600);
    mail_listen(f, 2, river, 8, 1000);
    take_delivery(f, 2, &id, 1);
    assert_true(has_nothing(f, 2));
}

static void
what_expires_in_memory_is_passed_over(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    struct uuid first = mail_put(f, 1, river, "first");
    say(f, 1, (struct message){.kind = KIND_SEND, .target = text_of(river), .ttl_ms = 500});
    mail_settle(f);
    take_kind(f, 1, KIND_ACK);
    struct uuid third = mail_put(f, 1, river, "third");
    mail_listen(f, 2, river, 1, 5000);
    take_delivery(f, 2, &first, 1);
    mail_pass(f, 600);
    handle(f, 2, &first);
    take_delivery(f, 2, &third, 1);
}

/* ---- windows */

static void
a_window_bounds_what_is_unacknowledged(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    struct uuid ids[10];
    for (size_t i = 0; i < 10; i++)
        ids[i] = mail_put(f, 1, river, "x");
    mail_listen(f, 2, river, 3, 1000);
    for (size_t i = 0; i < 3; i++)
        take_delivery(f, 2, &ids[i], 1);
    for (size_t i = 3; i < 10; i++) {
        assert_true(has_nothing(f, 2));
        handle(f, 2, &ids[i - 2]); /* not the oldest */
        take_delivery(f, 2, &ids[i], 1);
        assert_int_equal(out(f), 3);
    }
}

static struct inbox *
only_inbox(struct fixture *f)
{
    return inbox_find(f->core, text_of(river));
}

/* It need not be read back as soon as there is room again. */
static void
behind_a_full_window_little_new_mail_is_kept_in_memory(void **state)
{
    enum { WINDOW = 2, COUNT = WINDOW + MAIL_READ_ROWS_MIN + 5 };
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, WINDOW, 1000);
    struct uuid ids[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        ids[i] = mail_put(f, 1, river, "x");
    assert_int_equal(only_inbox(f)->ready_rows, MAIL_READ_ROWS_MIN);
    assert_int_equal(f->core->mail->ready_bytes, only_inbox(f)->ready_bytes);
    assert_true(only_inbox(f)->more);
    for (size_t i = 0; i < COUNT; i++) {
        take_delivery(f, 2, &ids[i], 1);
        assert_in_range(out(f), 1, WINDOW);
        handle(f, 2, &ids[i]);
    }
    assert_true(has_nothing(f, 2));
    assert_int_equal(f->core->mail->ready_bytes, 0);
    assert_false(only_inbox(f)->more);
}

static void
mail_in_memory_that_expires_is_passed_over(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 1, 5000);
    struct uuid first = mail_put(f, 1, river, "first");
    say(f, 1, (struct message){.kind = KIND_SEND, .target = text_of(river), .ttl_ms = 500});
    mail_settle(f);
    take_kind(f, 1, KIND_ACK);
    struct uuid third = mail_put(f, 1, river, "third");
    assert_int_equal(only_inbox(f)->ready_rows, 2);
    take_delivery(f, 2, &first, 1);
    mail_pass(f, 600);
    handle(f, 2, &first);
    take_delivery(f, 2, &third, 1);
}

static void
subscribing_again_changes_the_window(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    struct uuid ids[4];
    for (size_t i = 0; i < 4; i++)
        ids[i] = mail_put(f, 1, river, "x");
    mail_listen(f, 2, river, 1, 1000);
    take_delivery(f, 2, &ids[0], 1);
    assert_true(has_nothing(f, 2));
    mail_subscribe_to(f, 2, river, 3, 1000);
    mail_settle(f);
    size_t acks = 0, deliveries = 0;
    while (!has_nothing(f, 2)) {
        enum kind kind = take(f, 2)->kind;
        acks += kind == KIND_ACK;
        deliveries += kind == KIND_DELIVER;
    }
    assert_int_equal(acks, 1);
    assert_int_equal(deliveries, 2);
    assert_int_equal(inboxes(f), 1);
}

static void
many_messages_come_in_order_through_reading_ahead(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    enum { COUNT = 1500 };
    static struct uuid ids[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        ids[i] = mail_send(f, 1, river, "x");
    mail_settle(f);
    mail_listen(f, 2, river, 64, 1000);
    for (size_t i = 0; i < COUNT; i++) {
        take_delivery(f, 2, &ids[i], 1);
        mail_ack(f, 2, &ids[i], false);
        if (i % 50 == 49)
            mail_settle(f);
        if (i == 700)
            assert_true(f->core->mail->ready_bytes > 0);
    }
    mail_settle(f);
    assert_int_equal(mail_rows(f, river), 0);
    assert_int_equal(f->core->mail->ready_bytes, 0);
    assert_true(f->mail->asked[MAIL_READ] < COUNT / 64);
}

static void
a_peer_that_is_full_loses_nothing(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 8, 1000);
    choke(f, 2);
    struct uuid ids[3];
    for (size_t i = 0; i < 3; i++)
        ids[i] = mail_put(f, 1, river, "x");
    assert_int_equal(out(f), 0);
    f->outboxes[2].full = false;
    for (int i = 0; i < 4; i++) {
        advance_ms(f, 3);
        mail_settle(f);
    }
    for (size_t i = 0; i < 3; i++)
        take_delivery(f, 2, &ids[i], 1);
    assert_int_equal(out(f), 3);
}

static void
rows_that_were_asked_for_a_session_that_went_are_read_again(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    enum { COUNT = 400, WINDOW = 4 };
    static struct uuid ids[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        ids[i] = mail_send(f, 1, river, "x");
    mail_settle(f);
    mail_listen(f, 2, river, WINDOW, 60000);
    size_t next = 0;
    while (f->mail->asked[MAIL_READ] < 2) { /* until the second part is asked for */
        take_delivery(f, 2, &ids[next], 1);
        mail_ack(f, 2, &ids[next++], false);
    }
    core_disconnected(f->core, 2, f->now);
    f->identities[2] = NULL;
    join_greeted(f, 3, river);
    mail_listen(f, 3, river, 64, 60000);
    for (size_t i = next + 1; i < COUNT; i++) { /* the oldest comes later */
        take_delivery(f, 3, &ids[i], 1);
        mail_ack(f, 3, &ids[i], false);
        mail_settle(f);
    }
    mail_pass(f, 1100);
    take_delivery(f, 3, &ids[next], 2);
    assert_true(has_nothing(f, 3));
}

static void
the_tap_shows_deliveries(void **state)
{
    struct fixture *f = *state;
    struct river trusted = river_trusted(f, false);
    struct buffer token = river_token(f, &trusted, kasra, "bus:tap", "bus:*");
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    bus_ask(f, 1, "tap", MESSAGE_STREAM, buffer_text(&token), "kind", "deliver", NULL);
    take_kind(f, 1, KIND_CHUNK); /* it begins */
    mail_send(f, 2, kasra, "x");
    mail_settle(f);
    assert_true(has_nothing(f, 1));
    mail_send(f, 1, river, "x");
    mail_settle(f);
    take_kind(f, 1, KIND_ACK);
    const struct message *chunk = take_kind(f, 1, KIND_CHUNK);
    struct value map;
    assert_true(value_parse(chunk->payload, &map));
    struct value records = list_in(&map, "records"), record = entry_of(&records, 0);
    assert_int_equal(records.as.count, 1);
    assert_true(text_equal_string(text_in(&record, "source"), kasra));
    assert_true(text_equal_string(text_in(&record, "target"), river));
    buffer_clear(&token);
}

static void
a_peer_that_is_behind_gets_no_more(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 8, 1000);
    f->outboxes[2].full = true;
    struct uuid ids[3];
    for (size_t i = 0; i < 3; i++)
        ids[i] = mail_put(f, 1, river, "x");
    assert_int_equal(out(f), 1); /* it waits in the broker; the others on disk */
    f->outboxes[2].full = false;
    advance_ms(f, 3);
    mail_settle(f);
    for (size_t i = 0; i < 3; i++)
        take_delivery(f, 2, &ids[i], 1);
}

/* ---- several who take */

static void
sessions_of_one_owner_share_the_inbox(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    join_greeted(f, 3, river);
    mail_listen(f, 2, river, 2, 1000);
    mail_listen(f, 3, river, 4, 1000);
    struct uuid ids[8];
    for (size_t i = 0; i < 8; i++)
        ids[i] = mail_put(f, 1, river, "x");
    /* In turn while both have room, then who has. */
    const peer_number to[] = {2, 3, 2, 3, 3, 3};
    for (size_t i = 0; i < 6; i++)
        take_delivery(f, to[i], &ids[i], 1);
    assert_true(has_nothing(f, 2));
    assert_true(has_nothing(f, 3));
    /* Any session of the owner may say that it was handled. */
    handle(f, 3, &ids[0]);
    take_delivery(f, 2, &ids[6], 1);
    assert_true(has_nothing(f, 3));
}

static void
a_second_session_hears_first_how_many_wait(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    join_greeted(f, 3, river);
    mail_listen(f, 2, river, 1, 60000);
    struct uuid first = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &first, 1);
    struct uuid second = mail_send(f, 1, river, "x");
    mail_subscribe_to(f, 3, river, 4, 60000);
    mail_answer(f, 1);
    assert_true(has_nothing(f, 3));
    mail_settle(f);
    assert_int_equal(take_kind(f, 3, KIND_ACK)->seq, 1); /* without the one that is out */
    take_delivery(f, 3, &second, 1);
}

static void
what_a_lost_session_held_goes_to_the_other(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid ids[3];
    for (size_t i = 0; i < 3; i++) {
        ids[i] = mail_put(f, 1, river, "x");
        take_delivery(f, 2, &ids[i], 1);
    }
    join_greeted(f, 3, river);
    mail_listen(f, 3, river, 4, 1000);
    core_disconnected(f->core, 2, f->now);
    f->identities[2] = NULL;
    mail_settle(f);
    /* Only the oldest was being handled: it is tried again after a second. */
    take_delivery(f, 3, &ids[1], 1);
    take_delivery(f, 3, &ids[2], 1);
    assert_true(has_nothing(f, 3));
    assert_int_equal(mail_row_of(f, river, &ids[0])->attempts, 1);
    assert_int_equal(mail_row_of(f, river, &ids[1])->attempts, 0);
    handle(f, 3, &ids[1]);
    handle(f, 3, &ids[2]);
    mail_pass(f, 900);
    assert_true(has_nothing(f, 3));
    mail_pass(f, 200);
    take_delivery(f, 3, &ids[0], 2);
}

static void
stop_listening(struct fixture *f, peer_number peer)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_string(&payload, "inbox", f->identities[peer]);
    say(f, peer, (struct message){.kind = KIND_UNSUBSCRIBE, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

static void
unsubscribing_gives_all_back_untried(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid ids[2];
    for (size_t i = 0; i < 2; i++) {
        ids[i] = mail_put(f, 1, river, "x");
        take_delivery(f, 2, &ids[i], 1);
    }
    stop_listening(f, 2);
    take_kind(f, 2, KIND_ACK);
    mail_pass(f, 3000);
    assert_true(has_nothing(f, 2));
    assert_int_equal(f->mail->asked[MAIL_TRIED], 0);
    mail_listen(f, 2, river, 4, 1000);
    take_delivery(f, 2, &ids[0], 1);
    take_delivery(f, 2, &ids[1], 1);
}

static void
an_inbox_is_forgotten_when_nobody_came_for_it(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid id = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &id, 1);
    core_disconnected(f->core, 2, f->now);
    f->identities[2] = NULL;
    mail_settle(f);
    assert_int_equal(out(f), 1);
    mail_pass(f, 61000);
    assert_int_equal(out(f), 0);
    assert_int_equal(inboxes(f), 0);
    join_greeted(f, 3, river);
    mail_listen(f, 3, river, 4, 1000);
    take_delivery(f, 3, &id, 2);
}

static void
a_late_ack_counts_for_a_while(void **state)
{
    struct fixture *f = *state;
    two_agents(f);
    mail_listen(f, 2, river, 4, 1000);
    struct uuid id = mail_put(f, 1, river, "x");
    take_delivery(f, 2, &id, 1);
    choke(f, 2);
    mail_put(f, 1, river, "not taken");
    stop_listening(f, 2);
    mail_pass(f, 50000);
    join_greeted(f, 3, river);
    handle(f, 3, &id);
    assert_int_equal(mail_rows(f, river), 1);
    assert_int_equal(inboxes(f), 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_mail_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_message_arrives_as_it_was_sent),
        TEST(what_came_while_nobody_listened_is_there_later),
        TEST(a_new_message_is_delivered_without_being_read),
        TEST(numbers_with_gaps_are_read_and_keep_their_order),
        TEST(mail_to_a_squad_reaches_each_member_in_order),
        TEST(a_delayed_message_comes_when_it_is_due),
        TEST(what_has_expired_is_not_delivered),
        TEST(what_expires_in_memory_is_passed_over),
        TEST(a_window_bounds_what_is_unacknowledged),
        TEST(behind_a_full_window_little_new_mail_is_kept_in_memory),
        TEST(mail_in_memory_that_expires_is_passed_over),
        TEST(subscribing_again_changes_the_window),
        TEST(many_messages_come_in_order_through_reading_ahead),
        TEST(a_peer_that_is_full_loses_nothing),
        TEST(rows_that_were_asked_for_a_session_that_went_are_read_again),
        TEST(the_tap_shows_deliveries),
        TEST(a_peer_that_is_behind_gets_no_more),
        TEST(sessions_of_one_owner_share_the_inbox),
        TEST(a_second_session_hears_first_how_many_wait),
        TEST(what_a_lost_session_held_goes_to_the_other),
        TEST(unsubscribing_gives_all_back_untried),
        TEST(an_inbox_is_forgotten_when_nobody_came_for_it),
        TEST(a_late_ack_counts_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
