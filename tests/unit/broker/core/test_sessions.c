/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

static void
hello_is_answered_with_version_epoch_and_limits(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    struct value welcome;
    uint64_t epoch = 0, version = 0, requests_max = 0, credit = 0;
    assert_true(value_parse(f->received.payload, &welcome));
    assert_true(value_find_uint(&welcome, "epoch", &epoch));
    assert_true(value_find_uint(&welcome, "version", &version));
    assert_true(value_find_uint(&welcome, "requests_max", &requests_max));
    assert_true(value_find_uint(&welcome, "stream_credit", &credit));
    assert_int_equal(epoch, 42);
    assert_int_equal(version, 1);
    assert_int_equal(requests_max, 4096);
    assert_int_equal(credit, 32);
    assert_true(text_equal_string(f->received.target, "agent:kasra"));
}

static void
say_hello(struct fixture *f, peer_number peer, uint64_t min, uint64_t max)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_uint(&payload, "version_min", min);
    pack_pair_uint(&payload, "version_max", max);
    say(f, peer, (struct message){.kind = KIND_HELLO, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

static void
a_hello_without_a_common_version_is_refused(void **state)
{
    struct fixture *f = *state;
    join(f, 1, "agent:kasra", 0);
    say_hello(f, 1, 2, 3);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_VERSION, "version_unsupported");
    ask(f, 1, "memory", 0, 0);
    assert_true(text_equal_string(take_kind(f, 1, KIND_CONTROL)->type, "hello_required"));
}

static void
anything_before_hello_is_answered_hello_required_and_ignored(void **state)
{
    struct fixture *f = *state;
    join_service(f, 2, "memory", true, 0);
    join(f, 1, "agent:kasra", 0);
    ask(f, 1, "memory", 0, 0);
    assert_true(text_equal_string(take_kind(f, 1, KIND_CONTROL)->type, "hello_required"));
    ask(f, 1, "memory", 0, 0);
    assert_true(has_nothing(f, 1)); /* said once is enough for now */
    assert_true(has_nothing(f, 2));
    advance_ms(f, 100);
    ask(f, 1, "memory", 0, 0);
    take_kind(f, 1, KIND_CONTROL);
}

static void
a_second_hello_drops_what_the_first_session_had_pending(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    struct uuid id = ask(f, 1, "memory", 0, 0);
    take_kind(f, 2, KIND_REQUEST);
    greet(f, 1);
    assert_true(uuid_equal(&take_kind(f, 2, KIND_CANCEL)->correlation, &id));
    answer(f, 2, &id, "late");
    assert_true(has_nothing(f, 1));
}

static void
a_stolen_source_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:mallory");
    join_service(f, 2, "memory", true, 0);
    say(f, 1,
        (struct message){.kind = KIND_REQUEST,
                         .source = text_of("agent:kasra"),
                         .target = text_of("service:memory")});
    const struct message *error = take_kind(f, 1, KIND_ERROR);
    assert_true(uuid_equal(&error->correlation, &f->last_id));
    assert_refused(error, STATUS_FORBIDDEN, "source_forged");
    assert_true(has_nothing(f, 2));
}

static void
a_principal_is_only_taken_from_who_may_act_for_others(void **state)
{
    struct fixture *f = *state;
    join_service(f, 2, "memory", true, 0);
    join_greeted(f, 1, "agent:mallory");
    join(f, 3, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 3);
    struct message request = {.kind = KIND_REQUEST,
                              .target = text_of("service:memory"),
                              .principal = text_of("agent:kasra")};
    say(f, 1, request);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_FORBIDDEN, "principal_not_allowed");
    assert_true(has_nothing(f, 2));
    say(f, 3, request);
    assert_true(text_equal_string(take_kind(f, 2, KIND_REQUEST)->principal, "agent:kasra"));
}

static void
kinds_that_are_the_brokers_to_say_are_answered_1010(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    const enum kind kinds[] = {KIND_DELIVER, KIND_EVENT};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        say(f, 1, (struct message){.kind = kinds[i]});
        assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_NOT_IMPLEMENTED, "not_implemented");
    }
}

static void
a_bad_record_in_a_frame_is_refused_alone(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    struct message request = {.kind = KIND_REQUEST, .target = text_of("service:memory")};
    buffer_reset(&f->frame);
    struct uuid first = add_record(f, 1, request);
    size_t bad = f->frame.size;
    add_record(f, 1, request);
    f->frame.data[bad + 6] = 0xc1; /* its header is no array any more */
    struct uuid third = add_record(f, 1, request);
    request.source = text_of("nobody");
    struct uuid fourth = add_record(f, 1, request);
    deliver(f, 1);

    assert_true(uuid_equal(&take_kind(f, 2, KIND_REQUEST)->id, &first));
    assert_true(uuid_equal(&take_kind(f, 2, KIND_REQUEST)->id, &third));
    assert_true(has_nothing(f, 2));
    assert_int_equal(take_kind(f, 1, KIND_ERROR)->status, STATUS_INVALID);
    assert_true(uuid_is_nil(&f->received.correlation));
    assert_int_equal(take_kind(f, 1, KIND_ERROR)->status, STATUS_INVALID);
    assert_true(uuid_equal(&f->received.correlation, &fourth)); /* this far it could be read */
    assert_false(was_cut(f, 1));
}

static void
a_broken_length_cuts_the_peer_after_what_came_before(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    buffer_reset(&f->frame);
    add_record(f, 1, (struct message){.kind = KIND_REQUEST, .target = text_of("service:memory")});
    size_t bad = f->frame.size;
    add_record(f, 1, (struct message){.kind = KIND_REQUEST, .target = text_of("service:memory")});
    f->frame.data[bad] = 0x40; /* a gigabyte */
    deliver(f, 1);

    take_kind(f, 2, KIND_REQUEST);
    take_kind(f, 2, KIND_CANCEL);
    assert_true(has_nothing(f, 2));
    assert_true(was_cut(f, 1));
    assert_int_equal(core_peer_count(f->core), 1);
}

static void
an_empty_frame_cuts_the_peer(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    core_receive(f->core, 1, (struct bytes){NULL, 0}, f->now);
    assert_true(was_cut(f, 1));
}

static void
any_truncation_of_a_frame_is_survived(void **state)
{
    struct fixture *f = *state;
    struct buffer whole;
    buffer_init(&whole);
    join(f, 1, "agent:kasra", 0);
    buffer_reset(&f->frame);
    add_record(f, 1, (struct message){.kind = KIND_REQUEST, .target = text_of("service:memory")});
    buffer_append(&whole, f->frame.data, f->frame.size);
    core_disconnected(f->core, 1, f->now);
    for (size_t size = 0; size < whole.size; size++) {
        f->outboxes[1].cut = NULL;
        join_greeted(f, 1, "agent:kasra");
        core_receive(f->core, 1, (struct bytes){whole.data, size}, f->now);
        assert_true(was_cut(f, 1));
        while (!has_nothing(f, 1))
            take_kind(f, 1, KIND_ERROR);
    }
    buffer_clear(&whole);
}

static void
more_than_100_refusals_in_a_minute_cut_the_peer(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:mallory");
    for (int i = 0; i < 100; i++)
        say(f, 1, (struct message){.kind = KIND_SEND});
    assert_false(was_cut(f, 1));
    say(f, 1, (struct message){.kind = KIND_SEND});
    assert_true(was_cut(f, 1));
}

static void
refusals_of_another_minute_do_not_count(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    for (int i = 0; i < 100; i++)
        say(f, 1, (struct message){.kind = KIND_SEND});
    for (int i = 0; i < 60; i++) {
        advance_ms(f, 1000);
        say(f, 1, (struct message){.kind = KIND_HEARTBEAT});
    }
    say(f, 1, (struct message){.kind = KIND_SEND});
    assert_false(was_cut(f, 1));
}

static void
refusals_for_load_never_cut(void **state)
{
    struct fixture *f = *state;
    f->options.held_max = 0;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    for (int i = 0; i < 150; i++) {
        ask(f, 1, "memory", 0, 0);
        assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_BUSY, "service_busy");
    }
    assert_false(was_cut(f, 1));
}

static void
a_peer_that_is_silent_for_three_heartbeats_is_cut(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 2, "agent:river");
    for (int i = 0; i < 5; i++) {
        advance_ms(f, 500);
        say(f, 2, (struct message){.kind = KIND_HEARTBEAT});
    }
    assert_false(was_cut(f, 1));
    advance_ms(f, 500);
    assert_true(was_cut(f, 1));
    assert_false(was_cut(f, 2));
}

static void
nobody_is_cut_for_the_time_the_broker_itself_stood_still(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    advance_ms(f, 60000);
    assert_false(was_cut(f, 1));
    for (int i = 0; i < 6; i++)
        advance_ms(f, 500);
    assert_true(was_cut(f, 1));
}

static void
the_broker_sends_heartbeats_when_it_has_nothing_else_to_say(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    size_t before = f->outboxes[1].count;
    advance_ms(f, 999);
    assert_int_equal(f->outboxes[1].count, before);
    advance_ms(f, 1);
    assert_int_equal(f->outboxes[1].count, before + 1);
}

static uint64_t
told_heartbeat_ms(struct fixture *f, peer_number number, const char *identity)
{
    struct value payload;
    uint64_t heartbeat_ms = 0;
    join_greeted(f, number, identity);
    assert_true(value_parse(f->received.payload, &payload));
    assert_true(value_find_uint(&payload, "heartbeat_ms", &heartbeat_ms));
    return heartbeat_ms;
}

static void
in_a_crowd_agents_are_heard_less_often_and_services_as_before(void **state)
{
    struct fixture *f = *state;
    struct error error = ERROR_INIT;
    assert_int_equal(told_heartbeat_ms(f, 1, "agent:early"), 1000);
    for (peer_number number = 100; number < 2100; number++)
        core_connected(f->core, number, text_of("agent:crowd"), 0, f->now, &error);
    assert_int_equal(told_heartbeat_ms(f, 2, "agent:late"), 3000);
    assert_int_equal(told_heartbeat_ms(f, 3, "service:memory"), 1000);
}

static void
peers_are_bounded(void **state)
{
    struct fixture *f = *state;
    f->options.peers_max = 1;
    fixture_restart(f);
    join(f, 1, "agent:kasra", 0);
    struct error error = ERROR_INIT;
    assert_int_equal(core_connected(f->core, 2, text_of("agent:river"), 0, f->now, &error),
                     STATUS_BUSY);
}

static void
only_the_identity_of_a_service_can_be_ready_as_it(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "service:engine");
    say_ready(f, 1, "memory", true, 0, NULL, 0);
    assert_refused(take_kind(f, 1, KIND_ERROR), STATUS_FORBIDDEN, "forbidden");
    join_greeted(f, 2, "agent:memory");
    say_ready(f, 2, "memory", true, 0, NULL, 0);
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_FORBIDDEN, "forbidden");
    join_greeted(f, 3, "service:bus");
    say_ready(f, 3, "bus", true, 0, NULL, 0);
    assert_refused(take_kind(f, 3, KIND_ERROR), STATUS_FORBIDDEN, "forbidden");
}

static void
a_second_instance_of_a_single_service_is_refused_until_the_first_is_gone(void **state)
{
    struct fixture *f = *state;
    join_service(f, 1, "memory", true, 0);
    join_greeted(f, 2, "service:memory");
    say_ready(f, 2, "memory", true, 0, NULL, 0);
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_CONFLICT, "instance_exists");
    say_ready(f, 2, "memory", false, 0, NULL, 0); /* saying otherwise does not help */
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_CONFLICT, "instance_exists");

    core_disconnected(f->core, 1, f->now);
    say_ready(f, 2, "memory", true, 0, NULL, 0);
    take_kind(f, 2, KIND_CONTROL);
}

static void
a_service_is_pinned_to_the_store_it_first_came_with(void **state)
{
    struct fixture *f = *state;
    struct uuid first = {{1, 2, 3}}, other = {{4, 5, 6}};
    join_greeted(f, 1, "service:memory");
    say_ready(f, 1, "memory", true, 0, &first, 7);
    take_kind(f, 1, KIND_CONTROL);
    assert_int_equal(f->pin_count, 1);
    core_disconnected(f->core, 1, f->now);

    join_greeted(f, 2, "service:memory");
    say_ready(f, 2, "memory", true, 0, &other, 8);
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_CONFLICT, "store_mismatch");
    say_ready(f, 2, "memory", true, 0, NULL, 0);
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_CONFLICT, "store_mismatch");
    say_ready(f, 2, "memory", true, 0, &first, 6);
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_CONFLICT, "store_epoch_stale");
    say_ready(f, 2, "memory", true, 0, &first, 8);
    take_kind(f, 2, KIND_CONTROL);
}

static void
a_stale_copy_of_a_store_is_refused_after_a_restart_too(void **state)
{
    struct fixture *f = *state;
    struct uuid store = {{1, 2, 3}};
    join_greeted(f, 1, "service:memory");
    say_ready(f, 1, "memory", true, 0, &store, 7);
    take_kind(f, 1, KIND_CONTROL);
    fixture_restart(f);

    join_greeted(f, 2, "service:memory");
    say_ready(f, 2, "memory", true, 0, &store, 6);
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_CONFLICT, "store_epoch_stale");
    say_ready(f, 2, "memory", true, 0, &store, 7);
    take_kind(f, 2, KIND_CONTROL);
    assert_int_equal(f->pins_set, 1); /* the same again is no news to write */
    core_disconnected(f->core, 2, f->now);

    join_greeted(f, 3, "service:memory");
    say_ready(f, 3, "memory", true, 0, &store, 9);
    take_kind(f, 3, KIND_CONTROL);
    assert_int_equal(f->pins_set, 2);
    assert_int_equal(f->pins[0].pin.epoch, 9);
}

static void
a_service_whose_store_cannot_be_remembered_is_not_ready(void **state)
{
    struct fixture *f = *state;
    struct uuid store = {{1, 2, 3}};
    f->pins_fail = true;
    join_greeted(f, 1, "service:memory");
    say_ready(f, 1, "memory", true, 0, &store, 7);
    assert_int_equal(take_kind(f, 1, KIND_ERROR)->status, STATUS_STORE_FAILED);
    f->pins_fail = false;
    say_ready(f, 1, "memory", true, 0, &store, 7);
    take_kind(f, 1, KIND_CONTROL);
    assert_int_equal(f->pins_set, 1);
}

static void
a_peer_that_the_sink_finds_gone_is_taken_out(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    f->outboxes[2].gone = true;
    ask(f, 1, "memory", 0, 1000);
    assert_int_equal(core_peer_count(f->core), 1);
    advance_ms(f, 1000);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_UNAVAILABLE, "service_unavailable");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(hello_is_answered_with_version_epoch_and_limits),
        TEST(a_hello_without_a_common_version_is_refused),
        TEST(anything_before_hello_is_answered_hello_required_and_ignored),
        TEST(a_second_hello_drops_what_the_first_session_had_pending),
        TEST(a_stolen_source_is_refused),
        TEST(a_principal_is_only_taken_from_who_may_act_for_others),
        TEST(kinds_that_are_the_brokers_to_say_are_answered_1010),
        TEST(a_bad_record_in_a_frame_is_refused_alone),
        TEST(a_broken_length_cuts_the_peer_after_what_came_before),
        TEST(an_empty_frame_cuts_the_peer),
        TEST(any_truncation_of_a_frame_is_survived),
        TEST(more_than_100_refusals_in_a_minute_cut_the_peer),
        TEST(refusals_of_another_minute_do_not_count),
        TEST(refusals_for_load_never_cut),
        TEST(a_peer_that_is_silent_for_three_heartbeats_is_cut),
        TEST(nobody_is_cut_for_the_time_the_broker_itself_stood_still),
        TEST(the_broker_sends_heartbeats_when_it_has_nothing_else_to_say),
        TEST(in_a_crowd_agents_are_heard_less_often_and_services_as_before),
        TEST(peers_are_bounded),
        TEST(only_the_identity_of_a_service_can_be_ready_as_it),
        TEST(a_second_instance_of_a_single_service_is_refused_until_the_first_is_gone),
        TEST(a_service_is_pinned_to_the_store_it_first_came_with),
        TEST(a_stale_copy_of_a_store_is_refused_after_a_restart_too),
        TEST(a_service_whose_store_cannot_be_remembered_is_not_ready),
        TEST(a_peer_that_the_sink_finds_gone_is_taken_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
