/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk/c/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "kernel/assert.h"
#include "sdk/c/peer_internal.h"

enum {
    RECEIVE_FRAMES_MAX = 64, /* of one peer_process() */
    SEND_HIGH_WATER = 128,
    RECEIVE_HIGH_WATER = 256,
    RECONNECT_MIN_MS = 20,
    RECONNECT_MAX_MS = 1000,
    CONNECT_TIMEOUT_MS = 5000,
    HANDSHAKE_MS = 5000,
    ZMTP_HEARTBEAT_MS = 1000,
    ZMTP_HEARTBEAT_TIMEOUT_MS = 3000,
    BYE_LINGER_MS = 100,
    CURVE_BOX_BYTES = 64 /* a MESSAGE command adds 33 to its frame */
};

static const char monitor_endpoint[] = "inproc://monitor";

/* ---- open and close */

static bool
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static bool
set_options(void *socket, const struct connection *connection)
{
    static const struct {
        int option;
        int value;
    } numbers[] = {
        {ZMQ_LINGER, 0},
        {ZMQ_IMMEDIATE, 1}, /* nothing is queued for a connection that does not exist */
        {ZMQ_SNDHWM, SEND_HIGH_WATER},
        {ZMQ_RCVHWM, RECEIVE_HIGH_WATER},
        {ZMQ_RECONNECT_IVL, RECONNECT_MIN_MS},
        {ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS},
        {ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS},
        {ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS},
        {ZMQ_HEARTBEAT_IVL, ZMTP_HEARTBEAT_MS},
        {ZMQ_HEARTBEAT_TIMEOUT, ZMTP_HEARTBEAT_TIMEOUT_MS},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!set_int(socket, numbers[i].option, numbers[i].value))
            return false;
    /* libzmq compares what stands on the wire: the frame in its box. */
    int64_t frame_max = FRAME_SIZE_MAX + CURVE_BOX_BYTES;
    return zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &frame_max, sizeof frame_max) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, connection->broker_public_key,
                          CURVE_KEY_TEXT_SIZE) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, connection->keys.public_key,
                          CURVE_KEY_TEXT_SIZE) == 0 &&
           zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, connection->keys.secret_key,
                          CURVE_KEY_TEXT_SIZE) == 0;
}

/* One context per peer: its I/O thread serves this connection alone, so closing one peer of a
 * process waits for no other. */
static enum status
open_sockets(struct peer *peer, struct error *error)
{
    const struct connection *connection = &peer->connection;
    peer->zmq_context = zmq_ctx_new();
    if (peer->zmq_context)
        peer->socket = zmq_socket(peer->zmq_context, ZMQ_DEALER);
    if (!peer->socket || !set_options(peer->socket, connection)) {
        error_set(error, "make a CURVE socket: %s", zmq_strerror(errno));
        return STATUS_INTERNAL;
    }
    int events = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                 ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
    if (zmq_socket_monitor(peer->socket, monitor_endpoint, events) == 0)
        peer->monitor = zmq_socket(peer->zmq_context, ZMQ_PAIR);
    if (!peer->monitor || !set_int(peer->monitor, ZMQ_LINGER, 0) ||
        zmq_connect(peer->monitor, monitor_endpoint) != 0) {
        error_set(error, "watch the socket: %s", zmq_strerror(errno));
        return STATUS_INTERNAL;
    }
    if (zmq_connect(peer->socket, connection->endpoint) != 0) {
        error_set(error, "connect to %s: %s", connection->endpoint, zmq_strerror(errno));
        return STATUS_VALIDATION;
    }
    return STATUS_OK;
}

static enum status
take_service(struct peer *peer, const struct peer_service *service, struct error *error)
{
    size_t size = strlen(service->name);
    if (size >= sizeof peer->service_name) {
        error_set(error, "a service's name has at most %d bytes", MESSAGE_NAME_MAX);
        return STATUS_VALIDATION;
    }
    memcpy(peer->service_name, service->name, size + 1);
    peer->service = *service;
    peer->service.name = peer->service_name;
    peer->is_service = true;
    return STATUS_OK;
}

enum status
peer_announce(struct peer *peer, const struct peer_service *service, struct error *error)
{
    if (peer->is_service) {
        error_set(error, "%s is announced already", peer->service.name);
        return STATUS_CONFLICT;
    }
    enum status status = take_service(peer, service, error);
    if (status == STATUS_OK)
        session_announce(peer);
    return status;
}

enum status
peer_open(struct peer **peer_p, const struct peer_options *options, struct error *error)
{
    ASSERT(options->clock && options->logger && options->connection);
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        return STATUS_NOMEM;
    peer->connection = *options->connection;
    peer->callbacks = options->callbacks;
    peer->clock = options->clock;
    peer->logger = options->logger;
    peer->heartbeat_ms = options->heartbeat_ms;
    peer->state = PEER_CONNECTING;
    outbox_init(&peer->outbox);
    blocks_init(&peer->blocks);
    calls_init(&peer->calls, options->calls_max);
    id_table_init(&peer->served);
    buffer_init(&peer->scratch);
    session_init(peer);

    enum status status = STATUS_VALIDATION;
    if (!*peer->connection.endpoint) {
        error_set(error,
                  "the connection of %s names no broker: endpoint and broker_public_key are "
                  "missing",
                  peer->connection.identity);
        goto fail;
    }
    if (options->service) {
        status = take_service(peer, options->service, error);
        if (status != STATUS_OK)
            goto fail;
    }
    status = open_sockets(peer, error);
    if (status != STATUS_OK)
        goto fail;
    *peer_p = peer;
    return STATUS_OK;

fail:
    peer_close(&peer);
    return status;
}

static void
close_sockets(struct peer *peer)
{
    if (peer->socket && peer_is_connected(peer)) {
        peer_flush(peer);
        struct message bye = peer_message(peer, KIND_BYE);
        set_int(peer->socket, ZMQ_LINGER, BYE_LINGER_MS);
        peer_send_now(peer, &bye);
    }
    if (peer->monitor) {
        zmq_socket_monitor(peer->socket, NULL, 0);
        zmq_close(peer->monitor);
    }
    if (peer->socket)
        zmq_close(peer->socket);
    /* Waits for the linger at most. */
    if (peer->zmq_context)
        while (zmq_ctx_term(peer->zmq_context) != 0 && errno == EINTR)
            continue;
}

void
peer_close(struct peer **peer_p)
{
    struct peer *peer = *peer_p;
    if (!peer)
        return;
    ASSERT(!peer->processing);
    *peer_p = NULL;
    close_sockets(peer);
    outbox_clear(&peer->outbox);
    pool_clear(&peer->blocks);
    calls_clear(&peer->calls);
    id_table_clear(&peer->served);
    buffer_clear(&peer->scratch);
    connection_clear(&peer->connection);
    free(peer);
}

/* ---- facts */

void *
peer_socket(struct peer *peer)
{
    return peer->socket;
}

void *
peer_monitor(struct peer *peer)
{
    return peer->monitor;
}

int
peer_fd(struct peer *peer)
{
    int fd = -1;
    size_t size = sizeof fd;
    zmq_getsockopt(peer->socket, ZMQ_FD, &fd, &size);
    return fd;
}

enum peer_state
peer_state(const struct peer *peer)
{
    return peer->state;
}

const struct error *
peer_refusal(const struct peer *peer)
{
    return &peer->refusal;
}

enum status
peer_refusal_status(const struct peer *peer)
{
    return *peer->refusal.message ? peer->refusal_status : STATUS_OK;
}

uint64_t
peer_epoch(const struct peer *peer)
{
    return peer->session.epoch;
}

uint32_t
peer_stream_credit(const struct peer *peer)
{
    return peer->session.stream_credit;
}

struct message
peer_message(struct peer *peer, enum kind kind)
{
    uint64_t wall_us = peer->processing ? peer->wall_us : clock_now(peer->clock).wall_us;
    return peer_message_at(peer, kind, wall_us);
}

struct message
peer_message_at(struct peer *peer, enum kind kind, uint64_t wall_us)
{
    return (struct message){
        .version = MESSAGE_VERSION,
        .kind = kind,
        .id = uuid_next(&peer->ids, wall_us),
        .source = text_of(peer->connection.identity),
        .timestamp_us = wall_us,
    };
}

struct bytes
peer_trace_bytes(const struct trace *trace, uint8_t bytes[static TRACE_BYTES])
{
    if (!trace || !trace_is_set(trace))
        return (struct bytes){0};
    memcpy(bytes, trace->trace_id, sizeof trace->trace_id);
    memcpy(bytes + sizeof trace->trace_id, trace->span_id, sizeof trace->span_id);
    return (struct bytes){bytes, TRACE_BYTES};
}

/* ---- the loop's one step */

static void
receive_record(struct peer *peer, const struct message *message)
{
    if (peer->state == PEER_REFUSED)
        return;
    if (!session_receive(peer, message) && !calls_receive(peer, message) &&
        !bus_receive(peer, message))
        serve_receive(peer, message);
}

static void
receive_frame(struct peer *peer, struct bytes frame)
{
    while (frame.size) {
        struct message message;
        struct error error;
        size_t used = 0;
        enum status status = message_decode(&message, frame, &used, &error);
        if (status != STATUS_OK)
            log_warn(peer->logger, "a record from the broker cannot be read: %s", error.message);
        if (used == 0)
            return;
        if (status == STATUS_OK)
            receive_record(peer, &message);
        frame.data += used;
        frame.size -= used;
    }
}

/* False: nothing is waiting. */
static bool
receive(struct peer *peer)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    if (zmq_msg_recv(&frame, peer->socket, ZMQ_DONTWAIT) < 0) {
        bool again = errno == EINTR;
        zmq_msg_close(&frame);
        return again;
    }
    struct now now = clock_now(peer->clock);
    peer->session.heard_us = now.monotonic_us;
    peer->wall_us = now.wall_us;
    if (!zmq_msg_more(&frame)) {
        receive_frame(peer, (struct bytes){zmq_msg_data(&frame), zmq_msg_size(&frame)});
    } else {
        log_warn(peer->logger, "a message of several frames from the broker was dropped");
        while (zmq_msg_more(&frame) && zmq_msg_recv(&frame, peer->socket, ZMQ_DONTWAIT) >= 0)
            continue;
    }
    zmq_msg_close(&frame);
    return true;
}

static bool
input_waits(const struct peer *peer)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(peer->socket, ZMQ_EVENTS, &events, &size) == 0 &&
           (events & ZMQ_POLLIN) != 0;
}

bool
peer_process(struct peer *peer)
{
    ASSERT(!peer->processing);
    peer->processing = true;
    peer->wall_us = clock_now(peer->clock).wall_us;
    int received = 0;
    while (received < RECEIVE_FRAMES_MAX && receive(peer))
        received++;
    /* What was still received tells of a connection, and asking the monitor costs system calls. */
    if (received == 0)
        session_watch(peer);
    calls_expire(peer);
    session_timers(peer);
    calls_send_waiting(peer);
    peer_flush(peer);
    peer->processing = false;
    return input_waits(peer);
}

uint64_t
peer_deadline_us(const struct peer *peer)
{
    const struct outbox *outbox = &peer->outbox;
    uint64_t deadline_us = session_deadline_us(peer);
    uint64_t calls_us = calls_deadline_us(&peer->calls);
    if (calls_us < deadline_us)
        deadline_us = calls_us;
    if (outbox->records && outbox->retry_us == NEVER_US)
        return 0;
    return outbox->retry_us < deadline_us ? outbox->retry_us : deadline_us;
}
