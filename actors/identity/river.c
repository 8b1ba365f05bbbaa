/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/river.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/identity/river_state.h"
#include "actors/identity/sync.h"

/* ---- life */

static bool
read_key(const char *hex, struct ed25519_public_key *key)
{
    size_t made = 0;
    return strlen(hex) == 2 * sizeof key->bytes &&
           sodium_hex2bin(key->bytes, sizeof key->bytes, hex, strlen(hex), NULL, &made, NULL) ==
               0 &&
           made == sizeof key->bytes;
}

static enum status
read_keys(struct river *river, const struct config *config, struct error *error)
{
    static const enum option_id options[] = {OPTION_RIVER_KEY_HEX, OPTION_CAPABILITY_KEY_HEX};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const char *hex = config_string(config, options[i]);
        if (!*hex)
            continue;
        if (!read_key(hex, &river->keys[river->key_count])) {
            error_set(error, "%s (from %s): expected 64 hex digits", option_key(options[i]),
                      config_origin(config, options[i]));
            return STATUS_VALIDATION;
        }
        river->key_count++;
    }
    return STATUS_OK;
}

enum status
river_new(struct river **river_p, const struct config *config, struct error *error)
{
    struct river *river = calloc(1, sizeof *river);
    if (!river)
        return STATUS_NOMEM;
    buffer_init(&river->json);
    river->rates = expiring_new(RIVER_RATES_MAX);
    snprintf(river->edition, sizeof river->edition, "%s", config_string(config, OPTION_EDITION));
    enum status status = river->rates ? read_keys(river, config, error) : STATUS_NOMEM;
    if (status == STATUS_OK)
        *river_p = river;
    else
        river_destroy(&river);
    return status;
}

void
river_destroy(struct river **river_p)
{
    struct river *river = *river_p;
    if (!river)
        return;
    river_key_clear(&river->key);
    policy_destroy(&river->policy);
    buffer_clear(&river->json);
    expiring_destroy(&river->rates);
    free(river);
    *river_p = NULL;
}

struct river *
river_of(const struct context *context)
{
    return ((struct identities *)context_state(context))->river;
}

const struct policy *
river_policy(const struct river *river)
{
    return river->policy;
}

/* ---- signing and checking */

enum status
river_verify(const struct river *river, const struct capability *capability, struct error *error)
{
    return capability_check_signature(capability, river->keys, river->key_count, error);
}

static void
audit_grant(const struct request *request, struct outcome *outcome, const struct grant *grant,
            const char *event)
{
    outcome_audit(outcome,
                  &(struct audit_entry){.event = event,
                                        .actor = request_principal(request),
                                        .subject = text_of(capability_subject(grant->capability)),
                                        .action = text_of(capability_action(grant->capability)),
                                        .resource = text_of(capability_resource(grant->capability)),
                                        .capability_id = text_of(grant->id)});
}

enum status
river_issue(struct context *context, const struct request *request, struct outcome *outcome,
            const struct capability_grant *grant, struct chain *chain, const char *what,
            struct grant *made, struct error *error)
{
    const struct river *river = river_of(context);
    struct buffer token;
    if (!river->has_key) {
        error_set(error, "this home has no River key to sign with");
        return STATUS_UNAVAILABLE;
    }
    buffer_init(&token);
    enum status status = capability_issue(&token, grant, &river->key.secret_key, error);
    if (status == STATUS_OK && token.size > MESSAGE_CAPABILITY_MAX) {
        error_set(error, "the capability would be larger than %d bytes", MESSAGE_CAPABILITY_MAX);
        status = STATUS_TOO_LARGE;
    }
    if (status == STATUS_OK)
        status = grant_add(context, outcome, buffer_text(&token), chain ? chain->links : NULL,
                           chain ? chain->count : 0, made, error);
    if (status == STATUS_OK)
        audit_grant(request, outcome, made, what);
    if (token.data)
        sodium_memzero(token.data, token.capacity);
    buffer_clear(&token);
    return status;
}

/* ---- rates */

/* An allowance of so many uses at once that fills up evenly, as the one gate counts it. */
struct allowance {
    uint64_t share_us; /* that one use takes; 0: there is no rate */
    uint64_t whole_us; /* when nothing of it is used */
    int64_t left;
};

static struct allowance
find_allowance(const struct river *river, const struct grant *grant, struct now now)
{
    struct constraints constraints;
    if (constraints_parse(capability_constraints(grant->capability), &constraints, NULL) !=
        STATUS_OK)
        return (struct allowance){.left = 0};
    if (!(constraints.set & CONSTRAINT_RATE_LIMIT))
        return (struct allowance){.left = INT64_MAX};
    struct allowance allowance = {.share_us = constraints.rate_us / constraints.rate_count};
    if (allowance.share_us == 0)
        allowance.share_us = 1;
    allowance.whole_us = expiring_get(river->rates, text_of(grant->id), now.monotonic_us);
    if (allowance.whole_us < now.monotonic_us)
        allowance.whole_us = now.monotonic_us;
    uint64_t used_us = allowance.whole_us - now.monotonic_us;
    if (used_us < constraints.rate_us)
        allowance.left = (int64_t)((constraints.rate_us - used_us) / allowance.share_us);
    if (allowance.left > constraints.rate_count)
        allowance.left = constraints.rate_count;
    return allowance;
}

static enum status
take_allowance(struct river *river, const struct grant *grant, struct now now)
{
    const struct allowance allowance = find_allowance(river, grant, now);
    return allowance.share_us == 0
               ? STATUS_OK
               : expiring_set(river->rates, text_of(grant->id),
                              allowance.whole_us + allowance.share_us, now.monotonic_us);
}

enum status
river_take_rate(struct river *river, const struct grant *grant, const struct chain *chain,
                struct now now, int64_t *left, struct error *error)
{
    int64_t least = find_allowance(river, grant, now).left;
    for (size_t i = 0; i < chain->count; i++) {
        int64_t more = find_allowance(river, &chain->links[i], now).left;
        least = more < least ? more : least;
    }
    if (least == INT64_MAX)
        return STATUS_OK;
    enum status status = least == 0 ? STATUS_RATE_LIMITED : take_allowance(river, grant, now);
    for (size_t i = 0; i < chain->count && status == STATUS_OK; i++)
        status = take_allowance(river, &chain->links[i], now);
    if (status == STATUS_OK) {
        *left = least - 1;
        return STATUS_OK;
    }
    if (status != STATUS_NOMEM)
        status = STATUS_RATE_LIMITED;
    if (status == STATUS_RATE_LIMITED)
        error_set(error, "capability %s is used more often than its rate allows", grant->id);
    return status;
}
