/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actors/identity/identity.h"
#include "actors/identity/river_approval.h"
#include "tests/unit/actors/identity/fixture_river.h"

#define POLICY(rules) "{\"edition\":\"business\",\"rules\":[" rules "]}"
#define ALLOW_ALL POLICY("{\"action\":\"*\",\"resource\":\"*\",\"effect\":\"allow\"}")

static const char LIMITED[] =
    POLICY("{\"action\":\"tool:execute\",\"resource\":\"tool:{agent_id}/*\",\"effect\":\"allow\","
           "\"constraints\":{\"max_results\":5,\"agent_id\":\"agent:kasra\"}},"
           "{\"action\":\"file:*\",\"resource\":\"*\",\"effect\":\"deny\",\"reason\":\"no files\"},"
           "{\"action\":\"net:*\",\"resource\":\"*\",\"effect\":\"approve\",\"reason\":\"ask\"},"
           "{\"action\":\"agent:terminate\",\"resource\":\"*\",\"effect\":\"allow\"}");

static int
setup(void **state)
{
    *state = river_open(LIMITED);
    return 0;
}

static int
teardown(void **state)
{
    struct river_fixture *river = *state;
    if (river)
        river_close(&river);
    return 0;
}

static const char *
request(struct river_fixture *river, const char *action, const char *resource, const char *rest)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"agent_id\":\"agent:kasra\",\"action\":\"%s\",\"resource\":\"%s\"%s%s}", action,
             resource, rest[0] ? "," : "", rest);
    return river_ask(river, "capability_request", json);
}

static void
a_right_that_the_policy_allows_is_signed_with_its_constraints(void **state)
{
    struct river_fixture *river = *state;
    const char *json = request(river, "tool:execute", "tool:agent:kasra/x",
                               "\"constraints\":{\"max_results\":9,\"mine\":1},\"uses\":3,"
                               "\"expires_in\":60");
    assert_int_equal(river_status(river), STATUS_OK);
    struct capability *capability = NULL;
    assert_int_equal(capability_parse(&capability, text_of(json), NULL), STATUS_OK);
    const struct capability_request wanted = {.action = text_of("tool:execute"),
                                              .resource = text_of("tool:agent:kasra/x"),
                                              .subject = text_of("agent:kasra")};
    assert_int_equal(
        capability_check(capability, &river->f->river, 1, &wanted, river->f->now.wall_us, NULL),
        STATUS_OK);
    assert_int_equal(capability_expires_us(capability), river->f->now.wall_us + 60000000);
    capability_destroy(&capability);
    assert_contains(json, "\"max_results\":5");
    assert_contains(json, "\"mine\":1");
    assert_contains(json, "\"agent_id\":\"agent:kasra\"");
    assert_contains(json, "\"uses_remaining\":3");
    assert_true(home_trail_holds(river->f, "capability.issued"));
}

static void
what_the_policy_denies_is_refused_with_the_rule(void **state)
{
    struct river_fixture *river = *state;
    request(river, "file:read", "/etc/passwd", "");
    assert_int_equal(river_status(river), STATUS_FORBIDDEN);
    assert_string_equal(river_error(river).word, "policy_denied");
    assert_true(home_trail_holds(river->f, "capability.denied"));
    assert_contains(river_error(river).message, "rule 2 of edition business");
    assert_contains(river_error(river).message, "no files");
    request(river, "memory:read", "memory:agent:kasra/x", "");
    assert_string_equal(river_error(river).word, "policy_denied");
    request(river, "tool:execute", "tool:agent:mizan/x", "");
    assert_string_equal(river_error(river).word, "policy_denied");
    request(river, "tool:execute", "tool:*", "");
    assert_string_equal(river_error(river).word, "policy_denied");
}

static void
constraints_that_contradict_the_policy_are_a_conflict(void **state)
{
    struct river_fixture *river = *state;
    request(river, "tool:execute", "tool:agent:kasra/x",
            "\"constraints\":{\"agent_id\":\"agent:mizan\"}");
    assert_int_equal(river_status(river), STATUS_CONFLICT);
    assert_string_equal(river_error(river).word, "constraints_conflict");
}

static void
bad_requests_are_refused_by_field(void **state)
{
    static const struct {
        const char *json, *field;
    } rows[] = {
        {"{\"agent_id\":\"agent:*\",\"action\":\"a:b\",\"resource\":\"x\"}", "agent_id"},
        {"{\"agent_id\":\"agent:a\",\"action\":\"a:*\",\"resource\":\"x\"}", "action"},
        {"{\"agent_id\":\"agent:a\",\"action\":\"abcd\",\"resource\":\"x\"}", "action"},
        {"{\"agent_id\":\"agent:a\",\"action\":\"a:b:c\",\"resource\":\"x\"}", "action"},
        {"{\"agent_id\":\"agent:a\",\"action\":\"a:b\",\"resource\":\"\"}", "resource"},
        {"{\"agent_id\":\"agent:a\",\"action\":\"a:b\",\"resource\":\"x\\u0000y\"}", "resource"},
        {"{\"agent_id\":\"agent:a\",\"action\":\"a:b\",\"resource\":\"x\",\"constraints\":{\"rate_"
         "limit\":5}}",
         "constraints"},
        {"{\"agent_id\":\"agent:a\",\"action\":\"a:b\",\"resource\":\"x\",\"uses\":0}", "uses"},
        {"{\"agent_id\":\"agent:a\",\"action\":\"a:b\",\"resource\":\"x\",\"expires_in\":0}",
         "expires_in"},
        {"{\"action\":\"a:b\",\"resource\":\"x\"}", "agent_id"},
    };
    struct river_fixture *river = *state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        river_ask(river, "capability_request", rows[i].json);
        assert_int_equal(river_status(river), STATUS_VALIDATION);
        assert_string_equal(river_error(river).field, rows[i].field);
    }
}

static void
take(const char *json, const char *member, char *to, size_t size)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":\"", member);
    const char *at = strstr(json, key);
    assert_non_null(at);
    at += strlen(key);
    snprintf(to, size, "%.*s", (int)strcspn(at, "\""), at);
}

static const char *
ask_approval(struct river_fixture *river, const char *action, char id[static 40])
{
    const char *json = request(river, action, "x", "\"justification\":\"please\"");
    assert_int_equal(river_status(river), STATUS_OK);
    assert_contains(json, "\"status\":\"pending\"");
    take(json, "approval_id", id, 40);
    return json;
}

static void
decide(struct river_fixture *river, const char *type, const char *id)
{
    char json[256];
    snprintf(json, sizeof json, "{\"approval_id\":\"%s\",\"reason\":\"so be it\"}", id);
    river_admin(river, type, json, "capability:approve", "approval:*");
}

static const char *
fetch(struct river_fixture *river, const char *id, const char *agent)
{
    char json[256];
    snprintf(json, sizeof json, "{\"approval_id\":\"%s\",\"agent_id\":\"%s\"}", id, agent);
    return river_ask(river, "approval_get", json);
}

static void
a_right_that_needs_it_waits_for_an_administrator(void **state)
{
    struct river_fixture *river = *state;
    char id[40], same[40], json[128];
    ask_approval(river, "net:outbound", id);
    ask_approval(river, "net:outbound", same);
    assert_string_equal(id, same);
    assert_contains(fetch(river, id, "agent:kasra"), "\"capability\":null");
    fetch(river, id, "agent:mizan");
    assert_int_equal(river_status(river), STATUS_NOT_FOUND);

    snprintf(json, sizeof json, "{\"approval_id\":\"%s\"}", id);
    river_ask(river, "approval_approve", json);
    assert_int_equal(river_status(river), STATUS_CAPABILITY_MISSING);
    assert_contains(river_admin(river, "approvals", "{\"status\":\"pending\"}",
                                "capability:approve", "approval:*"),
                    "\"justification\":\"please\"");

    decide(river, "approval_approve", id);
    assert_int_equal(river_status(river), STATUS_OK);
    const char *got = fetch(river, id, "agent:kasra");
    assert_contains(got, "\"status\":\"approved\"");
    assert_contains(got, "\"decision\":\"so be it\"");
    assert_contains(got, "\"signature\":\"ed25519:");
    decide(river, "approval_deny", id);
    assert_int_equal(river_status(river), STATUS_CONFLICT);
    assert_contains(river_error(river).message, "approved");
    assert_contains(river_error(river).message, "deny");
}

/* Whoever speaks: over HTTP that is the person at the machine for every agent. */
static void
nobody_decides_by_a_capability_that_was_theirs(void **state)
{
    struct river_fixture *river = *state;
    struct buffer token;
    char id[40], json[4096];
    buffer_init(&token);
    ask_approval(river, "net:outbound", id);
    const struct capability_grant own = {
        .subject = "agent:kasra", .action = "capability:approve", .resource = "approval:*"};
    river_sign(river, &own, &token);
    snprintf(json, sizeof json, "{\"approval_id\":\"%s\"}", id);
    river->f->source = "user:local";
    service_forget(river->f);
    service_send_with(river->f, "approval_approve", json, buffer_text(&token));
    assert_int_equal(river_status(river), STATUS_FORBIDDEN);
    assert_string_equal(river_error(river).word, "own_approval");

    char *handed_on = river_delegate(river, service_text(&token), "\"subject\":\"agent:mizan\"");
    service_forget(river->f);
    service_send_with(river->f, "approval_approve", json, text_of(handed_on));
    service_pass(river->f, 10); /* the use is counted first */
    assert_int_equal(river_status(river), STATUS_FORBIDDEN);
    assert_string_equal(river_error(river).word, "own_approval");
    free(handed_on);

    decide(river, "approval_approve", id);
    assert_int_equal(river_status(river), STATUS_OK);
    buffer_clear(&token);
}

static void
what_is_dangerous_waits_though_the_policy_allows_it(void **state)
{
    struct river_fixture *river = *state;
    char id[40];
    ask_approval(river, "agent:terminate", id);
    decide(river, "approval_deny", id);
    assert_int_equal(river_status(river), STATUS_OK);
    assert_contains(fetch(river, id, "agent:kasra"), "\"status\":\"denied\"");
    decide(river, "approval_approve", id);
    assert_int_equal(river_status(river), STATUS_CONFLICT);
}

static void
an_approval_that_nobody_gives_expires(void **state)
{
    struct river_fixture *river = *state;
    char id[40];
    ask_approval(river, "net:outbound", id);
    river->f->now.wall_us += UINT64_C(86400) * 1000000;
    assert_contains(fetch(river, id, "agent:kasra"), "\"status\":\"expired\"");
    decide(river, "approval_approve", id);
    assert_int_equal(river_status(river), STATUS_CONFLICT);
    river->f->now.wall_us += UINT64_C(7 * 86400) * 1000000;
    service_pass(river->f, 1500);
    fetch(river, id, "agent:kasra");
    assert_int_equal(river_status(river), STATUS_NOT_FOUND);
}

static void
what_is_denied_by_now_is_not_given_on_an_old_approval(void **state)
{
    struct river_fixture *river = *state;
    char id[40];
    ask_approval(river, "net:outbound", id);
    river_write_policy(river, POLICY(""));
    service_pass(river->f, 1500);
    decide(river, "approval_approve", id);
    assert_int_equal(river_status(river), STATUS_FORBIDDEN);
    assert_contains(fetch(river, id, "agent:kasra"), "\"status\":\"pending\"");
}

static void
only_so_many_wait(void **state)
{
    struct river_fixture *river = *state;
    for (int i = 0; i <= APPROVALS_AGENT_MAX; i++) {
        char resource[32];
        snprintf(resource, sizeof resource, "x%d", i);
        request(river, "net:outbound", resource, "");
        assert_int_equal(river_status(river),
                         i < APPROVALS_AGENT_MAX ? STATUS_OK : STATUS_QUOTA_EXCEEDED);
    }
}

static void
the_machine_of_approvals_is_walked_whole(void **state)
{
    (void)state;
    for (int from = 0; from < APPROVAL_STATES; from++) {
        for (int event = 0; event < APPROVAL_EVENTS; event++) {
            struct error error = ERROR_INIT;
            int now = from;
            enum status status = state_step(&approval_machine, &now, event, &error);
            assert_int_equal(status, from == APPROVAL_PENDING ? STATUS_OK : STATUS_CONFLICT);
            if (status == STATUS_CONFLICT)
                assert_contains(error.message, approval_machine.state_names[from]);
        }
    }
}

static void
an_operator_issues_directly_and_nobody_else(void **state)
{
    static const char json[] =
        "{\"subject\":\"treasury\",\"action\":\"file:read\",\"resource\":\"*\","
        "\"constraints\":{\"max_results\":1}}";
    struct river_fixture *river = *state;
    river_ask(river, "capability_issue", json);
    assert_int_equal(river_status(river), STATUS_CAPABILITY_MISSING);
    const char *answer = river_admin(river, "capability_issue", json, "capability:issue", "*");
    assert_int_equal(river_status(river), STATUS_OK);
    assert_contains(answer, "\"subject\":\"treasury\"");
    assert_contains(answer, "\"max_results\":1");
}

static void
a_new_policy_comes_into_force_and_is_told(void **state)
{
    struct river_fixture *river = *state;
    assert_contains(river_ask(river, "policy", "{}"), "\"reason\":\"no files\"");
    service_pass(river->f, 1500);
    river_write_policy(river, ALLOW_ALL);
    service_pass(river->f, 1500);
    request(river, "file:read", "x", "");
    assert_int_equal(river_status(river), STATUS_OK);
    assert_true(home_trail_holds(river->f, "policy.reloaded"));
    assert_true(home_trail_holds(river->f, "+rule 1: allow * on *"));
    service_pass(river->f, 5000);
    struct sent_call *told = service_call(river->f, "policy_changed");
    assert_string_equal(service_text(&told->json), "{\"edition\":\"business\"}");
    service_answer(river->f, told, STATUS_UNAVAILABLE, "no broker");
    service_pass(river->f, 5000);
    river_confirm(river, "policy_changed");
    service_pass(river->f, 5000);
    assert_int_equal(service_calls_waiting(river->f), 0);
}

static void
a_change_right_behind_the_start_is_told_too(void **state)
{
    struct river_fixture *river = *state;
    home_close(&river->f);
    river->f = home_open(NULL);
    river_write_policy(river, ALLOW_ALL);
    service_pass(river->f, 1500);
    assert_true(home_trail_holds(river->f, "+rule 1: allow * on *"));
}

static void
a_broken_policy_leaves_the_old_one_in_force_and_says_so(void **state)
{
    struct river_fixture *river = *state;
    service_pass(river->f, 1500);
    river_write_policy(river, "{\"edition\":\"business\",\"rules\":[{\"action\":1}]}");
    service_pass(river->f, 1500);
    request(river, "file:read", "x", "");
    assert_string_equal(river_error(river).word, "policy_denied");
    const char *health = river_ask(river, "health_check", "{}");
    assert_contains(health, "rules[0].action");
    assert_contains(health, "degraded");
    assert_contains(service_text(&river->f->log), "the policy before stays in force");
    river_write_policy(river, ALLOW_ALL);
    service_pass(river->f, 1500);
    assert_contains(river_ask(river, "health_check", "{}"), "\"policy\":\"ok\"");
}

static void
a_change_while_the_service_was_down_is_told_too(void **state)
{
    struct river_fixture *river = *state;
    service_pass(river->f, 1500);
    river_write_policy(river, ALLOW_ALL);
    home_restart(river->f, NULL);
    service_pass(river->f, 1500);
    service_pass(river->f, 5000);
    assert_true(home_trail_holds(river->f, "+rule 1: allow * on *"));
    river_confirm(river, "policy_changed");
}

static void
a_wrong_policy_refuses_to_start(void **state)
{
    struct river_fixture *river = *state;
    struct error error = ERROR_INIT;
    river_write_policy(river, "{\"edition\":\"kids\",\"rules\":[]}");
    assert_int_equal(service_start(river->f, &error), STATUS_VALIDATION);
    assert_contains(error.message, "config/policies/business.json");
    assert_contains(error.message, "edition");
    river_write_policy(river, "{");
    assert_int_equal(service_start(river->f, &error), STATUS_VALIDATION);
    assert_contains(error.message, "config/policies/business.json");
    river_write_policy(river, LIMITED);
    service_reopen(river->f);
}

static void
every_edition_can_be_looked_at(void **state)
{
    struct river_fixture *river = *state;
    assert_contains(river_ask(river, "policy_of", "{\"edition\":\"kids\"}"),
                    "\"response_length_max\":500");
    assert_contains(river_ask(river, "policy_of", "{\"edition\":\"business\"}"), "no files");
    river_ask(river, "policy_of", "{\"edition\":\"../../x\"}");
    assert_int_equal(river_status(river), STATUS_NOT_FOUND);
    assert_string_equal(river_error(river).word, "policy_not_found");
}

static void
every_failing_store_call_gives_nothing_or_all(void **state)
{
    struct river_fixture *river = *state;
    bool passed = false;
    for (int step = 0; step < 30 && !passed; step++) {
        store_fault_after(river->f->store, step);
        request(river, "tool:execute", "tool:agent:kasra/x", "");
        store_fault_after(river->f->store, -1);
        passed = river_status(river) == STATUS_OK;
        if (!passed)
            assert_int_equal(river_status(river), STATUS_STORE_FAILED);
        service_pass(river->f, 2000);
        const char *list = river_ask(river, "capability_list", "{\"subject\":\"agent:kasra\"}");
        if (passed)
            assert_contains(list, "cap_");
        else
            assert_string_equal(list, "[]");
    }
    assert_true(passed);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_right_that_the_policy_allows_is_signed_with_its_constraints),
        TEST(what_the_policy_denies_is_refused_with_the_rule),
        TEST(constraints_that_contradict_the_policy_are_a_conflict),
        TEST(bad_requests_are_refused_by_field),
        TEST(a_right_that_needs_it_waits_for_an_administrator),
        TEST(nobody_decides_by_a_capability_that_was_theirs),
        TEST(what_is_dangerous_waits_though_the_policy_allows_it),
        TEST(an_approval_that_nobody_gives_expires),
        TEST(what_is_denied_by_now_is_not_given_on_an_old_approval),
        TEST(only_so_many_wait),
        cmocka_unit_test(the_machine_of_approvals_is_walked_whole),
        TEST(an_operator_issues_directly_and_nobody_else),
        TEST(a_new_policy_comes_into_force_and_is_told),
        TEST(a_change_right_behind_the_start_is_told_too),
        TEST(a_broken_policy_leaves_the_old_one_in_force_and_says_so),
        TEST(a_change_while_the_service_was_down_is_told_too),
        TEST(a_wrong_policy_refuses_to_start),
        TEST(every_edition_can_be_looked_at),
        TEST(every_failing_store_call_gives_nothing_or_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
