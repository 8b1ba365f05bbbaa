/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "fixture_bus.h"

#define SQUAD "squad:engineering"

struct fixture {
    struct bus *bus;
    struct sos *sos;
};

static int
setup(void **state)
{
    static struct fixture fixture;
    fixture.bus = bus_new();
    fixture.sos = bus_connect(fixture.bus, "agent:kasra", NULL);
    *state = &fixture;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    sos_close(&f->sos);
    bus_destroy(&f->bus);
    return 0;
}

static struct sos_subscription *
subscribe_with(struct fixture *f, const struct sos_subscribe_options *options)
{
    struct sos_subscription *subscription = NULL;
    struct sos_error error;
    if (sos_subscribe_with(f->sos, options, &subscription, &error) != SOS_OK)
        fail_msg("%s", error.message);
    return subscription;
}

static struct sos_subscription *
subscribe(struct fixture *f, const char *channel)
{
    struct sos_subscribe_options options = {.channel = channel};
    return subscribe_with(f, &options);
}

static void
expect_event(struct sos_subscription *subscription, uint64_t seq, uint64_t missed)
{
    struct sos_event *event = NULL;
    struct sos_error error;
    int status = sos_next_event(subscription, 10000, &event, &error);
    if (status != SOS_OK)
        fail_msg("event %llu: %d %s", (unsigned long long)seq, status, error.message);
    assert_int_equal(sos_event_seq(event), seq);
    assert_int_equal(sos_event_missed(event), missed);
    sos_event_free(&event);
}

static void
expect_no_event(struct sos_subscription *subscription)
{
    struct sos_event *event = NULL;
    assert_int_equal(sos_next_event(subscription, 100, &event, NULL), SOS_NOTHING);
}

static void
publish(struct fixture *f, const char *channel, int times)
{
    for (int i = 0; i < times; i++)
        bus_publish(f->bus, channel, "x");
}

static void
an_event_reaches_who_is_subscribed(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *subscription = subscribe(f, SQUAD);
    struct sos_event *event = NULL;
    struct sos_map *map = sos_map_new();
    uint64_t seq = 0;
    sos_map_put_text(map, "text", "hello");
    assert_int_equal(sos_publish(f->sos, SQUAD, "news", sos_map_payload(map), &seq, NULL), SOS_OK);
    sos_map_free(&map);

    assert_int_equal(sos_next_event(subscription, 5000, &event, NULL), SOS_OK);

    assert_int_equal(seq, 1);
    assert_int_equal(sos_event_seq(event), 1);
    assert_string_equal(sos_event_channel(event), SQUAD);
    assert_string_equal(sos_event_from(event), "agent:kasra");
    assert_string_equal(sos_event_type(event), "news");
    assert_string_equal(sos_map_text(sos_event_map(event), "text"), "hello");
    assert_false(sos_id_is_none(sos_event_id(event)));
    sos_event_free(&event);
    expect_no_event(subscription);
    sos_unsubscribe(&subscription);
    assert_null(subscription);
}

static void
history_comes_before_what_is_live(void **state)
{
    struct fixture *f = *state;
    publish(f, SQUAD, 5);
    struct sos_subscribe_options options = {.channel = SQUAD, .history = true, .after = 2};
    struct sos_subscription *subscription = subscribe_with(f, &options);
    publish(f, SQUAD, 1);
    for (uint64_t seq = 3; seq <= 6; seq++)
        expect_event(subscription, seq, 0);
    expect_no_event(subscription);
    sos_unsubscribe(&subscription);
}

static void
two_subscriptions_and_a_pattern_get_each_event_once(void **state)
{
    struct fixture *f = *state;
    publish(f, SQUAD, 2);
    struct sos_subscription *pattern = subscribe(f, "squad:*");
    struct sos_subscription *live = subscribe(f, SQUAD);
    struct sos_subscribe_options options = {.channel = SQUAD, .history = true};
    struct sos_subscription *reader = subscribe_with(f, &options);
    publish(f, SQUAD, 1);

    expect_event(reader, 1, 0);
    expect_event(reader, 2, 0);
    expect_event(reader, 3, 0);
    expect_event(live, 3, 0);
    expect_event(pattern, 3, 0); /* what the reader reads back is old to it */
    expect_no_event(reader);
    expect_no_event(live);
    expect_no_event(pattern);

    sos_unsubscribe(&live);
    publish(f, SQUAD, 1);
    expect_event(reader, 4, 0);
    sos_unsubscribe(&reader);
    sos_unsubscribe(&pattern);
    bus_await(f->bus, &f->bus->unsubscribes, 2);
}

static void
who_leaves_takes_nothing_from_who_stays(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *one = subscribe(f, SQUAD);
    struct sos_subscription *two = subscribe(f, SQUAD);
    sos_unsubscribe(&one);
    assert_int_equal(sos_flush(f->sos, 5000, NULL), SOS_OK);
    publish(f, SQUAD, 1);
    expect_event(two, 1, 0);
    sos_unsubscribe(&two);
    bus_await(f->bus, &f->bus->unsubscribes, 1);
}

static void
a_broken_connection_loses_no_event_that_is_kept(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *subscription = subscribe(f, SQUAD);
    publish(f, SQUAD, 2);
    expect_event(subscription, 1, 0);
    size_t subscribes = bus_get(f->bus, &f->bus->subscribes);

    bus_restart(f->bus);
    publish(f, SQUAD, 3); /* before or after this one is back */

    for (uint64_t seq = 2; seq <= 5; seq++)
        expect_event(subscription, seq, 0);
    expect_no_event(subscription);
    assert_int_equal(bus_get(f->bus, &f->bus->subscribes), subscribes + 1);
    sos_unsubscribe(&subscription);
}

static void
what_no_history_has_is_told_as_missed(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *subscription = subscribe(f, SQUAD);
    publish(f, SQUAD, 1);
    expect_event(subscription, 1, 0);
    bus_set(f->bus, &f->bus->skip_events, 2);
    publish(f, SQUAD, 2);
    bus_forget_history(f->bus);
    publish(f, SQUAD, 1);
    expect_event(subscription, 4, 2);
    expect_no_event(subscription);
    sos_unsubscribe(&subscription);
}

static void
a_gap_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *subscription = subscribe(f, SQUAD);
    publish(f, SQUAD, 1);
    bus_set(f->bus, &f->bus->skip_events, 2);
    publish(f, SQUAD, 3);
    for (uint64_t seq = 1; seq <= 4; seq++)
        expect_event(subscription, seq, 0);
    sos_unsubscribe(&subscription);
}

static void
a_full_queue_reads_on_when_there_is_room(void **state)
{
    struct fixture *f = *state;
    struct sos_subscribe_options options = {.channel = SQUAD, .queue_max = 4};
    struct sos_subscription *subscription = subscribe_with(f, &options);
    publish(f, SQUAD, 11);
    for (uint64_t seq = 1; seq <= 11; seq++)
        expect_event(subscription, seq, 0);
    expect_no_event(subscription);
    sos_unsubscribe(&subscription);
}

static void
a_pattern_tells_what_it_left_out(void **state)
{
    struct fixture *f = *state;
    struct sos_subscribe_options options = {.channel = "squad:*", .queue_max = 2};
    struct sos_subscription *subscription = subscribe_with(f, &options);
    publish(f, SQUAD, 5);
    /* Its answer comes behind the five: they have met the full queue by then. */
    struct sos_subscription *later = subscribe(f, "guild:later");
    expect_event(subscription, 1, 0);
    expect_event(subscription, 2, 0);
    publish(f, SQUAD, 1);
    expect_event(subscription, 6, 3);
    sos_unsubscribe(&later);
    sos_unsubscribe(&subscription);
}

static void
patterns_go_on_behind_a_loss_too(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *subscription = subscribe(f, "squad:*");
    publish(f, SQUAD, 2);
    publish(f, "squad:other", 1);
    expect_event(subscription, 1, 0);
    expect_event(subscription, 2, 0);
    expect_event(subscription, 1, 0);

    bus_restart(f->bus);
    publish(f, SQUAD, 2);

    expect_event(subscription, 3, 0);
    expect_event(subscription, 4, 0);
    bus_await(f->bus, &f->bus->unsubscribes, 2); /* the names are let go again */
    publish(f, "squad:other", 1);
    expect_event(subscription, 2, 0);
    expect_no_event(subscription);
    sos_unsubscribe(&subscription);
}

static void
a_leap_of_a_new_broker_is_no_loss(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *subscription = subscribe(f, SQUAD);
    struct sos_subscription *pattern = subscribe(f, "guild:*");
    publish(f, SQUAD, 1);
    publish(f, "guild:one", 1);
    expect_event(subscription, 1, 0);
    expect_event(pattern, 1, 0);
    bus_forget_history(f->bus);
    bus_set(f->bus, &f->bus->seq_base, 1000);

    bus_restart(f->bus);
    publish(f, SQUAD, 2);
    publish(f, "guild:one", 2);

    expect_event(subscription, 1001, 0);
    expect_event(subscription, 1002, 0);
    expect_event(pattern, 1001, 0);
    expect_event(pattern, 1002, 0);
    sos_unsubscribe(&subscription);
    sos_unsubscribe(&pattern);
}

static void
a_refused_subscription_says_why(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *subscription = NULL;
    struct sos_error error;
    bus_set_flag(f->bus, &f->bus->refuse_subscribe, true);
    assert_int_equal(sos_subscribe(f->sos, SQUAD, &subscription, &error), SOS_FORBIDDEN);
    assert_non_null(strstr(error.message, SQUAD));
    assert_null(subscription);
    struct sos_subscribe_options options = {.channel = "squad:*", .history = true};
    assert_int_equal(sos_subscribe_with(f->sos, &options, &subscription, &error), SOS_INVALID);
    assert_string_equal(error.field, "history");
    options.channel = "";
    assert_int_equal(sos_subscribe_with(f->sos, &options, &subscription, &error), SOS_INVALID);
}

static void
a_right_that_ended_is_told_to_the_reader(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *subscription = subscribe(f, SQUAD);
    struct sos_event *event = NULL;
    struct sos_error error;
    bus_set_flag(f->bus, &f->bus->refuse_subscribe, true);
    bus_restart(f->bus);
    assert_int_equal(sos_next_event(subscription, 15000, &event, &error), SOS_FORBIDDEN);
    sos_unsubscribe(&subscription);
}

struct heard {
    struct sos_subscription *subscription;
    uint64_t last_seq;
    bool leave;
    int count;
};

static void
hear(void *context, struct sos_event *event)
{
    struct heard *heard = context;
    heard->count++;
    heard->last_seq = sos_event_seq(event);
    sos_event_free(&event);
    if (heard->leave)
        sos_unsubscribe(&heard->subscription);
}

static void
events_come_by_callback_in_order(void **state)
{
    struct fixture *f = *state;
    struct heard heard = {0};
    struct sos_event *event = NULL;
    struct sos_subscribe_options options = {.channel = SQUAD, .on_event = hear, .context = &heard};
    heard.subscription = subscribe_with(f, &options);
    assert_int_equal(sos_next_event(heard.subscription, 0, &event, NULL), SOS_CONFLICT);
    publish(f, SQUAD, 5);
    while (heard.count < 5)
        assert_int_equal(sos_poll(f->sos, 5000, NULL), SOS_OK);
    assert_int_equal(heard.last_seq, 5);

    heard.leave = true;
    publish(f, SQUAD, 3);
    while (heard.subscription)
        assert_int_equal(sos_poll(f->sos, 5000, NULL), SOS_OK);
    assert_int_equal(heard.count, 6);
    assert_int_equal(sos_poll(f->sos, 50, NULL), SOS_NOTHING);
}

static void
an_event_that_need_not_be_confirmed_comes_too(void **state)
{
    struct fixture *f = *state;
    struct sos_subscription *subscription = subscribe(f, SQUAD);
    struct sos_publication publication = {.channel = SQUAD};
    for (int i = 0; i < 100; i++)
        assert_int_equal(sos_publish_async(f->sos, &publication, NULL), SOS_OK);
    assert_int_equal(sos_flush(f->sos, 5000, NULL), SOS_OK);
    for (uint64_t seq = 1; seq <= 100; seq++)
        expect_event(subscription, seq, 0);
    publication.channel = NULL;
    assert_int_equal(sos_publish_async(f->sos, &publication, NULL), SOS_INVALID);
    sos_unsubscribe(&subscription);
}

static void
history_is_read_at_once(void **state)
{
    struct fixture *f = *state;
    struct sos_history *history = NULL;
    publish(f, SQUAD, 3);
    assert_int_equal(sos_history_read(f->sos, SQUAD, 0, 10, &history, NULL), SOS_OK);
    assert_int_equal(sos_history_count(history), 3);
    struct sos_event *event = sos_history_at(history, 2);
    assert_int_equal(sos_event_seq(event), 3);
    assert_string_equal(sos_event_from(event), "agent:speaker");
    assert_string_equal(sos_map_text(sos_event_map(event), "text"), "x");
    assert_true(sos_event_sent_us(event) > 0);
    assert_null(sos_history_at(history, 3));
    sos_history_free(&history);
    assert_null(history);
}

static void
a_subscription_may_be_ended_after_its_client(void **state)
{
    struct fixture *f = *state;
    struct sos *other = bus_connect(f->bus, "agent:river", NULL);
    struct sos_subscription *subscription = NULL;
    assert_int_equal(sos_subscribe(other, SQUAD, &subscription, NULL), SOS_OK);
    publish(f, SQUAD, 1);
    sos_close(&other);
    sos_unsubscribe(&subscription);
    assert_null(subscription);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_event_reaches_who_is_subscribed),
        TEST(history_comes_before_what_is_live),
        TEST(two_subscriptions_and_a_pattern_get_each_event_once),
        TEST(who_leaves_takes_nothing_from_who_stays),
        TEST(a_broken_connection_loses_no_event_that_is_kept),
        TEST(what_no_history_has_is_told_as_missed),
        TEST(a_gap_is_read_back),
        TEST(a_full_queue_reads_on_when_there_is_room),
        TEST(a_pattern_tells_what_it_left_out),
        TEST(patterns_go_on_behind_a_loss_too),
        TEST(a_leap_of_a_new_broker_is_no_loss),
        TEST(a_refused_subscription_says_why),
        TEST(a_right_that_ended_is_told_to_the_reader),
        TEST(events_come_by_callback_in_order),
        TEST(an_event_that_need_not_be_confirmed_comes_too),
        TEST(history_is_read_at_once),
        TEST(a_subscription_may_be_ended_after_its_client),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
