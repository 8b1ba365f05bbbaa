/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/figures.h"

static const char *const no_labels[] = {NULL};

static struct metric *
plain(struct metrics *metrics, enum metric_type type, const char *name, const char *help)
{
    struct metric_family *family = metrics_family(metrics, type, name, help, NULL);
    return family ? metric_series(family, no_labels) : NULL;
}

static struct metric *
labelled(struct metric_family *family, const char *value)
{
    const char *const values[] = {value, NULL};
    return metric_series(family, values);
}

bool
figures_init(struct figures *figures, struct metrics *metrics)
{
    static const char *const kind_label[] = {"kind", NULL};
    static const char *const reason_label[] = {"reason", NULL};
    static const char *const queue_labels[] = {"service", "queue", NULL};

    struct metric_family *records =
        metrics_family(metrics, METRIC_COUNTER, "sos_bus_records_total",
                       "Records that peers sent to the broker", kind_label);
    figures->refused = metrics_family(metrics, METRIC_COUNTER, "sos_bus_refused_total",
                                      "Records that the broker refused", reason_label);
    figures->dropped = metrics_family(metrics, METRIC_COUNTER, "sos_bus_dropped_total",
                                      "Records that the broker could not pass on", reason_label);
    figures->cut = metrics_family(metrics, METRIC_COUNTER, "sos_bus_cut_total",
                                  "Peers whose connection the broker closed", reason_label);
    figures->depth = metrics_family(metrics, METRIC_GAUGE, "sos_queue_depth",
                                    "Entries waiting in a queue", queue_labels);
    figures->peers = plain(metrics, METRIC_GAUGE, "sos_bus_peers", "Peers connected");
    figures->pending = plain(metrics, METRIC_GAUGE, "sos_bus_pending", "Requests in flight");
    figures->seconds = plain(metrics, METRIC_HISTOGRAM, "sos_bus_request_seconds",
                             "Time from a request's arrival to its reply");
    figures->tap_dropped = plain(metrics, METRIC_COUNTER, "sos_bus_tap_dropped_total",
                                 "Records that a tap could not take");
    figures->uptime = plain(metrics, METRIC_GAUGE, "sos_uptime_seconds", "Seconds since start");
    if (!records || !figures->refused || !figures->dropped || !figures->cut || !figures->depth ||
        !figures->peers || !figures->pending || !figures->seconds || !figures->tap_dropped ||
        !figures->uptime)
        return false;

#define KIND_SERIES(id, number, word) figures->records[number] = labelled(records, word);
    KIND_MAP(KIND_SERIES)
#undef KIND_SERIES
    return true;
}

void
figures_refused(struct figures *figures, const char *reason)
{
    metric_add(labelled(figures->refused, reason), 1);
}

void
figures_dropped(struct figures *figures, const char *reason)
{
    metric_add(labelled(figures->dropped, reason), 1);
}

void
figures_cut(struct figures *figures, const char *reason)
{
    metric_add(labelled(figures->cut, reason), 1);
}

struct metric *
figures_depth(struct figures *figures, const char *service)
{
    const char *const values[] = {service, "waiting", NULL};
    return metric_series(figures->depth, values);
}
