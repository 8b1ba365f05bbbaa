/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/completion.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fixture {
    struct json_parser *parser;
    struct completion completion;
    struct error error;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->parser = json_parser_new();
    completion_init(&f->completion);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    completion_clear(&f->completion);
    json_parser_destroy(&f->parser);
    free(f);
    return 0;
}

static enum status
feed(struct fixture *f, const char *text, size_t size)
{
    return completion_feed(&f->completion, f->parser, (struct bytes){(const uint8_t *)text, size},
                           &f->error);
}

static enum status
read_all(struct fixture *f, const char *text, size_t step)
{
    size_t size = strlen(text);
    for (size_t at = 0; at < size; at += step) {
        enum status status = feed(f, text + at, size - at < step ? size - at : step);
        if (status != STATUS_OK)
            return status;
    }
    return completion_end(&f->completion, f->parser, &f->error);
}

static void
assert_answer(const struct fixture *f, const char *text)
{
    assert_true(text_equal_string(buffer_text(&f->completion.content), text));
}

static const char events[] =
    ": welcome\r\n\r\n"
    "event: message\r\n"
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\r\n\r\n"
    "data:{\"choices\":[{\"delta\":{\"content\":\"The \"},\"finish_reason\":null}]}\n\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"sky é\"}}]}\n\n"
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"total_tokens\":15}}\n\n"
    "data: [DONE]\n\n";

static void
events_are_read_however_they_are_cut(void **state)
{
    struct fixture *f = *state;
    for (size_t step = 1; step < sizeof events; step++) {
        completion_clear(&f->completion);
        completion_init(&f->completion);
        assert_int_equal(read_all(f, events, step), STATUS_OK);
        assert_answer(f, "The sky é");
        assert_int_equal(f->completion.tokens, 15);
        assert_string_equal(f->completion.finish_reason, "stop");
    }
}

static void
a_plain_json_answer_is_read_too(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        read_all(f,
                 "  {\"choices\":[{\"message\":{\"content\":\"Blue\"},\"finish_reason\":\"stop\"}],"
                 "\"usage\":{\"total_tokens\":3}}",
                 7),
        STATUS_OK);
    assert_answer(f, "Blue");
    assert_true(f->completion.has_usage);
}

static void
the_end_without_done_is_fine_when_a_reason_was_given(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        read_all(
            f, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"length\"}]}",
            9),
        STATUS_OK);
}

static void
what_is_no_answer_is_refused(void **state)
{
    static const struct {
        const char *bytes, *words;
    } rows[] = {
        {"", "no answer"},
        {"<html>not json</html>", "no answer"},
        {"{\"choices\":", "not JSON"},
        {"{}", "empty"},
        {"{\"choices\":{}}", "empty"},
        {"{\"choices\":[5]}", "empty"},
        {"{\"choices\":[{\"message\":{\"content\":7}}]}", "empty"},
        {"{\"error\":{\"message\":\"it crashed\"}}", "it crashed"},
        {"{\"error\":\"plain\"}", "plain"},
        {"data: nonsense\n\n", "not JSON"},
        {"data: [1]\n\n", "not JSON"},
        {"data: {\"choices\":[{\"delta\":{\"content\":\"\xff\"}}]}\n\n", "not JSON"},
        {"data: {\"error\":{\"message\":\"out of\\u0007 memory\"}}\n\n", "out of  memory"},
        {"data: {\"choices\":[{\"delta\":{\"content\":\"The sky\"}}]}\n\n", "broke off"},
        {"data: [DONE]\n\n", "empty"},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        completion_clear(&f->completion);
        completion_init(&f->completion);
        assert_int_equal(read_all(f, rows[i].bytes, 5), STATUS_GENERATION_FAILED);
        if (!strstr(f->error.message, rows[i].words))
            fail_msg("%s: %s", rows[i].bytes, f->error.message);
    }
}

static void
a_failure_stays(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(feed(f, "data: x\n", 8), STATUS_GENERATION_FAILED);
    assert_int_equal(feed(f, events, sizeof events - 1), STATUS_GENERATION_FAILED);
    assert_int_equal(completion_end(&f->completion, f->parser, &f->error),
                     STATUS_GENERATION_FAILED);
}

static void
an_endless_line_is_refused(void **state)
{
    struct fixture *f = *state;
    char piece[4096];
    memset(piece, 'x', sizeof piece);
    enum status status = feed(f, "data: ", 6);
    for (size_t i = 0; i < 100 && status == STATUS_OK; i++)
        status = feed(f, piece, sizeof piece);
    assert_int_equal(status, STATUS_GENERATION_FAILED);
    assert_true(f->completion.pending.capacity <= 2 * COMPLETION_LINE_MAX);
}

static void
an_endless_body_is_refused(void **state)
{
    struct fixture *f = *state;
    char piece[4096];
    memset(piece, ' ', sizeof piece);
    piece[0] = '{';
    enum status status = STATUS_OK;
    for (size_t i = 0; i < 100 && status == STATUS_OK; i++)
        status = feed(f, piece, sizeof piece);
    assert_int_equal(status, STATUS_GENERATION_FAILED);
}

static void
an_endless_answer_is_refused(void **state)
{
    struct fixture *f = *state;
    char event[1100];
    char x[1001];
    memset(x, 'x', 1000);
    x[1000] = '\0';
    int size = snprintf(event, sizeof event,
                        "data: {\"choices\":[{\"delta\":{\"content\":\"%s\"}}]}\n\n", x);
    enum status status = STATUS_OK;
    size_t count = 0;
    for (; count < 1000 && status == STATUS_OK; count++)
        status = feed(f, event, (size_t)size);
    assert_int_equal(status, STATUS_GENERATION_FAILED);
    assert_true(f->completion.content.size <= COMPLETION_CONTENT_MAX);
    assert_true(count > 100);
}

static void
the_words_of_an_error_body_are_found(void **state)
{
    struct fixture *f = *state;
    char message[200], code[64];
    static const char body[] =
        "{\"error\":{\"message\":\"too long\",\"code\":\"context_length_exceeded\"}}";
    assert_true(completion_read_error(
        f->parser, (struct bytes){(const uint8_t *)body, sizeof body - 1}, message, code));
    assert_string_equal(message, "too long");
    assert_string_equal(code, "context_length_exceeded");
    assert_false(
        completion_read_error(f->parser, (struct bytes){(const uint8_t *)"<", 1}, message, code));
    assert_false(completion_read_error(f->parser, (struct bytes){0}, message, code));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(events_are_read_however_they_are_cut),
        TEST(a_plain_json_answer_is_read_too),
        TEST(the_end_without_done_is_fine_when_a_reason_was_given),
        TEST(what_is_no_answer_is_refused),
        TEST(a_failure_stays),
        TEST(an_endless_line_is_refused),
        TEST(an_endless_body_is_refused),
        TEST(an_endless_answer_is_refused),
        TEST(the_words_of_an_error_body_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
