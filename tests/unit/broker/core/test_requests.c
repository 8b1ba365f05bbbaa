/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <stdio.h>

static void
a_request_reaches_the_service_untouched_and_its_reply_the_caller(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", false, 0);

    struct uuid id = ask(f, 1, "memory", 0, 500);
    struct bytes sent = f->outboxes[2].frames[f->outboxes[2].count - 1];
    const struct message *request = take_kind(f, 2, KIND_REQUEST);
    assert_true(uuid_equal(&request->id, &id));
    assert_int_equal(request->ttl_ms, 500);
    assert_int_equal(request->raw.size, sent.size);

    answer(f, 2, &id, "yes");
    const struct message *reply = take_kind(f, 1, KIND_REPLY);
    assert_true(uuid_equal(&reply->correlation, &id));
    assert_true(text_equal_string(reply->source, "service:memory"));
    assert_int_equal(reply->status, STATUS_OK);
    assert_true(count_of(f, "sos_bus_pending ") == 0);
}

static void
a_request_for_a_service_that_never_comes_waits_and_is_answered_1003(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    struct uuid id = ask(f, 1, "memory", 0, 30000);
    for (int i = 0; i < 9; i++) {
        advance_ms(f, 500);
        say(f, 1, (struct message){.kind = KIND_HEARTBEAT});
    }
    assert_true(has_nothing(f, 1));

    advance_ms(f, 500);
    const struct message *reply = take_kind(f, 1, KIND_REPLY);
    assert_true(uuid_equal(&reply->correlation, &id));
    assert_refused(reply, STATUS_UNAVAILABLE, "service_unavailable");
}

static void
a_held_request_goes_out_when_the_service_comes_with_what_is_left_of_its_time(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    struct uuid id = ask(f, 1, "memory", 0, 3000);
    advance_ms(f, 1000);
    join_service(f, 2, "memory", false, 0);

    const struct message *request = take_kind(f, 2, KIND_REQUEST);
    assert_true(uuid_equal(&request->id, &id));
    assert_int_equal(request->ttl_ms, 2000);
    assert_true(text_equal_string(request->source, "agent:kasra"));
}

static void
a_full_waiting_room_answers_busy_at_once(void **state)
{
    struct fixture *f = *state;
    f->options.held_max = 2;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    ask(f, 1, "memory", 0, 0);
    ask(f, 1, "memory", 0, 0);
    assert_true(has_nothing(f, 1));
    ask(f, 1, "memory", 0, 0);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_BUSY, "service_busy");
}

static void
one_peer_fills_no_more_than_its_share_of_the_waiting_room(void **state)
{
    struct fixture *f = *state;
    f->options.held_max = 80;
    fixture_restart(f);
    join_greeted(f, 1, "agent:greedy");
    join_greeted(f, 2, "agent:modest");
    for (int i = 0; i < 20; i++)
        ask(f, 1, "memory", 0, 0);
    assert_true(has_nothing(f, 1));
    ask(f, 1, "memory", 0, 0);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_BUSY, "service_busy");

    ask(f, 2, "memory", 0, 0);
    assert_true(has_nothing(f, 2));

    join_service(f, 3, "memory", false, 0);
    ask(f, 1, "memory", 0, 0);
    assert_true(has_nothing(f, 1));
}

static void
the_waiting_room_is_bounded_in_bytes_too(void **state)
{
    struct fixture *f = *state;
    f->options.held_bytes_max = 3000;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    uint8_t payload[2000] = {0xc5, 1994 >> 8, 1994 & 0xff};
    struct message request = {.kind = KIND_REQUEST,
                              .target = text_of("service:memory"),
                              .payload = {payload, sizeof payload}};
    say(f, 1, request);
    assert_true(has_nothing(f, 1));
    say(f, 1, request);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_BUSY, "service_busy");
}

static void
a_request_past_its_deadline_is_answered_1004_and_cancelled(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", false, 0);
    struct uuid id = ask(f, 1, "memory", 0, 700);
    take_kind(f, 2, KIND_REQUEST);
    advance_ms(f, 699);
    assert_true(has_nothing(f, 1));

    advance_ms(f, 1);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_TIMEOUT, "timeout");
    assert_true(uuid_equal(&take_kind(f, 2, KIND_CANCEL)->correlation, &id));

    answer(f, 2, &id, "too late");
    assert_true(has_nothing(f, 1));
    assert_refused(take_kind(f, 2, KIND_ERROR), STATUS_NOT_FOUND, "request_unknown");
}

static void
a_request_id_that_is_pending_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 3, "agent:river");
    join_service(f, 2, "memory", false, 0);
    struct uuid id = ask(f, 1, "memory", 0, 0);
    take_kind(f, 2, KIND_REQUEST);

    say(f, 3,
        (struct message){.kind = KIND_REQUEST, .id = id, .target = text_of("service:memory")});
    assert_refused(take_kind(f, 3, KIND_REPLY), STATUS_ALREADY_EXISTS, "request_id_pending");
    assert_true(has_nothing(f, 2));
}

static void
an_idempotent_request_sent_again_over_a_new_connection_replaces_the_old_one(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 3, "agent:kasra");
    join_service(f, 2, "memory", false, 0);
    struct message request = {
        .kind = KIND_REQUEST, .flags = MESSAGE_IDEMPOTENT, .target = text_of("service:memory")};
    request.id = say(f, 1, request);
    take_kind(f, 2, KIND_REQUEST);
    say(f, 3, request);
    take_kind(f, 2, KIND_CANCEL);
    take_kind(f, 2, KIND_REQUEST);
    answer(f, 2, &request.id, "yes");
    assert_true(has_nothing(f, 1));
    take_kind(f, 3, KIND_REPLY);
}

static void
a_reply_to_a_request_it_never_got_is_refused_and_goes_nowhere(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", false, 0);
    join_greeted(f, 3, "agent:mallory");
    struct uuid id = ask(f, 1, "memory", 0, 0);

    answer(f, 3, &id, "forged");
    assert_refused(take_kind(f, 3, KIND_ERROR), STATUS_NOT_FOUND, "request_unknown");
    assert_true(has_nothing(f, 1));

    answer(f, 2, &id, "true");
    take_kind(f, 1, KIND_REPLY);
}

static void
a_target_that_is_no_service_is_refused(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    say(f, 1, (struct message){.kind = KIND_REQUEST, .target = text_of("agent:river")});
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_INVALID, "target_unknown");
    say(f, 1, (struct message){.kind = KIND_REQUEST});
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_INVALID, "target_unknown");
}

static void
a_peer_has_only_so_many_requests_in_flight(void **state)
{
    struct fixture *f = *state;
    f->options.pending_peer_max = 2;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 3, "agent:river");
    join_service(f, 2, "memory", false, 0);
    struct uuid first = ask(f, 1, "memory", 0, 0);
    ask(f, 1, "memory", 0, 0);
    ask(f, 1, "memory", 0, 0);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_QUOTA_EXCEEDED, "too_many_pending");
    ask(f, 3, "memory", 0, 0);
    assert_true(has_nothing(f, 3));

    answer(f, 2, &first, "yes");
    take_kind(f, 1, KIND_REPLY);
    ask(f, 1, "memory", 0, 0);
    assert_true(has_nothing(f, 1));
}

static void
all_peers_together_have_only_so_many_requests_in_flight(void **state)
{
    struct fixture *f = *state;
    f->options.pending_max = 1;
    fixture_restart(f);
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", false, 0);
    ask(f, 1, "memory", 0, 0);
    ask(f, 1, "memory", 0, 0);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_BUSY, "service_busy");
}

static void
the_least_loaded_instance_gets_the_next_request(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "engine", false, 0);
    join_service(f, 3, "engine", false, 0);
    ask(f, 1, "engine", 0, 0);
    take_kind(f, 2, KIND_REQUEST);
    struct uuid second = ask(f, 1, "engine", 0, 0);
    take_kind(f, 3, KIND_REQUEST);
    answer(f, 3, &second, "done"); /* by turns it would be the other's */
    ask(f, 1, "engine", 0, 0);
    take_kind(f, 3, KIND_REQUEST);
    assert_true(has_nothing(f, 2));
}

static void
an_instance_at_its_limit_is_left_alone_until_it_answers(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 1);
    struct uuid first = ask(f, 1, "memory", 0, 0);
    struct uuid second = ask(f, 1, "memory", 0, 0);
    take_kind(f, 2, KIND_REQUEST);
    assert_true(has_nothing(f, 2));
    assert_true(count_of(f, "sos_queue_depth{service=\"memory\",queue=\"waiting\"} ") == 1);

    answer(f, 2, &first, "done");
    assert_true(uuid_equal(&take_kind(f, 2, KIND_REQUEST)->id, &second));
}

static void
an_instance_whose_pipe_is_full_is_tried_again_in_order(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    choke(f, 2);
    struct uuid first = ask(f, 1, "memory", 0, 0);
    f->outboxes[2].full = false;
    struct uuid second = ask(f, 1, "memory", 0, 0);
    assert_true(has_nothing(f, 2));

    advance_ms(f, 2);
    assert_true(uuid_equal(&take_kind(f, 2, KIND_REQUEST)->id, &first));
    assert_true(uuid_equal(&take_kind(f, 2, KIND_REQUEST)->id, &second));
}

static void
a_dead_instance_has_its_requests_answered_1003(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    ask(f, 1, "memory", 0, 0);
    core_disconnected(f->core, 2, f->now);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_UNAVAILABLE, "service_unavailable");
}

static void
an_idempotent_request_of_a_dead_instance_is_given_to_another(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "engine", false, 0);
    join_service(f, 3, "engine", false, 0);
    struct uuid id = ask(f, 1, "engine", MESSAGE_IDEMPOTENT, 10000);
    take_kind(f, 2, KIND_REQUEST);
    advance_ms(f, 900);
    core_disconnected(f->core, 2, f->now);

    const struct message *again = take_kind(f, 3, KIND_REQUEST);
    assert_true(uuid_equal(&again->id, &id));
    assert_int_equal(again->ttl_ms, 9100);
    answer(f, 3, &id, "yes");
    assert_int_equal(take_kind(f, 1, KIND_REPLY)->status, STATUS_OK);
}

static void
an_idempotent_request_of_the_only_instance_waits_for_the_next_one(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    struct uuid id = ask(f, 1, "memory", MESSAGE_IDEMPOTENT, 10000);
    core_disconnected(f->core, 2, f->now);
    assert_true(has_nothing(f, 1));
    join_service(f, 3, "memory", true, 0);
    assert_true(uuid_equal(&take_kind(f, 3, KIND_REQUEST)->id, &id));
}

static void
a_cancel_is_passed_on_and_nothing_follows(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    struct uuid id = ask(f, 1, "memory", 0, 500);
    take_kind(f, 2, KIND_REQUEST);
    say(f, 1, (struct message){.kind = KIND_CANCEL, .correlation = id});
    assert_true(uuid_equal(&take_kind(f, 2, KIND_CANCEL)->correlation, &id));
    advance_ms(f, 600);
    assert_true(has_nothing(f, 1));
}

static void
nobody_else_can_cancel_a_request(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_greeted(f, 3, "agent:mallory");
    join_service(f, 2, "memory", true, 0);
    struct uuid id = ask(f, 1, "memory", 0, 0);
    take_kind(f, 2, KIND_REQUEST);
    say(f, 3, (struct message){.kind = KIND_CANCEL, .correlation = id});
    assert_refused(take_kind(f, 3, KIND_ERROR), STATUS_NOT_FOUND, "request_unknown");
    assert_true(has_nothing(f, 2));
}

static void
a_requester_that_vanishes_cancels_its_requests(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    struct uuid id = ask(f, 1, "memory", 0, 0);
    take_kind(f, 2, KIND_REQUEST);
    core_disconnected(f->core, 1, f->now);
    assert_true(uuid_equal(&take_kind(f, 2, KIND_CANCEL)->correlation, &id));
    assert_true(count_of(f, "sos_bus_pending ") == 0);
}

static void
a_bye_ends_both_sides_of_a_peer(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    ask(f, 1, "memory", 0, 0);
    take_kind(f, 2, KIND_REQUEST);
    say(f, 2, (struct message){.kind = KIND_BYE});
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_UNAVAILABLE, "service_unavailable");
    say(f, 2, (struct message){.kind = KIND_HEARTBEAT});
    assert_true(text_equal_string(take_kind(f, 2, KIND_CONTROL)->type, "hello_required"));
}

static void
a_reply_that_meets_a_full_peer_is_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    struct uuid id = ask(f, 1, "memory", 0, 0);
    choke(f, 1);
    answer(f, 2, &id, "lost");
    assert_true(has_nothing(f, 1));
    assert_true(count_of(f, "sos_bus_dropped_total{reason=\"peer_full\"} ") == 1);
    assert_true(count_of(f, "sos_bus_pending ") == 0);
}

static void
names_that_only_requests_bring_up_are_bounded_and_forgotten(void **state)
{
    struct fixture *f = *state;
    /* One that acts for others: an agent's share of the waiting rooms is used up earlier. */
    join(f, 1, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 1);
    char name[32];
    for (int i = 0; i < 1024; i++) {
        snprintf(name, sizeof name, "s%d", i);
        ask(f, 1, name, 0, 1000);
    }
    assert_true(has_nothing(f, 1));
    ask(f, 1, "onemore", 0, 1000);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_UNAVAILABLE, "service_unavailable");
    core_disconnected(f->core, 1, f->now);

    join_greeted(f, 2, "agent:kasra");
    ask(f, 2, "onemore", 0, 1000);
    assert_true(has_nothing(f, 2));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_request_reaches_the_service_untouched_and_its_reply_the_caller),
        TEST(a_request_for_a_service_that_never_comes_waits_and_is_answered_1003),
        TEST(one_peer_fills_no_more_than_its_share_of_the_waiting_room),
        TEST(a_held_request_goes_out_when_the_service_comes_with_what_is_left_of_its_time),
        TEST(a_full_waiting_room_answers_busy_at_once),
        TEST(the_waiting_room_is_bounded_in_bytes_too),
        TEST(a_request_past_its_deadline_is_answered_1004_and_cancelled),
        TEST(a_request_id_that_is_pending_is_refused),
        TEST(an_idempotent_request_sent_again_over_a_new_connection_replaces_the_old_one),
        TEST(a_reply_to_a_request_it_never_got_is_refused_and_goes_nowhere),
        TEST(a_target_that_is_no_service_is_refused),
        TEST(a_peer_has_only_so_many_requests_in_flight),
        TEST(all_peers_together_have_only_so_many_requests_in_flight),
        TEST(the_least_loaded_instance_gets_the_next_request),
        TEST(an_instance_at_its_limit_is_left_alone_until_it_answers),
        TEST(an_instance_whose_pipe_is_full_is_tried_again_in_order),
        TEST(a_dead_instance_has_its_requests_answered_1003),
        TEST(an_idempotent_request_of_a_dead_instance_is_given_to_another),
        TEST(an_idempotent_request_of_the_only_instance_waits_for_the_next_one),
        TEST(a_cancel_is_passed_on_and_nothing_follows),
        TEST(nobody_else_can_cancel_a_request),
        TEST(a_requester_that_vanishes_cancels_its_requests),
        TEST(a_bye_ends_both_sides_of_a_peer),
        TEST(a_reply_that_meets_a_full_peer_is_dropped_and_counted),
        TEST(names_that_only_requests_bring_up_are_bounded_and_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
