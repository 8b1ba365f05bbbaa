/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "fixture_vectors.h"
#include "kernel/json.h"
#include "kernel/pack.h"

static void
expect_canonical(struct buffer *packed, const char *expected)
{
    struct buffer out = {0};
    struct error error = ERROR_INIT;
    assert_int_equal(json_canonical(buffer_bytes(packed), &out, &error), STATUS_OK);
    buffer_append_byte(&out, 0);
    assert_string_equal((const char *)out.data, expected);
    buffer_clear(&out);
    buffer_clear(packed);
}

static void
expect_refused(struct buffer *packed, const char *reason)
{
    struct buffer out = {0};
    struct error error = ERROR_INIT;
    buffer_append_string(&out, "kept");
    assert_int_equal(json_canonical(buffer_bytes(packed), &out, &error), STATUS_INVALID);
    assert_non_null(strstr(error.message, reason));
    assert_int_equal(out.size, 4);
    buffer_clear(&out);
    buffer_clear(packed);
}

static void
keys_are_sorted_by_code_point_at_every_level(void **state)
{
    (void)state;
    struct buffer packed = {0};
    pack_map(&packed, 4);
    pack_pair_uint(&packed, "\xf0\x90\x80\x80", 1);
    pack_pair_uint(&packed, "\xef\xbf\xae", 2);
    pack_pair_uint(&packed, "ab", 3);
    pack_string(&packed, "a");
    pack_map(&packed, 2);
    pack_pair_nil(&packed, "z");
    pack_pair_bool(&packed, "B", true);
    expect_canonical(&packed, "{\"a\": {\"B\": true, \"z\": null}, \"ab\": 3, \"\\uffee\": 2, "
                              "\"\\ud800\\udc00\": 1}");
}

static void
controls_and_del_are_escaped_and_slash_is_not(void **state)
{
    (void)state;
    struct buffer packed = {0};
    pack_string(&packed, "\x01\b\t\n\f\r\x1f \"\\/~\x7f\xc3\xa9\xf4\x8f\xbf\xbf");
    expect_canonical(&packed,
                     "\"\\u0001\\b\\t\\n\\f\\r\\u001f \\\"\\\\/~\\u007f\\u00e9\\udbff\\udfff\"");
}

static void
containers_use_pythons_separators(void **state)
{
    (void)state;
    struct buffer packed = {0};
    pack_array(&packed, 4);
    pack_array(&packed, 0);
    pack_map(&packed, 0);
    pack_int(&packed, -1);
    pack_double(&packed, 1.0);
    expect_canonical(&packed, "[[], {}, -1, 1.0]");
}

static void
every_double_prints_as_python_prints_it(void **state)
{
    (void)state;
    json_t *vectors = vectors_load("capabilities.json");
    json_t *doubles = json_object_get(vectors, "doubles"), *vector;
    size_t i;
    assert_true(json_array_size(doubles) > 1000);
    json_array_foreach(doubles, i, vector)
    {
        uint64_t bits = strtoull(json_string_value(json_object_get(vector, "bits")), NULL, 16);
        double number;
        memcpy(&number, &bits, sizeof number);
        struct buffer packed = {0};
        pack_double(&packed, number);
        expect_canonical(&packed, json_string_value(json_object_get(vector, "text")));
    }
    json_decref(vectors);
}

static void
integers_keep_all_64_bits(void **state)
{
    (void)state;
    struct buffer packed = {0};
    pack_array(&packed, 3);
    pack_uint(&packed, UINT64_MAX);
    pack_int(&packed, INT64_MIN);
    pack_uint(&packed, (UINT64_C(1) << 53) + 1);
    expect_canonical(&packed, "[18446744073709551615, -9223372036854775808, 9007199254740993]");
}

static void
what_has_no_canonical_form_is_refused_and_nothing_is_written(void **state)
{
    (void)state;
    struct buffer packed = {0};
    pack_double(&packed, (double)NAN);
    expect_refused(&packed, "not finite");
    pack_double(&packed, -(double)INFINITY);
    expect_refused(&packed, "not finite");
    pack_string(&packed, "\xff");
    expect_refused(&packed, "UTF-8");
    pack_bin(&packed, "x", 1);
    expect_refused(&packed, "binary");
    pack_array(&packed, 2);
    pack_nil(&packed);
    expect_refused(&packed, "whole");
    pack_map(&packed, 1);
    pack_uint(&packed, 1);
    pack_nil(&packed);
    expect_refused(&packed, "not text");
    pack_map(&packed, 2);
    pack_pair_nil(&packed, "a");
    pack_pair_nil(&packed, "a");
    expect_refused(&packed, "duplicate");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_sorted_by_code_point_at_every_level),
        cmocka_unit_test(controls_and_del_are_escaped_and_slash_is_not),
        cmocka_unit_test(containers_use_pythons_separators),
        cmocka_unit_test(every_double_prints_as_python_prints_it),
        cmocka_unit_test(integers_keep_all_64_bits),
        cmocka_unit_test(what_has_no_canonical_form_is_refused_and_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
