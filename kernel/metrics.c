/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/metrics.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "kernel/assert.h"
#include "kernel/json.h"

enum {
    LABEL_VALUE_MAX = 128 /* bytes kept of a label value */
};

struct bucket {
    double bound;
    const char *text;
};

static const struct bucket buckets[] = {
    {0.0001, "0.0001"}, {0.0005, "0.0005"}, {0.001, "0.001"}, {0.0025, "0.0025"}, {0.005, "0.005"},
    {0.01, "0.01"},     {0.05, "0.05"},     {0.1, "0.1"},     {0.25, "0.25"},     {0.5, "0.5"},
    {1, "1"},           {2.5, "2.5"},       {5, "5"},         {10, "10"},
};

enum { BUCKETS = sizeof buckets / sizeof buckets[0] };

struct metric {
    enum metric_type type;
    char *label_values[METRIC_LABELS_MAX];
    uint64_t count;  /* counter; observations of a histogram */
    double value;    /* gauge; sum of a histogram */
    uint64_t *below; /* histogram: observations of each bucket alone */
};

struct metric_family {
    enum metric_type type;
    const char *name;
    const char *help;
    const char *label_names[METRIC_LABELS_MAX];
    size_t label_count;
    struct metric **series;
    size_t series_count;
    struct metric_family *next;
};

struct metrics {
    struct metric_family *first;
    struct metric_family **last_p;
};

struct metrics *
metrics_new(void)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics)
        metrics->last_p = &metrics->first;
    return metrics;
}

static void
metric_destroy(struct metric *metric)
{
    for (size_t i = 0; i < METRIC_LABELS_MAX; i++)
        free(metric->label_values[i]);
    free(metric->below);
    free(metric);
}

void
metrics_destroy(struct metrics **metrics_p)
{
    struct metrics *metrics = *metrics_p;
    if (!metrics)
        return;
    struct metric_family *family = metrics->first;
    while (family) {
        struct metric_family *next = family->next;
        for (size_t i = 0; i < family->series_count; i++)
            metric_destroy(family->series[i]);
        free(family->series);
        free(family);
        family = next;
    }
    free(metrics);
    *metrics_p = NULL;
}

static struct metric_family *
find_family(const struct metrics *metrics, const char *name)
{
    for (struct metric_family *family = metrics->first; family; family = family->next)
        if (strcmp(family->name, name) == 0)
            return family;
    return NULL;
}

struct metric_family *
metrics_family(struct metrics *metrics, enum metric_type type, const char *name, const char *help,
               const char *const *label_names)
{
    struct metric_family *family = find_family(metrics, name);
    if (family) {
        ASSERT(family->type == type);
        return family;
    }
    family = calloc(1, sizeof *family);
    if (!family)
        return NULL;
    family->type = type;
    family->name = name;
    family->help = help;
    for (size_t i = 0; label_names && label_names[i]; i++) {
        ASSERT(i < METRIC_LABELS_MAX);
        family->label_names[family->label_count++] = label_names[i];
    }
    *metrics->last_p = family;
    metrics->last_p = &family->next;
    return family;
}

/* A label value is kept to its first bytes: its length comes from outside, like its text. */
static struct text
kept_value(const char *value)
{
    return (struct text){value, strnlen(value, LABEL_VALUE_MAX)};
}

static struct metric *
find_series(const struct metric_family *family, const char *const *label_values)
{
    for (size_t i = 0; i < family->series_count; i++) {
        struct metric *metric = family->series[i];
        size_t same = 0;
        while (same < family->label_count &&
               text_equal_string(kept_value(label_values[same]), metric->label_values[same]))
            same++;
        if (same == family->label_count)
            return metric;
    }
    return NULL;
}

static struct metric *
metric_make(const struct metric_family *family, const char *const *label_values)
{
    struct metric *metric = calloc(1, sizeof *metric);
    if (!metric)
        return NULL;
    metric->type = family->type;
    for (size_t i = 0; i < family->label_count; i++) {
        metric->label_values[i] = text_copy(kept_value(label_values[i]));
        if (!metric->label_values[i])
            goto fail;
    }
    if (family->type == METRIC_HISTOGRAM) {
        metric->below = calloc(BUCKETS, sizeof *metric->below);
        if (!metric->below)
            goto fail;
    }
    return metric;

fail:
    metric_destroy(metric);
    return NULL;
}

static struct metric *
add_series(struct metric_family *family, const char *const *label_values)
{
    struct metric **series =
        realloc(family->series, (family->series_count + 1) * sizeof(struct metric *));
    if (!series)
        return NULL;
    family->series = series;
    struct metric *metric = metric_make(family, label_values);
    if (metric)
        family->series[family->series_count++] = metric;
    return metric;
}

struct metric *
metric_series(struct metric_family *family, const char *const *label_values)
{
    static const char *const other[METRIC_LABELS_MAX] = {"other", "other", "other", "other"};
    if (!family)
        return NULL;
    struct metric *metric = find_series(family, label_values);
    if (metric)
        return metric;
    if (family->series_count + 1 < METRIC_SERIES_MAX)
        return add_series(family, label_values);
    metric = find_series(family, other);
    return metric ? metric : add_series(family, other);
}

void
metric_add(struct metric *metric, uint64_t amount)
{
    if (metric)
        metric->count += amount;
}

void
metric_set(struct metric *metric, double value)
{
    if (metric)
        metric->value = value;
}

void
metric_observe(struct metric *metric, double seconds)
{
    if (!metric || isnan(seconds))
        return;
    ASSERT(metric->type == METRIC_HISTOGRAM);
    metric->count++;
    metric->value += seconds;
    for (size_t i = 0; i < BUCKETS; i++) {
        if (seconds <= buckets[i].bound) {
            metric->below[i]++;
            return;
        }
    }
}

double
metric_value(const struct metric *metric)
{
    if (!metric)
        return 0;
    return metric->type == METRIC_GAUGE ? metric->value : (double)metric->count;
}

/* ---- text ---- */

static void
append_number(struct buffer *out, double value)
{
    if (isnan(value))
        buffer_append_string(out, "NaN");
    else if (isinf(value))
        buffer_append_string(out, value > 0 ? "+Inf" : "-Inf");
    else
        json_append_double(out, value);
}

static void
append_help(struct buffer *out, const char *help)
{
    for (; *help != '\0'; help++) {
        if (*help == '\\')
            buffer_append_string(out, "\\\\");
        else if (*help == '\n')
            buffer_append_string(out, "\\n");
        else
            buffer_append_byte(out, (uint8_t)*help);
    }
}

/* The format demands UTF-8; a byte of anything else becomes '?'. */
static void
append_label_value(struct buffer *out, const char *value)
{
    bool clean = text_is_utf8(text_of(value));
    for (; *value != '\0'; value++) {
        if (*value == '\\' || *value == '"') {
            buffer_append_byte(out, '\\');
            buffer_append_byte(out, (uint8_t)*value);
        } else if (*value == '\n') {
            buffer_append_string(out, "\\n");
        } else {
            buffer_append_byte(out, clean || (unsigned char)*value < 0x80 ? (uint8_t)*value : '?');
        }
    }
}

/* "{service="memory",le="0.5"}", or nothing without labels. */
static void
append_labels(struct buffer *out, const struct metric_family *family, const struct metric *metric,
              const char *bound)
{
    if (family->label_count == 0 && !bound)
        return;
    buffer_append_byte(out, '{');
    for (size_t i = 0; i < family->label_count; i++) {
        buffer_append_format(out, "%s%s=\"", i > 0 ? "," : "", family->label_names[i]);
        append_label_value(out, metric->label_values[i]);
        buffer_append_byte(out, '"');
    }
    if (bound)
        buffer_append_format(out, "%sle=\"%s\"", family->label_count > 0 ? "," : "", bound);
    buffer_append_byte(out, '}');
}

static void
append_count(struct buffer *out, const struct metric_family *family, const struct metric *metric,
             const char *suffix, const char *bound, uint64_t count)
{
    buffer_append_format(out, "%s%s", family->name, suffix);
    append_labels(out, family, metric, bound);
    buffer_append_format(out, " %" PRIu64 "\n", count);
}

static void
append_real(struct buffer *out, const struct metric_family *family, const struct metric *metric,
            const char *suffix)
{
    buffer_append_format(out, "%s%s", family->name, suffix);
    append_labels(out, family, metric, NULL);
    buffer_append_byte(out, ' ');
    append_number(out, metric->value);
    buffer_append_byte(out, '\n');
}

static void
append_series(struct buffer *out, const struct metric_family *family, const struct metric *metric)
{
    if (family->type == METRIC_COUNTER) {
        append_count(out, family, metric, "", NULL, metric->count);
        return;
    }
    if (family->type == METRIC_GAUGE) {
        append_real(out, family, metric, "");
        return;
    }
    uint64_t sum = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        sum += metric->below[i];
        append_count(out, family, metric, "_bucket", buckets[i].text, sum);
    }
    append_count(out, family, metric, "_bucket", "+Inf", metric->count);
    append_real(out, family, metric, "_sum");
    append_count(out, family, metric, "_count", NULL, metric->count);
}

void
metrics_print(const struct metrics *metrics, struct buffer *out)
{
    static const char *const type_words[] = {"counter", "gauge", "histogram"};
    for (const struct metric_family *family = metrics->first; family; family = family->next) {
        buffer_append_format(out, "# HELP %s ", family->name);
        append_help(out, family->help);
        buffer_append_format(out, "\n# TYPE %s %s\n", family->name, type_words[family->type]);
        for (size_t i = 0; i < family->series_count; i++)
            append_series(out, family, family->series[i]);
    }
}
