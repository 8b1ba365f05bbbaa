/* SPDX-License-Identifier: Apache-2.0 */
/* One handler run: the gate before it, the outcome after it. */
#include "actors/runtime/dispatch_core.h"

/* ---- the store */

/* Loading the state again costs time: a broken disk must not make that happen with every write. */
static enum status
check_store(const struct dispatch *dispatch, const struct operation *operation, struct error *error)
{
    if (!dispatch->store_failed || !(operation->flags & OPERATION_WRITE) ||
        dispatch->context.now.monotonic_us >= dispatch->store_retry_us)
        return STATUS_OK;
    error_set(error, "a commit failed less than a second ago");
    return STATUS_STORE_FAILED;
}

/* ---- idempotency */

/* OK: reply holds the first answer. NOT_FOUND: run the handler. */
static enum status
find_first_answer(struct dispatch *dispatch, struct request *request, struct buffer *reply,
                  struct error *error)
{
    if (request->is_keyed) /* it is the first, and waited for service:identity */
        return STATUS_NOT_FOUND;
    /* What holds a secret is not kept, not even as the hash of a body that could be guessed. */
    if (text_is_empty(request->idempotency_key) || !dispatch->context.store ||
        !(request->operation->flags & OPERATION_WRITE) || request->operation->secrets)
        return STATUS_NOT_FOUND;
    idempotency_hash(request->principal, text_of(request->operation->type),
                     request->idempotency_key, request->idempotency_hash);
    idempotency_hash_body(request->payload, request->body_hash);
    enum status status = idempotency_find(
        dispatch->idempotency, dispatch->context.overlay, dispatch->context.store,
        request->idempotency_hash, request->body_hash, dispatch->context.now.wall_us, reply, error);
    if (status != STATUS_NOT_FOUND)
        return status;

    const struct request *other;
    TAILQ_FOREACH(other, &dispatch->keyed, keyed)
    {
        if (memcmp(other->idempotency_hash, request->idempotency_hash, IDEMPOTENCY_HASH_SIZE) != 0)
            continue;
        bool same = memcmp(other->body_hash, request->body_hash, IDEMPOTENCY_HASH_SIZE) == 0;
        error_set_word(error, same ? "idempotency_in_progress" : "idempotency_key_reused",
                       same ? "the first request with this idempotency key is still running"
                            : "this idempotency key was used for a request with another body");
        return STATUS_CONFLICT;
    }
    TAILQ_INSERT_TAIL(&dispatch->keyed, request, keyed);
    request->is_keyed = true;
    return STATUS_NOT_FOUND;
}

/* ---- a step */

static struct step *
begin(struct dispatch *dispatch, struct request *request)
{
    struct step *step = &dispatch->steps[dispatch->step_count];
    *step = (struct step){.request = request, .first = overlay_count(dispatch->context.overlay)};
    TAILQ_INIT(&step->effects);
    if (request && request->batch_steps > 0)
        for (size_t i = 0; i < dispatch->step_count; i++)
            if (dispatch->steps[i].request == request)
                step_set_add(&step->seen, i);
    if (request)
        request->batch_steps++;
    overlay_begin_step(dispatch->context.overlay, dispatch->step_count, &step->seen);
    dispatch->step_count++;
    return step;
}

static enum status
judge(struct dispatch *dispatch, struct outcome *outcome, enum status status, struct error *error)
{
    const struct request *request = outcome->request;
    status = outcome_settle(outcome, status, error);
    if (status == STATUS_OK && outcome->effect_count > 0) {
        error_set(error, "the handler answered and recorded a call that nobody would wait for");
        return STATUS_INTERNAL;
    }
    if (status == STATUS_PENDING && outcome->effect_count == 0 &&
        (!request || TAILQ_EMPTY(&request->continuations))) {
        error_set(error, "the handler waits for nothing");
        return STATUS_INTERNAL;
    }
    if (status == STATUS_OK && outcome->reply.size > REPLY_SIZE_MAX) {
        error_set(error, "the answer of %zu bytes is larger than %d", outcome->reply.size,
                  REPLY_SIZE_MAX);
        return STATUS_TOO_LARGE;
    }
    if (status == STATUS_OK && request && request->is_keyed) {
        static const uint8_t empty_map[] = {0x80};
        struct bytes reply = buffer_bytes(&outcome->reply);
        if (reply.size == 0)
            reply = (struct bytes){empty_map, sizeof empty_map};
        return idempotency_keep(dispatch->context.overlay, request->idempotency_hash,
                                request->body_hash, dispatch->context.now.wall_us, reply);
    }
    return status;
}

static bool
is_refusal(enum status status)
{
    return status != STATUS_OK && status != STATUS_PENDING;
}

static void
conclude(struct dispatch *dispatch, struct step *step, struct outcome *outcome, enum status status,
         struct error *error)
{
    struct request *request = step->request;
    status = judge(dispatch, outcome, status, error);
    if (!is_refusal(status))
        status = audit_settle(dispatch, step, outcome, status, error);
    if (is_refusal(status)) {
        outcome_roll_back(outcome);
        status = audit_settle(dispatch, step, outcome, status, error);
    }
    step->status = status;
    if (is_refusal(status)) {
        dispatch_pack_refusal(dispatch, request, step->status, error, &step->reply);
    } else {
        step->reply = outcome->reply;
        buffer_init(&outcome->reply);
    }
    step->last = overlay_count(dispatch->context.overlay);
    TAILQ_CONCAT(&step->effects, &outcome->effects, link);
    outcome_clear(outcome);
    if (step->status != STATUS_PENDING)
        dispatch_stop_continuations(dispatch, request);
    dispatch_flush_chunks(dispatch, request);
}

/* The identity service answers itself, in a step of its own: a use that was taken stays taken,
 * whatever the handler says. */
static void
use_here(struct dispatch *dispatch, struct request *request)
{
    struct step *step = begin(dispatch, request);
    struct outcome outcome;
    struct error error = ERROR_INIT;
    outcome_init(&outcome, &dispatch->context, request, true);
    enum status status = rights_use_here(dispatch, request, &outcome, &error);
    conclude(dispatch, step, &outcome, status, &error);
}

/* A request that was answered before is answered so again and is no use of the token. OK: go on to
 * its answer; PENDING: the identity service is asked. */
static enum status
ask_identity(struct dispatch *dispatch, struct request *request, struct error *error)
{
    struct buffer reply;
    buffer_init(&reply);
    enum status status = find_first_answer(dispatch, request, &reply, error);
    if (reply.data)
        explicit_bzero(reply.data, reply.capacity);
    buffer_clear(&reply);
    if (status != STATUS_NOT_FOUND)
        return status;
    if (dispatch->context.service->use_capability)
        use_here(dispatch, request);
    else
        rights_ask(dispatch, request);
    return STATUS_PENDING;
}

static enum status
run_handler(struct dispatch *dispatch, struct request *request, struct outcome *outcome,
            struct error *error)
{
    enum status status = find_first_answer(dispatch, request, &outcome->reply, error);
    if (status != STATUS_NOT_FOUND)
        return status;
    return dispatch->context.service->handlers[request->operation->index].run(
        &dispatch->context, request, outcome, error);
}

void
step_refuse(struct dispatch *dispatch, struct request *request, enum status status,
            const struct error *error)
{
    if (!audit_covers(dispatch, request) || strcmp(error->word, AUDIT_WORD) == 0) {
        dispatch_refuse(dispatch, request, status, error);
        return;
    }
    struct error words = *error;
    struct step *step = begin(dispatch, request);
    struct outcome outcome;
    outcome_init(&outcome, &dispatch->context, request, true);
    conclude(dispatch, step, &outcome, status, &words);
}

void
step_run_request(struct dispatch *dispatch, struct request *request)
{
    TAILQ_REMOVE(&dispatch->waiting, request, waiting);
    request->is_waiting = false;
    dispatch->waiting_count--;

    struct error error = ERROR_INIT;
    const struct operation *operation = request->operation;
    enum status status = audit_admit(dispatch, request, &error);
    if (status == STATUS_OK)
        status = contract_validate(operation, request->payload, &request->arguments, &error);
    if (status == STATUS_OK)
        status = rights_check(dispatch, request, &error);
    if (status == STATUS_OK || status == STATUS_PENDING) {
        enum status store = check_store(dispatch, operation, &error);
        status = store == STATUS_OK ? status : store;
    }
    if (status == STATUS_PENDING)
        status = ask_identity(dispatch, request, &error);
    if (status == STATUS_PENDING)
        return;
    if (status != STATUS_OK) {
        step_refuse(dispatch, request, status, &error);
        return;
    }
    struct step *step = begin(dispatch, request);
    struct outcome outcome;
    outcome_init(&outcome, &dispatch->context, request, true);
    status = run_handler(dispatch, request, &outcome, &error);
    conclude(dispatch, step, &outcome, status, &error);
}

static enum event_type
event_type_of(const struct continuation *continuation)
{
    switch (continuation->type) {
    case CONTINUATION_CALL:
        return EVENT_ANSWER;
    case CONTINUATION_HTTP:
        return EVENT_HTTP_DONE;
    default:
        return EVENT_TIMER;
    }
}

void
step_run_event(struct dispatch *dispatch, struct continuation *continuation)
{
    struct request *request = continuation->request;
    TAILQ_REMOVE(&dispatch->ready, continuation, ready);
    TAILQ_REMOVE(&request->continuations, continuation, link);
    if (rights_is_answer(continuation)) {
        rights_answered(dispatch, continuation);
        return;
    }

    const struct event event = {.type = event_type_of(continuation),
                                .tag = continuation->tag,
                                .status = continuation->status,
                                .error = continuation->error,
                                .payload = buffer_bytes(&continuation->payload),
                                .http_status = continuation->http_status};
    struct error error = ERROR_INIT;
    struct step *step = begin(dispatch, request);
    struct outcome outcome;
    outcome_init(&outcome, &dispatch->context, request, true);
    enum status status =
        continuation->resume(&dispatch->context, request, &event, &outcome, &error);
    continuation_destroy(&continuation);
    conclude(dispatch, step, &outcome, status, &error);
}

void
step_run_piece(struct dispatch *dispatch, struct continuation *continuation,
               const struct event *event)
{
    struct request *request = continuation->request;
    struct error error = ERROR_INIT;
    struct outcome outcome;
    overlay_begin_step(dispatch->context.overlay, 0, NULL);
    outcome_init(&outcome, &dispatch->context, request, false);
    enum status status = continuation->resume(&dispatch->context, request, event, &outcome, &error);
    status = outcome_settle(&outcome, status, &error);
    if (status != STATUS_OK && status != STATUS_PENDING) {
        outcome_roll_back(&outcome);
        audit_take_notes(dispatch, &outcome, false);
        dispatch_refuse(dispatch, request, status, &error);
        return;
    }
    audit_take_notes(dispatch, &outcome, true);
    dispatch_start_effects(dispatch, request, &outcome.effects);
    outcome_clear(&outcome);
    dispatch_flush_chunks(dispatch, request);
}

/* The service's housekeeping and the runtime's own: steps without a request. */
void
step_run_tick(struct dispatch *dispatch)
{
    struct context *context = &dispatch->context;
    struct error error = ERROR_INIT;
    if (context->service->tick) {
        struct step *step = begin(dispatch, NULL);
        struct outcome outcome;
        outcome_init(&outcome, context, NULL, true);
        context->service->tick(context, &outcome);
        enum status status = outcome_settle(&outcome, STATUS_OK, &error);
        if (status == STATUS_OK)
            status = audit_settle(dispatch, step, &outcome, status, &error);
        if (status != STATUS_OK) {
            outcome_roll_back(&outcome);
            log_error(context->logger, "housekeeping failed: %s", error.message);
        }
        outcome_clear(&outcome);
        step->last = overlay_count(context->overlay);
    }
}
