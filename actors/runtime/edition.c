/* SPDX-License-Identifier: Apache-2.0 */
/* What the edition's policy lets a service do: asked of service:identity beside all requests, which
 * never wait for it. */
#include <string.h>

#include "actors/runtime/dispatch_core.h"

enum { EDITION_MAX = 32, ASK_TTL_MS = 3000, AGAIN_US = 30 * 1000 * 1000, RETRY_US = 1000 * 1000 };

/* ---- the answer */

static bool
holds_only(const struct value *map, enum value_type type)
{
    struct value name, value;
    struct entries entries = value_entries(map);
    while (entries_next_pair(&entries, &name, &value))
        if (name.type != VALUE_TEXT || value.type != type)
            return false;
    return true;
}

static enum status
read_answer(struct bytes payload, struct edition_policy *out, struct error *error)
{
    struct edition_policy policy;
    struct value answer;
    if (!value_parse(payload, &answer) || answer.type != VALUE_MAP ||
        !value_find_text(&answer, "edition", &policy.edition) ||
        policy.edition.size > EDITION_MAX) {
        error_set(error, "expected a map with edition (text, at most %d bytes)", EDITION_MAX);
        return STATUS_BAD_GATEWAY;
    }
    if (!value_find(&answer, "features", &policy.features) || policy.features.type != VALUE_MAP ||
        !holds_only(&policy.features, VALUE_BOOL)) {
        error_set(error, "features: expected a map of booleans");
        return STATUS_BAD_GATEWAY;
    }
    if (!value_find(&answer, "quotas", &policy.quotas) || policy.quotas.type != VALUE_MAP ||
        !holds_only(&policy.quotas, VALUE_UINT)) {
        error_set(error, "quotas: expected a map of whole numbers, 0 or more");
        return STATUS_BAD_GATEWAY;
    }
    *out = policy;
    return STATUS_OK;
}

void
edition_hand(struct dispatch *dispatch)
{
    const struct service *service = dispatch->context.service;
    struct edition_policy policy;
    if (service->policy && dispatch->edition.kept.size > 0 &&
        read_answer(buffer_bytes(&dispatch->edition.kept), &policy, NULL) == STATUS_OK)
        service->policy(&dispatch->context, &policy);
}

static enum status
take(struct dispatch *dispatch, struct bytes payload, struct error *error)
{
    struct edition_watch *watch = &dispatch->edition;
    struct edition_policy policy;
    enum status status = read_answer(payload, &policy, error);
    if (status != STATUS_OK)
        return status;
    if (watch->kept.size == payload.size &&
        memcmp(watch->kept.data, payload.data, payload.size) == 0)
        return STATUS_OK;
    struct buffer copy;
    buffer_init(&copy);
    buffer_append(&copy, payload.data, payload.size);
    if (copy.failed)
        return STATUS_NOMEM;
    buffer_clear(&watch->kept);
    watch->kept = copy;
    log_info(dispatch->context.logger, "the policy of edition %.*s is followed",
             TEXT_ARGS(policy.edition));
    edition_hand(dispatch);
    return STATUS_OK;
}

/* ---- asking */

/* A service:identity that is not there yet is nothing to tell of. */
static bool
is_away(enum status status)
{
    return status == STATUS_UNAVAILABLE || status == STATUS_TIMEOUT || status == STATUS_BUSY ||
           status == STATUS_UNKNOWN_OUTCOME;
}

static void
put_off(struct dispatch *dispatch, enum status status, const struct error *error)
{
    struct edition_watch *watch = &dispatch->edition;
    uint64_t retry_us = dispatch->context.now.monotonic_us + RETRY_US;
    if (watch->due_us > retry_us)
        watch->due_us = retry_us;
    if (is_away(status) || watch->has_complained)
        return;
    watch->has_complained = true;
    log_warn(dispatch->context.logger, "the policy stays what it was, another cannot be had: %s",
             error->message[0] ? error->message : status_text(status));
}

void
edition_ask(struct dispatch *dispatch)
{
    struct edition_watch *watch = &dispatch->edition;
    struct context *context = &dispatch->context;
    static const uint8_t empty_map[] = {0x80};
    if (!context->service->policy || watch->is_asking || dispatch->stopping || dispatch->failed ||
        context->now.monotonic_us < watch->due_us)
        return;
    watch->due_us = context->now.monotonic_us + AGAIN_US;
    watch->call = (struct continuation){.type = CONTINUATION_CALL};
    const struct trace trace = trace_new();
    const struct dispatch_call call = {.service = "identity",
                                       .type = "policy",
                                       .payload = {empty_map, sizeof empty_map},
                                       .ttl_ms = ASK_TTL_MS,
                                       .trace = &trace};
    struct error error = ERROR_INIT;
    enum status status = dispatch->port.call(dispatch->port.context, &call, &watch->call,
                                             &watch->call.call_id, &error);
    watch->is_asking = status == STATUS_OK;
    if (status != STATUS_OK)
        put_off(dispatch, status, &error);
}

bool
edition_is_answer(const struct dispatch *dispatch, const struct continuation *handle)
{
    return handle == &dispatch->edition.call;
}

void
edition_answered(struct dispatch *dispatch, enum status status, struct bytes payload)
{
    struct edition_watch *watch = &dispatch->edition;
    struct error error = ERROR_INIT;
    watch->is_asking = false;
    dispatch->context.now = clock_now(dispatch->clock);
    if (status != STATUS_OK)
        error_unpack(payload, &error);
    else if (!dispatch->failed)
        status = take(dispatch, payload, &error);
    if (status == STATUS_OK)
        watch->has_complained = false;
    else
        put_off(dispatch, status, &error);
}

void
edition_news(struct dispatch *dispatch)
{
    dispatch->edition.due_us = 0;
}

void
edition_stop(struct dispatch *dispatch)
{
    struct edition_watch *watch = &dispatch->edition;
    if (watch->is_asking)
        dispatch->port.cancel_call(dispatch->port.context, &watch->call);
    watch->is_asking = false;
    watch->due_us = 0;
}
