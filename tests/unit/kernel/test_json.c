/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "kernel/json.h"
#include "kernel/pack.h"

static int
make_parser(void **state)
{
    *state = json_parser_new();
    return *state ? 0 : -1;
}

static int
drop_parser(void **state)
{
    struct json_parser *parser = *state;
    json_parser_destroy(&parser);
    assert_null(parser);
    json_parser_destroy(&parser);
    return 0;
}

static void
expect_round_trip(struct json_parser *parser, const char *json, const char *expected)
{
    struct buffer packed = {0}, text = {0};
    struct error error = ERROR_INIT;
    if (json_to_msgpack(parser, text_of(json), &packed, &error) != STATUS_OK)
        fail_msg("%s: %s", json, error.message);
    assert_int_equal(msgpack_to_json(buffer_bytes(&packed), &text, &error), STATUS_OK);
    buffer_append_byte(&text, 0);
    assert_string_equal((const char *)text.data, expected);
    buffer_clear(&packed);
    buffer_clear(&text);
}

static void
expect_refused_text(struct json_parser *parser, struct text json, const char *reason)
{
    struct buffer packed = {0};
    struct error error = ERROR_INIT;
    buffer_append_string(&packed, "kept");
    assert_int_equal(json_to_msgpack(parser, json, &packed, &error), STATUS_INVALID);
    if (!strstr(error.message, reason))
        fail_msg("%.*s: \"%s\", expected \"%s\" in it", TEXT_ARGS(json), error.message, reason);
    assert_int_equal(packed.size, 4);
    buffer_clear(&packed);
}

static void
expect_refused(struct json_parser *parser, const char *json, const char *reason)
{
    expect_refused_text(parser, text_of(json), reason);
}

static void
expect_json(struct buffer *packed, const char *expected)
{
    struct buffer text = {0};
    assert_int_equal(msgpack_to_json(buffer_bytes(packed), &text, NULL), STATUS_OK);
    buffer_append_byte(&text, 0);
    assert_string_equal((const char *)text.data, expected);
    buffer_clear(&text);
    buffer_clear(packed);
}

static void
every_kind_of_value_comes_back_compact(void **state)
{
    expect_round_trip(*state, " { \"a\" : [ 1 , -2 , true , false , null , \"x\" , { } , [ ] ] } ",
                      "{\"a\":[1,-2,true,false,null,\"x\",{},[]]}");
    expect_round_trip(*state, "7", "7");
    expect_round_trip(*state, "\"\"", "\"\"");
    expect_round_trip(*state, "null", "null");
}

static void
integers_stay_exact_to_64_bits(void **state)
{
    expect_round_trip(*state,
                      "[18446744073709551615,9223372036854775808,9223372036854775807,"
                      "-9223372036854775808,9007199254740993]",
                      "[18446744073709551615,9223372036854775808,9223372036854775807,"
                      "-9223372036854775808,9007199254740993]");
    expect_refused(*state, "18446744073709551616", "byte 0: the integer 18446744073709551616");
    expect_refused(*state, "{\"a\": [1, -9223372036854775809]}",
                   "byte 10: the integer -9223372036854775809 does not fit 64 bits");
}

static void
doubles_stay_doubles_and_are_shortest(void **state)
{
    expect_round_trip(*state, "[1.0,1e16,0.1,-0.0,1e-7,5e-324,0.30000000000000004]",
                      "[1.0,1e+16,0.1,-0.0,1e-07,5e-324,0.30000000000000004]");
    expect_refused(*state, "[1e400]", "byte 1");
}

static void
text_is_escaped_only_where_json_demands(void **state)
{
    expect_round_trip(*state, "\"\\u0000\\u001f\\n\\\"\\\\\\/\\u007f\\u00e9\\ud83d\\ude00\\u2028\"",
                      "\"\\u0000\\u001f\\n\\\"\\\\/\x7f\xc3\xa9\xf0\x9f\x98\x80\\u2028\"");
}

static void
what_is_not_json_is_refused_with_its_place(void **state)
{
    expect_refused(*state, "", "not JSON");
    expect_refused(*state, "   ", "not JSON");
    expect_refused(*state, "[1, 02]", "byte 4");
    expect_refused(*state, "{\"a\": tru}", "byte 6");
    expect_refused(*state, "{\"a\": \"\\x\"}", "byte 6");
    expect_refused(*state, "[1 2]", "not JSON");
    expect_refused(*state, "[1] x", "not JSON");
    expect_refused(*state, "{\"a\" 1}", "not JSON");
    expect_refused(*state, "[1,]", "not JSON");
    expect_refused(*state, "[", "not JSON");
    expect_refused(*state, "\"abc", "not JSON");
    expect_refused(*state, "nul", "not JSON");
    expect_refused(*state, "NaN", "not JSON");
    expect_refused(*state, "[Infinity]", "not JSON");
    expect_refused(*state, "\"\t\"", "not JSON");
    expect_refused_text(*state, (struct text){"[1]\0", 4}, "not JSON");
    expect_refused_text(*state, (struct text){NULL, 0}, "not JSON");
}

static void
what_is_not_utf8_is_refused(void **state)
{
    expect_refused(*state, "\"\xff\"", "not JSON");
    expect_refused(*state, "\"\xed\xa0\x80\"", "not JSON");
    expect_refused(*state, "\"\\udc00\"", "JSON");
    expect_refused(*state, "\"\\ud800\"", "JSON");
    expect_refused(*state, "\"\\ud800\\u0041\"", "JSON");
    expect_refused(*state, "{\"\\udfff\": 1}", "JSON");
}

static void
a_duplicate_key_is_refused_at_every_level(void **state)
{
    expect_refused(*state, "{\"a\":1,\"b\":2,\"a\":3}", "duplicate key \"a\"");
    expect_refused(*state, "[{\"x\":{\"k\":1,\"\\u006b\":2}}]", "duplicate key \"k\"");
    expect_round_trip(*state, "{\"a\":{\"a\":1},\"b\":{\"a\":2}}",
                      "{\"a\":{\"a\":1},\"b\":{\"a\":2}}");
}

static void
nesting_is_bounded(void **state)
{
    char json[4 * JSON_DEPTH_MAX];
    size_t depth = JSON_DEPTH_MAX;
    memset(json, '[', depth);
    memset(json + depth, ']', depth);
    json[2 * depth] = '\0';
    expect_round_trip(*state, json, json);
    memset(json, '[', depth + 1);
    memset(json + depth + 1, ']', depth + 1);
    expect_refused_text(*state, (struct text){json, 2 * depth + 2}, "deeper than 32");

    char *hostile = malloc(1 << 20);
    assert_non_null(hostile);
    memset(hostile, '[', 1 << 20);
    expect_refused_text(*state, (struct text){hostile, 1 << 20}, "JSON");
    memset(hostile + (1 << 19), ']', 1 << 19);
    expect_refused_text(*state, (struct text){hostile, 1 << 20}, "deeper than 32");
    free(hostile);
}

static void
an_object_of_many_keys_is_checked_in_good_time(void **state)
{
    enum { KEYS = 100000 };
    struct buffer json = {0}, packed = {0};
    struct error error = ERROR_INIT;
    struct value map;
    buffer_append_byte(&json, '{');
    for (unsigned i = 0; i < KEYS; i++)
        buffer_append_format(&json, "%s\"key%u\":%u", i > 0 ? "," : "", i, i);
    buffer_append_byte(&json, '}');
    assert_int_equal(json_to_msgpack(*state, buffer_text(&json), &packed, &error), STATUS_OK);
    assert_true(value_parse(buffer_bytes(&packed), &map));
    assert_int_equal(map.as.count, KEYS);
    buffer_clear(&json);
    buffer_clear(&packed);
}

static void
invalid_utf8_of_msgpack_is_replaced(void **state)
{
    (void)state;
    struct buffer packed = {0};
    pack_string(&packed, "a\xff\xe2\x80z\xc0\x80");
    expect_json(&packed, "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void
what_json_does_not_know_gets_a_form_of_it(void **state)
{
    (void)state;
    struct buffer packed = {0};
    pack_array(&packed, 6);
    pack_bin(&packed, "\x00\xff\x10", 3);
    pack_bin(&packed, "ab", 2);
    pack_bin(&packed, "a", 1);
    pack_bin(&packed, "", 0);
    pack_double(&packed, (double)NAN);
    pack_double(&packed, (double)INFINITY);
    expect_json(&packed, "[\"AP8Q\",\"YWI=\",\"YQ==\",\"\",null,null]");
}

static void
keys_of_other_types_become_text(void **state)
{
    (void)state;
    struct buffer packed = {0};
    pack_map(&packed, 5);
    pack_uint(&packed, 5);
    pack_nil(&packed);
    pack_nil(&packed);
    pack_nil(&packed);
    pack_bool(&packed, true);
    pack_nil(&packed);
    pack_double(&packed, 0.5);
    pack_nil(&packed);
    pack_array(&packed, 1);
    pack_uint(&packed, 1);
    pack_nil(&packed);
    expect_json(&packed, "{\"5\":null,\"null\":null,\"true\":null,\"0.5\":null,\"kQE=\":null}");
}

static void
broken_msgpack_is_refused_and_nothing_is_written(void **state)
{
    (void)state;
    static const uint8_t broken[][3] = {{0xc1}, {0x92, 0x01}, {0xdb, 0xff, 0xff}, {0x01, 0x01}};
    static const size_t sizes[] = {1, 2, 3, 2};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer text = {0};
        struct error error = ERROR_INIT;
        assert_int_equal(msgpack_to_json((struct bytes){broken[i], sizes[i]}, &text, &error),
                         STATUS_INVALID);
        assert_int_equal(text.size, 0);
        assert_true(error.message[0] != '\0');
        buffer_clear(&text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_comes_back_compact),
        cmocka_unit_test(integers_stay_exact_to_64_bits),
        cmocka_unit_test(doubles_stay_doubles_and_are_shortest),
        cmocka_unit_test(text_is_escaped_only_where_json_demands),
        cmocka_unit_test(what_is_not_json_is_refused_with_its_place),
        cmocka_unit_test(what_is_not_utf8_is_refused),
        cmocka_unit_test(a_duplicate_key_is_refused_at_every_level),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(an_object_of_many_keys_is_checked_in_good_time),
        cmocka_unit_test(invalid_utf8_of_msgpack_is_replaced),
        cmocka_unit_test(what_json_does_not_know_gets_a_form_of_it),
        cmocka_unit_test(keys_of_other_types_become_text),
        cmocka_unit_test(broken_msgpack_is_refused_and_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, make_parser, drop_parser);
}
