/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/authorise.h"

#include <sodium.h>
#include <stdlib.h>

#include "kernel/identity.h"

enum {
    KEYS_MAX = 8,
    VERIFIED_MAX = 256, /* a power of two */
    HASH_SIZE = 32
};

/* Checking a signature costs some hundred times what hashing the token does. A token finds its
 * place by its hash; another one that falls there takes it over. */
struct verified {
    bool set;
    uint8_t hash[HASH_SIZE];
};

struct authoriser {
    struct verified verified[VERIFIED_MAX];

    struct ed25519_public_key keys[KEYS_MAX];
    size_t key_count;
    bool require;
};

struct authoriser *
authoriser_new(const struct ed25519_public_key *keys, size_t key_count, bool require_capabilities)
{
    struct authoriser *authoriser = calloc(1, sizeof *authoriser);
    if (!authoriser)
        return NULL;
    authoriser->key_count = key_count < KEYS_MAX ? key_count : KEYS_MAX;
    if (authoriser->key_count > 0)
        memcpy(authoriser->keys, keys, authoriser->key_count * sizeof *keys);
    authoriser->require = require_capabilities;
    return authoriser;
}

void
authoriser_destroy(struct authoriser **authoriser_p)
{
    free(*authoriser_p);
    *authoriser_p = NULL;
}

/* An agent speaks for itself, whoever passes its words on. */
static enum status
check_self(const struct claim *claim, struct error *error)
{
    const struct text speakers[] = {claim->source, claim->principal};
    for (size_t i = 0; i < sizeof speakers / sizeof speakers[0]; i++) {
        if (!text_starts_with(speakers[i], "agent:") || text_is_empty(claim->subject) ||
            text_equal(speakers[i], claim->subject))
            continue;
        error_set_word(error, "capability_subject_mismatch", "%.*s may not act for %.*s",
                       TEXT_ARGS(speakers[i]), TEXT_ARGS(claim->subject));
        return STATUS_FORBIDDEN;
    }
    return STATUS_OK;
}

/* A service passes its caller's token on with the calls that it makes; the token was made for the
 * caller's own operation and need not cover these. The gateway speaks for people outside. */
static bool
is_passed_on(struct text source)
{
    return text_starts_with(source, "service:") && !identity_is_service(source, "gateway");
}

/* Nobody else speaks through this peer, and it asks for what is its own. */
static bool
is_about_itself(const struct claim *claim)
{
    return (claim->operation->flags & OPERATION_OWN) && text_equal(claim->source, claim->subject) &&
           text_equal(claim->principal, claim->source);
}

/* Its place, and whether it stands there. */
static size_t
find_verified(const struct authoriser *authoriser, struct text token, uint8_t hash[HASH_SIZE],
              bool *found)
{
    crypto_generichash(hash, HASH_SIZE, (const uint8_t *)token.data, token.size, NULL, 0);
    size_t place = hash[0] & (VERIFIED_MAX - 1);
    const struct verified *verified = &authoriser->verified[place];
    *found = verified->set && memcmp(verified->hash, hash, HASH_SIZE) == 0;
    return place;
}

bool
authoriser_knows(const struct authoriser *authoriser, struct text token)
{
    uint8_t hash[HASH_SIZE];
    bool found;
    find_verified(authoriser, token, hash, &found);
    return found;
}

static enum status
check_signature(struct authoriser *authoriser, const struct capability *capability,
                struct text token, struct error *error)
{
    uint8_t hash[HASH_SIZE];
    bool found;
    struct verified *verified =
        &authoriser->verified[find_verified(authoriser, token, hash, &found)];
    if (found)
        return STATUS_OK;
    enum status status =
        capability_check_signature(capability, authoriser->keys, authoriser->key_count, error);
    if (status != STATUS_OK)
        return status;
    verified->set = true;
    memcpy(verified->hash, hash, sizeof hash);
    return STATUS_OK;
}

/* Is the capability only refused for its resource? */
static bool
covers_action(const struct capability *capability, struct text action, const struct error *error)
{
    return error->word[0] == '\0' && text_equal_string(action, capability_action(capability));
}

static enum status
check_token(struct authoriser *authoriser, const struct claim *claim, bool early, struct now now,
            struct error *error)
{
    struct capability *capability = NULL;
    enum status status = capability_parse(&capability, claim->capability, error);
    if (status != STATUS_OK)
        return status;

    const struct capability_request request = {
        .action = text_of(claim->operation->capability_action),
        .resource = early ? (struct text){0} : claim->resource,
        .subject = early ? (struct text){0} : claim->subject,
        .is_pattern = claim->is_pattern};
    struct error refusal = ERROR_INIT;
    int64_t uses;
    status = check_signature(authoriser, capability, claim->capability, &refusal);
    if (status == STATUS_OK && capability_has_parent(capability)) {
        error_set_word(&refusal, "capability_parent_unknown",
                       "the capability was delegated from one that is not known here");
        status = STATUS_TOKEN_INVALID;
    }
    if (status == STATUS_OK && !early)
        status = check_self(claim, &refusal);
    if (status == STATUS_OK) {
        status = capability_check_terms(capability, &request, now.wall_us, &refusal);
        if (status == STATUS_SCOPE_DENIED && early &&
            covers_action(capability, request.action, &refusal))
            status = STATUS_OK;
    }
    if (status == STATUS_OK && capability_uses_remaining(capability, &uses)) {
        error_set_word(&refusal, "capability_uses_untracked",
                       "a capability with a number of uses cannot be used yet");
        status = STATUS_SCOPE_DENIED;
    }
    capability_destroy(&capability);
    if (status != STATUS_OK && error)
        *error = refusal;
    return status;
}

static enum status
check(struct authoriser *authoriser, const struct claim *claim, bool early, struct now now,
      struct error *error)
{
    const struct operation *operation = claim->operation;
    bool dangerous = (operation->flags & OPERATION_DANGEROUS) != 0;
    bool needed = dangerous ||
                  (authoriser->require && operation->capability_action && !is_about_itself(claim));

    if (needed && !operation->capability_action) {
        error_set(error, "%s names no capability that could allow it", operation->type);
        return STATUS_FORBIDDEN;
    }
    if (needed && text_is_empty(claim->capability)) {
        error_set(error, "%s needs a capability for %s", operation->type,
                  operation->capability_action);
        return STATUS_CAPABILITY_MISSING;
    }
    if (operation->capability_action && !text_is_empty(claim->capability) &&
        (needed || !is_passed_on(claim->source)))
        return check_token(authoriser, claim, early, now, error);
    return early ? STATUS_OK : check_self(claim, error);
}

enum status
authorise(struct authoriser *authoriser, const struct claim *claim, struct now now,
          struct error *error)
{
    return check(authoriser, claim, false, now, error);
}

enum status
authorise_early(struct authoriser *authoriser, const struct claim *claim, struct now now,
                struct error *error)
{
    return check(authoriser, claim, true, now, error);
}
