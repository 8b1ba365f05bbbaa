/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/figures.h"

#include <stdlib.h>

#include "kernel/metrics.h"

enum { FAMILIES_MAX = 16 };

/* Of one port: its text holds only its own service's series. */
struct port {
    struct metrics *metrics;
    struct metric *success;
    struct metric *error;
    struct metric *duration;
    struct metric *connections;
    struct metric *calls;
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
    port->duration = make(metrics, METRIC_HISTOGRAM, "sos_request_duration_seconds",
                          "From a request's header to the end of its answer", by_service, own);
    port->connections = make(metrics, METRIC_GAUGE, "sos_active_connections",
                             "HTTP connections of the gateway, all ports", none, none);
    port->calls =
        make(metrics, METRIC_GAUGE, "sos_queue_depth", "What waits, by queue", by_queue, calls);
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
append_foreign(struct buffer *out, size_t own_begin, struct text foreign)
{
    /* The names point into out, which must not move any more. */
    if (!buffer_reserve(out, foreign.size + 1))
        return;
    struct text names[FAMILIES_MAX];
    size_t count = 0;
    struct text own = {(const char *)out->data + own_begin, out->size - own_begin};
    struct text line;
    while (count < FAMILIES_MAX && next_line(&own, &line))
        if (text_starts_with(line, "# TYPE "))
            names[count++] = header_family(line);

    bool keep = true;
    while (next_line(&foreign, &line)) {
        struct text family = header_family(line);
        if (family.size > 0) {
            keep = true;
            for (size_t i = 0; i < count; i++)
                keep = keep && !text_equal(family, names[i]);
        }
        if (!keep || line.size == 0)
            continue;
        buffer_append_text(out, line);
        buffer_append_byte(out, '\n');
    }
}

void
figures_print(struct figures *figures, enum door door, const struct http_figures *http,
              size_t exchanges, uint64_t now_us, struct text foreign, struct buffer *out)
{
    struct port *port = &figures->ports[door];
    metric_set(port->connections, (double)http->connections);
    metric_set(port->calls, (double)exchanges);
    metric_set(port->held, (double)http->held);
    metric_add(port->refused, http->refused - port->seen.refused);
    metric_add(port->evicted, http->evicted - port->seen.evicted);
    metric_add(port->expired, http->expired - port->seen.expired);
    metric_set(port->uptime, (double)(now_us - figures->started_us) / 1e6);
    port->seen = *http;
    size_t begin = out->size;
    metrics_print(port->metrics, out);
    append_foreign(out, begin, foreign);
}
