/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/session/exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/contract.h"
#include "kernel/pack.h"

/* A bus that remembers its last call, and a sink that remembers what it was told. */
struct world {
    struct bus bus;
    enum status refuse; /* what the next call returns */
    struct peer_request last;
    char metadata[300];
    size_t metadata_size;
    uint8_t next_id;
    unsigned calls, cancels, granted;
    struct uuid cancelled;
    struct exchanges *exchanges;

    unsigned replies, refusals;
    enum status status;
    struct buffer chunks;
    bool full;
};

static enum status
call(void *context, const struct peer_request *request, struct uuid *id, struct error *error)
{
    struct world *world = context;
    (void)error;
    if (world->refuse != STATUS_OK)
        return world->refuse;
    world->last = *request;
    world->metadata_size = request->metadata.size;
    if (request->metadata.size > 0)
        memcpy(world->metadata, request->metadata.data, request->metadata.size);
    memset(id, 0, sizeof *id);
    id->bytes[0] = ++world->next_id;
    world->calls++;
    return STATUS_OK;
}

static void
cancel(void *context, const struct uuid *id)
{
    struct world *world = context;
    world->cancels++;
    world->cancelled = *id;
}

static void
grant(void *context, const struct uuid *id, uint32_t chunks)
{
    struct world *world = context;
    (void)id;
    world->granted += chunks;
}

static void
sink_reply(void *context, struct bytes payload)
{
    struct world *world = context;
    (void)payload;
    world->replies++;
}

static void
sink_refuse(void *context, enum status status, struct bytes payload)
{
    struct world *world = context;
    (void)payload;
    world->refusals++;
    world->status = status;
}

static enum status
sink_chunk(void *context, struct bytes payload)
{
    struct world *world = context;
    struct value value;
    assert_true(value_parse(payload, &value));
    buffer_append_text(&world->chunks, value.as.text);
    return world->full ? STATUS_BUSY : STATUS_OK;
}

static const struct exchange_sink sink = {sink_reply, sink_refuse, sink_chunk};

static int
setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->bus = (struct bus){call, cancel, grant, NULL, world};
    world->exchanges = exchanges_new(&world->bus);
    assert_non_null(world->exchanges);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    exchanges_destroy(&world->exchanges);
    buffer_clear(&world->chunks);
    free(world);
    return 0;
}

static exchange_handle
begin(struct world *world, bool stream)
{
    exchange_handle handle = 0;
    struct exchange_request request = {
        .service = "memory",
        .type = "memory_store",
        .flags = OPERATION_WRITE | OPERATION_IDEMPOTENT,
        .ttl_ms = 1000,
        .principal = text_of("user:local"),
        .idempotency_key = text_of("key"),
        .stream = stream,
        .sink = &sink,
        .context = world,
    };
    assert_int_equal(exchange_begin(world->exchanges, &request, &handle, NULL), STATUS_OK);
    assert_true(handle != 0);
    return handle;
}

static void
reply(struct world *world, enum status status)
{
    world->last.on_reply(world->last.context, &(struct peer_answer){.status = status});
}

static void
chunk(struct world *world, const char *text)
{
    struct buffer payload = {0};
    pack_string(&payload, text);
    struct message message = {.kind = KIND_CHUNK, .payload = buffer_bytes(&payload)};
    world->last.on_chunk(world->last.context, &message);
    buffer_clear(&payload);
}

static void
the_call_carries_target_flags_and_key(void **state)
{
    struct world *w = *state;
    struct value map;
    struct text key;
    begin(w, true);
    assert_int_equal(w->last.kind, KIND_REQUEST);
    assert_int_equal(w->last.flags, MESSAGE_STREAM | MESSAGE_WRITE | MESSAGE_IDEMPOTENT);
    assert_true(value_parse((struct bytes){(const uint8_t *)w->metadata, w->metadata_size}, &map));
    assert_true(value_find_text(&map, "idempotency_key", &key));
    assert_true(text_equal_string(key, "key"));
    begin(w, false);
    assert_null(w->last.on_chunk);
    assert_int_equal(exchanges_count(w->exchanges), 2);
}

static void
a_reply_ends_the_exchange(void **state)
{
    struct world *w = *state;
    exchange_handle handle = begin(w, false);
    reply(w, STATUS_OK);
    assert_int_equal(w->replies, 1);
    assert_int_equal(exchanges_count(w->exchanges), 0);
    exchange_abandon(w->exchanges, handle);
    assert_int_equal(w->cancels, 0);
}

static void
an_old_handle_never_reaches_the_next_user_of_its_slot(void **state)
{
    struct world *w = *state;
    exchange_handle old = begin(w, false);
    reply(w, STATUS_NOT_FOUND);
    assert_int_equal(w->refusals, 1);
    exchange_handle fresh = begin(w, false);
    assert_true(old != fresh);
    exchange_abandon(w->exchanges, old);
    assert_int_equal(w->cancels, 0);
    exchange_abandon(w->exchanges, fresh);
    assert_int_equal(w->cancels, 1);
    assert_int_equal(w->cancelled.bytes[0], 2);
    assert_int_equal(exchanges_count(w->exchanges), 0);
}

static void
an_answer_after_leaving_is_ignored(void **state)
{
    struct world *w = *state;
    exchange_abandon(w->exchanges, begin(w, false));
    reply(w, STATUS_OK);
    assert_int_equal(w->replies, 0);
}

static void
credit_is_given_for_what_has_left(void **state)
{
    struct world *w = *state;
    exchange_handle handle = begin(w, true);
    chunk(w, "a");
    chunk(w, "b");
    assert_int_equal(w->granted, 0);
    exchange_drained(w->exchanges, handle);
    assert_int_equal(w->granted, 2);
    exchange_drained(w->exchanges, handle);
    assert_int_equal(w->granted, 2);
    reply(w, STATUS_OK);
    assert_int_equal(w->replies, 1);
    assert_true(text_equal_string(buffer_text(&w->chunks), "ab"));
}

static void
a_stream_that_cannot_be_held_is_cancelled_and_refused(void **state)
{
    struct world *w = *state;
    begin(w, true);
    chunk(w, "a");
    w->full = true;
    chunk(w, "b");
    assert_int_equal(w->cancels, 1);
    assert_int_equal(w->refusals, 1);
    assert_int_equal(w->status, STATUS_BUSY);
    assert_int_equal(exchanges_count(w->exchanges), 0);
}

static void
a_call_that_the_bus_refuses_leaves_nothing_behind(void **state)
{
    struct world *w = *state;
    exchange_handle handle = 0;
    struct exchange_request request = {
        .service = "memory", .type = "x", .ttl_ms = 1, .sink = &sink, .context = w};
    w->refuse = STATUS_TOO_LARGE;
    assert_int_equal(exchange_begin(w->exchanges, &request, &handle, NULL), STATUS_TOO_LARGE);
    assert_int_equal(handle, 0);
    assert_int_equal(exchanges_count(w->exchanges), 0);
}

static void
ending_answers_everything(void **state)
{
    struct world *w = *state;
    begin(w, false);
    begin(w, true);
    chunk(w, "a");
    exchanges_end(w->exchanges, STATUS_UNAVAILABLE, NULL);
    assert_int_equal(w->refusals, 2);
    assert_int_equal(w->status, STATUS_UNAVAILABLE);
    assert_int_equal(w->cancels, 2);
    assert_int_equal(exchanges_count(w->exchanges), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_call_carries_target_flags_and_key),
        TEST(a_reply_ends_the_exchange),
        TEST(an_old_handle_never_reaches_the_next_user_of_its_slot),
        TEST(an_answer_after_leaving_is_ignored),
        TEST(credit_is_given_for_what_has_left),
        TEST(a_stream_that_cannot_be_held_is_cancelled_and_refused),
        TEST(a_call_that_the_bus_refuses_leaves_nothing_behind),
        TEST(ending_answers_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
