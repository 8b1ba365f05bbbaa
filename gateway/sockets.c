/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sockets.h"

#include <stdlib.h>

#include "gateway/handshake.h"
#include "gateway/session/feed.h"
#include "gateway/websocket.h"

enum {
    MESSAGE_MAX = 256 * 1024, /* of a client; what passes the bus is no larger */
    NO_DEADLINE = -1
};

struct socket {
    struct visit *visit;
    struct websocket *websocket;
    struct feed *feed;
    struct socket *before, *after; /* all */
    struct socket *next_dirty;
    bool dirty;
    bool begun;
    bool active;  /* bytes were read or written since the deadline began */
    int deadline; /* enum http_deadline */
};

/* ---- between frames and bytes */

static ssize_t
read_bytes(void *context, void *out, size_t room)
{
    struct socket *socket = context;
    ssize_t size = http_socket_read(socket->visit->call, out, room);
    if (size > 0 && socket->deadline == HTTP_QUIET)
        socket->active = true;
    return size;
}

static ssize_t
write_bytes(void *context, const void *data, size_t size)
{
    struct socket *socket = context;
    ssize_t written = http_socket_write(socket->visit->call, data, size);
    if (written > 0 && socket->deadline == HTTP_SENDING)
        socket->active = true;
    return written;
}

static void
on_message(void *context, struct text message)
{
    struct socket *socket = context;
    feed_receive(socket->feed, message);
    if (!feed_takes_messages(socket->feed))
        websocket_pause(socket->websocket);
    /* The next message has its own time. */
    if (socket->deadline == HTTP_RECEIVING && !feed_awaits_capability(socket->feed))
        socket->active = true;
}

/* ---- between the feed and frames */

static void
mark(struct socket *socket)
{
    struct front *front = socket->visit->front;
    if (socket->dirty)
        return;
    socket->dirty = true;
    socket->next_dirty = front->dirty;
    front->dirty = socket;
}

static void
unmark(struct socket *socket)
{
    if (!socket->dirty)
        return;
    struct socket **link = &socket->visit->front->dirty;
    while (*link != socket)
        link = &(*link)->next_dirty;
    *link = socket->next_dirty;
    socket->dirty = false;
}

static bool
say(void *context, struct text message)
{
    struct socket *socket = context;
    if (!http_socket_hold(socket->visit->call, websocket_held(socket->websocket) + message.size) ||
        !websocket_send(socket->websocket, message))
        return false;
    mark(socket);
    return true;
}

static void
end(void *context, unsigned code, const char *reason)
{
    struct socket *socket = context;
    websocket_close(socket->websocket, code, reason);
    mark(socket);
}

/* ---- what to do next */

static void
release(struct socket *socket)
{
    unmark(socket);
    feed_destroy(&socket->feed);
    websocket_destroy(&socket->websocket);
}

static void
shut(struct socket *socket)
{
    http_socket_close(socket->visit->call);
    release(socket);
}

static void
choose_deadline(struct socket *socket)
{
    int wanted = HTTP_QUIET;
    if (websocket_is_receiving(socket->websocket) || feed_awaits_capability(socket->feed))
        wanted = HTTP_RECEIVING;
    else if (websocket_wants_write(socket->websocket))
        wanted = HTTP_SENDING;
    if (wanted == socket->deadline && !socket->active)
        return;
    socket->deadline = wanted;
    socket->active = false;
    http_socket_enter(socket->visit->call, (enum http_deadline)wanted);
}

/* After anything that happened. */
static void
settle(struct socket *socket)
{
    struct websocket *websocket = socket->websocket;
    struct http_call *call = socket->visit->call;
    if (!websocket_flush(websocket) || websocket_is_over(websocket)) {
        shut(socket);
        return;
    }
    bool writes = websocket_wants_write(websocket);
    if (!writes)
        feed_drained(socket->feed);
    http_socket_hold(call, websocket_held(websocket));
    http_socket_await(call, websocket_wants_read(websocket) && feed_takes_messages(socket->feed),
                      writes);
    choose_deadline(socket);
}

void
sockets_ready(struct visit *visit)
{
    struct socket *socket = visit->socket;
    if (!socket || !socket->websocket)
        return;
    if (!socket->begun) {
        socket->begun = true;
        feed_begin(socket->feed);
    }
    if (!websocket_receive(socket->websocket)) {
        shut(socket);
        return;
    }
    settle(socket);
}

void
sockets_late(struct visit *visit, enum http_deadline deadline)
{
    struct socket *socket = visit->socket;
    if (!socket || !socket->websocket)
        return;
    if (deadline == HTTP_QUIET)
        websocket_ping(socket->websocket);
    else
        websocket_close(socket->websocket, WEBSOCKET_POLICY,
                        feed_awaits_capability(socket->feed) ? "no capability came in time"
                                                             : "the message did not come in time");
    if (deadline == HTTP_QUIET)
        settle(socket);
    else
        websocket_flush(socket->websocket);
}

void
sockets_gone(struct visit *visit)
{
    if (visit->socket)
        release(visit->socket);
}

void
sockets_forget(struct visit *visit)
{
    struct socket *socket = visit->socket;
    struct front *front = visit->front;
    if (!socket)
        return;
    release(socket);
    if (socket->before)
        socket->before->after = socket->after;
    else
        front->sockets = socket->after;
    if (socket->after)
        socket->after->before = socket->before;
    front->streams--;
    visit->socket = NULL;
    free(socket);
}

void
sockets_flush(struct front *front)
{
    while (front->dirty) {
        struct socket *socket = front->dirty;
        unmark(socket);
        settle(socket);
    }
}

void
sockets_drain(struct front *front)
{
    for (struct socket *socket = front->sockets; socket; socket = socket->after)
        if (socket->websocket)
            end(socket, WEBSOCKET_GOING_AWAY, "the gateway is stopping");
}

/* ---- the handshake */

static enum status
open_feed(struct socket *socket, const struct operation *operation, struct text agent,
          struct error *error)
{
    struct visit *visit = socket->visit;
    struct front *front = visit->front;
    struct http_call *call = visit->call;
    struct translated translated;
    struct translate_input input = {
        .match = &visit->match,
        .uri = &visit->uri,
        .capability_header = http_call_field(call, HTTP_CAPABILITY),
        .authorization = http_call_field(call, HTTP_AUTHORIZATION),
    };
    enum status status = translate_request(front->translator, &input, &translated, error);
    if (status != STATUS_OK)
        return status;
    struct feed_options options = {
        .exchanges = front->exchanges,
        .parser = front->parser,
        .bus = front->bus_contract,
        .operation = operation,
        .principal = text_of(visit_principal),
        .trace = visit->trace,
        .agent = agent,
        .arguments = translated.payload,
        .capability = translated.capability,
        .say = say,
        .end = end,
        .context = socket,
    };
    struct websocket_options frames = {read_bytes, write_bytes, on_message, socket, MESSAGE_MAX};
    socket->feed = feed_new(&options);
    socket->websocket = websocket_new(&frames);
    return socket->feed && socket->websocket ? STATUS_OK : STATUS_NOMEM;
}

static enum status
open_socket(struct visit *visit, const struct operation *operation, struct text agent,
            struct error *error)
{
    struct front *front = visit->front;
    struct socket *socket = calloc(1, sizeof *socket);
    if (!socket)
        return STATUS_NOMEM;
    socket->visit = visit;
    socket->deadline = NO_DEADLINE;
    socket->after = front->sockets;
    if (socket->after)
        socket->after->before = socket;
    front->sockets = socket;
    front->streams++;
    visit->socket = socket;
    enum status status = open_feed(socket, operation, agent, error);
    if (status != STATUS_OK)
        sockets_forget(visit);
    return status;
}

static enum status
check_handshake(const struct visit *visit, unsigned *http_status, struct error *error)
{
    const struct front *front = visit->front;
    const struct http_call *call = visit->call;
    struct handshake handshake = {
        .method = http_call_method(call),
        .http_11 = http_call_is_http_11(call),
        .connection = http_call_field(call, HTTP_CONNECTION),
        .upgrade = http_call_field(call, HTTP_UPGRADE),
        .version = http_call_field(call, HTTP_WEBSOCKET_VERSION),
        .key = http_call_field(call, HTTP_WEBSOCKET_KEY),
    };
    enum status status = handshake_check(&handshake, http_status, error);
    if (status != STATUS_OK)
        return status;
    *http_status = 0;
    if (http_call_has_body(call)) {
        error_set(error, "WebSocket handshake: expected no body");
        return STATUS_INVALID;
    }
    status = guard_socket_origin(&front->guard, http_call_field(call, HTTP_ORIGIN),
                                 http_call_field(call, HTTP_HOST), error);
    if (status != STATUS_OK)
        return status;
    if (front->draining || !front->bus.connected(front->bus.context)) {
        error_set(error,
                  front->draining ? "the gateway is stopping" : "the broker cannot be reached");
        return STATUS_UNAVAILABLE;
    }
    if (front->streams >= front->streams_max) {
        error_set(error, "gateway.streams_max streams are open; try again later");
        return STATUS_BUSY;
    }
    return STATUS_OK;
}

static void
open_at(struct visit *visit, const char *type, struct text agent)
{
    struct front *front = visit->front;
    struct error error = ERROR_INIT;
    char accept[HANDSHAKE_ACCEPT_SIZE];
    unsigned http_status = 0;
    const struct operation *operation =
        front->bus_contract ? contract_operation(front->bus_contract, text_of(type)) : NULL;
    enum status status = check_handshake(visit, &http_status, &error);
    if (status == STATUS_OK && !operation) {
        error_set(&error, "the bus has no %s", type);
        status = STATUS_NOT_IMPLEMENTED;
    }
    if (status == STATUS_OK) {
        visit->match = (struct route_match){.operation = operation};
        if (agent.size > 0) {
            visit->match.names[0] = text_of("agent_id");
            visit->match.values[0] = agent;
            visit->match.count = 1;
        }
        status = open_socket(visit, operation, agent, &error);
    }
    if (status == STATUS_OK &&
        !handshake_accept(http_call_field(visit->call, HTTP_WEBSOCKET_KEY), accept)) {
        sockets_forget(visit);
        status = STATUS_NOMEM;
    }
    if (status != STATUS_OK) {
        visit_refuse_with(visit, status, &error, &(struct visit_answer){.status = http_status});
        return;
    }
    visit->purpose = VISIT_SOCKET;
    visit_upgrade(visit, accept);
}

bool
sockets_try_path(struct visit *visit, enum door door, const struct text *segments, size_t count)
{
    if ((door != DOOR_ENGINE && door != DOORS) || count < 2 ||
        !text_equal_string(segments[0], "ws"))
        return false;
    if (count == 2 && text_equal_string(segments[1], "tap"))
        open_at(visit, "tap", (struct text){NULL, 0});
    else if (count == 3 && text_equal_string(segments[1], "nervous-system") && segments[2].size > 0)
        open_at(visit, "bus_listen", segments[2]);
    else
        return false;
    return true;
}
