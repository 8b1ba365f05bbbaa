/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd without a listening socket of its own, its epoll set nested in that of
 * connections.c. What it does not do:
 * - its timeout counts from the last byte: connections.c measures phases instead;
 * - a suspended connection does not see its client leave: connections.c does;
 * - an answer queued in the first handler call closes the connection: wanted for large bodies only;
 * - an answer cannot be queued while a body is being read: it is then written to the socket
 * directly. */
#include "gateway/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/call.h"
#include "gateway/connections.h"
#include "gateway/raw.h"
#include "kernel/assert.h"

enum {
    EVICTED_SLACK = 1024, /* evicted ones that the library has not closed yet */
    DISCARD_MAX =
        64 * 1024, /* a refused body up to this is read and dropped, keeping the connection */
    CONNECTION_MEMORY =
        20 * 1024, /* header of a request; the library clears all of it for each one */
    STREAM_BLOCK = 16 * 1024
};

/* ---- calls */

static void
go_on(struct http_call *call)
{
    if (!call->suspended)
        return;
    call->suspended = false;
    call->http->resumed = true;
    MHD_resume_connection(call->library);
}

static void
suspend(struct http_call *call)
{
    call->suspended = true;
    connection_enter(call->connection, PHASE_NONE);
    MHD_suspend_connection(call->library);
}

static void
end_call(struct http_call *call)
{
    struct MHD_Response *response = call->response;
    call_end(call);
    if (response)
        MHD_destroy_response(response);
}

/* ---- what the library calls */

static void *
on_target(void *context, const char *uri, struct MHD_Connection *library)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(library, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *connection = info ? info->socket_context : NULL;
    if (!connection)
        return NULL;
    connection_enter(connection, PHASE_HEADER);
    return call_new(context, connection, library, uri);
}

static void
on_completed(void *context, struct MHD_Connection *library, void **call_p,
             enum MHD_RequestTerminationCode code)
{
    (void)context;
    (void)library;
    (void)code;
    struct http_call *call = *call_p;
    if (!call)
        return;
    *call_p = NULL;
    struct connection *connection = call->connection;
    struct http *http = call->http;
    end_call(call);
    if (connection->evicted)
        return;
    if (http->draining)
        connection_cut(connection);
    else
        connection_enter(connection, PHASE_IDLE);
}

static void
on_connection(void *context, struct MHD_Connection *library, void **socket_context,
              enum MHD_ConnectionNotificationCode code)
{
    struct http *http = context;
    (void)library;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = http->accepting;
        return;
    }
    struct connection *connection = *socket_context;
    if (!connection)
        return;
    *socket_context = NULL;
    if (http->accepting == connection)
        http->accepting = NULL;
    connection_closed(connection);
}

static enum MHD_Result
on_field(void *context, enum MHD_ValueKind kind, const char *name, size_t name_size,
         const char *value, size_t value_size)
{
    (void)kind;
    call_set_field(context, (struct text){name, name_size},
                   (struct text){value ? value : "", value_size});
    return MHD_YES;
}

static enum MHD_Result
queue(struct http_call *call)
{
    ASSERT(call->response);
    if (call->state == CALL_QUEUED)
        return MHD_NO;
    call->state = CALL_QUEUED;
    if (call->http->draining)
        MHD_add_response_header(call->response, MHD_HTTP_HEADER_CONNECTION, "close");
    connection_enter(call->connection, PHASE_ANSWER);
    return MHD_queue_response(call->library, call->status, call->response);
}

static enum MHD_Result
begin_call(struct http_call *call)
{
    struct http *http = call->http;
    const struct http_callbacks *callbacks = &http->options.callbacks;
    MHD_get_connection_values_n(call->library, MHD_HEADER_KIND, on_field, call);
    call->headed = true;
    http->calls++;

    uint64_t size = 0;
    bool sized = call_announced_size(call, &size);
    bool chunked = call->fields[HTTP_TRANSFER_ENCODING].size > 0;
    call->announced =
        chunked || (call->fields[HTTP_CONTENT_LENGTH].size > 0 && !(sized && size == 0));
    call->state = CALL_HEAD;
    callbacks->on_head(callbacks->context, call);
    if (call->state == CALL_HEAD) {
        call->state = CALL_BODY;
        if (!chunked && call->announced && (!sized || size > call->body_max)) {
            call->state = CALL_HEAD;
            callbacks->on_refuse(callbacks->context, call, STATUS_TOO_LARGE);
        }
    }
    if (call->state == CALL_CUT)
        return MHD_NO;
    connection_enter(call->connection, call->announced ? PHASE_BODY : PHASE_NONE);
    if (call->state != CALL_ANSWERED || !call->announced)
        return MHD_YES;
    if (sized && !chunked && size <= DISCARD_MAX) {
        call->discard = true;
        return MHD_YES;
    }
    call->connection->farewell = true;
    return queue(call);
}

static enum MHD_Result
take_body(struct http_call *call, const char *data, size_t size)
{
    struct http *http = call->http;
    const struct http_callbacks *callbacks = &http->options.callbacks;
    if (call->state == CALL_CUT)
        return MHD_NO;
    if (call->state == CALL_ANSWERED)
        return MHD_YES;
    enum status refused = STATUS_OK;
    if (size > call->body_max - call->body.size)
        refused = STATUS_TOO_LARGE;
    else if (http->held + size > http->options.body_bytes_max)
        refused = STATUS_BUSY;
    else
        buffer_append(&call->body, data, size);
    if (call->body.failed)
        refused = STATUS_BUSY;
    if (refused == STATUS_OK) {
        call->held += size;
        http->held += size;
        return MHD_YES;
    }
    call->connection->farewell = true;
    callbacks->on_refuse(callbacks->context, call, refused);
    call->state = CALL_CUT;
    return MHD_NO;
}

static enum MHD_Result
on_access(void *context, struct MHD_Connection *library, const char *url, const char *method,
          const char *version, const char *upload, size_t *upload_size, void **call_p)
{
    (void)context;
    (void)library;
    (void)url;
    struct http_call *call = *call_p;
    if (!call)
        return MHD_NO;
    if (!call->headed) {
        call->method = text_of(method);
        call->http_11 = strcmp(version, MHD_HTTP_VERSION_1_1) == 0;
        return begin_call(call);
    }
    if (*upload_size > 0) {
        size_t size = *upload_size;
        *upload_size = 0;
        return take_body(call, upload, size);
    }
    if (call->state == CALL_CUT)
        return MHD_NO;
    if (call->state == CALL_BODY) {
        const struct http_callbacks *callbacks = &call->http->options.callbacks;
        call->state = CALL_PENDING;
        callbacks->on_request(callbacks->context, call);
    }
    if (call->state == CALL_ANSWERED)
        return queue(call);
    if (call->state == CALL_CUT)
        return MHD_NO;
    if (call->connection->left) {
        call_tell_gone(call);
        call->state = CALL_CUT;
        return MHD_NO;
    }
    suspend(call);
    return MHD_YES;
}

static ssize_t
on_read(void *context, uint64_t position, char *out, size_t room)
{
    struct http_call *call = context;
    (void)position;
    size_t left = call->stream.size - call->stream_at;
    if (left > 0) {
        size_t size = left < room ? left : room;
        memcpy(out, call->stream.data + call->stream_at, size);
        call->stream_at += size;
        call->held -= size;
        call->http->held -= size;
        connection_enter(call->connection, PHASE_ANSWER);
        if (call->stream_at == call->stream.size) {
            buffer_reset(&call->stream);
            call->stream_at = 0;
            if (!call->finished)
                call->http->options.callbacks.on_drained(call->http->options.callbacks.context,
                                                         call);
        }
        return (ssize_t)size;
    }
    if (call->finished)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (call->connection->left || call->state == CALL_CUT) {
        call_tell_gone(call);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    suspend(call);
    return 0;
}

/* ---- the answer */

static void
set_response(struct http_call *call, struct MHD_Response *response,
             const struct http_answer *answer)
{
    for (size_t i = 0; response && i < answer->header_count; i++) {
        if (MHD_add_response_header(response, answer->headers[i].name, answer->headers[i].value) ==
            MHD_YES)
            continue;
        MHD_destroy_response(response);
        response = NULL;
    }
    call->status = answer->status;
    call->response = response;
    /* Out of memory: the connection is all there is to give back. */
    call->state = response ? CALL_ANSWERED : CALL_CUT;
    go_on(call);
}

void
http_answer(struct http_call *call, const struct http_answer *answer)
{
    char *given =
        answer->body_type == HTTP_BODY_GIVEN ? (char *)(uintptr_t)answer->body.data : NULL;
    if (call->gone || call->state > CALL_PENDING) {
        free(given);
        return;
    }
    if (call->state == CALL_BODY) {
        call->status = answer->status;
        raw_send(call->connection->descriptor, answer->status, "Refused", answer->headers,
                 answer->header_count, answer->body);
        call->state = CALL_CUT;
        free(given);
        return;
    }
    enum MHD_ResponseMemoryMode mode = MHD_RESPMEM_MUST_COPY;
    if (answer->body_type == HTTP_BODY_STATIC || answer->body.size == 0)
        mode = MHD_RESPMEM_PERSISTENT;
    else if (given)
        mode = MHD_RESPMEM_MUST_FREE;
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body.size, (void *)(uintptr_t)answer->body.data, mode);
    if (!response || mode == MHD_RESPMEM_PERSISTENT)
        free(given);
    set_response(call, response, answer);
}

void
http_stream(struct http_call *call, const struct http_answer *head)
{
    if (call->gone || (call->state != CALL_PENDING && call->state != CALL_HEAD))
        return;
    call->streaming = true;
    set_response(
        call,
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, on_read, call, NULL),
        head);
}

bool
http_write(struct http_call *call, struct text data)
{
    struct http *http = call->http;
    if (call->gone || !call->streaming || call->finished)
        return true;
    if (http->held + data.size > http->options.body_bytes_max)
        return false;
    if (!buffer_reserve(&call->stream, data.size))
        return false;
    buffer_append_text(&call->stream, data);
    call->held += data.size;
    http->held += data.size;
    go_on(call);
    return true;
}

void
http_finish(struct http_call *call)
{
    if (call->gone || !call->streaming)
        return;
    call->finished = true;
    go_on(call);
}

/* ---- upgraded connections */

static void
on_upgrade(void *context, struct MHD_Connection *library, void *call_p, const char *early,
           size_t early_size, MHD_socket descriptor, struct MHD_UpgradeResponseHandle *handle)
{
    struct http_call *call = context;
    (void)library;
    (void)call_p;
    (void)descriptor;
    call->upgrade = handle;
    call->state = CALL_UPGRADED;
    buffer_append(&call->body, early, early_size);
    connection_upgrade(call->connection);
    http_socket_enter(call, HTTP_QUIET);
    /* Writable it is at once. */
    http_socket_await(call, true, true);
}

void
http_upgrade(struct http_call *call, const struct http_answer *head)
{
    if (call->gone || call->state > CALL_PENDING)
        return;
    set_response(call, MHD_create_response_for_upgrade(on_upgrade, call), head);
}

void
http_socket_close(struct http_call *call)
{
    if (!call->upgrade)
        return;
    call->connection->farewell = true;
    connection_enter(call->connection, PHASE_NONE);
    connection_await(call->connection, false, false);
    MHD_upgrade_action(call->upgrade, MHD_UPGRADE_ACTION_CLOSE);
    call->upgrade = NULL;
    call->state = CALL_CUT;
    call->http->resumed = true;
}

/* ---- what connections.c calls */

static bool
adopt(void *context, struct connection *connection, const struct sockaddr *address,
      socklen_t address_size)
{
    struct http *http = context;
    http->accepting = connection;
    enum MHD_Result added =
        MHD_add_connection(http->daemon, connection->descriptor, address, address_size);
    /* A failure may come before or after the library has told on_connection() of it. */
    bool ours = added != MHD_YES && http->accepting;
    http->accepting = NULL;
    return !ours;
}

static void
turn_away(void *context, int descriptor)
{
    (void)context;
    raw_refuse(descriptor, 503, "Service Unavailable", STATUS_BUSY, "service_busy",
               "too many connections; try again later");
}

static void
client_left(void *context, struct connection *connection)
{
    struct http_call *call = connection->call;
    (void)context;
    if (!call || !call->suspended)
        return;
    call_tell_gone(call);
    if (call->state == CALL_PENDING)
        call->state = CALL_CUT;
    go_on(call);
}

static bool
phase_expired(void *context, struct connection *connection)
{
    struct http *http = context;
    const struct http_callbacks *callbacks = &http->options.callbacks;
    struct http_call *call = connection->call;
    if (call && call->upgrade)
        return socket_expired(call);
    if (connection->phase == PHASE_HEADER) {
        raw_refuse(connection->descriptor, 408, "Request Timeout", STATUS_TIMEOUT,
                   "request_timeout", "the request's header did not arrive in time");
    } else if (connection->phase == PHASE_BODY && call && call->state == CALL_BODY) {
        callbacks->on_refuse(callbacks->context, call, STATUS_TIMEOUT);
        call->state = CALL_CUT;
    }
    return false;
}

/* ---- the loop */

enum status
http_listen(struct http *http, const char *address, uint16_t port, const char *setting,
            unsigned tag, uint16_t *actual, struct error *error)
{
    return connections_listen(http->connections, address, port, setting, tag, actual, error);
}

void
http_stop_listening(struct http *http)
{
    connections_stop_listening(http->connections);
}

void
http_drain(struct http *http)
{
    http->draining = true;
    connections_cut_idle(http->connections);
}

enum status
http_watch(struct http *http, int descriptor, void (*ready)(void *context), void *context,
           struct error *error)
{
    return connections_watch(http->connections, descriptor, ready, context, error);
}

void
http_wait(struct http *http, uint32_t timeout_ms)
{
    MHD_UNSIGNED_LONG_LONG library_ms;
    if (MHD_get_timeout(http->daemon, &library_ms) == MHD_YES && library_ms < timeout_ms)
        timeout_ms = (uint32_t)library_ms;
    connections_wait(http->connections, http->resumed ? 0 : timeout_ms);
    http->resumed = false;
    /* Frees connections: after their events. */
    MHD_run(http->daemon);
}

struct http_figures
http_figures(const struct http *http)
{
    struct connections_figures figures = connections_figures(http->connections);
    return (struct http_figures){figures.accepted, figures.refused, figures.evicted,
                                 figures.expired,  figures.open,    http->calls,
                                 http->held};
}

/* ---- life */

static size_t
keep_escapes(void *context, struct MHD_Connection *library, char *text)
{
    (void)context;
    (void)library;
    return strlen(text);
}

static void
ignore_library_log(void *context, const char *format, va_list arguments)
{
    (void)context;
    (void)format;
    (void)arguments;
}

enum status
http_open(struct http **http_p, const struct http_options *options, struct error *error)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return STATUS_NOMEM;
    http->options = *options;
    struct connections_options connections = {
        .clock = options->clock,
        .logger = options->logger,
        .total_max = options->connections_max,
        .client_max = options->connections_peer_max,
        .rate = options->rate,
        .length_ms = {[PHASE_HEADER] = options->header_ms,
                      [PHASE_BODY] = options->body_ms,
                      [PHASE_IDLE] = options->idle_ms,
                      [PHASE_ANSWER] = options->body_ms,
                      [PHASE_OPEN] = options->idle_ms / 2,
                      [PHASE_ASKED] = options->idle_ms / 2},
        .adopt = adopt,
        .turn_away = turn_away,
        .left = client_left,
        .ready = socket_ready,
        .expired = phase_expired,
        .context = http,
    };
    enum status status = connections_open(&http->connections, &connections, error);
    if (status != STATUS_OK)
        goto fail;
    http->daemon = MHD_start_daemon(
        MHD_USE_NO_LISTEN_SOCKET | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_access, http, MHD_OPTION_EXTERNAL_LOGGER, ignore_library_log, NULL,
        MHD_OPTION_CONNECTION_LIMIT, options->connections_max + (unsigned)EVICTED_SLACK,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, http, MHD_OPTION_URI_LOG_CALLBACK, on_target,
        http, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_END);
    if (!http->daemon) {
        error_set(error, "cannot start the HTTP server: %s", strerror(errno));
        status = STATUS_INTERNAL;
        goto fail;
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    ASSERT(info);
    status = connections_watch(http->connections, info->epoll_fd, NULL, NULL, error);
    if (status != STATUS_OK)
        goto fail;
    *http_p = http;
    return STATUS_OK;

fail:
    http_close(&http);
    return status;
}

void
http_close(struct http **http_p)
{
    struct http *http = *http_p;
    if (!http)
        return;
    /* The library must not be stopped while connections are suspended. */
    for (struct http_call *call = http->first_call; call; call = call->after) {
        if (call->upgrade) {
            call_tell_gone(call);
            http_socket_close(call);
            continue;
        }
        if (call->headed && call->state <= CALL_PENDING) {
            call_tell_gone(call);
            call->state = CALL_CUT;
        }
        if (call->streaming)
            call_tell_gone(call);
        call->connection->left = true;
        go_on(call);
    }
    if (http->daemon) {
        MHD_run(http->daemon);
        MHD_stop_daemon(http->daemon);
    }
    call_clear_spare(http);
    connections_close(&http->connections);
    free(http);
    *http_p = NULL;
}
