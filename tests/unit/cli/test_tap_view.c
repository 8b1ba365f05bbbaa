/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_tap.h"

#include <stdlib.h>

#include "cli/tap_view.h"

static const struct tap_view_options plain = {.screen = {.width = 0}};

/* The lines that these records make; the caller clears it. */
static struct buffer
show(const struct tap_view_options *options, const char *const *records, size_t count)
{
    struct buffer out;
    struct tap_view *view = tap_view_new(options);
    buffer_init(&out);
    for (size_t i = 0; i < count; i++) {
        struct buffer bytes;
        struct tap_entry entry;
        read_entry(records[i], &bytes, &entry);
        tap_view_line(view, &entry, &out);
        buffer_clear(&bytes);
    }
    tap_view_sum(view, &out);
    buffer_append_byte(&out, '\0');
    tap_view_destroy(&view);
    return out;
}

#define SHOW(options, ...)                                                                         \
    show((options), (const char *const[]){__VA_ARGS__},                                            \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

#define REQUEST                                                                                    \
    "{'at_us':1000000,'direction':'in','kind':'request','id':" ID_1 ",'source':'agent:kasra',"     \
    "'target':'service:memory','type':'memory_store','size':412,'verdict':'forwarded'}"
#define CHUNK                                                                                      \
    "{'at_us':1000500,'direction':'in','kind':'chunk','correlation':" ID_1                         \
    ",'source':'service:memory','target':'agent:kasra','type':'memory_store','seq':0,'size':50,"   \
    "'verdict':'forwarded'}"
#define REPLY                                                                                      \
    "{'at_us':1002500,'direction':'in','kind':'reply','correlation':" ID_1                         \
    ",'source':'service:memory','target':'agent:kasra','type':'memory_store','status':0,"          \
    "'size':120,'verdict':'forwarded'}"

static void
a_request_and_its_reply_stand_in_the_same_columns_with_the_time_between(void **state)
{
    (void)state;
    struct buffer out = SHOW(&plain, REQUEST, REPLY);
    const char *text = (char *)out.data;
    const char *second = strchr(text, '\n') + 1;
    assert_non_null(
        strstr(text, "agent:kasra      ---> service:memory   memory_store       412 B\n"));
    assert_non_null(strstr(
        second, "agent:kasra      <--- service:memory   memory_store       120 B  2.50 ms  ok\n"));
    assert_non_null(strstr(second, "2 records\n"));
    buffer_clear(&out);
}

static void
chunks_are_counted_at_the_reply_and_shown_when_asked_for(void **state)
{
    (void)state;
    struct tap_view_options all = plain;
    all.chunks = true;
    struct buffer out = SHOW(&plain, REQUEST, CHUNK, CHUNK, REPLY);
    assert_non_null(strstr((char *)out.data, "ok  2 chunks, 100 B\n"));
    assert_non_null(strstr((char *)out.data, "2 records; hidden: 2 chunks (--all shows them)"));
    buffer_clear(&out);
    out = SHOW(&all, REQUEST, CHUNK, REPLY);
    assert_non_null(strstr((char *)out.data, "<... service:memory"));
    assert_non_null(strstr((char *)out.data, "#0\n"));
    buffer_clear(&out);
}

static void
what_recurs_is_hidden_unless_something_is_wrong_with_it(void **state)
{
    (void)state;
    struct buffer out =
        SHOW(&plain, "{'kind':'request','type':'health_check','source':'service:gateway'}",
             "{'kind':'reply','type':'health_check','source':'service:memory','status':0}",
             "{'kind':'control','type':'credit','source':'agent:kasra','seq':1}",
             "{'kind':'reply','type':'health_check','source':'service:memory','status':1004}");
    assert_non_null(strstr((char *)out.data, "timeout\n"));
    assert_non_null(strstr((char *)out.data, "1 record; hidden: 2 health check records, 1 credit"));
    buffer_clear(&out);
}

static void
what_is_refused_or_dropped_is_red(void **state)
{
    (void)state;
    struct tap_view_options colored = plain;
    colored.screen.color = true;
    struct buffer out =
        SHOW(&colored, "{'kind':'request','source':'agent:kasra','verdict':'refused: "
                       "source_forged'}");
    assert_non_null(strstr((char *)out.data, "\033[31magent:kasra\033[0m"));
    assert_non_null(strstr((char *)out.data, "\033[31mrefused: source_forged\033[0m"));
    buffer_clear(&out);
    out = SHOW(&plain, "{'source':'agent:kasra','verdict':'refused: invalid_request','size':9}");
    assert_non_null(strstr((char *)out.data, "(unreadable)"));
    assert_null(strstr((char *)out.data, "\033"));
    buffer_clear(&out);
}

static void
names_of_others_cannot_steer_the_terminal(void **state)
{
    (void)state;
    struct buffer out =
        SHOW(&plain, "{'kind':'request','source':'agent:\\u001b[2Jx','type':'a\\nb\\u009b'}");
    assert_null(strchr((char *)out.data, '\033'));
    assert_non_null(strstr((char *)out.data, "agent:?[2Jx"));
    assert_non_null(strstr((char *)out.data, "a b?"));
    buffer_clear(&out);
}

static size_t
longest_line(const char *text)
{
    size_t longest = 0;
    while (*text) {
        size_t size = strcspn(text, "\n");
        if (screen_columns((struct text){text, size}) > longest)
            longest = screen_columns((struct text){text, size});
        text += size + (text[size] == '\n');
    }
    return longest;
}

static void
lines_keep_to_the_width(void **state)
{
    (void)state;
    for (int width = 70; width <= 200; width += 13) {
        struct tap_view_options narrow = plain;
        narrow.screen.width = width;
        narrow.screen.utf8 = true;
        struct buffer out = SHOW(
            &narrow,
            "{'at_us':1000000,'kind':'request','id':" ID_1
            ",'source':'agent:with-a-name-that-is-long-and-longer','target':'service:also-a-long-"
            "name-of-a-service','type':'a_type_of_message_that_is_long','size':412,'verdict':"
            "'forwarded','trace':'0123456789abcdef0123456789abcdef','principal':'user:somebody'}");
        char *end = strchr((char *)out.data, '\n');
        end[1] = '\0';
        assert_true(longest_line((char *)out.data) <= (size_t)width);
        buffer_clear(&out);
    }
}

static void
payloads_stand_under_their_line(void **state)
{
    (void)state;
    struct tap_view_options bodies = plain;
    bodies.payload = true;
    struct buffer out = SHOW(&bodies, "{'kind':'request','payload':{'content':'tea'}}");
    assert_non_null(strstr((char *)out.data, "\n             {\"content\":\"tea\"}\n"));
    buffer_clear(&out);
}

static void
what_was_left_out_is_said_where_it_is_missing(void **state)
{
    (void)state;
    struct tap_view *view = tap_view_new(&plain);
    struct buffer out;
    buffer_init(&out);
    tap_view_dropped(view, 12, &out);
    tap_view_sum(view, &out);
    buffer_append_byte(&out, '\0');
    assert_non_null(strstr((char *)out.data, "12 records were left out here"));
    assert_non_null(strstr((char *)out.data, "0 records; 12 left out"));
    buffer_clear(&out);
    tap_view_destroy(&view);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_and_its_reply_stand_in_the_same_columns_with_the_time_between),
        cmocka_unit_test(chunks_are_counted_at_the_reply_and_shown_when_asked_for),
        cmocka_unit_test(what_recurs_is_hidden_unless_something_is_wrong_with_it),
        cmocka_unit_test(what_is_refused_or_dropped_is_red),
        cmocka_unit_test(names_of_others_cannot_steer_the_terminal),
        cmocka_unit_test(lines_keep_to_the_width),
        cmocka_unit_test(payloads_stand_under_their_line),
        cmocka_unit_test(what_was_left_out_is_said_where_it_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
