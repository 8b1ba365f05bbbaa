/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "kernel/json.h"

static void
each_edition_has_its_bound(void **state)
{
    (void)state;
    static const struct {
        const char *edition;
        size_t memories_max;
    } rows[] = {{"business", 100000}, {"education", 10000}, {"kids", 0}, {"art", 50000}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct memories_limits limits;
        assert_int_equal(quota_find(text_of(rows[i].edition), &limits, NULL), STATUS_OK);
        assert_int_equal(limits.memories_max, rows[i].memories_max);
        assert_int_equal(limits.bytes_max, 1u << 30);
    }
}

static void
an_unknown_edition_is_refused(void **state)
{
    (void)state;
    struct memories_limits limits;
    struct error error = ERROR_INIT;
    assert_int_equal(quota_find(text_of("kid"), &limits, &error), STATUS_VALIDATION);
    assert_non_null(strstr(error.message, "edition: came kid, expected business"));
}

struct terms {
    struct buffer bytes;
    struct edition_policy policy;
};

/* JSON {"features":{},"quotas":{}}, as the runtime hands it over. */
static struct terms
terms_of(const char *json)
{
    struct terms terms = {.policy.edition = text_of("business")};
    struct json_parser *parser = json_parser_new();
    struct value map;
    buffer_init(&terms.bytes);
    assert_int_equal(json_to_msgpack(parser, text_of(json), &terms.bytes, NULL), STATUS_OK);
    json_parser_destroy(&parser);
    assert_true(value_parse(buffer_bytes(&terms.bytes), &map));
    assert_true(value_find(&map, "features", &terms.policy.features));
    assert_true(value_find(&map, "quotas", &terms.policy.quotas));
    return terms;
}

static void
the_policy_lowers_and_raises_the_bound(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        size_t memories_max;
    } rows[] = {
        {"{\"features\":{},\"quotas\":{}}", 100},
        {"{\"features\":{\"persistent_memory\":true},\"quotas\":{\"other\":3}}", 100},
        {"{\"features\":{},\"quotas\":{\"memories_max\":3}}", 3},
        {"{\"features\":{},\"quotas\":{\"memories_max\":0}}", 0},
        {"{\"features\":{},\"quotas\":{\"memories_max\":5000}}", 5000},
        {"{\"features\":{},\"quotas\":{\"memories_max\":18446744073709551615}}", SIZE_MAX},
        {"{\"features\":{\"persistent_memory\":false},\"quotas\":{\"memories_max\":3}}", 0},
        {"{\"features\":{\"persistent_memory\":false},\"quotas\":{}}", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct terms terms = terms_of(rows[i].json);
        struct memories_limits limits =
            quota_apply(&(struct memories_limits){100, 1u << 30}, &terms.policy);
        assert_int_equal(limits.memories_max, rows[i].memories_max);
        assert_int_equal(limits.bytes_max, 1u << 30);
        buffer_clear(&terms.bytes);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_edition_has_its_bound),
        cmocka_unit_test(an_unknown_edition_is_refused),
        cmocka_unit_test(the_policy_lowers_and_raises_the_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
