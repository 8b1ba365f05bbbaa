/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sodium.h>

#include "fixture_vectors.h"
#include "kernel/capability.h"
#include "kernel/clock.h"

struct fixture {
    json_t *vectors;
    struct ed25519_public_key key;
    uint64_t now_us;
};

static int
load(void **state)
{
    static struct fixture fixture;
    fixture.vectors = vectors_load("capabilities.json");
    const char *hex = json_string_value(json_object_get(fixture.vectors, "public_key"));
    const char *now = json_string_value(json_object_get(fixture.vectors, "now"));
    if (sodium_init() < 0 ||
        sodium_hex2bin(fixture.key.bytes, sizeof fixture.key.bytes, hex, strlen(hex), NULL, NULL,
                       NULL) != 0 ||
        !timestamp_parse(text_of(now), &fixture.now_us))
        return -1;
    *state = &fixture;
    return 0;
}

static int
drop(void **state)
{
    struct fixture *f = *state;
    json_decref(f->vectors);
    return 0;
}

static struct text
text_member(json_t *vector, const char *name)
{
    json_t *member = json_object_get(vector, name);
    return (struct text){json_string_value(member), json_string_length(member)};
}

/* The word that the whole check of a vector's token ends in; "ok" when it passes. */
static void
judge(const struct fixture *f, json_t *vector, char word[static 64])
{
    struct error error = ERROR_INIT;
    struct capability *capability = NULL;
    enum status status = capability_parse(&capability, text_member(vector, "token"), &error);
    if (status == STATUS_OK) {
        struct capability_request request = {.action = text_member(vector, "action"),
                                             .resource = text_member(vector, "resource"),
                                             .subject = text_member(vector, "subject")};
        status = capability_check(capability, &f->key, 1, &request, f->now_us, &error);
    } else {
        assert_null(capability);
    }
    strcpy(word, error.word[0] != '\0' ? error.word : status_word(status));
    assert_true(status == STATUS_OK || error.message[0] != '\0');
    capability_destroy(&capability);
}

static void
every_token_made_by_python_is_judged_as_expected(void **state)
{
    struct fixture *f = *state;
    json_t *vector;
    size_t i;
    json_array_foreach(json_object_get(f->vectors, "tokens"), i, vector)
    {
        char word[64];
        judge(f, vector, word);
        const char *expected = json_string_value(json_object_get(vector, "status"));
        if (strcmp(word, expected) != 0)
            fail_msg("token \"%s\": %s, expected %s",
                     json_string_value(json_object_get(vector, "name")), word, expected);
    }
    assert_true(i > 70);
}

static void
the_signed_bytes_are_those_that_python_signs(void **state)
{
    struct fixture *f = *state;
    json_t *vector;
    size_t i, compared = 0;
    json_array_foreach(json_object_get(f->vectors, "tokens"), i, vector)
    {
        struct capability *capability = NULL;
        struct text expected = text_member(vector, "signed");
        if (!expected.data)
            continue;
        struct buffer out = {0};
        assert_int_equal(capability_parse(&capability, text_member(vector, "token"), NULL),
                         STATUS_OK);
        assert_int_equal(capability_signed_bytes(capability, &out), STATUS_OK);
        if (!text_equal(buffer_text(&out), expected))
            fail_msg("token \"%s\": %.*s", json_string_value(json_object_get(vector, "name")),
                     TEXT_ARGS(buffer_text(&out)));
        buffer_clear(&out);
        capability_destroy(&capability);
        compared++;
    }
    assert_true(compared > 30);
}

static struct capability *
issue(const struct ed25519_secret_key *secret, struct buffer *token)
{
    const struct capability_grant grant = {.subject = "agent:\xc3\xa9",
                                           .action = "memory:read",
                                           .resource = "memory:*/x[ab]",
                                           .issued_us = UINT64_C(1767323045678901),
                                           .expires_us = UINT64_C(1767326645678901)};
    struct capability *capability = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(capability_issue(token, &grant, secret, &error), STATUS_OK);
    assert_int_equal(capability_parse(&capability, buffer_text(token), &error), STATUS_OK);
    return capability;
}

static void
an_issued_token_verifies_and_says_what_was_granted(void **state)
{
    (void)state;
    struct ed25519_public_key keys[2] = {{{1}}, {{0}}};
    struct ed25519_secret_key secret;
    crypto_sign_keypair(keys[1].bytes, secret.bytes);
    struct buffer token = {0};
    struct capability *capability = issue(&secret, &token);
    const struct capability_request request = {.action = text_of("memory:read"),
                                               .resource = text_of("memory:/xb"),
                                               .subject = text_of("agent:\xc3\xa9")};
    struct error error = ERROR_INIT;
    int64_t uses = 7;

    assert_int_equal(strlen(capability_id(capability)), 16);
    assert_memory_equal(capability_id(capability), "cap_", 4);
    assert_string_equal(capability_subject(capability), "agent:\xc3\xa9");
    assert_string_equal(capability_action(capability), "memory:read");
    assert_string_equal(capability_resource(capability), "memory:*/x[ab]");
    assert_string_equal(capability_parent_id(capability), "");
    assert_false(capability_has_parent(capability));
    assert_false(capability_uses_remaining(capability, &uses));
    assert_int_equal(uses, 7);

    uint64_t expires_us = UINT64_C(1767326645678901);
    assert_int_equal(capability_check(capability, keys, 2, &request, expires_us - 1, &error),
                     STATUS_OK);
    assert_int_equal(capability_check(capability, keys, 2, &request, expires_us, &error),
                     STATUS_TOKEN_EXPIRED);
    assert_int_equal(capability_check(capability, keys, 1, &request, 0, &error),
                     STATUS_TOKEN_INVALID);
    assert_int_equal(capability_check(capability, NULL, 0, &request, 0, &error),
                     STATUS_TOKEN_INVALID);
    capability_destroy(&capability);
    assert_null(capability);
    buffer_clear(&token);
}

static void
two_issued_tokens_have_different_ids(void **state)
{
    (void)state;
    struct ed25519_public_key key;
    struct ed25519_secret_key secret;
    crypto_sign_keypair(key.bytes, secret.bytes);
    struct buffer first = {0}, second = {0};
    struct capability *a = issue(&secret, &first), *b = issue(&secret, &second);
    assert_string_not_equal(capability_id(a), capability_id(b));
    capability_destroy(&a);
    capability_destroy(&b);
    buffer_clear(&first);
    buffer_clear(&second);
}

/* Every single byte of a valid token, flipped: nothing but another spelling of the same
 * members may still verify. */
static void
no_changed_byte_of_a_token_goes_unnoticed(void **state)
{
    (void)state;
    struct ed25519_public_key key;
    struct ed25519_secret_key secret;
    crypto_sign_keypair(key.bytes, secret.bytes);
    struct buffer token = {0}, wanted = {0};
    struct capability *capability = issue(&secret, &token);
    assert_int_equal(capability_signed_bytes(capability, &wanted), STATUS_OK);
    capability_destroy(&capability);
    const struct capability_request request = {.action = text_of("memory:read"),
                                               .resource = text_of("memory:/xb"),
                                               .subject = text_of("agent:\xc3\xa9")};
    size_t refused = 0;
    for (size_t i = 0; i < token.size; i++) {
        struct buffer given = {0};
        token.data[i] ^= 1;
        if (capability_parse(&capability, buffer_text(&token), NULL) == STATUS_OK) {
            enum status status = capability_check(capability, &key, 1, &request, 0, NULL);
            assert_int_equal(capability_signed_bytes(capability, &given), STATUS_OK);
            bool same = text_equal(buffer_text(&given), buffer_text(&wanted));
            assert_true(status != STATUS_OK || same);
            refused += status != STATUS_OK;
        } else {
            refused++;
        }
        token.data[i] ^= 1;
        capability_destroy(&capability);
        buffer_clear(&given);
    }
    assert_true(refused * 100 > token.size * 90);
    buffer_clear(&token);
    buffer_clear(&wanted);
}

static void
a_refusal_names_the_member_what_came_and_what_was_expected(void **state)
{
    (void)state;
    struct capability *capability = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(capability_parse(&capability, text_of("{\"id\": 5}"), &error), STATUS_INVALID);
    assert_string_equal(error.word, "invalid_capability_payload");
    assert_string_equal(error.message, "capability: id is an integer, expected text");
}

static void
an_issued_token_carries_constraints_uses_and_parent(void **state)
{
    static const struct ed25519_secret_key secret;
    static const uint8_t constraints[] = "\x81\xa1x\xcb\x3f\xf8\0\0\0\0\0\0";
    static const uint8_t list[] = {0x90};
    struct capability_grant grant = {.subject = "agent:a",
                                     .action = "memory:read",
                                     .resource = "*",
                                     .expires_us = 1,
                                     .constraints = {constraints, sizeof constraints - 1},
                                     .limited = true,
                                     .uses = 3,
                                     .parent_id = "cap_0"};
    struct buffer token;
    struct capability *capability = NULL;
    struct error error = ERROR_INIT;
    int64_t uses = 0;
    (void)state;
    buffer_init(&token);
    assert_int_equal(capability_issue(&token, &grant, &secret, &error), STATUS_OK);
    assert_non_null(memmem(token.data, token.size, "\"constraints\": {\"x\": 1.5}", 25));
    assert_int_equal(capability_parse(&capability, buffer_text(&token), &error), STATUS_OK);
    assert_true(capability_uses_remaining(capability, &uses));
    assert_int_equal(uses, 3);
    assert_string_equal(capability_parent_id(capability), "cap_0");
    assert_int_equal(capability_constraints(capability).size, sizeof constraints - 1);
    assert_int_equal(capability_issued_us(capability), 0);
    capability_destroy(&capability);
    buffer_clear(&token);
    grant.constraints = (struct bytes){list, sizeof list};
    assert_int_equal(capability_issue(&token, &grant, &secret, &error), STATUS_INVALID);
    buffer_clear(&token);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_issued_token_carries_constraints_uses_and_parent),
        cmocka_unit_test(every_token_made_by_python_is_judged_as_expected),
        cmocka_unit_test(the_signed_bytes_are_those_that_python_signs),
        cmocka_unit_test(an_issued_token_verifies_and_says_what_was_granted),
        cmocka_unit_test(two_issued_tokens_have_different_ids),
        cmocka_unit_test(no_changed_byte_of_a_token_goes_unnoticed),
        cmocka_unit_test(a_refusal_names_the_member_what_came_and_what_was_expected),
    };
    return cmocka_run_group_tests(tests, load, drop);
}
