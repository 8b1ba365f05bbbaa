/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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
a_delegated_right_is_its_parents_or_narrower(void **state)
{
    struct river_fixture *river = *state;
    char *parent =
        river_issue_token(river, "\"uses\":5,\"constraints\":{\"max_results\":9,\"x\":1}");
    char *child = river_delegate(river, parent,
                                 TO_MIZAN ",\"resource\":\"m:a/*\",\"uses\":2,"
                                          "\"constraints\":{\"max_results\":3}");
    char id[65];
    river_id(parent, id);
    assert_contains(child, id);
    assert_contains(child, "\"subject\":\"agent:mizan\"");
    assert_contains(child, "\"max_results\":3");
    assert_contains(child, "\"x\":1");
    char *whole = river_delegate(river, parent, TO_MIZAN);
    assert_contains(whole, "\"uses_remaining\":5");
    assert_contains(river_verify_token(river, child, ""), "\"valid\":true");
    static const char *const wider[] = {TO_MIZAN ",\"resource\":\"*\"",
                                        TO_MIZAN ",\"action\":\"memory:write\"",
                                        TO_MIZAN ",\"uses\":6",
                                        TO_MIZAN ",\"expires_in\":999999",
                                        TO_MIZAN ",\"constraints\":{\"max_results\":10}",
                                        TO_MIZAN ",\"constraints\":{\"x\":2}"};
    for (size_t i = 0; i < sizeof wider / sizeof *wider; i++) {
        river_try_delegate(river, parent, wider[i]);
        assert_int_equal(river_status(river), STATUS_SCOPE_DENIED);
        assert_string_equal(river_error(river).word, "capability_widened");
    }
    free(whole);
    free(child);
    free(parent);
}

static void
what_was_used_is_not_handed_on(void **state)
{
    struct river_fixture *river = *state;
    char *parent = river_issue_token(river, "\"uses\":5");
    assert_int_equal(river_use(river, parent, 1, "m:x"), 4);
    assert_int_equal(river_use(river, parent, 2, "m:x"), 3);
    river_try_delegate(river, parent, TO_MIZAN ",\"uses\":4");
    assert_string_equal(river_error(river).word, "capability_widened");
    char *child = river_delegate(river, parent, TO_MIZAN);
    assert_contains(child, "\"uses_remaining\":3");
    free(child);
    free(parent);
}

static void
only_the_holder_hands_a_right_on(void **state)
{
    struct river_fixture *river = *state;
    char *parent = river_issue_token(river, "");
    river->f->source = "agent:mizan";
    river_try_delegate(river, parent, TO_MIZAN);
    assert_int_equal(river_status(river), STATUS_FORBIDDEN);
    river->f->source = "agent:kasra";
    river_try_delegate(river, parent, TO_MIZAN);
    assert_int_equal(river_status(river), STATUS_OK);
    river_try_delegate(river, "{\"id\":5}", TO_MIZAN);
    assert_int_equal(river_status(river), STATUS_INVALID);
    char *changed = strdup(parent);
    char *at = strstr(changed, "m:*");
    at[0] = '*';
    river_try_delegate(river, changed, TO_MIZAN);
    assert_int_equal(river_status(river), STATUS_TOKEN_INVALID);
    free(changed);
    free(parent);
}

static void
a_chain_has_an_end(void **state)
{
    struct river_fixture *river = *state;
    char *token = river_issue_token(river, "");
    for (int i = 0; i < DELEGATION_DEPTH_MAX; i++) {
        char *child = river_delegate(river, token, TO_MIZAN);
        free(token);
        token = child;
    }
    assert_int_equal(river_use(river, token, 1, "m:x"), -1);
    river_try_delegate(river, token, TO_MIZAN);
    assert_string_equal(river_error(river).word, "capability_widened");
    free(token);
}

/* ---- whatever is delegated how often */

enum { FAMILY = 24, ROUNDS = 25 };

static uint32_t
next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

/* Texts that tell one resource of the family from another. */
static const char *const probes[] = {"m:", "m:a", "m:a/x", "m:ab", "m:b/x", "n:a", "*", ""};

static bool
covers(const char *token, size_t probe)
{
    struct capability *capability = NULL;
    assert_int_equal(capability_parse(&capability, text_of(token), NULL), STATUS_OK);
    bool match = glob_match(text_of(capability_resource(capability)), text_of(probes[probe]));
    capability_destroy(&capability);
    return match;
}

static void
assert_within(const char *child, const char *root)
{
    struct capability *own = NULL, *first = NULL;
    assert_int_equal(capability_parse(&own, text_of(child), NULL), STATUS_OK);
    assert_int_equal(capability_parse(&first, text_of(root), NULL), STATUS_OK);
    assert_string_equal(capability_action(own), capability_action(first));
    assert_true(capability_expires_us(own) <= capability_expires_us(first));
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++)
        assert_true(!covers(child, i) || covers(root, i));
    assert_int_equal(delegation_check_constraints(capability_constraints(own),
                                                  capability_constraints(first), NULL),
                     STATUS_OK);
    capability_destroy(&own);
    capability_destroy(&first);
}

static void
no_sequence_of_delegations_widens_a_right(void **state)
{
    static const char *const resources[] = {"*", "m:*", "m:a*", "m:a/*", "m:?", "m:[ab]*", "n:*"};
    static const char *const constraints[] = {"{}",
                                              "{\"max_results\":9}",
                                              "{\"max_results\":3}",
                                              "{\"rate_limit\":\"900/minute\"}",
                                              "{\"rate_limit\":\"9/second\"}",
                                              "{\"x\":1}",
                                              "{\"x\":2}"};
    struct river_fixture *river = *state;
    uint32_t seed = 4711;
    unsigned request = 0;
    for (int round = 0; round < ROUNDS; round++) {
        char *family[FAMILY] = {river_issue_token(
            river, "\"uses\":7,\"constraints\":{\"max_results\":5,\"rate_limit\":\"600/"
                   "minute\",\"x\":1}")};
        size_t count = 1;
        int used = 0;
        for (int step = 0; step < 40; step++) {
            const char *token = family[next_random(&seed) % count];
            if (next_random(&seed) % 4 == 0) {
                used += river_use(river, token, ++request, "m:a/x") >= 0;
                continue;
            }
            char rest[256];
            snprintf(rest, sizeof rest,
                     TO_MIZAN ",\"resource\":\"%s\",\"constraints\":%s,\"uses\":%u,"
                              "\"expires_in\":%u",
                     resources[next_random(&seed) % 7], constraints[next_random(&seed) % 7],
                     1 + next_random(&seed) % 9, 3500 + next_random(&seed) % 200);
            const char *child = river_try_delegate(river, token, rest);
            if (river_status(river) != STATUS_OK || count == FAMILY)
                continue;
            family[count++] = strdup(child);
            assert_within(child, family[0]);
            assert_within(child, token);
        }
        for (int more = 0; more < 40; more++)
            used += river_use(river, family[next_random(&seed) % count], ++request, "m:a/x") >= 0;
        assert_true(used <= 7);
        for (size_t i = 0; i < count; i++)
            free(family[i]);
        service_pass(river->f, 61000);
    }
}

/* ---- faults */

static void
every_failing_store_call_uses_delegates_and_revokes_whole_or_not_at_all(void **state)
{
    struct river_fixture *river = *state;
    bool passed = false;
    for (int step = 0; step < 60 && !passed; step++) {
        char *token = river_issue_token(river, "\"uses\":2");
        store_fault_after(river->f->store, step);
        int left = river_use(river, token, 1, "m:x");
        enum status used = river_status(river);
        const char *child = river_try_delegate(river, token, TO_MIZAN);
        enum status delegated = river_status(river);
        char *kept = delegated == STATUS_OK ? strdup(child) : NULL;
        store_fault_after(river->f->store, -1);
        service_pass(river->f, 2000);
        passed = used == STATUS_OK && delegated == STATUS_OK;
        if (used == STATUS_OK)
            assert_int_equal(left, 1);
        assert_int_equal(river_use(river, token, 1, "m:x"), 1);
        if (kept)
            assert_contains(river_verify_token(river, kept, ""), "\"valid\":true");
        free(kept);
        free(token);
    }
    assert_true(passed);
}

static void
every_failing_store_call_revokes_whole_or_not_at_all(void **state)
{
    struct river_fixture *river = *state;
    bool passed = false;
    for (int step = 0; step < 60 && !passed; step++) {
        char *token = river_issue_token(river, "");
        char *child = river_delegate(river, token, TO_MIZAN);
        store_fault_after(river->f->store, step);
        struct uuid id = river_start_revoking(river, token);
        if (service_calls_waiting(river->f) > 0)
            river_confirm(river, "capability_revoke");
        store_fault_after(river->f->store, -1);
        passed = service_status(river->f, &id) == STATUS_OK;
        for (int round = 0; round < 3; round++) {
            service_pass(river->f, 6000);
            if (service_calls_waiting(river->f) > 0) {
                struct sent_call *call = &river->f->calls[river->f->call_count - 1];
                service_answer(river->f, call, STATUS_OK,
                               strcmp(call->type, "key_list") == 0 ? "{\"keys\":[]}" : "{}");
            }
        }
        bool root_good = strstr(river_verify_token(river, token, ""), "\"valid\":true") != NULL;
        bool child_good = strstr(river_verify_token(river, child, ""), "\"valid\":true") != NULL;
        assert_int_equal(root_good, child_good);
        assert_false(passed && root_good);
        assert_int_equal(home_count_rows(river->f, SPACE_GRANT_OPEN), 0);
        free(child);
        free(token);
    }
    assert_true(passed);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_delegated_right_is_its_parents_or_narrower),
        TEST(what_was_used_is_not_handed_on),
        TEST(only_the_holder_hands_a_right_on),
        TEST(a_chain_has_an_end),
        TEST(no_sequence_of_delegations_widens_a_right),
        TEST(every_failing_store_call_uses_delegates_and_revokes_whole_or_not_at_all),
        TEST(every_failing_store_call_revokes_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
