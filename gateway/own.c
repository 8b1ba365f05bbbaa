/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/own.h"

#include "gateway/docs.h"
#include "kernel/message.h"
#include "kernel/pack.h"

enum { METRICS_TTL_MS = 1000, PATH_TEXT_MAX = 256 };

static const char own_allow[] = "GET, HEAD, OPTIONS";

/* ---- metrics */

static void
answer_metrics(struct visit *visit, struct text foreign)
{
    struct front *front = visit->front;
    struct buffer text;
    struct http_figures http = http_figures(front->http);
    buffer_init(&text);
    figures_print(front->figures, visit->door, &http, exchanges_count(front->exchanges),
                  front->streams, clock_now(front->clock).monotonic_us, foreign, &text);
    visit_give(visit, "text/plain; version=0.0.4; charset=utf-8", &text);
}

static void
metrics_reply(void *context, struct bytes payload)
{
    struct visit *visit = context;
    struct value map;
    struct text foreign = {"", 0};
    visit->exchange = 0;
    if (value_parse(payload, &map))
        value_find_text(&map, "text", &foreign);
    answer_metrics(visit, foreign);
}

static void
metrics_refuse(void *context, enum status status, struct bytes payload)
{
    struct visit *visit = context;
    (void)status;
    (void)payload;
    visit->exchange = 0;
    answer_metrics(visit, text_of(""));
}

static const struct exchange_sink metrics_sink = {.reply = metrics_reply, .refuse = metrics_refuse};

static enum status
begin_metrics(struct visit *visit, struct error *error)
{
    struct front *front = visit->front;
    if (visit->door != DOORS && !routes_has_door(front->routes, visit->door))
        return STATUS_UNAVAILABLE;
    if (!front->bus.connected(front->bus.context))
        return STATUS_UNAVAILABLE;
    struct exchange_request request = {
        .service = visit->door == DOORS ? "bus" : door_word(visit->door),
        .type = "metrics",
        .flags = OPERATION_READ | OPERATION_IDEMPOTENT,
        .ttl_ms = METRICS_TTL_MS,
        .trace = &visit->trace,
        .sink = &metrics_sink,
        .context = visit,
    };
    return exchange_begin(front->exchanges, &request, &visit->exchange, error);
}

void
own_ask_metrics(struct visit *visit)
{
    struct error error = ERROR_INIT;
    if (begin_metrics(visit, &error) != STATUS_OK)
        answer_metrics(visit, text_of(""));
}

/* ---- health, version, documents */

static bool
is_read(struct text method)
{
    return text_equal_string(method, "GET") || text_equal_string(method, "HEAD");
}

static void
answer_health(struct visit *visit, enum door door)
{
    struct front *front = visit->front;
    struct health_answer health =
        health_of(front->health, door, clock_now(front->clock).monotonic_us);
    visit_answer(visit, &(struct visit_answer){
                            .status = health.well ? 200 : 503,
                            .content_type = "application/json",
                            .body_type = HTTP_BODY_COPY,
                            .body = health.json,
                        });
}

static void
answer_version(struct visit *visit, enum door door)
{
    struct buffer json;
    buffer_init(&json);
    buffer_append_format(
        &json, "{\"version\":\"" SOS_VERSION "\",\"service\":\"%s\",\"protocol\":\"SOS/%d\"}",
        figures_service(door), MESSAGE_VERSION);
    visit_give(visit, "application/json", &json);
}

static void
want_metrics(struct visit *visit, enum door door)
{
    visit->purpose = VISIT_METRICS;
    visit->door = door;
}

static const struct {
    const char *path;
    void (*answer)(struct visit *visit, enum door door);
} own_paths[] = {
    {"health", answer_health},
    {"metrics", want_metrics},
    {"version", answer_version},
};

/* Paths that are the gateway's own answer only to reading. True: answered. */
static bool
answers_method(struct visit *visit)
{
    struct text method = http_call_method(visit->call);
    if (is_read(method))
        return false;
    struct visit_answer answer = {.status = 204, .allow = own_allow};
    if (text_equal_string(method, "OPTIONS")) {
        visit_answer(visit, &answer);
        return true;
    }
    struct error error = ERROR_INIT;
    answer.status = 0;
    error_set(&error, "method: expected one of %s", own_allow);
    visit_refuse_with(visit, STATUS_METHOD_NOT_ALLOWED, &error, &answer);
    return true;
}

/* /health, /metrics and /version of a door. */
bool
own_try_path(struct visit *visit, enum door door, const struct text *segments, size_t count)
{
    if (count != 1)
        return false;
    for (size_t i = 0; i < sizeof own_paths / sizeof own_paths[0]; i++) {
        if (!text_equal_string(segments[0], own_paths[i].path))
            continue;
        if (!answers_method(visit))
            own_paths[i].answer(visit, door);
        return true;
    }
    return false;
}

bool
own_try_document(struct visit *visit)
{
    char path[PATH_TEXT_MAX];
    size_t size = 0;
    struct document document;
    const struct uri *uri = &visit->uri;
    if (uri->segment_count == 0 && visit->port == DOORS) {
        if (!answers_method(visit))
            visit_answer(visit, &(struct visit_answer){.status = 302, .location = "/docs"});
        return true;
    }
    if (uri->segment_count == 0 || uri->segment_count > 2)
        return false;
    for (size_t i = 0; i < uri->segment_count; i++) {
        if (size + 1 + uri->segments[i].size > sizeof path)
            return false;
        path[size++] = '/';
        memcpy(path + size, uri->segments[i].data, uri->segments[i].size);
        size += uri->segments[i].size;
    }
    if (!docs_find((struct text){path, size}, &document))
        return false;
    if (!answers_method(visit))
        visit_answer(visit, &(struct visit_answer){
                                .status = 200,
                                .content_type = document.content_type,
                                .body_type = HTTP_BODY_STATIC,
                                .body = document.body,
                                .security_policy = document.security_policy,
                                .cache_control = "no-cache",
                            });
    return true;
}
