/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_bus.h"
#include "fixture_tap.h"

enum { RECORDS_MAX = 32, GATE_TAPS = 6 };

/* What a test takes from a chunk. */
struct chunk {
    struct value records[RECORDS_MAX];
    uint32_t count;
    uint64_t dropped;
};

static struct uuid
tap(struct fixture *f, peer_number peer, struct text token, struct bytes filter)
{
    return say(f, peer,
               (struct message){.kind = KIND_REQUEST,
                                .flags = MESSAGE_STREAM,
                                .target = text_of("service:bus"),
                                .type = text_of("tap"),
                                .capability = token,
                                .payload = filter});
}

static const struct bytes everything = {NULL, 0};
static const struct bytes payloads = {(const uint8_t *)"\x81\xa7payload\xc3", 10};

/* `pairs` are name, text, …, NULL; the caller clears it. */
static struct buffer
filter_of(const char *name, const char *text)
{
    struct buffer filter;
    buffer_init(&filter);
    pack_map(&filter, 1);
    pack_pair_string(&filter, name, text);
    return filter;
}

static struct chunk
take_chunk(struct fixture *f, peer_number peer)
{
    struct chunk chunk = {.count = 0};
    struct value payload, list;
    assert_true(value_parse(take_kind(f, peer, KIND_CHUNK)->payload, &payload));
    assert_true(value_find_uint(&payload, "dropped", &chunk.dropped));
    assert_true(value_find(&payload, "records", &list));
    struct entries entries = value_entries(&list);
    while (chunk.count < RECORDS_MAX && entries_next(&entries, &chunk.records[chunk.count]))
        chunk.count++;
    return chunk;
}

/* A tap that begins: that is what its first chunk says. */
static struct uuid
open_tap(struct fixture *f, peer_number peer, struct text token, struct bytes filter)
{
    struct uuid id = tap(f, peer, token, filter);
    struct chunk beginning = take_chunk(f, peer);
    assert_int_equal(beginning.count, 0);
    assert_int_equal(beginning.dropped, 0);
    return id;
}

static bool
says(const struct value *record, const char *key, const char *text)
{
    struct text found = {"", 0};
    value_find_text(record, key, &found);
    return text_equal_string(found, text);
}

static struct uuid
ask_typed(struct fixture *f, peer_number peer, const char *type, struct text token,
          struct bytes payload)
{
    return say(f, peer,
               (struct message){.kind = KIND_REQUEST,
                                .target = text_of("service:memory"),
                                .type = text_of(type),
                                .trace = {(const uint8_t *)"0123456789abcdefSPAN-ID8", 24},
                                .capability = token,
                                .payload = payload});
}

/* agent:kasra (1) taps; service:memory (2); agent:river (3). */
static struct buffer
with_a_tap(struct fixture *f, const char *action, struct bytes filter)
{
    struct river river = river_trusted(f, false);
    struct buffer token = river_token(f, &river, "agent:kasra", action, "bus:*");
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    join_greeted(f, 3, "agent:river");
    open_tap(f, 1, buffer_text(&token), filter);
    assert_true(has_nothing(f, 1));
    return token;
}

static void
a_tap_shows_what_passes_and_reduces_tokens_to_their_ids(void **state)
{
    struct fixture *f = *state;
    struct buffer token = with_a_tap(f, "bus:tap", everything);
    ask_typed(f, 3, "memory_store", buffer_text(&token), (struct bytes){NULL, 0});
    struct chunk chunk = take_chunk(f, 1);
    const struct value *record = &chunk.records[0];
    assert_int_equal(chunk.count, 1);
    assert_true(says(record, "kind", "request"));
    assert_true(says(record, "direction", "in"));
    assert_true(says(record, "source", "agent:river"));
    assert_true(says(record, "target", "service:memory"));
    assert_true(says(record, "type", "memory_store"));
    assert_true(says(record, "verdict", "forwarded"));
    assert_true(says(record, "trace", "30313233343536373839616263646566"));
    assert_true(says(record, "span", "5350414e2d494438"));
    assert_true(text_starts_with(text_in(record, "capability"), "cap_"));
    assert_null(memmem(f->received.payload.data, f->received.payload.size, "signature", 9));
    buffer_clear(&token);
}

static void
a_reply_is_shown_with_its_status_and_the_type_of_its_request(void **state)
{
    struct fixture *f = *state;
    struct buffer filter = filter_of("type", "memory_*");
    struct buffer token = with_a_tap(f, "bus:tap", buffer_bytes(&filter));
    struct uuid id = ask_typed(f, 3, "memory_store", NO_TOKEN, (struct bytes){NULL, 0});
    say(f, 2,
        (struct message){.kind = KIND_REPLY,
                         .correlation = id,
                         .target = text_of("agent:river"),
                         .status = STATUS_NOT_FOUND});
    assert_int_equal(take_chunk(f, 1).count, 1);
    struct chunk chunk = take_chunk(f, 1);
    assert_true(says(&chunk.records[0], "kind", "reply"));
    assert_true(says(&chunk.records[0], "type", "memory_store"));
    assert_int_equal(uint_in(&chunk.records[0], "status"), STATUS_NOT_FOUND);
    buffer_clear(&filter);
    buffer_clear(&token);
}

static void
filters_leave_out_what_does_not_match(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *passes, *fails;
    } rows[] = {
        {"source", "agent:r*", "agent:kasra"},
        {"target", "service:memory", "service:m"},
        {"type", "memory_*", "memory_search"},
        {"kind", "re*", "reply"},
        {"verdict", "forwarded", "refused*"},
        {"trace", "30313233343536373839616263646566", "00313233343536373839616263646566"},
        {"header", "^request agent:river service:[a-z]+ memory_store - forwarded$", "^reply"},
    };
    struct river river = river_trusted(f, false);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:tap", "bus:*");
    join_greeted(f, 1, "agent:kasra");
    join_service(f, 2, "memory", true, 0);
    join_greeted(f, 3, "agent:river");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int good = 0; good < 2; good++) {
            struct buffer filter = filter_of(rows[i].name, good ? rows[i].passes : rows[i].fails);
            struct uuid id = open_tap(f, 1, buffer_text(&token), buffer_bytes(&filter));
            assert_true(has_nothing(f, 1));
            ask_typed(f, 3, "memory_store", NO_TOKEN, (struct bytes){NULL, 0});
            if (good)
                assert_int_equal(take_chunk(f, 1).count, 1);
            assert_true(has_nothing(f, 1));
            say(f, 1, (struct message){.kind = KIND_CANCEL, .correlation = id});
            buffer_clear(&filter);
        }
    }
    buffer_clear(&token);
}

static void
the_cheap_sieve_keeps_what_cannot_match_from_the_queue(void **state)
{
    struct fixture *f = *state;
    struct buffer filter = filter_of("kind", "reply");
    struct buffer token = with_a_tap(f, "bus:tap", buffer_bytes(&filter));
    size_t before = f->tap->puts;
    ask(f, 3, "memory", 0, 0);
    assert_int_equal(f->tap->puts, before);
    buffer_clear(&filter);
    buffer_clear(&token);
}

static void
status_filters_show_replies_and_errors_only(void **state)
{
    struct fixture *f = *state;
    struct buffer filter = filter_of("status", "error");
    struct buffer token = with_a_tap(f, "bus:tap", buffer_bytes(&filter));
    struct uuid id = ask(f, 3, "memory", 0, 0);
    answer(f, 2, &id, "fine");
    assert_true(has_nothing(f, 1));
    ask(f, 3, "memory", 0, 0);
    advance_ms(f, 30001);
    struct chunk chunk = take_chunk(f, 1);
    assert_int_equal(chunk.count, 1);
    assert_true(says(&chunk.records[0], "direction", "out"));
    assert_int_equal(uint_in(&chunk.records[0], "status"), STATUS_TIMEOUT);
    buffer_clear(&filter);
    buffer_clear(&token);
}

static void
refused_and_unreadable_records_are_shown(void **state)
{
    struct fixture *f = *state;
    struct buffer filter = filter_of("verdict", "refused*");
    struct buffer token = with_a_tap(f, "bus:tap", buffer_bytes(&filter));
    say(f, 3,
        (struct message){.kind = KIND_REQUEST,
                         .target = text_of("service:bus"),
                         .source = text_of("agent:kasra"),
                         .type = text_of("directory")});
    struct chunk chunk = take_chunk(f, 1);
    assert_true(says(&chunk.records[0], "verdict", "refused: source_forged"));
    assert_true(says(&chunk.records[0], "source", "agent:kasra"));

    buffer_reset(&f->frame);
    buffer_append(&f->frame, "\0\0\0\x05\0\x02\x91\x01!", 9);
    deliver(f, 3);
    chunk = take_chunk(f, 1);
    assert_true(says(&chunk.records[0], "kind", ""));
    assert_true(says(&chunk.records[0], "source", "agent:river"));
    assert_int_equal(uint_in(&chunk.records[0], "size"), 9);

    buffer_append(&f->frame, "\0\0\0\x09\0\x02\x91\x01!", 9);
    deliver(f, 3);
    chunk = take_chunk(f, 1);
    assert_true(says(&chunk.records[0], "verdict", "refused: broken_length"));
    buffer_clear(&filter);
    buffer_clear(&token);
}

static void
heartbeats_and_what_belongs_to_a_tap_are_left_out(void **state)
{
    struct fixture *f = *state;
    struct buffer token = with_a_tap(f, "bus:tap", everything);
    say(f, 3, (struct message){.kind = KIND_HEARTBEAT});
    struct uuid id = tap(f, 1, buffer_text(&token), everything);
    struct chunk beginning = take_chunk(f, 1);
    struct chunk chunk = take_chunk(f, 1);
    assert_int_equal(beginning.count, 0);
    assert_true(says(&chunk.records[0], "type", "tap")); /* another one's request */
    say(f, 1,
        (struct message){
            .kind = KIND_CONTROL, .correlation = id, .type = text_of("credit"), .seq = 1});
    assert_true(has_nothing(f, 1));
    buffer_clear(&token);
}

/* ---- rights */

static void
refuse_tap(struct fixture *f, struct text token, struct bytes filter, enum status status,
           const char *word)
{
    size_t before = audited(f, "tap.refused", word);
    tap(f, 1, token, filter);
    assert_refused(take_kind(f, 1, KIND_REPLY), status, word);
    assert_int_equal(audited(f, "tap.refused", word), before + 1);
    advance_ms(f, 1000);
}

static void
a_tap_needs_a_token_of_its_own_for_this_action(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, false);
    struct river stranger = river;
    stranger.secret_key.bytes[3] ^= 1;
    struct buffer others = river_token(f, &river, "agent:river", "bus:tap", "bus:*");
    struct buffer action = river_token(f, &river, "agent:kasra", "bus:publish", "bus:*");
    struct buffer forged = river_token(f, &stranger, "agent:kasra", "bus:tap", "bus:*");
    join_greeted(f, 1, "agent:kasra");

    refuse_tap(f, NO_TOKEN, everything, STATUS_CAPABILITY_MISSING, "missing_capability");
    refuse_tap(f, buffer_text(&others), everything, STATUS_SCOPE_DENIED,
               "capability_subject_mismatch");
    refuse_tap(f, buffer_text(&action), everything, STATUS_SCOPE_DENIED, "scope_denied");
    refuse_tap(f, buffer_text(&forged), everything, STATUS_TOKEN_INVALID, "token_invalid");
    refuse_tap(f, text_of("{\"id\":1}"), everything, STATUS_INVALID, "invalid_capability_payload");
    tap(f, 1, text_of("cap_0123456789ab"), everything);
    assert_true(take_kind(f, 1, KIND_REPLY)->status != STATUS_OK);
    buffer_clear(&others);
    buffer_clear(&action);
    buffer_clear(&forged);
}

static void
payloads_need_a_right_of_their_own(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, false);
    struct buffer headers = river_token(f, &river, "agent:kasra", "bus:tap", "bus:*");
    struct buffer exact = river_token(f, &river, "agent:kasra", "bus:tap", "bus:tap");
    struct buffer bodies = river_token(f, &river, "agent:kasra", "bus:payload", "bus:*");
    join_greeted(f, 1, "agent:kasra");
    refuse_tap(f, buffer_text(&headers), payloads, STATUS_SCOPE_DENIED, "scope_denied");
    refuse_tap(f, buffer_text(&bodies), everything, STATUS_SCOPE_DENIED, "scope_denied");

    open_tap(f, 1, buffer_text(&bodies), payloads);
    open_tap(f, 1, buffer_text(&exact), everything);
    assert_int_equal(f->tap->open, 2);
    assert_int_equal(audited(f, "tap.started", "\"action\":\"bus:payload\""), 1);
    buffer_clear(&headers);
    buffer_clear(&exact);
    buffer_clear(&bodies);
}

static void
a_peer_that_acts_for_others_taps_with_their_token(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, false);
    struct buffer token = river_token(f, &river, "user:ana", "bus:tap", "bus:*");
    join(f, 1, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 1);
    say(f, 1,
        (struct message){.kind = KIND_REQUEST,
                         .flags = MESSAGE_STREAM,
                         .target = text_of("service:bus"),
                         .type = text_of("tap"),
                         .principal = text_of("user:local"),
                         .capability = buffer_text(&token)});
    fixture_tap_run(f);
    assert_int_equal(f->tap->open, 1);
    assert_int_equal(audited(f, "tap.started", "\"subject\":\"user:ana\""), 1);
    buffer_clear(&token);
}

static void
a_filter_that_cannot_be_right_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buffer header = filter_of("header", "(a");
    struct buffer status = filter_of("status", "fine");
    struct river river = river_trusted(f, false);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:tap", "bus:*");
    join_greeted(f, 1, "agent:kasra");
    refuse_tap(f, buffer_text(&token), buffer_bytes(&header), STATUS_INVALID, "bad_filter");
    refuse_tap(f, buffer_text(&token), buffer_bytes(&status), STATUS_INVALID, "bad_filter");
    buffer_clear(&header);
    buffer_clear(&status);
    buffer_clear(&token);
}

/* ---- payloads */

static void
with_payloads_they_are_shown_but_for_what_is_secret(void **state)
{
    struct fixture *f = *state;
    struct buffer token = with_a_tap(f, "bus:payload", payloads);
    struct buffer payload;
    struct value shown;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "content", "tea at five");
    pack_pair_string(&payload, "capability", "a token");
    ask_typed(f, 3, "memory_store", NO_TOKEN, buffer_bytes(&payload));
    struct chunk chunk = take_chunk(f, 1);
    assert_true(value_find(&chunk.records[0], "payload", &shown));
    assert_true(says(&shown, "content", "tea at five"));
    assert_true(says(&shown, "capability", "[redacted]"));
    assert_true(says(&chunk.records[0], "note", "redacted"));

    ask_typed(f, 3, "memory_store", NO_TOKEN, (struct bytes){(const uint8_t *)"\x82\x01", 2});
    chunk = take_chunk(f, 1);
    assert_true(value_find(&chunk.records[0], "payload", &shown));
    assert_int_equal(uint_in(&shown, "unreadable"), 2);

    buffer_reset(&payload);
    static const uint8_t much[60000];
    pack_bin(&payload, much, sizeof much);
    ask_typed(f, 3, "memory_store", NO_TOKEN, buffer_bytes(&payload));
    chunk = take_chunk(f, 1);
    assert_true(value_find(&chunk.records[0], "payload", &shown));
    assert_int_equal(uint_in(&shown, "too_large"), payload.size);
    buffer_clear(&payload);
    buffer_clear(&token);
}

static void
without_that_right_no_payload_leaves_the_routing_thread(void **state)
{
    struct fixture *f = *state;
    struct value shown;
    struct buffer token = with_a_tap(f, "bus:tap", everything);
    ask_typed(f, 3, "memory_store", NO_TOKEN, (struct bytes){(const uint8_t *)"\xa6secret", 7});
    struct chunk chunk = take_chunk(f, 1);
    assert_false(value_find(&chunk.records[0], "payload", &shown));
    assert_null(memmem(f->received.payload.data, f->received.payload.size, "secret", 6));
    assert_int_equal(f->tap->payload_bytes, 0);
    buffer_clear(&token);
}

/* ---- audit */

static void
a_tap_begins_when_its_line_is_on_disk_and_its_end_is_audited(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, false);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:tap", "bus:*");
    struct buffer filter = filter_of("source", "agent:*");
    join_greeted(f, 1, "agent:kasra");
    f->tap->audit_holds = true;
    struct uuid id = tap(f, 1, buffer_text(&token), buffer_bytes(&filter));
    assert_int_equal(audited(f, "tap.started", "headers source=agent:*"), 1);
    assert_int_equal(f->tap->open, 0);

    assert_true(has_nothing(f, 1));

    core_audited(f->core, f->tap->ticket, true, f->now);
    assert_int_equal(f->tap->open, 1);
    assert_int_equal(take_chunk(f, 1).count, 0);
    say(f, 1, (struct message){.kind = KIND_CANCEL, .correlation = id});
    assert_int_equal(f->tap->open, 0);
    assert_int_equal(audited(f, "tap.ended", "0 records shown, 0 left out"), 1);
    buffer_clear(&filter);
    buffer_clear(&token);
}

static void
a_tap_whose_line_cannot_be_written_is_refused(void **state)
{
    struct fixture *f = *state;
    struct river river = river_trusted(f, false);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:tap", "bus:*");
    join_greeted(f, 1, "agent:kasra");
    f->tap->audit_holds = true;
    tap(f, 1, buffer_text(&token), everything);
    core_audited(f->core, f->tap->ticket, false, f->now);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_STORE_FAILED, "not_audited");
    f->tap->audit_full = true;
    tap(f, 1, buffer_text(&token), everything);
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_STORE_FAILED, "not_audited");
    assert_int_equal(f->tap->open, 0);
    core_audited(f->core, f->tap->ticket, true, f->now); /* nobody's any more */
    assert_int_equal(f->tap->open, 0);
    buffer_clear(&token);
}

static void
forged_sources_and_cuts_are_audited(void **state)
{
    struct fixture *f = *state;
    join_greeted(f, 1, "agent:kasra");
    say(f, 1, (struct message){.kind = KIND_REQUEST, .source = text_of("agent:river")});
    assert_int_equal(audited(f, "source_forged", "\"subject\":\"agent:river\""), 1);
    say(f, 1, (struct message){.kind = KIND_REQUEST, .principal = text_of("agent:river")});
    assert_int_equal(audited(f, "principal_not_allowed", "\"actor\":\"agent:kasra\""), 1);
    core_misbehaved(f->core, 1, "several_frames", f->now);
    assert_int_equal(audited(f, "peer.cut", "several_frames"), 1);
}

/* ---- what does not keep up */

static void
a_tap_that_gives_no_credit_loses_records_and_is_told_how_many(void **state)
{
    struct fixture *f = *state;
    f->options.stream_credit = 1;
    struct buffer token = with_a_tap(f, "bus:tap", everything);
    struct uuid id = f->last_id;
    uint64_t shown = 0;
    for (int i = 0; i < 100; i++) {
        for (int j = 0; j < 40; j++) {
            struct message request = {.kind = KIND_REQUEST,
                                      .target = text_of("service:memory"),
                                      .type = text_of("memory_store"),
                                      .ttl_ms = 1000};
            add_record(f, 3, request);
        }
        deliver(f, 3);
        while (f->outboxes[2].read < f->outboxes[2].count)
            take(f, 2);
        advance_ms(f, 1);
    }
    struct chunk chunk;
    uint64_t dropped = 0;
    double lost = 0;
    assert_true(has_nothing(f, 1)); /* its credit went with its beginning */
    say(f, 1,
        (struct message){
            .kind = KIND_CONTROL, .correlation = id, .type = text_of("credit"), .seq = 1});
    do {
        struct value payload, list;
        assert_true(value_parse(take_kind(f, 1, KIND_CHUNK)->payload, &payload));
        assert_true(value_find(&payload, "records", &list));
        assert_true(f->received.payload.size <= CHUNK_SIZE_MAX);
        chunk.dropped = uint_in(&payload, "dropped");
        dropped += chunk.dropped;
        shown += list.as.count;
        lost = count_of(f, "sos_bus_tap_dropped_total ");
        say(f, 1,
            (struct message){
                .kind = KIND_CONTROL, .correlation = id, .type = text_of("credit"), .seq = 1});
    } while (!has_nothing(f, 1));
    assert_true(dropped > 0);
    assert_true((double)dropped == lost);
    assert_true(shown + dropped >= 4000);
    buffer_clear(&token);
}

static void
what_the_queue_does_not_take_is_counted_and_told(void **state)
{
    struct fixture *f = *state;
    struct buffer token = with_a_tap(f, "bus:tap", everything);
    f->tap->full = true;
    ask(f, 3, "memory", 0, 0);
    ask(f, 3, "memory", 0, 0);
    assert_true(has_nothing(f, 1));
    assert_true(count_of(f, "sos_bus_tap_dropped_total ") == 2);
    f->tap->full = false;
    ask(f, 3, "memory", 0, 0);
    struct chunk chunk = take_chunk(f, 1);
    assert_int_equal(chunk.count, 1);
    assert_int_equal(chunk.dropped, 2);

    f->tap->full = true;
    ask(f, 3, "memory", 0, 0);
    f->tap->full = false;
    say(f, 1, (struct message){.kind = KIND_HEARTBEAT});
    say(f, 2, (struct message){.kind = KIND_HEARTBEAT});
    advance_ms(f, 1001); /* nothing passes, and it is told all the same */
    chunk = take_chunk(f, 1);
    assert_int_equal(chunk.count, 0);
    assert_int_equal(chunk.dropped, 1);
    buffer_clear(&token);
}

static void
taps_are_few_and_go_with_their_peer(void **state)
{
    struct fixture *f = *state;
    struct buffer filter = filter_of("source", "x");
    struct river river = river_trusted(f, false);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:tap", "bus:*");
    for (peer_number peer = 1; peer <= 4; peer++) {
        join_greeted(f, peer, "agent:kasra");
        open_tap(f, peer, buffer_text(&token), buffer_bytes(&filter));
        open_tap(f, peer, buffer_text(&token), buffer_bytes(&filter));
        tap(f, peer, buffer_text(&token), buffer_bytes(&filter));
        assert_refused(take_kind(f, peer, KIND_REPLY), STATUS_QUOTA_EXCEEDED, "quota_exceeded");
    }
    assert_int_equal(f->tap->open, 8);
    join_greeted(f, 5, "agent:kasra");
    tap(f, 5, buffer_text(&token), buffer_bytes(&filter));
    assert_refused(take_kind(f, 5, KIND_REPLY), STATUS_QUOTA_EXCEEDED, "quota_exceeded");

    core_disconnected(f->core, 1, f->now);
    assert_int_equal(f->tap->open, 6);
    open_tap(f, 5, buffer_text(&token), buffer_bytes(&filter));
    assert_true(has_nothing(f, 5));
    assert_int_equal(f->tap->open, 7);
    buffer_clear(&filter);
    buffer_clear(&token);
}

static void
who_shows_taps_to_others_may_run_more_of_them(void **state)
{
    struct fixture *f = *state;
    struct buffer filter = filter_of("source", "x");
    struct river river = river_trusted(f, false);
    struct buffer token = river_token(f, &river, "agent:kasra", "bus:tap", "bus:*");
    join(f, 1, "service:gateway", CORE_ACT_FOR_OTHERS);
    greet(f, 1);
    for (int i = 0; i <= GATE_TAPS; i++) {
        say(f, 1,
            (struct message){.kind = KIND_REQUEST,
                             .flags = MESSAGE_STREAM,
                             .target = text_of("service:bus"),
                             .type = text_of("tap"),
                             .principal = text_of("agent:kasra"),
                             .capability = buffer_text(&token),
                             .payload = buffer_bytes(&filter)});
        if (i < GATE_TAPS)
            take_chunk(f, 1);
    }
    assert_refused(take_kind(f, 1, KIND_REPLY), STATUS_QUOTA_EXCEEDED, "quota_exceeded");
    buffer_clear(&filter);
    buffer_clear(&token);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_tap_shows_what_passes_and_reduces_tokens_to_their_ids),
        TEST(a_reply_is_shown_with_its_status_and_the_type_of_its_request),
        TEST(filters_leave_out_what_does_not_match),
        TEST(the_cheap_sieve_keeps_what_cannot_match_from_the_queue),
        TEST(status_filters_show_replies_and_errors_only),
        TEST(refused_and_unreadable_records_are_shown),
        TEST(heartbeats_and_what_belongs_to_a_tap_are_left_out),
        TEST(a_tap_needs_a_token_of_its_own_for_this_action),
        TEST(payloads_need_a_right_of_their_own),
        TEST(a_peer_that_acts_for_others_taps_with_their_token),
        TEST(a_filter_that_cannot_be_right_is_refused),
        TEST(with_payloads_they_are_shown_but_for_what_is_secret),
        TEST(without_that_right_no_payload_leaves_the_routing_thread),
        TEST(a_tap_begins_when_its_line_is_on_disk_and_its_end_is_audited),
        TEST(a_tap_whose_line_cannot_be_written_is_refused),
        TEST(forged_sources_and_cuts_are_audited),
        TEST(a_tap_that_gives_no_credit_loses_records_and_is_told_how_many),
        TEST(what_the_queue_does_not_take_is_counted_and_told),
        TEST(taps_are_few_and_go_with_their_peer),
        TEST(who_shows_taps_to_others_may_run_more_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
