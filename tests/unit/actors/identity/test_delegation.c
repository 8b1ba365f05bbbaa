/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actors/identity/delegation.h"
#include "kernel/json.h"

static void
pack(const char *json, struct buffer *out)
{
    struct json_parser *parser = json_parser_new();
    buffer_init(out);
    assert_int_equal(json_to_msgpack(parser, text_of(json), out, NULL), STATUS_OK);
    json_parser_destroy(&parser);
}

static enum status
check(const char *narrow, const char *wide, struct error *error)
{
    struct buffer left, right;
    pack(narrow, &left);
    pack(wide, &right);
    enum status status =
        delegation_check_constraints(buffer_bytes(&left), buffer_bytes(&right), error);
    buffer_clear(&left);
    buffer_clear(&right);
    return status;
}

static void
every_known_constraint_compares_and_unknown_ones_are_kept(void **state)
{
    static const struct {
        const char *narrow, *wide;
        bool allowed;
    } rows[] = {
        {"{}", "{}", true},
        {"{\"max_results\":5}", "{}", true},
        {"{}", "{\"max_results\":5}", false},
        {"{\"max_results\":5}", "{\"max_results\":5}", true},
        {"{\"max_results\":4}", "{\"max_results\":5}", true},
        {"{\"max_results\":6}", "{\"max_results\":5}", false},
        {"{\"max_results\":-1}", "{\"max_results\":5}", false},
        {"{\"max_results\":null}", "{\"max_results\":5}", false},
        {"{\"max_results\":\"4\"}", "{\"max_results\":5}", false},
        {"{\"max_amount\":4.5}", "{\"max_amount\":5}", true},
        {"{\"max_amount\":5.5}", "{\"max_amount\":5}", false},
        {"{\"max_response_length\":499}", "{\"max_response_length\":500}", true},
        {"{\"max_response_length\":501}", "{\"max_response_length\":500}", false},
        {"{\"rate_limit\":\"5/minute\"}", "{\"rate_limit\":\"10/minute\"}", true},
        {"{\"rate_limit\":\"11/minute\"}", "{\"rate_limit\":\"10/minute\"}", false},
        {"{\"rate_limit\":\"10/hour\"}", "{\"rate_limit\":\"10/minute\"}", true},
        {"{\"rate_limit\":\"60/hour\"}", "{\"rate_limit\":\"10/minute\"}", false},
        {"{\"rate_limit\":\"1/second\"}", "{\"rate_limit\":\"10/minute\"}", false},
        {"{\"rate_limit\":\"1/second\"}", "{\"rate_limit\":\"100/minute\"}", true},
        {"{\"rate_limit\":\"often\"}", "{\"rate_limit\":\"10/minute\"}", false},
        {"{\"requires_witness\":true}", "{\"requires_witness\":false}", true},
        {"{\"requires_witness\":false}", "{\"requires_witness\":true}", false},
        {"{\"content_filter\":\"strict\"}", "{\"content_filter\":\"moderate\"}", true},
        {"{\"content_filter\":\"moderate\"}", "{\"content_filter\":\"strict\"}", false},
        {"{\"content_filter\":\"mine\"}", "{\"content_filter\":\"moderate\"}", false},
        {"{\"content_filter\":\"mine\"}", "{\"content_filter\":\"mine\"}", true},
        {"{\"agent_id\":\"agent:a\"}", "{\"agent_id\":\"agent:a\"}", true},
        {"{\"agent_id\":\"agent:b\"}", "{\"agent_id\":\"agent:a\"}", false},
        {"{\"x\":{\"b\":[1,2],\"a\":1}}", "{\"x\":{\"a\":1,\"b\":[1,2]}}", true},
        {"{\"x\":{\"a\":1,\"b\":[2,1]}}", "{\"x\":{\"a\":1,\"b\":[1,2]}}", false},
        {"{\"x\":1}", "{\"x\":2}", false},
        {"{\"x\":1,\"y\":2}", "{\"x\":1}", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error error = ERROR_INIT;
        enum status status = check(rows[i].narrow, rows[i].wide, &error);
        if (status != (rows[i].allowed ? STATUS_OK : STATUS_SCOPE_DENIED))
            fail_msg("%s below %s: %d", rows[i].narrow, rows[i].wide, status);
        if (!rows[i].allowed)
            assert_string_equal(error.word, "capability_widened");
    }
}

static void
assert_merged(const char *one, const char *other, const char *expected)
{
    struct buffer left, right, merged, json;
    struct error error = ERROR_INIT;
    pack(one, &left);
    pack(other, &right);
    buffer_init(&merged);
    buffer_init(&json);
    enum status status =
        delegation_merge(buffer_bytes(&left), buffer_bytes(&right), &merged, &error);
    if (expected) {
        assert_int_equal(status, STATUS_OK);
        assert_int_equal(json_canonical(buffer_bytes(&merged), &json, NULL), STATUS_OK);
        buffer_append_byte(&json, 0);
        assert_string_equal((const char *)json.data, expected);
    } else {
        assert_int_equal(status, STATUS_CONFLICT);
        assert_string_equal(error.word, "constraints_conflict");
    }
    buffer_clear(&left);
    buffer_clear(&right);
    buffer_clear(&merged);
    buffer_clear(&json);
}

static void
merging_keeps_the_tighter_of_two_and_refuses_what_contradicts(void **state)
{
    (void)state;
    assert_merged("{\"max_results\":5,\"x\":1}", "{\"max_results\":9,\"rate_limit\":\"1/minute\"}",
                  "{\"max_results\": 5, \"rate_limit\": \"1/minute\", \"x\": 1}");
    assert_merged("{\"max_results\":9}", "{\"max_results\":5}", "{\"max_results\": 5}");
    assert_merged("{}", "{}", "{}");
    assert_merged("{\"agent_id\":\"agent:a\"}", "{\"agent_id\":\"agent:b\"}", NULL);
    assert_merged("{\"rate_limit\":\"60/hour\"}", "{\"rate_limit\":\"10/minute\"}", NULL);
}

/* ---- whole capabilities */

struct make {
    const char *action, *resource, *constraints, *parent;
    uint64_t expires_us;
    int64_t uses; /* 0: any number */
};

static struct capability *
make(const struct make *make)
{
    static const struct ed25519_secret_key key;
    struct buffer token, constraints;
    struct capability *capability = NULL;
    buffer_init(&token);
    pack(make->constraints, &constraints);
    const struct capability_grant grant = {.subject = "agent:a",
                                           .action = make->action,
                                           .resource = make->resource,
                                           .issued_us = 1,
                                           .expires_us = make->expires_us,
                                           .constraints = buffer_bytes(&constraints),
                                           .limited = make->uses > 0,
                                           .uses = make->uses,
                                           .parent_id = make->parent};
    assert_int_equal(capability_issue(&token, &grant, &key, NULL), STATUS_OK);
    assert_int_equal(capability_parse(&capability, buffer_text(&token), NULL), STATUS_OK);
    buffer_clear(&token);
    buffer_clear(&constraints);
    return capability;
}

static void
a_child_is_a_subset_in_everything(void **state)
{
    enum { HOUR = 1000000 };
    static const struct {
        struct make child;
        const char *wider; /* NULL: it is a child */
    } rows[] = {
        {{"memory:read", "m:a/*", "{\"max_results\":5}", "", HOUR, 3}, NULL},
        {{"memory:read", "m:a/b/*", "{\"max_results\":4,\"x\":1}", "", HOUR - 1, 1}, NULL},
        {{"memory:write", "m:a/*", "{\"max_results\":5}", "", HOUR, 3}, "action"},
        {{"memory:read", "m:*", "{\"max_results\":5}", "", HOUR, 3}, "resource"},
        {{"memory:read", "m:b/*", "{\"max_results\":5}", "", HOUR, 3}, "resource"},
        {{"memory:read", "m:a/*", "{\"max_results\":5}", "", HOUR + 1, 3}, "expiry"},
        {{"memory:read", "m:a/*", "{\"max_results\":5}", "", HOUR, 4}, "uses"},
        {{"memory:read", "m:a/*", "{\"max_results\":5}", "", HOUR, 0}, "uses"},
        {{"memory:read", "m:a/*", "{}", "", HOUR, 3}, "max_results"},
        {{"memory:read", "m:a/*", "{\"max_results\":6}", "", HOUR, 3}, "max_results"},
    };
    (void)state;
    struct capability *parent =
        make(&(struct make){"memory:read", "m:a/*", "{\"max_results\":5}", NULL, HOUR, 3});
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error error = ERROR_INIT;
        struct make wanted = rows[i].child;
        wanted.parent = capability_id(parent);
        struct capability *child = make(&wanted);
        enum status status = delegation_check(child, parent, &error);
        assert_int_equal(status, rows[i].wider ? STATUS_SCOPE_DENIED : STATUS_OK);
        if (rows[i].wider && !strstr(error.message, rows[i].wider))
            fail_msg("row %zu: %s", i, error.message);
        capability_destroy(&child);
    }
    struct capability *stranger =
        make(&(struct make){"memory:read", "m:a/*", "{\"max_results\":5}", "cap_x", HOUR, 3});
    assert_int_equal(delegation_check(stranger, parent, NULL), STATUS_TOKEN_INVALID);
    capability_destroy(&stranger);
    capability_destroy(&parent);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_known_constraint_compares_and_unknown_ones_are_kept),
        cmocka_unit_test(merging_keeps_the_tighter_of_two_and_refuses_what_contradicts),
        cmocka_unit_test(a_child_is_a_subset_in_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
