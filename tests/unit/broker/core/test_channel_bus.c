/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of channels, and their limits. */
#include "fixture_bus.h"

#include <stdio.h>

/* ---- bus_publish */

static void
an_operation_publishes_as_a_record_does(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    subscribe_well(f, 2, "squad:eng", LIVE_ONLY);
    bus_ask(f, 1, "bus_publish", 0, NO_TOKEN, "from", "agent:kasra", "channel", "squad:eng", "type",
            "note", "payload", "#5", NULL);
    struct value reply = bus_take_reply(f, 1);
    assert_int_equal(uint_in(&reply, "subscribers"), 1);
    struct uuid id;
    assert_true(uuid_parse(text_in(&reply, "message_id"), &id));
    uint64_t seq = take_event(f, 2, "squad:eng", 5);
    assert_int_equal(uint_in(&reply, "seq"), seq);
    assert_true(uuid_equal(&f->received.id, &id));
    assert_true(text_equal_string(f->received.source, "agent:kasra"));
    assert_true(text_equal_string(f->received.type, "note"));
}

static void
nobody_speaks_in_the_name_of_a_service(void **state)
{
    struct fixture *f = *state;
    join(f, 1, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 1);
    join_greeted(f, 2, "agent:kasra");
    const char *const names[] = {"service:memory", "system:root"};
    for (size_t i = 0; i < 2; i++) {
        bus_ask(f, 1, "bus_publish", 0, NO_TOKEN, "from", names[i], "channel", "squad:eng", NULL);
        assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_FORBIDDEN,
                       "capability_subject_mismatch");
    }
    bus_ask(f, 1, "bus_publish", 0, NO_TOKEN, "from", "agent:anyone", "channel", "squad:eng", NULL);
    bus_take_reply(f, 1);
    bus_ask(f, 1, "bus_publish", 0, NO_TOKEN, "from", "service:gateway", "channel", "squad:eng",
            NULL);
    bus_take_reply(f, 1);
    bus_ask(f, 2, "bus_publish", 0, NO_TOKEN, "from", "agent:river", "channel", "squad:eng", NULL);
    assert_refused(take_kind(f, 2, KIND_REPLY), STATUS_FORBIDDEN, "capability_subject_mismatch");
    bus_ask(f, 1, "bus_publish", 0, NO_TOKEN, "from", "no identity", "channel", "squad:eng", NULL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_VALIDATION, "validation_error");
    bus_ask(f, 2, "bus_publish", 0, NO_TOKEN, "from", "agent:kasra", "channel", "agent:kasra",
            NULL);
    assert_refused(take_kind(f, 2, KIND_REPLY), STATUS_INVALID, "not_a_channel");
    bus_ask(f, 2, "bus_publish", 0, NO_TOKEN, "from", "agent:kasra", "channel", "squad:*", NULL);
    assert_refused(take_kind(f, 2, KIND_REPLY), STATUS_INVALID, "not_a_channel");
}

/* ---- bus_history */

static struct value
history(struct fixture *f, const char *channel, const char *after, const char *limit)
{
    bus_ask(f, 1, "bus_history", 0, NO_TOKEN, "channel", channel, "after", after, "limit", limit,
            NULL);
    return bus_take_reply(f, 1);
}

static void
assert_payloads(const struct value *reply, uint64_t first, uint32_t count)
{
    struct value list = list_in(reply, "events");
    assert_int_equal(list.as.count, count);
    for (uint32_t i = 0; i < count; i++) {
        struct value event = entry_of(&list, i);
        assert_int_equal(uint_in(&event, "payload"), first + i);
    }
}

static void
a_history_is_read_from_its_end_or_from_a_number(void **state)
{
    struct fixture *f = *state;
    char after[32];
    join_greeted(f, 1, "agent:kasra");
    for (uint64_t i = 0; i < 20; i++)
        publish(f, 1, "squad:eng", i, 0);
    struct value reply = history(f, "squad:eng", "#0", "#5");
    uint64_t first = uint_in(&reply, "first_seq");
    assert_int_equal(uint_in(&reply, "last_seq"), first + 19);
    assert_payloads(&reply, 15, 5);
    snprintf(after, sizeof after, "#%llu", (unsigned long long)first);
    reply = history(f, "squad:eng", after, "#5");
    assert_payloads(&reply, 1, 5);
    snprintf(after, sizeof after, "#%llu", (unsigned long long)first + 17);
    reply = history(f, "squad:eng", after, "#1000");
    assert_payloads(&reply, 18, 2);
    snprintf(after, sizeof after, "#%llu", (unsigned long long)first + 19);
    reply = history(f, "squad:eng", after, "#10");
    assert_payloads(&reply, 0, 0);
    reply = history(f, "squad:eng", "#9007199254740991", "#10");
    assert_payloads(&reply, 0, 0);
    reply = history(f, "squad:eng", "#1", "#3");
    assert_payloads(&reply, 0, 3);
    reply = history(f, "squad:nobody", "#0", "#3");
    assert_payloads(&reply, 0, 0);
    assert_int_equal(uint_in(&reply, "last_seq"), 0);
}

static void
an_event_in_a_history_says_everything(void **state)
{
    struct fixture *f = *state;
    static const uint8_t trace[24] = {0xab};
    static const uint8_t metadata[] = {0x81, 0xa1, 'k', 0x07};
    join_greeted(f, 1, "agent:kasra");
    struct uuid id = say(f, 1,
                         (struct message){.kind = KIND_PUBLISH,
                                          .target = text_of("agent:kasra:events"),
                                          .type = text_of("note"),
                                          .trace = {trace, sizeof trace},
                                          .metadata = {metadata, sizeof metadata}});
    struct value reply = history(f, "agent:kasra:events", "#0", "#1");
    struct value list = list_in(&reply, "events"), event = entry_of(&list, 0), found;
    char text[UUID_TEXT_SIZE];
    uuid_format(&id, text);
    assert_true(text_equal_string(text_in(&event, "id"), text));
    assert_true(text_equal_string(text_in(&event, "channel"), "agent:kasra:events"));
    assert_true(text_equal_string(text_in(&event, "from"), "agent:kasra"));
    assert_true(text_equal_string(text_in(&event, "type"), "note"));
    assert_true(text_equal_string(text_in(&event, "sent_at"), "2026-01-01T00:00:00.000000Z"));
    assert_true(text_equal_string(text_in(&event, "trace_id"), "ab000000000000000000000000000000"));
    assert_true(value_find(&event, "payload", &found) && found.type == VALUE_NIL);
    assert_true(value_find(&event, "metadata", &found));
    assert_int_equal(uint_in(&found, "k"), 7);
}

static void
a_long_history_ends_where_an_answer_does(void **state)
{
    struct fixture *f = *state;
    static uint8_t payload[60000] = {0xc5, (60000 - 3) >> 8, (60000 - 3) & 0xff};
    join_greeted(f, 1, "agent:kasra");
    for (int i = 0; i < 8; i++)
        say(f, 1,
            (struct message){.kind = KIND_PUBLISH,
                             .target = text_of("squad:eng"),
                             .payload = {payload, sizeof payload}});
    struct value reply = history(f, "squad:eng", "#0", "#1000");
    struct value list = list_in(&reply, "events");
    assert_int_equal(list.as.count, 3);
    struct value event = entry_of(&list, 2);
    assert_int_equal(uint_in(&event, "seq"), uint_in(&reply, "last_seq"));
    reply = history(f, "squad:eng", "#1", "#1000");
    list = list_in(&reply, "events");
    assert_int_equal(list.as.count, 3);
    event = entry_of(&list, 0);
    assert_int_equal(uint_in(&event, "seq"), uint_in(&reply, "first_seq"));
}

static void
a_history_of_no_channel_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    const char *const wrong[] = {"squad:*", "agent:kasra", "nonsense"};
    for (size_t i = 0; i < 3; i++) {
        bus_ask(f, 1, "bus_history", 0, NO_TOKEN, "channel", wrong[i], NULL);
        assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_INVALID, "not_a_channel");
    }
    bus_ask(f, 1, "bus_history", 0, NO_TOKEN, NULL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_VALIDATION, "validation_error");
}

/* ---- bus_channels */

static struct value
channels(struct fixture *f, peer_number peer, const char *pattern, const char *limit)
{
    bus_ask(f, peer, "bus_channels", 0, NO_TOKEN, "pattern", pattern, "limit", limit, NULL);
    struct value reply = bus_take_reply(f, peer);
    return list_in(&reply, "channels");
}

static void
channels_are_listed_with_their_listeners_and_history(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    subscribe_well(f, 2, "squad:*", LIVE_ONLY);
    subscribe_well(f, 1, "squad:eng", LIVE_ONLY);
    publish(f, 2, "squad:eng", 1, 0);
    publish(f, 2, "squad:ops", 2, 0);
    publish(f, 2, "guild:makers", 3, 0);
    uint64_t seq = take_event(f, 1, "squad:eng", 1);
    struct value list = channels(f, 1, "squad:*", "#10");
    assert_int_equal(list.as.count, 2);
    struct value entry = entry_of(&list, 0);
    assert_true(text_equal_string(text_in(&entry, "channel"), "squad:eng"));
    assert_int_equal(uint_in(&entry, "subscribers"), 2);
    assert_int_equal(uint_in(&entry, "last_seq"), seq);
    assert_int_equal(uint_in(&entry, "events"), 1);
    assert_true(uint_in(&entry, "bytes") > 0);
    assert_int_equal(channels(f, 1, "*", "#1").as.count, 1);
    assert_int_equal(channels(f, 1, "*", "#1000").as.count, 4); /* system:events is one */
    assert_true(count_of(f, "sos_bus_channels ") == 4);
}

/* ---- limits */

static void
a_session_has_at_most_256_subscriptions(void **state)
{
    struct fixture *f = *state;
    char name[64];
    join_greeted(f, 1, "agent:kasra");
    for (int i = 0; i < 256; i++) {
        snprintf(name, sizeof name, i % 2 ? "squad:%d" : "squad:%d*", i);
        subscribe_well(f, 1, name, LIVE_ONLY);
    }
    subscribe(f, 1, "squad:one-more", LIVE_ONLY, NO_TOKEN);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_QUOTA_EXCEEDED, "too_many_subscriptions");
    subscribe_well(f, 1, "squad:1", LIVE_ONLY); /* it has that */
    unsubscribe_well(f, 1, "squad:1");
    subscribe_well(f, 1, "squad:one-more", LIVE_ONLY);
}

static void
an_identity_has_at_most_1024_subscriptions_in_all_its_sessions(void **state)
{
    struct fixture *f = *state;
    char name[64];
    for (peer_number peer = 1; peer <= 5; peer++)
        join_greeted(f, peer, "agent:kasra");
    for (int i = 0; i < 1024; i++) {
        snprintf(name, sizeof name, "squad:%d", i);
        subscribe_well(f, (peer_number)(1 + i / 256), name, LIVE_ONLY);
    }
    subscribe(f, 5, "squad:0", LIVE_ONLY, NO_TOKEN);
    assert_refused(take_kind(f, 5, KIND_ERROR), STATUS_QUOTA_EXCEEDED, "too_many_subscriptions");
    join_greeted(f, 6, "agent:river");
    subscribe_well(f, 6, "squad:0", LIVE_ONLY);
    core_disconnected(f->core, 1, f->now);
    subscribe_well(f, 5, "squad:0", LIVE_ONLY);
}

static void
an_identity_has_at_most_256_patterns_in_all_its_sessions(void **state)
{
    struct fixture *f = *state;
    char name[64];
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:kasra");
    for (int i = 0; i < 256; i++) {
        snprintf(name, sizeof name, "squad:%d*", i);
        subscribe_well(f, 1 + (peer_number)(i % 2), name, LIVE_ONLY);
    }
    subscribe(f, 2, "squad:*", LIVE_ONLY, NO_TOKEN);
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_QUOTA_EXCEEDED, "too_many_subscriptions");
    subscribe_well(f, 2, "squad:eng", LIVE_ONLY);
    unsubscribe_well(f, 1, "squad:0*");
    subscribe_well(f, 2, "squad:*", LIVE_ONLY);
    join(f, 3, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 3);
    join(f, 4, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 4);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "squad:%d*", i);
        subscribe_well(f, 3 + (peer_number)(i % 2), name, LIVE_ONLY);
    }
}

static void
channels_that_nobody_asked_for_by_name_make_room(void **state)
{
    struct fixture *f = *state;
    char name[64];
    f->options.channels_max = 10;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    subscribe_well(f, 2, "squad:*", LIVE_ONLY);
    subscribe_well(f, 1, "squad:asked-for", LIVE_ONLY);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "squad:%d", i);
        publish(f, 1, name, (uint64_t)i, 0);
        take_event(f, 2, name, (uint64_t)i);
    }
    assert_true(count_of(f, "sos_bus_channels ") == 10);
    publish(f, 2, "squad:asked-for", 7, 0);
    take_event(f, 1, "squad:asked-for", 7);
    take_event(f, 2, "squad:asked-for", 7);
    assert_int_equal(channels(f, 1, "squad:49", "#10").as.count, 1);
    assert_int_equal(channels(f, 1, "squad:10", "#10").as.count, 0);
}

static void
patterns_that_match_everything_cost_channels_not_memory(void **state)
{
    struct fixture *f = *state;
    char name[64];
    join_greeted(f, 1, "agent:eve");
    join_greeted(f, 2, "agent:kasra");
    join(f, 3, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 3);
    for (int i = 0; i < 256; i++) { /* all the same, but for their spelling */
        snprintf(name, sizeof name, "squad:%.*s", 1 + i / 8, "********************************");
        for (int k = 0; k < i % 8; k++)
            strcat(name, k % 2 ? "?*" : "*?*");
        subscribe_well(f, 1, name, LIVE_ONLY);
    }
    subscribe_well(f, 2, "squad:*", LIVE_ONLY);
    core_disconnected(f->core, 2, f->now);
    for (int i = 0; i < 2500; i++) {
        snprintf(name, sizeof name, "squad:channel-%d", i);
        publish(f, 3, name, 1, MESSAGE_CONFIRM);
        take_kind(f, 3, KIND_ACK);
        forget_frames(f, 1);
        forget_frames(f, 3);
        f->now.monotonic_us += 1000;
    }
    double count = count_of(f, "sos_bus_channels ");
    assert_true(count > 1900 && count < 2000); /* 500,000 matches */
}

static void
when_all_channels_were_asked_for_there_is_no_room_for_another(void **state)
{
    struct fixture *f = *state;
    char name[64];
    f->options.channels_max = 5;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof name, "squad:%d", i);
        subscribe_well(f, 1, name, LIVE_ONLY);
    }
    publish(f, 1, "squad:another", 1, 0);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_QUOTA_EXCEEDED, "too_many_channels");
    subscribe(f, 1, "squad:another", LIVE_ONLY, NO_TOKEN);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_QUOTA_EXCEEDED, "too_many_channels");
    unsubscribe_well(f, 1, "squad:0");
    subscribe_well(f, 1, "squad:another", LIVE_ONLY);
}

static void
who_makes_channels_without_end_is_slowed_down_and_nobody_else(void **state)
{
    struct fixture *f = *state;
    char name[64];
    enum status status = STATUS_OK;
    join_greeted(f, 1, "agent:eve");
    join_greeted(f, 2, "agent:kasra");
    int made = 0;
    for (; made < 20000 && status == STATUS_OK; made++) {
        snprintf(name, sizeof name, "squad:%d", made);
        bus_ask(f, 1, "bus_publish", 0, NO_TOKEN, "from", "agent:eve", "channel", name, NULL);
        status = (enum status)take_kind(f, 1, KIND_REPLY)->status;
        forget_frames(f, 1);
    }
    assert_int_equal(status, STATUS_RATE_LIMITED);
    assert_true(made > 1000);
    publish(f, 1, "squad:0", 1, MESSAGE_CONFIRM); /* it is there */
    take_kind(f, 1, KIND_ACK);
    publish(f, 2, "squad:another", 1, MESSAGE_CONFIRM);
    take_kind(f, 2, KIND_ACK);
    core_disconnected(f->core, 1, f->now); /* coming back does not help */
    join_greeted(f, 3, "agent:eve");
    publish(f, 3, "squad:more", 1, 0);
    assert_refused(take_kind(f, 3, KIND_ERROR), STATUS_RATE_LIMITED, "rate_limited");
    advance_ms(f, 1000);
    publish(f, 3, "squad:more", 1, MESSAGE_CONFIRM);
    take_kind(f, 3, KIND_ACK);
}

static void
calls_that_wait_are_bounded_as_requests_of_services_are(void **state)
{
    struct fixture *f = *state;
    f->options.pending_peer_max = 2;
    f->options.pending_max = 3;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    for (int i = 0; i < 2; i++) {
        bus_ask(f, 1, "bus_listen", MESSAGE_STREAM, NO_TOKEN, "agent_id", "agent:kasra", "inbox",
                "none", "channels", "squad:eng", NULL);
        take_kind(f, 1, KIND_CHUNK);
    }
    bus_ask(f, 1, "bus_listen", MESSAGE_STREAM, NO_TOKEN, "agent_id", "agent:kasra", "inbox",
            "none", NULL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_QUOTA_EXCEEDED, "too_many_pending");
    bus_ask(f, 2, "bus_listen", MESSAGE_STREAM, NO_TOKEN, "agent_id", "agent:river", "inbox",
            "none", NULL);
    take_kind(f, 2, KIND_CHUNK);
    bus_ask(f, 2, "bus_listen", MESSAGE_STREAM, NO_TOKEN, "agent_id", "agent:river", "inbox",
            "none", NULL);
    assert_refused(take_kind(f, 2, KIND_REPLY), STATUS_BUSY, "service_busy");
    bus_ask(f, 2, "health_check", 0, NO_TOKEN, NULL);
    bus_take_reply(f, 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_operation_publishes_as_a_record_does),
        TEST(nobody_speaks_in_the_name_of_a_service),
        TEST(a_history_is_read_from_its_end_or_from_a_number),
        TEST(an_event_in_a_history_says_everything),
        TEST(a_long_history_ends_where_an_answer_does),
        TEST(a_history_of_no_channel_is_refused),
        TEST(channels_are_listed_with_their_listeners_and_history),
        TEST(a_session_has_at_most_256_subscriptions),
        TEST(an_identity_has_at_most_1024_subscriptions_in_all_its_sessions),
        TEST(an_identity_has_at_most_256_patterns_in_all_its_sessions),
        TEST(channels_that_nobody_asked_for_by_name_make_room),
        TEST(patterns_that_match_everything_cost_channels_not_memory),
        TEST(when_all_channels_were_asked_for_there_is_no_room_for_another),
        TEST(who_makes_channels_without_end_is_slowed_down_and_nobody_else),
        TEST(calls_that_wait_are_bounded_as_requests_of_services_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
