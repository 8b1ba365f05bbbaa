/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/dispatch.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/runtime/dispatch_core.h"
#include "kernel/assert.h"

enum status
dispatch_new(struct dispatch **dispatch_p, const struct dispatch_options *options,
             struct error *error)
{
    if (sodium_init() < 0) {
        error_set(error, "no source of random bytes");
        return STATUS_INTERNAL;
    }
    const struct service *service = options->service;
    ASSERT(service->has_store == (options->store != NULL));
    ASSERT(service->handler_count == service->contract->operation_count);
    for (size_t i = 0; i < service->handler_count; i++)
        ASSERT(service->handlers[i].operation == i && service->handlers[i].run);
    struct dispatch *dispatch = calloc(1, sizeof *dispatch);
    if (!dispatch)
        return STATUS_NOMEM;
    dispatch->port = options->port;
    dispatch->clock = options->clock;
    dispatch->limits = options->limits;
    if (dispatch->limits.requests_max == 0)
        dispatch->limits.requests_max = REQUESTS_MAX;
    if (dispatch->limits.request_bytes_max == 0)
        dispatch->limits.request_bytes_max = REQUEST_BYTES_MAX;
    if (dispatch->limits.idempotency.rows_max == 0)
        dispatch->limits.idempotency = IDEMPOTENCY_LIMITS;
    for (size_t i = 0; i < BUCKETS; i++)
        TAILQ_INIT(&dispatch->by_id[i]);
    TAILQ_INIT(&dispatch->waiting);
    TAILQ_INIT(&dispatch->keyed);
    TAILQ_INIT(&dispatch->ready);
    TAILQ_INIT(&dispatch->audit.ended);
    dispatch->audit.has_trail = options->has_trail;

    struct context *context = &dispatch->context;
    context->service = service;
    context->store = options->store;
    context->home = options->home;
    context->has_trail = options->has_trail;
    context->config = options->config;
    context->logger = options->logger;
    context->clock = options->clock;
    context->now = clock_now(options->clock);
    context->overlay = overlay_new();
    context->metrics = metrics_new();
    context->authoriser = authoriser_new(options->capability_keys, options->capability_key_count,
                                         options->require_capabilities);
    dispatch->steps = calloc(OVERLAY_STEPS_MAX, sizeof *dispatch->steps);
    dispatch->slice = store_batch_new();
    dispatch->started_us = context->now.monotonic_us;
    dispatch->tick_us = context->now.monotonic_us + TICK_US;

    enum status status = STATUS_NOMEM;
    if (!context->overlay || !context->metrics || !context->authoriser || !dispatch->steps ||
        !dispatch->slice)
        goto fail;
    status = builtin_metrics_open(dispatch);
    if (status == STATUS_OK)
        status = load_state(dispatch, error);
    if (status != STATUS_OK)
        goto fail;
    *dispatch_p = dispatch;
    return STATUS_OK;

fail:
    dispatch_destroy(&dispatch);
    return status;
}

/* An end that no step has told of: what was begun may have had effects. */
static void
note_end(struct dispatch *dispatch, const struct request *request, enum status status)
{
    if (!request->is_waiting && !request->answered)
        audit_note_end(dispatch, request, status, NULL);
}

static void
end_all(struct dispatch *dispatch)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct request *request;
        while ((request = TAILQ_FIRST(&dispatch->by_id[i])) != NULL) {
            note_end(dispatch, request, STATUS_CANCELLED);
            dispatch_end(dispatch, request);
        }
    }
}

void
dispatch_destroy(struct dispatch **dispatch_p)
{
    struct dispatch *dispatch = *dispatch_p;
    if (!dispatch)
        return;
    ASSERT(!dispatch->committing);
    end_all(dispatch);
    edition_stop(dispatch);
    buffer_clear(&dispatch->edition.kept);
    load_drop(dispatch);
    idempotency_destroy(&dispatch->idempotency);
    audit_notes_clear(&dispatch->audit.ended);
    timers_clear(&dispatch->timers);
    store_batch_destroy(&dispatch->slice);
    free(dispatch->steps);
    authoriser_destroy(&dispatch->context.authoriser);
    metrics_destroy(&dispatch->context.metrics);
    overlay_destroy(&dispatch->context.overlay);
    free(dispatch);
    *dispatch_p = NULL;
}

/* ---- the end of a request */

static void
stop_continuation(struct dispatch *dispatch, struct continuation *continuation)
{
    if (continuation->is_ready)
        TAILQ_REMOVE(&dispatch->ready, continuation, ready);
    else if (continuation->type == CONTINUATION_CALL)
        dispatch->port.cancel_call(dispatch->port.context, continuation);
    else if (continuation->transfer)
        dispatch->port.abort_http(dispatch->port.context, continuation->transfer);
    continuation->transfer = NULL;
    timers_remove(&dispatch->timers, &continuation->timer);
}

void
dispatch_stop_continuations(struct dispatch *dispatch, struct request *request)
{
    struct continuation *continuation;
    while ((continuation = TAILQ_FIRST(&request->continuations)) != NULL) {
        TAILQ_REMOVE(&request->continuations, continuation, link);
        stop_continuation(dispatch, continuation);
        continuation_destroy(&continuation);
    }
}

static struct requests *
bucket_of(struct dispatch *dispatch, const struct uuid *id)
{
    return &dispatch->by_id[uuid_hash(id) % BUCKETS];
}

void
dispatch_end(struct dispatch *dispatch, struct request *request)
{
    ASSERT(!request->ended);
    request->ended = true;
    dispatch_stop_continuations(dispatch, request);
    timers_remove(&dispatch->timers, &request->deadline);
    TAILQ_REMOVE(bucket_of(dispatch, &request->origin.request_id), request, by_id);
    if (request->is_waiting) {
        TAILQ_REMOVE(&dispatch->waiting, request, waiting);
        dispatch->waiting_count--;
    }
    if (request->is_keyed)
        TAILQ_REMOVE(&dispatch->keyed, request, keyed);
    dispatch->request_count--;
    dispatch->request_bytes -= request->bytes;
    if (request->batch_steps == 0)
        request_destroy(&request);
}

/* The broker has answered the caller by its own clock. */
static void
deadline_over(void *context, void *owner)
{
    const struct request *request = owner;
    builtin_count(context, request, STATUS_TIMEOUT);
    note_end(context, request, STATUS_TIMEOUT);
    dispatch_end(context, owner);
}

bool
dispatch_is_full(enum status status, const struct error *error)
{
    return status == STATUS_STORE_FAILED && strcmp(error->word, "storage_full") == 0;
}

void
dispatch_pack_refusal(struct dispatch *dispatch, const struct request *request, enum status status,
                      const struct error *error, struct buffer *reply)
{
    struct error public_error = *error;
    /* Said once in the log, plainly to everybody. */
    bool full = dispatch_is_full(status, error) || strcmp(error->word, AUDIT_WORD) == 0;
    bool hidden = !full && (status == STATUS_INTERNAL || status == STATUS_STORE_FAILED ||
                            status == STATUS_UNKNOWN);
    if (status_http(status) >= 500 && !full) {
        char principal[MESSAGE_NAME_MAX + 1] = "";
        memcpy(principal, request->principal.data, request->principal.size);
        const struct log_fields fields = {
            .trace = &request->trace, .agent_id = principal, .error = error->message};
        log_event(dispatch->context.logger, hidden ? LOG_ERROR : LOG_WARN, &fields, "%s failed: %s",
                  request->operation->type, status_word(status));
    }
    /* Paths and causes stay in the log. */
    if (hidden || public_error.message[0] == '\0')
        snprintf(public_error.message, sizeof public_error.message, "%s", status_text(status));
    buffer_reset(reply);
    error_pack(reply, status, &public_error);
}

static void
answer(struct dispatch *dispatch, struct request *request, enum status status, struct bytes payload)
{
    static const uint8_t empty_map[] = {0x80};
    if (status == STATUS_OK && payload.size == 0)
        payload = (struct bytes){empty_map, sizeof empty_map};
    struct error error = ERROR_INIT;
    enum status sent = STATUS_OK;
    if (!routine_is(dispatch, &request->origin.request_id))
        sent =
            dispatch->port.reply(dispatch->port.context, &request->origin, status, payload, &error);
    if (sent != STATUS_OK) {
        const struct log_fields fields = {.trace = &request->trace, .error = error.message};
        log_event(dispatch->context.logger, sent == STATUS_GONE ? LOG_DEBUG : LOG_WARN, &fields,
                  "the answer to %s could not be sent", request->operation->type);
    }
    builtin_count(dispatch, request, status);
    dispatch_end(dispatch, request);
}

void
dispatch_finish(struct dispatch *dispatch, struct request *request, enum status status,
                struct buffer *reply)
{
    if (status == STATUS_OK && request->chunk_count > 0) {
        request->answered = true;
        buffer_clear(&request->reply);
        request->reply = *reply;
        buffer_init(reply);
        return;
    }
    answer(dispatch, request, status, buffer_bytes(reply));
}

void
dispatch_refuse(struct dispatch *dispatch, struct request *request, enum status status,
                const struct error *error)
{
    struct buffer reply;
    buffer_init(&reply);
    if (!request->is_waiting && strcmp(error->word, AUDIT_WORD) != 0)
        audit_note_end(dispatch, request, status, error);
    dispatch_pack_refusal(dispatch, request, status, error, &reply);
    answer(dispatch, request, status, buffer_bytes(&reply));
    buffer_clear(&reply);
}

void
dispatch_flush_chunks(struct dispatch *dispatch, struct request *request)
{
    struct error error = ERROR_INIT;
    while (request->credit > 0 && request->chunk_count > 0) {
        struct chunk *chunk = TAILQ_FIRST(&request->chunks);
        enum status status =
            dispatch->port.chunk(dispatch->port.context, &request->origin, request->chunk_seq,
                                 (struct bytes){chunk->data, chunk->size}, &error);
        if (status != STATUS_OK) {
            dispatch_refuse(dispatch, request, status, &error);
            return;
        }
        request->credit--;
        request->chunk_seq++;
        request_take_chunk(request);
    }
    if (request->answered && request->chunk_count == 0)
        answer(dispatch, request, STATUS_OK, buffer_bytes(&request->reply));
}

/* ---- effects */

static void
make_ready(struct dispatch *dispatch, struct continuation *continuation, enum status status,
           const struct error *error, struct bytes payload)
{
    ASSERT(!continuation->is_ready);
    continuation->is_ready = true;
    continuation->transfer = NULL;
    continuation->status = status;
    if (error)
        continuation->error = *error;
    buffer_append(&continuation->payload, payload.data, payload.size);
    if (continuation->payload.failed) {
        continuation->status = STATUS_NOMEM;
        buffer_clear(&continuation->payload);
    }
    TAILQ_INSERT_TAIL(&dispatch->ready, continuation, ready);
}

/* What the request has left; never 0, so that it means "the default" to nobody. */
static uint32_t
clip_ms(const struct dispatch *dispatch, const struct request *request, uint32_t wanted_ms)
{
    uint64_t now_us = dispatch->context.now.monotonic_us;
    uint64_t left_us = request->deadline.at_us > now_us ? request->deadline.at_us - now_us : 0;
    uint64_t left_ms = left_us / 1000 + 1;
    if (wanted_ms > 0 && wanted_ms < left_ms)
        return wanted_ms;
    return left_ms > TTL_MAX_MS ? TTL_MAX_MS : (uint32_t)left_ms;
}

static enum status
start_call(struct dispatch *dispatch, struct continuation *continuation, struct error *error)
{
    const struct request *request = continuation->request;
    const struct outcome_call *call = &continuation->call;
    struct text token = text_is_empty(call->capability) ? request->capability : call->capability;
    struct dispatch_call out = {.service = call->service,
                                .type = call->type,
                                .payload = call->payload,
                                .ttl_ms = clip_ms(dispatch, request, call->ttl_ms),
                                .trace = &request->trace,
                                .capability = token,
                                .principal = request->principal,
                                .idempotency_key = call->idempotency_key};
    if (rights_is_answer(continuation)) { /* asked in the service's own name */
        out.capability = (struct text){NULL, 0};
        out.principal = (struct text){NULL, 0};
    }
    return dispatch->port.call(dispatch->port.context, &out, continuation, &continuation->call_id,
                               error);
}

static enum status
start_http(struct dispatch *dispatch, struct continuation *continuation, struct error *error)
{
    continuation->http.timeout_ms =
        clip_ms(dispatch, continuation->request, continuation->http.timeout_ms);
    return dispatch->port.http(dispatch->port.context, &continuation->http, continuation,
                               &continuation->transfer, error);
}

static void
delay_over(void *context, void *owner)
{
    make_ready(context, owner, STATUS_OK, NULL, (struct bytes){0});
}

static enum status
start_timer(struct dispatch *dispatch, struct continuation *continuation)
{
    uint64_t due_us = dispatch->context.now.monotonic_us + (uint64_t)continuation->delay_ms * 1000;
    timer_init(&continuation->timer, delay_over, continuation);
    return timers_set(&dispatch->timers, &continuation->timer, due_us) ? STATUS_OK : STATUS_NOMEM;
}

void
dispatch_start_effects(struct dispatch *dispatch, struct request *request,
                       struct continuations *effects)
{
    struct continuation *continuation;
    while ((continuation = TAILQ_FIRST(effects)) != NULL) {
        struct error error = ERROR_INIT;
        enum status status = STATUS_OK;
        TAILQ_REMOVE(effects, continuation, link);
        TAILQ_INSERT_TAIL(&request->continuations, continuation, link);
        switch (continuation->type) {
        case CONTINUATION_CALL:
            status = start_call(dispatch, continuation, &error);
            break;
        case CONTINUATION_HTTP:
            status = start_http(dispatch, continuation, &error);
            break;
        case CONTINUATION_TIMER:
            status = start_timer(dispatch, continuation);
            break;
        }
        if (status != STATUS_OK)
            make_ready(dispatch, continuation, status, &error, (struct bytes){0});
    }
}

/* ---- events */

void
dispatch_answer(struct dispatch *dispatch, struct continuation *handle, enum status status,
                struct bytes payload)
{
    struct error error = ERROR_INIT;
    if (edition_is_answer(dispatch, handle)) {
        edition_answered(dispatch, status, payload);
        return;
    }
    if (status != STATUS_OK) {
        error_unpack(payload, &error);
        if (error.message[0] == '\0')
            error_set(&error, "%s", status_text(status));
    }
    make_ready(dispatch, handle, status, &error, payload);
}

void
dispatch_http_data(struct dispatch *dispatch, struct continuation *handle, long http_status,
                   struct bytes piece)
{
    const struct event event = {
        .type = EVENT_HTTP_DATA, .tag = handle->tag, .payload = piece, .http_status = http_status};
    dispatch->context.now = clock_now(dispatch->clock);
    step_run_piece(dispatch, handle, &event);
}

void
dispatch_http_done(struct dispatch *dispatch, struct continuation *handle, enum status status,
                   const struct error *error, long http_status, struct bytes body)
{
    handle->http_status = http_status;
    make_ready(dispatch, handle, status, error, body);
}

/* ---- records */

static struct request *
find_request(struct dispatch *dispatch, const struct uuid *id)
{
    struct request *request;
    TAILQ_FOREACH(request, bucket_of(dispatch, id), by_id)
    if (uuid_equal(&request->origin.request_id, id))
        return request;
    return NULL;
}

static void
refuse_message(struct dispatch *dispatch, const struct message *message, enum status status,
               const struct error *error)
{
    struct peer_origin origin;
    struct buffer reply;
    buffer_init(&reply);
    peer_origin_of(&origin, message);
    builtin_count_refused(dispatch, message->type, status);
    error_pack(&reply, status, error);
    if (!routine_is(dispatch, &message->id))
        dispatch->port.reply(dispatch->port.context, &origin, status, buffer_bytes(&reply), NULL);
    buffer_clear(&reply);
}

static enum status
admit(struct dispatch *dispatch, const struct message *message, struct request **request_p,
      struct error *error)
{
    const struct operation *operation =
        contract_operation(dispatch->context.service->contract, message->type);
    if (!operation) {
        error_set_word(error, "operation_not_found", "%s has no operation %.*s",
                       dispatch->context.service->contract->service, TEXT_ARGS(message->type));
        return STATUS_NOT_FOUND;
    }
    if (dispatch->stopping || dispatch->failed) {
        error_set(error, "the service is stopping");
        return STATUS_UNAVAILABLE;
    }
    if (dispatch->request_count >= dispatch->limits.requests_max ||
        dispatch->request_bytes + message->payload.size > dispatch->limits.request_bytes_max) {
        error_set(error, "%zu requests are waiting", dispatch->request_count);
        return STATUS_BUSY;
    }
    return request_make(request_p, message, operation, error);
}

static void
take_request(struct dispatch *dispatch, const struct message *message)
{
    if (builtin_answer(dispatch, message))
        return;
    const struct request *same = find_request(dispatch, &message->id);
    struct error error = ERROR_INIT;
    if (same && text_equal_string(message->source, same->origin.source))
        return; /* sent again after a lost session: the one that runs answers */
    struct request *request = NULL;
    enum status status;
    if (same) {
        error_set_word(&error, "request_id_pending", "a request with this id is running");
        status = STATUS_ALREADY_EXISTS;
    } else {
        status = admit(dispatch, message, &request, &error);
    }
    if (status != STATUS_OK) {
        refuse_message(dispatch, message, status, &error);
        return;
    }

    uint64_t ttl_ms = message->ttl_ms ? message->ttl_ms : TTL_DEFAULT_MS;
    if (ttl_ms > TTL_MAX_MS)
        ttl_ms = TTL_MAX_MS;
    request->arrived_us = dispatch->context.now.monotonic_us;
    request->credit = dispatch->port.stream_credit(dispatch->port.context);
    timer_init(&request->deadline, deadline_over, request);
    if (!timers_set(&dispatch->timers, &request->deadline, request->arrived_us + ttl_ms * 1000)) {
        request_destroy(&request);
        refuse_message(dispatch, message, STATUS_NOMEM, &error);
        return;
    }
    TAILQ_INSERT_TAIL(bucket_of(dispatch, &request->origin.request_id), request, by_id);
    TAILQ_INSERT_TAIL(&dispatch->waiting, request, waiting);
    request->is_waiting = true;
    dispatch->waiting_count++;
    dispatch->request_count++;
    dispatch->request_bytes += request->bytes;
}

/* More than what a stream starts with is never outstanding. */
static void
take_credit(struct dispatch *dispatch, const struct message *message)
{
    struct request *request = find_request(dispatch, &message->correlation);
    if (!request)
        return;
    uint64_t most = dispatch->port.stream_credit(dispatch->port.context);
    uint64_t credit = message->seq > most ? most : request->credit + message->seq;
    request->credit = (uint32_t)(credit > most ? most : credit);
    dispatch_flush_chunks(dispatch, request);
}

void
dispatch_message(struct dispatch *dispatch, const struct message *message)
{
    dispatch->context.now = clock_now(dispatch->clock);
    struct request *request;
    switch (message->kind) {
    case KIND_REQUEST:
        take_request(dispatch, message);
        break;
    case KIND_CANCEL:
        request = find_request(dispatch, &message->correlation);
        if (request) {
            builtin_count(dispatch, request, STATUS_CANCELLED);
            note_end(dispatch, request, STATUS_CANCELLED);
            dispatch_end(dispatch, request);
        }
        break;
    case KIND_CONTROL:
        if (text_equal_string(message->type, "credit"))
            take_credit(dispatch, message);
        else if (text_equal_string(message->type, "capabilities_revoked"))
            rights_revoke(dispatch, message);
        else if (text_equal_string(message->type, "policy_changed"))
            edition_news(dispatch);
        break;
    default:
        break;
    }
}

/* ---- the loop */

bool
dispatch_run(struct dispatch *dispatch)
{
    dispatch->context.now = clock_now(dispatch->clock);
    timers_fire(&dispatch->timers, dispatch->context.now.monotonic_us, dispatch);
    routine_begin(dispatch);
    edition_ask(dispatch);
    if (dispatch->committing || dispatch->failed)
        return false;
    if (dispatch->checkpoint.wanted) {
        checkpoint_begin(dispatch);
        return false;
    }
    if (audit_flush_is_due(dispatch)) {
        audit_flush(dispatch);
        return false;
    }

    batch_begin(dispatch);
    size_t turns = 0;
    while (!TAILQ_EMPTY(&dispatch->ready) && batch_has_room(dispatch))
        step_run_event(dispatch, TAILQ_FIRST(&dispatch->ready));
    while (!TAILQ_EMPTY(&dispatch->waiting) && batch_has_room(dispatch) &&
           turns++ < OVERLAY_STEPS_MAX)
        step_run_request(dispatch, TAILQ_FIRST(&dispatch->waiting));
    if (dispatch->context.now.monotonic_us >= dispatch->tick_us) {
        dispatch->tick_us = dispatch->context.now.monotonic_us + TICK_US;
        step_run_tick(dispatch);
    }
    batch_close(dispatch);
    return !dispatch->committing && !dispatch->failed &&
           (!TAILQ_EMPTY(&dispatch->ready) || !TAILQ_EMPTY(&dispatch->waiting));
}

uint64_t
dispatch_deadline_us(const struct dispatch *dispatch)
{
    uint64_t next_us = timers_next(&dispatch->timers);
    return next_us < dispatch->tick_us || dispatch->committing ? next_us : dispatch->tick_us;
}

bool
dispatch_is_committing(const struct dispatch *dispatch)
{
    return dispatch->committing;
}

void
dispatch_session_lost(struct dispatch *dispatch)
{
    end_all(dispatch);
    edition_stop(dispatch);
}

void
dispatch_stop(struct dispatch *dispatch)
{
    dispatch->stopping = true;
    struct error error = ERROR_INIT;
    error_set(&error, "the service is stopping");
    struct request *request;
    while ((request = TAILQ_FIRST(&dispatch->waiting)) != NULL)
        dispatch_refuse(dispatch, request, STATUS_UNAVAILABLE, &error);
}

const struct error *
dispatch_failure(const struct dispatch *dispatch)
{
    return dispatch->failed ? &dispatch->failure : NULL;
}

struct context *
dispatch_context(struct dispatch *dispatch)
{
    return &dispatch->context;
}

size_t
dispatch_request_count(const struct dispatch *dispatch)
{
    return dispatch->request_count;
}
