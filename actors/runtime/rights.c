/* SPDX-License-Identifier: Apache-2.0 */
/* The gate before every handler: what a request's token allows, what only service:identity knows of
 * it, and what becomes of requests whose token is taken back. */
#include <stdlib.h>

#include "actors/runtime/dispatch_core.h"
#include "kernel/assert.h"
#include "kernel/pack.h"

enum { USE_TTL_MS = 3000 };

/* ---- the check */

struct text
rights_subject(const struct request *request)
{
    const struct operation *operation = request->operation;
    if (!operation->capability_subject)
        return (struct text){0};
    for (size_t i = 0; i < operation->field_count; i++)
        if (strcmp(operation->fields[i].name, operation->capability_subject) == 0 &&
            request->arguments.present[i] && request->arguments.values[i].type == VALUE_TEXT)
            return request->arguments.values[i].as.text;
    return (struct text){0};
}

static bool
names_resource_itself(const struct request *request)
{
    return (request->operation->flags & OPERATION_RESOLVES_RESOURCE) != 0;
}

static void
make_resource(const struct request *request, struct buffer *resource)
{
    buffer_init(resource);
    if (request->operation->capability_resource && !names_resource_itself(request))
        contract_resource(request->operation, &request->arguments, resource);
}

/* A list is cut to what the token allows: whoever asks for more gets as much. */
static enum status
limit_results(struct request *request, struct error *error)
{
    const struct constraints *constraints = &request->grounds.constraints;
    struct arguments *arguments = &request->arguments;
    if (!(constraints->set & CONSTRAINT_MAX_RESULTS))
        return STATUS_OK;
    for (size_t i = 0; i < request->operation->field_count; i++) {
        const struct field *field = &request->operation->fields[i];
        if (field->type != FIELD_INTEGER || strcmp(field->name, "limit") != 0)
            continue;
        if (constraints->max_results < field->min) {
            error_set_word(error, "capability_max_results",
                           "the capability allows %lld results, at least %lld are asked for",
                           (long long)constraints->max_results, (long long)field->min);
            return STATUS_SCOPE_DENIED;
        }
        if (arguments->present[i] &&
            arguments_integer(arguments, (unsigned)i) <= constraints->max_results)
            continue;
        int64_t most =
            constraints->max_results < field->max ? constraints->max_results : field->max;
        arguments->present[i] = true;
        arguments->values[i] = (struct value){.type = VALUE_UINT, .as.uint = (uint64_t)most};
    }
    return STATUS_OK;
}

enum status
rights_check(struct dispatch *dispatch, struct request *request, struct error *error)
{
    struct context *context = &dispatch->context;
    struct claim claim = {.operation = request->operation,
                          .source = text_of(request->origin.source),
                          .principal = request->principal,
                          .capability = request->capability,
                          .subject = rights_subject(request),
                          .is_confirmed = request->is_confirmed,
                          .grounds = &request->grounds};
    enum status status;
    if (names_resource_itself(request)) {
        status = authorise_early(context->authoriser, &claim, context->now, error);
    } else {
        struct buffer resource;
        make_resource(request, &resource);
        claim.resource = buffer_text(&resource);
        status = resource.failed ? STATUS_NOMEM
                                 : authorise(context->authoriser, &claim, context->now, error);
        buffer_clear(&resource);
    }
    return status == STATUS_OK ? limit_results(request, error) : status;
}

enum status
request_authorise_resource(struct context *context, const struct request *request,
                           struct text resource, struct text subject, struct error *error)
{
    const struct claim claim = {.operation = request->operation,
                                .principal = request->principal,
                                .source = text_of(request->origin.source),
                                .capability = request->capability,
                                .resource = resource,
                                .subject = subject,
                                .is_confirmed = request->is_confirmed};
    enum status status = authorise(context->authoriser, &claim, context->now, error);
    /* A revocation came between and took the yes along. */
    return status == STATUS_PENDING ? STATUS_UNAVAILABLE : status;
}

const struct constraints *
request_constraints(const struct request *request)
{
    return &request->grounds.constraints;
}

bool
request_is_by_token(const struct request *request)
{
    return request->grounds.by_token;
}

/* ---- service:identity */

static struct uuid
use_name(struct dispatch *dispatch, const struct request *request)
{
    struct context *context = &dispatch->context;
    struct uuid fresh = context_uuid(context);
    return authoriser_use_name(context->authoriser, context->service->contract->service,
                               &request->origin.request_id, &fresh, context->now);
}

static enum status
confirm(struct dispatch *dispatch, struct request *request, bool is_free, struct error *error)
{
    struct context *context = &dispatch->context;
    request->is_confirmed = true;
    return authoriser_confirm(context->authoriser, request->capability, is_free,
                              &request->origin.request_id, context->now, error);
}

static void
pack_use(struct dispatch *dispatch, const struct request *request, struct buffer *payload)
{
    struct buffer resource;
    char id[UUID_TEXT_SIZE];
    struct uuid name = use_name(dispatch, request);
    make_resource(request, &resource);
    uuid_format(&name, id);
    pack_map(payload, 5);
    pack_pair_text(payload, "capability", request->capability);
    pack_pair_string(payload, "request_id", id);
    pack_pair_string(payload, "action", request->operation->capability_action);
    pack_pair_text(payload, "resource", buffer_text(&resource));
    pack_pair_text(payload, "subject", rights_subject(request));
    payload->failed = payload->failed || resource.failed;
    buffer_clear(&resource);
}

/* Never run: rights_answered() takes the event before it would be. */
static enum status
on_use(struct context *context, struct request *request, const struct event *event,
       struct outcome *outcome, struct error *error)
{
    (void)context, (void)request, (void)event, (void)outcome, (void)error;
    ASSERT(false);
    return STATUS_INTERNAL;
}

bool
rights_is_answer(const struct continuation *continuation)
{
    return continuation->resume == on_use;
}

void
rights_ask(struct dispatch *dispatch, struct request *request)
{
    struct outcome outcome;
    struct buffer payload;
    struct error error = ERROR_INIT;
    buffer_init(&payload);
    pack_use(dispatch, request, &payload);
    outcome_init(&outcome, &dispatch->context, request, false);
    outcome_call(&outcome,
                 &(struct outcome_call){.service = "identity",
                                        .type = "capability_use",
                                        .payload = buffer_bytes(&payload),
                                        .ttl_ms = USE_TTL_MS},
                 on_use);
    enum status status = payload.failed ? STATUS_NOMEM : STATUS_OK;
    status = outcome_settle(&outcome, status, &error);
    if (status == STATUS_OK)
        dispatch_start_effects(dispatch, request, &outcome.effects);
    else
        step_refuse(dispatch, request, status, &error);
    outcome_clear(&outcome);
    buffer_clear(&payload);
}

enum status
rights_use_here(struct dispatch *dispatch, struct request *request, struct outcome *outcome,
                struct error *error)
{
    struct buffer resource;
    struct uuid name = use_name(dispatch, request);
    make_resource(request, &resource);
    const struct capability_use use = {.capability = request->capability,
                                       .request_id = &name,
                                       .action = text_of(request->operation->capability_action),
                                       .resource = buffer_text(&resource),
                                       .subject = rights_subject(request)};
    enum status status =
        resource.failed
            ? STATUS_NOMEM
            : dispatch->context.service->use_capability(&dispatch->context, &use, outcome, error);
    buffer_clear(&resource);
    if (status != STATUS_OK)
        return status;
    outcome_timer(outcome, 0, 0, on_use); /* on disk before the handler runs, whatever it says */
    return STATUS_PENDING;
}

void
rights_answered(struct dispatch *dispatch, struct continuation *continuation)
{
    struct request *request = continuation->request;
    struct error error = continuation->error;
    enum status status = authoriser_use_status(continuation->status, &error);
    bool is_free = authoriser_use_is_free(buffer_bytes(&continuation->payload));
    continuation_destroy(&continuation);
    if (status == STATUS_OK)
        status = confirm(dispatch, request, is_free, &error);
    if (status != STATUS_OK) {
        step_refuse(dispatch, request, status, &error);
        return;
    }
    TAILQ_INSERT_HEAD(&dispatch->waiting, request, waiting);
    request->is_waiting = true;
    dispatch->waiting_count++;
}

/* ---- revocations */

static enum status
read_revocations(const struct message *message, struct revocation *list, size_t *count,
                 struct error *error)
{
    struct value payload, ids, times, id, time;
    if (!value_parse(message->payload, &payload) || !value_find(&payload, "ids", &ids) ||
        ids.type != VALUE_ARRAY || ids.as.count > REVOCATION_BATCH_MAX) {
        error_set(error, "expected a map with at most %d ids", REVOCATION_BATCH_MAX);
        return STATUS_INVALID;
    }
    bool timed = value_find(&payload, "expires_us", &times) && times.type == VALUE_ARRAY &&
                 times.as.count == ids.as.count;
    struct entries id_entries = value_entries(&ids), time_entries = {.left = 0};
    if (timed)
        time_entries = value_entries(&times);
    for (*count = 0; entries_next(&id_entries, &id); (*count)++) {
        uint64_t expires_us = UINT64_MAX; /* not said: as long as this service lives */
        if (timed && entries_next(&time_entries, &time) && time.type == VALUE_UINT)
            expires_us = time.as.uint;
        if (id.type != VALUE_TEXT) {
            error_set(error, "an id is not text");
            return STATUS_INVALID;
        }
        list[*count] = (struct revocation){id.as.text, expires_us};
    }
    return STATUS_OK;
}

void
rights_refuse_revoked(struct dispatch *dispatch, struct request *request)
{
    struct error error = ERROR_INIT;
    error_set_word(&error, "capability_revoked", "capability %s was revoked while the request ran",
                   request->grounds.id);
    dispatch_refuse(dispatch, request, STATUS_SCOPE_DENIED, &error);
}

static void
stop_revoked(struct dispatch *dispatch)
{
    struct context *context = &dispatch->context;
    for (size_t i = 0; i < BUCKETS; i++) {
        struct request *next;
        for (struct request *request = TAILQ_FIRST(&dispatch->by_id[i]); request; request = next) {
            next = TAILQ_NEXT(request, by_id);
            if (!authoriser_is_revoked(context->authoriser, &request->grounds, context->now))
                continue;
            request->is_revoked = true;
            /* What is being written is let be; batch.c tells the outcome, or that it ends here. */
            if (request->batch_steps == 0)
                rights_refuse_revoked(dispatch, request);
        }
    }
}

void
rights_revoke(struct dispatch *dispatch, const struct message *message)
{
    struct context *context = &dispatch->context;
    static const char words[] = "revoked capabilities cannot be taken in, so none is accepted: %s";
    struct revocation *list = calloc(REVOCATION_BATCH_MAX, sizeof *list);
    struct error error = ERROR_INIT;
    size_t count = 0;
    enum status status = STATUS_NOMEM;
    if (list)
        status = read_revocations(message, list, &count, &error);
    if (status == STATUS_OK)
        status = authoriser_revoke(context->authoriser, list, count, context->now, &error);
    if (status != STATUS_OK) {
        log_error(context->logger, words, error.message[0] ? error.message : status_text(status));
        authoriser_distrust(context->authoriser);
    }
    free(list);
    stop_revoked(dispatch);
}
