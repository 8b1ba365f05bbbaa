/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/constraints.h"
#include "kernel/json.h"

static enum status
parse(const char *json, struct constraints *constraints, struct error *error)
{
    struct buffer packed;
    buffer_init(&packed);
    struct json_parser *parser = json_parser_new();
    assert_int_equal(json_to_msgpack(parser, text_of(json), &packed, NULL), STATUS_OK);
    json_parser_destroy(&parser);
    *error = ERROR_INIT;
    enum status status = constraints_parse(buffer_bytes(&packed), constraints, error);
    buffer_clear(&packed);
    return status;
}

static void
every_known_member_is_read(void **state)
{
    (void)state;
    struct constraints c;
    struct error error;
    assert_int_equal(
        parse(
            "{\"max_results\":5,\"rate_limit\":\"10/minute\",\"max_amount\":1500000.9,"
            "\"requires_witness\":true,\"agent_id\":\"agent:kasra\",\"content_filter\":\"strict\","
            "\"max_response_length\":500,\"later\":{\"a\":[1]}}",
            &c, &error),
        STATUS_OK);
    assert_int_equal(c.set, CONSTRAINT_MAX_RESULTS | CONSTRAINT_RATE_LIMIT | CONSTRAINT_MAX_AMOUNT |
                                CONSTRAINT_AGENT_ID | CONSTRAINT_CONTENT_FILTER |
                                CONSTRAINT_MAX_RESPONSE_LENGTH);
    assert_int_equal(c.max_results, 5);
    assert_int_equal(c.rate_count, 10);
    assert_int_equal(c.rate_us, UINT64_C(60000000));
    assert_int_equal(c.max_amount, 1500000);
    assert_true(c.requires_witness);
    assert_string_equal(c.agent_id, "agent:kasra");
    assert_string_equal(c.content_filter, "strict");
    assert_int_equal(c.max_response_length, 500);
}

static void
nothing_constrains_nothing(void **state)
{
    (void)state;
    struct constraints c = {.set = 1};
    struct error error;
    assert_int_equal(constraints_parse((struct bytes){NULL, 0}, &c, NULL), STATUS_OK);
    assert_int_equal(c.set, 0);
    assert_int_equal(parse("{}", &c, &error), STATUS_OK);
    assert_int_equal(parse("{\"max_results\":null,\"note\":1}", &c, &error), STATUS_OK);
    assert_int_equal(c.set, 0);
}

static void
a_known_member_of_another_form_makes_all_unusable(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"max_results\":-1}",
        "{\"max_results\":\"5\"}",
        "{\"max_results\":1.5}",
        "{\"max_results\":18446744073709551615}",
        "{\"rate_limit\":10}",
        "{\"rate_limit\":\"0/minute\"}",
        "{\"rate_limit\":\"10/week\"}",
        "{\"rate_limit\":\"10/minutes\"}",
        "{\"rate_limit\":\"/minute\"}",
        "{\"rate_limit\":\"1000001/second\"}",
        "{\"rate_limit\":\"99999999999999999999/second\"}",
        "{\"rate_limit\":\" 1/second\"}",
        "{\"rate_limit\":\"\"}",
        "{\"max_amount\":-0.5}",
        "{\"max_amount\":1e300}",
        "{\"requires_witness\":1}",
        "{\"agent_id\":\"\"}",
        "{\"agent_id\":\"a\\u0000b\"}",
        "{\"content_filter\":true}",
        "{\"content_filter\":\"a filter whose name is longer than all\"}",
        "{\"max_response_length\":\"no\"}",
        "[]",
        "5"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct constraints c = {.set = 7};
        struct error error;
        if (parse(bad[i], &c, &error) != STATUS_INVALID)
            fail_msg("%s was taken", bad[i]);
        assert_string_equal(error.word, "invalid_capability_payload");
        assert_int_equal(c.set, 7); /* written only on success */
    }
}

static void
there_are_not_any_number_of_members(void **state)
{
    (void)state;
    struct buffer json;
    struct constraints c;
    struct error error;
    buffer_init(&json);
    buffer_append_string(&json, "{\"m0\":0");
    for (int i = 1; i <= CONSTRAINTS_MEMBERS_MAX; i++)
        buffer_append_format(&json, ",\"m%d\":0", i);
    buffer_append(&json, "}", 2);
    assert_int_equal(parse((const char *)json.data, &c, &error), STATUS_INVALID);
    buffer_clear(&json);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_member_is_read),
        cmocka_unit_test(nothing_constrains_nothing),
        cmocka_unit_test(a_known_member_of_another_form_makes_all_unusable),
        cmocka_unit_test(there_are_not_any_number_of_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
