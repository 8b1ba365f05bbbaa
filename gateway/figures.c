/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/figures.h"

#include <stdlib.h>

#include "kernel/metrics.h"

#define QUEUE_DEPTH "sos_queue_depth"

/* Of one port: its text holds only its own service's series. */
struct port {
    struct metrics *metrics;
    struct metric *success;
    struct metric *error;
    struct metric *duration;
    struct metric *connections;
    struct metric *calls;
    struct metric *streams;
    struct metric *held;
    struct metric *refused;
    struct metric *evicted;
    struct metric *expired;
    struct metric *uptime;
    struct http_figures seen;
};

struct figures {
    uint64_t started_us;
    struct port ports[DOORS + 1];
};

const char *
figures_service(enum door door)
{
    return door == DOORS ? "gateway" : door_word(door);
}

static struct metric *
make(struct metrics *metrics, enum metric_type type, const char *name, const char *help,
     const char *const *labels, const char *const *values)
{
    struct metric_family *family = metrics_family(metrics, type, name, help, labels);
    return family ? metric_series(family, values) : NULL;
}

static bool
open_port(struct port *port, enum door door)
{
    static const char *const by_service[] = {"service", NULL};
    static const char *const by_status[] = {"service", "status", NULL};
    static const char *const by_queue[] = {"service", "queue", NULL};
    static const char *const none[] = {NULL};
    const char *service = figures_service(door);
    const char *own[] = {service, NULL};
    const char *success[] = {service, "success", NULL};
    const char *error[] = {service, "error", NULL};
    const char *calls[] = {service, "http_calls", NULL};

    struct metrics *metrics = port->metrics = metrics_new();
    if (!metrics)
        return false;
    port->success = make(metrics, METRIC_COUNTER, "sos_requests_total",
                         "HTTP requests, status success below 400", by_status, success);
    port->error = make(metrics, METRIC_COUNTER, "sos_requests_total",
                       "HTTP requests, status success below 400", by_status, error);
    port->duration =
        make(metrics, METRIC_HISTOGRAM, "sos_request_duration_seconds",
             "From a request's header to the end of its answer, or the begin of an endless one",
             by_service, own);
    port->connections = make(metrics, METRIC_GAUGE, "sos_active_connections",
                             "HTTP connections of the gateway, all ports", none, none);
    port->calls = make(metrics, METRIC_GAUGE, QUEUE_DEPTH, "What waits, by queue", by_queue, calls);
    port->streams = make(metrics, METRIC_GAUGE, "sos_gateway_streams",
                         "WebSockets and endless streams, all ports", none, none);
    port->held = make(metrics, METRIC_GAUGE, "sos_gateway_held_bytes",
                      "Request bodies and streams held in memory, all ports", none, none);
    port->refused = make(metrics, METRIC_COUNTER, "sos_gateway_connections_refused_total",
                         "Connections over a limit, all ports", none, none);
    port->evicted =
        make(metrics, METRIC_COUNTER, "sos_gateway_connections_evicted_total",
             "Connections without a request that gave way to others, all ports", none, none);
    port->expired = make(metrics, METRIC_COUNTER, "sos_gateway_connections_expired_total",
                         "Connections that ran into a deadline, all ports", none, none);
    port->uptime =
        make(metrics, METRIC_GAUGE, "sos_uptime_seconds", "Since the gateway started", none, none);
    return true;
}

struct figures *
figures_new(uint64_t now_us)
{
    struct figures *figures = calloc(1, sizeof *figures);
    if (!figures)
        return NULL;
    figures->started_us = now_us;
    for (int door = 0; door <= DOORS; door++) {
        if (open_port(&figures->ports[door], (enum door)door))
            continue;
        figures_destroy(&figures);
        return NULL;
    }
    return figures;
}

void
figures_destroy(struct figures **figures_p)
{
    struct figures *figures = *figures_p;
    if (!figures)
        return;
    for (int door = 0; door <= DOORS; door++)
        metrics_destroy(&figures->ports[door].metrics);
    free(figures);
    *figures_p = NULL;
}

void
figures_count(struct figures *figures, enum door door, unsigned http_status, double seconds)
{
    struct port *port = &figures->ports[door];
    metric_add(http_status > 0 && http_status < 400 ? port->success : port->error, 1);
    metric_observe(port->duration, seconds);
}

/* ---- the service's own text */

static bool
next_line(struct text *rest, struct text *line)
{
    if (rest->size == 0)
        return false;
    const char *end = memchr(rest->data, '\n', rest->size);
    size_t size = end ? (size_t)(end - rest->data) : rest->size;
    *line = (struct text){rest->data, size};
    size_t step = end ? size + 1 : size;
    rest->data += step;
    rest->size -= step;
    return true;
}

/* "# TYPE name …" and "# HELP name …"; empty for other lines. */
static struct text
header_family(struct text line)
{
    static const size_t prefix = sizeof "# TYPE " - 1;
    if (!text_starts_with(line, "# TYPE ") && !text_starts_with(line, "# HELP "))
        return (struct text){NULL, 0};
    struct text name = {line.data + prefix, line.size - prefix};
    const char *space = name.size > 0 ? memchr(name.data, ' ', name.size) : NULL;
    if (space)
        name.size = (size_t)(space - name.data);
    return name;
}

static void
append_line(struct buffer *out, struct text line)
{
    buffer_append_text(out, line);
    buffer_append_byte(out, '\n');
}

/* What waits, in the gateway and in the service: the one family that both have to say something of.
 * A family must stand in one piece. Of any other the gateway's figures are the port's. */
static void
append_samples(struct buffer *out, struct text foreign, struct text family)
{
    struct text line;
    bool in_family = false;
    while (text_equal_string(family, QUEUE_DEPTH) && next_line(&foreign, &line)) {
        struct text name = header_family(line);
        if (name.size > 0)
            in_family = text_equal(name, family);
        else if (in_family)
            append_line(out, line);
    }
}

static bool
has_family(struct text text, struct text family)
{
    struct text line;
    while (next_line(&text, &line))
        if (text_equal(header_family(line), family))
            return true;
    return false;
}

/* Both texts as one: each family of own with foreign's samples of it, then foreign's other
 * families. */
static void
append_merged(struct buffer *out, struct text own, struct text foreign)
{
    struct text rest = own;
    struct text line;
    struct text family = {NULL, 0};
    while (next_line(&rest, &line)) {
        struct text next = header_family(line);
        if (next.size > 0 && !text_equal(next, family)) {
            append_samples(out, foreign, family);
            family = next;
        }
        append_line(out, line);
    }
    append_samples(out, foreign, family);

    bool keep = true;
    rest = foreign;
    while (next_line(&rest, &line)) {
        struct text next = header_family(line);
        if (next.size > 0)
            keep = !has_family(own, next);
        if (keep && line.size > 0)
            append_line(out, line);
    }
}

void
figures_print(struct figures *figures, enum door door, const struct http_figures *http,
              size_t exchanges, size_t streams, uint64_t now_us, struct text foreign,
              struct buffer *out)
{
    struct port *port = &figures->ports[door];
    metric_set(port->connections, (double)http->connections);
    metric_set(port->calls, (double)exchanges);
    metric_set(port->streams, (double)streams);
    metric_set(port->held, (double)http->held);
    metric_add(port->refused, http->refused - port->seen.refused);
    metric_add(port->evicted, http->evicted - port->seen.evicted);
    metric_add(port->expired, http->expired - port->seen.expired);
    metric_set(port->uptime, (double)(now_us - figures->started_us) / 1e6);
    port->seen = *http;
    struct buffer own;
    buffer_init(&own);
    metrics_print(port->metrics, &own);
    append_merged(out, buffer_text(&own), foreign);
    if (own.failed)
        out->failed = true;
    buffer_clear(&own);
}
