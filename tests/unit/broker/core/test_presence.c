/* SPDX-License-Identifier: Apache-2.0 */
/* Who is there, who was, and what system:events tells. */
#include "fixture_bus.h"

#include <stdio.h>

#include "broker/core/presence.h"

/* The next system event; its one entry is checked. */
static void
take_system_event(struct fixture *f, peer_number peer, const char *type, const char *key,
                  const char *value)
{
    struct value payload;
    const struct message *event = take_kind(f, peer, KIND_EVENT);
    assert_true(text_equal_string(event->target, "system:events"));
    assert_true(text_equal_string(event->source, "service:bus"));
    assert_true(text_equal_string(event->type, type));
    assert_true(value_parse(event->payload, &payload));
    assert_true(text_equal_string(text_in(&payload, key), value));
}

static struct value
peers(struct fixture *f, peer_number peer, const char *pattern, const char *limit, uint64_t *online)
{
    bus_ask(f, peer, "bus_peers", 0, NO_TOKEN, "pattern", pattern, "limit", limit, NULL);
    struct value reply = bus_take_reply(f, peer);
    *online = uint_in(&reply, "online");
    return list_in(&reply, "peers");
}

static void
identities_come_with_their_first_session_and_leave_with_their_last(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "user:operator");
    subscribe_well(f, 1, "system:events", LIVE_ONLY);
    join(f, 2, "agent:kasra", 0);
    assert_true(has_nothing(f, 1)); /* it has not said hello */
    greet(f, 2);
    take_system_event(f, 1, "peer.joined", "identity", "agent:kasra");
    join_greeted(f, 3, "agent:kasra");
    greet(f, 2);
    say(f, 2, (struct message){.kind = KIND_BYE});
    assert_true(has_nothing(f, 1));
    core_disconnected(f->core, 3, f->now);
    take_system_event(f, 1, "peer.left", "identity", "agent:kasra");
    core_disconnected(f->core, 2, f->now);
    assert_true(has_nothing(f, 1));
}

static void
who_was_cut_has_left_too(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "user:operator");
    subscribe_well(f, 1, "system:events", LIVE_ONLY);
    join_greeted(f, 2, "agent:kasra");
    take_system_event(f, 1, "peer.joined", "identity", "agent:kasra");
    core_misbehaved(f->core, 2, "several_frames", f->now);
    take_system_event(f, 1, "peer.left", "identity", "agent:kasra");
}

static void
services_and_keys_are_told_of(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "user:operator");
    join_service(f, 2, "identity", true, 0);
    subscribe_well(f, 1, "system:*", LIVE_ONLY);
    join_service(f, 3, "memory", false, 0);
    take_system_event(f, 1, "peer.joined", "identity", "service:memory");
    take_system_event(f, 1, "service.ready", "service", "memory");
    join_service(f, 4, "memory", false, 0);
    assert_true(has_nothing(f, 1));
    core_disconnected(f->core, 3, f->now);
    assert_true(has_nothing(f, 1));
    core_disconnected(f->core, 4, f->now);
    take_system_event(f, 1, "service.gone", "service", "memory");
    take_system_event(f, 1, "peer.left", "identity", "service:memory");

    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "identity", "agent:kasra");
    pack_pair_string(&payload, "curve_public_key", "key");
    const char *const changes[][2] = {{"key_add", "key.added"}, {"key_revoke", "key.revoked"}};
    for (size_t i = 0; i < 2; i++) {
        say(f, 2,
            (struct message){.kind = KIND_CONTROL,
                             .type = text_of(changes[i][0]),
                             .payload = buffer_bytes(&payload)});
        assert_int_equal(take_kind(f, 2, KIND_REPLY)->status, STATUS_OK);
        take_system_event(f, 1, changes[i][1], "identity", "agent:kasra");
    }
    buffer_clear(&payload);
    core_revoked(f->core, text_of("agent:river"), f->now);
    take_system_event(f, 1, "key.revoked", "identity", "agent:river");
}

static void
system_events_are_kept_and_read_back(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    subscribe_well(f, 2, "system:events", 0);
    take_system_event(f, 2, "peer.joined", "identity", "agent:kasra");
    take_system_event(f, 2, "peer.joined", "identity", "agent:river");
    assert_true(has_nothing(f, 2));
}

static void
those_who_are_there_come_first_then_those_who_left_last(void **state)
{
    struct fixture *f = *state;
    uint64_t online = 0;
    join_greeted(f, 1, "user:operator");
    join_greeted(f, 2, "agent:kasra");
    join_greeted(f, 3, "agent:kasra");
    join_greeted(f, 4, "agent:first");
    join_greeted(f, 5, "agent:second");
    subscribe_well(f, 2, "squad:eng", LIVE_ONLY);
    subscribe_well(f, 3, "squad:*", LIVE_ONLY);
    ask(f, 2, "memory", 0, 60000);
    core_disconnected(f->core, 4, f->now);
    f->now.wall_us += 1000000;
    f->now.monotonic_us += 1000000;
    core_disconnected(f->core, 5, f->now);
    f->now.wall_us += 500000;
    f->now.monotonic_us += 500000;
    say(f, 3, (struct message){.kind = KIND_HEARTBEAT});
    f->now.wall_us += 250000;
    f->now.monotonic_us += 250000;

    struct value list = peers(f, 1, "agent:*", "#10", &online);
    assert_int_equal(online, 2);
    assert_int_equal(list.as.count, 3);
    struct value entry = entry_of(&list, 0), since;
    bool is_online = false;
    assert_true(text_equal_string(text_in(&entry, "identity"), "agent:kasra"));
    assert_true(value_find_bool(&entry, "online", &is_online) && is_online);
    assert_int_equal(uint_in(&entry, "sessions"), 2);
    assert_int_equal(uint_in(&entry, "subscriptions"), 2);
    assert_int_equal(uint_in(&entry, "in_flight"), 1);
    assert_true(text_equal_string(text_in(&entry, "since"), "2026-01-01T00:00:00.000000Z"));
    assert_true(text_equal_string(text_in(&entry, "last_seen"), "2026-01-01T00:00:01.500000Z"));
    entry = entry_of(&list, 1);
    assert_true(text_equal_string(text_in(&entry, "identity"), "agent:second"));
    assert_true(value_find_bool(&entry, "online", &is_online) && !is_online);
    assert_true(value_find(&entry, "since", &since) && since.type == VALUE_NIL);
    assert_true(text_equal_string(text_in(&entry, "last_seen"), "2026-01-01T00:00:01.000000Z"));
    entry = entry_of(&list, 2);
    assert_true(text_equal_string(text_in(&entry, "identity"), "agent:first"));
    assert_int_equal(peers(f, 1, "*", "#2", &online).as.count, 2);
}

static void
of_those_who_left_the_last_1024_are_known(void **state)
{
    struct fixture *f = *state;
    uint64_t online = 0;
    static char names[1100][32];
    join_greeted(f, 1, "user:operator");
    for (int i = 0; i < 1100; i++) {
        snprintf(names[i], sizeof names[i], "agent:%d", i);
        join_greeted(f, 2, names[i]);
        core_disconnected(f->core, 2, f->now);
        forget_frames(f, 2);
    }
    assert_int_equal(peers(f, 1, "agent:*", "#1000", &online).as.count, 1000);
    assert_int_equal(online, 1);
    assert_int_equal(peers(f, 1, "agent:75", "#1", &online).as.count, 0);
    assert_int_equal(peers(f, 1, "agent:76", "#1", &online).as.count, 1);
    join_greeted(f, 2, "agent:1099"); /* comes back */
    assert_int_equal(peers(f, 1, "agent:1099", "#10", &online).as.count, 1);
    assert_int_equal(online, 2);
}

static void
who_is_there_is_for_those_who_may_hear_of_it(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, true);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:subscribe", "system:events");
    join_greeted(f, 1, "agent:kasra");
    bus_ask(f, 1, "bus_peers", 0, NO_TOKEN, NULL);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_CAPABILITY_MISSING, "missing_capability");
    bus_ask(f, 1, "bus_peers", 0, buffer_text(&token), NULL);
    bus_take_reply(f, 1);
    buffer_clear(&token);
}

static void
listing_without_an_end_is_slowed_down(void **state)
{
    struct fixture *f = *state;
    char pattern[256];
    enum status status = STATUS_OK;
    memset(pattern, 'a', sizeof pattern - 1);
    pattern[255] = '\0';
    join_greeted(f, 1, "agent:eve");
    static char names[1024][32];
    for (int i = 0; i < 1024; i++) {
        snprintf(names[i], sizeof names[i], "agent:%d", i);
        join_greeted(f, 2, names[i]);
        core_disconnected(f->core, 2, f->now);
        forget_frames(f, 2);
    }
    int listed = 0;
    for (; listed < 1000 && status == STATUS_OK; listed++) {
        bus_ask(f, 1, "bus_peers", 0, NO_TOKEN, "pattern", pattern, NULL);
        status = (enum status)take_kind(f, 1, KIND_REPLY)->status;
    }
    assert_int_equal(status, STATUS_RATE_LIMITED);
    assert_true(listed > 5);
}

static void
full_storage_is_told_once_until_it_is_well_again(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "user:operator");
    subscribe_well(f, 1, "system:events", LIVE_ONLY);
    event_storage(f->core, false);
    assert_true(has_nothing(f, 1));
    event_storage(f->core, true);
    event_storage(f->core, true);
    take_system_event(f, 1, "storage.full", "identity", "service:bus");
    assert_true(has_nothing(f, 1));
    event_storage(f->core, false);
    take_system_event(f, 1, "storage.ok", "identity", "service:bus");
}

static void
without_history_and_listeners_nothing_is_said(void **state)
{
    struct fixture *f = *state;
    f->options.channel_history_max = 0;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    core_disconnected(f->core, 1, f->now);
    assert_true(count_of(f, "sos_bus_published_total ") == 0);
    join_greeted(f, 2, "agent:kasra");
    subscribe_well(f, 2, "*", LIVE_ONLY);
    join_greeted(f, 3, "agent:river");
    take_system_event(f, 2, "peer.joined", "identity", "agent:river");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(identities_come_with_their_first_session_and_leave_with_their_last),
        TEST(who_was_cut_has_left_too),
        TEST(services_and_keys_are_told_of),
        TEST(system_events_are_kept_and_read_back),
        TEST(those_who_are_there_come_first_then_those_who_left_last),
        TEST(of_those_who_left_the_last_1024_are_known),
        TEST(who_is_there_is_for_those_who_may_hear_of_it),
        TEST(listing_without_an_end_is_slowed_down),
        TEST(full_storage_is_told_once_until_it_is_well_again),
        TEST(without_history_and_listeners_nothing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
