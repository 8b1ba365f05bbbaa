/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_tap.h"

#include <stdlib.h>

#include "cli/tap_trace.h"

#define TRACE "'trace':'0123456789abcdef0123456789abcdef'"
#define SPAN_A "'span':'aaaaaaaaaaaaaaaa'"
#define SPAN_B "'span':'bbbbbbbbbbbbbbbb'"
#define SPAN_C "'span':'cccccccccccccccc'"

#define ASKS(at, id, source, target, type, span)                                                   \
    "{'at_us':" #at ",'kind':'request','id':" id ",'source':'" source "','target':'" target        \
    "','type':'" type "'," TRACE "," span ",'verdict':'forwarded'}"
#define ANSWERS(at, id, status)                                                                    \
    "{'at_us':" #at ",'kind':'reply','correlation':" id ",'status':" #status "}"

static const struct screen ascii = {.width = 100};

static struct trace_tree *
grow(const char *prefix, const char *const *records, size_t count)
{
    struct trace_tree *tree = trace_tree_new(prefix);
    for (size_t i = 0; i < count; i++) {
        struct buffer bytes;
        struct tap_entry entry;
        read_entry(records[i], &bytes, &entry);
        trace_tree_add(tree, &entry);
        buffer_clear(&bytes);
    }
    return tree;
}

#define GROW(prefix, ...)                                                                          \
    grow((prefix), (const char *const[]){__VA_ARGS__},                                             \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void
assert_draws(struct trace_tree *tree, const char *const *parts, size_t count)
{
    struct buffer out;
    buffer_init(&out);
    trace_tree_draw(tree, &ascii, 0, &out);
    buffer_append_byte(&out, '\0');
    const char *at = (char *)out.data;
    for (size_t i = 0; i < count; i++) {
        const char *found = strstr(at, parts[i]);
        if (!found)
            fail_msg("'%s' is missing in:\n%s", parts[i], (char *)out.data);
        at = found + strlen(parts[i]);
    }
    buffer_clear(&out);
    trace_tree_destroy(&tree);
}

#define ASSERT_DRAWS(tree, ...)                                                                    \
    assert_draws((tree), (const char *const[]){__VA_ARGS__},                                       \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

static void
calls_stand_under_the_call_that_made_them(void **state)
{
    (void)state;
    struct trace_tree *tree =
        GROW("", ASKS(1000, ID_1, "service:gateway", "service:engine", "chat", SPAN_A),
             ASKS(1400, ID_2, "service:engine", "service:memory", "memory_query", SPAN_B),
             ANSWERS(1900, ID_2, 0),
             ASKS(2100, ID_3, "service:engine", "service:memory", "memory_store", SPAN_B),
             ASKS(2200, ID_4, "service:memory", "service:engine", "embed", SPAN_C),
             ANSWERS(2800, ID_4, 0), ANSWERS(3000, ID_3, 3001));
    assert_false(trace_tree_is_complete(tree));
    struct buffer bytes;
    struct tap_entry entry;
    read_entry(ANSWERS(5000, ID_1, 0), &bytes, &entry);
    trace_tree_add(tree, &entry);
    buffer_clear(&bytes);
    assert_true(trace_tree_is_complete(tree));
    ASSERT_DRAWS(tree, "trace 0123456789abcdef0123456789abcdef  4.00 ms, 4 calls\n\n",
                 "service:gateway -> service:engine  chat", "+0 us", "4.00 ms", "####", "ok\n",
                 "+-> service:memory  memory_query", "+400 us", "500 us", "ok\n",
                 "`-> service:memory  memory_store", "+1.10 ms", "900 us", "not_found\n",
                 "   `-> service:engine  embed", "+1.20 ms", "600 us", "ok\n");
}

static void
two_handlers_of_one_service_are_told_apart_by_their_spans(void **state)
{
    (void)state;
    struct trace_tree *tree =
        GROW("", ASKS(1000, ID_1, "agent:a", "service:engine", "first", SPAN_A),
             ASKS(1001, ID_2, "agent:a", "service:engine", "second", SPAN_A),
             ASKS(1002, ID_3, "service:engine", "service:memory", "of_second", SPAN_B),
             ASKS(1003, ID_4, "service:engine", "service:memory", "of_first", SPAN_C),
             ANSWERS(1009, ID_1, 0), ANSWERS(1009, ID_2, 0), ANSWERS(1005, ID_3, 0),
             ANSWERS(1005, ID_4, 0));
    ASSERT_DRAWS(tree, "first", "of_first", "second", "of_second");
}

static void
only_one_trace_is_followed(void **state)
{
    (void)state;
    static const char other[] =
        "{'kind':'request','id':" ID_2 ",'source':'agent:b','target':'service:"
        "memory','type':'other','trace':'ffffffffffffffffffffffffffffffff'}";
    struct trace_tree *tree =
        GROW("0123", other, ASKS(1, ID_1, "agent:a", "service:memory", "one", SPAN_A), other,
             ANSWERS(5, ID_2, 0));
    assert_false(trace_tree_is_complete(tree));
    ASSERT_DRAWS(tree, "1 call, not answered yet", "one", "no answer");
    tree = GROW("9", other);
    assert_true(trace_tree_is_empty(tree));
    trace_tree_destroy(&tree);
}

static void
mail_and_events_are_part_of_it(void **state)
{
    (void)state;
    struct trace_tree *tree =
        GROW("", ASKS(1000, ID_1, "agent:a", "service:engine", "chat", SPAN_A),
             "{'at_us':1100,'kind':'send','id':" ID_2
             ",'source':'service:engine','target':'agent:b','type':'note'," TRACE "," SPAN_B "}",
             "{'at_us':1500,'kind':'ack','direction':'out','correlation':" ID_2 "}",
             "{'at_us':1700,'kind':'deliver','direction':'out','id':" ID_2 "," TRACE "}",
             ANSWERS(2000, ID_1, 0));
    ASSERT_DRAWS(tree, "chat", "`=> agent:b  note", "400 us", "on disk", "reached 1 after 600 us");
}

static void
json_says_the_same(void **state)
{
    (void)state;
    struct trace_tree *tree =
        GROW("", ASKS(1000, ID_1, "agent:a", "service:engine", "chat", SPAN_A),
             ASKS(1400, ID_2, "service:engine", "service:memory", "q\\u0022", SPAN_B),
             ANSWERS(1900, ID_2, 0), ANSWERS(2000, ID_1, 0));
    struct json_parser *parser = json_parser_new();
    struct buffer out, packed;
    struct value whole, spans, span;
    buffer_init(&out);
    buffer_init(&packed);
    trace_tree_json(tree, 3, &out);
    assert_int_equal(json_to_msgpack(parser, buffer_text(&out), &packed, NULL), STATUS_OK);
    assert_true(value_parse(buffer_bytes(&packed), &whole));
    uint64_t number = 0;
    assert_true(value_find_uint(&whole, "dropped", &number));
    assert_int_equal(number, 3);
    assert_true(value_find_uint(&whole, "duration_us", &number));
    assert_int_equal(number, 1000);
    assert_true(value_find(&whole, "spans", &spans));
    struct entries entries = value_entries(&spans);
    assert_true(entries_next(&entries, &span) && entries_next(&entries, &span));
    struct text text;
    assert_true(value_find_text(&span, "parent", &text));
    assert_true(text_equal_string(text, "00000000-0000-7000-8000-000000000001"));
    assert_true(value_find_text(&span, "type", &text));
    assert_true(text_equal_string(text, "q\""));
    buffer_clear(&packed);
    buffer_clear(&out);
    json_parser_destroy(&parser);
    trace_tree_destroy(&tree);
}

static void
a_tree_is_bounded(void **state)
{
    (void)state;
    struct trace_tree *tree = trace_tree_new("");
    struct buffer bytes, out;
    struct tap_entry entry;
    read_entry(ASKS(1000, ID_1, "service:a", "service:a", "again", SPAN_A), &bytes, &entry);
    for (unsigned i = 0; i < TRACE_SPANS_MAX + 10; i++) {
        memcpy(entry.id.bytes, &i, sizeof i); /* each made by the one before: ever deeper */
        entry.at_us++;
        trace_tree_add(tree, &entry);
    }
    buffer_init(&out);
    trace_tree_draw(tree, &ascii, 0, &out);
    buffer_append_byte(&out, '\0');
    assert_non_null(strstr((char *)out.data, "10 records were left out"));
    buffer_clear(&out);
    buffer_clear(&bytes);
    trace_tree_destroy(&tree);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_stand_under_the_call_that_made_them),
        cmocka_unit_test(two_handlers_of_one_service_are_told_apart_by_their_spans),
        cmocka_unit_test(only_one_trace_is_followed),
        cmocka_unit_test(mail_and_events_are_part_of_it),
        cmocka_unit_test(json_says_the_same),
        cmocka_unit_test(a_tree_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
