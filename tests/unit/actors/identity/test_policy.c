/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actors/identity/policy.h"
#include "actors/identity/policy_builtin.h"
#include "actors/identity/policy_match.h"
#include "kernel/json.h"
#include "kernel/pack.h"

static struct policy *
parse(const char *json)
{
    struct policy *policy = NULL;
    struct error error = ERROR_INIT;
    if (policy_parse(&policy, text_of(json), "x.json", &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return policy;
}

static struct policy_verdict
ask(const struct policy *policy, const char *subject, const char *action, const char *resource)
{
    const struct policy_question question = {text_of(subject), text_of(action), text_of(resource)};
    struct policy_verdict verdict;
    policy_evaluate(policy, &question, &verdict);
    return verdict;
}

#define RULES(list) "{\"edition\":\"x\",\"rules\":[" list "]}"

static void
the_first_rule_that_matches_decides_and_none_denies(void **state)
{
    (void)state;
    struct policy *policy = parse(RULES(
        "{\"action\":\"tool:*\",\"resource\":\"tool:safe\",\"effect\":\"allow\",\"constraints\":"
        "{\"max_results\":3}},"
        "{\"action\":\"tool:execute\",\"resource\":\"*\",\"effect\":\"deny\",\"reason\":\"no\"},"
        "{\"action\":\"*\",\"resource\":\"*\",\"effect\":\"approve\"}"));
    struct policy_verdict verdict = ask(policy, "agent:a", "tool:execute", "tool:safe");
    assert_int_equal(verdict.effect, POLICY_ALLOW);
    assert_int_equal(verdict.rule, 1);
    assert_true(verdict.constraints.size > 1);
    verdict = ask(policy, "agent:a", "tool:execute", "tool:other");
    assert_int_equal(verdict.effect, POLICY_DENY);
    assert_int_equal(verdict.rule, 2);
    assert_string_equal(verdict.reason, "no");
    assert_int_equal(ask(policy, "agent:a", "file:read", "x").effect, POLICY_APPROVE);
    policy_destroy(&policy);
    policy = parse(RULES(""));
    verdict = ask(policy, "agent:a", "file:read", "x");
    assert_int_equal(verdict.effect, POLICY_DENY);
    assert_int_equal(verdict.rule, 0);
    policy_destroy(&policy);
}

static void
a_pattern_is_allowed_whole_and_denied_in_part(void **state)
{
    (void)state;
    struct policy *policy = parse(
        RULES("{\"action\":\"memory:read\",\"resource\":\"memory:*/secret\",\"effect\":\"deny\"},"
              "{\"action\":\"memory:read\",\"resource\":\"memory:{agent_id}/*\",\"effect\":"
              "\"allow\"}"));
    assert_int_equal(ask(policy, "agent:a", "memory:read", "memory:agent:a/x").effect,
                     POLICY_ALLOW);
    assert_int_equal(ask(policy, "agent:a", "memory:read", "memory:agent:a/x*").rule, 1);
    assert_int_equal(ask(policy, "agent:a", "memory:read", "memory:agent:a/*").rule, 1);
    assert_int_equal(ask(policy, "agent:a", "memory:read", "memory:agent:a/*/x").effect,
                     POLICY_ALLOW);
    assert_int_equal(ask(policy, "agent:b", "memory:read", "memory:agent:a/x").effect, POLICY_DENY);
    assert_int_equal(ask(policy, "agent:a", "memory:read", "memory:*").rule, 1);
    assert_int_equal(ask(policy, "agent:a", "memory:read", "memory:agent:*/x").rule, 0);
    assert_int_equal(ask(policy, "agent:*", "memory:read", "memory:agent:a/x").effect, POLICY_DENY);
    assert_int_equal(ask(policy, "agent:a", "memory:*", "memory:agent:a/x").effect, POLICY_DENY);
    policy_destroy(&policy);
}

static void
an_exception_passes_a_rule_over(void **state)
{
    (void)state;
    struct policy *policy = parse(
        RULES("{\"action\":\"*\",\"resource\":\"*\",\"effect\":\"deny\",\"unless\":[{\"subject\":"
              "\"agent:boss\"},{\"resource\":\"open/*\",\"action\":\"file:read\"}]},"
              "{\"action\":\"*\",\"resource\":\"*\",\"effect\":\"allow\",\"unless\":[{\"resource\":"
              "\"*/closed\"}]}"));
    assert_int_equal(ask(policy, "agent:a", "file:read", "x").rule, 1);
    assert_int_equal(ask(policy, "agent:boss", "file:read", "x").rule, 2);
    assert_int_equal(ask(policy, "agent:a", "file:read", "open/x").rule, 2);
    assert_int_equal(ask(policy, "agent:a", "file:write", "open/x").rule, 1);
    assert_int_equal(ask(policy, "agent:a", "file:read", "o*").rule, 1);
    assert_int_equal(ask(policy, "agent:boss", "file:read", "x/closed").rule, 0);
    assert_int_equal(ask(policy, "agent:boss", "file:read", "x/*").rule, 0);
    policy_destroy(&policy);
}

static void
what_cannot_be_right_is_named_with_its_place(void **state)
{
    static const struct {
        const char *json, *words;
    } rows[] = {
        {"", "x.json: the file: expected JSON"},
        {"[]", "the file: expected a JSON object"},
        {"{\"edition\":\"x\",\"rules\":[],\"rules\":[]}", "x.json: the file: expected JSON"},
        {"{\"rules\":[]}", "edition: expected a text"},
        {"{\"edition\":\"../x\",\"rules\":[]}", "edition: expected a name"},
        {"{\"edition\":\"x\"}", "rules: expected a list"},
        {"{\"edition\":\"x\",\"rules\":{}}", "rules: expected a list"},
        {"{\"edition\":\"x\",\"rules\":[],\"rulez\":1}", "no member \"rulez\""},
        {RULES("5"), "rules[0]: expected an object"},
        {RULES("{\"resource\":\"*\",\"effect\":\"allow\"}"), "rules[0].action: expected a text"},
        {RULES("{\"action\":\"a\",\"resource\":\"\",\"effect\":\"allow\"}"),
         "rules[0].resource: expected a text"},
        {RULES("{\"action\":\"a\",\"resource\":\"\\u0000\",\"effect\":\"allow\"}"),
         "rules[0].resource: expected a text"},
        {RULES("{\"action\":\"a\",\"resource\":\"*\",\"effect\":\"alow\"}"),
         "rules[0].effect: expected allow, deny or approve"},
        {RULES("{\"action\":\"a\",\"resource\":\"*\",\"effect\":\"allow\",\"if\":1}"),
         "rules[0]: expected no member \"if\""},
        {RULES("{\"action\":\"a\",\"resource\":\"*\",\"effect\":\"allow\",\"constraints\":[]}"),
         "rules[0].constraints: expected an object"},
        {RULES("{\"action\":\"a\",\"resource\":\"*\",\"effect\":\"allow\",\"constraints\":{\"rate_"
               "limit\":\"often\"}}"),
         "rate_limit"},
        {RULES("{\"action\":\"a\",\"resource\":\"*\",\"effect\":\"allow\",\"unless\":[{}]}"),
         "rules[0].unless[0]: expected an object"},
        {RULES("{\"action\":\"a\",\"resource\":\"*\",\"effect\":\"allow\",\"unless\":[{\"x\":1}]}"),
         "rules[0].unless[0]: expected no member"},
        {"{\"edition\":\"x\",\"rules\":[],\"features\":{\"A\":true}}", "features: expected names"},
        {"{\"edition\":\"x\",\"rules\":[],\"features\":{\"a\":1}}",
         "features: expected true or false for a"},
        {"{\"edition\":\"x\",\"rules\":[],\"quotas\":{\"a\":-1}}",
         "quotas: expected a whole number, 0 or more for a"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct policy *policy = NULL;
        struct error error = ERROR_INIT;
        assert_int_equal(policy_parse(&policy, text_of(rows[i].json), "x.json", &error),
                         STATUS_VALIDATION);
        assert_null(policy);
        if (!strstr(error.message, rows[i].words))
            fail_msg("row %zu: \"%s\" is not in: %s", i, rows[i].words, error.message);
    }
}

static void
a_policy_is_bounded(void **state)
{
    struct buffer json;
    struct policy *policy = NULL;
    struct error error = ERROR_INIT;
    (void)state;
    buffer_init(&json);
    buffer_append_string(&json, "{\"edition\":\"x\",\"rules\":[");
    for (int i = 0; i <= POLICY_RULES_MAX; i++)
        buffer_append_format(&json, "%s{\"action\":\"a\",\"resource\":\"*\",\"effect\":\"deny\"}",
                             i ? "," : "");
    buffer_append_string(&json, "]}");
    assert_int_equal(policy_parse(&policy, buffer_text(&json), "x.json", &error),
                     STATUS_VALIDATION);
    buffer_reset(&json);
    for (int i = 0; i <= POLICY_SIZE_MAX; i++)
        buffer_append_byte(&json, ' ');
    assert_int_equal(policy_parse(&policy, buffer_text(&json), "x.json", &error),
                     STATUS_VALIDATION);
    buffer_clear(&json);
}

static void
money_above_the_limit_and_rights_over_rights_are_dangerous(void **state)
{
    static const uint8_t little[] = "\x81\xaamax_amount\x05", much[] = "\x81\xaamax_amount\x7f";
    (void)state;
    struct policy *policy = parse("{\"edition\":\"x\",\"rules\":[],\"quotas\":{\"ledger_write_"
                                  "unapproved_micros\":10}}");
    const struct bytes none = {0};
    assert_true(policy_is_dangerous(policy, text_of("agent:terminate"), none));
    assert_true(policy_is_dangerous(policy, text_of("config:write"), none));
    assert_true(policy_is_dangerous(policy, text_of("secret:read"), none));
    assert_true(policy_is_dangerous(policy, text_of("capability:issue"), none));
    assert_false(policy_is_dangerous(policy, text_of("capability:request"), none));
    assert_false(policy_is_dangerous(policy, text_of("memory:read"), none));
    assert_true(policy_is_dangerous(policy, text_of("ledger:write"), none));
    assert_false(policy_is_dangerous(policy, text_of("ledger:write"),
                                     (struct bytes){little, sizeof little - 1}));
    assert_true(policy_is_dangerous(policy, text_of("ledger:write"),
                                    (struct bytes){much, sizeof much - 1}));
    policy_destroy(&policy);
}

static struct policy *
builtin(const char *edition)
{
    for (const struct policy_builtin *row = policy_builtins; row->edition; row++)
        if (strcmp(row->edition, edition) == 0)
            return parse(row->json);
    fail_msg("no edition %s", edition);
    return NULL;
}

static void
the_editions_say_what_they_promise(void **state)
{
    static const struct {
        const char *edition, *action, *resource;
        enum policy_effect effect;
    } rows[] = {
        {"business", "memory:write", "memory:agent:a/new", POLICY_ALLOW},
        {"business", "memory:write", "memory:agent:b/new", POLICY_DENY},
        {"business", "memory:read", "conversation:agent:a/1", POLICY_ALLOW},
        {"business", "memory:read", "conversation:agent:ab/1", POLICY_DENY},
        {"business", "agent:terminate", "agent:b", POLICY_APPROVE},
        {"business", "capability:request", "agent:a", POLICY_ALLOW},
        {"business", "capability:request", "agent:b", POLICY_APPROVE},
        {"business", "capability:issue", "agent:a", POLICY_APPROVE},
        {"business", "ledger:write", "ledger:transfer/agent:a", POLICY_ALLOW},
        {"business", "no:such", "x", POLICY_DENY},
        {"education", "ledger:read", "ledger:balance/agent:a", POLICY_DENY},
        {"education", "tool:execute", "tool:search", POLICY_ALLOW},
        {"kids", "memory:write", "memory:agent:a/new", POLICY_DENY},
        {"kids", "memory:*", "memory:agent:a/new", POLICY_DENY},
        {"kids", "ledger:write", "ledger:transfer/agent:a", POLICY_DENY},
        {"kids", "tool:execute", "tool:search", POLICY_ALLOW},
        {"kids", "network:outbound", "*", POLICY_DENY},
        {"art", "tool:register", "tool:brush", POLICY_ALLOW},
        {"art", "ledger:write", "ledger:transfer/agent:a", POLICY_APPROVE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct policy *policy = builtin(rows[i].edition);
        struct policy_verdict verdict = ask(policy, "agent:a", rows[i].action, rows[i].resource);
        if (verdict.effect != rows[i].effect)
            fail_msg("%s: %s on %s: effect %d by rule %d", rows[i].edition, rows[i].action,
                     rows[i].resource, verdict.effect, verdict.rule);
        policy_destroy(&policy);
    }
    struct policy *kids = builtin("kids");
    assert_false(policy_feature(kids, "economy", true));
    assert_false(policy_feature(kids, "persistent_memory", true));
    assert_true(policy_feature(kids, "no_such", true));
    assert_int_equal(policy_quota(kids, "response_length_max", 9), 500);
    policy_destroy(&kids);
    struct policy *business = builtin("business");
    assert_true(policy_feature(business, "audit_required", false));
    assert_int_equal(policy_quota(business, "memories_max", 0), 100000);
    assert_int_equal(policy_quota(business, "mind_per_day_micros", 0), 10000000000);
    policy_destroy(&business);
}

static void
a_packed_policy_is_the_same_policy(void **state)
{
    struct buffer packed, json, again;
    struct value value;
    (void)state;
    buffer_init(&packed);
    buffer_init(&json);
    buffer_init(&again);
    struct policy *policy = builtin("business");
    policy_pack(policy, &packed);
    assert_true(value_parse(buffer_bytes(&packed), &value));
    assert_int_equal(msgpack_to_json(buffer_bytes(&packed), &json, NULL), STATUS_OK);
    assert_non_null(memmem(json.data, json.size, "\"economy\":true", 14));
    policy_destroy(&policy);
    buffer_clear(&packed);
    buffer_clear(&json);
    buffer_clear(&again);
}

static const char *
diff(const char *before, const char *now, size_t size_max, char *room, size_t size)
{
    struct buffer out;
    struct policy *one = parse(before), *other = parse(now);
    buffer_init(&out);
    policy_diff(one, other, size_max, &out);
    assert_true(out.size <= size_max);
    snprintf(room, size, "%.*s", TEXT_ARGS(buffer_text(&out)));
    buffer_clear(&out);
    policy_destroy(&one);
    policy_destroy(&other);
    return room;
}

static void
a_diff_names_rules_features_and_quotas(void **state)
{
    static const char before[] =
        "{\"edition\":\"x\",\"rules\":[{\"action\":\"a\",\"resource\":\"*\","
        "\"effect\":\"deny\"},{\"action\":\"b\",\"resource\":\"*\","
        "\"effect\":\"deny\"}],\"features\":{\"f\":true},\"quotas\":{\"q\":1,"
        "\"old\":2}}";
    static const char now[] = "{\"edition\":\"x\",\"rules\":[{\"action\":\"a\",\"resource\":\"*\","
                              "\"effect\":\"allow\"},{\"action\":\"b\",\"resource\":\"*\","
                              "\"effect\":\"deny\"}],\"features\":{\"f\":false,\"g\":true},"
                              "\"quotas\":{\"q\":5}}";
    static const char moved[] =
        "{\"edition\":\"x\",\"rules\":[{\"action\":\"b\",\"resource\":\"*\","
        "\"effect\":\"deny\"},{\"action\":\"a\",\"resource\":\"*\","
        "\"effect\":\"deny\"}],\"features\":{\"f\":true},\"quotas\":{\"q\":1,\"old\":2}}";
    char room[1024];
    (void)state;
    assert_string_equal(diff(before, now, 500, room, sizeof room),
                        "-rule 1: deny a on *; +rule 1: allow a on *; feature f: true -> false; "
                        "feature g: unset -> true; quota q: 1 -> 5; quota old: 2 -> unset; ");
    assert_string_equal(diff(before, before, 500, room, sizeof room), "");
    assert_string_equal(diff(before, moved, 500, room, sizeof room), "rules in another order; ");
    assert_string_equal(diff(before, now, 20, room, sizeof room), "-rule 1: deny a o…");
}

static void
globs_overlap_where_their_ends_agree(void **state)
{
    static const struct {
        const char *one, *other;
        bool overlap;
    } rows[] = {
        {"a*", "ab*", true},   {"a*", "b*", false},    {"*a", "*ba", true},   {"*a", "*b", false},
        {"a*c", "ab*", true},  {"abc", "a*", true},    {"abc", "a*d", false}, {"abc", "abd", false},
        {"a?c", "a*", true},   {"x[ab]", "xa*", true}, {"*", "?", true},      {"x]", "x*", true},
        {"*]", "*[ab]", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(policy_overlaps(text_of(rows[i].one), text_of(rows[i].other)),
                         rows[i].overlap);
        assert_int_equal(policy_overlaps(text_of(rows[i].other), text_of(rows[i].one)),
                         rows[i].overlap);
    }
}

/* Whatever both match must be found to overlap; and what is covered must match. */
static void
overlap_is_never_missed(void **state)
{
    static const char alphabet[] = "ab*?[]!";
    uint32_t seed = 12345;
    char texts[3][6];
    (void)state;
    for (int round = 0; round < 100000; round++) {
        for (int i = 0; i < 3; i++) {
            size_t size = 0;
            seed = seed * 1664525 + 1013904223;
            for (uint32_t bits = seed >> 8; size < 1 + (seed >> 28) % 5; bits /= 7)
                texts[i][size++] = alphabet[bits % (i == 2 ? 2 : 7)];
            texts[i][size] = '\0';
        }
        struct text one = text_of(texts[0]), other = text_of(texts[1]), plain = text_of(texts[2]);
        bool both = policy_overlaps(one, plain) && policy_overlaps(other, plain);
        if (both && !policy_overlaps(one, other))
            fail_msg("%s and %s both match %s", texts[0], texts[1], texts[2]);
        if (policy_covers(one, other) && policy_overlaps(other, plain) &&
            !policy_overlaps(one, plain))
            fail_msg("%s covers %s, but only that matches %s", texts[0], texts[1], texts[2]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_matches_decides_and_none_denies),
        cmocka_unit_test(a_pattern_is_allowed_whole_and_denied_in_part),
        cmocka_unit_test(an_exception_passes_a_rule_over),
        cmocka_unit_test(what_cannot_be_right_is_named_with_its_place),
        cmocka_unit_test(a_policy_is_bounded),
        cmocka_unit_test(money_above_the_limit_and_rights_over_rights_are_dangerous),
        cmocka_unit_test(the_editions_say_what_they_promise),
        cmocka_unit_test(a_packed_policy_is_the_same_policy),
        cmocka_unit_test(a_diff_names_rules_features_and_quotas),
        cmocka_unit_test(globs_overlap_where_their_ends_agree),
        cmocka_unit_test(overlap_is_never_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
