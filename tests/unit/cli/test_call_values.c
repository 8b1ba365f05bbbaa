/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "cli/call_values.h"

static const char *const colours[] = {"red", "green", NULL};

static const struct field fields[] = {
    {.name = "name", .type = FIELD_STRING, .flags = FIELD_REQUIRED, .size_max = 16},
    {.name = "count", .type = FIELD_INTEGER, .min = -5, .max = INT64_MAX},
    {.name = "weight", .type = FIELD_NUMBER, .number_min = 0, .number_max = 1, .max = 1},
    {.name = "open", .type = FIELD_BOOLEAN},
    {.name = "metadata", .type = FIELD_MAP, .size_max = 8},
    {.name = "colours", .type = FIELD_LIST, .item = FIELD_STRING, .size_max = 4, .words = colours},
    {.name = "numbers", .type = FIELD_LIST, .item = FIELD_INTEGER, .size_max = 4},
    {.name = "password", .type = FIELD_INTEGER, .flags = FIELD_SECRET, .max = 100},
    {.name = "any", .type = FIELD_ANY},
};

static const struct operation operation = {
    .service = "shop",
    .name = "put",
    .type = "shop_put",
    .timeout_ms = 1000,
    .fields = fields,
    .field_count = sizeof fields / sizeof *fields,
};

/* The request as JSON, or the error's message. */
static enum status
pack(const char *body, const char *const *assignments, char *text, size_t size)
{
    struct buffer out;
    struct buffer json;
    struct error error = ERROR_INIT;
    size_t count = 0;
    while (assignments[count])
        count++;
    buffer_init(&out);
    buffer_init(&json);
    enum status status =
        call_values_pack(&operation, text_of(body), assignments, count, &out, &error);
    if (status == STATUS_OK) {
        assert_int_equal(msgpack_to_json(buffer_bytes(&out), &json, NULL), STATUS_OK);
        snprintf(text, size, "%.*s", TEXT_ARGS(buffer_text(&json)));
    } else {
        snprintf(text, size, "%s", error.message);
    }
    buffer_clear(&json);
    buffer_clear(&out);
    return status;
}

static void
each_value_gets_the_type_of_its_field(void **state)
{
    (void)state;
    static const struct {
        const char *assignment;
        const char *expected;
    } rows[] = {
        {"count=-3", "{\"name\":\"x\",\"count\":-3}"},
        {"count=9223372036854775807", "{\"name\":\"x\",\"count\":9223372036854775807}"},
        {"weight=0.25", "{\"name\":\"x\",\"weight\":0.25}"},
        {"open=true", "{\"name\":\"x\",\"open\":true}"},
        {"open=false", "{\"name\":\"x\",\"open\":false}"},
        {"metadata={\"a\":[1,null]}", "{\"name\":\"x\",\"metadata\":{\"a\":[1,null]}}"},
        {"colours=red", "{\"name\":\"x\",\"colours\":[\"red\"]}"},
        {"colours:=[\"red\",\"green\"]", "{\"name\":\"x\",\"colours\":[\"red\",\"green\"]}"},
        {"any=12", "{\"name\":\"x\",\"any\":\"12\"}"},
        {"any:=12", "{\"name\":\"x\",\"any\":12}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512];
        const char *const assignments[] = {"name=x", rows[i].assignment, NULL};
        if (pack(NULL, assignments, text, sizeof text) != STATUS_OK)
            fail_msg("%s: %s", rows[i].assignment, text);
        assert_string_equal(text, rows[i].expected);
    }
}

static void
text_stays_text_whatever_it_looks_like(void **state)
{
    (void)state;
    char text[512];
    const char *const assignments[] = {"name=12=\"3\" {}", NULL};

    assert_int_equal(pack(NULL, assignments, text, sizeof text), STATUS_OK);

    assert_string_equal(text, "{\"name\":\"12=\\\"3\\\" {}\"}");
}

static void
a_list_given_again_grows(void **state)
{
    (void)state;
    char text[512];
    const char *const assignments[] = {"numbers=1", "name=x", "numbers=2", "numbers=-3", NULL};

    assert_int_equal(pack(NULL, assignments, text, sizeof text), STATUS_OK);

    assert_string_equal(text, "{\"numbers\":[1,2,-3],\"name\":\"x\"}");
}

static void
fields_are_added_to_the_json_body(void **state)
{
    (void)state;
    char text[512];
    const char *const assignments[] = {"count=2", NULL};
    const char *const twice[] = {"name=y", NULL};

    assert_int_equal(pack("{\"name\": \"x\"}", assignments, text, sizeof text), STATUS_OK);
    assert_string_equal(text, "{\"name\":\"x\",\"count\":2}");

    assert_int_equal(pack("{\"name\": \"x\"}", twice, text, sizeof text), STATUS_VALIDATION);
    assert_string_equal(text, "name: given more than once");
}

static void
what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *assignment;
        const char *expected;
    } rows[] = {
        {"count=many", "count: came 'many', expected a whole number"},
        {"count=1.5", "count: came '1.5', expected a whole number"},
        {"count=", "count: came '', expected a whole number"},
        {"count=9223372036854775808", "expected a whole number"},
        {"count=-6", "count: came -6"},
        {"weight=2", "weight: came 2"},
        {"weight=inf", "weight: came 'inf', expected a number"},
        {"open=yes", "open: came 'yes', expected true or false"},
        {"metadata={", "metadata: "},
        {"metadata=[1]", "metadata: "},
        {"colours=blue", "colours"},
        {"numbers=x", "numbers: came 'x', expected a whole number"},
        {"colour=red", "colour: shop.put has no such field; it has: name, count"},
        {"novalue", "came 'novalue', expected FIELD=TEXT or FIELD:=JSON"},
        {"=x", "expected FIELD=TEXT"},
        {":=x", "expected FIELD=TEXT"},
        {"name=y", "name: given more than once"},
        {"name=\xff", "name"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[512];
        const char *const assignments[] = {"name=x", rows[i].assignment, NULL};
        assert_int_not_equal(pack(NULL, assignments, text, sizeof text), STATUS_OK);
        if (!strstr(text, rows[i].expected))
            fail_msg("%s: \"%s\" does not hold \"%s\"", rows[i].assignment, text, rows[i].expected);
    }
}

static void
a_missing_field_is_named(void **state)
{
    (void)state;
    char text[512];
    const char *const assignments[] = {"count=1", NULL};

    assert_int_equal(pack(NULL, assignments, text, sizeof text), STATUS_VALIDATION);

    assert_non_null(strstr(text, "name"));
}

static void
a_secret_is_never_repeated(void **state)
{
    (void)state;
    char text[512];
    const char *const assignments[] = {"name=x", "password=hunter2", NULL};

    assert_int_equal(pack(NULL, assignments, text, sizeof text), STATUS_VALIDATION);

    assert_null(strstr(text, "hunter2"));
}

static void
a_body_must_be_a_json_object(void **state)
{
    (void)state;
    char text[512];
    const char *const assignments[] = {NULL};

    assert_int_not_equal(pack("[1]", assignments, text, sizeof text), STATUS_OK);
    assert_non_null(strstr(text, "--json-body: expected a JSON object"));
    assert_int_not_equal(pack("{\"name\":", assignments, text, sizeof text), STATUS_OK);
    assert_non_null(strstr(text, "--json-body"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value_gets_the_type_of_its_field),
        cmocka_unit_test(text_stays_text_whatever_it_looks_like),
        cmocka_unit_test(a_list_given_again_grows),
        cmocka_unit_test(fields_are_added_to_the_json_body),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_missing_field_is_named),
        cmocka_unit_test(a_secret_is_never_repeated),
        cmocka_unit_test(a_body_must_be_a_json_object),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
