/* SPDX-License-Identifier: Apache-2.0 */
/* The part of http.h about upgraded connections that needs nothing of the HTTP library. */
#include <errno.h>

#include "gateway/call.h"
#include "kernel/assert.h"

bool
http_call_is_http_11(const struct http_call *call)
{
    return call->http_11;
}

ssize_t
http_socket_read(struct http_call *call, void *out, size_t room)
{
    if (!call->upgrade)
        return -1;
    size_t early = call->body.size - call->stream_at;
    if (early > 0) {
        size_t size = early < room ? early : room;
        memcpy(out, call->body.data + call->stream_at, size);
        call->stream_at += size;
        return (ssize_t)size;
    }
    ssize_t size = recv(call->connection->descriptor, out, room, MSG_DONTWAIT);
    if (size > 0)
        return size;
    return size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : -1;
}

ssize_t
http_socket_write(struct http_call *call, const void *data, size_t size)
{
    if (!call->upgrade)
        return -1;
    ssize_t sent = send(call->connection->descriptor, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0)
        return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

void
http_socket_await(struct http_call *call, bool readable, bool writable)
{
    if (call->upgrade)
        connection_await(call->connection, readable, writable);
}

void
http_socket_enter(struct http_call *call, enum http_deadline deadline)
{
    static const enum phase phases[] = {
        [HTTP_QUIET] = PHASE_OPEN, [HTTP_RECEIVING] = PHASE_BODY, [HTTP_SENDING] = PHASE_ANSWER};
    if (call->upgrade)
        connection_enter(call->connection, phases[deadline]);
}

bool
http_socket_hold(struct http_call *call, size_t bytes)
{
    struct http *http = call->http;
    if (bytes > call->held && http->held + (bytes - call->held) > http->options.body_bytes_max)
        return false;
    http->held = http->held - call->held + bytes;
    call->held = bytes;
    return true;
}

void
socket_ready(void *context, struct connection *connection, bool broken)
{
    struct http *http = context;
    struct http_call *call = connection->call;
    if (!call || !call->upgrade)
        return;
    if (!broken) {
        http->options.callbacks.on_socket(http->options.callbacks.context, call);
        return;
    }
    call_tell_gone(call);
    http_socket_close(call);
}

bool
socket_expired(struct http_call *call)
{
    static const enum http_deadline deadlines[PHASES] = {
        [PHASE_BODY] = HTTP_RECEIVING, [PHASE_ANSWER] = HTTP_SENDING};
    const struct http_callbacks *callbacks = &call->http->options.callbacks;
    struct connection *connection = call->connection;
    if (connection->phase == PHASE_OPEN) {
        callbacks->on_late(callbacks->context, call, HTTP_QUIET);
        if (connection->phase == PHASE_OPEN)
            connection_enter(connection, PHASE_ASKED);
        return true;
    }
    if (connection->phase != PHASE_ASKED)
        callbacks->on_late(callbacks->context, call, deadlines[connection->phase]);
    call_tell_gone(call);
    http_socket_close(call);
    return false;
}
