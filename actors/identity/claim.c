/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/claim.h"

#include <sodium.h>
#include <stdio.h>

#include "kernel/identity.h"

#define SIGNATURE_PREFIX "ed25519:"

enum { RANDOM_SIZE = 32 };

void
claim_copy(char *to, size_t capacity, struct text text)
{
    size_t size = text.size < capacity ? text.size : capacity - 1;
    if (size > 0)
        memcpy(to, text.data, size);
    to[size] = '\0';
}

/* Exactly size bytes as hex digits of either case. */
static bool
read_hex(struct text text, uint8_t *bytes, size_t size)
{
    if (text.size != size * 2)
        return false;
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit_value(text.data[2 * i]);
        int low = hex_digit_value(text.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return true;
}

static enum status
read_public_key(struct text text, char to[static AGENT_PUBLIC_KEY_SIZE + 1], struct error *error)
{
    uint8_t key[crypto_sign_PUBLICKEYBYTES];
    to[0] = '\0';
    if (text.size == 0)
        return STATUS_OK;
    if (!read_hex(text, key, sizeof key)) {
        error_set_field(error, "public_key", "expected 64 hex digits");
        return STATUS_VALIDATION;
    }
    if (!crypto_core_ed25519_is_valid_point(key)) {
        error_set_field(error, "public_key", "expected an Ed25519 key: this is no point of it");
        return STATUS_VALIDATION;
    }
    sodium_bin2hex(to, AGENT_PUBLIC_KEY_SIZE + 1, key, sizeof key);
    return STATUS_OK;
}

enum status
claim_read(const struct claim_fields *fields, struct agent *agent, struct error *error)
{
    struct identity identity;
    *agent = (struct agent){.status = AGENT_NONE, .state = STATE_ANONYMOUS};
    if (identity_parse(fields->agent_id, &identity, error) != STATUS_OK ||
        identity.type != IDENTITY_AGENT) {
        char came[65];
        claim_copy(came, sizeof came, fields->agent_id);
        error_set_field(error, "agent_id",
                        "came %s, expected agent:<name> of letters, digits and . _ - : @ /", came);
        return STATUS_VALIDATION;
    }
    enum status status = read_public_key(fields->public_key, agent->public_key, error);
    if (status != STATUS_OK)
        return status;
    claim_copy(agent->id, sizeof agent->id, fields->agent_id);
    claim_copy(agent->name, sizeof agent->name, fields->name);
    claim_copy(agent->model, sizeof agent->model, fields->model);
    claim_copy(agent->curve_public_key, sizeof agent->curve_public_key, fields->curve_public_key);
    if (fields->curve_public_key.size > 0 &&
        (fields->curve_public_key.size != CURVE_KEY_TEXT_SIZE - 1 ||
         !curve_key_is_valid(agent->curve_public_key))) {
        error_set_field(error, "curve_public_key",
                        "expected the Z85 text of a CURVE key, 40 characters");
        return STATUS_VALIDATION;
    }
    return STATUS_OK;
}

enum status
claim_check_key(struct context *context, const struct agent *agent, struct error *error)
{
    struct buffer owner;
    if (!agent->curve_public_key[0])
        return STATUS_NOT_FOUND;
    buffer_init(&owner);
    enum status status = agent_get_by_key(context, text_of(agent->curve_public_key), &owner, error);
    if (status == STATUS_OK && text_equal_string(buffer_text(&owner), agent->id)) {
        status = STATUS_NOT_FOUND;
    } else if (status == STATUS_OK) {
        error_set_word(error, "key_exists", "this key belongs to another agent");
        status = STATUS_ALREADY_EXISTS;
    }
    buffer_clear(&owner);
    return status;
}

enum status
claim_check_bearer(struct text source, const char *curve_public_key, struct error *error)
{
    uint8_t key[CURVE_KEY_SIZE];
    char bearer[IDENTITY_ANONYMOUS_SIZE] = "";
    if (!identity_is_anonymous(source))
        return STATUS_OK;
    if (curve_public_key[0] && curve_key_parse(curve_public_key, key))
        identity_anonymous(key, bearer);
    if (text_equal_string(source, bearer))
        return STATUS_OK;
    error_set_word(error, "key_mismatch",
                   "curve_public_key has to be the key of this connection, which is %.*s",
                   TEXT_ARGS(source));
    return STATUS_FORBIDDEN;
}

void
claim_challenge(struct agent *agent)
{
    uint8_t bytes[RANDOM_SIZE];
    char hex[sizeof bytes * 2 + 1];
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2hex(hex, sizeof hex, bytes, sizeof bytes);
    snprintf(agent->challenge, sizeof agent->challenge, "sos-verify %s %s", agent->id, hex);
}

enum status
claim_check_proof(const struct agent *agent, struct text signature, struct error *error)
{
    uint8_t key[crypto_sign_PUBLICKEYBYTES];
    uint8_t bytes[crypto_sign_BYTES];
    struct text hex = {signature.data + strlen(SIGNATURE_PREFIX),
                       signature.size - strlen(SIGNATURE_PREFIX)};
    if (text_starts_with(signature, SIGNATURE_PREFIX) && read_hex(hex, bytes, sizeof bytes) &&
        read_hex(text_of(agent->public_key), key, sizeof key) && agent->challenge[0] &&
        crypto_sign_verify_detached(bytes, (const uint8_t *)agent->challenge,
                                    strlen(agent->challenge), key) == 0)
        return STATUS_OK;
    error_set_word(
        error, "invalid_proof",
        "expected \"ed25519:\" and the signature, 128 hex digits, of the challenge of %s "
        "by its key",
        agent->id);
    return STATUS_UNAUTHORIZED;
}
