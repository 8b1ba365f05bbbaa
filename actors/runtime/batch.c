/* SPDX-License-Identifier: Apache-2.0 */
/* What follows the handlers: one commit for all their writes, then rows to the state, replies,
 * effects. */
#include "actors/runtime/dispatch_core.h"
#include "kernel/assert.h"

void
batch_begin(struct dispatch *dispatch)
{
    ASSERT(!dispatch->committing && dispatch->step_count == 0);
    overlay_reset(dispatch->context.overlay);
    audit_begin_batch(dispatch);
}

bool
batch_has_room(const struct dispatch *dispatch)
{
    /* Steps that always find a place: the tick, old answers, audit entries. */
    const size_t housekeeping = 3;
    return dispatch->step_count + housekeeping < OVERLAY_STEPS_MAX &&
           store_batch_bytes(overlay_batch(dispatch->context.overlay)) < BATCH_BYTES_MAX;
}

static void
drop_effects(struct step *step)
{
    struct continuation *continuation;
    while ((continuation = TAILQ_FIRST(&step->effects)) != NULL) {
        TAILQ_REMOVE(&step->effects, continuation, link);
        continuation_destroy(&continuation);
    }
}

/* commit: how this step's writes and all that it saw fared. */
static void
finish_step(struct dispatch *dispatch, struct step *step, enum status commit,
            const struct error *error)
{
    struct request *request = step->request;
    bool holds_secret = request && request->operation->secrets;
    if (request) {
        request->batch_steps--;
        if (request->ended) {
            if (request->batch_steps == 0)
                request_destroy(&request);
        } else if (commit != STATUS_OK) {
            dispatch_refuse(dispatch, request, commit, error);
        } else if (step->status == STATUS_PENDING && request->is_revoked) {
            if (request->batch_steps == 0)
                rights_refuse_revoked(dispatch, request);
        } else if (step->status == STATUS_PENDING) {
            dispatch_start_effects(dispatch, request, &step->effects);
        } else {
            dispatch_finish(dispatch, request, step->status, &step->reply);
        }
    }
    drop_effects(step);
    if (holds_secret && step->reply.data)
        explicit_bzero(step->reply.data, step->reply.capacity);
    buffer_clear(&step->reply);
}

/* The state is lost either way: make it anew from what is on disk. */
static void
reload(struct dispatch *dispatch)
{
    struct error error = ERROR_INIT;
    if (load_state(dispatch, &error) == STATUS_OK) {
        log_warn(dispatch->context.logger, "the state was loaded again from the store");
        return;
    }
    error_wrap(&error, "load the state again");
    log_error(dispatch->context.logger, "%s", error.message);
    dispatch->failed = true;
    dispatch->failure = error;
}

static void
apply_rows(struct dispatch *dispatch)
{
    const struct store_batch *batch = overlay_batch(dispatch->context.overlay);
    size_t count = store_batch_count(batch);
    for (size_t i = 0; i < count; i++) {
        struct error error = ERROR_INIT;
        if (load_apply(dispatch, store_batch_at(batch, i), &error) == STATUS_OK)
            continue;
        /* What is on disk counts, and so do the answers. */
        log_error(dispatch->context.logger, "a written row cannot be applied: %s", error.message);
        reload(dispatch);
        return;
    }
}

/* Can its answer stand though nothing of the batch is kept, for want of room? It does when it has
 * only read, or when what it writes is beside the point of its operation (a count of reads). */
static bool
stands_alone(const struct step *step, const struct step_set *written)
{
    bool reads = !step->request || (step->request->operation->flags & OPERATION_READ);
    return (step->first == step->last || (reads && !step->is_audited)) &&
           !step_set_intersects(&step->seen, written);
}

/* A commit that failed: was nothing written, and is the state what the store holds? */
static bool
is_intact(const struct dispatch *dispatch, enum status status, const struct error *error)
{
    return status != STATUS_OK && (!dispatch->context.store || dispatch_is_full(status, error));
}

static void
finish(struct dispatch *dispatch, enum status commit, const struct error *error)
{
    struct step_set written = {{0}};
    size_t count = dispatch->step_count;
    bool intact = is_intact(dispatch, commit, error);
    for (size_t i = 0; i < count && intact; i++)
        if (dispatch->steps[i].first != dispatch->steps[i].last)
            step_set_add(&written, i);
    for (size_t i = 0; i < count; i++) {
        bool stands = intact && stands_alone(&dispatch->steps[i], &written);
        finish_step(dispatch, &dispatch->steps[i], stands ? STATUS_OK : commit, error);
    }
    dispatch->step_count = 0;
    overlay_reset(dispatch->context.overlay);
}

static struct step *
begin_own(struct dispatch *dispatch)
{
    struct overlay *overlay = dispatch->context.overlay;
    struct step *step = &dispatch->steps[dispatch->step_count];
    *step = (struct step){.first = overlay_count(overlay)};
    TAILQ_INIT(&step->effects);
    overlay_begin_step(overlay, dispatch->step_count, &step->seen);
    dispatch->step_count++;
    return step;
}

/* Commits what is due of the runtime's own in the same batch. */
static void
clean_answers(struct dispatch *dispatch)
{
    struct context *context = &dispatch->context;
    struct error error = ERROR_INIT;
    if (!context->store || !idempotency_is_due(dispatch->idempotency, context->now.wall_us))
        return;
    struct step *step = begin_own(dispatch);
    if (idempotency_clean(dispatch->idempotency, context->overlay, context->store,
                          context->now.wall_us, &error) != STATUS_OK)
        log_error(context->logger, "old answers cannot be deleted: %s", error.message);
    step->last = overlay_count(context->overlay);
}

static void
keep_audit(struct dispatch *dispatch)
{
    bool waits =
        dispatch->store_failed && dispatch->context.now.monotonic_us < dispatch->store_retry_us;
    if (waits || !audit_has_chores(dispatch))
        return;
    struct step *step = begin_own(dispatch);
    audit_do_chores(dispatch);
    step->last = overlay_count(dispatch->context.overlay);
}

void
batch_close(struct dispatch *dispatch)
{
    clean_answers(dispatch);
    keep_audit(dispatch);
    struct overlay *overlay = dispatch->context.overlay;
    if (overlay_count(overlay) == 0) {
        finish(dispatch, STATUS_OK, NULL);
        return;
    }
    dispatch->committing = true;
    dispatch->commit_started_us = clock_now(dispatch->clock).monotonic_us;
    metric_add(dispatch->commit_requests, dispatch->step_count);
    dispatch->port.commit(dispatch->port.context, overlay_batch(overlay));
}

/* ---- a conflict: somebody else has written to the store. Commit step by step, so that only the
 * step whose expectation failed is refused, and those that have read its writes. */

static enum status
make_slice(struct dispatch *dispatch, const struct step *step)
{
    store_batch_truncate(dispatch->slice, 0);
    for (size_t i = step->first; i < step->last; i++) {
        const struct store_write *write =
            store_batch_at(overlay_batch(dispatch->context.overlay), i);
        enum status status =
            store_batch_add(dispatch->slice, write->type, write->space, write->key, write->value);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static void
refuse_step(struct dispatch *dispatch, size_t index, enum status status, const struct error *error)
{
    struct step *step = &dispatch->steps[index];
    step_set_add(&dispatch->refused, index);
    drop_effects(step);
    step->status = status;
    if (step->request && step->is_audited)
        audit_note_end(dispatch, step->request, status, error);
    if (step->request)
        dispatch_pack_refusal(dispatch, step->request, status, error, &step->reply);
}

static void
isolate_next(struct dispatch *dispatch)
{
    struct error error = ERROR_INIT;
    for (; dispatch->isolated < dispatch->step_count; dispatch->isolated++) {
        const struct step *step = &dispatch->steps[dispatch->isolated];
        if (step_set_intersects(&step->seen, &dispatch->refused)) {
            error_set(&error, "what this request had read was not written");
            refuse_step(dispatch, dispatch->isolated, STATUS_CONFLICT, &error);
            continue;
        }
        if (step->first == step->last)
            continue;
        enum status status = make_slice(dispatch, step);
        if (status == STATUS_OK) {
            dispatch->port.commit(dispatch->port.context, dispatch->slice);
            return;
        }
        error_set(&error, "%s", status_text(status));
        refuse_step(dispatch, dispatch->isolated, status, &error);
    }
    dispatch->isolating = false;
    dispatch->committing = false;
    reload(dispatch); /* the stranger's rows are in the store, not in the state */
    finish(dispatch, STATUS_OK, NULL);
}

static void
isolated_result(struct dispatch *dispatch, enum status status, const struct error *error)
{
    if (status != STATUS_OK)
        refuse_step(dispatch, dispatch->isolated, status, error);
    dispatch->isolated++;
    isolate_next(dispatch);
}

static void
note_room(struct dispatch *dispatch, enum status status, bool full, const struct error *error)
{
    if (full && !dispatch->store_full)
        log_error(dispatch->context.logger, "writes are refused: %s", error->message);
    else if (status == STATUS_OK && dispatch->store_full)
        log_info(dispatch->context.logger, "writes are taken again");
    if (full || status == STATUS_OK)
        dispatch->store_full = full;
}

void
dispatch_committed(struct dispatch *dispatch, enum status status, const struct error *error)
{
    ASSERT(dispatch->committing);
    dispatch->context.now = clock_now(dispatch->clock);
    if (dispatch->checkpoint.running) {
        checkpoint_end(dispatch, status, error);
        return;
    }
    if (dispatch->audit.is_flushing) {
        audit_flushed(dispatch);
        return;
    }
    metric_observe(dispatch->commit_seconds,
                   (double)(dispatch->context.now.monotonic_us - dispatch->commit_started_us) /
                       1e6);
    if (dispatch->isolating) {
        isolated_result(dispatch, status, error);
        return;
    }
    if (status == STATUS_CONFLICT) {
        log_warn(dispatch->context.logger, "the store was changed by another writer: %s",
                 error->message);
        dispatch->isolating = true;
        dispatch->isolated = 0;
        dispatch->refused = (struct step_set){{0}};
        isolate_next(dispatch);
        return;
    }

    dispatch->committing = false;
    bool full = dispatch_is_full(status, error);
    bool intact = is_intact(dispatch, status, error);
    dispatch->store_failed = status != STATUS_OK && !intact;
    note_room(dispatch, status, full, error);
    if (status == STATUS_OK) {
        apply_rows(dispatch);
    } else if (!intact) {
        log_error(dispatch->context.logger, "commit failed: %s", error->message);
        dispatch->store_retry_us = dispatch->context.now.monotonic_us + STORE_RETRY_US;
        reload(dispatch);
    }
    finish(dispatch, status, error);
}
