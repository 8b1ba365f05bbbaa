/* SPDX-License-Identifier: Apache-2.0 */
/* What the gate remembers: revocations, rates, and what service:identity has said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sodium.h>

#include "kernel/authorise.h"
#include "kernel/json.h"

#define MINUTE_US (UINT64_C(60) * 1000000)

static const struct operation put = {
    .type = "notes_put", .capability_action = "memory:write", .capability_subject = "agent_id"};

struct fixture {
    struct ed25519_public_key public_key;
    struct ed25519_secret_key secret_key;
    struct authoriser *authoriser;
    struct now now;
};

struct wanted {
    const char *constraints; /* JSON; NULL: none */
    const char *parent_id;
    int64_t uses; /* 0: unlimited */
    const char *subject;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    crypto_sign_keypair(f->public_key.bytes, f->secret_key.bytes);
    f->authoriser = authoriser_new(&f->public_key, 1, true);
    f->now = (struct now){.monotonic_us = 1, .wall_us = UINT64_C(1767272400000000)};
    *state = f;
    return f->authoriser ? 0 : -1;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    authoriser_destroy(&f->authoriser);
    free(f);
    return 0;
}

static char *
make(struct fixture *f, const struct wanted *wanted)
{
    struct buffer token, constraints;
    buffer_init(&token);
    buffer_init(&constraints);
    if (wanted->constraints) {
        struct json_parser *parser = json_parser_new();
        assert_int_equal(json_to_msgpack(parser, text_of(wanted->constraints), &constraints, NULL),
                         STATUS_OK);
        json_parser_destroy(&parser);
    }
    const struct capability_grant grant = {.subject =
                                               wanted->subject ? wanted->subject : "agent:kasra",
                                           .action = "memory:write",
                                           .resource = "notes:**",
                                           .issued_us = f->now.wall_us,
                                           .expires_us = f->now.wall_us + 60 * MINUTE_US,
                                           .constraints = buffer_bytes(&constraints),
                                           .limited = wanted->uses > 0,
                                           .uses = wanted->uses,
                                           .parent_id = wanted->parent_id};
    assert_int_equal(capability_issue(&token, &grant, &f->secret_key, NULL), STATUS_OK);
    char *text = text_copy(buffer_text(&token));
    buffer_clear(&token);
    buffer_clear(&constraints);
    return text;
}

static struct claim
claim_of(const char *token)
{
    return (struct claim){.operation = &put,
                          .source = text_of("user:ana"),
                          .principal = text_of("user:ana"),
                          .capability = text_of(token),
                          .resource = text_of("notes:a"),
                          .subject = text_of("agent:kasra")};
}

static enum status
ask(struct fixture *f, const char *token, const char **word)
{
    static struct error error;
    struct claim claim = claim_of(token);
    error = ERROR_INIT;
    enum status status = authorise(f->authoriser, &claim, f->now, &error);
    if (word)
        *word = error.word;
    return status;
}

static void
revoke(struct fixture *f, const char *id)
{
    const struct revocation one = {text_of(id), f->now.wall_us + 60 * MINUTE_US};
    assert_int_equal(authoriser_revoke(f->authoriser, &one, 1, f->now, NULL), STATUS_OK);
}

static void
a_revoked_token_is_refused_though_it_was_good_before(void **state)
{
    struct fixture *f = *state;
    const char *word;
    char *token = make(f, &(struct wanted){.subject = NULL});
    struct grounds grounds;
    struct claim claim = claim_of(token);
    claim.grounds = &grounds;
    assert_int_equal(authorise(f->authoriser, &claim, f->now, NULL), STATUS_OK);
    assert_true(grounds.by_token);
    assert_false(authoriser_is_revoked(f->authoriser, &grounds, f->now));

    revoke(f, grounds.id);
    assert_true(authoriser_is_revoked(f->authoriser, &grounds, f->now));
    assert_int_equal(ask(f, token, &word), STATUS_SCOPE_DENIED);
    assert_string_equal(word, "capability_revoked");
    free(token);
}

static void
what_is_delegated_falls_with_its_parent(void **state)
{
    struct fixture *f = *state;
    const char *word;
    struct uuid request = {{1}};
    char *token = make(f, &(struct wanted){.parent_id = "cap_parent"});
    assert_int_equal(ask(f, token, NULL), STATUS_PENDING);
    assert_int_equal(
        authoriser_confirm(f->authoriser, text_of(token), true, &request, f->now, NULL), STATUS_OK);
    assert_int_equal(ask(f, token, NULL), STATUS_OK);
    revoke(f, "cap_other"); /* may be farther up */
    assert_int_equal(ask(f, token, NULL), STATUS_PENDING);
    revoke(f, "cap_parent");
    assert_int_equal(ask(f, token, &word), STATUS_SCOPE_DENIED);
    assert_string_equal(word, "capability_revoked");
    free(token);
}

static void
a_yes_that_counts_something_farther_up_is_good_once(void **state)
{
    struct fixture *f = *state;
    struct uuid request = {{1}};
    struct grounds grounds;
    char *token = make(f, &(struct wanted){.parent_id = "cap_parent"});
    struct claim claim = claim_of(token);
    claim.is_confirmed = true;
    claim.grounds = &grounds;
    assert_int_equal(
        authoriser_confirm(f->authoriser, text_of(token), false, &request, f->now, NULL),
        STATUS_OK);
    assert_int_equal(authorise(f->authoriser, &claim, f->now, NULL), STATUS_OK);
    assert_true(grounds.is_counted);
    assert_int_equal(ask(f, token, NULL), STATUS_PENDING);
    assert_true(
        authoriser_use_is_free((struct bytes){(const uint8_t *)"\x81\xa9uses_left\xc0", 12}));
    assert_false(
        authoriser_use_is_free((struct bytes){(const uint8_t *)"\x81\xa9uses_left\x03", 12}));
    assert_false(authoriser_use_is_free((struct bytes){(const uint8_t *)"\x80", 1}));
    free(token);
}

static void
each_counted_use_is_asked_for(void **state)
{
    struct fixture *f = *state;
    struct uuid request = {{1}}, fresh = {{2}};
    char *token = make(f, &(struct wanted){.uses = 2});
    struct claim claim = claim_of(token);
    struct uuid name = authoriser_use_name(f->authoriser, "memory", &request, &fresh, f->now);
    struct uuid again = authoriser_use_name(f->authoriser, "memory", &request, &fresh, f->now);
    struct uuid elsewhere = authoriser_use_name(f->authoriser, "engine", &request, &fresh, f->now);
    assert_true(uuid_equal(&name, &again));
    assert_false(uuid_equal(&name, &elsewhere));
    assert_false(uuid_equal(&name, &fresh));

    assert_int_equal(ask(f, token, NULL), STATUS_PENDING);
    assert_int_equal(
        authoriser_confirm(f->authoriser, text_of(token), true, &request, f->now, NULL), STATUS_OK);
    claim.is_confirmed = true;
    assert_int_equal(authorise(f->authoriser, &claim, f->now, NULL), STATUS_OK);
    assert_int_equal(ask(f, token, NULL), STATUS_PENDING); /* the yes was for that one */
    name = authoriser_use_name(f->authoriser, "memory", &request, &fresh, f->now);
    assert_true(uuid_equal(&name, &fresh)); /* sent again after it was done: one more use */
    free(token);
}

static void
a_rate_lets_its_number_through_and_then_one_at_a_time(void **state)
{
    struct fixture *f = *state;
    const char *word;
    char *token = make(f, &(struct wanted){.constraints = "{\"rate_limit\":\"3/minute\"}"});
    char *other = make(f, &(struct wanted){.constraints = "{\"rate_limit\":\"3/minute\"}"});
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(f, token, NULL), STATUS_OK);
    assert_int_equal(ask(f, token, &word), STATUS_RATE_LIMITED);
    assert_string_equal(word, "capability_rate_limited");
    assert_int_equal(ask(f, other, NULL), STATUS_OK);
    f->now.monotonic_us += MINUTE_US / 3 - 1;
    assert_int_equal(ask(f, token, NULL), STATUS_RATE_LIMITED);
    f->now.monotonic_us += 1;
    assert_int_equal(ask(f, token, NULL), STATUS_OK);
    assert_int_equal(ask(f, token, NULL), STATUS_RATE_LIMITED);
    f->now.monotonic_us += 10 * MINUTE_US;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask(f, token, NULL), STATUS_OK);
    assert_int_equal(ask(f, token, NULL), STATUS_RATE_LIMITED);
    free(token);
    free(other);
}

static void
a_token_for_one_agent_acts_for_no_other(void **state)
{
    struct fixture *f = *state;
    const char *word;
    char *good = make(f, &(struct wanted){.constraints = "{\"agent_id\":\"agent:kasra\"}"});
    char *bad = make(f, &(struct wanted){.constraints = "{\"agent_id\":\"agent:ana\"}"});
    assert_int_equal(ask(f, good, NULL), STATUS_OK);
    assert_int_equal(ask(f, bad, &word), STATUS_SCOPE_DENIED);
    assert_string_equal(word, "capability_agent_mismatch");
    free(good);
    free(bad);
}

static void
a_constraint_that_cannot_be_read_makes_the_token_unusable(void **state)
{
    struct fixture *f = *state;
    const char *word;
    char *token = make(f, &(struct wanted){.constraints = "{\"max_results\":\"many\"}"});
    assert_int_equal(ask(f, token, &word), STATUS_INVALID);
    assert_string_equal(word, "invalid_capability_payload");
    free(token);
}

static void
without_the_revocations_no_token_counts(void **state)
{
    struct fixture *f = *state;
    char *token = make(f, &(struct wanted){.subject = NULL});
    authoriser_distrust(f->authoriser);
    assert_int_equal(ask(f, token, NULL), STATUS_UNAVAILABLE);
    free(token);
}

static void
what_identity_says_stands_and_its_silence_is_unavailable(void **state)
{
    (void)state;
    static const struct {
        enum status answer, status;
    } rows[] = {{STATUS_OK, STATUS_OK},
                {STATUS_SCOPE_DENIED, STATUS_SCOPE_DENIED},
                {STATUS_TOKEN_INVALID, STATUS_TOKEN_INVALID},
                {STATUS_TOKEN_EXPIRED, STATUS_TOKEN_EXPIRED},
                {STATUS_RATE_LIMITED, STATUS_RATE_LIMITED},
                {STATUS_INVALID, STATUS_INVALID},
                {STATUS_TIMEOUT, STATUS_UNAVAILABLE},
                {STATUS_UNKNOWN_OUTCOME, STATUS_UNAVAILABLE},
                {STATUS_NOT_FOUND, STATUS_UNAVAILABLE},
                {STATUS_FORBIDDEN, STATUS_UNAVAILABLE},
                {STATUS_STORE_FAILED, STATUS_UNAVAILABLE},
                {STATUS_BUSY, STATUS_UNAVAILABLE},
                {STATUS_PENDING, STATUS_UNAVAILABLE}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = ERROR_INIT;
        assert_int_equal(authoriser_use_status(rows[i].answer, &error), rows[i].status);
    }
}

/* More tokens than there are places: those in use stay, and nothing is forgotten wrongly. */
static void
a_token_in_use_stays_known_among_many(void **state)
{
    struct fixture *f = *state;
    char *token = make(f, &(struct wanted){.subject = NULL});
    for (int i = 0; i < 2000; i++) {
        char *one = make(f, &(struct wanted){.subject = NULL});
        assert_int_equal(ask(f, one, NULL), STATUS_OK);
        free(one);
        assert_int_equal(ask(f, token, NULL), STATUS_OK);
        assert_true(authoriser_knows(f->authoriser, text_of(token)));
    }
    free(token);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_revoked_token_is_refused_though_it_was_good_before),
        TEST(what_is_delegated_falls_with_its_parent),
        TEST(a_yes_that_counts_something_farther_up_is_good_once),
        TEST(each_counted_use_is_asked_for),
        TEST(a_rate_lets_its_number_through_and_then_one_at_a_time),
        TEST(a_token_for_one_agent_acts_for_no_other),
        TEST(a_constraint_that_cannot_be_read_makes_the_token_unusable),
        TEST(without_the_revocations_no_token_counts),
        TEST(what_identity_says_stands_and_its_silence_is_unavailable),
        TEST(a_token_in_use_stays_known_among_many),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
