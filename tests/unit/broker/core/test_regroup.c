/* SPDX-License-Identifier: Apache-2.0 */
/* Records gather per peer and leave many to a frame, in order, with bounds. */
#include "fixture.h"

#include "broker/core/peers.h"

enum { MEMORY = 2, ENGINE = 3, KASRA = 4, RIVER = 5 };

static int
setup(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    join_service(f, MEMORY, "memory", true, 4096);
    join_service(f, ENGINE, "engine", true, 4096);
    join_greeted(f, KASRA, "agent:kasra");
    join_greeted(f, RIVER, "agent:river");
    return 0;
}

/* Appends a request with a payload of that many bytes to f->frame. */
static struct uuid
add_request(struct fixture *f, peer_number by, const char *target, size_t payload_size)
{
    static const uint8_t zeros[RECORD_SIZE_MAX];
    return add_record(f, by,
                      (struct message){.kind = KIND_REQUEST,
                                       .target = text_of(target),
                                       .type = text_of("question"),
                                       .payload = {zeros, payload_size}});
}

/* Hands f->frame in without a flush; returns how many bytes were taken. */
static size_t
hand_in(struct fixture *f, peer_number by)
{
    size_t taken = core_receive(f->core, by, buffer_bytes(&f->frame), f->now);
    buffer_reset(&f->frame);
    return taken;
}

static struct bytes
last_frame(const struct fixture *f, peer_number peer)
{
    assert_true(f->outboxes[peer].count > 0);
    return f->outboxes[peer].frames[f->outboxes[peer].count - 1];
}

static size_t
records_in(struct bytes frame)
{
    size_t count = 0;
    for (; frame.size > 0; count++) {
        struct message message;
        size_t used;
        assert_int_equal(message_decode(&message, frame, &used, NULL), STATUS_OK);
        frame = (struct bytes){frame.data + used, frame.size - used};
    }
    return count;
}

static void
assert_next(struct fixture *f, peer_number peer, const struct uuid *id)
{
    assert_true(uuid_equal(&take_kind(f, peer, KIND_REQUEST)->id, id));
}

static void
a_lone_record_leaves_as_it_came(void **state)
{
    struct fixture *f = *state;
    uint8_t came[512];
    add_request(f, KASRA, "service:memory", 100);
    size_t size = f->frame.size;
    memcpy(came, f->frame.data, size);
    deliver(f, KASRA);
    assert_int_equal(last_frame(f, MEMORY).size, size);
    assert_memory_equal(last_frame(f, MEMORY).data, came, size);
}

static void
nothing_leaves_before_the_end_of_the_drain(void **state)
{
    struct fixture *f = *state;
    size_t before = f->outboxes[MEMORY].count;
    add_request(f, KASRA, "service:memory", 0);
    hand_in(f, KASRA);
    assert_int_equal(f->outboxes[MEMORY].count, before);
    core_flush(f->core, f->now);
    assert_int_equal(f->outboxes[MEMORY].count, before + 1);
}

static void
what_several_peers_say_to_one_leaves_as_one_frame(void **state)
{
    struct fixture *f = *state;
    size_t before = f->outboxes[MEMORY].count;
    double frames = count_of(f, "sos_bus_frames_sent_total ");
    double records = count_of(f, "sos_bus_records_sent_total ");
    struct uuid first = add_request(f, KASRA, "service:memory", 10);
    hand_in(f, KASRA);
    struct uuid second = add_request(f, RIVER, "service:memory", 10);
    hand_in(f, RIVER);
    struct uuid third = add_request(f, KASRA, "service:memory", 10);
    hand_in(f, KASRA);
    core_flush(f->core, f->now);

    assert_int_equal(f->outboxes[MEMORY].count, before + 1);
    assert_int_equal(records_in(last_frame(f, MEMORY)), 3);
    assert_next(f, MEMORY, &first);
    assert_next(f, MEMORY, &second);
    assert_next(f, MEMORY, &third);
    assert_true(count_of(f, "sos_bus_frames_sent_total ") == frames + 1);
    assert_true(count_of(f, "sos_bus_records_sent_total ") == records + 3);
}

static void
the_records_of_a_frame_part_by_target_in_order(void **state)
{
    struct fixture *f = *state;
    size_t to_memory = f->outboxes[MEMORY].count, to_engine = f->outboxes[ENGINE].count;
    struct uuid ids[20];
    for (size_t i = 0; i < 20; i++)
        ids[i] = add_request(f, KASRA, i % 2 ? "service:engine" : "service:memory", i);
    deliver(f, KASRA);
    assert_int_equal(f->outboxes[MEMORY].count, to_memory + 1);
    assert_int_equal(f->outboxes[ENGINE].count, to_engine + 1);
    for (size_t i = 0; i < 20; i++)
        assert_next(f, i % 2 ? ENGINE : MEMORY, &ids[i]);
}

static void
a_frame_leaves_at_64_records(void **state)
{
    struct fixture *f = *state;
    size_t before = f->outboxes[MEMORY].count;
    for (int i = 0; i < OUTBOUND_RECORDS; i++)
        add_request(f, KASRA, "service:memory", 1);
    hand_in(f, KASRA);
    assert_int_equal(f->outboxes[MEMORY].count, before + 1);
    assert_int_equal(records_in(last_frame(f, MEMORY)), OUTBOUND_RECORDS);
    core_flush(f->core, f->now);
    assert_int_equal(f->outboxes[MEMORY].count, before + 1);
}

static void
a_frame_leaves_before_it_passes_32_kib(void **state)
{
    struct fixture *f = *state;
    size_t before = f->outboxes[MEMORY].count;
    for (int i = 0; i < 10; i++)
        add_request(f, KASRA, "service:memory", 5000);
    hand_in(f, KASRA);
    assert_int_equal(f->outboxes[MEMORY].count, before + 1);
    assert_int_equal(records_in(last_frame(f, MEMORY)), 6);
    assert_true(last_frame(f, MEMORY).size <= OUTBOUND_BYTES);
    core_flush(f->core, f->now);
    assert_int_equal(records_in(last_frame(f, MEMORY)), 4);
}

static void
a_large_record_leaves_alone_behind_what_was_gathered(void **state)
{
    struct fixture *f = *state;
    struct uuid small = add_request(f, KASRA, "service:memory", 10);
    struct uuid large = add_request(f, KASRA, "service:memory", 200000);
    hand_in(f, KASRA);
    assert_int_equal(records_in(last_frame(f, MEMORY)), 1);
    struct uuid later = add_request(f, KASRA, "service:memory", 10);
    deliver(f, KASRA);
    assert_next(f, MEMORY, &small);
    assert_next(f, MEMORY, &large);
    assert_next(f, MEMORY, &later);
}

static void
a_frame_of_more_than_64_records_is_taken_in_turns(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[150];
    for (size_t i = 0; i < 150; i++)
        ids[i] = add_request(f, KASRA, "service:memory", 0);
    struct bytes rest = buffer_bytes(&f->frame);
    for (size_t turn = 0; turn < 3; turn++) {
        size_t expected = turn < 2 ? CORE_TURN_RECORDS : 150 - 2 * CORE_TURN_RECORDS;
        size_t taken = core_receive(f->core, KASRA, rest, f->now);
        assert_int_equal(records_in((struct bytes){rest.data, taken}), expected);
        rest = (struct bytes){rest.data + taken, rest.size - taken};
        core_flush(f->core, f->now);
    }
    assert_int_equal(rest.size, 0);
    for (size_t i = 0; i < 150; i++)
        assert_next(f, MEMORY, &ids[i]);
}

static void
a_flush_is_wanted_when_enough_was_taken_in(void **state)
{
    struct fixture *f = *state;
    int frames = 0;
    for (; !core_wants_flush(f->core) && frames < 100; frames++) {
        for (int i = 0; i < CORE_TURN_RECORDS; i++)
            add_record(f, KASRA, (struct message){.kind = KIND_HEARTBEAT});
        hand_in(f, KASRA);
    }
    assert_true(frames > 4 && frames < 100);
    core_flush(f->core, f->now);
    assert_false(core_wants_flush(f->core));
}

static void
what_is_not_taken_stays_in_order_and_is_tried_again(void **state)
{
    struct fixture *f = *state;
    struct uuid ids[200];
    f->outboxes[MEMORY].full = true;
    for (size_t i = 0; i < 200; i++) {
        ids[i] = add_request(f, KASRA, "service:memory", i % 40 * 50);
        deliver(f, KASRA);
    }
    assert_true(core_flush(f->core, f->now) <= f->now.monotonic_us + OUTBOUND_RETRY_US);
    assert_true(outbound_is_stuck(peers_find(f->core, MEMORY)));

    f->outboxes[MEMORY].full = false;
    struct uuid last = add_request(f, RIVER, "service:memory", 0);
    deliver(f, RIVER);
    assert_true(has_nothing(f, MEMORY)); /* not before its time, and not past the others */
    advance_ms(f, 2);
    for (size_t i = 0; i < 200; i++)
        assert_next(f, MEMORY, &ids[i]);
    assert_next(f, MEMORY, &last);
    assert_false(outbound_is_stuck(peers_find(f->core, MEMORY)));
    assert_true(core_flush(f->core, f->now) > f->now.monotonic_us + OUTBOUND_RETRY_US);
}

static void
a_burst_is_kept_in_frames_within_their_bounds(void **state)
{
    struct fixture *f = *state;
    size_t before = f->outboxes[MEMORY].count;
    f->outboxes[MEMORY].full = true;
    for (int i = 0; i < 300; i++)
        add_request(f, KASRA, "service:memory", 200);
    deliver(f, KASRA);
    f->outboxes[MEMORY].full = false;
    advance_ms(f, 2);
    size_t records = 0;
    for (size_t i = before; i < f->outboxes[MEMORY].count; i++) {
        struct bytes frame = f->outboxes[MEMORY].frames[i];
        assert_true(frame.size <= OUTBOUND_BYTES && records_in(frame) <= OUTBOUND_RECORDS);
        records += records_in(frame);
    }
    assert_int_equal(records, 300);
    assert_true(f->outboxes[MEMORY].count - before <= 300 / OUTBOUND_RECORDS + 2);
}

static void
no_more_than_1_mib_waits_for_a_peer(void **state)
{
    struct fixture *f = *state;
    choke(f, MEMORY);
    const struct peer *peer = peers_find(f->core, MEMORY);
    assert_true(peer->outbound.size <= OUTBOUND_PEER_MAX);
    assert_true(peer->outbound.size > OUTBOUND_PEER_MAX - 200);
    assert_int_equal(f->core->sending.size, peer->outbound.size);
}

static void
a_stuck_peer_holds_up_nobody(void **state)
{
    struct fixture *f = *state;
    choke(f, ENGINE);
    struct uuid id = add_request(f, KASRA, "service:memory", 0);
    add_request(f, KASRA, "service:engine", 0);
    deliver(f, KASRA);
    assert_next(f, MEMORY, &id);
    answer(f, MEMORY, &id, "yes");
    take_kind(f, KASRA, KIND_REPLY);
}

static void
with_much_waiting_for_all_a_stuck_peer_may_have_its_share(void **state)
{
    struct fixture *f = *state;
    struct peer *peer = peers_find(f->core, MEMORY);
    f->outboxes[MEMORY].full = true;
    f->core->sending.size += OUTBOUND_ALL_MAX; /* as if for many others */
    choke(f, MEMORY);
    assert_true(peer->outbound.size <= OUTBOUND_BYTES + OUTBOUND_SHARE);
    f->core->sending.size -= OUTBOUND_ALL_MAX;
    struct uuid id = add_request(f, KASRA, "service:memory", 10000);
    deliver(f, KASRA);
    f->outboxes[MEMORY].full = false;
    advance_ms(f, 2);
    assert_next(f, MEMORY, &id);
}

static void
nothing_is_kept_for_a_peer_when_all_has_left(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 500; i++)
        add_request(f, KASRA, "service:memory", 300);
    deliver(f, KASRA);
    const struct peer *peer = peers_find(f->core, MEMORY);
    assert_null(peer->outbound.first);
    assert_int_equal(peer->outbound.size, 0);
    assert_false(list_is_linked(&peer->outbound.link));
    assert_int_equal(f->core->sending.size, 0);
    assert_true(f->core->sending.spare_count <= 64);
}

static void
a_peer_that_goes_takes_what_waited_for_it_along(void **state)
{
    struct fixture *f = *state;
    choke(f, RIVER);
    core_disconnected(f->core, RIVER, f->now);
    assert_int_equal(f->core->sending.size, 0);
    assert_true(list_is_empty(&f->core->sending.stuck));
}

static void
what_was_gathered_for_a_peer_that_is_gone_is_counted(void **state)
{
    struct fixture *f = *state;
    f->outboxes[MEMORY].gone = true;
    add_request(f, KASRA, "service:memory", 0);
    add_request(f, KASRA, "service:memory", 0);
    deliver(f, KASRA);
    assert_true(count_of(f, "sos_bus_dropped_total{reason=\"peer_gone\"} ") == 2);
    /* Found so in the flush, and told in it: nobody waits for the next. */
    assert_int_equal(records_in(last_frame(f, KASRA)), 2);
    assert_refused(take_kind(f, KASRA, KIND_REPLY), STATUS_UNAVAILABLE, "service_unavailable");
}

static void
why_a_peer_is_cut_leaves_before_the_cut(void **state)
{
    struct fixture *f = *state;
    static const uint8_t broken[] = {0, 0, 0, 0, 0, 0};
    core_receive(f->core, KASRA, (struct bytes){broken, sizeof broken}, f->now);
    assert_true(was_cut(f, KASRA));
    assert_refused(take_kind(f, KASRA, KIND_ERROR), STATUS_INVALID, "invalid_request");
}

static void
a_large_frame_is_given_away_and_its_memory_comes_back(void **state)
{
    struct fixture *f = *state;
    f->takes_parcels = true;
    fixture_restart(f);
    join_service(f, MEMORY, "memory", true, 4096);
    join_greeted(f, KASRA, "agent:kasra");
    struct uuid ids[2 * OUTBOUND_RECORDS];
    for (size_t i = 0; i < 2 * OUTBOUND_RECORDS; i++)
        ids[i] = add_request(f, KASRA, "service:memory", 300);
    deliver(f, KASRA);
    assert_int_equal(f->given_count, 2);
    assert_int_equal(f->core->sending.size, 0);
    for (size_t i = 0; i < 2 * OUTBOUND_RECORDS; i++)
        assert_next(f, MEMORY, &ids[i]);

    size_t spares = f->core->sending.spare_count;
    core_take_back(f->core, &f->given);
    assert_null(f->given);
    assert_int_equal(f->core->sending.spare_count, spares + 1);
    add_request(f, KASRA, "service:memory", 300);
    deliver(f, KASRA);
    assert_int_equal(f->given_count, 2); /* a small one is copied */
}

static void
a_large_frame_that_is_not_taken_stays(void **state)
{
    struct fixture *f = *state;
    f->takes_parcels = true;
    fixture_restart(f);
    join_service(f, MEMORY, "memory", true, 4096);
    join_greeted(f, KASRA, "agent:kasra");
    struct uuid ids[3 * OUTBOUND_RECORDS];
    f->outboxes[MEMORY].full = true;
    for (size_t i = 0; i < 3 * OUTBOUND_RECORDS; i++)
        ids[i] = add_request(f, KASRA, "service:memory", 300);
    deliver(f, KASRA);
    assert_int_equal(f->given_count, 0);
    f->outboxes[MEMORY].full = false;
    advance_ms(f, 2);
    assert_int_equal(f->given_count, 3);
    for (size_t i = 0; i < 3 * OUTBOUND_RECORDS; i++)
        assert_next(f, MEMORY, &ids[i]);
}

struct counted_watch {
    struct room_watch watch;
    int calls;
};

static void
count_room(struct core *core, struct room_watch *watch)
{
    (void)core;
    CONTAINER_OF(watch, struct counted_watch, watch)->calls++;
}

static void
who_awaits_room_is_told_once(void **state)
{
    struct fixture *f = *state;
    struct counted_watch heard = {.watch = {.ready = count_room}};
    struct counted_watch off = {.watch = {.ready = count_room}};
    choke(f, RIVER);
    outbound_watch(peers_find(f->core, RIVER), &heard.watch);
    outbound_watch(peers_find(f->core, RIVER), &heard.watch);
    outbound_watch(peers_find(f->core, RIVER), &off.watch);
    room_watch_off(&off.watch);
    advance_ms(f, 2);
    assert_int_equal(heard.calls, 0);
    f->outboxes[RIVER].full = false;
    advance_ms(f, 2);
    advance_ms(f, 2);
    assert_int_equal(heard.calls, 1);
    assert_int_equal(off.calls, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_lone_record_leaves_as_it_came),
        TEST(nothing_leaves_before_the_end_of_the_drain),
        TEST(what_several_peers_say_to_one_leaves_as_one_frame),
        TEST(the_records_of_a_frame_part_by_target_in_order),
        TEST(a_frame_leaves_at_64_records),
        TEST(a_frame_leaves_before_it_passes_32_kib),
        TEST(a_large_record_leaves_alone_behind_what_was_gathered),
        TEST(a_frame_of_more_than_64_records_is_taken_in_turns),
        TEST(a_flush_is_wanted_when_enough_was_taken_in),
        TEST(what_is_not_taken_stays_in_order_and_is_tried_again),
        TEST(a_burst_is_kept_in_frames_within_their_bounds),
        TEST(no_more_than_1_mib_waits_for_a_peer),
        TEST(a_stuck_peer_holds_up_nobody),
        TEST(with_much_waiting_for_all_a_stuck_peer_may_have_its_share),
        TEST(nothing_is_kept_for_a_peer_when_all_has_left),
        TEST(a_peer_that_goes_takes_what_waited_for_it_along),
        TEST(what_was_gathered_for_a_peer_that_is_gone_is_counted),
        TEST(why_a_peer_is_cut_leaves_before_the_cut),
        TEST(a_large_frame_is_given_away_and_its_memory_comes_back),
        TEST(a_large_frame_that_is_not_taken_stays),
        TEST(who_awaits_room_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
