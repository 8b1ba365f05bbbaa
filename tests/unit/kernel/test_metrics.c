/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernel/metrics.h"

static int
set_up(void **state)
{
    *state = metrics_new();
    return *state ? 0 : -1;
}

static int
tear_down(void **state)
{
    struct metrics *metrics = *state;
    metrics_destroy(&metrics);
    assert_null(metrics);
    metrics_destroy(&metrics);
    return 0;
}

static char *
print(const struct metrics *metrics)
{
    struct buffer out = {0};
    metrics_print(metrics, &out);
    char *text = text_copy(buffer_text(&out));
    buffer_clear(&out);
    assert_non_null(text);
    return text;
}

static void
counters_and_gauges_print_in_the_order_they_were_made(void **state)
{
    static const char *const labels[] = {"service", "status", NULL};
    static const char *const values[] = {"memory", "success"};
    struct metric_family *requests =
        metrics_family(*state, METRIC_COUNTER, "sos_requests_total", "Requests", labels);
    struct metric_family *depth =
        metrics_family(*state, METRIC_GAUGE, "sos_depth", "a\\b\nc", NULL);
    metric_add(metric_series(requests, values), 2);
    metric_add(metric_series(requests, values), 3);
    metric_set(metric_series(depth, NULL), 0.5);
    char *text = print(*state);
    assert_string_equal(text, "# HELP sos_requests_total Requests\n"
                              "# TYPE sos_requests_total counter\n"
                              "sos_requests_total{service=\"memory\",status=\"success\"} 5\n"
                              "# HELP sos_depth a\\\\b\\nc\n"
                              "# TYPE sos_depth gauge\n"
                              "sos_depth 0.5\n");
    free(text);
}

static void
a_histogram_counts_into_cumulative_buckets(void **state)
{
    static const char *const labels[] = {"service", NULL};
    static const char *const values[] = {"memory"};
    struct metric *metric = metric_series(
        metrics_family(*state, METRIC_HISTOGRAM, "sos_seconds", "Time", labels), values);
    metric_observe(metric, 0.00005);
    metric_observe(metric, 0.25);
    metric_observe(metric, 0.3);
    metric_observe(metric, 60);
    metric_observe(metric, (double)NAN);
    char *text = print(*state);
    assert_string_equal(text, "# HELP sos_seconds Time\n"
                              "# TYPE sos_seconds histogram\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.0001\"} 1\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.0005\"} 1\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.001\"} 1\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.0025\"} 1\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.005\"} 1\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.01\"} 1\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.05\"} 1\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.1\"} 1\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.25\"} 2\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"0.5\"} 3\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"1\"} 3\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"2.5\"} 3\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"5\"} 3\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"10\"} 3\n"
                              "sos_seconds_bucket{service=\"memory\",le=\"+Inf\"} 4\n"
                              "sos_seconds_sum{service=\"memory\"} 60.55005\n"
                              "sos_seconds_count{service=\"memory\"} 4\n");
    assert_true(metric_value(metric) == 4);
    free(text);
}

static void
hostile_label_values_cannot_grow_memory_or_break_the_text(void **state)
{
    static const char *const labels[] = {"path", NULL};
    struct metric_family *family =
        metrics_family(*state, METRIC_COUNTER, "sos_paths_total", "Paths", labels);
    struct metric *last = NULL;
    for (unsigned i = 0; i < 10 * METRIC_SERIES_MAX; i++) {
        char value[2000];
        memset(value, 'x', sizeof value);
        int length = snprintf(value, 100, "%u\n\"\\\xff", i);
        value[length] = 'x';
        value[sizeof value - 1] = '\0';
        const char *values[] = {value};
        last = metric_series(family, values);
        metric_add(last, 1);
    }
    static const char *const other[] = {"other"};
    assert_ptr_equal(last, metric_series(family, other));
    assert_true(metric_value(last) == 10 * METRIC_SERIES_MAX - (METRIC_SERIES_MAX - 1));
    char *text = print(*state);
    assert_true(strlen(text) < METRIC_SERIES_MAX * 200);
    assert_non_null(strstr(text, "{path=\"0\\n\\\"\\\\?x"));
    assert_true(text_is_utf8(text_of(text)));
    free(text);
}

static void
the_same_name_and_values_find_the_same_series(void **state)
{
    static const char *const labels[] = {"a", "b", NULL};
    static const char *const one[] = {"x", "y"}, *const two[] = {"y", "x"};
    struct metric_family *family = metrics_family(*state, METRIC_GAUGE, "g", "h", labels);
    assert_ptr_equal(metrics_family(*state, METRIC_GAUGE, "g", "h", labels), family);
    struct metric *first = metric_series(family, one);
    assert_ptr_not_equal(metric_series(family, two), first);
    assert_ptr_equal(metric_series(family, one), first);
}

static void
numbers_that_are_not_finite_print_as_prometheus_reads_them(void **state)
{
    struct metric *metric =
        metric_series(metrics_family(*state, METRIC_GAUGE, "g", "h", NULL), NULL);
    const double values[] = {(double)NAN, (double)INFINITY, -(double)INFINITY};
    const char *const texts[] = {"\ng NaN\n", "\ng +Inf\n", "\ng -Inf\n"};
    for (size_t i = 0; i < 3; i++) {
        metric_set(metric, values[i]);
        char *text = print(*state);
        assert_non_null(strstr(text, texts[i]));
        free(text);
    }
}

static void
a_series_that_could_not_be_made_is_ignored(void **state)
{
    (void)state;
    metric_add(NULL, 1);
    metric_set(NULL, 1);
    metric_observe(NULL, 1);
    assert_true(metric_value(NULL) == 0);
    assert_null(metric_series(NULL, NULL));
}

int
main(void)
{
#define METRICS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        METRICS_TEST(counters_and_gauges_print_in_the_order_they_were_made),
        METRICS_TEST(a_histogram_counts_into_cumulative_buckets),
        METRICS_TEST(hostile_label_values_cannot_grow_memory_or_break_the_text),
        METRICS_TEST(the_same_name_and_values_find_the_same_series),
        METRICS_TEST(numbers_that_are_not_finite_print_as_prometheus_reads_them),
        METRICS_TEST(a_series_that_could_not_be_made_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
