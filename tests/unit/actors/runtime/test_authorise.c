/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sodium.h>

#include "fixture.h"

/* What a token is like, who sends it, and what must come of it. */
struct row {
    const char *what;
    bool enforced;
    const char *operation;
    const char *source, *principal; /* NULL: user:ana, nobody else */
    const char *agent_id;           /* "" : none */
    enum { NO_TOKEN, GOOD, FOREIGN, EXPIRED, GARBAGE, PARENT, COUNTED } token;
    const char *subject, *action,
        *resource; /* of the token; NULL: agent:kasra, memory:write, notes:** */
    enum status status;
    const char *word;
};

static const struct row rows[] = {
    {"open without enforcement", false, "notes_put", .agent_id = "agent:kasra",
     .status = STATUS_OK},
    {"none where one is needed", true, "notes_put", .agent_id = "agent:kasra",
     .status = STATUS_CAPABILITY_MISSING},
    {"a good one", true, "notes_put", .agent_id = "agent:kasra", .token = GOOD,
     .status = STATUS_OK},
    {"not needed but wrong", false, "notes_put", .agent_id = "agent:kasra", .token = FOREIGN,
     .status = STATUS_TOKEN_INVALID},
    {"signed by another key", true, "notes_put", .agent_id = "agent:kasra", .token = FOREIGN,
     .status = STATUS_TOKEN_INVALID},
    {"expired", true, "notes_put", .agent_id = "agent:kasra", .token = EXPIRED,
     .status = STATUS_TOKEN_EXPIRED},
    {"unreadable", true, "notes_put", .agent_id = "agent:kasra", .token = GARBAGE,
     .status = STATUS_INVALID, .word = "invalid_capability_payload"},
    {"delegated", true, "notes_put", .agent_id = "agent:kasra", .token = PARENT,
     .status = STATUS_TOKEN_INVALID, .word = "capability_parent_unknown"},
    {"with counted uses", true, "notes_put", .agent_id = "agent:kasra", .token = COUNTED,
     .status = STATUS_SCOPE_DENIED, .word = "capability_uses_untracked"},
    {"for another action", true, "notes_put", .agent_id = "agent:kasra", .token = GOOD,
     .action = "memory:read", .status = STATUS_SCOPE_DENIED},
    {"for another resource", true, "notes_put", .agent_id = "agent:kasra", .token = GOOD,
     .resource = "notes:agent:kasra/b", .status = STATUS_SCOPE_DENIED},
    {"for this very resource", true, "notes_put", .agent_id = "agent:kasra", .token = GOOD,
     .resource = "notes:agent:kasra/a", .status = STATUS_OK},
    {"for another subject", true, "notes_put", .agent_id = "agent:kasra", .token = GOOD,
     .subject = "agent:eve", .status = STATUS_SCOPE_DENIED, .word = "capability_subject_mismatch"},
    {"dangerous without enforcement", false, "notes_purge", .agent_id = "agent:kasra",
     .status = STATUS_CAPABILITY_MISSING},
    {"dangerous with a good one", false, "notes_purge", .agent_id = "agent:kasra", .token = GOOD,
     .status = STATUS_OK},
    {"an agent for itself", false, "notes_put", .source = "agent:kasra", .agent_id = "agent:kasra",
     .status = STATUS_OK},
    {"an agent for another", false, "notes_put", .source = "agent:eve", .agent_id = "agent:kasra",
     .status = STATUS_FORBIDDEN, .word = "capability_subject_mismatch"},
    {"an agent for another, with the other's token", true, "notes_put", .source = "agent:eve",
     .agent_id = "agent:kasra", .token = GOOD, .status = STATUS_FORBIDDEN,
     .word = "capability_subject_mismatch"},
    {"an agent through a service for another", false, "notes_put", .source = "service:engine",
     .principal = "agent:eve", .agent_id = "agent:kasra", .status = STATUS_FORBIDDEN,
     .word = "capability_subject_mismatch"},
    {"an agent for nobody named", false, "notes_put", .source = "agent:eve", .agent_id = "",
     .status = STATUS_OK},
    {"a token passed on by a service", false, "notes_put", .source = "service:engine",
     .agent_id = "agent:kasra", .token = GOOD, .action = "memory:read", .status = STATUS_OK},
    {"a token passed on where one is needed", true, "notes_put", .source = "service:engine",
     .agent_id = "agent:kasra", .token = GOOD, .action = "memory:read",
     .status = STATUS_SCOPE_DENIED},
    {"a token that the gateway hands over", false, "notes_put", .source = "service:gateway",
     .agent_id = "agent:kasra", .token = GOOD, .action = "memory:read",
     .status = STATUS_SCOPE_DENIED},
    {"a resource that the handler names", true, "notes_owned", .agent_id = "", .token = GOOD,
     .resource = "notes:agent:kasra/1", .status = STATUS_OK},
    {"another resource than the handler names", true, "notes_owned", .agent_id = "", .token = GOOD,
     .resource = "notes:agent:kasra/2", .status = STATUS_SCOPE_DENIED},
    {"another action before the handler", true, "notes_owned", .agent_id = "", .token = GOOD,
     .action = "memory:read", .status = STATUS_SCOPE_DENIED},
    {"none before the handler", true, "notes_owned", .agent_id = "",
     .status = STATUS_CAPABILITY_MISSING},
    {"expired before the handler", true, "notes_owned", .agent_id = "", .token = EXPIRED,
     .status = STATUS_TOKEN_EXPIRED},
    {"an agent on another's thing", false, "notes_owned", .source = "agent:eve", .agent_id = "",
     .status = STATUS_FORBIDDEN, .word = "capability_subject_mismatch"},
};

static const struct ed25519_secret_key *
key_of(const struct row *row, const struct ed25519_secret_key *own,
       const struct ed25519_secret_key *foreign)
{
    return row->token == FOREIGN ? foreign : own;
}

/* Signs a token with the members that capability_issue() never sets. */
static void
sign_special(struct buffer *token, const struct row *row, const struct ed25519_secret_key *key)
{
    struct buffer json, hex;
    buffer_init(&json);
    buffer_init(&hex);
    buffer_append_format(
        &json,
        "{\"action\": \"memory:write\", \"constraints\": {}, \"expires_at\": "
        "\"2026-01-02T00:00:00Z\", \"id\": \"cap_0123456789ab\", \"issued_at\": "
        "\"2026-01-01T00:00:00Z\", \"issuer\": \"river\", \"parent_id\": %s, \"resource\": "
        "\"notes:**\", \"subject\": \"agent:kasra\", \"uses_remaining\": %s}",
        row->token == PARENT ? "\"cap_ba9876543210\"" : "null",
        row->token == COUNTED ? "3" : "null");
    uint8_t signature[crypto_sign_BYTES];
    crypto_sign_detached(signature, NULL, json.data, json.size, key->bytes);
    for (size_t i = 0; i < sizeof signature; i++)
        buffer_append_format(&hex, "%02x", signature[i]);
    buffer_append(token, json.data, json.size - 1);
    buffer_append_format(token, ", \"signature\": \"ed25519:%.*s\"}", TEXT_ARGS(buffer_text(&hex)));
    buffer_clear(&json);
    buffer_clear(&hex);
}

static char *
make_token(const struct service_fixture *f, const struct row *row,
           const struct ed25519_secret_key *key)
{
    struct buffer token;
    buffer_init(&token);
    uint64_t hour_us = UINT64_C(3600) * 1000000;
    if (row->token == GARBAGE) {
        buffer_append_string(&token, "{\"id\":5}");
    } else if (row->token == PARENT || row->token == COUNTED) {
        sign_special(&token, row, key);
    } else if (row->token != NO_TOKEN) {
        const struct capability_grant grant = {
            .subject = row->subject ? row->subject : "agent:kasra",
            .action = row->action ? row->action : "memory:write",
            .resource = row->resource ? row->resource : "notes:**",
            .issued_us = f->now.wall_us - 2 * hour_us,
            .expires_us = f->now.wall_us + (row->token == EXPIRED ? -hour_us : hour_us)};
        assert_int_equal(capability_issue(&token, &grant, key, NULL), STATUS_OK);
    }
    char *text = text_copy(buffer_text(&token));
    buffer_clear(&token);
    return text;
}

static void
every_row_of_the_table_holds_twice(void **state)
{
    struct service_fixture *f = *state;
    struct ed25519_public_key public_key, foreign_public;
    struct ed25519_secret_key secret_key, foreign;
    assert_int_equal(crypto_sign_keypair(public_key.bytes, secret_key.bytes), 0);
    assert_int_equal(crypto_sign_keypair(foreign_public.bytes, foreign.bytes), 0);
    f->options.capability_keys = &public_key;
    f->options.capability_key_count = 1;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        f->options.require_capabilities = row->enforced;
        service_reopen(f);
        char *token = make_token(f, row, key_of(row, &secret_key, &foreign));
        const struct sending sending = {
            .source = row->source, .principal = row->principal, .capability = token};
        for (int turn = 0; turn < 2; turn++) { /* the second meets a remembered signature */
            struct uuid id = row->agent_id[0]
                                 ? runtime_send(f, &sending, row->operation, "name", "a",
                                                "agent_id", row->agent_id, NULL)
                                 : runtime_send(f, &sending, row->operation, "name", "a", NULL);
            service_run(f);
            char word[64];
            if (service_status(f, &id) != row->status)
                fail_msg("%s: %s, expected %s", row->what, status_word(service_status(f, &id)),
                         status_word(row->status));
            if (row->word)
                assert_string_equal(runtime_word_of(f, &id, word), row->word);
        }
        free(token);
    }
}

static void
a_remembered_signature_expires_with_its_token(void **state)
{
    struct service_fixture *f = *state;
    struct ed25519_public_key public_key;
    struct ed25519_secret_key secret_key;
    assert_int_equal(crypto_sign_keypair(public_key.bytes, secret_key.bytes), 0);
    f->options.capability_keys = &public_key;
    f->options.capability_key_count = 1;
    f->options.require_capabilities = true;
    service_reopen(f);
    char *token = make_token(f, &(struct row){.token = GOOD}, &secret_key);
    const struct sending sending = {.capability = token};
    struct uuid id = runtime_send(f, &sending, "notes_put", "name", "a", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);

    service_pass(f, UINT64_C(3600) * 1000);

    id = runtime_send(f, &sending, "notes_put", "name", "a", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_TOKEN_EXPIRED);
    free(token);
}

/* Every place of the table is taken by a good token: none of them may vouch for a bad one. */
static void
remembered_signatures_vouch_for_no_other_token(void **state)
{
    struct service_fixture *f = *state;
    struct ed25519_public_key public_key, foreign_public;
    struct ed25519_secret_key secret_key, foreign;
    const struct row good = {.token = GOOD};
    assert_int_equal(crypto_sign_keypair(public_key.bytes, secret_key.bytes), 0);
    assert_int_equal(crypto_sign_keypair(foreign_public.bytes, foreign.bytes), 0);
    f->options.capability_keys = &public_key;
    f->options.capability_key_count = 1;
    f->options.require_capabilities = true;
    service_reopen(f);
    struct uuid id;
    for (int i = 0; i < 1000; i++) {
        char *token = make_token(f, &good, &secret_key);
        const struct sending sending = {.capability = token};
        id = runtime_send(f, &sending, "notes_get", "name", "a", NULL);
        free(token);
    }
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_NOT_FOUND);

    char *bad = make_token(f, &good, &foreign);
    const struct sending sending = {.capability = bad};
    id = runtime_send(f, &sending, "notes_get", "name", "a", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_TOKEN_INVALID);
    free(bad);
}

static void
validation_comes_before_rights(void **state)
{
    struct service_fixture *f = *state;
    struct uuid id = runtime_send(f, NULL, "notes_put", NULL);
    struct uuid next = runtime_send(f, NULL, "notes_put", "name", "a", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_VALIDATION);
    assert_int_equal(service_status(f, &next), STATUS_CAPABILITY_MISSING);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_row_of_the_table_holds_twice, runtime_setup,
                                        runtime_teardown),
        cmocka_unit_test_setup_teardown(a_remembered_signature_expires_with_its_token,
                                        runtime_setup, runtime_teardown),
        cmocka_unit_test_setup_teardown(remembered_signatures_vouch_for_no_other_token,
                                        runtime_setup, runtime_teardown),
        cmocka_unit_test_setup_teardown(validation_comes_before_rights, runtime_setup_enforced,
                                        runtime_teardown),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
