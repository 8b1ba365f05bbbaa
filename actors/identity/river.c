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
    river->rates = calloc(RIVER_RATES, sizeof *river->rates);
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
    free(river->rates);
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

static struct rate_window *
find_window(struct river *river, const char *id)
{
    uint32_t hash = 2166136261u;
    for (const char *at = id; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    return &river->rates[hash & (RIVER_RATES - 1)];
}

/* How many more its rate allows; INT64_MAX: it has none. */
static int64_t
rate_left(struct river *river, const struct grant *grant, struct now now)
{
    struct constraints constraints;
    if (constraints_parse(capability_constraints(grant->capability), &constraints, NULL) !=
        STATUS_OK)
        return 0;
    if (!(constraints.set & CONSTRAINT_RATE_LIMIT))
        return INT64_MAX;
    struct rate_window *window = find_window(river, grant->id);
    if (strcmp(window->id, grant->id) != 0 ||
        now.monotonic_us - window->begin_us >= constraints.rate_us) {
        *window = (struct rate_window){.begin_us = now.monotonic_us};
        memcpy(window->id, grant->id, sizeof window->id);
    }
    return constraints.rate_count > window->count
               ? (int64_t)(constraints.rate_count - window->count)
               : 0;
}

static void
count_rate(struct river *river, const struct grant *grant)
{
    struct rate_window *window = find_window(river, grant->id);
    if (strcmp(window->id, grant->id) == 0)
        window->count++;
}

enum status
river_take_rate(struct river *river, const struct grant *grant, const struct chain *chain,
                struct now now, int64_t *left, struct error *error)
{
    int64_t least = rate_left(river, grant, now);
    for (size_t i = 0; i < chain->count; i++) {
        int64_t more = rate_left(river, &chain->links[i], now);
        least = more < least ? more : least;
    }
    if (least == 0) {
        error_set(error, "capability %s is used more often than its rate allows", grant->id);
        return STATUS_RATE_LIMITED;
    }
    if (least == INT64_MAX)
        return STATUS_OK;
    count_rate(river, grant);
    for (size_t i = 0; i < chain->count; i++)
        count_rate(river, &chain->links[i]);
    *left = least - 1;
    return STATUS_OK;
}
