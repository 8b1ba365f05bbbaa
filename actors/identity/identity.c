/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/identity.h"

#include <stdlib.h>

#include "actors/identity/register.h"
#include "actors/identity/sync.h"
#include "contracts/identity.h"

enum { SCHEMA = 1, LIST_REPLY_MAX = 200 * 1024, AGE_SIZE = 8 };

/* ---- reading */

static enum status
get(struct context *context, struct request *request, struct outcome *outcome, struct error *error)
{
    struct agent agent;
    struct text id = arguments_text(request_arguments(request), IDENTITY_GET_ID);
    enum status status = agent_get(context, id, &agent, error);
    if (status == STATUS_OK)
        agent_pack(outcome_reply(outcome), &agent);
    return status;
}

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
    if (key.size < AGE_SIZE)
        return STATUS_OK;
    struct text id = {(const char *)key.data + AGE_SIZE, key.size - AGE_SIZE};
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
    (void)config;
    (void)metrics;
    (void)error;
    *state_p = calloc(1, sizeof(struct identities));
    return *state_p ? STATUS_OK : STATUS_NOMEM;
}

static void
state_destroy(void **state_p)
{
    free(*state_p);
    *state_p = NULL;
}

static enum status
apply(void *state, store_space space, struct bytes key, struct bytes value, bool deleted,
      struct error *error)
{
    (void)state;
    return deleted ? STATUS_OK : agent_check_row(space, key, value, error);
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
                                         .routine = "identity_sync",
                                         .routine_ms = SYNC_MS};
