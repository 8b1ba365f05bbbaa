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

static struct metric *
depth(struct figures *figures, const char *service, const char *queue)
{
    const char *const values[] = {service, queue, NULL};
    return metric_series(figures->depth, values);
}

static bool
init_mail(struct figures *figures, struct metrics *metrics)
{
    static const char *const reason_label[] = {"reason", NULL};
    const struct {
        struct metric **series;
        const char *name;
        const char *help;
    } counters[] = {
        {&figures->mail_accepted, "sos_mail_accepted_total", "Messages that were taken on"},
        {&figures->mail_delivered, "sos_mail_delivered_total",
         "Messages that were given to a receiver, each time"},
        {&figures->mail_redelivered, "sos_mail_redelivered_total", "Those that were given again"},
        {&figures->mail_acked, "sos_mail_acked_total", "Messages that were handled"},
        {&figures->mail_dead, "sos_mail_dead_total", "Messages that became dead letters"},
        {&figures->mail_unknown, "sos_mail_unknown_total",
         "Ids that receivers named and that were not out"},
    };
    bool complete = true;
    for (size_t i = 0; i < sizeof counters / sizeof counters[0]; i++) {
        *counters[i].series = plain(metrics, METRIC_COUNTER, counters[i].name, counters[i].help);
        complete = complete && *counters[i].series;
    }
    figures->mail_refused = metrics_family(metrics, METRIC_COUNTER, "sos_mail_refused_total",
                                           "Messages that were not taken on", reason_label);
    figures->mail_asked = depth(figures, "bus", "mailbox");
    figures->mail_out = depth(figures, "bus", "unacked");
    return complete && figures->mail_refused && figures->mail_asked && figures->mail_out;
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
    figures->frames_sent =
        plain(metrics, METRIC_COUNTER, "sos_bus_frames_sent_total", "Frames that left for peers");
    figures->records_sent = plain(metrics, METRIC_COUNTER, "sos_bus_records_sent_total",
                                  "Records that left for peers, many to a frame");
    figures->published = plain(metrics, METRIC_COUNTER, "sos_bus_published_total",
                               "Events that were said on channels");
    figures->events = plain(metrics, METRIC_COUNTER, "sos_bus_events_total",
                            "Events that were given to subscribers");
    figures->events_dropped = plain(metrics, METRIC_COUNTER, "sos_bus_events_dropped_total",
                                    "Events that a subscriber could not take");
    figures->channels = plain(metrics, METRIC_GAUGE, "sos_bus_channels", "Channels there are");
    if (!records || !figures->published || !figures->events || !figures->events_dropped ||
        !figures->channels || !figures->refused || !figures->dropped || !figures->cut ||
        !figures->depth || !figures->peers || !figures->pending || !figures->seconds ||
        !figures->tap_dropped || !figures->uptime || !figures->frames_sent ||
        !figures->records_sent)
        return false;

    if (!init_mail(figures, metrics))
        return false;
#define KIND_SERIES(id, number, word) figures->records[number] = labelled(records, word);
    KIND_MAP(KIND_SERIES)
#undef KIND_SERIES
    return true;
}

void
figures_mail_refused(struct figures *figures, const char *reason)
{
    metric_add(labelled(figures->mail_refused, reason), 1);
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
    return depth(figures, service, "waiting");
}
