/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribers that do not keep up. */
#include "fixture_bus.h"

/* What waits for a choked peer before its events are dropped is the core's to choose: an event of
 * this number is certain to be among the dropped ones. */
static void
choke_events(struct fixture *f, peer_number peer)
{
    choke(f, peer);
    assert_true(has_nothing(f, peer));
}

/* It takes records again, and was given what had waited. */
static void
unchoke(struct fixture *f, peer_number peer)
{
    f->outboxes[peer].full = false;
    advance_ms(f, 3);
}

static uint64_t
take_dropped(struct fixture *f, peer_number peer)
{
    struct value payload;
    const struct message *notice = take_kind(f, peer, KIND_CONTROL);
    assert_true(text_equal_string(notice->type, "events_dropped"));
    assert_true(value_parse(notice->payload, &payload));
    return uint_in(&payload, "dropped");
}

static void
a_slow_subscriber_loses_events_is_told_and_slows_nobody(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:slow");
    join_greeted(f, 3, "agent:quick");
    subscribe_well(f, 2, "squad:*", LIVE_ONLY);
    subscribe_well(f, 3, "squad:eng", LIVE_ONLY);
    choke_events(f, 2);
    for (uint64_t i = 0; i < 100; i++)
        publish(f, 1, "squad:eng", i, MESSAGE_CONFIRM);
    for (uint64_t i = 0; i < 100; i++) {
        take_event(f, 3, "squad:eng", i);
        take_kind(f, 1, KIND_ACK);
    }
    assert_true(count_of(f, "sos_bus_events_dropped_total ") == 100);

    unchoke(f, 2);
    assert_int_equal(take_dropped(f, 2), 100);
    publish(f, 1, "squad:eng", 100, 0);
    take_event(f, 2, "squad:eng", 100);
    assert_true(has_nothing(f, 2));
}

static void
it_is_told_before_anything_newer_comes_and_each_time_anew(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:slow");
    subscribe_well(f, 2, "squad:eng", LIVE_ONLY);
    for (uint64_t turn = 1; turn < 4; turn++) {
        choke_events(f, 2);
        for (uint64_t i = 0; i < turn; i++)
            publish(f, 1, "squad:eng", i, 0);
        unchoke(f, 2);
        publish(f, 1, "squad:eng", 100, 0);
        assert_int_equal(take_dropped(f, 2), turn);
        take_event(f, 2, "squad:eng", 100);
    }
}

static void
who_is_slow_is_told_on_system_events_but_not_by_the_thousand(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:slow");
    subscribe_well(f, 2, "squad:eng", LIVE_ONLY);
    subscribe_well(f, 1, "system:events", LIVE_ONLY);
    choke_events(f, 2);
    publish(f, 1, "squad:eng", 1, 0);
    publish(f, 1, "squad:eng", 2, 0);
    const struct message *event = take_kind(f, 1, KIND_EVENT);
    struct value payload;
    assert_true(text_equal_string(event->type, "subscriber.slow"));
    assert_true(text_equal_string(event->source, "service:bus"));
    assert_true(value_parse(event->payload, &payload));
    assert_true(text_equal_string(text_in(&payload, "identity"), "agent:slow"));
    assert_true(has_nothing(f, 1));
    size_t told = 1;
    for (int i = 0; i < 30; i++) {
        unchoke(f, 2);
        choke(f, 2);
        publish(f, 1, "squad:eng", 1, 0);
        for (; !has_nothing(f, 1); told++)
            assert_true(text_equal_string(take_kind(f, 1, KIND_EVENT)->type, "subscriber.slow"));
    }
    assert_int_equal(told, 10);
}

static void
a_slow_subscriber_of_system_events_does_not_echo(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:slow");
    subscribe_well(f, 1, "system:*", LIVE_ONLY);
    choke_events(f, 1);
    join_greeted(f, 2, "agent:kasra");
    double dropped = count_of(f, "sos_bus_events_dropped_total ");
    assert_true(dropped == 2); /* peer.joined, and that it is slow */
    unchoke(f, 1);
    assert_int_equal(take_dropped(f, 1), 2);
    assert_true(has_nothing(f, 1));
}

static void
reading_the_history_waits_for_room_and_leaves_nothing_out(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:slow");
    for (uint64_t i = 0; i < 20; i++)
        publish(f, 1, "squad:eng", i, 0);
    choke_events(f, 2);
    subscribe(f, 2, "squad:eng", 0, NO_TOKEN); /* its ack is lost, its events are not */
    for (uint64_t i = 20; i < 40; i++)
        publish(f, 1, "squad:eng", i, 0);
    assert_true(has_nothing(f, 2));
    unchoke(f, 2);
    for (uint64_t i = 0; i < 40; i++)
        take_event(f, 2, "squad:eng", i);
    publish(f, 1, "squad:eng", 40, 0);
    take_event(f, 2, "squad:eng", 40);
    assert_true(has_nothing(f, 2));
    assert_true(count_of(f, "sos_bus_events_dropped_total ") == 0);
}

static void
what_left_the_history_before_it_was_read_is_counted(void **state)
{
    struct fixture *f = *state;
    f->options.channel_history_max = 10;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:slow");
    for (uint64_t i = 0; i < 10; i++)
        publish(f, 1, "squad:eng", i, 0);
    choke_events(f, 2);
    subscribe(f, 2, "squad:eng", 0, NO_TOKEN);
    for (uint64_t i = 10; i < 25; i++)
        publish(f, 1, "squad:eng", i, 0);
    unchoke(f, 2);
    for (uint64_t i = 15; i < 25; i++)
        take_event(f, 2, "squad:eng", i);
    assert_int_equal(take_dropped(f, 2), 15);
    assert_true(has_nothing(f, 2));
}

static void
who_reads_a_history_gets_live_events_of_it_once_also_by_a_pattern(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:slow");
    subscribe_well(f, 2, "squad:*", LIVE_ONLY);
    publish(f, 1, "squad:eng", 0, 0);
    take_event(f, 2, "squad:eng", 0);
    choke_events(f, 2);
    subscribe(f, 2, "squad:eng", 0, NO_TOKEN);
    publish(f, 1, "squad:eng", 1, 0);
    publish(f, 1, "squad:ops", 2, 0); /* there is no room for this one */
    unchoke(f, 2);
    assert_int_equal(take_dropped(f, 2), 1);
    take_event(f, 2, "squad:eng", 0); /* asked for again */
    take_event(f, 2, "squad:eng", 1);
    assert_true(has_nothing(f, 2));
}

static void
a_slow_subscriber_may_leave_at_any_time(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    for (peer_number peer = 2; peer < 5; peer++) {
        join_greeted(f, peer, "agent:slow");
        subscribe_well(f, peer, "squad:eng", LIVE_ONLY);
        choke_events(f, peer);
    }
    publish(f, 1, "squad:eng", 1, 0);
    core_disconnected(f->core, 2, f->now);
    say(f, 3, (struct message){.kind = KIND_BYE});
    publish(f, 1, "squad:eng", 2, 0);
    f->outboxes[4].gone = true;
    advance_ms(f, 5);
    publish(f, 1, "squad:eng", 3, 0);
    advance_ms(f, 5);
    assert_int_equal(core_peer_count(f->core), 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_slow_subscriber_loses_events_is_told_and_slows_nobody),
        TEST(it_is_told_before_anything_newer_comes_and_each_time_anew),
        TEST(who_is_slow_is_told_on_system_events_but_not_by_the_thousand),
        TEST(a_slow_subscriber_of_system_events_does_not_echo),
        TEST(reading_the_history_waits_for_room_and_leaves_nothing_out),
        TEST(what_left_the_history_before_it_was_read_is_counted),
        TEST(who_reads_a_history_gets_live_events_of_it_once_also_by_a_pattern),
        TEST(a_slow_subscriber_may_leave_at_any_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
