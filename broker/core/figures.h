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
};

/* False when out of memory. */
bool figures_init(struct figures *figures, struct metrics *metrics);

void figures_refused(struct figures *figures, const char *reason);
void figures_dropped(struct figures *figures, const char *reason);
void figures_cut(struct figures *figures, const char *reason);
struct metric *figures_depth(struct figures *figures, const char *service);

#endif
