/* SPDX-License-Identifier: Apache-2.0 */
/* The state is the fold of the store's rows: at start, and again after a commit that failed. */
#include <stdio.h>

#include "actors/runtime/dispatch_core.h"

struct loading {
    struct dispatch *dispatch;
    store_space space;
};

static void
name_row(struct error *error, store_space space, struct bytes key)
{
    char hex[2 * 16 + 1] = "";
    for (size_t i = 0; i < key.size && i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", key.data[i]);
    error_wrap(error, "row %s%s of space %u", hex, key.size > 16 ? "…" : "", space);
}

enum status
load_apply(struct dispatch *dispatch, const struct store_write *write, struct error *error)
{
    const struct service *service = dispatch->context.service;
    enum status status = STATUS_OK;
    if (write->type != STORE_PUT && write->type != STORE_DELETE)
        return STATUS_OK;
    bool deleted = write->type == STORE_DELETE;
    if (write->space == STORE_SPACE_IDEMPOTENCY)
        status = idempotency_apply(dispatch->idempotency, write->key, write->value, deleted, error);
    else if (write->space == STORE_SPACE_AUDIT)
        status = audit_apply(dispatch, write->key, write->value, deleted, error);
    else if (write->space < STORE_SPACE_RUNTIME && service->apply)
        status = service->apply(dispatch->context.state, write->space, write->key, write->value,
                                deleted, error);
    if (status != STATUS_OK)
        name_row(error, write->space, write->key);
    return status;
}

static enum status
load_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct loading *loading = context;
    const struct store_write write = {STORE_PUT, loading->space, key, value};
    return load_apply(loading->dispatch, &write, error);
}

static enum status
load_space(struct dispatch *dispatch, store_space space, struct error *error)
{
    struct loading loading = {dispatch, space};
    return store_scan(dispatch->context.store, space, (struct bytes){0}, false, load_row, &loading,
                      error);
}

void
load_drop(struct dispatch *dispatch)
{
    const struct service *service = dispatch->context.service;
    if (dispatch->context.state && service->state_destroy)
        service->state_destroy(&dispatch->context.state);
    dispatch->context.state = NULL;
}

enum status
load_state(struct dispatch *dispatch, struct error *error)
{
    struct context *context = &dispatch->context;
    const struct service *service = context->service;
    load_drop(dispatch);
    idempotency_destroy(&dispatch->idempotency);
    dispatch->idempotency = idempotency_new(dispatch->limits.idempotency);
    if (!dispatch->idempotency)
        return STATUS_NOMEM;

    enum status status = STATUS_OK;
    if (service->state_new)
        status = service->state_new(&context->state, context->config, context->metrics, error);
    for (unsigned space = 0; context->store && status == STATUS_OK && space < STORE_SPACE_RUNTIME;
         space++)
        status = load_space(dispatch, (store_space)space, error);
    if (context->store && status == STATUS_OK)
        status = load_space(dispatch, STORE_SPACE_IDEMPOTENCY, error);
    audit_forget_rows(dispatch);
    if (context->store && status == STATUS_OK)
        status = load_space(dispatch, STORE_SPACE_AUDIT, error);
    if (status != STATUS_OK)
        return status;
    idempotency_loaded(dispatch->idempotency);

    /* `loaded` reads what is stored, not a batch that has failed. */
    overlay_reset(context->overlay);
    edition_hand(dispatch);
    return service->loaded ? service->loaded(context, error) : STATUS_OK;
}
