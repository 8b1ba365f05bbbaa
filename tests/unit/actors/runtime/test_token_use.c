/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens that only service:identity can say yes to, those that are taken back while a request runs,
 * and what a token is constrained to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sodium.h>

#include "fixture.h"
#include "kernel/pack.h"

struct wanted {
    const char *resource; /* NULL: notes:** */
    const char *parent_id;
    int64_t uses;
    int64_t max_results; /* below 0: unlimited; 0: not said */
};

static char *
token_of(struct service_fixture *f, struct wanted wanted)
{
    struct buffer token, constraints;
    buffer_init(&token);
    buffer_init(&constraints);
    if (wanted.max_results) {
        pack_map(&constraints, 1);
        pack_pair_int(&constraints, "max_results", wanted.max_results);
    }
    const struct capability_grant grant = {.subject = "agent:kasra",
                                           .action = "memory:write",
                                           .resource =
                                               wanted.resource ? wanted.resource : "notes:**",
                                           .issued_us = f->now.wall_us,
                                           .expires_us = f->now.wall_us + UINT64_C(3600000000),
                                           .constraints = buffer_bytes(&constraints),
                                           .limited = wanted.uses > 0,
                                           .uses = wanted.uses,
                                           .parent_id = wanted.parent_id};
    assert_int_equal(capability_issue(&token, &grant, &f->river_secret, NULL), STATUS_OK);
    char *text = text_copy(buffer_text(&token));
    buffer_clear(&token);
    buffer_clear(&constraints);
    return text;
}

static struct uuid
put(struct service_fixture *f, const char *token, const char *key)
{
    const struct sending sending = {.capability = token, .key = key};
    struct uuid id = runtime_send(f, &sending, "notes_put", "name", "a", "text", "one", "agent_id",
                                  "agent:kasra", NULL);
    service_run(f);
    return id;
}

static void
id_of(const char *token, char id[static CAPABILITY_ID_MAX + 1])
{
    struct capability *capability = NULL;
    assert_int_equal(capability_parse(&capability, text_of(token), NULL), STATUS_OK);
    strcpy(id, capability_id(capability));
    capability_destroy(&capability);
}

static void
revoke(struct service_fixture *f, const char *id)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_string(&payload, "ids");
    pack_array(&payload, 1);
    pack_string(&payload, id);
    pack_string(&payload, "expires_us");
    pack_array(&payload, 1);
    pack_uint(&payload, f->now.wall_us + UINT64_C(3600000000));
    const struct message control = {.kind = KIND_CONTROL,
                                    .source = text_of("service:bus"),
                                    .type = text_of("capabilities_revoked"),
                                    .payload = buffer_bytes(&payload)};
    dispatch_message(f->dispatch, &control);
    buffer_clear(&payload);
}

static void
assert_word(const struct service_fixture *f, const struct uuid *id, enum status status,
            const char *word)
{
    char found[64];
    assert_int_equal(service_status(f, id), status);
    assert_string_equal(runtime_word_of(f, id, found), word);
}

static void
a_counted_use_waits_for_identity(void **state)
{
    struct service_fixture *f = *state;
    char *token = token_of(f, (struct wanted){.uses = 2});
    struct uuid id = put(f, token, NULL);
    assert_false(service_has_reply(f, &id));
    assert_int_equal(notes_of(f)->handler_runs, 0);
    struct sent_call *call = service_call(f, "capability_use");
    assert_string_equal(call->service, "identity");
    assert_string_equal(call->principal, ""); /* the service asks in its own name */
    assert_in_range(call->ttl_ms, 1, 3000);
    assert_contains(service_text(&call->json), "\"action\":\"memory:write\"");
    assert_contains(service_text(&call->json), "\"resource\":\"notes:agent:kasra/a\"");
    assert_contains(service_text(&call->json), "\"subject\":\"agent:kasra\"");
    service_answer(f, call, STATUS_OK, "{\"uses_left\":1}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(notes_of(f)->handler_runs, 1);

    id = put(f, token, NULL);
    assert_false(service_has_reply(f, &id)); /* each use is asked for */
    service_answer(f, service_call(f, "capability_use"), STATUS_SCOPE_DENIED, "used up");
    assert_int_equal(service_status(f, &id), STATUS_SCOPE_DENIED);
    assert_int_equal(notes_of(f)->handler_runs, 1);
    free(token);
}

static void
a_delegated_token_is_asked_for_until_the_next_revocation(void **state)
{
    struct service_fixture *f = *state;
    char *token = token_of(f, (struct wanted){.parent_id = "cap_parent"});
    struct uuid id = put(f, token, NULL);
    service_answer(f, service_call(f, "capability_use"), STATUS_OK, "{\"uses_left\":null}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    id = put(f, token, NULL);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(service_calls_waiting(f), 0);

    revoke(f, "cap_else");
    id = put(f, token, NULL);
    assert_int_equal(service_calls_waiting(f), 1);
    service_answer(f, service_call(f, "capability_use"), STATUS_OK, "{\"uses_left\":null}");
    assert_int_equal(service_status(f, &id), STATUS_OK);

    revoke(f, "cap_parent");
    id = put(f, token, NULL);
    assert_word(f, &id, STATUS_SCOPE_DENIED, "capability_revoked");
    free(token);
}

static void
without_identity_nothing_is_done(void **state)
{
    struct service_fixture *f = *state;
    char *token = token_of(f, (struct wanted){.uses = 2});
    static const enum status silences[] = {STATUS_TIMEOUT, STATUS_UNAVAILABLE, STATUS_NOT_FOUND,
                                           STATUS_UNKNOWN_OUTCOME, STATUS_INTERNAL};
    for (size_t i = 0; i < sizeof silences / sizeof silences[0]; i++) {
        struct uuid id = put(f, token, NULL);
        service_answer(f, service_call(f, "capability_use"), silences[i], "no");
        assert_int_equal(service_status(f, &id), STATUS_UNAVAILABLE);
    }
    f->call_result = STATUS_UNAVAILABLE; /* not even asked */
    struct uuid id = put(f, token, NULL);
    assert_int_equal(service_status(f, &id), STATUS_UNAVAILABLE);
    assert_int_equal(notes_of(f)->handler_runs, 0);
    free(token);
}

static void
a_retry_that_was_answered_before_uses_nothing(void **state)
{
    struct service_fixture *f = *state;
    char *token = token_of(f, (struct wanted){.uses = 2});
    struct uuid id = put(f, token, "k1");
    struct uuid early = put(f, token, "k1");
    assert_word(f, &early, STATUS_CONFLICT, "idempotency_in_progress");
    service_answer(f, service_call(f, "capability_use"), STATUS_OK, "{\"uses_left\":1}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    struct uuid again = put(f, token, "k1");
    assert_int_equal(service_status(f, &again), STATUS_OK);
    assert_int_equal(service_calls_waiting(f), 0);
    assert_int_equal(notes_of(f)->handler_runs, 1);
    free(token);
}

static void
a_bad_body_uses_nothing(void **state)
{
    struct service_fixture *f = *state;
    char *token = token_of(f, (struct wanted){.uses = 2});
    const struct sending sending = {.capability = token};
    struct uuid id = runtime_send(f, &sending, "notes_put", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_VALIDATION);
    assert_int_equal(service_calls_waiting(f), 0);
    free(token);
}

static void
a_request_that_ends_while_it_waits_takes_its_question_along(void **state)
{
    struct service_fixture *f = *state;
    char *token = token_of(f, (struct wanted){.uses = 2});
    struct uuid id = put(f, token, NULL);
    runtime_cancel(f, &id);
    assert_int_equal(f->cancelled_calls, 1);
    assert_int_equal(dispatch_request_count(f->dispatch), 0);

    id = put(f, token, NULL);
    char name[CAPABILITY_ID_MAX + 1];
    id_of(token, name);
    revoke(f, name);
    assert_word(f, &id, STATUS_SCOPE_DENIED, "capability_revoked");
    assert_int_equal(f->cancelled_calls, 2);
    assert_int_equal(notes_of(f)->handler_runs, 0);
    free(token);
}

static void
what_the_handler_names_itself_is_asked_for_once(void **state)
{
    struct service_fixture *f = *state;
    char *token = token_of(f, (struct wanted){.uses = 2, .resource = "notes:agent:kasra/1"});
    const struct sending sending = {.capability = token};
    struct uuid id = runtime_send(f, &sending, "notes_owned", "name", "a", NULL);
    service_run(f);
    struct sent_call *call = service_call(f, "capability_use");
    assert_contains(service_text(&call->json), "\"resource\":\"\"");
    service_answer(f, call, STATUS_OK, "{\"uses_left\":1}");
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(service_calls_waiting(f), 0);
    free(token);
}

/* ---- revocations */

static void
a_running_request_ends_with_its_token(void **state)
{
    struct service_fixture *f = *state;
    char name[CAPABILITY_ID_MAX + 1];
    char *token = token_of(f, (struct wanted){.resource = NULL});
    const struct sending sending = {.capability = token};
    struct uuid id = runtime_send(f, &sending, "notes_await", "name", "a", "how", "http",
                                  "agent_id", "agent:kasra", NULL);
    struct uuid other = runtime_send(f, &sending, "notes_await", "name", "b", "how", "call",
                                     "agent_id", "agent:kasra", NULL);
    service_run(f);
    assert_int_equal(dispatch_request_count(f->dispatch), 2);
    id_of(token, name);
    revoke(f, name);
    assert_word(f, &id, STATUS_SCOPE_DENIED, "capability_revoked");
    assert_word(f, &other, STATUS_SCOPE_DENIED, "capability_revoked");
    assert_int_equal(f->aborted_https, 1);
    assert_int_equal(f->cancelled_calls, 1);
    assert_int_equal(dispatch_request_count(f->dispatch), 0);
    assert_int_equal(notes_of(f)->progress_alive, 0);
    free(token);
}

static void
what_is_being_written_is_told_and_goes_no_further(void **state)
{
    struct service_fixture *f = *state;
    char name[CAPABILITY_ID_MAX + 1];
    char *token = token_of(f, (struct wanted){.resource = NULL});
    const struct sending sending = {.capability = token};
    f->hold_commits = true;
    struct uuid done = runtime_send(f, &sending, "notes_put", "name", "a", "text", "one",
                                    "agent_id", "agent:kasra", NULL);
    struct uuid awaits = runtime_send(f, &sending, "notes_await", "name", "b", "how", "http",
                                      "agent_id", "agent:kasra", NULL);
    service_run(f);
    id_of(token, name);
    revoke(f, name);
    assert_false(service_has_reply(f, &done));
    service_commit(f);
    assert_int_equal(service_status(f, &done), STATUS_OK);
    assert_word(f, &awaits, STATUS_SCOPE_DENIED, "capability_revoked");
    assert_int_equal(f->http_count, 0);
    assert_int_equal(dispatch_request_count(f->dispatch), 0);
    free(token);
}

static void
requests_that_wait_meet_the_revocation(void **state)
{
    struct service_fixture *f = *state;
    char name[CAPABILITY_ID_MAX + 1];
    char *token = token_of(f, (struct wanted){.resource = NULL});
    const struct sending sending = {.capability = token};
    struct uuid id = runtime_send(f, &sending, "notes_put", "name", "a", "text", "one", "agent_id",
                                  "agent:kasra", NULL);
    id_of(token, name);
    revoke(f, name);
    service_run(f);
    assert_word(f, &id, STATUS_SCOPE_DENIED, "capability_revoked");
    assert_int_equal(notes_of(f)->handler_runs, 0);
    free(token);
}

static void
a_word_that_cannot_be_read_closes_the_gate(void **state)
{
    struct service_fixture *f = *state;
    char *token = token_of(f, (struct wanted){.resource = NULL});
    struct uuid id = put(f, token, NULL);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    const struct message control = {.kind = KIND_CONTROL, .type = text_of("capabilities_revoked")};
    dispatch_message(f->dispatch, &control);
    assert_int_equal(f->error_lines, 1);
    id = put(f, token, NULL);
    assert_int_equal(service_status(f, &id), STATUS_UNAVAILABLE);
    free(token);
}

static int
setup(void **state)
{
    int result = runtime_setup_enforced(state);
    struct service_fixture *f = *state;
    crypto_sign_keypair(f->river.bytes, f->river_secret.bytes);
    f->options.capability_keys = &f->river;
    f->options.capability_key_count = 1;
    service_reopen(f);
    return result;
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, runtime_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_counted_use_waits_for_identity),
        TEST(a_delegated_token_is_asked_for_until_the_next_revocation),
        TEST(without_identity_nothing_is_done),
        TEST(a_retry_that_was_answered_before_uses_nothing),
        TEST(a_bad_body_uses_nothing),
        TEST(a_request_that_ends_while_it_waits_takes_its_question_along),
        TEST(what_the_handler_names_itself_is_asked_for_once),
        TEST(a_running_request_ends_with_its_token),
        TEST(what_is_being_written_is_told_and_goes_no_further),
        TEST(requests_that_wait_meet_the_revocation),
        TEST(a_word_that_cannot_be_read_closes_the_gate),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
