/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/grant.h"

#include <sodium.h>
#include <stdlib.h>

#include "broker/core/ask.h"
#include "broker/core/bus.h"
#include "broker/core/revoke.h"
#include "kernel/contract.h"

enum {
    SECOND_US = 1000000,
    HASH_SIZE = 16,
    RESOURCE_MAX = 255 /* a token with a longer one has to come with each record */
};

/* Most sessions have one or two: the list grows by doubling. */
struct grant {
    struct ground ground;
    uint64_t expires_us;
    const char *action; /* of the contract */
    uint8_t hash[HASH_SIZE];
    size_t resource_size;
    char resource[RESOURCE_MAX];
};

struct grants {
    size_t count;
    size_t capacity;
    struct grant list[];
};

static void
hash_token(struct text token, uint8_t hash[static HASH_SIZE])
{
    crypto_generichash(hash, HASH_SIZE, (const uint8_t *)token.data, token.size, NULL, 0);
}

enum status
grant_check_rate(struct core *core, struct peer *peer, struct text token, struct error *error)
{
    if (text_is_empty(token) || (peer->rights & CORE_ACT_FOR_OTHERS) ||
        authoriser_knows(core->authoriser, token))
        return STATUS_OK;
    if (core->now.monotonic_us - peer->checked_since_us >= SECOND_US) {
        peer->checked_since_us = core->now.monotonic_us;
        peer->token_checks = 0;
    }
    if (peer->token_checks >= TOKEN_CHECKS_PER_SECOND) {
        error_set(error, "at most %d new capabilities of a peer are checked in a second",
                  TOKEN_CHECKS_PER_SECOND);
        return STATUS_RATE_LIMITED;
    }
    peer->token_checks++;
    return STATUS_OK;
}

enum status
grant_authorise(struct core *core, struct peer *peer, const struct claim *claim,
                struct error *error)
{
    struct grounds grounds;
    struct claim whole = *claim;
    enum status status = grant_check_rate(core, peer, claim->capability, error);
    core->ground = (struct ground){.id = 0};
    if (status != STATUS_OK)
        return status;
    whole.is_confirmed = core->is_confirmed;
    whole.grounds = &grounds;
    status = authorise(core->authoriser, &whole, core->now, error);
    if (status == STATUS_PENDING)
        return ask_identity(core, peer, claim, error);
    if (status == STATUS_OK)
        core->ground = ground_of(core, &grounds);
    if (status == STATUS_OK && claim->grounds)
        *claim->grounds = grounds;
    return status;
}

/* ---- what a session was given */

static bool
covers(const struct grant *grant, const struct claim *claim, uint64_t now_us)
{
    struct text allowed = {grant->resource, grant->resource_size};
    return now_us < grant->expires_us &&
           strcmp(grant->action, claim->operation->capability_action) == 0 &&
           (claim->is_pattern ? glob_covers(allowed, claim->resource)
                              : glob_match(allowed, claim->resource));
}

/* The token that the claim shows, or any when it shows none. */
static bool
is_granted(struct core *core, const struct peer *peer, const struct claim *claim)
{
    uint8_t hash[HASH_SIZE];
    if (!peer->grants || peer->grants->count == 0)
        return false;
    if (!text_is_empty(claim->capability))
        hash_token(claim->capability, hash);
    for (size_t i = 0; i < peer->grants->count; i++) {
        const struct grant *grant = &peer->grants->list[i];
        if (!text_is_empty(claim->capability) && memcmp(grant->hash, hash, HASH_SIZE) != 0)
            continue;
        if (!covers(grant, claim, core->now.wall_us))
            continue;
        core->ground = grant->ground;
        return true;
    }
    return false;
}

/* A place for one more: that of the grant that expires first when all are taken. NULL: no memory.
 */
static struct grant *
make_place(struct peer *peer)
{
    struct grants *grants = peer->grants;
    size_t capacity = grants ? grants->capacity : 0;
    if (!grants || (grants->count == capacity && capacity < GRANTS_MAX)) {
        size_t more = capacity ? capacity * 2 : 1;
        grants = realloc(grants, sizeof *grants + more * sizeof grants->list[0]);
        if (!grants)
            return NULL;
        if (!peer->grants)
            grants->count = 0;
        grants->capacity = more;
        peer->grants = grants;
    }
    if (grants->count < grants->capacity)
        return &grants->list[grants->count++];
    struct grant *first = &grants->list[0];
    for (size_t i = 1; i < grants->count; i++)
        if (grants->list[i].expires_us < first->expires_us)
            first = &grants->list[i];
    return first;
}

static void
remember(struct core *core, struct peer *peer, const struct claim *claim,
         const struct grounds *grounds)
{
    struct capability *capability = NULL;
    if (capability_parse(&capability, claim->capability, NULL) != STATUS_OK)
        return;
    const struct capability_request wanted = {.action =
                                                  text_of(claim->operation->capability_action),
                                              .resource = claim->resource,
                                              .subject = peer->identity,
                                              .is_pattern = claim->is_pattern};
    size_t size = strlen(capability_resource(capability));
    struct grant *grant = NULL;
    if (size <= RESOURCE_MAX &&
        capability_check_terms(capability, &wanted, core->now.wall_us, NULL) == STATUS_OK)
        grant = make_place(peer);
    if (grant) {
        grant->ground = core->ground;
        grant->expires_us = grounds->expires_us;
        grant->action = claim->operation->capability_action;
        grant->resource_size = size;
        memcpy(grant->resource, capability_resource(capability), size);
        hash_token(claim->capability, grant->hash);
    }
    capability_destroy(&capability);
}

enum status
grant_check(struct core *core, struct peer *peer, const struct claim *claim, struct error *error)
{
    /* What is given to a peer is for what it does itself. */
    bool is_own =
        claim->operation->capability_action && text_equal(claim->source, peer->identity) &&
        text_equal(claim->principal, claim->source) && text_equal(claim->subject, claim->source);
    if (is_own && is_granted(core, peer, claim))
        return STATUS_OK;
    struct grounds grounds = {.by_token = false};
    struct claim whole = *claim;
    whole.grounds = &grounds;
    enum status status = grant_authorise(core, peer, &whole, error);
    /* Uses are counted one by one: such a token comes with each record. */
    if (status == STATUS_OK && is_own && grounds.by_token && !grounds.is_counted)
        remember(core, peer, claim, &grounds);
    return status;
}

void
grants_drop(struct peer *peer, const struct ground_set *revoked)
{
    struct grants *grants = peer->grants;
    size_t kept = 0;
    for (size_t i = 0; grants && i < grants->count; i++)
        if (!ground_set_has(revoked, &grants->list[i].ground))
            grants->list[kept++] = grants->list[i];
    if (grants)
        grants->count = kept;
}

bool
grant_is_own_channel(const struct message *message, struct text name)
{
    struct text self = message->source;
    return (text_is_empty(message->principal) || text_equal(message->principal, self)) &&
           name.size > self.size && name.data[self.size] == ':' &&
           memcmp(name.data, self.data, self.size) == 0;
}

enum status
bus_allow(struct core *core, struct peer *peer, const struct message *message, unsigned operation,
          struct text resource, struct error *error)
{
    if (grant_is_own_channel(message, resource))
        return STATUS_OK;
    struct text speaker = message->principal.size ? message->principal : message->source;
    struct claim claim = {.operation = &bus_contract.operations[operation],
                          .source = message->source,
                          .principal = speaker,
                          .capability = message->capability,
                          .resource = resource,
                          .subject = speaker,
                          .is_pattern = glob_is_pattern(resource)};
    return grant_check(core, peer, &claim, error);
}
