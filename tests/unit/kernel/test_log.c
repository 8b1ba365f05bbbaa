/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "kernel/log.h"
#include "kernel/pack.h"

struct fixture {
    struct buffer lines;
    enum log_level level;
    unsigned count;
    struct clock clock;
    struct logger logger;
};

static struct now
read_clock(void *context)
{
    (void)context;
    return (struct now){0, UINT64_C(1767323045678901)};
}

static void
keep_line(void *context, enum log_level level, struct text line)
{
    struct fixture *f = context;
    buffer_reset(&f->lines);
    buffer_append_text(&f->lines, line);
    buffer_append_byte(&f->lines, 0);
    f->level = level;
    f->count++;
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    f->clock = (struct clock){read_clock, NULL};
    f->logger = (struct logger){"memory", LOG_INFO, &f->clock, keep_line, f};
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;
    buffer_clear(&f->lines);
    free(f);
    return 0;
}

static json_t *
parse_line(struct fixture *f)
{
    json_error_t error;
    json_t *line = json_loads((const char *)f->lines.data, JSON_ALLOW_NUL, &error);
    if (!line)
        fail_msg("%s: %s", error.text, (const char *)f->lines.data);
    return line;
}

static void
a_line_is_one_json_object_with_the_fields_of_the_schema(void **state)
{
    struct fixture *f = *state;
    log_warn(&f->logger, "store %s, %d waiting", "busy", 3);
    assert_string_equal((const char *)f->lines.data,
                        "{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"warn\","
                        "\"service\":\"memory\",\"msg\":\"store busy, 3 waiting\"}\n");
    assert_int_equal(f->level, LOG_WARN);
}

static void
lines_below_the_level_are_not_made(void **state)
{
    struct fixture *f = *state;
    log_debug(&f->logger, "x");
    assert_int_equal(f->count, 0);
    log_info(&f->logger, "x");
    f->logger.level = LOG_ERROR;
    log_warn(&f->logger, "x");
    assert_int_equal(f->count, 1);
    log_error(&f->logger, "x");
    assert_int_equal(f->count, 2);
}

static void
optional_fields_stand_only_where_they_are_set(void **state)
{
    struct fixture *f = *state;
    struct buffer extra = {0};
    struct trace trace = {.trace_id = {1}, .span_id = {2}};
    pack_map(&extra, 1);
    pack_pair_uint(&extra, "bytes", 5);
    struct log_fields fields = {&trace, "agent:kasra", "no \"luck\"", 1.5, buffer_bytes(&extra)};
    log_event(&f->logger, LOG_ERROR, &fields, "m");
    json_t *line = parse_line(f);
    assert_string_equal(json_string_value(json_object_get(line, "trace_id")),
                        "01000000000000000000000000000000");
    assert_string_equal(json_string_value(json_object_get(line, "span_id")), "0200000000000000");
    assert_string_equal(json_string_value(json_object_get(line, "agent_id")), "agent:kasra");
    assert_string_equal(json_string_value(json_object_get(line, "error")), "no \"luck\"");
    assert_true(json_real_value(json_object_get(line, "duration_ms")) == 1.5);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(line, "extra"), "bytes")),
                     5);
    json_decref(line);
    buffer_clear(&extra);

    fields = (struct log_fields){.duration_ms = -1};
    log_event(&f->logger, LOG_INFO, &fields, "m");
    line = parse_line(f);
    assert_int_equal(json_object_size(line), 4);
    json_decref(line);
}

static void
hostile_text_cannot_break_a_line(void **state)
{
    struct fixture *f = *state;
    log_info(&f->logger, "%s", "a\n{\"level\":\"x\"}\xff\x01\xe2\x80");
    assert_ptr_equal(strchr((const char *)f->lines.data, '\n'),
                     (const char *)f->lines.data + f->lines.size - 2);
    json_t *line = parse_line(f);
    assert_string_equal(json_string_value(json_object_get(line, "msg")),
                        "a\n{\"level\":\"x\"}\xef\xbf\xbd\x01\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(line);
}

static void
a_huge_message_is_cut_and_still_json(void **state)
{
    struct fixture *f = *state;
    char huge[20001];
    for (size_t i = 0; i + 1 < sizeof huge; i += 2)
        memcpy(huge + i, "\xc3\xa9", 2);
    huge[sizeof huge - 1] = '\0';
    log_info(&f->logger, "%s", huge);
    json_t *line = parse_line(f);
    assert_true(f->lines.size < 5000);
    json_decref(line);
}

static void
extra_that_is_no_map_is_left_out(void **state)
{
    struct fixture *f = *state;
    static const char *const packed[] = {"\x82\x01", "\x01", "\x91\x01"};
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++) {
        struct log_fields fields = {.extra = {(const uint8_t *)packed[i], strlen(packed[i])}};
        log_event(&f->logger, LOG_INFO, &fields, "m");
        json_t *line = parse_line(f);
        assert_null(json_object_get(line, "extra"));
        json_decref(line);
    }
}

static void
levels_read_back_from_their_words(void **state)
{
    (void)state;
    enum log_level level = LOG_FATAL;
    for (int i = LOG_DEBUG; i <= LOG_FATAL; i++) {
        assert_true(log_level_parse(text_of(log_level_word((enum log_level)i)), &level));
        assert_int_equal(level, i);
    }
    assert_false(log_level_parse(text_of("loud"), &level));
    assert_int_equal(level, LOG_FATAL);
}

int
main(void)
{
#define LOG_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_is_one_json_object_with_the_fields_of_the_schema),
        LOG_TEST(lines_below_the_level_are_not_made),
        LOG_TEST(optional_fields_stand_only_where_they_are_set),
        LOG_TEST(hostile_text_cannot_break_a_line),
        LOG_TEST(a_huge_message_is_cut_and_still_json),
        LOG_TEST(extra_that_is_no_map_is_left_out),
        LOG_TEST(levels_read_back_from_their_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
