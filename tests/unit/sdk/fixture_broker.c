/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_broker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum { TURNS_MAX = 4000, TURN_US = 2000, POLL_MS = 5 };

static struct now
read_clock(void *context)
{
    const struct fixture *f = context;
    return (struct now){f->time_us, 1700000000000000u + f->time_us};
}

static void
drop_line(void *context, enum log_level level, struct text line)
{
    (void)context;
    (void)level;
    (void)line;
}

int
fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->time_us = 1000000;
    f->clock = (struct clock){read_clock, f};
    f->logger = (struct logger){
        .service = "test", .level = LOG_FATAL, .clock = &f->clock, .sink = drop_line};
    f->epoch = 7;
    f->requests_max = 4096;
    f->greets = true;
    buffer_init(&f->last_record);

    curve_keys_make(&f->broker_keys);
    curve_keys_make(&f->connection.keys);
    memcpy(f->connection.broker_public_key, f->broker_keys.public_key, CURVE_KEY_TEXT_SIZE);
    strcpy(f->connection.identity, "agent:kasra");

    f->context = zmq_ctx_new();
    f->router = zmq_socket(f->context, ZMQ_ROUTER);
    int on = 1;
    int linger = 0;
    int receive_limit = 32; /* as the broker's: what it does not read waits with the peer */
    zmq_setsockopt(f->router, ZMQ_RCVHWM, &receive_limit, sizeof receive_limit);
    zmq_setsockopt(f->router, ZMQ_CURVE_SERVER, &on, sizeof on);
    zmq_setsockopt(f->router, ZMQ_ROUTER_MANDATORY, &on, sizeof on);
    zmq_setsockopt(f->router, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(f->router, ZMQ_CURVE_SECRETKEY, f->broker_keys.secret_key, CURVE_KEY_TEXT_SIZE);
    assert_int_equal(zmq_bind(f->router, "tcp://127.0.0.1:*"), 0);
    size_t size = sizeof f->connection.endpoint;
    zmq_getsockopt(f->router, ZMQ_LAST_ENDPOINT, f->connection.endpoint, &size);
    *state = f;
    return 0;
}

int
fixture_teardown(void **state)
{
    struct fixture *f = *state;
    peer_close(&f->peer);
    fixture_forget(f);
    buffer_clear(&f->last_record);
    if (f->router)
        zmq_close(f->router);
    if (f->zap)
        zmq_close(f->zap);
    zmq_ctx_term(f->context);
    free(f);
    return 0;
}

/* ---- the broker's side */

struct message
fixture_message(struct fixture *f, enum kind kind, const struct uuid *correlation)
{
    struct message message = {.version = MESSAGE_VERSION, .kind = kind};
    message.id.bytes[0] = 1;
    message.id.bytes[15] = 1;
    if (correlation)
        message.correlation = *correlation;
    message.source = text_of("service:bus");
    message.target = text_of(f->connection.identity);
    return message;
}

void
fixture_say(struct fixture *f, const struct message *message)
{
    struct buffer frame;
    buffer_init(&frame);
    assert_int_equal(message_encode(&frame, message, NULL), STATUS_OK);
    assert_true(zmq_send(f->router, f->route, f->route_size, ZMQ_SNDMORE) >= 0);
    assert_true(zmq_send(f->router, frame.data, frame.size, 0) >= 0);
    buffer_clear(&frame);
}

void
fixture_say_error(struct fixture *f, enum kind kind, const struct uuid *correlation,
                  enum status status, const char *word)
{
    struct error error;
    error_set_word(&error, word, "because of %s", word);
    struct buffer payload;
    buffer_init(&payload);
    error_pack(&payload, status, &error);
    struct message message = fixture_message(f, kind, correlation);
    message.status = (uint32_t)status;
    message.payload = buffer_bytes(&payload);
    fixture_say(f, &message);
    buffer_clear(&payload);
}

void
fixture_reply_text(struct fixture *f, const struct uuid *request, const char *text)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_string(&payload, text);
    struct message message = fixture_message(f, KIND_REPLY, request);
    message.payload = buffer_bytes(&payload);
    fixture_say(f, &message);
    buffer_clear(&payload);
}

void
fixture_welcome(struct fixture *f, const struct uuid *hello)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 7);
    pack_pair_uint(&payload, "version", MESSAGE_VERSION);
    pack_pair_uint(&payload, "epoch", f->epoch);
    pack_pair_uint(&payload, "record_max", RECORD_SIZE_MAX);
    pack_pair_uint(&payload, "frame_max", FRAME_SIZE_MAX);
    pack_pair_uint(&payload, "stream_credit", 32);
    pack_pair_uint(&payload, "requests_max", f->requests_max);
    pack_pair_uint(&payload, "heartbeat_ms", 1000);
    struct message message = fixture_message(f, KIND_HELLO, hello);
    message.payload = buffer_bytes(&payload);
    fixture_say(f, &message);
    buffer_clear(&payload);
}

void
fixture_require_hello(struct fixture *f)
{
    struct message control = fixture_message(f, KIND_CONTROL, NULL);
    control.type = text_of("hello_required");
    fixture_say(f, &control);
}

static void
greet(struct fixture *f, const struct message *message)
{
    if (message->kind == KIND_HELLO)
        fixture_welcome(f, &message->id);
    if (message->kind == KIND_HEARTBEAT) {
        struct message heartbeat = fixture_message(f, KIND_HEARTBEAT, NULL);
        fixture_say(f, &heartbeat);
    }
    if (message->kind == KIND_READY) {
        struct message ready = fixture_message(f, KIND_CONTROL, &message->id);
        ready.type = text_of("ready");
        fixture_say(f, &ready);
    }
}

static void
keep(struct fixture *f, const struct message *message)
{
    assert_true(f->seen_count < SEEN_MAX);
    struct seen *seen = &f->seen[f->seen_count++];
    buffer_init(&seen->record);
    buffer_append(&seen->record, message->raw.data, message->raw.size);
    size_t used;
    assert_int_equal(message_decode(&seen->message, buffer_bytes(&seen->record), &used, NULL),
                     STATUS_OK);
    if (f->greets)
        greet(f, &seen->message);
}

/* Takes everything that waits at the ROUTER. */
static void
hear(struct fixture *f)
{
    for (;;) {
        int size = zmq_recv(f->router, f->route, sizeof f->route, ZMQ_DONTWAIT);
        if (size < 0)
            return;
        f->route_size = (size_t)size;
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        assert_true(zmq_msg_recv(&frame, f->router, 0) >= 0);
        assert_false(zmq_msg_more(&frame));
        struct bytes bytes = {zmq_msg_data(&frame), zmq_msg_size(&frame)};
        while (bytes.size) {
            struct message message;
            struct error error;
            size_t used;
            if (message_decode(&message, bytes, &used, &error) != STATUS_OK)
                fail_msg("the peer sent a bad record: %s", error.message);
            keep(f, &message);
            bytes.data += used;
            bytes.size -= used;
        }
        zmq_msg_close(&frame);
    }
}

void
fixture_forget(struct fixture *f)
{
    for (size_t i = 0; i < f->seen_count; i++)
        buffer_clear(&f->seen[i].record);
    f->seen_count = 0;
}

/* ---- turns */

static void
turn(struct fixture *f)
{
    zmq_pollitem_t items[2] = {
        {.socket = f->router, .events = ZMQ_POLLIN},
        {.socket = f->peer ? peer_socket(f->peer) : NULL, .fd = -1, .events = ZMQ_POLLIN}};
    int count = f->peer ? 2 : 1;
    if (f->router)
        zmq_poll(items, count, POLL_MS);
    else
        zmq_poll(items + 1, count - 1, POLL_MS);
    f->time_us += TURN_US;
    if (f->peer)
        while (peer_process(f->peer))
            continue;
    if (f->router)
        hear(f);
}

void
fixture_until(struct fixture *f, bool (*holds)(const struct fixture *f, const void *argument),
              const void *argument)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        if (holds(f, argument))
            return;
        turn(f);
    }
    fail_msg("what the test waits for never came");
}

void
fixture_settle(struct fixture *f)
{
    for (int i = 0; i < 20; i++)
        turn(f);
}

static bool
state_is(const struct fixture *f, const void *argument)
{
    return peer_state(f->peer) == *(const enum peer_state *)argument;
}

void
fixture_until_state(struct fixture *f, enum peer_state state)
{
    fixture_until(f, state_is, &state);
}

static bool
is_answered(const struct fixture *f, const void *argument)
{
    (void)f;
    return ((const struct answered *)argument)->count > 0;
}

void
fixture_until_answered(struct fixture *f, const struct answered *answered)
{
    fixture_until(f, is_answered, answered);
}

size_t
fixture_count(const struct fixture *f, enum kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < f->seen_count; i++)
        count += f->seen[i].message.kind == kind;
    return count;
}

static bool
has_seen(const struct fixture *f, const void *argument)
{
    return fixture_count(f, *(const enum kind *)argument) > 0;
}

struct seen *
fixture_take(struct fixture *f, enum kind kind)
{
    fixture_until(f, has_seen, &kind);
    size_t at = 0;
    while (f->seen[at].message.kind != kind)
        at++;
    struct seen *seen = &f->seen[at];
    seen->message.kind = 0; /* taken */
    return seen;
}

/* ---- the peer's side */

static void
on_state(void *context, enum peer_state state)
{
    struct fixture *f = context;
    if (f->state_count < sizeof f->states / sizeof *f->states)
        f->states[f->state_count++] = state;
}

static void
on_message(void *context, const struct message *message)
{
    struct fixture *f = context;
    f->message_count++;
    buffer_reset(&f->last_record);
    buffer_append(&f->last_record, message->raw.data, message->raw.size);
    size_t used;
    message_decode(&f->last_message, buffer_bytes(&f->last_record), &used, NULL);
    if (message->kind == KIND_REQUEST)
        peer_origin_of(&f->origin, message);
}

static void
on_bus(void *context, const struct message *message)
{
    struct fixture *f = context;
    assert_true(f->bus_count < sizeof f->bus_kinds / sizeof *f->bus_kinds);
    f->bus_kinds[f->bus_count] = message->kind;
    f->bus_seqs[f->bus_count++] = message->seq;
}

static void
open_peer(struct fixture *f, const struct peer_service *service)
{
    struct peer_options options = {
        .connection = &f->connection,
        .service = service,
        .callbacks = {on_message, on_state, f, f->hears_bus ? on_bus : NULL},
        .clock = &f->clock,
        .logger = &f->logger,
        .calls_max = 64,
    };
    struct error error = ERROR_INIT;
    if (peer_open(&f->peer, &options, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

void
fixture_open(struct fixture *f)
{
    open_peer(f, NULL);
}

void
fixture_open_service(struct fixture *f)
{
    strcpy(f->connection.identity, "service:memory");
    struct peer_service service = {.name = "memory",
                                   .single = true,
                                   .has_store = true,
                                   .store_uuid = {{1, 2, 3}},
                                   .store_epoch = 5,
                                   .requests_max = 128};
    open_peer(f, &service);
}

void
fixture_connect(struct fixture *f)
{
    fixture_open(f);
    fixture_until_state(f, PEER_READY);
}

void
fixture_connect_service(struct fixture *f)
{
    fixture_open_service(f);
    fixture_until_state(f, PEER_READY);
}

static void
on_reply(void *context, const struct peer_answer *answer)
{
    struct answered *answered = context;
    answered->count++;
    answered->status = answer->status;
    struct value value;
    struct error error = ERROR_INIT;
    assert_true(value_parse(answer->payload, &value));
    if (answer->status == STATUS_OK && value.type == VALUE_TEXT) {
        snprintf(answered->text, sizeof answered->text, "%.*s", TEXT_ARGS(value.as.text));
    } else {
        error_unpack(answer->payload, &error);
        snprintf(answered->text, sizeof answered->text, "%.120s", error.message);
    }
}

static void
on_chunk(void *context, const struct message *chunk)
{
    struct answered *answered = context;
    answered->chunks++;
    answered->last_seq = chunk->seq;
}

struct peer_request
fixture_request(const char *type, struct bytes payload, struct answered *answered)
{
    return (struct peer_request){
        .kind = KIND_REQUEST,
        .target = text_of("service:memory"),
        .type = text_of(type),
        .payload = payload,
        .ttl_ms = 60000,
        .on_reply = on_reply,
        .context = answered,
    };
}

struct uuid
fixture_call(struct fixture *f, const char *text, uint32_t flags, uint32_t ttl_ms,
             struct answered *answered)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_string(&payload, text);
    struct peer_request request = fixture_request("memory_query", buffer_bytes(&payload), answered);
    request.flags = flags;
    request.ttl_ms = ttl_ms;
    request.on_chunk = (flags & MESSAGE_STREAM) ? on_chunk : NULL;
    struct uuid id;
    struct error error = ERROR_INIT;
    if (peer_call(f->peer, &request, &id, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    buffer_clear(&payload);
    return id;
}
