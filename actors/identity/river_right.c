/* SPDX-License-Identifier: Apache-2.0 */
/* What somebody asks a right for: read and checked. */
#include "actors/identity/river_calls.h"
#include "kernel/identity.h"
#include "kernel/json.h"

/* "memory:read": two words of a-z 0-9 _ */
static bool
is_action(struct text text)
{
    size_t colon = 0, colons = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        if (c == ':')
            colon = i, colons++;
        else if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return colons == 1 && colon > 0 && colon + 1 < text.size;
}

static bool
has_controls(struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((unsigned char)text.data[i] < 0x20 || text.data[i] == 0x7f)
            return true;
    return false;
}

static void
copy(char *to, struct text text)
{
    if (text.size > 0)
        memcpy(to, text.data, text.size); /* the contract's bounds are those of struct right */
    to[text.size] = '\0';
}

static enum status
read_constraints(const struct arguments *arguments, unsigned field, struct right *right,
                 struct error *error)
{
    struct constraints constraints;
    struct error cause = ERROR_INIT;
    struct buffer canonical;
    if (!arguments_has(arguments, field))
        return STATUS_OK;
    right->constraints = arguments->values[field].raw;
    buffer_init(&canonical);
    enum status status = json_canonical(right->constraints, &canonical, &cause);
    buffer_clear(&canonical);
    if (status == STATUS_OK)
        status = constraints_parse(right->constraints, &constraints, &cause);
    if (status == STATUS_OK || status == STATUS_NOMEM)
        return status;
    error_set_field(error, "constraints", "%s", cause.message);
    return STATUS_VALIDATION;
}

enum status
right_read(const struct request *request, const struct right_fields *fields, struct right *right,
           struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct text subject = arguments_text(arguments, fields->subject);
    struct text action = arguments_text(arguments, fields->action);
    struct text resource = arguments_text(arguments, fields->resource);
    *right = (struct right){.expires_in_s = arguments_integer(arguments, fields->expires_in),
                            .limited = arguments_has(arguments, fields->uses),
                            .uses = arguments_integer(arguments, fields->uses)};
    if (subject.size == 0 || has_controls(subject) || glob_is_pattern(subject)) {
        error_set_field(error, arguments->operation->fields[fields->subject].name,
                        "expected one identity, such as agent:kasra");
        return STATUS_VALIDATION;
    }
    if (action.size > 0 && !is_action(action)) {
        error_set_field(error, "action", "came %.*s, expected one such as memory:read",
                        TEXT_ARGS(action));
        return STATUS_VALIDATION;
    }
    if (has_controls(resource) || !text_is_utf8(resource)) {
        error_set_field(error, "resource", "expected a text without control characters");
        return STATUS_VALIDATION;
    }
    copy(right->subject, subject);
    copy(right->action, action);
    copy(right->resource, resource);
    return read_constraints(arguments, fields->constraints, right, error);
}

struct capability_grant
right_grant(const struct right *right, uint64_t now_us)
{
    return (struct capability_grant){.subject = right->subject,
                                     .action = right->action,
                                     .resource = right->resource,
                                     .issued_us = now_us,
                                     .expires_us = now_us + (uint64_t)right->expires_in_s * 1000000,
                                     .constraints = right->constraints,
                                     .limited = right->limited,
                                     .uses = right->uses};
}

enum status
right_answer(struct outcome *outcome, const struct grant *made, struct error *error)
{
    return grant_pack_token(buffer_text(&made->token), outcome_reply(outcome), error);
}

enum status
right_token(const struct request *request, unsigned field, struct buffer *json, struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    const struct value *value = &arguments->values[field];
    if (!arguments_has(arguments, field)) {
        buffer_append_text(json, request_capability(request));
    } else if (value->type == VALUE_TEXT) {
        buffer_append_text(json, value->as.text);
    } else if (value->type == VALUE_MAP) {
        enum status status = msgpack_to_json(value->raw, json, error);
        if (status != STATUS_OK)
            return status;
    }
    if (json->failed)
        return STATUS_NOMEM;
    if (json->size > 0)
        return STATUS_OK;
    error_set_field(error, arguments->operation->fields[field].name,
                    "expected a capability: an object, or its text");
    return STATUS_VALIDATION;
}
