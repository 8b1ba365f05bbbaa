/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/operation.h"

#include "gateway/sse.h"
#include "kernel/capability.h"
#include "kernel/message.h"

#define COMMENT_US UINT64_C(15000000)

/* ---- what comes over the bus */

static void
begin_stream(struct visit *visit)
{
    if (visit->streaming)
        return;
    visit->streaming = true;
    if (visit->lasting)
        visit->begun_us = clock_now(visit->front->clock).monotonic_us;
    visit_stream(visit);
}

static void
write_last(struct visit *visit)
{
    const struct buffer *events = &visit->front->scratch;
    if (!events->failed)
        http_write(visit->call, buffer_text(events));
    http_finish(visit->call);
}

static void
operation_refuse(void *context, enum status status, struct bytes payload)
{
    struct visit *visit = context;
    struct buffer *events = &visit->front->scratch;
    visit->exchange = 0;
    if (!visit->streaming) {
        visit_refuse_payload(visit, status, payload, NULL);
        return;
    }
    /* The status line is gone: the cause is the last event. */
    buffer_reset(events);
    sse_error(events, status, payload);
    write_last(visit);
}

static void
refuse_with(struct visit *visit, enum status status, const char *message)
{
    struct error error = ERROR_INIT;
    struct buffer payload;
    buffer_init(&payload);
    error_set(&error, "%s", message);
    error_pack(&payload, status, &error);
    operation_refuse(visit, status, buffer_bytes(&payload));
    buffer_clear(&payload);
}

static void
refuse_unreadable(struct visit *visit)
{
    refuse_with(visit, STATUS_BAD_GATEWAY, "the service's answer cannot be read");
}

static void
operation_reply(void *context, struct bytes payload)
{
    struct visit *visit = context;
    visit->exchange = 0;
    if (visit->streaming) {
        struct buffer *events = &visit->front->scratch;
        buffer_reset(events);
        if (sse_done(events, payload))
            write_last(visit);
        else
            refuse_unreadable(visit);
        return;
    }
    struct buffer json;
    buffer_init(&json);
    if (translate_answer(payload, &json, NULL) == STATUS_OK) {
        visit_give(visit, "application/json", &json);
        return;
    }
    buffer_clear(&json);
    refuse_unreadable(visit);
}

static enum status
operation_chunk(void *context, struct bytes payload)
{
    struct visit *visit = context;
    struct buffer *events = &visit->front->scratch;
    begin_stream(visit);
    buffer_reset(events);
    if (!sse_chunk(events, payload) || events->failed)
        return STATUS_BAD_GATEWAY;
    return http_write(visit->call, buffer_text(events)) ? STATUS_OK : STATUS_BUSY;
}

static const struct exchange_sink operation_sink = {operation_reply, operation_refuse,
                                                    operation_chunk};

/* ---- what lasts until its client leaves */

static bool
operation_lasts(const struct operation *operation)
{
    return (operation->flags & OPERATION_STREAM_ALWAYS) && (operation->flags & OPERATION_READ);
}

static void
probe_reply(void *context, struct bytes payload)
{
    struct visit *visit = context;
    (void)payload;
    visit->probe = 0;
    if (visit->exchange != 0)
        begin_stream(visit);
}

static void
probe_refuse(void *context, enum status status, struct bytes payload)
{
    struct visit *visit = context;
    (void)status;
    (void)payload;
    visit->probe = 0;
}

static const struct exchange_sink probe_sink = {.reply = probe_reply, .refuse = probe_refuse};

/* Of such a token service:identity is asked first: until it has answered nobody knows whether the
 * stream begins, however fast the probe comes back. */
static bool
waits_for_identity(struct text token)
{
    struct capability *capability = NULL;
    int64_t uses;
    if (text_is_empty(token) || capability_parse(&capability, token, NULL) != STATUS_OK)
        return false;
    bool waits = capability_has_parent(capability) || capability_uses_remaining(capability, &uses);
    capability_destroy(&capability);
    return waits;
}

static void
begin_lasting(struct visit *visit, bool probes)
{
    struct front *front = visit->front;
    visit->lasting = true;
    visit->before = NULL;
    visit->next = front->lasting;
    if (visit->next)
        visit->next->before = visit;
    front->lasting = visit;
    front->streams++;
    if (!probes)
        return;
    exchange_probe(front->exchanges, visit->match.operation->service, &visit->trace, &probe_sink,
                   visit, &visit->probe);
}

void
operation_forget(struct visit *visit)
{
    struct front *front = visit->front;
    exchange_abandon(front->exchanges, visit->probe);
    visit->probe = 0;
    if (!visit->lasting)
        return;
    visit->lasting = false;
    front->streams--;
    if (visit->before)
        visit->before->next = visit->next;
    else
        front->lasting = visit->next;
    if (visit->next)
        visit->next->before = visit->before;
}

uint64_t
operations_tick(struct front *front, uint64_t now_us)
{
    if (now_us < front->comment_us)
        return front->comment_us;
    for (struct visit *visit = front->lasting; visit; visit = visit->next)
        if (visit->streaming && visit->exchange != 0)
            http_write(visit->call, text_of(":\n\n"));
    front->comment_us = now_us + COMMENT_US;
    return front->comment_us;
}

void
operations_drain(struct front *front)
{
    for (struct visit *visit = front->lasting; visit; visit = visit->next) {
        if (visit->exchange == 0)
            continue;
        exchange_abandon(front->exchanges, visit->exchange);
        refuse_with(visit, STATUS_UNAVAILABLE, "the gateway is stopping");
    }
}

/* ---- beginning */

enum status
operation_begin(struct visit *visit, struct error *error)
{
    struct front *front = visit->front;
    const struct operation *operation = visit->match.operation;
    struct translated translated;
    struct translate_input input = {
        .match = &visit->match,
        .uri = &visit->uri,
        .body = http_call_body(visit->call),
        .capability_header = http_call_field(visit->call, HTTP_CAPABILITY),
        .authorization = http_call_field(visit->call, HTTP_AUTHORIZATION),
    };
    enum status status = translate_request(front->translator, &input, &translated, error);
    if (status != STATUS_OK)
        return status;
    if (front->draining || !front->bus.connected(front->bus.context)) {
        error_set(error,
                  front->draining ? "the gateway is stopping" : "the broker cannot be reached");
        return STATUS_UNAVAILABLE;
    }
    if (operation_lasts(operation) && front->streams >= front->streams_max) {
        error_set(error, "gateway.streams_max streams are open; try again later");
        return STATUS_BUSY;
    }
    bool waits = operation_lasts(operation) && waits_for_identity(translated.capability);
    bool post = text_equal_string(http_call_method(visit->call), "POST");
    struct exchange_request request = {
        .service = operation->service,
        .type = operation->type,
        .flags = operation->flags,
        .ttl_ms = operation->timeout_ms,
        .payload = translated.payload,
        .capability = translated.capability,
        .principal = text_of(visit_principal),
        .idempotency_key = post ? http_call_field(visit->call, HTTP_IDEMPOTENCY_KEY) : text_of(""),
        .trace = &visit->trace,
        .stream = translated.stream,
        .sink = &operation_sink,
        .context = visit,
    };
    status = exchange_begin(front->exchanges, &request, &visit->exchange, error);
    if (status == STATUS_OK && operation_lasts(operation))
        begin_lasting(visit, !waits);
    return status;
}
