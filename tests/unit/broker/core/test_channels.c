/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_bus.h"

#include <stdio.h>

/* ---- saying and hearing */

static void
an_event_says_what_was_published_and_nothing_of_the_token(void **state)
{
    struct fixture *f = *state;
    static const uint8_t trace[24] = {1, 2, 3};
    static const uint8_t metadata[] = {0x81, 0xa1, 'k', 0x07};
    static const uint8_t payload[] = {0xa2, 'h', 'i'};
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    uint64_t last = subscribe_well(f, 2, "squad:eng", LIVE_ONLY);
    assert_int_equal(last, f->now.wall_us);

    struct uuid id = say(f, 1,
                         (struct message){.kind = KIND_PUBLISH,
                                          .flags = MESSAGE_CONFIRM,
                                          .target = text_of("squad:eng"),
                                          .type = text_of("greeting"),
                                          .trace = {trace, sizeof trace},
                                          .ttl_ms = 7,
                                          .metadata = {metadata, sizeof metadata},
                                          .payload = {payload, sizeof payload}});

    const struct message *event = take_kind(f, 2, KIND_EVENT);
    assert_true(uuid_equal(&event->id, &id));
    assert_true(text_equal_string(event->source, "agent:kasra"));
    assert_true(text_equal_string(event->target, "squad:eng"));
    assert_true(text_equal_string(event->type, "greeting"));
    assert_int_equal(event->timestamp_us, f->now.wall_us);
    assert_int_equal(event->seq, last + 1);
    assert_int_equal(event->flags, 0);
    assert_int_equal(event->ttl_ms, 0);
    assert_int_equal(event->capability.size, 0);
    assert_int_equal(event->trace.size, sizeof trace);
    assert_memory_equal(event->trace.data, trace, sizeof trace);
    assert_memory_equal(event->metadata.data, metadata, sizeof metadata);
    assert_int_equal(event->payload.size, sizeof payload);
    assert_memory_equal(event->payload.data, payload, sizeof payload);
    const struct message *ack = take_kind(f, 1, KIND_ACK);
    assert_true(uuid_equal(&ack->correlation, &id));
    assert_int_equal(ack->seq, last + 1);
    assert_true(has_nothing(f, 1));
}

static void
an_event_carries_no_token_and_no_principal(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, false);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:publish", "squad:*");
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    join(f, 3, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 3);
    subscribe_well(f, 2, "squad:eng", LIVE_ONLY);
    say(f, 1,
        (struct message){.kind = KIND_PUBLISH,
                         .target = text_of("squad:eng"),
                         .capability = buffer_text(&token)});
    assert_int_equal(take_kind(f, 2, KIND_EVENT)->capability.size, 0);
    say(f, 3,
        (struct message){.kind = KIND_PUBLISH,
                         .target = text_of("squad:eng"),
                         .principal = text_of("agent:kasra")});
    assert_int_equal(take_kind(f, 2, KIND_EVENT)->principal.size, 0);
    buffer_clear(&token);
}

static void
nobody_is_answered_who_did_not_ask_for_it(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    publish(f, 1, "squad:eng", 1, 0);
    assert_true(has_nothing(f, 1));
    assert_true(count_of(f, "sos_bus_published_total ") >= 1);
}

static void
numbers_grow_by_one_whoever_speaks(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    subscribe_well(f, 2, "squad:eng", LIVE_ONLY);
    publish(f, 1, "squad:eng", 10, 0);
    publish(f, 2, "squad:eng", 11, 0);
    publish(f, 1, "squad:ops", 12, 0);
    publish(f, 1, "squad:eng", 13, 0);
    uint64_t first = take_event(f, 2, "squad:eng", 10);
    assert_int_equal(take_event(f, 2, "squad:eng", 11), first + 1);
    assert_int_equal(take_event(f, 2, "squad:eng", 13), first + 2);
    assert_true(has_nothing(f, 2));
}

static void
numbers_never_go_back_over_a_restart(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    subscribe_well(f, 1, "squad:eng", LIVE_ONLY);
    for (uint64_t i = 0; i < 50; i++)
        publish(f, 1, "squad:eng", i, 0);
    uint64_t last = 0;
    for (uint64_t i = 0; i < 50; i++)
        last = take_event(f, 1, "squad:eng", i);
    f->now.wall_us += 1000;
    fixture_restart(f);
    join_greeted(f, 2, "agent:kasra");
    assert_true(subscribe_well(f, 2, "squad:eng", LIVE_ONLY) > last);
}

static void
numbers_go_on_when_a_channel_was_forgotten(void **state)
{
    struct fixture *f = *state;
    f->options.channels_max = 2; /* one besides system:events */
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    uint64_t last = 0;
    for (int i = 0; i < 20; i++) {
        publish(f, 1, "squad:a", 1, MESSAGE_CONFIRM);
        uint64_t seq = take_kind(f, 1, KIND_ACK)->seq;
        assert_true(seq > last);
        last = seq;
        publish(f, 1, "squad:b", 1, 0); /* takes its place */
    }
}

/* ---- who hears */

static void
one_copy_comes_however_many_subscriptions_match(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    const char *const topics[] = {"squad:eng", "squad:*", "*",
                                  "squad:e?g", "*:eng",   "squad:[a-e]ng"};
    for (size_t i = 0; i < 6; i++)
        subscribe_well(f, 2, topics[i], LIVE_ONLY);
    publish(f, 1, "squad:eng", 7, 0);
    take_event(f, 2, "squad:eng", 7);
    assert_true(has_nothing(f, 2));
    for (size_t i = 0; i < 6; i++) {
        unsubscribe_well(f, 2, topics[i]);
        publish(f, 1, "squad:eng", i, 0);
        if (i < 5)
            take_event(f, 2, "squad:eng", i);
        assert_true(has_nothing(f, 2));
    }
}

static void
patterns_hear_channels_that_come_later_and_that_were_there(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    join_greeted(f, 3, "agent:ana");
    publish(f, 1, "agent:kasra:events", 1, 0);
    subscribe_well(f, 2, "agent:*:events", LIVE_ONLY);
    publish(f, 1, "agent:kasra:events", 2, 0);
    publish(f, 3, "agent:ana:events", 3, 0);
    publish(f, 3, "agent:ana:thoughts", 4, 0);
    publish(f, 3, "squad:events", 5, 0);
    take_event(f, 2, "agent:kasra:events", 2);
    take_event(f, 2, "agent:ana:events", 3);
    assert_true(has_nothing(f, 2));
    unsubscribe_well(f, 2, "agent:*:events");
    publish(f, 1, "agent:kasra:events", 6, 0);
    assert_true(has_nothing(f, 2));
}

static void
who_joins_or_leaves_a_pattern_that_others_have_changes_nothing_for_them(void **state)
{
    struct fixture *f = *state;
    for (peer_number peer = 1; peer < 4; peer++)
        join_greeted(f, peer, "agent:kasra");
    subscribe_well(f, 2, "squad:*", LIVE_ONLY);
    publish(f, 1, "squad:eng", 1, 0);
    take_event(f, 2, "squad:eng", 1);
    subscribe_well(f, 3, "squad:*", LIVE_ONLY);
    publish(f, 1, "squad:eng", 2, 0);
    take_event(f, 2, "squad:eng", 2);
    take_event(f, 3, "squad:eng", 2);
    unsubscribe_well(f, 2, "squad:*");
    publish(f, 1, "squad:eng", 3, 0);
    take_event(f, 3, "squad:eng", 3);
    assert_true(has_nothing(f, 2));
}

static void
every_subscriber_hears_in_the_order_of_the_publisher(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    for (peer_number peer = 2; peer < 5; peer++) {
        join_greeted(f, peer, "agent:river");
        subscribe_well(f, peer, peer == 3 ? "squad:*" : "squad:eng", LIVE_ONLY);
    }
    for (uint64_t i = 0; i < 200; i++)
        publish(f, 1, "squad:eng", i, 0);
    for (peer_number peer = 2; peer < 5; peer++) {
        for (uint64_t i = 0; i < 200; i++)
            take_event(f, peer, "squad:eng", i);
        assert_true(has_nothing(f, peer));
    }
    assert_true(count_of(f, "sos_bus_events_total ") >= 600);
}

static void
a_session_that_ends_hears_no_more_until_it_subscribes_again(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    join_greeted(f, 3, "agent:ana");
    subscribe_well(f, 2, "squad:*", LIVE_ONLY);
    subscribe_well(f, 3, "squad:eng", LIVE_ONLY);
    publish(f, 1, "squad:eng", 1, 0);
    take_event(f, 2, "squad:eng", 1);
    take_event(f, 3, "squad:eng", 1);
    say(f, 2, (struct message){.kind = KIND_BYE});
    core_disconnected(f->core, 3, f->now);
    publish(f, 1, "squad:eng", 2, 0);
    assert_true(has_nothing(f, 2));
    assert_true(has_nothing(f, 3));
    greet(f, 2);
    publish(f, 1, "squad:eng", 3, 0);
    assert_true(has_nothing(f, 2));
    subscribe_well(f, 2, "squad:*", LIVE_ONLY);
    publish(f, 1, "squad:eng", 4, 0);
    take_event(f, 2, "squad:eng", 4);
}

static void
subscribing_twice_is_subscribing_once(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    subscribe_well(f, 1, "squad:eng", LIVE_ONLY);
    subscribe_well(f, 1, "squad:eng", LIVE_ONLY);
    publish(f, 1, "squad:eng", 1, 0);
    take_event(f, 1, "squad:eng", 1);
    assert_true(has_nothing(f, 1));
    unsubscribe_well(f, 1, "squad:eng");
    unsubscribe_well(f, 1, "squad:eng");
    publish(f, 1, "squad:eng", 2, 0);
    assert_true(has_nothing(f, 1));
}

/* ---- history */

static void
kept_events_come_first_then_the_live_ones(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    for (uint64_t i = 1; i <= 10; i++)
        publish(f, 1, "squad:eng", i, MESSAGE_CONFIRM);
    uint64_t first = take_kind(f, 1, KIND_ACK)->seq;
    assert_int_equal(subscribe_well(f, 2, "squad:eng", (int64_t)first + 3), first + 9);
    publish(f, 1, "squad:eng", 11, 0);
    for (uint64_t i = 5; i <= 11; i++)
        assert_int_equal(take_event(f, 2, "squad:eng", i), first + i - 1);
    assert_true(has_nothing(f, 2));
    join_greeted(f, 3, "agent:ana");
    subscribe_well(f, 3, "squad:eng", 0);
    for (uint64_t i = 1; i <= 11; i++)
        take_event(f, 3, "squad:eng", i);
    assert_true(has_nothing(f, 3));
}

static void
a_number_that_was_not_reached_yet_means_only_live_events(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    publish(f, 1, "squad:eng", 1, 0);
    subscribe_well(f, 1, "squad:eng", INT64_MAX);
    assert_true(has_nothing(f, 1));
    publish(f, 1, "squad:eng", 2, 0);
    take_event(f, 1, "squad:eng", 2);
}

static void
a_channel_keeps_a_number_of_events_and_a_number_of_bytes(void **state)
{
    struct fixture *f = *state;
    f->options.channel_history_max = 5;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    for (uint64_t i = 1; i <= 8; i++)
        publish(f, 1, "squad:eng", i, 0);
    subscribe_well(f, 1, "squad:eng", 0);
    for (uint64_t i = 4; i <= 8; i++)
        take_event(f, 1, "squad:eng", i);
    assert_true(has_nothing(f, 1));

    f->options.channel_history_max = 1000;
    f->options.channel_history_bytes_max = 1000; /* five or six of these */
    fixture_restart(f);
    join_greeted(f, 2, "agent:kasra");
    for (uint64_t i = 1; i <= 100; i++)
        publish(f, 2, "squad:eng", i, 0);
    subscribe_well(f, 2, "squad:eng", 0);
    uint64_t last = 0, count = 0;
    for (; !has_nothing(f, 2); count++)
        last = take_event(f, 2, "squad:eng", 100 - (5 - count) + (count > 5));
    assert_true(count >= 4 && count <= 8 && last > 0);
}

static void
the_history_that_was_used_least_recently_gives_way(void **state)
{
    struct fixture *f = *state;
    f->options.channel_bytes_max = 2000;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    for (uint64_t i = 0; i < 5; i++)
        publish(f, 1, "squad:old", i, 0);
    for (uint64_t i = 0; i < 5; i++)
        publish(f, 1, "squad:new", i, 0);
    for (uint64_t i = 5; i < 12; i++)
        publish(f, 1, "squad:new", i, 0);
    bus_ask(f, 1, "bus_channels", 0, NO_TOKEN, "pattern", "squad:*", NULL);
    struct value reply = bus_take_reply(f, 1);
    struct value list = list_in(&reply, "channels");
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < list.as.count; i++) {
        struct value entry = entry_of(&list, i);
        bytes += uint_in(&entry, "bytes");
        if (text_equal_string(text_in(&entry, "channel"), "squad:old"))
            assert_int_equal(uint_in(&entry, "events"), 0);
        else
            assert_int_equal(uint_in(&entry, "events"), 12);
    }
    assert_true(bytes <= 2000);
}

static void
without_a_history_only_live_events_come(void **state)
{
    struct fixture *f = *state;
    f->options.channel_history_max = 0;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    publish(f, 1, "squad:eng", 1, 0);
    subscribe_well(f, 1, "squad:eng", 0);
    publish(f, 1, "squad:eng", 2, 0);
    take_event(f, 1, "squad:eng", 2);
    assert_true(has_nothing(f, 1));
}

/* ---- bad input */

static void
names_that_are_no_channels_are_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    const char *const wrong[] = {"agent:kasra", "user:ana",     "service:memory", "squad:",
                                 "nonsense",    "agent:kasra:", "squad:a b",      "",
                                 "channel:x",   "squad:a..b",   "squad:\xff",     "agent::x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        subscribe(f, 1, wrong[i], LIVE_ONLY, NO_TOKEN);
        assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "not_a_channel");
    }
    const char *const unspeakable[] = {"agent:kasra", "user:ana"};
    for (size_t i = 0; i < 2; i++) {
        publish(f, 1, unspeakable[i], 1, 0);
        assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "not_a_channel");
    }
    say(f, 1, (struct message){.kind = KIND_PUBLISH});
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "not_a_channel");
    subscribe(f, 1, "squad:\n*", LIVE_ONLY, NO_TOKEN);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "not_a_channel");
}

static void
a_subscribe_of_another_form_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    static const struct {
        const char *bytes;
        size_t size;
    } payloads[] = {{"", 0},
                    {"\xc0", 1},
                    {"\x80", 1},
                    {"\x81\xa7"
                     "channel\x07",
                     10},
                    {"\x82\xa7"
                     "channel\xa9squad:eng\xa5"
                     "after\xa1x",
                     27},
                    {"\x82\xa7"
                     "channel\xa7squad:*\xa5"
                     "after\x00",
                     24},
                    {"\xc1", 1}};
    for (size_t i = 0; i < sizeof payloads / sizeof payloads[0]; i++) {
        say(f, 1,
            (struct message){.kind = KIND_SUBSCRIBE,
                             .payload = {(const uint8_t *)payloads[i].bytes, payloads[i].size}});
        assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "invalid_request");
    }
    say(f, 1, (struct message){.kind = KIND_UNSUBSCRIBE});
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "invalid_request");
}

static void
a_payload_that_is_no_value_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    subscribe_well(f, 1, "squad:eng", LIVE_ONLY);
    say(f, 1,
        (struct message){.kind = KIND_PUBLISH,
                         .target = text_of("squad:eng"),
                         .payload = {(const uint8_t *)"\x01\x02", 2}});
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_INVALID, "invalid_request");
    assert_true(has_nothing(f, 1));
    say(f, 1, (struct message){.kind = KIND_PUBLISH, .target = text_of("squad:eng")});
    assert_int_equal(take_kind(f, 1, KIND_EVENT)->payload.size, 0);
}

static void
an_event_leaves_room_for_its_form(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    subscribe_well(f, 1, "squad:eng", LIVE_ONLY);
    static uint8_t payload[RECORD_SIZE_MAX];
    size_t size = RECORD_SIZE_MAX - 4096;
    payload[0] = 0xc6; /* bin 32 */
    payload[1] = 0;
    payload[2] = (uint8_t)((size - 5) >> 16);
    payload[3] = (uint8_t)((size - 5) >> 8);
    payload[4] = (uint8_t)(size - 5);
    say(f, 1,
        (struct message){
            .kind = KIND_PUBLISH, .target = text_of("squad:eng"), .payload = {payload, size}});
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_TOO_LARGE, "payload_too_large");
    size -= 256;
    payload[2] = (uint8_t)((size - 5) >> 16);
    payload[3] = (uint8_t)((size - 5) >> 8);
    payload[4] = (uint8_t)(size - 5);
    say(f, 1,
        (struct message){
            .kind = KIND_PUBLISH, .target = text_of("squad:eng"), .payload = {payload, size}});
    assert_int_equal(take_kind(f, 1, KIND_EVENT)->payload.size, size);
}

static void
only_the_broker_speaks_on_system_channels(void **state)
{
    struct fixture *f = *state;
    join(f, 1, "system:root", 0);
    greet(f, 1);
    const char *const channels[] = {"system:events", "system:root:mine"};
    for (size_t i = 0; i < 2; i++) {
        publish(f, 1, channels[i], 1, 0);
        assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_FORBIDDEN, "channel_reserved");
        bus_ask(f, 1, "bus_publish", 0, NO_TOKEN, "from", "system:root", "channel", channels[i],
                NULL);
        assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_FORBIDDEN, "channel_reserved");
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_event_says_what_was_published_and_nothing_of_the_token),
        TEST(an_event_carries_no_token_and_no_principal),
        TEST(nobody_is_answered_who_did_not_ask_for_it),
        TEST(numbers_grow_by_one_whoever_speaks),
        TEST(numbers_never_go_back_over_a_restart),
        TEST(numbers_go_on_when_a_channel_was_forgotten),
        TEST(one_copy_comes_however_many_subscriptions_match),
        TEST(patterns_hear_channels_that_come_later_and_that_were_there),
        TEST(who_joins_or_leaves_a_pattern_that_others_have_changes_nothing_for_them),
        TEST(every_subscriber_hears_in_the_order_of_the_publisher),
        TEST(a_session_that_ends_hears_no_more_until_it_subscribes_again),
        TEST(subscribing_twice_is_subscribing_once),
        TEST(kept_events_come_first_then_the_live_ones),
        TEST(a_number_that_was_not_reached_yet_means_only_live_events),
        TEST(a_channel_keeps_a_number_of_events_and_a_number_of_bytes),
        TEST(the_history_that_was_used_least_recently_gives_way),
        TEST(without_a_history_only_live_events_come),
        TEST(names_that_are_no_channels_are_refused),
        TEST(a_subscribe_of_another_form_is_refused),
        TEST(a_payload_that_is_no_value_is_refused),
        TEST(an_event_leaves_room_for_its_form),
        TEST(only_the_broker_speaks_on_system_channels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
