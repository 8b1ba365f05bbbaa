/* SPDX-License-Identifier: Apache-2.0 */
/* The gate stands before every handler: what it lets pass is tests/unit/kernel/test_authorise.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sodium.h>

#include "fixture.h"

static char *
make_token(struct service_fixture *f, struct ed25519_public_key *public_key, const char *resource)
{
    struct ed25519_secret_key secret_key;
    struct buffer token;
    buffer_init(&token);
    assert_int_equal(crypto_sign_keypair(public_key->bytes, secret_key.bytes), 0);
    const struct capability_grant grant = {.subject = "agent:kasra",
                                           .action = "memory:write",
                                           .resource = resource,
                                           .issued_us = f->now.wall_us,
                                           .expires_us = f->now.wall_us + 1000000};
    assert_int_equal(capability_issue(&token, &grant, &secret_key, NULL), STATUS_OK);
    f->options.capability_keys = public_key;
    f->options.capability_key_count = 1;
    service_reopen(f);
    char *text = text_copy(buffer_text(&token));
    buffer_clear(&token);
    return text;
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
    assert_int_equal(notes_of(f)->handler_runs, 0);
}

static void
a_token_that_covers_the_call_lets_it_through(void **state)
{
    struct service_fixture *f = *state;
    struct ed25519_public_key key;
    char *token = make_token(f, &key, "notes:agent:kasra/a");
    const struct sending sending = {.capability = token};
    struct uuid id =
        runtime_send(f, &sending, "notes_put", "name", "a", "agent_id", "agent:kasra", NULL);
    struct uuid other =
        runtime_send(f, &sending, "notes_put", "name", "b", "agent_id", "agent:kasra", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_OK);
    assert_int_equal(service_status(f, &other), STATUS_SCOPE_DENIED);
    free(token);
}

static void
what_a_handler_names_itself_is_checked_when_it_does(void **state)
{
    struct service_fixture *f = *state;
    static const struct {
        const char *resource;
        enum status status;
    } rows[] = {{"notes:agent:kasra/1", STATUS_OK}, {"notes:agent:kasra/2", STATUS_SCOPE_DENIED}};
    for (size_t i = 0; i < 2; i++) {
        struct ed25519_public_key key;
        char *token = make_token(f, &key, rows[i].resource);
        const struct sending sending = {.capability = token};
        struct uuid id = runtime_send(f, &sending, "notes_owned", "name", "a", NULL);
        service_run(f);
        assert_int_equal(service_status(f, &id), rows[i].status);
        free(token);
    }
    struct uuid id = runtime_send(f, NULL, "notes_owned", "name", "a", NULL);
    service_run(f);
    assert_int_equal(service_status(f, &id), STATUS_CAPABILITY_MISSING);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, runtime_setup_enforced, runtime_teardown)
    const struct CMUnitTest tests[] = {
        TEST(validation_comes_before_rights),
        TEST(a_token_that_covers_the_call_lets_it_through),
        TEST(what_a_handler_names_itself_is_checked_when_it_does),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
