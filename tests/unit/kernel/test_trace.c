/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernel/trace.h"

#define TRACE_ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN_ID "00f067aa0ba902b7"
#define TRACEPARENT "00-" TRACE_ID "-" SPAN_ID "-01"

static struct trace
from(const char *trace_id, const char *span_id, const char *traceparent)
{
    return trace_from_headers(text_of(trace_id), text_of(span_id), text_of(traceparent));
}

static void
expect_trace(const struct trace *trace, const char *wanted)
{
    char text[TRACE_ID_TEXT_SIZE];
    trace_format_id(trace, text);
    assert_string_equal(text, wanted);
}

static void
expect_parent(const struct trace *trace, const char *wanted)
{
    char text[SPAN_ID_TEXT_SIZE];
    trace_format_span(trace->parent_span_id, text);
    assert_string_equal(text, wanted);
    trace_format_span(trace->span_id, text);
    assert_string_not_equal(text, wanted);
}

static void
expect_new(const struct trace *trace)
{
    char text[TRACE_ID_TEXT_SIZE];
    trace_format_id(trace, text);
    assert_true(trace_is_set(trace));
    assert_string_not_equal(text, TRACE_ID);
    expect_parent(trace, "0000000000000000");
}

static void
a_new_trace_is_a_random_root(void **state)
{
    static const struct trace none;
    struct trace one = trace_new(), two = trace_new();
    (void)state;
    expect_new(&one);
    assert_true(one.sampled);
    assert_memory_not_equal(one.trace_id, two.trace_id, sizeof one.trace_id);
    assert_memory_not_equal(one.span_id, two.span_id, sizeof one.span_id);
    assert_false(trace_is_set(&none));
}

static void
a_child_keeps_the_trace_and_names_its_parent(void **state)
{
    struct trace parent = trace_new();
    parent.sampled = false;
    struct trace child = trace_child(&parent);
    (void)state;
    assert_memory_equal(child.trace_id, parent.trace_id, sizeof child.trace_id);
    assert_memory_equal(child.parent_span_id, parent.span_id, sizeof child.parent_span_id);
    assert_memory_not_equal(child.span_id, parent.span_id, sizeof child.span_id);
    assert_false(child.sampled);
}

static void
traceparent_is_continued(void **state)
{
    struct trace trace = from("", "", TRACEPARENT);
    (void)state;
    expect_trace(&trace, TRACE_ID);
    expect_parent(&trace, SPAN_ID);
    assert_true(trace.sampled);
    trace = from("", "", "00-" TRACE_ID "-" SPAN_ID "-00");
    expect_trace(&trace, TRACE_ID);
    assert_false(trace.sampled);
    trace = from("", "", "cc-" TRACE_ID "-" SPAN_ID "-03-what-the-future-adds");
    expect_trace(&trace, TRACE_ID);
    assert_true(trace.sampled);
}

static void
own_headers_are_continued_with_or_without_dashes(void **state)
{
    struct trace trace = from(TRACE_ID, SPAN_ID, "");
    (void)state;
    expect_trace(&trace, TRACE_ID);
    expect_parent(&trace, SPAN_ID);
    trace = from("4BF92F35-77B3-4DA6-A3CE-929D0E0E4736", "", "");
    expect_trace(&trace, TRACE_ID);
    expect_parent(&trace, "0000000000000000");
}

static void
own_headers_win_over_traceparent(void **state)
{
    struct trace trace = from("11111111111111111111111111111111", "2222222222222222", TRACEPARENT);
    (void)state;
    expect_trace(&trace, "11111111111111111111111111111111");
    expect_parent(&trace, "2222222222222222");
    trace = from("11111111111111111111111111111111", "", TRACEPARENT);
    expect_parent(&trace, "0000000000000000");
    trace = from(TRACE_ID, "", TRACEPARENT);
    expect_parent(&trace, SPAN_ID);
    trace = from("", "2222222222222222", TRACEPARENT);
    expect_trace(&trace, TRACE_ID);
    expect_parent(&trace, "2222222222222222");
}

static void
an_ill_formed_trace_id_falls_back_to_traceparent(void **state)
{
    struct trace trace = from("not a trace", "", TRACEPARENT);
    (void)state;
    expect_trace(&trace, TRACE_ID);
}

static void
an_ill_formed_span_id_is_no_parent(void **state)
{
    static const char *const bad[] = {"0000000000000000", "xyz", "00f067aa0ba902b",
                                      "00f067aa0ba902b77", "00f067aa-ba902b7"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct trace trace = from(TRACE_ID, bad[i], "");
        expect_trace(&trace, TRACE_ID);
        expect_parent(&trace, "0000000000000000");
    }
}

static void
anything_else_begins_a_new_trace(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE_ID "-" SPAN_ID,
        "00-" TRACE_ID "-" SPAN_ID "-1",
        "00-" TRACE_ID "-" SPAN_ID "-0g",
        "00-" TRACE_ID "-" SPAN_ID "-01-more",
        "ff-" TRACE_ID "-" SPAN_ID "-01",
        "0x-" TRACE_ID "-" SPAN_ID "-01",
        "cc-" TRACE_ID "-" SPAN_ID "-01more",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN_ID "-01",
        "00-00000000000000000000000000000000-" SPAN_ID "-01",
        "00-" TRACE_ID "-0000000000000000-01",
        "00_" TRACE_ID "_" SPAN_ID "_01",
        "00-" TRACE_ID "-00f067aa0ba902b-001",
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct trace trace = from("", "", bad[i]);
        expect_new(&trace);
    }
    struct trace trace = from("00000000000000000000000000000000", SPAN_ID, "");
    expect_new(&trace);
    trace = from("", SPAN_ID, "");
    expect_new(&trace);
}

static void
what_is_formatted_is_continued(void **state)
{
    char text[TRACEPARENT_TEXT_SIZE], span[SPAN_ID_TEXT_SIZE], id[TRACE_ID_TEXT_SIZE];
    struct trace trace = trace_new();
    (void)state;
    trace_format_traceparent(&trace, text);
    assert_int_equal(strlen(text), TRACEPARENT_TEXT_SIZE - 1);
    trace_format_span(trace.span_id, span);
    trace_format_id(&trace, id);

    struct trace next = from("", "", text);

    expect_trace(&next, id);
    expect_parent(&next, span);
    assert_true(next.sampled);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_trace_is_a_random_root),
        cmocka_unit_test(a_child_keeps_the_trace_and_names_its_parent),
        cmocka_unit_test(traceparent_is_continued),
        cmocka_unit_test(own_headers_are_continued_with_or_without_dashes),
        cmocka_unit_test(own_headers_win_over_traceparent),
        cmocka_unit_test(an_ill_formed_trace_id_falls_back_to_traceparent),
        cmocka_unit_test(an_ill_formed_span_id_is_no_parent),
        cmocka_unit_test(anything_else_begins_a_new_trace),
        cmocka_unit_test(what_is_formatted_is_continued),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
