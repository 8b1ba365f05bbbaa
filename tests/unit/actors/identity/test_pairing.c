/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actors/identity/pairing.h"
#include "kernel/capability.h"
#include "tests/unit/actors/identity/fixture_home.h"

enum { MINUTE_MS = 60 * 1000 };

static const char *const wrong = "22222222"; /* one in 10^12 codes is this one */

static int
setup(void **state)
{
    struct service_fixture *f = home_open(NULL);
    f->source = "user:operator";
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct service_fixture *f = *state;
    home_close(&f);
    return 0;
}

static struct uuid
create(struct service_fixture *f, const char *channel, const char *sender)
{
    char json[512];
    snprintf(json, sizeof json,
             "{\"channel\":\"%s\",\"sender_id\":\"%s\",\"agent_id\":\"agent:kasra\"}", channel,
             sender);
    return service_send(f, "pairing_create", json);
}

static struct uuid
approve_as(struct service_fixture *f, const char *channel, const char *code, const char *approver)
{
    char json[512];
    snprintf(json, sizeof json, "{\"channel\":\"%s\",\"code\":\"%s\",\"approver_id\":\"%s\"}",
             channel, code, approver);
    return service_send(f, "pairing_approve", json);
}

static struct uuid
approve(struct service_fixture *f, const char *channel, const char *code)
{
    return approve_as(f, channel, code, "user:operator");
}

/* A member of the reply that is text; static until the next call. */
static const char *
member(struct service_fixture *f, const struct uuid *id, const char *name)
{
    static char text[256];
    const struct sent_reply *reply = service_find_reply(f, id);
    assert_non_null(reply);
    snprintf(text, sizeof text, "%.*s", TEXT_ARGS(reply_text(reply, name)));
    return text;
}

static const char *
new_code(struct service_fixture *f, const char *channel, const char *sender)
{
    struct uuid id = create(f, channel, sender);
    if (service_status(f, &id) != STATUS_OK)
        fail_msg("%s", service_reply(f, &id));
    return member(f, &id, "code");
}

static void
assert_ok(struct service_fixture *f, const struct uuid *id)
{
    if (service_status(f, id) != STATUS_OK)
        fail_msg("%s", service_reply(f, id));
}

static void
assert_refused(struct service_fixture *f, const struct uuid *id, enum status status,
               const char *word)
{
    assert_contains(service_reply(f, id), word);
    assert_int_equal(service_status(f, id), status);
}

static const char *
list(struct service_fixture *f, const char *channel)
{
    char json[128];
    snprintf(json, sizeof json, "{\"channel\":\"%s\"}", channel);
    struct uuid id = service_send(f, "allowlist_list", json);
    assert_ok(f, &id);
    return service_reply(f, &id);
}

static struct uuid
remove_sender(struct service_fixture *f, const char *channel, const char *sender)
{
    char json[256];
    snprintf(json, sizeof json, "{\"channel\":\"%s\",\"sender_id\":\"%s\"}", channel, sender);
    return service_send(f, "allowlist_remove", json);
}

/* ---- the whole way */

static void
a_code_says_whom_it_is_for_and_until_when(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = create(f, "telegram", "12345");
    assert_ok(f, &id);
    const char *json = service_reply(f, &id);
    assert_contains(json, "\"channel\":\"telegram\",\"sender_id\":\"12345\",\"agent_id\":"
                          "\"agent:kasra\",\"issued_at\":\"2026-01-01T00:00:0");
    assert_contains(json, "\"expires_at\":\"2026-01-01T00:10:0");
    assert_contains(json, "\"status\":\"pending\"");
    id = service_send(f, "pairing_create",
                      "{\"channel\":\"telegram\",\"sender_id\":\"2\",\"agent_id\":\"agent:kasra\","
                      "\"expires_minutes\":60}");
    assert_contains(service_reply(f, &id), "\"expires_at\":\"2026-01-01T01:00:0");
}

static void
approving_issues_a_signed_capability_for_a_day_and_writes_the_allowlist(void **state)
{
    struct service_fixture *f = *state;
    struct error error = ERROR_INIT;
    struct value map, token;
    struct buffer json;
    struct capability *capability = NULL;
    struct uuid id = approve(f, "telegram", new_code(f, "telegram", "12345"));
    assert_ok(f, &id);
    assert_contains(service_reply(f, &id), "{\"ok\":true,\"channel\":\"telegram\",");
    const struct sent_reply *reply = service_find_reply(f, &id);
    assert_true(value_parse(buffer_bytes(&reply->payload), &map));
    assert_true(value_find(&map, "capability", &token));
    buffer_init(&json);
    assert_int_equal(msgpack_to_json(token.raw, &json, &error), STATUS_OK);
    assert_int_equal(capability_parse(&capability, buffer_text(&json), &error), STATUS_OK);
    struct capability_request use = {.action = text_of("tool:execute"),
                                     .resource = text_of("channel:telegram:sender:12345"),
                                     .subject = text_of("12345")};
    uint64_t day_us = UINT64_C(86400) * 1000000;
    assert_int_equal(
        capability_check(capability, &f->river, 1, &use, f->now.wall_us + day_us - 1, &error),
        STATUS_OK);
    assert_int_equal(
        capability_check(capability, &f->river, 1, &use, f->now.wall_us + day_us, &error),
        STATUS_TOKEN_EXPIRED);
    use.resource = text_of("channel:telegram:sender:12346");
    assert_int_equal(capability_check(capability, &f->river, 1, &use, f->now.wall_us, &error),
                     STATUS_SCOPE_DENIED);

    const char *entries = list(f, "telegram");
    assert_contains(entries, "[{\"channel\":\"telegram\",\"sender_id\":\"12345\",\"agent_id\":"
                             "\"agent:kasra\",\"approver_id\":\"user:operator\"");
    assert_contains(entries, capability_id(capability));
    assert_true(home_trail_holds(f, "\"event\":\"capability.issued\""));
    assert_true(home_trail_holds(f, "\"resource\":\"channel:telegram:sender:12345\""));
    capability_destroy(&capability);
    buffer_clear(&json);
}

static void
a_code_is_good_once(void **state)
{
    struct service_fixture *f = *state;
    char code[16];
    snprintf(code, sizeof code, "%s", new_code(f, "telegram", "12345"));
    struct uuid id = approve(f, "telegram", code);
    assert_ok(f, &id);
    id = approve(f, "telegram", code);
    assert_refused(f, &id, STATUS_INVALID, "pairing_not_pending");
    service_reopen(f);
    id = approve(f, "telegram", code);
    assert_refused(f, &id, STATUS_INVALID, "pairing_not_pending");
}

static void
two_approvals_at_once_let_in_once(void **state)
{
    struct service_fixture *f = *state;
    char json[256];
    snprintf(json, sizeof json,
             "{\"channel\":\"telegram\",\"code\":\"%s\",\"approver_id\":\"user:operator\"}",
             new_code(f, "telegram", "12345"));
    struct uuid one = service_post(f, "pairing_approve", json);
    struct uuid two = service_post(f, "pairing_approve", json);
    service_run(f);
    assert_ok(f, &one);
    assert_refused(f, &two, STATUS_INVALID, "pairing_not_pending");
}

static void
a_code_belongs_to_its_channel(void **state)
{
    struct service_fixture *f = *state;
    char code[16];
    snprintf(code, sizeof code, "%s", new_code(f, "telegram", "12345"));
    struct uuid id = approve(f, "matrix", code);
    assert_refused(f, &id, STATUS_INVALID, "pairing_not_found");
    id = approve(f, "no such/channel", code);
    assert_refused(f, &id, STATUS_INVALID, "pairing_not_found");
    id = approve(f, "telegram", code);
    assert_ok(f, &id);
}

static void
an_old_code_is_refused_as_expired(void **state)
{
    struct service_fixture *f = *state;
    char code[16];
    snprintf(code, sizeof code, "%s", new_code(f, "telegram", "12345"));
    service_pass(f, 10 * MINUTE_MS - 1000);
    struct uuid id = approve(f, "telegram", wrong);
    assert_refused(f, &id, STATUS_INVALID, "pairing_not_found");
    service_pass(f, 1000);
    id = approve(f, "telegram", code);
    assert_refused(f, &id, STATUS_INVALID, "pairing_expired");
}

static void
a_new_code_voids_the_senders_last_one(void **state)
{
    struct service_fixture *f = *state;
    char first[16];
    snprintf(first, sizeof first, "%s", new_code(f, "telegram", "12345"));
    new_code(f, "telegram", "12345");
    struct uuid id = approve(f, "telegram", first);
    assert_refused(f, &id, STATUS_INVALID, "pairing_not_found");
    assert_int_equal(home_count_rows(f, SPACE_PAIRING), 1);
}

/* ---- what stands where */

static void
no_code_stands_in_a_row_the_log_or_the_trail(void **state)
{
    struct service_fixture *f = *state;
    char code[16];
    snprintf(code, sizeof code, "%s", new_code(f, "telegram", "12345"));
    assert_false(home_rows_hold(f, code));
    struct uuid id = approve(f, "telegram", code);
    assert_ok(f, &id);
    assert_false(home_rows_hold(f, code));
    assert_false(home_log_holds(f, code));
    assert_false(home_trail_holds(f, code));
}

/* ---- guessing */

static void
five_wrong_codes_close_the_channel_for_a_while(void **state)
{
    struct service_fixture *f = *state;
    char code[16], other[16];
    struct uuid id = service_send(f, "pairing_create",
                                  "{\"channel\":\"telegram\",\"sender_id\":\"1\",\"agent_id\":"
                                  "\"agent:kasra\",\"expires_minutes\":60}");
    snprintf(code, sizeof code, "%s", member(f, &id, "code"));
    snprintf(other, sizeof other, "%s", new_code(f, "matrix", "1"));
    for (int i = 0; i < GUESSES_MAX; i++) {
        id = approve(f, "telegram", i % 2 ? wrong : "no code at all");
        assert_refused(f, &id, STATUS_INVALID, "pairing_not_found");
    }
    id = approve(f, "telegram", code);
    assert_refused(f, &id, STATUS_RATE_LIMITED, "pairing_locked");
    service_reopen(f);
    id = approve(f, "telegram", code);
    assert_refused(f, &id, STATUS_RATE_LIMITED, "pairing_locked");
    id = approve(f, "matrix", other); /* others are not closed */
    assert_ok(f, &id);
    assert_true(home_trail_holds(f, "pairing.denied"));

    service_pass(f, 15 * MINUTE_MS);
    id = approve(f, "telegram", code);
    assert_ok(f, &id);
}

static void
a_code_ends_after_ten_wrong_ones(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = service_send(f, "pairing_create",
                                  "{\"channel\":\"telegram\",\"sender_id\":\"1\",\"agent_id\":"
                                  "\"agent:kasra\",\"expires_minutes\":600}");
    char code[16];
    snprintf(code, sizeof code, "%s", member(f, &id, "code"));
    for (int i = 0; i < GUESSES_CODE_MAX; i++) {
        id = approve(f, "telegram", wrong);
        assert_refused(f, &id, STATUS_INVALID, "pairing_not_found");
        service_pass(f, 16 * MINUTE_MS);
    }
    id = approve(f, "telegram", code);
    assert_refused(f, &id, STATUS_RATE_LIMITED, "pairing_locked");
    assert_contains(service_reply(f, &id), "ask for a new one");
}

static void
a_wrong_guess_is_counted_before_it_is_answered(void **state)
{
    struct service_fixture *f = *state;
    new_code(f, "telegram", "1");
    for (int i = 0; i < GUESSES_MAX; i++) {
        char json[128];
        snprintf(json, sizeof json,
                 "{\"channel\":\"telegram\",\"code\":\"%s\",\"approver_id\":\"user:operator\"}",
                 wrong);
        f->hold_commits = true;
        struct uuid id = service_send(f, "pairing_approve", json);
        assert_false(service_has_reply(f, &id));
        service_commit(f);
        f->hold_commits = false;
        service_reopen(f); /* a crash before the answer */
        service_run(f);    /* what the service does by itself at its start */
    }
    struct uuid id = approve(f, "telegram", wrong);
    assert_refused(f, &id, STATUS_RATE_LIMITED, "pairing_locked");
}

static void
guesses_where_nothing_waits_leave_no_rows(void **state)
{
    struct service_fixture *f = *state;
    new_code(f, "telegram", "1");
    for (int i = 0; i < 20; i++) {
        char channel[32];
        snprintf(channel, sizeof channel, "channel-%d", i);
        struct uuid id = approve(f, channel, wrong);
        assert_refused(f, &id, STATUS_INVALID, "pairing_not_found");
    }
    assert_int_equal(home_count_rows(f, SPACE_GUESSES), 0);
}

/* ---- who may */

static void
an_agent_does_not_approve_without_the_right_to(void **state)
{
    struct service_fixture *f = *state;
    char code[16], json[256];
    snprintf(code, sizeof code, "%s", new_code(f, "telegram", "12345"));
    f->source = "agent:kasra";
    struct uuid id = approve_as(f, "telegram", code, "agent:kasra");
    assert_refused(f, &id, STATUS_FORBIDDEN, "pairing_approver_not_authorised");
    id = approve_as(f, "telegram", code, "user:operator");
    assert_refused(f, &id, STATUS_FORBIDDEN, "capability_subject_mismatch");
    f->source = "user:ana";
    id = approve_as(f, "telegram", code, "user:operator");
    assert_refused(f, &id, STATUS_FORBIDDEN, "pairing_approver_not_authorised");
    snprintf(json, sizeof json,
             "{\"channel\":\"telegram\",\"code\":\"%s\",\"approver_id\":\"agent:any\"}", code);
    id = service_send_granted(f, "pairing_approve", json, "pairing:approve", "channel:matrix");
    assert_refused(f, &id, STATUS_SCOPE_DENIED, "scope_denied");
    id = service_send_granted(f, "pairing_approve", json, "pairing:approve", "channel:telegram");
    assert_ok(f, &id);
}

static void
bad_fields_are_refused_by_name(void **state)
{
    struct service_fixture *f = *state;
    static const struct {
        const char *channel, *sender, *agent, *field;
    } rows[] = {
        {"a:b", "1", "agent:kasra", "channel"},
        {"", "1", "agent:kasra", "channel"},
        {"telegram", "*", "agent:kasra", "sender_id"},
        {"telegram", "a\\u0001", "agent:kasra", "sender_id"},
        {"telegram", "1", "user:ana", "agent_id"},
        {"telegram", "1", "kasra", "agent_id"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char json[256], part[64];
        snprintf(json, sizeof json, "{\"channel\":\"%s\",\"sender_id\":\"%s\",\"agent_id\":\"%s\"}",
                 rows[i].channel, rows[i].sender, rows[i].agent);
        snprintf(part, sizeof part, "\"field\":\"%s\"", rows[i].field);
        struct uuid id = service_send(f, "pairing_create", json);
        assert_refused(f, &id, STATUS_VALIDATION, part);
    }
    struct uuid id = service_send(f, "pairing_create",
                                  "{\"channel\":\"telegram\",\"sender_id\":\"1\",\"agent_id\":"
                                  "\"agent:kasra\",\"expires_minutes\":0}");
    assert_refused(f, &id, STATUS_VALIDATION, "expires_minutes");
    id = service_send(f, "pairing_approve", "{\"channel\":\"telegram\",\"code\":7}");
    assert_refused(f, &id, STATUS_VALIDATION, "code");
}

/* ---- bounds */

static void
codes_that_wait_are_bounded_and_old_ones_make_room(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id;
    for (int i = 0; i < PAIRINGS_CHANNEL_MAX; i++) {
        char sender[16];
        snprintf(sender, sizeof sender, "s%d", i);
        new_code(f, "telegram", sender);
    }
    id = create(f, "telegram", "more");
    assert_refused(f, &id, STATUS_QUOTA_EXCEEDED, "pairings_full");
    assert_contains(service_reply(f, &id), "on this channel");
    new_code(f, "matrix", "more");
    new_code(f, "telegram", "s3"); /* in the place of its last one */
    service_pass(f, 10 * MINUTE_MS);
    new_code(f, "telegram", "more");
    assert_int_equal(home_count_rows(f, SPACE_PAIRING), 2); /* matrix's is over, but in no way */
}

static void
what_is_over_goes_after_a_day(void **state)
{
    struct service_fixture *f = *state;
    new_code(f, "telegram", "1");
    struct uuid id = approve(f, "telegram", wrong);
    assert_int_equal(home_count_rows(f, SPACE_GUESSES), 1);
    service_pass(f, 11 * MINUTE_MS);
    new_code(f, "telegram", "2");
    assert_int_equal(home_count_rows(f, SPACE_PAIRING), 2);
    service_pass(f, 25 * 60 * MINUTE_MS);
    new_code(f, "telegram", "3");
    assert_int_equal(home_count_rows(f, SPACE_PAIRING), 1);
    assert_int_equal(home_count_rows(f, SPACE_GUESSES), 0);
    (void)id;
}

/* ---- the allowlist */

static void
taking_a_sender_off_revokes_what_was_issued(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = approve(f, "telegram", new_code(f, "telegram", "12345"));
    assert_ok(f, &id);
    id = remove_sender(f, "telegram", "12345");
    assert_false(service_has_reply(f, &id));
    struct sent_call *call = service_call(f, "capability_revoke");
    assert_string_equal(call->service, "bus");
    assert_contains(service_text(&call->json), "{\"capabilities\":[{\"id\":\"cap_");
    service_answer(f, call, STATUS_OK, "{}");
    assert_ok(f, &id);
    assert_string_equal(service_reply(f, &id),
                        "{\"deleted\":true,\"channel\":\"telegram\",\"sender_id\":\"12345\"}");
    assert_string_equal(list(f, "telegram"), "[]");
    id = remove_sender(f, "telegram", "12345");
    assert_refused(f, &id, STATUS_NOT_FOUND, "allowlist_entry_not_found");
    assert_true(home_trail_holds(f, "\"event\":\"capability.revoked\""));
}

static void
a_broker_that_is_away_is_told_later(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = approve(f, "telegram", new_code(f, "telegram", "12345"));
    id = remove_sender(f, "telegram", "12345");
    service_answer(f, service_call(f, "capability_revoke"), STATUS_UNAVAILABLE, "away");
    assert_int_equal(service_status(f, &id), STATUS_UNAVAILABLE);
    assert_string_equal(list(f, "telegram"), "[]");
    service_pass(f, 6000);
    service_answer(f, service_call(f, "capability_revoke"), STATUS_OK, "{}");
}

static void
pairing_anew_takes_the_former_capability_back(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = approve(f, "telegram", new_code(f, "telegram", "12345"));
    assert_ok(f, &id);
    id = approve(f, "telegram", new_code(f, "telegram", "12345"));
    assert_false(service_has_reply(f, &id));
    service_answer(f, service_call(f, "capability_revoke"), STATUS_OK, "{}");
    assert_ok(f, &id);
    assert_int_equal(home_count_rows(f, SPACE_ALLOWED), 1);
}

static void
the_allowlist_is_listed_by_channel_and_page(void **state)
{
    struct service_fixture *f = *state;
    static const char *const senders[] = {"c", "a", "b"};
    for (size_t i = 0; i < 3; i++) {
        struct uuid id = approve(f, "telegram", new_code(f, "telegram", senders[i]));
        assert_ok(f, &id);
    }
    struct uuid id = approve(f, "telegram2", new_code(f, "telegram2", "z"));
    assert_ok(f, &id);
    id = service_send(f, "allowlist_list", "{\"channel\":\"telegram\",\"limit\":1,\"offset\":1}");
    assert_contains(service_reply(f, &id), "\"sender_id\":\"b\"");
    assert_lacks(service_reply(f, &id), "\"sender_id\":\"a\"");
    assert_lacks(list(f, "telegram"), "\"z\"");
    assert_string_equal(list(f, "matrix"), "[]");
    assert_string_equal(list(f, "a:b*"), "[]");
}

/* ---- faults */

static void
every_failing_store_call_leaves_the_code_as_it_was(void **state)
{
    struct service_fixture *f = *state;
    bool passed = false;
    char code[16];
    snprintf(code, sizeof code, "%s", new_code(f, "telegram", "12345"));
    for (int calls = 0; calls < 60 && !passed; calls++) {
        store_fault_after(f->store, calls);
        struct uuid id = approve(f, "telegram", code);
        store_fault_after(f->store, -1);
        passed = service_status(f, &id) == STATUS_OK;
        if (!passed)
            assert_int_equal(service_status(f, &id), STATUS_STORE_FAILED);
        service_pass(f, 2000);
        assert_int_equal(home_count_rows(f, SPACE_ALLOWED), passed ? 1 : 0);
    }
    assert_true(passed);
}

static void
every_failing_store_call_makes_one_code_or_none(void **state)
{
    struct service_fixture *f = *state;
    bool passed = false;
    for (int calls = 0; calls < 60 && !passed; calls++) {
        store_fault_after(f->store, calls);
        struct uuid id = create(f, "telegram", "12345");
        store_fault_after(f->store, -1);
        passed = service_status(f, &id) == STATUS_OK;
        service_pass(f, 2000);
        assert_int_equal(home_count_rows(f, SPACE_PAIRING), passed ? 1 : 0);
    }
    assert_true(passed);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_code_says_whom_it_is_for_and_until_when),
        TEST(approving_issues_a_signed_capability_for_a_day_and_writes_the_allowlist),
        TEST(a_code_is_good_once),
        TEST(two_approvals_at_once_let_in_once),
        TEST(a_code_belongs_to_its_channel),
        TEST(an_old_code_is_refused_as_expired),
        TEST(a_new_code_voids_the_senders_last_one),
        TEST(no_code_stands_in_a_row_the_log_or_the_trail),
        TEST(five_wrong_codes_close_the_channel_for_a_while),
        TEST(a_code_ends_after_ten_wrong_ones),
        TEST(a_wrong_guess_is_counted_before_it_is_answered),
        TEST(guesses_where_nothing_waits_leave_no_rows),
        TEST(an_agent_does_not_approve_without_the_right_to),
        TEST(bad_fields_are_refused_by_name),
        TEST(codes_that_wait_are_bounded_and_old_ones_make_room),
        TEST(what_is_over_goes_after_a_day),
        TEST(taking_a_sender_off_revokes_what_was_issued),
        TEST(a_broker_that_is_away_is_told_later),
        TEST(pairing_anew_takes_the_former_capability_back),
        TEST(the_allowlist_is_listed_by_channel_and_page),
        TEST(every_failing_store_call_leaves_the_code_as_it_was),
        TEST(every_failing_store_call_makes_one_code_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
