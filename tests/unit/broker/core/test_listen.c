/* SPDX-License-Identifier: Apache-2.0 */
/* Mail and events as one stream. */
#include "fixture_bus.h"
#include "fixture_mail.h"

#include <stdio.h>

static struct uuid
listen_to(struct fixture *f, peer_number peer, const char *agent, const char *inbox,
          const char *channels)
{
    return bus_ask(f, peer, "bus_listen", MESSAGE_STREAM, NO_TOKEN, "agent_id", agent, "inbox",
                   inbox, "channels", channels, NULL);
}

static struct value
take_chunk(struct fixture *f, peer_number peer)
{
    struct value chunk;
    assert_true(value_parse(take_kind(f, peer, KIND_CHUNK)->payload, &chunk));
    assert_int_equal(chunk.type, VALUE_MAP);
    return chunk;
}

/* listen_to, and its first chunk, which is empty. */
static struct uuid
begin(struct fixture *f, peer_number peer, const char *agent, const char *inbox,
      const char *channels)
{
    struct uuid id = listen_to(f, peer, agent, inbox, channels);
    if (f->mail)
        mail_settle(f);
    assert_int_equal(take_chunk(f, peer).as.count, 0);
    return id;
}

static void
give_credit(struct fixture *f, peer_number peer, const struct uuid *request, uint64_t count)
{
    say(f, peer,
        (struct message){.kind = KIND_CONTROL,
                         .correlation = *request,
                         .type = text_of("credit"),
                         .seq = count});
}

static uint32_t
events_in(const struct value *chunk)
{
    struct value list;
    return value_find(chunk, "events", &list) ? list.as.count : 0;
}

static void
publish_big(struct fixture *f, peer_number peer, const char *channel, size_t size)
{
    static uint8_t payload[RECORD_SIZE_MAX];
    payload[0] = 0xc6;
    payload[1] = 0;
    payload[2] = (uint8_t)((size - 5) >> 16);
    payload[3] = (uint8_t)((size - 5) >> 8);
    payload[4] = (uint8_t)(size - 5);
    say(f, peer,
        (struct message){
            .kind = KIND_PUBLISH, .target = text_of(channel), .payload = {payload, size}});
}

/* ---- events */

static void
events_of_channels_and_patterns_come_in_chunks(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    begin(f, 1, "agent:kasra", "none", "squad:eng,guild:*");
    publish(f, 2, "squad:eng", 1, 0);
    struct value chunk = take_chunk(f, 1), list = list_in(&chunk, "events");
    struct value event = entry_of(&list, 0);
    assert_int_equal(list.as.count, 1);
    assert_int_equal(chunk.as.count, 1);
    assert_true(text_equal_string(text_in(&event, "channel"), "squad:eng"));
    assert_true(text_equal_string(text_in(&event, "from"), "agent:river"));
    assert_int_equal(uint_in(&event, "payload"), 1);
    publish(f, 2, "guild:makers", 2, 0);
    chunk = take_chunk(f, 1);
    assert_int_equal(events_in(&chunk), 1);
    publish(f, 2, "squad:ops", 3, 0);
    assert_true(has_nothing(f, 1));
}

static void
what_comes_during_one_drain_leaves_in_one_chunk(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    begin(f, 1, "agent:kasra", "none", "squad:eng");
    buffer_reset(&f->frame);
    for (int i = 0; i < 30; i++)
        add_record(f, 2, (struct message){.kind = KIND_PUBLISH, .target = text_of("squad:eng")});
    deliver(f, 2);
    struct value chunk = take_chunk(f, 1);
    assert_int_equal(events_in(&chunk), 30);
    assert_true(has_nothing(f, 1));
}

static void
without_credit_events_wait_in_order_and_then_are_counted(void **state)
{
    struct fixture *f = *state;
    f->options.stream_credit = 1;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    struct uuid id = begin(f, 1, "agent:kasra", "none", "squad:eng"); /* takes the credit */
    for (int i = 0; i < 40; i++)
        publish_big(f, 2, "squad:eng", 10000);
    assert_true(has_nothing(f, 1));
    double dropped = count_of(f, "sos_bus_events_dropped_total ");
    assert_true(dropped >= 10 && dropped <= 20);
    uint64_t seen = 0, lost = 0, last = 0;
    for (int i = 0; i < 20 && seen + lost < 40; i++) {
        give_credit(f, 1, &id, 1);
        struct value chunk = take_chunk(f, 1), list;
        assert_true(f->received.payload.size <= CHUNK_SIZE_MAX);
        if (value_find(&chunk, "events", &list)) {
            for (uint32_t k = 0; k < list.as.count; k++) {
                struct value event = entry_of(&list, k);
                uint64_t seq = uint_in(&event, "seq");
                assert_true(last == 0 || seq == last + 1);
                last = seq;
            }
            seen += list.as.count;
        }
        uint64_t count = 0;
        value_find_uint(&chunk, "dropped", &count);
        lost += count;
    }
    assert_int_equal(seen + lost, 40);
    assert_true((double)lost == dropped);
    publish(f, 2, "squad:eng", 1, 0);
    give_credit(f, 1, &id, 1);
    struct value chunk = take_chunk(f, 1);
    assert_int_equal(events_in(&chunk), 1);
}

static void
an_entry_of_any_size_goes_through(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    begin(f, 1, "agent:kasra", "none", "squad:eng");
    publish_big(f, 2, "squad:eng", RECORD_SIZE_MAX - 4096 - 256);
    struct value chunk = take_chunk(f, 1);
    assert_int_equal(events_in(&chunk), 1);
}

static void
a_caller_that_takes_nothing_slows_nobody(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:slow");
    join_greeted(f, 2, "agent:river");
    join_greeted(f, 3, "agent:quick");
    begin(f, 1, "agent:slow", "none", "squad:eng");
    begin(f, 3, "agent:quick", "none", "squad:eng");
    choke(f, 1);
    for (uint64_t i = 0; i < 20; i++) {
        publish(f, 2, "squad:eng", i, 0);
        struct value chunk = take_chunk(f, 3);
        assert_int_equal(events_in(&chunk), 1);
    }
    assert_true(has_nothing(f, 1));
    f->outboxes[1].full = false;
    advance_ms(f, 3);
    uint64_t seen = 0;
    while (!has_nothing(f, 1)) {
        struct value chunk = take_chunk(f, 1);
        seen += events_in(&chunk);
    }
    assert_int_equal(seen, 20);
}

/* ---- mail */

static void
mail_is_watched_without_being_taken(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    begin(f, 1, "agent:kasra", "watch", "squad:eng");
    struct uuid id = mail_put(f, 2, "agent:kasra", "hello");
    struct value chunk = take_chunk(f, 1), list = list_in(&chunk, "mail");
    struct value mail = entry_of(&list, 0);
    char text[UUID_TEXT_SIZE];
    uuid_format(&id, text);
    assert_int_equal(list.as.count, 1);
    assert_true(text_equal_string(text_in(&mail, "id"), text));
    assert_true(text_equal_string(text_in(&mail, "from"), "agent:river"));
    assert_true(text_equal_string(text_in(&mail, "to"), "agent:kasra"));
    assert_int_equal(mail_rows(f, "agent:kasra"), 1);
    mail_pass(f, 50000);
    assert_true(has_nothing(f, 1));
    assert_int_equal(mail_rows(f, "agent:kasra"), 1);
}

static void
mail_is_taken_up_to_the_window_and_under_credit(void **state)
{
    struct fixture *f = *state;
    f->options.stream_credit = 2;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    for (int i = 0; i < 10; i++)
        mail_put(f, 2, "agent:kasra", "hello");
    struct uuid id = bus_ask(f, 1, "bus_listen", MESSAGE_STREAM, NO_TOKEN, "agent_id",
                             "agent:kasra", "inbox", "take", "window", "#4", NULL);
    uint32_t seen = 0;
    mail_settle(f);
    while (!has_nothing(f, 1)) {
        struct value chunk = take_chunk(f, 1), list;
        seen += value_find(&chunk, "mail", &list) ? list.as.count : 0;
        give_credit(f, 1, &id, 1);
        mail_settle(f);
    }
    assert_int_equal(seen, 4);
    assert_int_equal(mail_rows(f, "agent:kasra"), 10);
}

static void
mail_waits_in_the_inbox_until_there_is_credit(void **state)
{
    struct fixture *f = *state;
    f->options.stream_credit = 1;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    struct uuid id = begin(f, 1, "agent:kasra", "take", ""); /* takes the credit */
    struct uuid sent = mail_put(f, 2, "agent:kasra", "hello");
    mail_settle(f);
    assert_true(has_nothing(f, 1));
    give_credit(f, 1, &id, 1);
    mail_settle(f);
    struct value chunk = take_chunk(f, 1), list = list_in(&chunk, "mail");
    struct value mail = entry_of(&list, 0);
    char text[UUID_TEXT_SIZE];
    uuid_format(&sent, text);
    assert_true(text_equal_string(text_in(&mail, "id"), text));
    assert_int_equal(uint_in(&mail, "attempt"), 1);
}

static void
a_stream_that_is_cancelled_gives_its_mail_back(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    struct uuid message = mail_put(f, 2, "agent:kasra", "hello");
    struct uuid id = listen_to(f, 1, "agent:kasra", "take", "");
    mail_settle(f);
    while (!has_nothing(f, 1))
        take_chunk(f, 1);
    say(f, 1, (struct message){.kind = KIND_CANCEL, .correlation = id});
    mail_settle(f);
    mail_listen(f, 1, "agent:kasra", 10, 1000);
    take_delivery(f, 1, &message, 1);
}

static void
a_session_that_is_lost_takes_its_streams_along(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    mail_put(f, 2, "agent:kasra", "hello");
    listen_to(f, 1, "agent:kasra", "take", "squad:eng,squad:*");
    listen_to(f, 1, "agent:kasra", "watch", "squad:eng");
    mail_settle(f);
    core_disconnected(f->core, 1, f->now);
    publish(f, 2, "squad:eng", 1, 0);
    mail_settle(f);
    assert_true(count_of(f, "sos_bus_pending ") == 0);
}

/* ---- its end */

static void
it_ends_well_when_its_time_is_over(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    struct uuid id = begin(f, 1, "agent:kasra", "none", "squad:eng");
    for (int i = 0; i < 59; i++) {
        advance_ms(f, 1000);
        say(f, 1, (struct message){.kind = KIND_HEARTBEAT});
    }
    assert_true(has_nothing(f, 1));
    advance_ms(f, 1000);
    const struct message *reply = take_kind(f, 1, KIND_REPLY);
    assert_int_equal(reply->status, STATUS_OK);
    assert_true(uuid_equal(&reply->correlation, &id));
    publish(f, 1, "squad:eng", 1, 0);
    assert_true(has_nothing(f, 1));
}

/* ---- who may */

static void
an_agent_listens_for_itself(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    const char *const inboxes[] = {"none", "watch", "take"};
    for (size_t i = 0; i < 3; i++) {
        listen_to(f, 1, "agent:river", inboxes[i], "squad:eng");
        assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_FORBIDDEN,
                       "capability_subject_mismatch");
    }
    bus_ask(f, 1, "bus_listen", 0, NO_TOKEN, "agent_id", "agent:kasra", NULL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_INVALID, "stream_required");
}

static void
channels_need_their_rights(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:subscribe", "squad:e*");
    join_greeted(f, 1, "agent:kasra");
    begin(f, 1, "agent:kasra", "none", "agent:kasra:events,agent:kasra:*");
    begin(f, 1, "agent:kasra", "watch", "agent:kasra:events");
    listen_to(f, 1, "agent:kasra", "none", "agent:kasra:events,squad:eng");
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_CAPABILITY_MISSING, "missing_capability");
    bus_ask(f, 1, "bus_listen", MESSAGE_STREAM, buffer_text(&token), "agent_id", "agent:kasra",
            "inbox", "none", "channels", "squad:eng,squad:e*", NULL);
    take_chunk(f, 1);
    begin(f, 1, "agent:kasra", "watch", "squad:east"); /* the session was granted that */
    bus_ask(f, 1, "bus_listen", MESSAGE_STREAM, buffer_text(&token), "agent_id", "agent:kasra",
            "inbox", "none", "channels", "squad:*", NULL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_SCOPE_DENIED, "scope_denied");
    buffer_clear(&token);
}

static void
who_was_let_at_an_inbox_hears_its_owners_channels(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct buffer mail = river_token(f, &river, "agent:kasra", "bus:receive", "agent:kasra");
    struct buffer other = river_token(f, &river, "agent:kasra", "bus:subscribe", "squad:*");
    join(f, 1, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 1);
    const struct {
        const struct buffer *token;
        const char *inbox, *channels;
        enum status status;
    } rows[] = {
        {&mail, "watch", "agent:kasra:events", STATUS_OK},
        {&mail, "watch", "squad:eng", STATUS_CAPABILITY_MISSING},
        {&mail, "none", "agent:kasra:events", STATUS_SCOPE_DENIED},
        {&other, "none", "squad:eng", STATUS_OK},
        {&other, "none", "agent:kasra:events", STATUS_SCOPE_DENIED},
        {&other, "watch", "squad:eng", STATUS_SCOPE_DENIED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bus_ask(f, 1, "bus_listen", MESSAGE_STREAM, buffer_text(rows[i].token), "agent_id",
                "agent:kasra", "inbox", rows[i].inbox, "channels", rows[i].channels, NULL);
        mail_settle(f);
        const struct message *answer = take(f, 1);
        if (answer->status != (uint32_t)rows[i].status)
            fail_msg("row %zu: %u", i, answer->status);
        assert_true((answer->kind == KIND_CHUNK) == (rows[i].status == STATUS_OK));
    }
    buffer_clear(&mail);
    buffer_clear(&other);
}

/* ---- bad input */

static void
what_is_no_channel_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    const char *const wrong[] = {"agent:kasra", ",", "squad:eng,,squad:ops", "squad:eng, squad:ops",
                                 "nonsense"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        listen_to(f, 1, "agent:kasra", "none", wrong[i]);
        assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_INVALID, "not_a_channel");
    }
    listen_to(f, 1, "squad:eng", "watch", "");
    assert_true(take_kind(f, 1, KIND_REPLY)->status != STATUS_OK);
    listen_to(f, 1, "agent:kasra", "everything", "");
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_VALIDATION, "validation_error");
    char many[1024] = "";
    for (int i = 0; i < 65; i++) {
        char name[16];
        snprintf(name, sizeof name, "%ssquad:%d", i ? "," : "", i);
        strcat(many, name);
    }
    listen_to(f, 1, "agent:kasra", "none", many);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_QUOTA_EXCEEDED, "too_many_subscriptions");
    assert_true(count_of(f, "sos_bus_pending ") == 0);
}

static void
without_a_mailbox_there_is_no_mail_to_listen_to(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    begin(f, 1, "agent:kasra", "none", "squad:eng");
    listen_to(f, 1, "agent:kasra", "take", "squad:eng");
    while (!has_nothing(f, 1))
        take(f, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
#define MAIL_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_mail_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(events_of_channels_and_patterns_come_in_chunks),
        TEST(what_comes_during_one_drain_leaves_in_one_chunk),
        TEST(without_credit_events_wait_in_order_and_then_are_counted),
        TEST(an_entry_of_any_size_goes_through),
        TEST(a_caller_that_takes_nothing_slows_nobody),
        MAIL_TEST(mail_is_watched_without_being_taken),
        MAIL_TEST(mail_is_taken_up_to_the_window_and_under_credit),
        MAIL_TEST(mail_waits_in_the_inbox_until_there_is_credit),
        MAIL_TEST(a_stream_that_is_cancelled_gives_its_mail_back),
        MAIL_TEST(a_session_that_is_lost_takes_its_streams_along),
        TEST(it_ends_well_when_its_time_is_over),
        MAIL_TEST(an_agent_listens_for_itself),
        MAIL_TEST(channels_need_their_rights),
        MAIL_TEST(who_was_let_at_an_inbox_hears_its_owners_channels),
        MAIL_TEST(what_is_no_channel_is_refused),
        TEST(without_a_mailbox_there_is_no_mail_to_listen_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
