/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/top_view.h"
#include "kernel/json.h"

enum { SECOND = 1000000 };

static int
setup(void **state)
{
    *state = top_model_new(100 * (uint64_t)SECOND);
    return 0;
}

static int
teardown(void **state)
{
    struct top_model *model = *state;
    top_model_destroy(&model);
    return 0;
}

/* Single quotes stand for double ones; the caller clears it. */
static struct buffer
packed(const char *quoted)
{
    struct json_parser *parser = json_parser_new();
    struct buffer json, out;
    buffer_init(&json);
    buffer_init(&out);
    for (; *quoted; quoted++)
        buffer_append_byte(&json, (uint8_t)(*quoted == '\'' ? '"' : *quoted));
    assert_int_equal(json_to_msgpack(parser, buffer_text(&json), &out, NULL), STATUS_OK);
    json_parser_destroy(&parser);
    buffer_clear(&json);
    return out;
}

static void
take_metrics(struct top_model *model, const char *text, uint64_t now_us)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_string(&payload, "text", text);
    top_take_metrics(model, buffer_bytes(&payload), now_us);
    buffer_clear(&payload);
}

/* So many requests, of which `fast` took less than 1 ms and the rest less than 10. */
static void
take_requests(struct top_model *model, unsigned requests, unsigned fast, uint64_t now_us)
{
    char text[1024];
    snprintf(text, sizeof text,
             "# HELP x y\nsos_uptime_seconds %llu\n"
             "sos_bus_records_total{kind=\"request\"} %u\nsos_bus_records_total{kind=\"reply\"} 5\n"
             "sos_bus_pending 3.0\nsos_bus_refused_total{reason=\"a\"} 1\n"
             "sos_bus_refused_total{reason=\"b\"} 2\n"
             "sos_bus_request_seconds_bucket{le=\"0.001\"} %u\n"
             "sos_bus_request_seconds_bucket{le=\"0.01\"} %u\n"
             "sos_bus_request_seconds_bucket{le=\"+Inf\"} %u\n",
             (unsigned long long)(now_us / SECOND), requests, fast, requests, requests);
    take_metrics(model, text, now_us);
}

static void
rates_and_percentiles_come_of_two_samples(void **state)
{
    struct top_model *model = *state;
    take_requests(model, 1000, 1000, UINT64_C(101) * SECOND);
    assert_true(top_percentile(model, 0.5) < 0);
    assert_true(top_rate(model, model->now.requests, model->before.requests) == 0);
    take_requests(model, 1200, 1150, UINT64_C(103) * SECOND);
    assert_true(top_rate(model, model->now.requests, model->before.requests) == 100);
    assert_int_equal(model->pending, 3);
    assert_true(model->now.refused == 3);
    double p50 = top_percentile(model, 0.5);
    double p99 = top_percentile(model, 0.99);
    assert_true(p50 > 0.0006 && p50 < 0.0007); /* 100 of 150 */
    assert_true(p99 > 0.009 && p99 < 0.01);
}

static void
another_broker_begins_to_count_anew(void **state)
{
    struct top_model *model = *state;
    take_requests(model, 1000, 1000, UINT64_C(101) * SECOND);
    take_requests(model, 1200, 1150, UINT64_C(102) * SECOND);
    take_metrics(model, "sos_uptime_seconds 1\nsos_bus_records_total{kind=\"request\"} 3\n",
                 UINT64_C(103) * SECOND);
    assert_true(top_rate(model, model->now.requests, model->before.requests) == 0);
    assert_int_equal(model->history_count, 0);
}

static void
hostile_metrics_do_no_harm(void **state)
{
    struct top_model *model = *state;
    static const char *const texts[] = {
        "",
        "\n\n\n",
        "sos_bus_request_seconds_bucket{le=\"0.1\"",
        "sos_bus_request_seconds_bucket{} 5\nsos_bus_request_seconds_bucket{le=\"} nan\n",
        "sos_bus_pending -5\nsos_bus_pending 1e300\nsos_uptime_seconds inf\n",
        "sos_bus_records_total{kind=\"request\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        take_metrics(model, texts[i], (200 + i) * SECOND);
    char many[4096] = "";
    for (int i = 0; i < 60; i++)
        strcat(many, "sos_bus_request_seconds_bucket{le=\"1\"} 1\n");
    take_metrics(model, many, UINT64_C(300) * SECOND);
    assert_true(model->now.bound_count <= TOP_BOUNDS_MAX);
    top_take_metrics(model, (struct bytes){(const uint8_t *)"\xc1", 1}, 0);
    top_take_directory(model, (struct bytes){(const uint8_t *)"\x81\xa8services\x05", 11});
}

#define CALL(id, type, at, took, status)                                                           \
    "{'kind':'request','id':'00000000-0000-7000-8000-00000000000" id "','source':'agent:a',"       \
    "'target':'service:memory','type':'" type "','at_us':" #at "},"                                \
    "{'kind':'reply','correlation':'00000000-0000-7000-8000-00000000000" id "','status':" #status  \
    ",'at_us':" #took "}"

static void
the_tap_times_operations_and_leaves_upkeep_out(void **state)
{
    struct top_model *model = *state;
    struct buffer chunk =
        packed("{'dropped':4,'records':[" CALL("1", "memory_query", 1000, 3000, 0) "," CALL(
            "2", "memory_store", 1000, 91000, 1005) "," CALL("3", "health_check", 1000, 2000,
                                                             0) "]}");
    top_take_tap(model, buffer_bytes(&chunk), UINT64_C(101) * SECOND);
    assert_int_equal(model->operation_count, 2);
    assert_int_equal(model->tap_dropped, 4);
    struct latency_sum sum = top_service_latency(model, "memory");
    assert_int_equal(sum.count, 2);
    assert_int_equal(sum.errors, 1);
    assert_int_equal(sum.max_us, 90000);
    buffer_clear(&chunk);
}

static void
operations_without_end_share_a_row(void **state)
{
    struct top_model *model = *state;
    for (int i = 0; i < 2 * TOP_OPERATIONS_MAX; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{'dropped':0,'records':[{'kind':'request','id':'00000000-0000-7000-8000-%012d',"
                 "'target':'service:x','type':'type_%d'},{'kind':'reply','correlation':"
                 "'00000000-0000-7000-8000-%012d','status':0}]}",
                 i + 1, i, i + 1);
        struct buffer chunk = packed(text);
        top_take_tap(model, buffer_bytes(&chunk), UINT64_C(101) * SECOND);
        buffer_clear(&chunk);
    }
    assert_int_equal(model->operation_count, TOP_OPERATIONS_MAX);
    assert_string_equal(model->operations[TOP_OPERATIONS_MAX - 1].type, "others");
}

static void
fill(struct top_model *model)
{
    struct buffer payload = packed(
        "{'peers':12,'services':[{'service':'engine','instances':1,'in_flight':2,'waiting':0},"
        "{'service':'memory','instances':0,'in_flight':0,'waiting':7},{'service':'a-service-with-a-"
        "very-long-name-indeed','instances':1,'in_flight':0,'waiting':0}]}");
    top_take_directory(model, buffer_bytes(&payload));
    buffer_clear(&payload);
    payload = packed("{'mailboxes':[{'agent_id':'agent:quiet','waiting':1,'bytes':10},{'agent_id':"
                     "'agent:busy','waiting':900000,'unacked':5,'dead':2,'bytes':5000000}]}");
    top_take_inboxes(model, buffer_bytes(&payload));
    buffer_clear(&payload);
    payload =
        packed("{'peers':[{'identity':'service:engine','online':true,'sessions':1},{'identity':"
               "'agent:\\u001b[2J','online':false,'sessions':0,'in_flight':3}]}");
    top_take_peers(model, buffer_bytes(&payload));
    buffer_clear(&payload);
    payload = packed("{'dropped':0,'records':[" CALL("1", "memory_query", 1000, 3000, 0) "]}");
    top_take_tap(model, buffer_bytes(&payload), UINT64_C(101) * SECOND);
    buffer_clear(&payload);
    take_requests(model, 1000, 1000, UINT64_C(101) * SECOND);
    take_requests(model, 1200, 1150, UINT64_C(103) * SECOND);
}

static void
a_page_fits_its_screen(void **state)
{
    struct top_model *model = *state;
    static const int sizes[][2] = {{80, 24}, {120, 40}, {200, 60}, {60, 16}, {40, 12}, {20, 5}};
    fill(model);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct screen screen = {.width = sizes[i][0], .height = sizes[i][1], .utf8 = true};
        struct buffer page;
        int lines = 0;
        buffer_init(&page);
        top_draw(model, &screen, "q quits", &page);
        assert_null(memchr(page.data, '\033', page.size));
        for (const char *at = (char *)page.data, *end; at < (char *)page.data + page.size;
             at = end + 1) {
            end = memchr(at, '\n', (size_t)((char *)page.data + page.size - at));
            assert_non_null(end);
            assert_true(screen_columns((struct text){at, (size_t)(end - at)}) <=
                        (size_t)sizes[i][0]);
            lines++;
        }
        assert_true(lines <= sizes[i][1]);
        buffer_clear(&page);
    }
}

static void
a_page_says_what_is_known(void **state)
{
    struct top_model *model = *state;
    struct screen screen = {.width = 0};
    struct buffer page;
    fill(model);
    buffer_init(&page);
    top_draw(model, &screen, NULL, &page);
    buffer_append_byte(&page, '\0');
    static const char *const parts[] = {
        "12 peers", "3 in flight",   "100 requests/s", "engine", "memory memory_query",
        "2.00 ms",  "agent:busy",    "900.0k",         "4.8 M",  "agent:quiet",
        "away",     "service:engine"};
    const char *at = (char *)page.data;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        at = strstr(at, parts[i]);
        if (!at)
            fail_msg("'%s' is missing in its place:\n%s", parts[i], (char *)page.data);
    }
    buffer_clear(&page);
}

static void
json_is_json(void **state)
{
    struct top_model *model = *state;
    struct json_parser *parser = json_parser_new();
    struct buffer json, out;
    struct value whole, list;
    double rate = 0;
    buffer_init(&json);
    buffer_init(&out);
    top_json(model, &json); /* nothing is known yet */
    assert_int_equal(json_to_msgpack(parser, buffer_text(&json), &out, NULL), STATUS_OK);
    fill(model);
    buffer_reset(&json);
    buffer_reset(&out);
    top_json(model, &json);
    assert_int_equal(json_to_msgpack(parser, buffer_text(&json), &out, NULL), STATUS_OK);
    assert_true(value_parse(buffer_bytes(&out), &whole));
    assert_true(value_find_double(&whole, "requests_per_second", &rate));
    assert_true(rate == 100);
    assert_true(value_find(&whole, "inboxes", &list));
    assert_int_equal(list.as.count, 2);
    buffer_clear(&json);
    buffer_clear(&out);
    json_parser_destroy(&parser);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(rates_and_percentiles_come_of_two_samples),
        TEST(another_broker_begins_to_count_anew),
        TEST(hostile_metrics_do_no_harm),
        TEST(the_tap_times_operations_and_leaves_upkeep_out),
        TEST(operations_without_end_share_a_row),
        TEST(a_page_fits_its_screen),
        TEST(a_page_says_what_is_known),
        TEST(json_is_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
