/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/figures.h - what the broker counts, as Prometheus series. */
#ifndef SOS_BROKER_CORE_FIGURES_H
#define SOS_BROKER_CORE_FIGURES_H

#include <stdbool.h>

#include "kernel/message.h"
#include "kernel/metrics.h"

struct figures {
    struct metric *records[KIND_ERROR + 1]; /* by kind */
    struct metric_family *refused;
    struct metric_family *dropped;
    struct metric_family *cut;
    struct metric_family *depth;
    struct metric *peers;
    struct metric *pending;
    struct metric *seconds;
    struct metric *tap_dropped;
    struct metric *uptime;
    struct metric *mail_accepted;
    struct metric *mail_delivered;
    struct metric *mail_redelivered;
    struct metric *mail_acked;
    struct metric *mail_dead;
    struct metric *mail_unknown;
    struct metric *mail_asked; /* questions that wait for the mailbox */
    struct metric *mail_out;   /* messages that are out */
    struct metric_family *mail_refused;
    struct metric *published;
    struct metric *events;
    struct metric *events_dropped;
    struct metric *channels;
    struct metric *frames_sent;
    struct metric *records_sent;
};

/* False when out of memory. */
bool figures_init(struct figures *figures, struct metrics *metrics);

void figures_mail_refused(struct figures *figures, const char *reason);
void figures_refused(struct figures *figures, const char *reason);
void figures_dropped(struct figures *figures, const char *reason);
void figures_cut(struct figures *figures, const char *reason);
struct metric *figures_depth(struct figures *figures, const char *service);

#endif
