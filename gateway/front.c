/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/front.h"

#include <sodium.h>
#include <stdlib.h>

#include "gateway/operation.h"
#include "gateway/own.h"
#include "gateway/sockets.h"
#include "gateway/visit.h"
#include "kernel/json.h"
#include "kernel/message.h"
#include "kernel/pack.h"

enum { BODY_MAX_DEFAULT = 1024 * 1024, SPARE_VISITS_MAX = 256, PATH_TEXT_MAX = 256 };

/* ---- routing */

static void
refuse_not_installed(struct visit *visit, enum door door)
{
    struct error error = ERROR_INIT;
    error_set(&error, "the service %s is not installed", door_word(door));
    visit_refuse_with(visit, STATUS_UNAVAILABLE, &error, &(struct visit_answer){.retry_after = 60});
}

static enum status
find_operation(struct visit *visit)
{
    const struct front *front = visit->front;
    const struct text *segments = visit->uri.segments;
    size_t count = visit->uri.segment_count;
    struct text method = http_call_method(visit->call);
    if (visit->port != DOORS)
        return routes_find(front->routes, visit->port, method, segments, count, &visit->match);
    if (count == 0)
        return STATUS_NOT_FOUND;
    enum status status = STATUS_NOT_FOUND;
    enum door door = door_of(segments[0]);
    if (door != DOORS)
        status = routes_find(front->routes, door, method, segments + 1, count - 1, &visit->match);
    if (status == STATUS_NOT_FOUND)
        status = routes_find_service(front->routes, segments[0], method, segments + 1, count - 1,
                                     &visit->match);
    return status;
}

static void
prepare_operation(struct visit *visit)
{
    struct error error = ERROR_INIT;
    struct http_call *call = visit->call;
    const struct operation *operation = visit->match.operation;
    enum status status = STATUS_OK;
    if (http_call_has_body(call))
        status = guard_content_type(http_call_field(call, HTTP_CONTENT_TYPE), &error);
    struct text key = http_call_field(call, HTTP_IDEMPOTENCY_KEY);
    if (status == STATUS_OK && key.data)
        status = guard_idempotency_key(key, &error);
    if (status != STATUS_OK) {
        visit_refuse(visit, status, &error);
        return;
    }
    visit->purpose = VISIT_OPERATION;
    http_call_set_body_max(call, operation->body_max ? operation->body_max : BODY_MAX_DEFAULT);
}

static void
route(struct visit *visit)
{
    struct error error = ERROR_INIT;
    const struct text *segments = visit->uri.segments;
    size_t count = visit->uri.segment_count;
    bool unified = visit->port == DOORS;
    enum door door = visit->port;
    if (own_try_path(visit, door, segments, count) ||
        sockets_try_path(visit, door, segments, count))
        return;
    if (unified && count > 0) {
        door = door_of(segments[0]);
        if (door != DOORS && (own_try_path(visit, door, segments + 1, count - 1) ||
                              sockets_try_path(visit, door, segments + 1, count - 1)))
            return;
    }
    if (door != DOORS && !routes_has_door(visit->front->routes, door)) {
        refuse_not_installed(visit, door);
        return;
    }
    if (own_try_document(visit))
        return;

    enum status status = find_operation(visit);
    if (status == STATUS_OK) {
        prepare_operation(visit);
    } else if (status == STATUS_METHOD_NOT_ALLOWED) {
        struct visit_answer answer = {.status = 204, .allow = visit->match.allow};
        if (text_equal_string(http_call_method(visit->call), "OPTIONS")) {
            visit_answer(visit, &answer);
            return;
        }
        answer.status = 0;
        error_set(&error, "method: expected one of %s", visit->match.allow);
        visit_refuse_with(visit, status, &error, &answer);
    } else {
        error_set(&error, "no such path%s", unified ? "; expected /<service>/…" : "");
        visit_refuse(visit, STATUS_NOT_FOUND, &error);
    }
}

/* ---- guarding */

static enum status
guard(struct visit *visit, struct error *error)
{
    static const enum http_field single[] = {HTTP_HOST,
                                             HTTP_ORIGIN,
                                             HTTP_CONTENT_TYPE,
                                             HTTP_CONTENT_LENGTH,
                                             HTTP_TRANSFER_ENCODING,
                                             HTTP_CAPABILITY,
                                             HTTP_AUTHORIZATION,
                                             HTTP_IDEMPOTENCY_KEY,
                                             HTTP_UPGRADE,
                                             HTTP_WEBSOCKET_KEY,
                                             HTTP_WEBSOCKET_VERSION};
    const struct front *front = visit->front;
    const struct http_call *call = visit->call;
    struct text host = http_call_field(call, HTTP_HOST);
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) {
        if (!http_call_repeats(call, single[i]))
            continue;
        error_set(error, "%s: came more than once", http_field_name(single[i]));
        return STATUS_INVALID;
    }
    enum status status = guard_host(&front->guard, host, error);
    if (status == STATUS_OK)
        status = guard_framing(http_call_field(call, HTTP_CONTENT_LENGTH),
                               http_call_field(call, HTTP_TRANSFER_ENCODING), error);
    if (status == STATUS_OK)
        status = guard_origin(&front->guard, http_call_method(call),
                              http_call_field(call, HTTP_ORIGIN), host, error);
    return status;
}

static bool
is_preflight(const struct http_call *call)
{
    return text_equal_string(http_call_method(call), "OPTIONS") &&
           http_call_field(call, HTTP_ORIGIN).size > 0 &&
           http_call_field(call, HTTP_REQUEST_METHOD).size > 0;
}

/* ---- callbacks of the HTTP server */

static void
take_random(struct front *front, uint8_t *bytes, size_t size)
{
    if (front->random_left < size) {
        randombytes_buf(front->random, sizeof front->random);
        front->random_left = sizeof front->random;
    }
    front->random_left -= size;
    memcpy(bytes, front->random + front->random_left, size);
}

static struct trace
trace_of(struct front *front, const struct http_call *call)
{
    struct text trace_id = http_call_field(call, HTTP_TRACE_ID);
    struct text span_id = http_call_field(call, HTTP_SPAN_ID);
    struct text traceparent = http_call_field(call, HTTP_TRACEPARENT);
    if (trace_id.size > 0 || span_id.size > 0 || traceparent.size > 0)
        return trace_from_headers(trace_id, span_id, traceparent);
    struct trace trace = {.sampled = true};
    take_random(front, trace.trace_id, sizeof trace.trace_id);
    take_random(front, trace.span_id, sizeof trace.span_id);
    return trace_is_set(&trace) ? trace : trace_new();
}

static struct visit *
new_visit(struct front *front, struct http_call *call)
{
    struct visit *visit = front->spare;
    if (visit) {
        front->spare = visit->next;
        front->spare_count--;
    } else {
        visit = malloc(sizeof *visit);
        if (!visit)
            return NULL;
        buffer_init(&visit->storage);
    }
    visit->front = front;
    visit->call = call;
    visit->purpose = VISIT_ANSWERED;
    visit->port = (enum door)http_call_tag(call);
    visit->door = visit->port;
    visit->exchange = 0;
    visit->streaming = false;
    visit->begun_us = 0;
    visit->probe = 0;
    visit->lasting = false;
    visit->socket = NULL;
    visit->started_us = clock_now(front->clock).monotonic_us;
    visit->trace = trace_of(front, call);
    http_call_set_user(call, visit);
    return visit;
}

static void
on_head(void *context, struct http_call *call)
{
    struct front *front = context;
    struct visit *visit = new_visit(front, call);
    struct error error = ERROR_INIT;
    uint32_t retry_seconds = 0;
    if (!visit) {
        http_answer(call, &(struct http_answer){.status = 503});
        return;
    }
    if (!http_call_admit(call, &retry_seconds)) {
        error_set(&error, "more requests a minute than http_rate_limit allows");
        visit_refuse_with(visit, STATUS_RATE_LIMITED, &error,
                          &(struct visit_answer){.retry_after = retry_seconds});
        return;
    }
    enum status status = guard(visit, &error);
    if (status != STATUS_OK) {
        visit_refuse(visit, status, &error);
        return;
    }
    if (is_preflight(call)) {
        visit_answer(visit, &(struct visit_answer){.status = 204, .preflight = true});
        return;
    }
    status = uri_parse(http_call_target(call), &visit->uri, &visit->storage, &error);
    if (status != STATUS_OK)
        visit_refuse(visit, status, &error);
    else
        route(visit);
}

static void
on_request(void *context, struct http_call *call)
{
    struct visit *visit = http_call_user(call);
    struct error error = ERROR_INIT;
    (void)context;
    if (visit->purpose == VISIT_METRICS) {
        own_ask_metrics(visit);
        return;
    }
    enum status status = operation_begin(visit, &error);
    if (status != STATUS_OK)
        visit_refuse(visit, status, &error);
}

static void
on_refuse(void *context, struct http_call *call, enum status status)
{
    struct visit *visit = http_call_user(call);
    struct error error = ERROR_INIT;
    struct visit_answer more = {0};
    (void)context;
    if (status == STATUS_TOO_LARGE) {
        const struct operation *operation = visit->match.operation;
        unsigned limit = visit->purpose != VISIT_OPERATION ? 0
                         : operation->body_max             ? operation->body_max
                                                           : (unsigned)BODY_MAX_DEFAULT;
        error_set(&error, "body: expected at most %u bytes", limit);
    } else if (status == STATUS_TIMEOUT) {
        more.status = 408;
        error_set_word(&error, "request_timeout", "body: did not arrive in time");
    } else {
        error_set(&error, "too many request bodies are held; try again later");
    }
    visit_refuse_with(visit, status, &error, &more);
}

static void
on_gone(void *context, struct http_call *call)
{
    struct front *front = context;
    struct visit *visit = http_call_user(call);
    if (!visit)
        return;
    exchange_abandon(front->exchanges, visit->exchange);
    visit->exchange = 0;
    sockets_gone(visit);
}

static void
on_drained(void *context, struct http_call *call)
{
    struct front *front = context;
    struct visit *visit = http_call_user(call);
    exchange_drained(front->exchanges, visit->exchange);
}

static void
on_socket(void *context, struct http_call *call)
{
    struct visit *visit = http_call_user(call);
    (void)context;
    sockets_ready(visit);
}

static void
on_late(void *context, struct http_call *call, enum http_deadline deadline)
{
    struct visit *visit = http_call_user(call);
    (void)context;
    sockets_late(visit, deadline);
}

static void
log_access(const struct visit *visit, unsigned status, double seconds)
{
    const struct logger *logger = visit->front->logger;
    if (logger->level > LOG_DEBUG)
        return;
    struct text method = http_call_method(visit->call);
    struct text path = http_call_target(visit->call);
    const char *query = memchr(path.data, '?', path.size);
    if (query)
        path.size = (size_t)(query - path.data);
    if (path.size > PATH_TEXT_MAX)
        path.size = PATH_TEXT_MAX;
    struct log_fields fields = {.trace = &visit->trace, .duration_ms = seconds * 1e3};
    log_event(logger, LOG_DEBUG, &fields, "%s %.*s %.*s %u", figures_service(visit->port),
              TEXT_ARGS(method), TEXT_ARGS(path), status);
}

static void
on_end(void *context, struct http_call *call)
{
    struct front *front = context;
    struct visit *visit = http_call_user(call);
    if (!visit)
        return;
    unsigned status = http_call_status(call);
    uint64_t end_us = visit->begun_us ? visit->begun_us : clock_now(front->clock).monotonic_us;
    double seconds = (double)(end_us - visit->started_us) / 1e6;
    figures_count(front->figures, visit->port, status, seconds);
    log_access(visit, status, seconds);
    sockets_forget(visit);
    operation_forget(visit);
    if (front->spare_count < SPARE_VISITS_MAX) {
        visit->next = front->spare;
        front->spare = visit;
        front->spare_count++;
        return;
    }
    buffer_clear(&visit->storage);
    free(visit);
}

struct http_callbacks
front_callbacks(struct front *front)
{
    return (struct http_callbacks){on_head, on_request, on_refuse, on_gone, on_drained,
                                   on_end,  on_socket,  on_late,   front};
}

/* ---- life */

enum status
front_new(struct front **front_p, const struct front_options *options, struct error *error)
{
    struct front *front = calloc(1, sizeof *front);
    if (!front)
        return STATUS_NOMEM;
    uint64_t now_us = clock_now(options->clock).monotonic_us;
    front->bus = *options->bus;
    front->clock = options->clock;
    front->logger = options->logger;
    front->guard = (struct guard){&front->cors, options->bind, options->allow_remote};
    enum status status = routes_new(&front->routes, options->contracts, error);
    if (status != STATUS_OK)
        goto fail;
    for (size_t i = 0; options->contracts[i]; i++)
        if (strcmp(options->contracts[i]->service, "bus") == 0)
            front->bus_contract = options->contracts[i];
    front->streams_max = options->streams_max;
    front->comment_us = now_us;
    front->parser = json_parser_new();
    front->translator = translator_new();
    front->exchanges = exchanges_new(&front->bus);
    front->health = health_new(options->contracts, &front->bus, now_us);
    front->figures = figures_new(now_us);
    if (!cors_init(&front->cors, options->cors_origins) || !front->translator || !front->parser ||
        !front->exchanges || !front->health || !front->figures) {
        status = STATUS_NOMEM;
        goto fail;
    }
    *front_p = front;
    return STATUS_OK;

fail:
    front_destroy(&front);
    return status;
}

void
front_destroy(struct front **front_p)
{
    struct front *front = *front_p;
    if (!front)
        return;
    while (front->spare) {
        struct visit *visit = front->spare;
        front->spare = visit->next;
        buffer_clear(&visit->storage);
        free(visit);
    }
    exchanges_destroy(&front->exchanges);
    health_destroy(&front->health);
    figures_destroy(&front->figures);
    json_parser_destroy(&front->parser);
    translator_destroy(&front->translator);
    routes_destroy(&front->routes);
    cors_clear(&front->cors);
    buffer_clear(&front->scratch);
    free(front);
    *front_p = NULL;
}

void
front_attach(struct front *front, struct http *http)
{
    front->http = http;
}

uint64_t
front_tick(struct front *front, uint64_t now_us)
{
    sockets_flush(front);
    uint64_t comment_us = operations_tick(front, now_us);
    uint64_t health_us = health_tick(front->health, now_us);
    return comment_us < health_us ? comment_us : health_us;
}

void
front_drain(struct front *front)
{
    front->draining = true;
    sockets_drain(front);
    operations_drain(front);
}

void
front_end(struct front *front)
{
    struct error error = ERROR_INIT;
    error_set(&error, "the gateway is stopping");
    exchanges_end(front->exchanges, STATUS_UNAVAILABLE, &error);
}
