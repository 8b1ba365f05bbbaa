/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/identity.h"

#include <stdlib.h>

#include "actors/identity/grant_use.h"
#include "actors/identity/guild.h"
#include "actors/identity/key_rotate.h"
#include "actors/identity/onboarding.h"
#include "actors/identity/onboarding_steps.h"
#include "actors/identity/pairing.h"
#include "actors/identity/register.h"
#include "actors/identity/river_approval.h"
#include "actors/identity/secret.h"
#include "actors/identity/sync.h"
#include "actors/identity/user.h"
#include "contracts/identity.h"

enum { SCHEMA = 1, LIST_REPLY_MAX = 200 * 1024 };

/* ---- reading */

struct page {
    struct context *context;
    int64_t skip, left;
    struct buffer records;
    uint32_t count;
};

static const enum status ENOUGH = STATUS_PENDING;

static enum status
take_agent(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct page *page = context;
    struct agent agent;
    (void)value;
    if (page->skip > 0) {
        page->skip--;
        return STATUS_OK;
    }
    if (page->left == 0 || page->records.size > LIST_REPLY_MAX)
        return ENOUGH;
    if (key.size < MOMENT_SIZE)
        return STATUS_OK;
    struct text id = {(const char *)key.data + MOMENT_SIZE, key.size - MOMENT_SIZE};
    enum status status = agent_get(page->context, id, &agent, error);
    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_STORE_FAILED : status;
    agent_pack(&page->records, &agent);
    page->count++;
    page->left--;
    return STATUS_OK;
}

static enum status
list(struct context *context, struct request *request, struct outcome *outcome, struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct page page = {.context = context,
                        .skip = arguments_integer(arguments, IDENTITY_LIST_OFFSET),
                        .left = arguments_integer(arguments, IDENTITY_LIST_LIMIT)};
    buffer_init(&page.records);
    enum status status =
        context_scan(context, SPACE_AGE, (struct bytes){0}, true, take_agent, &page, error);
    if (status == ENOUGH)
        status = STATUS_OK;
    if (status == STATUS_OK) {
        pack_array(outcome_reply(outcome), page.count);
        pack_raw(outcome_reply(outcome), buffer_bytes(&page.records));
        if (page.records.failed)
            status = STATUS_NOMEM;
    }
    buffer_clear(&page.records);
    return status;
}

/* ---- the service */

static enum status
state_new(void **state_p, const struct config *config, struct metrics *metrics, struct error *error)
{
    (void)metrics;
    struct identities *identities = calloc(1, sizeof *identities);
    if (!identities)
        return STATUS_NOMEM;
    enum status status = river_new(&identities->river, config, error);
    if (status == STATUS_OK)
        *state_p = identities;
    else
        free(identities);
    return status;
}

static void
state_destroy(void **state_p)
{
    struct identities *identities = *state_p;
    if (identities) {
        keyring_clear(&identities->keyring);
        river_destroy(&identities->river);
    }
    free(identities);
    *state_p = NULL;
}

static enum status
apply(void *state, store_space space, struct bytes key, struct bytes value, bool deleted,
      struct error *error)
{
    struct identities *identities = state;
    if (deleted)
        return STATUS_OK;
    identities->users += space == SPACE_USER; /* these rows are written once and stay */
    identities->guilds += space == SPACE_GUILD;
    enum status status = agent_check_row(space, key, value, error);
    if (status == STATUS_OK)
        status = onboarding_check_row(space, key, value, error);
    if (status == STATUS_OK)
        status = user_check_row(space, key, value, error);
    if (status == STATUS_OK)
        status = guild_check_row(space, key, value, error);
    if (status == STATUS_OK)
        status = secret_check_row(space, key, value, error);
    if (status == STATUS_OK)
        status = pairing_check_row(space, key, value, error);
    if (status == STATUS_OK)
        status = grant_check_row(space, key, value, error);
    if (status == STATUS_OK)
        status = approval_check_row(space, key, value, error);
    return status;
}

static enum status
loaded(struct context *context, struct error *error)
{
    return river_load(river_of(context), context, error);
}

static uint32_t
health(struct context *context, struct buffer *checks, bool *degraded)
{
    return river_health(river_of(context), checks, degraded);
}

static void
tick(struct context *context, struct outcome *outcome)
{
    river_tick(river_of(context), context, outcome);
}

#define ROW(operation, handler) [operation] = {operation, handler},
static const struct handler handlers[OP_IDENTITY_COUNT] = {IDENTITY_OPERATIONS(ROW)};

const struct service identity_service = {.contract = &identity_contract,
                                         .handlers = handlers,
                                         .handler_count = OP_IDENTITY_COUNT,
                                         .has_store = true,
                                         .schema = SCHEMA,
                                         .state_new = state_new,
                                         .state_destroy = state_destroy,
                                         .apply = apply,
                                         .loaded = loaded,
                                         .health = health,
                                         .tick = tick,
                                         .use_capability = use_capability,
                                         .routine = "identity_sync",
                                         .routine_ms = SYNC_MS};
