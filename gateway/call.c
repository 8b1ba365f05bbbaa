/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/call.h"

#include <strings.h>

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
