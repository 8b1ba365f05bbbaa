/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct uri uri;
static struct buffer storage;

static enum status
parse(const char *target, struct error *error)
{
    return uri_parse(text_of(target), &uri, &storage, error);
}

static int
teardown(void **state)
{
    (void)state;
    buffer_clear(&storage);
    return 0;
}

static void
segments_are_split_before_decoding(void **state)
{
    (void)state;
    assert_int_equal(parse("/a%2Fb/%C3%A9/", NULL), STATUS_OK);
    assert_int_equal(uri.segment_count, 3);
    assert_true(text_equal_string(uri.segments[0], "a/b"));
    assert_true(text_equal_string(uri.segments[1], "\xc3\xa9"));
    assert_true(text_is_empty(uri.segments[2]));
    assert_int_equal(parse("/", NULL), STATUS_OK);
    assert_int_equal(uri.segment_count, 0);
}

static void
queries_are_pairs_with_plus_as_space(void **state)
{
    (void)state;
    assert_int_equal(parse("/p+q?a=1+2&b&&c=%26%3d=", NULL), STATUS_OK);
    assert_true(text_equal_string(uri.segments[0], "p+q"));
    assert_int_equal(uri.query_count, 3);
    assert_true(text_equal_string(uri.query[0].value, "1 2"));
    assert_true(text_equal_string(uri.query[1].name, "b"));
    assert_true(text_is_empty(uri.query[1].value));
    assert_true(text_equal_string(uri.query[2].value, "&=="));
}

static void
bad_escapes_nul_and_foreign_bytes_are_refused(void **state)
{
    static const char *const targets[] = {"/%",         "/%1",     "/%zz", "/a?b=%",
                                          "/%00",       "/?a=%00", "/%ff", "/%c0%af",
                                          "/%ed%a0%80", "",        "a",    "http://x/"};
    struct error error;
    (void)state;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        error = ERROR_INIT;
        assert_int_equal(parse(targets[i], &error), STATUS_INVALID);
        assert_true(error.message[0] != '\0');
    }
}

static void
too_many_parts_are_refused(void **state)
{
    char target[1024];
    (void)state;
    memset(target, '/', 40);
    target[40] = '\0';
    assert_int_equal(parse(target, NULL), STATUS_NOT_FOUND);
    strcpy(target, "/?");
    for (int i = 0; i < 65; i++)
        strcat(target, "a&");
    assert_int_equal(parse(target, NULL), STATUS_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_are_split_before_decoding),
        cmocka_unit_test(queries_are_pairs_with_plus_as_space),
        cmocka_unit_test(bad_escapes_nul_and_foreign_bytes_are_refused),
        cmocka_unit_test(too_many_parts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
