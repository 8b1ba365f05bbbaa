/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sodium.h>

#include "actors/identity/grant.h"
#include "tests/unit/actors/identity/fixture_river.h"

static int
setup(void **state)
{
    *state = river_open(NULL);
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

#define TO_MIZAN "\"subject\":\"agent:mizan\""

static void
uses_are_counted_once_for_each_request(void **state)
{
    struct river_fixture *river = *state;
    char *token = river_issue_token(river, "\"uses\":2");
    assert_int_equal(river_use(river, token, 1, "m:x"), 1);
    assert_int_equal(river_use(river, token, 1, "m:x"), 1);
    assert_int_equal(river_use(river, token, 2, "m:x"), 0);
    assert_int_equal(river_use(river, token, 2, "m:x"), 0);
    assert_int_equal(river_use(river, token, 3, "m:x"), -2);
    assert_string_equal(river_error(river).word, "capability_used_up");
    assert_int_equal(river_use(river, token, 1, "m:x"), 1);
    assert_contains(river_verify_token(river, token, ""), "\"detail\":\"capability_used_up\"");
    home_restart(river->f, NULL);
    assert_int_equal(river_use(river, token, 3, "m:x"), -2);
    assert_int_equal(river_use(river, token, 2, "m:x"), 0);
    free(token);
}

static void
children_use_up_their_parent(void **state)
{
    struct river_fixture *river = *state;
    char *parent = river_issue_token(river, "\"uses\":3");
    char *one = river_delegate(river, parent, TO_MIZAN ",\"uses\":3");
    char *other = river_delegate(river, parent, TO_MIZAN ",\"uses\":2");
    assert_int_equal(river_use(river, one, 1, "m:x"), 2);
    assert_int_equal(river_use(river, other, 2, "m:x"), 1);
    assert_int_equal(river_use(river, one, 3, "m:x"), 0);
    assert_int_equal(river_use(river, other, 4, "m:x"), -2);
    assert_int_equal(river_use(river, one, 5, "m:x"), -2);
    assert_int_equal(river_use(river, parent, 6, "m:x"), -2);
    free(other);
    free(one);
    free(parent);
}

static void
a_use_is_refused_outside_its_scope_and_from_others_than_services(void **state)
{
    struct river_fixture *river = *state;
    char *token = river_issue_token(river, "\"uses\":2");
    assert_int_equal(river_use(river, token, 1, "n:x"), -2);
    assert_int_equal(river_status(river), STATUS_SCOPE_DENIED);
    river_ask(river, "capability_use",
              "{\"capability\":\"{}\",\"request_id\":\"x\",\"action\":\"a:b\"}");
    assert_int_equal(river_status(river), STATUS_FORBIDDEN);
    river->f->now.wall_us += UINT64_C(3600) * 1000000;
    assert_int_equal(river_use(river, token, 2, "m:x"), -2);
    assert_int_equal(river_status(river), STATUS_TOKEN_EXPIRED);
    free(token);
}

static void
a_rate_is_shared_by_a_family(void **state)
{
    struct river_fixture *river = *state;
    char *parent = river_issue_token(river, "\"constraints\":{\"rate_limit\":\"3/minute\"}");
    char *one = river_delegate(river, parent, TO_MIZAN);
    char *other = river_delegate(river, parent, TO_MIZAN);
    assert_int_equal(river_use(river, one, 1, "m:x"), 2);
    assert_int_equal(river_use(river, other, 2, "m:x"), 1);
    assert_int_equal(river_use(river, one, 3, "m:x"), 0);
    assert_int_equal(river_use(river, other, 4, "m:x"), -2);
    assert_int_equal(river_status(river), STATUS_RATE_LIMITED);
    service_pass(river->f, 60000);
    assert_int_equal(river_use(river, other, 5, "m:x"), 2);
    free(other);
    free(one);
    free(parent);
}

/* After a restart a service asks by the same name for whatever comes with that request's id. */
static void
a_use_that_was_taken_is_good_for_nothing_else(void **state)
{
    struct river_fixture *river = *state;
    char *token = river_issue_token(river, "\"uses\":1");
    assert_int_equal(river_use(river, token, 1, "m:x"), 0);
    assert_int_equal(river_use(river, token, 1, "m:x"), 0); /* once more the same */
    assert_int_equal(river_use(river, token, 1, "m:y"), -2);
    assert_string_equal(river_error(river).word, "capability_used_up");
    free(token);
}

/* A table by these few bits of a hash would count for one what the other used. */
static uint32_t
hash_few(const char *id)
{
    uint32_t hash = 2166136261u;
    for (const char *at = id; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    return hash & 4095;
}

static void
a_rate_is_kept_whatever_others_are_in_use(void **state)
{
    struct river_fixture *river = *state;
    static const char nine[] = "\x81\xaarate_limit\xa8"
                               "9/minute";
    const struct capability_grant grant = {.subject = "agent:kasra",
                                           .action = "memory:read",
                                           .resource = "m:*",
                                           .constraints = {(const uint8_t *)nine, sizeof nine - 1}};
    char id[65], other_id[65];
    struct buffer other;
    buffer_init(&other);
    char *mine = river_issue_token(river, "\"constraints\":{\"rate_limit\":\"1/minute\"}");
    river_id(mine, id);
    do {
        river_sign(river, &grant, &other);
        river_id(service_text(&other), other_id);
    } while (hash_few(id) != hash_few(other_id));
    assert_int_equal(river_use(river, mine, 1, "m:x"), 0);
    assert_int_equal(river_use(river, service_text(&other), 2, "m:x"), 8);
    assert_int_equal(river_use(river, mine, 3, "m:x"), -2);
    assert_int_equal(river_use(river, service_text(&other), 4, "m:x"), 7);
    buffer_clear(&other);
    free(mine);
}

static void
tokens_made_elsewhere_count_when_their_parents_are_known(void **state)
{
    struct river_fixture *river = *state;
    struct buffer token;
    char id[65];
    buffer_init(&token);
    struct capability_grant grant = {.subject = "agent:kasra",
                                     .action = "memory:read",
                                     .resource = "m:*",
                                     .parent_id = "cap_000000000000"};
    river_sign(river, &grant, &token);
    assert_int_equal(river_use(river, service_text(&token), 1, "m:x"), -2);
    assert_string_equal(river_error(river).word, "capability_parent_unknown");

    char *parent = river_issue_token(river, "\"uses\":3");
    river_id(parent, id);
    grant.parent_id = id;
    river_sign(river, &grant, &token);
    assert_int_equal(river_use(river, service_text(&token), 2, "m:x"), -2);
    assert_string_equal(river_error(river).word, "capability_widened");
    grant.limited = true;
    grant.uses = 2;
    grant.expires_us = river->f->now.wall_us + 1000000;
    river_sign(river, &grant, &token);
    assert_int_equal(river_use(river, service_text(&token), 3, "m:x"), 1);
    char *child = strdup(service_text(&token));
    char child_id[65];
    river_id(child, child_id);
    struct uuid revoking = river_start_revoking(river, parent);
    assert_contains(service_text(&service_call(river->f, "capability_revoke")->json), child_id);
    river_confirm(river, "capability_revoke");
    assert_int_equal(service_status(river->f, &revoking), STATUS_OK);
    assert_int_equal(river_use(river, child, 4, "m:x"), -2);
    assert_string_equal(river_error(river).word, "capability_revoked");
    free(child);
    free(parent);
    buffer_clear(&token);
}

/* Signs what stands in the token by now. */
static void
sign_again(struct river_fixture *river, char *token)
{
    uint8_t signature[crypto_sign_BYTES];
    char hex[2 * crypto_sign_BYTES + 1];
    struct capability *capability = NULL;
    struct buffer bytes;
    buffer_init(&bytes);
    assert_int_equal(capability_parse(&capability, text_of(token), NULL), STATUS_OK);
    assert_int_equal(capability_signed_bytes(capability, &bytes), STATUS_OK);
    crypto_sign_detached(signature, NULL, bytes.data, bytes.size, river->f->river_secret.bytes);
    sodium_bin2hex(hex, sizeof hex, signature, sizeof signature);
    memcpy(strstr(token, "ed25519:") + 8, hex, sizeof hex - 1);
    capability_destroy(&capability);
    buffer_clear(&bytes);
}

static void
another_token_of_the_same_id_is_refused(void **state)
{
    struct river_fixture *river = *state;
    struct buffer first, second;
    char id[65], other[65];
    buffer_init(&first);
    buffer_init(&second);
    struct capability_grant grant = {.subject = "agent:kasra",
                                     .action = "memory:read",
                                     .resource = "m:a",
                                     .limited = true,
                                     .uses = 1};
    river_sign(river, &grant, &first);
    assert_int_equal(river_use(river, service_text(&first), 1, "m:a"), 0);
    river_id(service_text(&first), id);
    grant.uses = 100;
    river_sign(river, &grant, &second);
    river_id(service_text(&second), other);
    char *changed = strdup(service_text(&second));
    memcpy(strstr(changed, other), id, strlen(id));
    sign_again(river, changed);
    assert_int_equal(river_use(river, changed, 2, "m:a"), -2);
    assert_int_equal(river_status(river), STATUS_TOKEN_INVALID);
    assert_contains(river_error(river).message, "another capability has the id");
    free(changed);
    buffer_clear(&first);
    buffer_clear(&second);
}

static void
revoking_takes_the_family_with_it_in_one_record(void **state)
{
    struct river_fixture *river = *state;
    char *root = river_issue_token(river, "");
    char *child = river_delegate(river, root, TO_MIZAN);
    char *grandchild = river_delegate(river, child, TO_MIZAN);
    char *other = river_issue_token(river, "");
    char ids[3][65];
    river_id(root, ids[0]);
    river_id(child, ids[1]);
    river_id(grandchild, ids[2]);

    struct uuid request = river_start_revoking(river, child);
    assert_false(service_has_reply(river->f, &request));
    assert_int_equal(river_use(river, child, 1, "m:x"), -2);
    const char *told = service_text(&service_call(river->f, "capability_revoke")->json);
    assert_contains(told, ids[1]);
    assert_contains(told, ids[2]);
    assert_lacks(told, ids[0]);
    river_confirm(river, "capability_revoke");
    assert_int_equal(service_calls_waiting(river->f), 0);

    assert_int_equal(river_use(river, root, 2, "m:x"), -1);
    assert_int_equal(river_use(river, other, 3, "m:x"), -1);
    assert_int_equal(river_use(river, grandchild, 4, "m:x"), -2);
    assert_string_equal(river_error(river).word, "capability_revoked");
    river_try_delegate(river, grandchild, TO_MIZAN);
    assert_string_equal(river_error(river).word, "capability_revoked");
    assert_contains(river_verify_token(river, grandchild, ""), "\"detail\":\"capability_revoked\"");
    assert_true(home_trail_holds(river->f, "capability.revoked"));
    river_revoke(river, root);
    service_pass(river->f, 6000);
    assert_int_equal(service_calls_waiting(river->f), 0);
    free(root);
    free(child);
    free(grandchild);
    free(other);
}

static void
what_the_broker_did_not_confirm_is_asked_again(void **state)
{
    struct river_fixture *river = *state;
    char *token = river_issue_token(river, "");
    struct uuid id = river_start_revoking(river, token);
    service_answer(river->f, service_call(river->f, "capability_revoke"), STATUS_UNAVAILABLE,
                   "no broker");
    assert_int_equal(service_status(river->f, &id), STATUS_UNAVAILABLE);
    assert_int_equal(river_use(river, token, 1, "m:x"), -2);
    home_restart(river->f, NULL);
    river_confirm(river, "capability_revoke");
    service_pass(river->f, 6000);
    assert_int_equal(service_calls_waiting(river->f), 0);
    assert_int_equal(river_use(river, token, 2, "m:x"), -2);
    free(token);
}

static void
who_may_revoke(void **state)
{
    struct river_fixture *river = *state;
    char id[65], json[128];
    char *parent = river_issue_token(river, "");
    char *child = river_delegate(river, parent, TO_MIZAN);
    river_id(child, id);
    snprintf(json, sizeof json, "{\"id\":\"%s\"}", id);
    river->f->source = "agent:stranger";
    river_ask(river, "capability_revoke", json);
    assert_int_equal(river_status(river), STATUS_FORBIDDEN);
    river->f->source = "agent:kasra"; /* who handed it on */
    river_ask(river, "capability_revoke", json);
    river_confirm(river, "capability_revoke");
    assert_int_equal(river_status(river), STATUS_OK);
    river_ask(river, "capability_revoke", "{\"id\":\"cap_none\"}");
    assert_int_equal(river_status(river), STATUS_NOT_FOUND);
    assert_string_equal(river_error(river).word, "capability_not_found");
    free(child);
    free(parent);
}

static void
a_token_that_was_never_seen_is_revoked_by_showing_it(void **state)
{
    struct river_fixture *river = *state;
    struct buffer token, json;
    char id[65];
    buffer_init(&token);
    buffer_init(&json);
    river_sign(river,
               &(struct capability_grant){
                   .subject = "agent:kasra", .action = "memory:read", .resource = "m:*"},
               &token);
    river_id(service_text(&token), id);
    buffer_append_format(&json, "{\"id\":\"%s\",\"token\":%s}", id, service_text(&token));
    service_send_granted(river->f, "capability_revoke", service_text(&json), "capability:revoke",
                         "*");
    assert_contains(service_text(&service_call(river->f, "capability_revoke")->json), id);
    river_confirm(river, "capability_revoke");
    assert_int_equal(river_use(river, service_text(&token), 1, "m:x"), -2);
    buffer_clear(&token);
    buffer_clear(&json);
}

static void
lists_show_no_signature(void **state)
{
    struct river_fixture *river = *state;
    free(river_issue_token(river, ""));
    river->f->now.wall_us += 1000000;
    char *parent = river_issue_token(river, "\"uses\":4");
    free(river_delegate(river, parent, TO_MIZAN));
    free(parent);
    const char *list = river_ask(river, "capability_list", "{\"subject\":\"agent:kasra\"}");
    assert_lacks(list, "signature");
    assert_lacks(list, "agent:mizan");
    assert_true(strstr(list, "\"uses_left\":4") < strstr(list, "\"uses_left\":null"));
    assert_contains(river_ask(river, "capability_list", "{}"), "agent:mizan");
    assert_lacks(river_ask(river, "capability_list", "{\"limit\":1,\"subject\":\"agent:kasra\"}"),
                 "\"uses_left\":null");
}

static void
verify_says_why_not(void **state)
{
    struct river_fixture *river = *state;
    char *token = river_issue_token(river, "");
    assert_contains(
        river_verify_token(river, token, "\"action\":\"memory:read\",\"resource\":\"m:x\""),
        "\"valid\":true");
    assert_contains(river_verify_token(river, token, "\"action\":\"memory:write\""),
                    "scope_denied");
    assert_contains(river_verify_token(river, token, "\"resource\":\"n:x\""), "scope_denied");
    assert_contains(river_verify_token(river, token, "\"subject\":\"agent:mizan\""),
                    "capability_subject_mismatch");
    assert_contains(river_verify_token(river, "{}", ""), "invalid_capability_payload");
    assert_contains(river_verify_token(river, "\"no\"", ""), "invalid_capability_payload");
    char *changed = strdup(token);
    strstr(changed, "m:*")[0] = 'n';
    assert_contains(river_verify_token(river, changed, ""), "token_invalid");
    river->f->now.wall_us += UINT64_C(3600) * 1000000;
    assert_contains(river_verify_token(river, token, ""), "token_expired");
    river_ask(river, "capability_verify", "{}");
    assert_int_equal(river_status(river), STATUS_VALIDATION);
    free(changed);
    free(token);
}

static void
what_is_over_goes_a_day_later(void **state)
{
    struct river_fixture *river = *state;
    char *parent = river_issue_token(river, "\"uses\":5");
    char *child = river_delegate(river, parent, TO_MIZAN);
    river_use(river, child, 1, "m:x");
    river->f->now.wall_us += UINT64_C(3600) * 1000000;
    service_pass(river->f, 1500);
    assert_contains(river_ask(river, "capability_list", "{}"), "\"state\":\"expired\"");
    river->f->now.wall_us += UINT64_C(86400) * 1000000;
    service_pass(river->f, 1500);
    assert_string_equal(river_ask(river, "capability_list", "{}"), "[]");
    for (store_space space = SPACE_GRANT; space <= SPACE_GRANT_USE; space++)
        assert_int_equal(home_count_rows(river->f, space), 0);
    free(child);
    free(parent);
}

static void
the_machine_of_capabilities_is_walked_whole(void **state)
{
    static const int to[GRANT_STATES][GRANT_EVENTS] = {
        [GRANT_ISSUED] = {GRANT_USED_UP, GRANT_EXPIRED, GRANT_REVOKED},
        [GRANT_USED_UP] = {-1, GRANT_EXPIRED, GRANT_REVOKED},
        [GRANT_EXPIRED] = {-1, -1, -1},
        [GRANT_REVOKED] = {-1, -1, -1}};
    (void)state;
    for (int from = 0; from < GRANT_STATES; from++) {
        for (int event = 0; event < GRANT_EVENTS; event++) {
            int now = from;
            enum status status = state_step(&grant_machine, &now, event, NULL);
            assert_int_equal(status, to[from][event] < 0 ? STATUS_CONFLICT : STATUS_OK);
            assert_int_equal(now, to[from][event] < 0 ? from : to[from][event]);
        }
    }
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(uses_are_counted_once_for_each_request),
        TEST(children_use_up_their_parent),
        TEST(a_use_is_refused_outside_its_scope_and_from_others_than_services),
        TEST(a_rate_is_shared_by_a_family),
        TEST(a_use_that_was_taken_is_good_for_nothing_else),
        TEST(a_rate_is_kept_whatever_others_are_in_use),
        TEST(tokens_made_elsewhere_count_when_their_parents_are_known),
        TEST(another_token_of_the_same_id_is_refused),
        TEST(revoking_takes_the_family_with_it_in_one_record),
        TEST(what_the_broker_did_not_confirm_is_asked_again),
        TEST(who_may_revoke),
        TEST(a_token_that_was_never_seen_is_revoked_by_showing_it),
        TEST(lists_show_no_signature),
        TEST(verify_says_why_not),
        TEST(what_is_over_goes_a_day_later),
        cmocka_unit_test(the_machine_of_capabilities_is_walked_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
