/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/session/feed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "contracts/bus.h"
#include "gateway/websocket.h"
#include "kernel/message.h"
#include "kernel/pack.h"

enum { CALLS_MAX = 128 };

/* One call on the bus that the test plays. */
struct asked {
    char type[32];
    struct buffer payload; /* as JSON */
    struct buffer capability;
    char principal[32];
    struct peer_request request;
    struct uuid id;
    bool cancelled;
    uint32_t granted;
};

struct world {
    struct bus bus;
    struct exchanges *exchanges;
    struct json_parser *parser;
    struct feed *feed;
    struct asked asked[CALLS_MAX];
    size_t count;
    enum status refuse;
    struct buffer said; /* one message a line */
    bool full;
    unsigned code; /* of the end */
    char reason[128];
};

static enum status
call(void *context, const struct peer_request *request, struct uuid *id, struct error *error)
{
    struct world *world = context;
    if (world->refuse != STATUS_OK && !text_equal_string(request->type, "health_check")) {
        error_set(error, "refused by the test");
        return world->refuse;
    }
    assert_true(world->count < CALLS_MAX);
    struct asked *asked = &world->asked[world->count++];
    snprintf(asked->type, sizeof asked->type, "%.*s", TEXT_ARGS(request->type));
    snprintf(asked->principal, sizeof asked->principal, "%.*s", TEXT_ARGS(request->principal));
    if (request->payload.size > 0)
        assert_int_equal(msgpack_to_json(request->payload, &asked->payload, NULL), STATUS_OK);
    buffer_append_byte(&asked->payload, 0);
    buffer_append_text(&asked->capability, request->capability);
    buffer_append_byte(&asked->capability, 0);
    asked->request = *request;
    asked->id.bytes[0] = (uint8_t)world->count;
    *id = asked->id;
    return STATUS_OK;
}

static struct asked *
find(struct world *world, const struct uuid *id)
{
    for (size_t i = 0; i < world->count; i++)
        if (uuid_equal(&world->asked[i].id, id))
            return &world->asked[i];
    fail();
    return NULL;
}

static void
cancel(void *context, const struct uuid *id)
{
    find(context, id)->cancelled = true;
}

static void
grant(void *context, const struct uuid *id, uint32_t chunks)
{
    find(context, id)->granted += chunks;
}

static bool
say(void *context, struct text message)
{
    struct world *world = context;
    if (world->full)
        return false;
    buffer_append_text(&world->said, message);
    buffer_append_byte(&world->said, '\n');
    return true;
}

static void
end(void *context, unsigned code, const char *reason)
{
    struct world *world = context;
    assert_int_equal(world->code, 0);
    world->code = code;
    snprintf(world->reason, sizeof world->reason, "%s", reason);
}

static int
setup(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    world->bus = (struct bus){call, cancel, grant, NULL, world};
    world->exchanges = exchanges_new(&world->bus);
    world->parser = json_parser_new();
    assert_non_null(world->exchanges);
    assert_non_null(world->parser);
    *state = world;
    return 0;
}

static int
teardown(void **state)
{
    struct world *world = *state;
    feed_destroy(&world->feed);
    assert_int_equal(exchanges_count(world->exchanges), 0);
    exchanges_destroy(&world->exchanges);
    json_parser_destroy(&world->parser);
    for (size_t i = 0; i < CALLS_MAX; i++) {
        buffer_clear(&world->asked[i].payload);
        buffer_clear(&world->asked[i].capability);
    }
    buffer_clear(&world->said);
    free(world);
    return 0;
}

static void
json_to_bytes(struct world *world, const char *json, struct buffer *out)
{
    assert_int_equal(json_to_msgpack(world->parser, text_of(json), out, NULL), STATUS_OK);
}

static void
open_feed(struct world *world, const char *type, const char *agent, const char *arguments,
          const char *capability)
{
    struct buffer packed = {0};
    json_to_bytes(world, arguments, &packed);
    world->feed = feed_new(&(struct feed_options){
        .exchanges = world->exchanges,
        .parser = world->parser,
        .bus = &bus_contract,
        .operation = contract_operation(&bus_contract, text_of(type)),
        .principal = text_of("user:local"),
        .agent = text_of(agent),
        .arguments = buffer_bytes(&packed),
        .capability = text_of(capability),
        .say = say,
        .end = end,
        .context = world,
    });
    buffer_clear(&packed);
    assert_non_null(world->feed);
    feed_begin(world->feed);
}

static void
open_nervous(struct world *world)
{
    open_feed(world, "bus_listen", "agent:a", "{\"agent_id\":\"agent:a\"}", "");
    assert_int_equal(world->count, 2);
}

static void
reply(struct world *world, struct asked *asked, const char *json)
{
    struct buffer packed = {0};
    json_to_bytes(world, json, &packed);
    asked->request.on_reply(
        asked->request.context,
        &(struct peer_answer){.status = STATUS_OK, .payload = buffer_bytes(&packed)});
    buffer_clear(&packed);
}

static void
refuse(struct asked *asked, enum status status, const char *message)
{
    struct error error = ERROR_INIT;
    struct buffer packed = {0};
    error_set(&error, "%s", message);
    error_pack(&packed, status, &error);
    asked->request.on_reply(
        asked->request.context,
        &(struct peer_answer){.status = status, .payload = buffer_bytes(&packed)});
    buffer_clear(&packed);
}

static void
chunk(struct world *world, struct asked *asked, const char *json)
{
    struct buffer packed = {0};
    json_to_bytes(world, json, &packed);
    struct message message = {.kind = KIND_CHUNK, .payload = buffer_bytes(&packed)};
    asked->request.on_chunk(asked->request.context, &message);
    buffer_clear(&packed);
}

static void
receive(struct world *world, const char *message)
{
    feed_receive(world->feed, text_of(message));
}

/* What was said since the last time. */
static void
expect_said(struct world *world, const char *expected)
{
    buffer_append_byte(&world->said, 0);
    assert_string_equal((const char *)world->said.data, expected);
    buffer_reset(&world->said);
}

static void
expect_error(struct world *world, const char *of, const char *word)
{
    char wanted[128];
    snprintf(wanted, sizeof wanted, "{\"kind\":\"error\",\"of\":\"%s\"", of);
    buffer_append_byte(&world->said, 0);
    const char *said = (const char *)world->said.data;
    assert_non_null(strstr(said, wanted));
    snprintf(wanted, sizeof wanted, "\"ok\":false,\"detail\":\"%s\",\"error\":{\"code\":", word);
    assert_non_null(strstr(said, wanted));
    buffer_reset(&world->said);
}

/* A token as its text: nobody here looks at its signature. */
#define TOKEN(action)                                                                              \
    "{\"id\":\"cap_1\",\"subject\":\"agent:a\",\"action\":\"" action                               \
    "\",\"resource\":\"*\",\"issued_at\":\"2026-01-01T00:00:00+00:00\",\"expires_at\":"            \
    "\"2036-01-01T00:00:00+00:00\",\"issuer\":\"river\",\"signature\":null}"

/* ---- listening */

static void
a_feed_listens_to_its_agent_and_the_global_channel(void **state)
{
    struct world *w = *state;
    open_feed(w, "bus_listen", "agent:a",
              "{\"agent_id\":\"agent:a\",\"window\":5,\"channels\":\"squad:x,squad:y\"}", "");
    assert_string_equal(w->asked[0].type, "bus_listen");
    assert_string_equal(w->asked[0].principal, "user:local");
    assert_int_equal(w->asked[0].request.flags, MESSAGE_STREAM);
    assert_string_equal(
        (char *)w->asked[0].payload.data,
        "{\"agent_id\":\"agent:a\",\"window\":5,\"inbox\":\"watch\",\"channels\":\"agent:a:*,"
        "squad:x,squad:y,system:events\"}");
    assert_string_equal(w->asked[1].type, "health_check");
    reply(w, &w->asked[1], "{}");
    expect_said(w, "{\"kind\":\"ready\",\"of\":\"listen\"}\n");
}

static void
each_message_and_event_is_one_object(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    chunk(w, &w->asked[0], "{}");
    expect_said(w, "{\"kind\":\"ready\",\"of\":\"listen\"}\n");
    chunk(w, &w->asked[0],
          "{\"mail\":[{\"id\":\"1\",\"payload\":{\"x\":[1,null]}},{\"id\":\"2\"}],"
          "\"events\":[{\"channel\":\"squad:x\",\"seq\":7},{}],\"dropped\":3}");
    expect_said(w, "{\"kind\":\"mail\",\"id\":\"1\",\"payload\":{\"x\":[1,null]}}\n"
                   "{\"kind\":\"mail\",\"id\":\"2\"}\n"
                   "{\"kind\":\"event\",\"channel\":\"squad:x\",\"seq\":7}\n"
                   "{\"kind\":\"event\"}\n"
                   "{\"kind\":\"dropped\",\"dropped\":3}\n");
    reply(w, &w->asked[1], "{}");
    expect_said(w, "");
}

static void
credit_goes_back_when_everything_has_left(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    chunk(w, &w->asked[0], "{}");
    chunk(w, &w->asked[0], "{}");
    assert_int_equal(w->asked[0].granted, 0);
    feed_drained(w->feed);
    assert_int_equal(w->asked[0].granted, 2);
}

static void
a_stream_whose_time_is_over_is_begun_anew(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    chunk(w, &w->asked[0], "{}");
    expect_said(w, "{\"kind\":\"ready\",\"of\":\"listen\"}\n");
    reply(w, &w->asked[0], "{}");
    assert_int_equal(w->count, 3);
    assert_string_equal(w->asked[2].type, "bus_listen");
    refuse(&w->asked[2], STATUS_TIMEOUT, "no answer in time");
    assert_int_equal(w->count, 4);
    assert_string_equal(w->asked[3].type, "bus_listen");
    expect_said(w, "");
    assert_int_equal(w->code, 0);
}

static void
a_lost_broker_is_told_and_ends_the_feed(void **state)
{
    static const struct {
        enum status status;
        unsigned code;
    } rows[] = {
        {STATUS_UNKNOWN_OUTCOME, 1012}, {STATUS_UNAVAILABLE, 1012}, {STATUS_BUSY, 1013},
        {STATUS_QUOTA_EXCEEDED, 1013},  {STATUS_INTERNAL, 1011},    {STATUS_VALIDATION, 1008},
        {STATUS_INVALID, 1008}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        void *fresh = NULL;
        (void)state;
        setup(&fresh);
        struct world *w = fresh;
        open_nervous(w);
        refuse(&w->asked[0], rows[i].status, "because");
        expect_error(w, "listen", status_word(rows[i].status));
        assert_int_equal(w->code, rows[i].code);
        assert_string_equal(w->reason, status_word(rows[i].status));
        assert_true(w->asked[1].cancelled);
        receive(w, "{\"send\":{}}");
        expect_said(w, "");
        teardown(&fresh);
    }
}

static void
a_bus_that_takes_no_call_ends_the_feed(void **state)
{
    struct world *w = *state;
    w->refuse = STATUS_BUSY;
    open_feed(w, "bus_listen", "agent:a", "{\"agent_id\":\"agent:a\"}", "");
    expect_error(w, "listen", "service_busy");
    assert_int_equal(w->code, WEBSOCKET_TRY_LATER);
}

static void
a_client_that_takes_nothing_ends_the_feed(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    chunk(w, &w->asked[0], "{}");
    w->full = true;
    chunk(w, &w->asked[0], "{\"mail\":[{}]}");
    assert_true(w->asked[0].cancelled);
    assert_int_equal(w->code, WEBSOCKET_TRY_LATER);
}

/* ---- calls */

static void
a_call_speaks_for_the_feeds_agent_and_its_answer_bears_its_ref(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    receive(w,
            "{\"ref\":\"r1\",\"send\":{\"to\":\"agent:b\",\"payload\":[1],\"from\":\"agent:z\"}}");
    assert_int_equal(w->count, 3);
    assert_string_equal(w->asked[2].type, "bus_send");
    assert_int_equal(w->asked[2].request.flags, MESSAGE_WRITE | MESSAGE_IDEMPOTENT);
    assert_string_equal((char *)w->asked[2].payload.data,
                        "{\"to\":\"agent:b\",\"payload\":[1],\"from\":\"agent:a\"}");
    reply(w, &w->asked[2], "{\"message_id\":\"m\"}");
    expect_said(w, "{\"kind\":\"result\",\"of\":\"send\",\"ref\":\"r1\",\"result\":{\"message_id\":"
                   "\"m\"}}\n");
}

static void
lists_of_ids_are_short_for_their_object(void **state)
{
    static const char *const verbs[] = {"ack", "nack", "extend"};
    struct world *w = *state;
    open_nervous(w);
    for (size_t i = 0; i < 3; i++) {
        char message[64];
        char type[32];
        snprintf(message, sizeof message, "{\"%s\":[\"i1\",\"i2\"]}", verbs[i]);
        snprintf(type, sizeof type, "bus_%s", verbs[i]);
        receive(w, message);
        assert_string_equal(w->asked[2 + i].type, type);
        assert_string_equal((char *)w->asked[2 + i].payload.data,
                            "{\"ids\":[\"i1\",\"i2\"],\"agent_id\":\"agent:a\"}");
    }
    receive(w, "{\"nack\":{\"ids\":[\"i1\"],\"reason\":\"no\"}}");
    assert_string_equal((char *)w->asked[5].payload.data,
                        "{\"ids\":[\"i1\"],\"reason\":\"no\",\"agent_id\":\"agent:a\"}");
}

static void
a_refused_call_leaves_the_feed_as_it_is(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    receive(w, "{\"ref\":5,\"publish\":{\"channel\":\"squad:x\"}}");
    refuse(&w->asked[2], STATUS_FORBIDDEN, "no");
    buffer_append_byte(&w->said, 0);
    assert_string_equal((char *)w->said.data,
                        "{\"kind\":\"error\",\"of\":\"publish\",\"ref\":5,\"ok\":false,\"detail\":"
                        "\"forbidden\",\"error\":{\"code\":2002,\"message\":\"no\",\"detail\":"
                        "\"forbidden\",\"context\":{}}}\n");
    assert_int_equal(w->code, 0);
}

static void
messages_that_say_nothing_are_answered(void **state)
{
    static const char *const messages[] = {
        "",
        "x",
        "[]",
        "1",
        "null",
        "{}",
        "{\"ref\":1}",
        "{\"sing\":{}}",
        "{\"send\":{},\"publish\":{}}",
        "{\"send\":{},\"more\":1}",
        "{\"ref\":{},\"send\":{}}",
        "{\"ref\":[1],\"send\":{}}",
        "{\"send\":1}",
        "{\"send\":\"x\"}",
        "{\"send\":{},\"send\":{}}",
    };
    struct world *w = *state;
    open_nervous(w);
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        receive(w, messages[i]);
        buffer_append_byte(&w->said, 0);
        assert_non_null(strstr((char *)w->said.data, "\"detail\":\"invalid_request\""));
        buffer_reset(&w->said);
    }
    char long_ref[300];
    snprintf(long_ref, sizeof long_ref, "{\"ref\":\"%0200d\",\"send\":{}}", 0);
    receive(w, long_ref);
    expect_error(w, "message", "invalid_request");
    assert_int_equal(w->count, 2);
    assert_int_equal(w->code, 0);
}

static void
no_more_messages_are_taken_than_calls_may_be_under_way(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    size_t calls = 0;
    while (feed_takes_messages(w->feed)) {
        receive(w, "{\"publish\":{\"channel\":\"agent:a:x\"}}");
        assert_true(++calls < 100);
    }
    assert_int_equal(calls, 32);
    reply(w, &w->asked[2], "{}");
    assert_true(feed_takes_messages(w->feed));
}

/* ---- subscriptions */

static void
a_subscription_is_a_stream_of_its_own(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    receive(w, "{\"ref\":1,\"subscribe\":\"squad:*\"}");
    assert_int_equal(w->count, 4);
    assert_string_equal((char *)w->asked[2].payload.data,
                        "{\"agent_id\":\"agent:a\",\"inbox\":\"none\",\"channels\":\"squad:*\"}");
    chunk(w, &w->asked[2], "{\"events\":[{\"seq\":1}]}");
    expect_said(w, "{\"kind\":\"result\",\"of\":\"subscribe\",\"ref\":1,\"channel\":\"squad:*\","
                   "\"result\":{}}\n"
                   "{\"kind\":\"event\",\"seq\":1}\n");
    feed_drained(w->feed);
    assert_int_equal(w->asked[2].granted, 1);

    receive(w, "{\"subscribe\":\"squad:*\"}");
    expect_error(w, "subscribe", "already_exists");
    receive(w, "{\"ref\":2,\"unsubscribe\":\"squad:*\"}");
    expect_said(w, "{\"kind\":\"result\",\"of\":\"unsubscribe\",\"ref\":2,\"result\":{}}\n");
    assert_true(w->asked[2].cancelled);
    receive(w, "{\"unsubscribe\":\"squad:*\"}");
    expect_error(w, "unsubscribe", "not_found");
}

static void
a_refused_subscription_goes_alone(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    receive(w, "{\"ref\":1,\"subscribe\":\"squad:x\"}");
    refuse(&w->asked[2], STATUS_CAPABILITY_MISSING, "no capability");
    expect_error(w, "subscribe", "missing_capability");
    assert_int_equal(w->code, 0);
    receive(w, "{\"subscribe\":\"squad:x\"}");
    assert_int_equal(w->count, 6);
}

static void
subscriptions_are_bounded_and_name_one_channel(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    receive(w, "{\"subscribe\":\"squad:x,squad:y\"}");
    expect_error(w, "subscribe", "not_a_channel");
    receive(w, "{\"subscribe\":7}");
    expect_error(w, "subscribe", "not_a_channel");
    for (int i = 0; i < 16; i++) {
        char message[64];
        snprintf(message, sizeof message, "{\"subscribe\":\"squad:%d\"}", i);
        receive(w, message);
    }
    expect_said(w, "");
    receive(w, "{\"subscribe\":\"squad:more\"}");
    expect_error(w, "subscribe", "too_many_subscriptions");
}

/* ---- capabilities */

static void
a_feed_without_a_capability_waits_for_one(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    refuse(&w->asked[0], STATUS_CAPABILITY_MISSING, "needs one");
    expect_error(w, "listen", "missing_capability");
    assert_true(feed_awaits_capability(w->feed));
    assert_int_equal(w->code, 0);
    receive(w, "{\"ref\":9,\"capability\":" TOKEN("bus:receive") "}");
    expect_said(w, "{\"kind\":\"result\",\"of\":\"capability\",\"ref\":9,\"result\":{}}\n");
    assert_false(feed_awaits_capability(w->feed));
    assert_string_equal(w->asked[2].type, "bus_listen");
    assert_non_null(strstr((char *)w->asked[2].capability.data, "bus:receive"));
}

static void
each_call_shows_the_capability_of_its_action(void **state)
{
    struct world *w = *state;
    open_feed(w, "bus_listen", "agent:a", "{\"agent_id\":\"agent:a\"}", TOKEN("bus:receive"));
    receive(w, "{\"capability\":" TOKEN("bus:publish") "}");
    receive(w, "{\"publish\":{\"channel\":\"squad:x\"}}");
    receive(w, "{\"ack\":[\"x\"]}");
    receive(w, "{\"send\":{\"to\":\"agent:b\",\"capability\":" TOKEN("bus:send") "}}");
    assert_non_null(strstr((char *)w->asked[0].capability.data, "bus:receive"));
    assert_non_null(strstr((char *)w->asked[2].capability.data, "bus:publish"));
    assert_non_null(strstr((char *)w->asked[3].capability.data, "bus:receive"));
    assert_non_null(strstr((char *)w->asked[4].capability.data, "bus:send"));
    assert_string_equal((char *)w->asked[4].payload.data,
                        "{\"to\":\"agent:b\",\"from\":\"agent:a\"}");
}

static void
what_is_no_capability_is_refused(void **state)
{
    struct world *w = *state;
    open_nervous(w);
    receive(w, "{\"capability\":{\"id\":1}}");
    expect_error(w, "capability", "invalid_capability_payload");
    receive(w, "{\"capability\":\"x\"}");
    expect_error(w, "capability", "invalid_capability_payload");
    receive(w, "{\"send\":{\"to\":\"agent:b\",\"capability\":5}}");
    expect_error(w, "send", "invalid_capability_payload");
    for (int i = 0; i < 9; i++) {
        char message[512];
        snprintf(message, sizeof message,
                 "{\"capability\":{\"id\":\"c\",\"subject\":\"a\",\"action\":\"a:%d\",\"resource\":"
                 "\"*\",\"issued_at\":\"2026-01-01T00:00:00+00:00\",\"expires_at\":"
                 "\"2036-01-01T00:00:00+00:00\",\"issuer\":\"river\",\"signature\":null}}",
                 i);
        receive(w, message);
    }
    expect_error(w, "capability", "quota_exceeded");
}

static void
channels_that_the_inbox_token_does_not_cover_get_streams_of_their_own(void **state)
{
    struct world *w = *state;
    open_feed(w, "bus_listen", "agent:a", "{\"agent_id\":\"agent:a\",\"channels\":\"squad:x\"}",
              TOKEN("bus:receive"));
    receive(w, "{\"capability\":" TOKEN("bus:subscribe") "}");
    buffer_reset(&w->said);
    refuse(&w->asked[0], STATUS_SCOPE_DENIED, "not for squad:x");
    /* squad:x, system:events, each with its probe, and the feed's own anew */
    assert_int_equal(w->count, 8);
    assert_string_equal((char *)w->asked[2].payload.data,
                        "{\"agent_id\":\"agent:a\",\"inbox\":\"none\",\"channels\":\"squad:x\"}");
    assert_non_null(strstr((char *)w->asked[2].capability.data, "bus:subscribe"));
    assert_string_equal(
        (char *)w->asked[4].payload.data,
        "{\"agent_id\":\"agent:a\",\"inbox\":\"none\",\"channels\":\"system:events\"}");
    assert_string_equal(
        (char *)w->asked[6].payload.data,
        "{\"agent_id\":\"agent:a\",\"inbox\":\"watch\",\"channels\":\"agent:a:*\"}");
    assert_non_null(strstr((char *)w->asked[6].capability.data, "bus:receive"));
    expect_said(w, "");
    refuse(&w->asked[6], STATUS_SCOPE_DENIED, "not for that inbox");
    expect_error(w, "listen", "scope_denied");
    assert_true(feed_awaits_capability(w->feed));
}

static void
without_a_token_for_them_the_others_channels_are_refused_and_the_inbox_goes_on(void **state)
{
    struct world *w = *state;
    open_feed(w, "bus_listen", "agent:a", "{\"agent_id\":\"agent:a\"}", TOKEN("bus:receive"));
    refuse(&w->asked[0], STATUS_CAPABILITY_MISSING, "system:events needs one");
    expect_error(w, "subscribe", "missing_capability");
    assert_int_equal(w->count, 4);
    assert_string_equal(
        (char *)w->asked[2].payload.data,
        "{\"agent_id\":\"agent:a\",\"inbox\":\"watch\",\"channels\":\"agent:a:*\"}");
}

/* ---- the tap */

static void
a_tap_waits_for_its_capability(void **state)
{
    struct world *w = *state;
    open_feed(w, "tap", "", "{\"type\":\"chat*\"}", "");
    assert_int_equal(w->count, 0);
    assert_true(feed_awaits_capability(w->feed));
    receive(w, "{\"send\":{}}");
    expect_error(w, "send", "not_found");
    receive(w, "{\"subscribe\":\"squad:x\"}");
    expect_error(w, "subscribe", "not_found");
    receive(w, "{\"capability\":" TOKEN("bus:tap") "}");
    buffer_reset(&w->said);
    assert_string_equal(w->asked[0].type, "tap");
    assert_string_equal((char *)w->asked[0].payload.data, "{\"type\":\"chat*\"}");
    chunk(w, &w->asked[0], "{\"dropped\":2,\"records\":[{\"kind\":\"request\"}]}");
    expect_said(w, "{\"kind\":\"ready\",\"of\":\"tap\"}\n"
                   "{\"kind\":\"records\",\"dropped\":2,\"records\":[{\"kind\":\"request\"}]}\n");
}

static void
a_tap_that_is_refused_may_show_another_capability(void **state)
{
    struct world *w = *state;
    open_feed(w, "tap", "", "{}", TOKEN("bus:tap"));
    refuse(&w->asked[0], STATUS_TOKEN_EXPIRED, "expired");
    expect_error(w, "tap", "token_expired");
    assert_true(feed_awaits_capability(w->feed));
    receive(w, "{\"capability\":" TOKEN("bus:tap") "}");
    assert_int_equal(w->count, 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_feed_listens_to_its_agent_and_the_global_channel),
        TEST(each_message_and_event_is_one_object),
        TEST(credit_goes_back_when_everything_has_left),
        TEST(a_stream_whose_time_is_over_is_begun_anew),
        TEST(a_lost_broker_is_told_and_ends_the_feed),
        TEST(a_bus_that_takes_no_call_ends_the_feed),
        TEST(a_client_that_takes_nothing_ends_the_feed),
        TEST(a_call_speaks_for_the_feeds_agent_and_its_answer_bears_its_ref),
        TEST(lists_of_ids_are_short_for_their_object),
        TEST(a_refused_call_leaves_the_feed_as_it_is),
        TEST(messages_that_say_nothing_are_answered),
        TEST(no_more_messages_are_taken_than_calls_may_be_under_way),
        TEST(a_subscription_is_a_stream_of_its_own),
        TEST(a_refused_subscription_goes_alone),
        TEST(subscriptions_are_bounded_and_name_one_channel),
        TEST(a_feed_without_a_capability_waits_for_one),
        TEST(each_call_shows_the_capability_of_its_action),
        TEST(what_is_no_capability_is_refused),
        TEST(channels_that_the_inbox_token_does_not_cover_get_streams_of_their_own),
        TEST(without_a_token_for_them_the_others_channels_are_refused_and_the_inbox_goes_on),
        TEST(a_tap_waits_for_its_capability),
        TEST(a_tap_that_is_refused_may_show_another_capability),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
