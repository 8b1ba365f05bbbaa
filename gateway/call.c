/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/call.h"

#include <stdlib.h>
#include <strings.h>

enum { SPARE_CALLS_MAX = 256, SPARE_BODY_MAX = 16 * 1024 };

static const char *const field_names[] = {
#define FIELD_NAME(id, name) [HTTP_##id] = (name),
    HTTP_FIELD_MAP(FIELD_NAME)
#undef FIELD_NAME
};

const char *
http_field_name(enum http_field field)
{
    return field_names[field];
}

void
call_set_field(struct http_call *call, struct text name, struct text value)
{
    for (size_t i = 0; i < HTTP_FIELDS; i++) {
        const char *known = field_names[i];
        if (strlen(known) != name.size || strncasecmp(known, name.data, name.size) != 0)
            continue;
        if (call->fields[i].data)
            call->repeats[i] = true;
        else
            call->fields[i] = value;
        return;
    }
}

bool
call_announced_size(const struct http_call *call, uint64_t *size)
{
    struct text text = call->fields[HTTP_CONTENT_LENGTH];
    if (text.size == 0 || text.size > 19)
        return false;
    *size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        *size = *size * 10 + (uint64_t)(text.data[i] - '0');
    }
    return true;
}

struct text
http_call_method(const struct http_call *call)
{
    return call->method;
}

struct text
http_call_target(const struct http_call *call)
{
    return (struct text){call->target, call->target_size};
}

struct text
http_call_field(const struct http_call *call, enum http_field field)
{
    return call->fields[field];
}

bool
http_call_repeats(const struct http_call *call, enum http_field field)
{
    return call->repeats[field];
}

struct text
http_call_body(const struct http_call *call)
{
    return buffer_text(&call->body);
}

bool
http_call_has_body(const struct http_call *call)
{
    return call->announced;
}

unsigned
http_call_tag(const struct http_call *call)
{
    return call->connection->tag;
}

void
http_call_set_body_max(struct http_call *call, size_t bytes)
{
    call->body_max = bytes;
}

void
http_call_set_user(struct http_call *call, void *user)
{
    call->user = user;
}

void *
http_call_user(const struct http_call *call)
{
    return call->user;
}

unsigned
http_call_status(const struct http_call *call)
{
    return call->status;
}

/* ---- life */

void
call_tell_gone(struct http_call *call)
{
    if (call->gone)
        return;
    call->gone = true;
    call->http->options.callbacks.on_gone(call->http->options.callbacks.context, call);
}

struct http_call *
call_new(struct http *http, struct connection *connection, struct MHD_Connection *library,
         const char *uri)
{
    struct http_call *call = http->spare;
    struct buffer body = {0};
    struct buffer stream = {0};
    if (call) {
        http->spare = call->after;
        http->spare_count--;
        body = call->body;
        stream = call->stream;
    } else {
        call = malloc(sizeof *call);
        if (!call)
            return NULL;
    }
    memset(call, 0, sizeof *call);
    call->body = body;
    call->stream = stream;
    call->http = http;
    call->connection = connection;
    call->library = library;
    call->target_size = strlen(uri);
    call->target = call->target_inline;
    if (call->target_size >= sizeof call->target_inline) {
        call->target = malloc(call->target_size + 1);
        if (!call->target) {
            buffer_clear(&call->body);
            buffer_clear(&call->stream);
            free(call);
            return NULL;
        }
    }
    memcpy(call->target, uri, call->target_size + 1);
    call->after = http->first_call;
    if (call->after)
        call->after->before = call;
    http->first_call = call;
    connection->call = call;
    return call;
}

void
call_end(struct http_call *call)
{
    struct http *http = call->http;
    if (call->headed) {
        if (call->state != CALL_CUT &&
            (call->state != CALL_QUEUED || (call->streaming && !call->finished)))
            call_tell_gone(call);
        http->options.callbacks.on_end(http->options.callbacks.context, call);
        http->calls--;
    }
    http->held -= call->held;
    call->held = 0;
    if (call->target != call->target_inline)
        free(call->target);
    if (call->before)
        call->before->after = call->after;
    else
        http->first_call = call->after;
    if (call->after)
        call->after->before = call->before;
    call->connection->call = NULL;

    if (http->spare_count < SPARE_CALLS_MAX) {
        if (call->body.capacity > SPARE_BODY_MAX)
            buffer_clear(&call->body);
        if (call->stream.capacity > SPARE_BODY_MAX)
            buffer_clear(&call->stream);
        buffer_reset(&call->body);
        buffer_reset(&call->stream);
        call->after = http->spare;
        http->spare = call;
        http->spare_count++;
        return;
    }
    buffer_clear(&call->body);
    buffer_clear(&call->stream);
    free(call);
}

void
call_clear_spare(struct http *http)
{
    while (http->spare) {
        struct http_call *call = http->spare;
        http->spare = call->after;
        buffer_clear(&call->body);
        buffer_clear(&call->stream);
        free(call);
    }
}

bool
http_call_admit(struct http_call *call, uint32_t *retry_seconds)
{
    return connections_admit(call->http->connections, call->connection, retry_seconds);
}
