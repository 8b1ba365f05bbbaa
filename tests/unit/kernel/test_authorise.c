/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sodium.h>

#include "kernel/authorise.h"

#define HOUR_US (UINT64_C(3600) * 1000000)

static const struct now start = {.monotonic_us = 1, .wall_us = UINT64_C(1767272400000000)};

/* Those of a service of notes: notes:<agent>/<name>. */
static const struct operation put = {
    .type = "notes_put", .capability_action = "memory:write", .capability_subject = "agent_id"};
static const struct operation purge = {.type = "notes_purge",
                                       .flags = OPERATION_DANGEROUS,
                                       .capability_action = "memory:write",
                                       .capability_subject = "agent_id"};
static const struct operation owned = {.type = "notes_owned",
                                       .flags = OPERATION_RESOLVES_RESOURCE,
                                       .capability_action = "memory:write"};
static const struct operation mine = {.type = "notes_mine",
                                      .flags = OPERATION_OWN,
                                      .capability_action = "memory:write",
                                      .capability_subject = "agent_id"};
static const struct operation free_for_all = {.type = "notes_free",
                                              .capability_subject = "agent_id"};
static const struct operation forbidden = {.type = "notes_forbidden", .flags = OPERATION_DANGEROUS};

/* What a token is like, who sends it, and what must come of it. */
struct row {
    const char *what;
    bool enforced;
    const struct operation *operation;
    const char *source, *principal; /* NULL: user:ana, nobody else */
    const char *agent_id;           /* "" : none */
    enum { NO_TOKEN, GOOD, FOREIGN, EXPIRED, GARBAGE, PARENT, COUNTED } token;
    const char *subject, *action,
        *resource;     /* of the token; NULL: agent:kasra, memory:write, notes:** */
    const char *asked; /* resource; NULL: notes:agent:kasra/a; of owned ones: notes:agent:kasra/1 */
    bool is_pattern;   /* that is one */
    enum status status;
    const char *word;
};

static const struct row rows[] = {
    {"open without enforcement", false, &put, .agent_id = "agent:kasra", .status = STATUS_OK},
    {"none where one is needed", true, &put, .agent_id = "agent:kasra",
     .status = STATUS_CAPABILITY_MISSING},
    {"a good one", true, &put, .agent_id = "agent:kasra", .token = GOOD, .status = STATUS_OK},
    {"not needed but wrong", false, &put, .agent_id = "agent:kasra", .token = FOREIGN,
     .status = STATUS_TOKEN_INVALID},
    {"signed by another key", true, &put, .agent_id = "agent:kasra", .token = FOREIGN,
     .status = STATUS_TOKEN_INVALID},
    {"expired", true, &put, .agent_id = "agent:kasra", .token = EXPIRED,
     .status = STATUS_TOKEN_EXPIRED},
    {"unreadable", true, &put, .agent_id = "agent:kasra", .token = GARBAGE,
     .status = STATUS_INVALID, .word = "invalid_capability_payload"},
    {"delegated", true, &put, .agent_id = "agent:kasra", .token = PARENT, .status = STATUS_PENDING},
    {"with counted uses", true, &put, .agent_id = "agent:kasra", .token = COUNTED,
     .status = STATUS_PENDING},
    {"for another action", true, &put, .agent_id = "agent:kasra", .token = GOOD,
     .action = "memory:read", .status = STATUS_SCOPE_DENIED},
    {"for another resource", true, &put, .agent_id = "agent:kasra", .token = GOOD,
     .resource = "notes:agent:kasra/b", .status = STATUS_SCOPE_DENIED},
    {"for this very resource", true, &put, .agent_id = "agent:kasra", .token = GOOD,
     .resource = "notes:agent:kasra/a", .status = STATUS_OK},
    {"for another subject", true, &put, .agent_id = "agent:kasra", .token = GOOD,
     .subject = "agent:eve", .status = STATUS_SCOPE_DENIED, .word = "capability_subject_mismatch"},
    {"dangerous without enforcement", false, &purge, .agent_id = "agent:kasra",
     .status = STATUS_CAPABILITY_MISSING},
    {"dangerous with a good one", false, &purge, .agent_id = "agent:kasra", .token = GOOD,
     .status = STATUS_OK},
    {"an agent for itself", false, &put, .source = "agent:kasra", .agent_id = "agent:kasra",
     .status = STATUS_OK},
    {"an agent for another", false, &put, .source = "agent:eve", .agent_id = "agent:kasra",
     .status = STATUS_FORBIDDEN, .word = "capability_subject_mismatch"},
    {"an agent for another, with the other's token", true, &put, .source = "agent:eve",
     .agent_id = "agent:kasra", .token = GOOD, .status = STATUS_FORBIDDEN,
     .word = "capability_subject_mismatch"},
    {"an agent through a service for another", false, &put, .source = "service:engine",
     .principal = "agent:eve", .agent_id = "agent:kasra", .status = STATUS_FORBIDDEN,
     .word = "capability_subject_mismatch"},
    {"an agent for nobody named", false, &put, .source = "agent:eve", .agent_id = "",
     .status = STATUS_OK},
    {"a token passed on by a service", false, &put, .source = "service:engine",
     .agent_id = "agent:kasra", .token = GOOD, .action = "memory:read", .status = STATUS_OK},
    {"a token passed on where one is needed", true, &put, .source = "service:engine",
     .agent_id = "agent:kasra", .token = GOOD, .action = "memory:read",
     .status = STATUS_SCOPE_DENIED},
    {"a token that the gateway hands over", false, &put, .source = "service:gateway",
     .agent_id = "agent:kasra", .token = GOOD, .action = "memory:read",
     .status = STATUS_SCOPE_DENIED},
    {"a resource that the handler names", true, &owned, .agent_id = "", .token = GOOD,
     .resource = "notes:agent:kasra/1", .status = STATUS_OK},
    {"another resource than the handler names", true, &owned, .agent_id = "", .token = GOOD,
     .resource = "notes:agent:kasra/2", .status = STATUS_SCOPE_DENIED},
    {"another action before the handler", true, &owned, .agent_id = "", .token = GOOD,
     .action = "memory:read", .status = STATUS_SCOPE_DENIED},
    {"none before the handler", true, &owned, .agent_id = "", .status = STATUS_CAPABILITY_MISSING},
    {"expired before the handler", true, &owned, .agent_id = "", .token = EXPIRED,
     .status = STATUS_TOKEN_EXPIRED},
    {"an agent on another's thing", false, &owned, .source = "agent:eve", .agent_id = "",
     .status = STATUS_FORBIDDEN, .word = "capability_subject_mismatch"},
    {"an own thing without a token", true, &mine, .source = "agent:kasra",
     .agent_id = "agent:kasra", .status = STATUS_OK},
    {"an own thing of somebody else", true, &mine, .source = "agent:eve", .agent_id = "agent:kasra",
     .status = STATUS_CAPABILITY_MISSING},
    {"an own thing through a service", true, &mine, .source = "service:gateway",
     .principal = "agent:kasra", .agent_id = "agent:kasra", .status = STATUS_CAPABILITY_MISSING},
    {"an own thing for a principal", true, &mine, .source = "agent:kasra", .principal = "agent:eve",
     .agent_id = "agent:kasra", .status = STATUS_CAPABILITY_MISSING},
    {"an own thing with the owner's token", true, &mine, .source = "service:gateway",
     .principal = "user:ana", .agent_id = "agent:kasra", .token = GOOD, .status = STATUS_OK},
    {"an own thing with a wrong token", true, &mine, .source = "agent:kasra",
     .agent_id = "agent:kasra", .token = FOREIGN, .status = STATUS_TOKEN_INVALID},
    {"a user's own thing", true, &mine, .source = "user:ana", .agent_id = "user:ana",
     .status = STATUS_OK},
    {"nobody's own thing", true, &mine, .source = "agent:kasra", .agent_id = "",
     .status = STATUS_CAPABILITY_MISSING},
    {"not its own, though about itself", true, &put, .source = "agent:kasra",
     .agent_id = "agent:kasra", .status = STATUS_CAPABILITY_MISSING},
    {"a pattern that is covered", true, &put, .agent_id = "agent:kasra", .token = GOOD,
     .resource = "notes:agent:kasra/*", .asked = "notes:agent:kasra/a*", .is_pattern = true,
     .status = STATUS_OK},
    {"a pattern that is not covered as a whole", true, &put, .agent_id = "agent:kasra",
     .token = GOOD, .resource = "notes:agent:kasra/?", .asked = "notes:agent:kasra/*",
     .is_pattern = true, .status = STATUS_SCOPE_DENIED},
    {"what names no capability", true, &free_for_all, .agent_id = "agent:kasra",
     .status = STATUS_OK},
    {"what names no capability, for another", true, &free_for_all, .source = "agent:eve",
     .agent_id = "agent:kasra", .status = STATUS_FORBIDDEN, .word = "capability_subject_mismatch"},
    {"what is dangerous and names no capability", true, &forbidden, .agent_id = "agent:kasra",
     .token = GOOD, .status = STATUS_FORBIDDEN},
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
make_token(const struct row *row, const struct ed25519_secret_key *key)
{
    struct buffer token;
    buffer_init(&token);
    if (row->token == GARBAGE) {
        buffer_append_string(&token, "{\"id\":5}");
    } else if (row->token == PARENT || row->token == COUNTED) {
        sign_special(&token, row, key);
    } else if (row->token != NO_TOKEN) {
        const struct capability_grant grant = {
            .subject = row->subject ? row->subject : "agent:kasra",
            .action = row->action ? row->action : "memory:write",
            .resource = row->resource ? row->resource : "notes:**",
            .issued_us = start.wall_us - 2 * HOUR_US,
            .expires_us = start.wall_us + (row->token == EXPIRED ? -HOUR_US : HOUR_US)};
        assert_int_equal(capability_issue(&token, &grant, key, NULL), STATUS_OK);
    }
    char *text = text_copy(buffer_text(&token));
    buffer_clear(&token);
    return text;
}

/* As a service asks: what its handler names is checked early without it, then with it. */
static enum status
ask(struct authoriser *authoriser, const struct row *row, const char *token, struct error *error)
{
    bool resolves = (row->operation->flags & OPERATION_RESOLVES_RESOURCE) != 0;
    const char *source = row->source ? row->source : "user:ana";
    const char *fallback = resolves ? "notes:agent:kasra/1" : "notes:agent:kasra/a";
    struct claim claim = {.operation = row->operation,
                          .source = text_of(source),
                          .principal = text_of(row->principal ? row->principal : source),
                          .capability = text_of(token),
                          .resource = text_of(row->asked ? row->asked : fallback),
                          .subject = text_of(resolves ? "agent:kasra" : row->agent_id),
                          .is_pattern = row->is_pattern};
    *error = ERROR_INIT;
    if (resolves) {
        struct claim early = claim;
        early.resource = (struct text){NULL, 0};
        early.subject = (struct text){NULL, 0};
        enum status status = authorise_early(authoriser, &early, start, error);
        if (status != STATUS_OK)
            return status;
    }
    return authorise(authoriser, &claim, start, error);
}

static void
every_row_of_the_table_holds_twice(void **state)
{
    (void)state;
    struct ed25519_public_key public_key, foreign_public;
    struct ed25519_secret_key secret_key, foreign;
    assert_int_equal(crypto_sign_keypair(public_key.bytes, secret_key.bytes), 0);
    assert_int_equal(crypto_sign_keypair(foreign_public.bytes, foreign.bytes), 0);

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct row *row = &rows[i];
        struct authoriser *authoriser = authoriser_new(&public_key, 1, row->enforced);
        assert_non_null(authoriser);
        char *token = make_token(row, key_of(row, &secret_key, &foreign));
        for (int turn = 0; turn < 2; turn++) { /* the second meets a remembered signature */
            struct error error;
            enum status status = ask(authoriser, row, token, &error);
            if (status != row->status)
                fail_msg("%s: %s, expected %s", row->what, status_word(status),
                         status_word(row->status));
            if (row->word)
                assert_string_equal(error.word, row->word);
        }
        free(token);
        authoriser_destroy(&authoriser);
    }
}

static void
a_remembered_signature_expires_with_its_token(void **state)
{
    (void)state;
    struct ed25519_public_key public_key;
    struct ed25519_secret_key secret_key;
    assert_int_equal(crypto_sign_keypair(public_key.bytes, secret_key.bytes), 0);
    struct authoriser *authoriser = authoriser_new(&public_key, 1, true);
    char *token = make_token(&(struct row){.token = GOOD}, &secret_key);
    struct claim claim = {.operation = &put,
                          .source = text_of("user:ana"),
                          .principal = text_of("user:ana"),
                          .capability = text_of(token),
                          .resource = text_of("notes:agent:kasra/a"),
                          .subject = text_of("agent:kasra")};
    struct error error = ERROR_INIT;
    struct now now = start;

    now.wall_us += HOUR_US - 1;
    assert_int_equal(authorise(authoriser, &claim, now, &error), STATUS_OK);
    now.wall_us += 1;
    assert_int_equal(authorise(authoriser, &claim, now, &error), STATUS_TOKEN_EXPIRED);
    free(token);
    authoriser_destroy(&authoriser);
}

/* Every place of the table is taken by a good token: none of them may vouch for a bad one. */
static void
remembered_signatures_vouch_for_no_other_token(void **state)
{
    (void)state;
    struct ed25519_public_key public_key, foreign_public;
    struct ed25519_secret_key secret_key, foreign;
    const struct row good = {
        .enforced = true, .operation = &put, .agent_id = "agent:kasra", .token = GOOD};
    struct error error;
    assert_int_equal(crypto_sign_keypair(public_key.bytes, secret_key.bytes), 0);
    assert_int_equal(crypto_sign_keypair(foreign_public.bytes, foreign.bytes), 0);
    struct authoriser *authoriser = authoriser_new(&public_key, 1, true);
    for (int i = 0; i < 1000; i++) {
        char *token = make_token(&good, &secret_key);
        assert_int_equal(ask(authoriser, &good, token, &error), STATUS_OK);
        free(token);
    }
    char *bad = make_token(&good, &foreign);
    assert_int_equal(ask(authoriser, &good, bad, &error), STATUS_TOKEN_INVALID);
    free(bad);
    authoriser_destroy(&authoriser);
}

static void
only_tokens_that_were_found_good_are_known(void **state)
{
    (void)state;
    struct ed25519_public_key public_key, foreign_public;
    struct ed25519_secret_key secret_key, foreign;
    const struct row good = {
        .enforced = true, .operation = &put, .agent_id = "agent:kasra", .token = GOOD};
    struct error error;
    assert_int_equal(crypto_sign_keypair(public_key.bytes, secret_key.bytes), 0);
    assert_int_equal(crypto_sign_keypair(foreign_public.bytes, foreign.bytes), 0);
    struct authoriser *authoriser = authoriser_new(&public_key, 1, true);
    char *token = make_token(&good, &secret_key), *bad = make_token(&good, &foreign);

    assert_false(authoriser_knows(authoriser, text_of(token)));
    ask(authoriser, &good, token, &error);
    ask(authoriser, &good, bad, &error);

    assert_true(authoriser_knows(authoriser, text_of(token)));
    assert_false(authoriser_knows(authoriser, text_of(bad)));
    assert_false(authoriser_knows(authoriser, text_of("")));
    free(token);
    free(bad);
    authoriser_destroy(&authoriser);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_of_the_table_holds_twice),
        cmocka_unit_test(a_remembered_signature_expires_with_its_token),
        cmocka_unit_test(remembered_signatures_vouch_for_no_other_token),
        cmocka_unit_test(only_tokens_that_were_found_good_are_known),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
