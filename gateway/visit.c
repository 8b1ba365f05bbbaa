/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/visit.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/message.h"

enum { HEADERS_MAX = 20, ORIGIN_SIZE = 256, SECONDS_SIZE = 12, RETRY_AFTER_DEFAULT = 1 };

const char visit_principal[] = "user:local";

/* The texts that the headers of one answer point to. */
struct head {
    struct http_header headers[HEADERS_MAX];
    size_t count;
    char trace_id[TRACE_ID_TEXT_SIZE];
    char span_id[SPAN_ID_TEXT_SIZE];
    char parent_id[SPAN_ID_TEXT_SIZE];
    char traceparent[TRACEPARENT_TEXT_SIZE];
    char origin[ORIGIN_SIZE];
    char retry_after[SECONDS_SIZE];
};

static void
add(struct head *head, const char *name, const char *value)
{
    head->headers[head->count++] = (struct http_header){name, value};
}

static void
add_trace(struct head *head, const struct trace *trace)
{
    static const uint8_t none[8] = {0};
    trace_format_id(trace, head->trace_id);
    trace_format_span(trace->span_id, head->span_id);
    trace_format_traceparent(trace, head->traceparent);
    add(head, "X-SOS-Trace-ID", head->trace_id);
    add(head, "X-SOS-Span-ID", head->span_id);
    if (memcmp(trace->parent_span_id, none, sizeof none) != 0) {
        trace_format_span(trace->parent_span_id, head->parent_id);
        add(head, "X-SOS-Parent-Span-ID", head->parent_id);
    }
    add(head, "traceparent", head->traceparent);
}

static void
add_cors(struct head *head, const struct visit *visit, bool preflight)
{
    struct text origin = http_call_field(visit->call, HTTP_ORIGIN);
    if (origin.size == 0)
        return;
    add(head, "Vary", "Origin");
    if (origin.size >= sizeof head->origin || !cors_allows(&visit->front->cors, origin))
        return;
    memcpy(head->origin, origin.data, origin.size);
    head->origin[origin.size] = '\0';
    add(head, "Access-Control-Allow-Origin", head->origin);
    if (preflight) {
        add(head, "Access-Control-Allow-Methods", cors_methods);
        add(head, "Access-Control-Allow-Headers", cors_request_headers);
        add(head, "Access-Control-Max-Age", "600");
    } else {
        add(head, "Access-Control-Expose-Headers", cors_exposed_headers);
    }
}

static void
fill_head(struct head *head, const struct visit *visit, const struct visit_answer *answer)
{
    head->count = 0;
    if (answer->content_type) {
        add(head, "Content-Type", answer->content_type);
        add(head, "X-Content-Type-Options", "nosniff");
    }
    add_trace(head, &visit->trace);
    add_cors(head, visit, answer->preflight);
    if (answer->allow)
        add(head, "Allow", answer->allow);
    if (answer->location)
        add(head, "Location", answer->location);
    if (answer->security_policy)
        add(head, "Content-Security-Policy", answer->security_policy);
    if (answer->cache_control)
        add(head, "Cache-Control", answer->cache_control);
    if (answer->websocket_accept)
        add(head, "Sec-WebSocket-Accept", answer->websocket_accept);
    if (answer->status == 426)
        add(head, "Sec-WebSocket-Version", "13");
    if (answer->status == 426 || answer->status == 101)
        add(head, "Upgrade", "websocket");
    uint32_t seconds = answer->retry_after;
    if (seconds == 0 && (answer->status == 429 || answer->status == 503))
        seconds = RETRY_AFTER_DEFAULT;
    if (seconds > 0) {
        snprintf(head->retry_after, sizeof head->retry_after, "%u", (unsigned)seconds);
        add(head, "Retry-After", head->retry_after);
    }
}

void
visit_answer(struct visit *visit, const struct visit_answer *answer)
{
    struct head head;
    fill_head(&head, visit, answer);
    http_answer(visit->call, &(struct http_answer){
                                 .status = answer->status,
                                 .headers = head.headers,
                                 .header_count = head.count,
                                 .body_type = answer->body_type,
                                 .body = answer->body,
                             });
}

void
visit_stream(struct visit *visit)
{
    struct head head;
    fill_head(&head, visit,
              &(struct visit_answer){
                  .status = 200,
                  .content_type = "text/event-stream",
                  .cache_control = "no-cache",
              });
    http_stream(visit->call, &(struct http_answer){
                                 .status = 200,
                                 .headers = head.headers,
                                 .header_count = head.count,
                             });
}

void
visit_upgrade(struct visit *visit, const char *websocket_accept)
{
    struct head head;
    visit->begun_us = clock_now(visit->front->clock).monotonic_us;
    fill_head(&head, visit,
              &(struct visit_answer){.status = 101, .websocket_accept = websocket_accept});
    http_upgrade(visit->call, &(struct http_answer){
                                  .status = 101,
                                  .headers = head.headers,
                                  .header_count = head.count,
                              });
}

void
visit_give(struct visit *visit, const char *content_type, struct buffer *body)
{
    if (body->failed) {
        buffer_clear(body);
        visit_refuse(visit, STATUS_NOMEM, NULL);
        return;
    }
    visit_answer(visit, &(struct visit_answer){
                            .status = 200,
                            .content_type = content_type,
                            .body_type = HTTP_BODY_GIVEN,
                            .body = buffer_text(body),
                        });
    buffer_init(body);
}

void
visit_refuse_payload(struct visit *visit, enum status status, struct bytes payload,
                     const struct visit_answer *more)
{
    struct buffer json;
    struct visit_answer answer = more ? *more : (struct visit_answer){0};
    buffer_init(&json);
    translate_refusal(status, payload, &json);
    if (answer.status == 0)
        answer.status = (unsigned)status_http(status);
    answer.content_type = "application/json";
    if (json.failed) {
        buffer_clear(&json);
        answer.body_type = HTTP_BODY_STATIC;
        answer.body = text_of("{\"ok\":false,\"detail\":\"service_unavailable\"}");
    } else {
        answer.body_type = HTTP_BODY_GIVEN;
        answer.body = buffer_text(&json);
    }
    visit_answer(visit, &answer);
}

void
visit_refuse_with(struct visit *visit, enum status status, const struct error *error,
                  const struct visit_answer *more)
{
    struct buffer *payload = &visit->front->scratch;
    buffer_reset(payload);
    error_pack(payload, status, error);
    visit_refuse_payload(visit, status, buffer_bytes(payload), more);
}

void
visit_refuse(struct visit *visit, enum status status, const struct error *error)
{
    visit_refuse_with(visit, status, error, NULL);
}
