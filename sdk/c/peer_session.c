/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <zmq.h>

#include "kernel/pack.h"
#include "sdk/c/peer_internal.h"

enum {
    HELLO_RESEND_US = 1000 * 1000, /* sent, not answered */
    HELLO_RETRY_US = 25 * 1000,    /* not sent: no connection */
    READY_RESEND_US = 3000 * 1000,
    READY_RETRY_MIN_US = 200 * 1000, /* another instance lives */
    READY_RETRY_MAX_US = 1000 * 1000,
    RECONNECT_US = 5000 * 1000,
    RECONNECT_REFUSED_US = 1000 * 1000,
    SILENT_HEARTBEATS = 3,
    HEARTBEAT_DEFAULT_MS = 1000,
    HEARTBEAT_MIN_MS = 50,
    HEARTBEAT_MAX_MS = 60000,
    STREAM_CREDIT_DEFAULT = 32,
    STREAM_CREDIT_MAX = 4096,
    LIMIT_MIN = 4096
};

static const char broker_identity[] = "service:bus";

/* A number of the welcome; a missing or absurd one is brought within its bounds. */
static uint64_t
welcome_uint(const struct value *welcome, const char *key, uint64_t fallback, uint64_t min,
             uint64_t max)
{
    uint64_t number = fallback;
    value_find_uint(welcome, key, &number);
    return number < min ? min : (number > max ? max : number);
}

static void
set_limits(struct peer *peer, const struct value *welcome)
{
    struct session *session = &peer->session;
    session->record_max =
        welcome_uint(welcome, "record_max", RECORD_SIZE_MAX, LIMIT_MIN, RECORD_SIZE_MAX);
    session->frame_max =
        welcome_uint(welcome, "frame_max", FRAME_SIZE_MAX, session->record_max, FRAME_SIZE_MAX);
    session->stream_credit = (uint32_t)welcome_uint(welcome, "stream_credit", STREAM_CREDIT_DEFAULT,
                                                    1, STREAM_CREDIT_MAX);
    peer->calls.in_flight_max =
        welcome_uint(welcome, "requests_max", CALLS_MAX_DEFAULT, 1, UINT32_MAX);
    uint64_t heartbeat_ms = welcome_uint(welcome, "heartbeat_ms", HEARTBEAT_DEFAULT_MS,
                                         HEARTBEAT_MIN_MS, HEARTBEAT_MAX_MS);
    session->silence_us = SILENT_HEARTBEATS * heartbeat_ms * 1000;
    /* Rarer than the broker expects would look like silence. */
    bool oftener = peer->heartbeat_ms && peer->heartbeat_ms < heartbeat_ms;
    session->heartbeat_us = (oftener ? peer->heartbeat_ms : heartbeat_ms) * 1000;
}

static void
set_state(struct peer *peer, enum peer_state state)
{
    if (peer->state == state)
        return;
    peer->state = state;
    if (peer->callbacks.on_state)
        peer->callbacks.on_state(peer->callbacks.context, state);
}

static void
begin(struct peer *peer, uint64_t now_us)
{
    struct session *session = &peer->session;
    session->hello_id = uuid_next(&peer->ids, clock_now(peer->clock).wall_us);
    session->hello_us = now_us;
    session->ready_us = NEVER_US;
    session->reconnect_us = now_us + RECONNECT_US;
}

void
session_init(struct peer *peer)
{
    struct value nothing = {.type = VALUE_NIL};
    set_limits(peer, &nothing);
    begin(peer, peer_now_us(peer));
}

void
session_lost(struct peer *peer, const char *reason)
{
    if (!peer_is_connected(peer))
        return;
    log_warn(peer->logger, "lost the broker at %s: %s", peer->connection.endpoint, reason);
    /* The state changes before any callback runs: what callbacks call now must wait. */
    peer->state = PEER_CONNECTING;
    id_table_clear(&peer->served);
    begin(peer, peer_now_us(peer));
    calls_lost(peer, reason);
    if (peer->callbacks.on_state)
        peer->callbacks.on_state(peer->callbacks.context, PEER_CONNECTING);
}

static void
refuse(struct peer *peer, const struct message *message)
{
    error_unpack(message->payload, &peer->refusal);
    error_wrap(&peer->refusal, "the broker refused %s", peer->connection.identity);
    peer->refusal_status = status_from_code(message->status);
    log_error(peer->logger, "%s", peer->refusal.message);
    struct message bye = peer_message(peer, KIND_BYE);
    outbox_clear(&peer->outbox);
    peer_send_now(peer, &bye);
    id_table_clear(&peer->served);
    peer->state = PEER_REFUSED;
    calls_refuse(peer);
    if (peer->callbacks.on_state)
        peer->callbacks.on_state(peer->callbacks.context, PEER_REFUSED);
}

/* ---- saying */

static void
say_hello(struct peer *peer, uint64_t now_us)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 4);
    pack_pair_uint(&payload, "version_min", MESSAGE_VERSION);
    pack_pair_uint(&payload, "version_max", MESSAGE_VERSION);
    pack_string(&payload, "features");
    pack_array(&payload, 0);
    pack_pair_string(&payload, "agent", "sos/" SOS_VERSION);

    struct message hello = peer_message(peer, KIND_HELLO);
    hello.id = peer->session.hello_id; /* the same until answered: any answer counts */
    hello.target = text_of(broker_identity);
    hello.payload = buffer_bytes(&payload);
    bool sent = !payload.failed && peer_send_now(peer, &hello);
    peer->session.hello_us = now_us + (sent ? HELLO_RESEND_US : HELLO_RETRY_US);
    buffer_clear(&payload);
}

static void
say_ready(struct peer *peer, uint64_t now_us)
{
    const struct peer_service *service = &peer->service;
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2u + (service->requests_max ? 1 : 0) + (service->has_store ? 2 : 0));
    pack_pair_string(&payload, "service", service->name);
    pack_pair_bool(&payload, "single", service->single);
    if (service->requests_max)
        pack_pair_uint(&payload, "requests_max", service->requests_max);
    if (service->has_store) {
        pack_string(&payload, "store_uuid");
        pack_bin(&payload, service->store_uuid.bytes, sizeof service->store_uuid.bytes);
        pack_pair_uint(&payload, "store_epoch", service->store_epoch);
    }
    struct message ready = peer_message(peer, KIND_READY);
    ready.id = peer->session.ready_id;
    ready.target = text_of(broker_identity);
    ready.payload = buffer_bytes(&payload);
    if (!payload.failed)
        peer_post(peer, &ready, true, NULL);
    peer->session.ready_us = now_us + READY_RESEND_US;
    buffer_clear(&payload);
}

static void
say_heartbeat(struct peer *peer)
{
    struct message heartbeat = peer_message(peer, KIND_HEARTBEAT);
    /* What waits is a sign of life too; when it cannot leave, this could not either. */
    if (peer->outbox.records == 0 && !peer->outbox.first)
        peer_post(peer, &heartbeat, true, NULL);
}

/* ---- hearing */

static void
begin_ready(struct peer *peer, uint64_t now_us)
{
    struct session *session = &peer->session;
    session->ready_id = uuid_next(&peer->ids, clock_now(peer->clock).wall_us);
    session->ready_delay_us = READY_RETRY_MIN_US;
    session->ready_us = now_us;
    set_state(peer, PEER_WELCOME);
}

static void
welcome(struct peer *peer, const struct message *message)
{
    struct session *session = &peer->session;
    struct value value;
    uint64_t version = 0;
    uint64_t epoch = 0;
    if (!value_parse(message->payload, &value) || !value_find_uint(&value, "version", &version) ||
        !value_find_uint(&value, "epoch", &epoch) || version != MESSAGE_VERSION) {
        log_warn(peer->logger, "the broker's welcome cannot be read");
        return;
    }
    uint64_t now_us = peer_now_us(peer);
    set_limits(peer, &value);
    session->epoch = epoch;
    session->hello_us = NEVER_US;
    session->reconnect_us = NEVER_US;
    session->heard_us = now_us;
    peer->refusal = ERROR_INIT;
    if (peer->is_service)
        begin_ready(peer, now_us);
    else
        set_state(peer, PEER_READY);
}

void
session_announce(struct peer *peer)
{
    if (peer->state == PEER_READY)
        begin_ready(peer, peer_now_us(peer));
}

static void
hear_hello(struct peer *peer, const struct message *message)
{
    if (peer->state == PEER_CONNECTING) {
        if (uuid_equal(&message->correlation, &peer->session.hello_id))
            welcome(peer, message);
        return;
    }
    struct value value;
    uint64_t epoch = peer->session.epoch;
    if (value_parse(message->payload, &value))
        value_find_uint(&value, "epoch", &epoch);
    if (epoch != peer->session.epoch)
        session_lost(peer, "the broker was started anew");
}

static void
hear_control(struct peer *peer, const struct message *message)
{
    struct session *session = &peer->session;
    if (text_equal_string(message->type, "hello_required")) {
        session_lost(peer, "the broker does not know this session");
    } else if (text_equal_string(message->type, "ready") && peer->state == PEER_WELCOME &&
               uuid_equal(&message->correlation, &session->ready_id)) {
        session->ready_us = NEVER_US;
        set_state(peer, PEER_READY);
    }
}

static void
hear_ready_refused(struct peer *peer, const struct message *message)
{
    struct session *session = &peer->session;
    struct error error = ERROR_INIT;
    error_unpack(message->payload, &error);
    if (strcmp(error.word, "instance_exists") != 0) {
        refuse(peer, message);
        return;
    }
    log_info(peer->logger, "another instance of %s is still known; trying again",
             peer->service.name);
    session->ready_us = peer_now_us(peer) + session->ready_delay_us;
    session->ready_delay_us *= 2;
    if (session->ready_delay_us > READY_RETRY_MAX_US)
        session->ready_delay_us = READY_RETRY_MAX_US;
    session->ready_id = uuid_next(&peer->ids, clock_now(peer->clock).wall_us);
}

/* Worth another hello after a while, or final? */
static bool
passes(enum status status)
{
    return status == STATUS_BUSY || status == STATUS_UNAVAILABLE || status == STATUS_NOMEM ||
           status == STATUS_QUOTA_EXCEEDED || status == STATUS_HELLO_REQUIRED;
}

static bool
hear_error(struct peer *peer, const struct message *message)
{
    const struct session *session = &peer->session;
    if (uuid_is_nil(&message->correlation))
        return false;
    if (peer->state == PEER_CONNECTING && uuid_equal(&message->correlation, &session->hello_id)) {
        if (!passes(status_from_code(message->status))) {
            refuse(peer, message);
            return true;
        }
        error_unpack(message->payload, &peer->refusal); /* said again by the timer */
        peer->refusal_status = status_from_code(message->status);
        return true;
    }
    if (peer->state == PEER_WELCOME && peer->is_service &&
        uuid_equal(&message->correlation, &session->ready_id)) {
        hear_ready_refused(peer, message);
        return true;
    }
    return false;
}

bool
session_receive(struct peer *peer, const struct message *message)
{
    switch (message->kind) {
    case KIND_HELLO:
        hear_hello(peer, message);
        return true;
    case KIND_HEARTBEAT:
        return true;
    case KIND_BYE:
        session_lost(peer, "the broker said bye");
        return true;
    case KIND_ERROR:
        if (hear_error(peer, message))
            return true;
        break;
    case KIND_CONTROL:
        if (text_equal_string(message->type, "hello_required") ||
            text_equal_string(message->type, "ready")) {
            hear_control(peer, message);
            return true;
        }
        break;
    default:
        break;
    }
    /* Before the welcome everything else belongs to a session that is over. */
    return !peer_is_connected(peer);
}

/* ---- time and connection */

void
session_timers(struct peer *peer)
{
    struct session *session = &peer->session;
    uint64_t now_us = peer_now_us(peer);
    if (peer_is_connected(peer) && now_us >= session->heard_us + session->silence_us)
        session_lost(peer, "silent for three heartbeats");

    if (peer->state == PEER_CONNECTING) {
        /* libzmq gives a connection up for good when its handshake fails. */
        if (now_us >= session->reconnect_us) {
            zmq_disconnect(peer->socket, peer->connection.endpoint);
            zmq_connect(peer->socket, peer->connection.endpoint);
            session->reconnect_us = now_us + RECONNECT_US;
        }
        if (now_us >= session->hello_us)
            say_hello(peer, now_us);
    } else if (peer_is_connected(peer)) {
        if (now_us >= session->ready_us)
            say_ready(peer, now_us);
        if (now_us >= session->sent_us + session->heartbeat_us)
            say_heartbeat(peer);
    }
}

uint64_t
session_deadline_us(const struct peer *peer)
{
    const struct session *session = &peer->session;
    if (peer->state == PEER_REFUSED)
        return NEVER_US;
    if (peer->state == PEER_CONNECTING)
        return session->hello_us < session->reconnect_us ? session->hello_us
                                                         : session->reconnect_us;
    uint64_t deadline_us = session->heard_us + session->silence_us;
    if (session->ready_us < deadline_us)
        deadline_us = session->ready_us;
    uint64_t heartbeat_us = session->sent_us + session->heartbeat_us;
    /* While records cannot leave, their own retry is the next thing to do. */
    if (peer->outbox.retry_us == NEVER_US && heartbeat_us < deadline_us)
        deadline_us = heartbeat_us;
    return deadline_us;
}

/* What the broker's side of a failed handshake means for the user. */
static void
note_event(struct peer *peer, int event)
{
    const struct connection *connection = &peer->connection;
    switch (event) {
    case ZMQ_EVENT_DISCONNECTED:
        if (peer->state == PEER_CONNECTING)
            peer->session.hello_us = peer_now_us(peer);
        session_lost(peer, "the connection broke");
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        error_set_word(&peer->refusal, "unauthorized",
                       "the broker at %s refused this key (of %s): it is not in its key table",
                       connection->endpoint, connection->identity);
        peer->refusal_status = STATUS_UNAUTHORIZED;
        break;
    default:
        if (*peer->refusal.message)
            break;
        error_set_word(&peer->refusal, "handshake_failed",
                       "the handshake with %s failed: is it a SOS broker, and is "
                       "broker_public_key its key?",
                       connection->endpoint);
        peer->refusal_status = STATUS_UNAVAILABLE;
        break;
    }
    if (peer->state == PEER_CONNECTING && event != ZMQ_EVENT_DISCONNECTED)
        peer->session.reconnect_us = peer_now_us(peer) + RECONNECT_REFUSED_US;
}

void
session_watch(struct peer *peer)
{
    for (;;) {
        /* Two parts: event number and value, then the endpoint. */
        uint8_t part[64];
        int size = zmq_recv(peer->monitor, part, sizeof part, ZMQ_DONTWAIT);
        if (size < 0)
            return;
        int more = 0;
        size_t more_size = sizeof more;
        zmq_getsockopt(peer->monitor, ZMQ_RCVMORE, &more, &more_size);
        if (!more || size < (int)sizeof(uint16_t))
            continue;
        uint16_t event;
        memcpy(&event, part, sizeof event);
        zmq_recv(peer->monitor, part, sizeof part, ZMQ_DONTWAIT);
        note_event(peer, event);
    }
}
