/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/grant_revoke.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/identity/grant_rows.h"
#include "actors/identity/grant_use.h"
#include "contracts/identity.h"

enum { BROKER_TTL_MS = 10000 };

/* What one record tells the broker. */
struct push {
    size_t count;
    struct {
        char id[GRANT_ID_MAX + 1];
        uint64_t expires_us;
    } rows[GRANT_FAMILY_MAX];
    uint64_t news;              /* version of the policy that is told */
    unsigned adopted, finished; /* of the routine that this ends */
};

/* ---- the broker */

static void
add_row(struct push *push, struct text id, uint64_t expires_us)
{
    memcpy(push->rows[push->count].id, id.data, id.size);
    push->rows[push->count].id[id.size] = '\0';
    push->rows[push->count++].expires_us = expires_us;
}

static void
call_broker(struct outcome *outcome, const char *type, const struct buffer *payload,
            resume_fn *resume)
{
    if (payload->failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_call(outcome,
                     &(struct outcome_call){.service = "bus",
                                            .type = type,
                                            .payload = buffer_bytes(payload),
                                            .ttl_ms = BROKER_TTL_MS},
                     resume);
}

static void
push_rows(struct outcome *outcome, const struct push *push, resume_fn *resume)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_string(&payload, "capabilities");
    pack_array(&payload, (uint32_t)push->count);
    for (size_t i = 0; i < push->count; i++) {
        pack_map(&payload, 2);
        pack_pair_string(&payload, "id", push->rows[i].id);
        pack_pair_uint(&payload, "expires_us", push->rows[i].expires_us);
    }
    call_broker(outcome, "capability_revoke", &payload, resume);
    buffer_clear(&payload);
}

static void
close_rows(struct outcome *outcome, const struct push *push)
{
    for (size_t i = 0; i < push->count; i++)
        outcome_delete(outcome, SPACE_GRANT_OPEN, bytes_of(text_of(push->rows[i].id)));
}

/* ---- revoke */

struct revoking {
    struct context *context;
    const struct request *request;
    struct outcome *outcome;
    struct push *push;
    struct text reason;
    const char *cause; /* id of the one that was asked for */
};

static void
audit(const struct revoking *revoking, const struct grant *grant)
{
    bool follows = strcmp(grant->id, revoking->cause) != 0;
    outcome_audit(
        revoking->outcome,
        &(struct audit_entry){.event = "capability.revoked",
                              .actor = request_principal(revoking->request),
                              .subject = text_of(capability_subject(grant->capability)),
                              .action = text_of(capability_action(grant->capability)),
                              .resource = text_of(capability_resource(grant->capability)),
                              .capability_id = text_of(grant->id),
                              .outcome = "ok",
                              .detail = follows ? text_of("as a descendant") : revoking->reason});
}

/* One that has expired already needs no telling: it is refused by everybody. */
static enum status
revoke_one(void *context, struct grant *grant, struct error *error)
{
    struct revoking *revoking = context;
    uint64_t expires_us = capability_expires_us(grant->capability);
    if (grant->state == GRANT_EXPIRED)
        return STATUS_OK;
    if (grant->state != GRANT_REVOKED) {
        enum status status = state_step(&grant_machine, &grant->state, GRANT_ON_REVOKE, error);
        if (status != STATUS_OK)
            return status;
        struct text by = request_principal(revoking->request);
        grant->changed_us = context_now(revoking->context).wall_us;
        snprintf(grant->by, sizeof grant->by, "%.*s", TEXT_ARGS(by));
        snprintf(grant->reason, sizeof grant->reason, "%.*s", TEXT_ARGS(revoking->reason));
        grant_put(revoking->outcome, grant);
        audit(revoking, grant);
    }
    if (revoking->push->count < GRANT_FAMILY_MAX) {
        struct buffer mark;
        buffer_init(&mark);
        pack_uint(&mark, expires_us);
        outcome_put(revoking->outcome, SPACE_GRANT_OPEN, bytes_of(text_of(grant->id)),
                    buffer_bytes(&mark));
        buffer_clear(&mark);
        add_row(revoking->push, text_of(grant->id), expires_us);
    }
    return STATUS_OK;
}

static enum status
answer(struct context *context, struct outcome *outcome, struct text id, size_t count,
       struct error *error)
{
    struct grant grant = {0};
    struct buffer *out = outcome_reply(outcome);
    enum status status = grant_get(context, id, &grant, error);
    if (status == STATUS_OK) {
        pack_map(out, 2);
        pack_string(out, "capability");
        status = grant_pack(&grant, out, error);
        pack_pair_uint(out, "revoked", count);
    }
    grant_clear(&grant);
    return status;
}

enum status
grant_taken_back(struct request *request, const struct event *event, struct outcome *outcome,
                 struct error *error)
{
    if (event->status != STATUS_OK) {
        error_set(error,
                  "the revocation is recorded, but the broker has not confirmed it yet (%s); it is "
                  "asked again by itself",
                  event->error.message);
        return STATUS_UNAVAILABLE;
    }
    close_rows(outcome, request_progress(request));
    return STATUS_OK;
}

static enum status
on_revoked(struct context *context, struct request *request, const struct event *event,
           struct outcome *outcome, struct error *error)
{
    const struct push *push = request_progress(request);
    struct text id = arguments_text(request_arguments(request), IDENTITY_CAPABILITY_REVOKE_ID);
    enum status status = grant_taken_back(request, event, outcome, error);
    return status == STATUS_OK ? answer(context, outcome, id, push->count, error) : status;
}

/* Whoever holds it, or one of its ancestors, may take it back: an agent's key says who it is.
 * Anybody else needs the right to. */
static enum status
check_right(struct context *context, const struct request *request, const struct shown *shown,
            struct error *error)
{
    struct text source = request_source(request);
    bool is_agent = text_starts_with(source, "agent:");
    struct buffer resource;
    if (is_agent && text_equal(source, request_principal(request)) && shown_is_of(shown, source))
        return STATUS_OK;
    buffer_init(&resource);
    buffer_append_format(&resource, "capability:%s", shown->grant.id);
    struct text subject =
        is_agent ? text_of(capability_subject(shown->grant.capability)) : (struct text){0};
    enum status status =
        resource.failed
            ? STATUS_NOMEM
            : request_authorise_resource(context, request, buffer_text(&resource), subject, error);
    buffer_clear(&resource);
    return status;
}

/* The one in the book, or one that was made elsewhere with a key that counts and is shown. */
static enum status
find(struct context *context, const struct request *request, struct text id, struct shown *shown,
     struct error *error)
{
    struct buffer token;
    enum status status = grant_get(context, id, &shown->grant, error);
    if (status == STATUS_OK) {
        shown->in_book = true;
        return chain_load(context, shown->grant.capability, &shown->chain, error);
    }
    if (status != STATUS_NOT_FOUND ||
        !arguments_has(request_arguments(request), IDENTITY_CAPABILITY_REVOKE_TOKEN))
        return status;
    buffer_init(&token);
    status = right_token(request, IDENTITY_CAPABILITY_REVOKE_TOKEN, &token, error);
    if (status == STATUS_OK)
        status = shown_read(context, buffer_text(&token), shown, error);
    buffer_clear(&token);
    if (status == STATUS_OK && !text_equal_string(id, shown->grant.id)) {
        error_set_field(error, "token", "expected the capability of the id in the path");
        status = STATUS_VALIDATION;
    }
    return status;
}

static enum status
revoke(struct context *context, struct request *request, struct outcome *outcome,
       struct shown *shown, struct error *error)
{
    struct push *push = calloc(1, sizeof *push);
    if (!push)
        return STATUS_NOMEM;
    request_set_progress(request, push, free);
    struct revoking revoking = {
        .context = context,
        .request = request,
        .outcome = outcome,
        .push = push,
        .reason = arguments_text(request_arguments(request), IDENTITY_CAPABILITY_REVOKE_REASON),
        .cause = shown->grant.id};
    enum status status = shown_keep(context, outcome, shown, error);
    if (status == STATUS_OK)
        status = revoke_one(&revoking, &shown->grant, error);
    if (status == STATUS_OK)
        status = grant_descendants(context, text_of(shown->grant.id), revoke_one, &revoking, error);
    if (status != STATUS_OK)
        return status;
    if (push->count == 0)
        return answer(context, outcome, text_of(shown->grant.id), 0, error);
    push_rows(outcome, push, on_revoked);
    return STATUS_PENDING;
}

enum status
grant_take_back(struct context *context, struct request *request, struct outcome *outcome,
                struct text id, struct text reason, resume_fn *resume, struct error *error)
{
    struct grant grant = {0};
    struct push *push = calloc(1, sizeof *push);
    if (!push)
        return STATUS_NOMEM;
    request_set_progress(request, push, free);
    struct revoking revoking = {.context = context,
                                .request = request,
                                .outcome = outcome,
                                .push = push,
                                .reason = reason,
                                .cause = grant.id};
    enum status status = grant_get(context, id, &grant, error);
    bool unknown = status == STATUS_NOT_FOUND;
    if (status == STATUS_OK)
        status = revoke_one(&revoking, &grant, error);
    if (status == STATUS_OK)
        status = grant_descendants(context, id, revoke_one, &revoking, error);
    grant_clear(&grant);
    if (unknown || (status == STATUS_OK && push->count == 0))
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    push_rows(outcome, push, resume);
    return STATUS_PENDING;
}

enum status
capability_revoke(struct context *context, struct request *request, struct outcome *outcome,
                  struct error *error)
{
    struct text id = arguments_text(request_arguments(request), IDENTITY_CAPABILITY_REVOKE_ID);
    struct shown shown = {0};
    enum status status = find(context, request, id, &shown, error);
    if (status == STATUS_OK)
        status = check_right(context, request, &shown, error);
    if (status == STATUS_OK)
        status = revoke(context, request, outcome, &shown, error);
    shown_clear(&shown);
    return status;
}

/* ---- the routine */

static const enum status ENOUGH = STATUS_PENDING;

static enum status
take_open(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct push *push = context;
    struct value expires;
    (void)error;
    if (push->count == GRANT_FAMILY_MAX)
        return ENOUGH;
    if (key.size <= GRANT_ID_MAX && value_parse(value, &expires) && expires.type == VALUE_UINT)
        add_row(push, (struct text){(const char *)key.data, key.size}, expires.as.uint);
    return STATUS_OK;
}

static enum status go_on(struct context *context, struct request *request, struct outcome *outcome,
                         struct error *error);

static enum status
on_told(struct context *context, struct request *request, const struct event *event,
        struct outcome *outcome, struct error *error)
{
    struct push *push = request_progress(request);
    if (event->status != STATUS_OK) {
        *error = event->error;
        return event->status;
    }
    if (push->count > 0) {
        close_rows(outcome, push);
        push->finished += (unsigned)push->count;
    } else {
        enum status status = river_news_told(context, outcome, push->news, error);
        if (status != STATUS_OK)
            return status;
    }
    return go_on(context, request, outcome, error);
}

static enum status
tell_news(struct context *context, struct outcome *outcome, struct push *push, struct error *error)
{
    struct buffer edition, payload;
    buffer_init(&edition);
    buffer_init(&payload);
    enum status status = river_find_news(context, &edition, &push->news, error);
    if (status == STATUS_OK && edition.size > 0) {
        pack_map(&payload, 1);
        pack_pair_text(&payload, "edition", buffer_text(&edition));
        call_broker(outcome, "policy_changed", &payload, on_told);
        status = STATUS_PENDING;
    }
    buffer_clear(&payload);
    buffer_clear(&edition);
    return status;
}

static enum status
go_on(struct context *context, struct request *request, struct outcome *outcome,
      struct error *error)
{
    struct push *push = request_progress(request);
    push->count = 0;
    enum status status =
        context_scan(context, SPACE_GRANT_OPEN, (struct bytes){0}, false, take_open, push, error);
    if (status != STATUS_OK && status != ENOUGH)
        return status;
    if (push->count > 0) {
        push_rows(outcome, push, on_told);
        return STATUS_PENDING;
    }
    status = tell_news(context, outcome, push, error);
    if (status == STATUS_OK) {
        pack_map(outcome_reply(outcome), 2);
        pack_pair_uint(outcome_reply(outcome), "adopted", push->adopted);
        pack_pair_uint(outcome_reply(outcome), "finished", push->finished);
    }
    return status;
}

enum status
tell_broker(struct context *context, struct request *request, struct outcome *outcome,
            unsigned adopted, unsigned finished, struct error *error)
{
    struct push *push = calloc(1, sizeof *push);
    if (!push)
        return STATUS_NOMEM;
    push->adopted = adopted;
    push->finished = finished;
    request_set_progress(request, push, free);
    return go_on(context, request, outcome, error);
}
