/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/metrics.h - counters, gauges and histograms, printed as Prometheus text
 * (exposition format 0.0.4).
 *
 * A registry belongs to one thread. Families are registered once at start with
 * static name, help and label names; a series is looked up once and then
 * incremented through its pointer, which stays valid as long as the registry.
 * Label values are copied. A family holds at most METRIC_SERIES_MAX series:
 * beyond that all share one whose label values are "other", so hostile label
 * values cannot grow memory. */
#ifndef SOS_KERNEL_METRICS_H
#define SOS_KERNEL_METRICS_H

#include <stdint.h>

#include "kernel/bytes.h"

enum { METRIC_LABELS_MAX = 4, METRIC_SERIES_MAX = 256 };

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metrics;
struct metric_family;
struct metric; /* one series */

struct metrics *metrics_new(void); /* NULL when out of memory */
void metrics_destroy(struct metrics **metrics_p);

/* label_names: NULL-terminated, may be NULL. Histograms all use the
 * buckets of metrics.c, 0.1 ms to 10 s. Never NULL unless out of
 * memory. */
struct metric_family *metrics_family(struct metrics *metrics, enum metric_type type,
                                     const char *name, const char *help,
                                     const char *const *label_names);

/* label_values: as many as names. Finds or makes the series. */
struct metric *metric_series(struct metric_family *family, const char *const *label_values);

/* NULL series are ignored, so that a failed allocation costs a figure, not a crash. */
void metric_add(struct metric *metric, uint64_t amount);    /* counter */
void metric_set(struct metric *metric, double value);       /* gauge */
void metric_observe(struct metric *metric, double seconds); /* histogram */
double metric_value(const struct metric *metric);           /* histogram: its count */

void metrics_print(const struct metrics *metrics, struct buffer *out);

#endif
