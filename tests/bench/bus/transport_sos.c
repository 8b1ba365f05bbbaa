/* SPDX-License-Identifier: Apache-2.0 */
/* SOS over CURVE through a real broker: requests to service:bench, events on channels of
 * agent:bench. Durable: a client sends to an inbox of its own that nobody empties, a publisher to
 * the one of agent:bench. --address is not looked at: --keys is a connection file. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "load.h"
#include "platform/system_clock.h"
#include "sdk/c/peer.h"

enum {
    TTL_MS = 30000,
    WAIT_MS = 100,
    SAID_MAX = 4096, /* a power of two: durable messages without their ack */
    HEAD_SIZE = 32,
    ACKS_MAX = 256,
    TAP_TTL_MS = 600000,
    TOKEN_SIZE = 4096,
    INBOX_WINDOW = 1024
};

static const char data_channel[] = "agent:bench:data";
static const char credit_channel[] = "agent:bench:credit";
static const char inbox[] = "agent:bench";

/* Acks come in the order in which the messages were said. */
struct said {
    struct uuid id;
    uint8_t head[HEAD_SIZE];
};

struct transport {
    const struct load_options *options;
    struct load *load;
    struct connection connection;
    struct logger logger;
    struct peer *peer;
    struct buffer payload;
    struct peer_origin origin; /* of the request being answered */
    bool subscribed;
    bool sent; /* something, since the peer last said that nothing waits */
    struct said said[SAID_MAX];
    size_t said_count, acked_count;
    uint8_t *echo;               /* what was acked, for the load */
    struct uuid taken[ACKS_MAX]; /* messages of the inbox that are to be acked */
    size_t taken_count;
    char box[32]; /* the client's */
};

static bool
open_payload(struct bytes payload, struct bytes *data)
{
    struct value value;
    if (!value_parse(payload, &value) || value.type != VALUE_BIN)
        return false;
    *data = value.as.bin;
    return true;
}

static void
hand_on(struct transport *transport, struct bytes payload)
{
    struct bytes data;
    if (!open_payload(payload, &data))
        load_fail("receive", "the payload is not what was sent");
    load_received(transport->load, data.data, data.size);
}

static void
on_reply(void *context, const struct peer_answer *answer)
{
    if (answer->status != STATUS_OK)
        load_fail("a request failed", status_word(answer->status));
    hand_on(context, answer->payload);
}

static void
on_message(void *context, const struct message *message)
{
    struct transport *transport = context;
    if (message->kind != KIND_REQUEST)
        return;
    peer_origin_of(&transport->origin, message);
    hand_on(transport, message->payload);
}

/* ---- durable */

static void
note_ack(struct transport *transport, const struct message *ack)
{
    struct said *said = &transport->said[transport->acked_count % SAID_MAX];
    if (transport->acked_count == transport->said_count ||
        memcmp(&said->id, &ack->correlation, sizeof said->id) != 0 || ack->seq != 1)
        load_fail("the broker acked", "not the next message");
    transport->acked_count++;
    if (transport->options->role != ROLE_CLIENT)
        return;
    memcpy(transport->echo, said->head, HEAD_SIZE);
    load_received(transport->load, transport->echo, transport->options->size);
}

static enum status
send_durable(struct transport *transport, const char *to, const uint8_t *data, struct error *error)
{
    size_t limit = transport->options->in_flight;
    struct said *said = &transport->said[transport->said_count % SAID_MAX];
    if (transport->said_count - transport->acked_count >= (limit < SAID_MAX ? limit : SAID_MAX))
        return STATUS_BUSY;
    struct message message = {.kind = KIND_SEND,
                              .target = text_of(to),
                              .type = text_of("load"),
                              .payload = buffer_bytes(&transport->payload)};
    enum status status = peer_say(transport->peer, &message, &said->id, error);
    if (status != STATUS_OK)
        return status;
    memcpy(said->head, data, HEAD_SIZE);
    transport->said_count++;
    return STATUS_OK;
}

static void say(struct transport *transport, struct message message);

static void
ack_taken(struct transport *transport, uint32_t flags)
{
    struct buffer ids;
    if (transport->taken_count == 0)
        return;
    buffer_init(&ids);
    pack_array(&ids, (uint32_t)transport->taken_count);
    for (size_t i = 0; i < transport->taken_count; i++)
        pack_bin(&ids, transport->taken[i].bytes, sizeof transport->taken[i].bytes);
    transport->taken_count = 0;
    transport->sent = true;
    say(transport,
        (struct message){.kind = KIND_ACK, .flags = flags, .payload = buffer_bytes(&ids)});
    buffer_clear(&ids);
}

static void
take(struct transport *transport, const struct message *message)
{
    hand_on(transport, message->payload);
    transport->taken[transport->taken_count++] = message->id;
    if (transport->taken_count == ACKS_MAX && !load_ended(transport->load))
        ack_taken(transport, 0);
}

static void
on_ack(struct transport *transport, const struct message *message)
{
    if (transport->subscribed && transport->options->role != ROLE_SUBSCRIBER)
        note_ack(transport, message);
    transport->subscribed = true;
}

static void
on_bus(void *context, const struct message *message)
{
    struct transport *transport = context;
    if (message->kind == KIND_EVENT)
        hand_on(transport, message->payload);
    else if (message->kind == KIND_DELIVER)
        take(transport, message);
    else if (message->kind == KIND_ACK)
        on_ack(transport, message);
    else
        load_fail("the broker said", kind_word(message->kind));
}

/* ---- tap */

static void
on_shown(void *context, const struct message *chunk)
{
    struct transport *transport = context;
    struct value payload, records;
    uint64_t dropped = 0;
    if (!value_parse(chunk->payload, &payload) || !value_find(&payload, "records", &records))
        load_fail("tap", "a chunk without records");
    value_find_uint(&payload, "dropped", &dropped);
    load_shown(transport->load, records.as.count, dropped);
    peer_grant(transport->peer, &chunk->correlation, 1);
    transport->sent = true;
}

static void
on_tap_end(void *context, const struct peer_answer *answer)
{
    (void)context;
    load_fail("the tap ended", status_word(answer->status));
}

static void
tap(struct transport *transport)
{
    struct error error = ERROR_INIT;
    char token[TOKEN_SIZE];
    FILE *file = fopen(transport->options->token ? transport->options->token : "", "r");
    if (!file)
        load_fail("--token", "cannot be read");
    size_t size = fread(token, 1, sizeof token, file);
    fclose(file);
    struct peer_request request = {.kind = KIND_REQUEST,
                                   .target = text_of("service:bus"),
                                   .type = text_of("tap"),
                                   .capability = {token, size},
                                   .flags = MESSAGE_STREAM,
                                   .ttl_ms = TAP_TTL_MS,
                                   .on_reply = on_tap_end,
                                   .on_chunk = on_shown,
                                   .context = transport};
    if (peer_call(transport->peer, &request, NULL, &error) != STATUS_OK)
        load_fail("tap", error.message);
    peer_flush(transport->peer);
}

static void
print_line(void *context, enum log_level level, struct text line)
{
    (void)context, (void)level;
    fwrite(line.data, 1, line.size, stderr);
}

/* The descriptor tells of changes: nothing may wait, and nothing have been sent since it was
 * asked. */
static void
turn(struct transport *transport)
{
    bool more = peer_process(transport->peer);
    transport->sent = false;
    load_pump(transport->load);
    if (!load_ended(transport->load)) /* the last ones are confirmed */
        ack_taken(transport, 0);
    if (transport->sent)
        peer_flush(transport->peer);
    if (more || transport->sent)
        return;
    uint64_t now_us = clock_now(&system_clock).monotonic_us;
    uint64_t due_us = peer_deadline_us(transport->peer);
    uint64_t left_ms = due_us <= now_us ? 0 : (due_us - now_us + 999) / 1000;
    struct pollfd item = {peer_fd(transport->peer), POLLIN, 0};
    poll(&item, 1, left_ms < WAIT_MS ? (int)left_ms : WAIT_MS);
}

static void
await_state(struct transport *transport, enum peer_state state)
{
    while (peer_state(transport->peer) != state) {
        if (peer_state(transport->peer) == PEER_REFUSED)
            load_fail("connect", peer_refusal(transport->peer)->message);
        turn(transport);
    }
}

static void
say(struct transport *transport, struct message message)
{
    struct error error = ERROR_INIT;
    if (peer_say(transport->peer, &message, NULL, &error) != STATUS_OK)
        load_fail("say", error.message);
}

static void
subscribe(struct transport *transport, const char *kind, const char *name)
{
    struct buffer payload;
    buffer_init(&payload);
    bool is_inbox = strcmp(kind, "inbox") == 0;
    pack_map(&payload, is_inbox ? 2 : 1);
    pack_pair_string(&payload, kind, name);
    if (is_inbox)
        pack_pair_uint(&payload, "window", INBOX_WINDOW);
    say(transport, (struct message){.kind = KIND_SUBSCRIBE, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    while (!transport->subscribed)
        turn(transport);
}

struct transport *
transport_open(const struct load_options *options, struct load *load)
{
    struct error error = ERROR_INIT;
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        load_fail("start", "out of memory");
    transport->options = options;
    transport->load = load;
    transport->logger = (struct logger){
        .service = "bench", .level = LOG_WARN, .clock = &system_clock, .sink = print_line};
    buffer_init(&transport->payload);
    transport->echo = calloc(1, options->size);
    if (!transport->echo)
        load_fail("start", "out of memory");
    snprintf(transport->box, sizeof transport->box, "agent:box-%u", options->index);
    if (connection_load(&transport->connection, NULL, options->keys, &error) != STATUS_OK)
        load_fail("read the connection", error.message);
    struct peer_service service = {.name = "bench"};
    struct peer_options peer_options = {
        .connection = &transport->connection,
        .service = options->role == ROLE_WORKER ? &service : NULL,
        .callbacks = {.on_message = on_message, .on_bus = on_bus, .context = transport},
        .clock = &system_clock,
        .logger = &transport->logger};
    if (peer_open(&transport->peer, &peer_options, &error) != STATUS_OK)
        load_fail("open the peer", error.message);
    await_state(transport, PEER_READY);
    if (options->role == ROLE_SUBSCRIBER && options->durable)
        subscribe(transport, "inbox", inbox);
    else if (options->role == ROLE_SUBSCRIBER)
        subscribe(transport, "channel", data_channel);
    else if (options->role == ROLE_PUBLISHER)
        subscribe(transport, "channel", credit_channel);
    else if (options->role == ROLE_TAP)
        tap(transport);
    else
        transport->subscribed = true;
    return transport;
}

static enum status
publish(struct transport *transport, const char *channel, struct error *error)
{
    struct message message = {.kind = KIND_PUBLISH,
                              .target = text_of(channel),
                              .type = text_of("load"),
                              .payload = buffer_bytes(&transport->payload)};
    return peer_say(transport->peer, &message, NULL, error);
}

bool
transport_send(struct transport *transport, const uint8_t *data, size_t size)
{
    struct error error = ERROR_INIT;
    enum status status = STATUS_OK;
    buffer_reset(&transport->payload);
    pack_bin(&transport->payload, data, size);
    struct peer_request request = {.kind = KIND_REQUEST,
                                   .target = text_of("service:bench"),
                                   .type = text_of("echo"),
                                   .payload = buffer_bytes(&transport->payload),
                                   .ttl_ms = TTL_MS,
                                   .on_reply = on_reply,
                                   .context = transport};
    switch (transport->options->role) {
    case ROLE_CLIENT:
        status = transport->options->durable ? send_durable(transport, transport->box, data, &error)
                                             : peer_call(transport->peer, &request, NULL, &error);
        break;
    case ROLE_WORKER:
        status =
            peer_reply(transport->peer, &transport->origin, STATUS_OK, request.payload, &error);
        break;
    case ROLE_PUBLISHER:
        status = transport->options->durable ? send_durable(transport, inbox, data, &error)
                                             : publish(transport, data_channel, &error);
        break;
    case ROLE_SUBSCRIBER:
        status = publish(transport, credit_channel, &error);
        break;
    default:
        return false;
    }
    if (status == STATUS_BUSY) {
        peer_flush(transport->peer);
        return false;
    }
    if (status != STATUS_OK)
        load_fail("send", error.message);
    transport->sent = true;
    if (transport->options->at_once)
        peer_flush(transport->peer);
    return true;
}

void
transport_run(struct transport *transport)
{
    while (!load_ended(transport->load))
        turn(transport);
    if (transport->taken_count > 0) {
        transport->subscribed = false;
        ack_taken(transport, MESSAGE_CONFIRM);
        while (!transport->subscribed)
            turn(transport);
    }
    peer_flush(transport->peer);
}

void
transport_close(struct transport *transport)
{
    peer_close(&transport->peer);
    buffer_clear(&transport->payload);
    free(transport->echo);
    connection_clear(&transport->connection);
    free(transport);
}
