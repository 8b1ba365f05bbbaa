/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/authorise.h"

#include <sodium.h>
#include <stdlib.h>

#include "kernel/identity.h"
#include "kernel/pack.h"

enum {
    KEYS_MAX = 8,
    SETS = 128, /* a power of two */
    WAYS = 4,
    RATES_MAX = 65536,
    USED_MAX = 65536
};

/* Reading a token and checking its signature cost some hundred times what finding it here does. */
struct verified {
    uint64_t hash;
    char *token; /* the whole of it: a hash that is quick vouches for nothing */
    size_t token_size;
    struct capability *capability;
    struct constraints constraints;
    bool confirmed; /* by service:identity */
};

struct authoriser {
    /* A token finds its set by its hash, the one used last stands first; a new one takes the place
     * of the one that was not used for longest. Nobody can choose the set: the hash is keyed. */
    struct verified *verified[SETS][WAYS];
    uint8_t hash_key[crypto_shorthash_KEYBYTES];

    struct ed25519_public_key keys[KEYS_MAX];
    size_t key_count;
    bool require;

    struct revocations *revoked;
    bool distrusts;         /* a revocation may be missing */
    struct expiring *rates; /* capability id: when its allowance is whole again; monotonic */
    struct expiring *used;  /* requests that were done on a counted use; wall clock */
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
    randombytes_buf(authoriser->hash_key, sizeof authoriser->hash_key);
    authoriser->revoked = revocations_new();
    authoriser->rates = expiring_new(RATES_MAX);
    authoriser->used = expiring_new(USED_MAX);
    if (!authoriser->revoked || !authoriser->rates || !authoriser->used)
        authoriser_destroy(&authoriser);
    return authoriser;
}

static void
verified_destroy(struct verified *verified)
{
    if (!verified)
        return;
    capability_destroy(&verified->capability);
    if (verified->token)
        explicit_bzero(verified->token, verified->token_size);
    free(verified->token);
    free(verified);
}

void
authoriser_destroy(struct authoriser **authoriser_p)
{
    struct authoriser *authoriser = *authoriser_p;
    if (!authoriser)
        return;
    for (size_t i = 0; i < SETS; i++)
        for (size_t way = 0; way < WAYS; way++)
            verified_destroy(authoriser->verified[i][way]);
    revocations_destroy(&authoriser->revoked);
    expiring_destroy(&authoriser->rates);
    expiring_destroy(&authoriser->used);
    free(authoriser);
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

/* ---- verified tokens */

static uint64_t
hash_token(const struct authoriser *authoriser, struct text token)
{
    uint64_t hash;
    crypto_shorthash((uint8_t *)&hash, (const uint8_t *)token.data, token.size,
                     authoriser->hash_key);
    return hash;
}

static bool
is_of(const struct verified *verified, uint64_t hash, struct text token)
{
    return verified && verified->hash == hash &&
           text_equal((struct text){verified->token, verified->token_size}, token);
}

/* WAYS: it is not there. */
static size_t
find_way(struct verified *const *set, uint64_t hash, struct text token)
{
    size_t way = 0;
    while (way < WAYS && !is_of(set[way], hash, token))
        way++;
    return way;
}

bool
authoriser_knows(const struct authoriser *authoriser, struct text token)
{
    uint64_t hash = hash_token(authoriser, token);
    return find_way(authoriser->verified[hash & (SETS - 1)], hash, token) < WAYS;
}

static void
put_first(struct verified **set, size_t way, struct verified *verified)
{
    memmove(set + 1, set, way * sizeof *set);
    set[0] = verified;
}

/* An id that is too long could never be revoked. */
static enum status
check_ids(const struct capability *capability, struct error *error)
{
    if (strlen(capability_id(capability)) <= CAPABILITY_ID_MAX &&
        strlen(capability_parent_id(capability)) <= CAPABILITY_ID_MAX)
        return STATUS_OK;
    error_set_word(error, "invalid_capability_payload",
                   "capability: id and parent_id are expected to have at most %d bytes",
                   CAPABILITY_ID_MAX);
    return STATUS_INVALID;
}

static enum status
verify(const struct authoriser *authoriser, struct text token, struct verified **verified_p,
       struct error *error)
{
    struct verified *verified = calloc(1, sizeof *verified);
    if (!verified)
        return STATUS_NOMEM;
    verified->hash = hash_token(authoriser, token);
    verified->token = text_copy(token);
    verified->token_size = token.size;
    if (!verified->token) {
        verified_destroy(verified);
        return STATUS_NOMEM;
    }
    enum status status = capability_parse(&verified->capability, token, error);
    if (status == STATUS_OK)
        status = check_ids(verified->capability, error);
    if (status == STATUS_OK)
        status = constraints_parse(capability_constraints(verified->capability),
                                   &verified->constraints, error);
    if (status == STATUS_OK)
        status = capability_check_signature(verified->capability, authoriser->keys,
                                            authoriser->key_count, error);
    if (status == STATUS_OK)
        *verified_p = verified;
    else
        verified_destroy(verified);
    return status;
}

/* Borrowed until the next token is verified. */
static enum status
find_verified(struct authoriser *authoriser, struct text token, struct verified **verified_p,
              struct error *error)
{
    uint64_t hash = hash_token(authoriser, token);
    struct verified **set = authoriser->verified[hash & (SETS - 1)];
    size_t way = find_way(set, hash, token);
    struct verified *verified = way < WAYS ? set[way] : NULL;
    if (!verified) {
        enum status status = verify(authoriser, token, &verified, error);
        if (status != STATUS_OK)
            return status;
        way = WAYS - 1;
        verified_destroy(set[way]);
    }
    put_first(set, way, verified);
    *verified_p = verified;
    return STATUS_OK;
}

static bool
is_counted(const struct capability *capability)
{
    int64_t uses;
    return capability_uses_remaining(capability, &uses);
}

/* ---- what service:identity says */

static struct text
name_of(const struct uuid *id)
{
    return (struct text){(const char *)id->bytes, sizeof id->bytes};
}

struct uuid
authoriser_use_name(const struct authoriser *authoriser, const char *service,
                    const struct uuid *request, const struct uuid *fresh, struct now now)
{
    if (expiring_get(authoriser->used, name_of(request), now.wall_us))
        return *fresh;
    struct uuid name;
    crypto_generichash(name.bytes, sizeof name.bytes, (const uint8_t *)service, strlen(service),
                       request->bytes, sizeof request->bytes);
    return name;
}

enum status
authoriser_use_status(enum status answer, struct error *error)
{
    switch (answer) {
    case STATUS_OK:
    case STATUS_INVALID:
    case STATUS_TOKEN_INVALID:
    case STATUS_TOKEN_EXPIRED:
    case STATUS_SCOPE_DENIED:
    case STATUS_RATE_LIMITED:
        return answer;
    default:
        break;
    }
    struct error cause = *error;
    *error = ERROR_INIT;
    error_set(error, "service:identity cannot be asked about this capability: %s",
              cause.message[0] ? cause.message : status_text(answer));
    return STATUS_UNAVAILABLE;
}

bool
authoriser_use_is_free(struct bytes payload)
{
    struct value answer, left;
    return value_parse(payload, &answer) && value_find(&answer, "uses_left", &left) &&
           left.type == VALUE_NIL;
}

enum status
authoriser_confirm(struct authoriser *authoriser, struct text token, bool is_free,
                   const struct uuid *request, struct now now, struct error *error)
{
    struct verified *verified;
    enum status status = find_verified(authoriser, token, &verified, error);
    if (status != STATUS_OK)
        return status;
    if (is_free && !is_counted(verified->capability)) {
        verified->confirmed = true;
        return STATUS_OK;
    }
    status = expiring_set(authoriser->used, name_of(request),
                          capability_expires_us(verified->capability), now.wall_us);
    if (status != STATUS_QUOTA_EXCEEDED)
        return status;
    error_set(error, "%d counted uses are remembered until their capabilities expire, no more",
              USED_MAX);
    return STATUS_BUSY;
}

/* ---- revocations */

enum status
authoriser_revoke(struct authoriser *authoriser, const struct revocation *list, size_t count,
                  struct now now, struct error *error)
{
    enum status status = revocations_add(authoriser->revoked, list, count, now.wall_us, error);
    /* What was delegated through one of them may have more than one link between. */
    for (size_t i = 0; i < SETS; i++)
        for (size_t way = 0; way < WAYS && authoriser->verified[i][way]; way++)
            authoriser->verified[i][way]->confirmed = false;
    return status;
}

void
authoriser_distrust(struct authoriser *authoriser)
{
    authoriser->distrusts = true;
}

const struct revocations *
authoriser_revocations(const struct authoriser *authoriser)
{
    return authoriser->revoked;
}

bool
authoriser_is_revoked(const struct authoriser *authoriser, const struct grounds *grounds,
                      struct now now)
{
    return grounds->by_token &&
           (revocations_has(authoriser->revoked, text_of(grounds->id), now.wall_us) ||
            revocations_has(authoriser->revoked, text_of(grounds->parent_id), now.wall_us));
}

static enum status
check_revoked(const struct authoriser *authoriser, const struct capability *capability,
              struct now now, struct error *error)
{
    const char *ids[] = {capability_id(capability), capability_parent_id(capability)};
    if (authoriser->distrusts) {
        error_set(error, "it is not known here which capabilities were revoked");
        return STATUS_UNAVAILABLE;
    }
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (!revocations_has(authoriser->revoked, text_of(ids[i]), now.wall_us))
            continue;
        error_set_word(error, "capability_revoked", "capability %s was revoked", ids[i]);
        return STATUS_SCOPE_DENIED;
    }
    return STATUS_OK;
}

/* ---- what a token is constrained to */

static enum status
check_agent(const struct constraints *constraints, const struct claim *claim, struct error *error)
{
    struct text only = text_of(constraints->agent_id);
    if (!(constraints->set & CONSTRAINT_AGENT_ID) || text_is_empty(claim->subject) ||
        text_equal(claim->subject, only))
        return STATUS_OK;
    error_set_word(error, "capability_agent_mismatch",
                   "the capability is for calls that act for %s, not for %.*s",
                   constraints->agent_id, TEXT_ARGS(claim->subject));
    return STATUS_SCOPE_DENIED;
}

/* An allowance of rate_count uses at once that fills up evenly in rate_us. What is kept of it is
 * the time at which it is whole again, so that one that is whole needs no place. */
static enum status
check_rate(struct authoriser *authoriser, const struct verified *verified, bool use, struct now now,
           struct error *error)
{
    const struct constraints *constraints = &verified->constraints;
    if (!(constraints->set & CONSTRAINT_RATE_LIMIT))
        return STATUS_OK;
    struct text id = text_of(capability_id(verified->capability));
    uint64_t share_us = constraints->rate_us / constraints->rate_count;
    uint64_t whole_us = expiring_get(authoriser->rates, id, now.monotonic_us);
    if (whole_us < now.monotonic_us)
        whole_us = now.monotonic_us;
    enum status status = STATUS_OK;
    if (whole_us - now.monotonic_us + share_us > constraints->rate_us)
        status = STATUS_RATE_LIMITED;
    else if (use)
        status = expiring_set(authoriser->rates, id, whole_us + share_us, now.monotonic_us);
    if (status == STATUS_OK || status == STATUS_NOMEM)
        return status;
    error_set_word(error, "capability_rate_limited",
                   "the capability may be used %u times in %llu s", constraints->rate_count,
                   (unsigned long long)(constraints->rate_us / 1000000));
    return STATUS_RATE_LIMITED;
}

/* ---- the check */

/* Is the capability only refused for its resource? */
static bool
covers_action(const struct capability *capability, struct text action, const struct error *error)
{
    return error->word[0] == '\0' && text_equal_string(action, capability_action(capability));
}

static enum status
check_terms(const struct capability *capability, const struct claim *claim, bool early,
            struct now now, struct error *error)
{
    const struct capability_request request = {
        .action = text_of(claim->operation->capability_action),
        .resource = early ? (struct text){0} : claim->resource,
        .subject = early ? (struct text){0} : claim->subject,
        .is_pattern = claim->is_pattern};
    enum status status = capability_check_terms(capability, &request, now.wall_us, error);
    if (status == STATUS_SCOPE_DENIED && early && covers_action(capability, request.action, error))
        return STATUS_OK;
    return status;
}

static void
tell_grounds(const struct verified *verified, struct grounds *grounds)
{
    const struct capability *capability = verified->capability;
    if (!grounds)
        return;
    *grounds =
        (struct grounds){.by_token = true,
                         .expires_us = capability_expires_us(capability),
                         .is_counted = is_counted(capability) ||
                                       (verified->constraints.set & CONSTRAINT_RATE_LIMIT) ||
                                       (capability_has_parent(capability) && !verified->confirmed),
                         .constraints = verified->constraints};
    memcpy(grounds->id, capability_id(capability), strlen(capability_id(capability)));
    memcpy(grounds->parent_id, capability_parent_id(capability),
           strlen(capability_parent_id(capability)));
}

static enum status
check_token(struct authoriser *authoriser, const struct claim *claim, bool early, struct now now,
            struct error *error)
{
    struct error refusal = ERROR_INIT;
    struct verified *verified = NULL;
    enum status status = find_verified(authoriser, claim->capability, &verified, &refusal);
    if (status == STATUS_OK)
        status = check_revoked(authoriser, verified->capability, now, &refusal);
    if (status == STATUS_OK && !early)
        status = check_self(claim, &refusal);
    if (status == STATUS_OK)
        status = check_terms(verified->capability, claim, early, now, &refusal);
    if (status == STATUS_OK && !early)
        status = check_agent(&verified->constraints, claim, &refusal);
    if (status == STATUS_OK) {
        bool asks =
            !claim->is_confirmed && !verified->confirmed &&
            (is_counted(verified->capability) || capability_has_parent(verified->capability));
        status = early ? STATUS_OK : check_rate(authoriser, verified, !asks, now, &refusal);
        if (status == STATUS_OK && asks)
            status = STATUS_PENDING;
    }
    if (status == STATUS_OK || status == STATUS_PENDING)
        tell_grounds(verified, claim->grounds);
    else if (error)
        *error = refusal;
    return status;
}

/* A token that nobody asked for allows nothing here, but what it is constrained to holds, and with
 * it goes what runs under it. One that gives no right is none. */
static void
take_along(struct authoriser *authoriser, const struct claim *claim, struct now now)
{
    struct verified *verified = NULL;
    if (claim->grounds &&
        find_verified(authoriser, claim->capability, &verified, NULL) == STATUS_OK &&
        check_revoked(authoriser, verified->capability, now, NULL) == STATUS_OK &&
        now.wall_us < capability_expires_us(verified->capability))
        tell_grounds(verified, claim->grounds);
}

static enum status
check(struct authoriser *authoriser, const struct claim *claim, bool early, struct now now,
      struct error *error)
{
    const struct operation *operation = claim->operation;
    if (claim->grounds)
        *claim->grounds = (struct grounds){.by_token = false};
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
    if (!operation->capability_action && !text_is_empty(claim->capability))
        take_along(authoriser, claim, now);
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
