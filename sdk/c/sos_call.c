/* SPDX-License-Identifier: Apache-2.0 */
/* A call is a job: made by the caller's thread, given to the peer by the client's, ended by exactly
 * one answer. Then it belongs to whoever waits: a thread, a callback, a stream. */
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"

/* ---- making */

static struct text
keep_text(char **at, const char *text)
{
    struct text source = basic_text(text);
    struct text copy = {*at, source.size};
    if (source.size)
        memcpy(*at, source.data, source.size);
    *at += source.size;
    return copy;
}

static enum status
check_call(const struct sos_call *call, struct error *error)
{
    if (!call->target || !*call->target || !call->type || !*call->type) {
        error_set_field(error, call->target && *call->target ? "type" : "target", "missing");
        return STATUS_INVALID;
    }
    if (call->timeout_ms > CALL_TIMEOUT_MAX_MS) {
        error_set_field(error, "timeout_ms", "came %u, at most %d", call->timeout_ms,
                        CALL_TIMEOUT_MAX_MS);
        return STATUS_INVALID;
    }
    return basic_check_payload(call->payload, error);
}

enum status
job_new(struct job **job_p, struct sos *sos, const struct sos_call *call, uint32_t more_flags,
        struct error *error)
{
    struct trace trace;
    enum status status = check_call(call, error);
    if (status == STATUS_OK)
        status = basic_trace(call->trace, &trace, error);
    if (status != STATUS_OK)
        return status;
    size_t size = strlen(call->target) + strlen(call->type) + basic_text(call->capability).size +
                  call->payload.size;
    struct job *job = malloc(sizeof *job + size);
    if (!job)
        return STATUS_NOMEM;
    *job = (struct job){.trace = trace};
    uint32_t timeout_ms = call->timeout_ms ? call->timeout_ms : CALL_TIMEOUT_MS;
    job->deadline_us = client_now_us(sos) + (uint64_t)timeout_ms * 1000;
    link_init(&job->link);
    link_init(&job->grant_link);
    buffer_init(&job->metadata);
    if (call->idempotency_key) {
        pack_map(&job->metadata, 1);
        pack_pair_string(&job->metadata, "idempotency_key", call->idempotency_key);
    }
    char *at = (char *)job->storage;
    job->request = (struct peer_request){
        .kind = KIND_REQUEST,
        .flags = more_flags | (call->idempotent ? MESSAGE_IDEMPOTENT : 0) |
                 (call->write ? MESSAGE_WRITE : 0),
        .metadata = buffer_bytes(&job->metadata),
    };
    job->request.target = keep_text(&at, call->target);
    job->request.type = keep_text(&at, call->type);
    job->request.capability = keep_text(&at, call->capability);
    if (call->payload.size)
        memcpy(at, call->payload.data, call->payload.size);
    job->request.payload = (struct bytes){(const uint8_t *)at, call->payload.size};
    if (job->metadata.failed) {
        job_destroy(&job);
        return STATUS_NOMEM;
    }
    *job_p = job;
    return STATUS_OK;
}

void
job_destroy(struct job **job_p)
{
    struct job *job = *job_p;
    *job_p = NULL;
    if (!job)
        return;
    sos_bytes_free(&job->reply);
    buffer_clear(&job->metadata);
    free(job);
}

/* ---- on its way */

static void
end(struct job *job, enum status status, const struct error *error)
{
    job->status = status;
    job->error = *error;
    job->done = true;
    link_remove(&job->link);
    link_remove(&job->grant_link);
    id_table_take(&job->sos->jobs_by_id, &job->id);
    job->on_done(job->sos, job);
}

static void
take_answer(void *context, const struct peer_answer *answer)
{
    struct job *job = context;
    struct error error = ERROR_INIT;
    enum status status = answer->status;
    if (status != STATUS_OK)
        error_unpack(answer->payload, &error);
    else if (!basic_copy(answer->payload, &job->reply))
        status = STATUS_NOMEM;
    end(job, status, &error);
}

static void
take_chunk(void *context, const struct message *chunk)
{
    struct job *job = context;
    job->on_chunk(job->owner, chunk);
}

static void
ask(struct sos *sos, struct job *job)
{
    struct error error = ERROR_INIT;
    uint64_t now_us = client_now_us(sos);
    if (job->deadline_us <= now_us) {
        error_set(&error, "no answer in time");
        end(job, STATUS_TIMEOUT, &error);
        return;
    }
    struct peer_request request = job->request;
    request.ttl_ms = (uint32_t)((job->deadline_us - now_us + 999) / 1000);
    request.trace = trace_is_set(&job->trace) ? &job->trace : NULL;
    request.id = &job->id;
    request.on_reply = take_answer;
    request.on_chunk = job->on_chunk ? take_chunk : NULL;
    request.context = job;
    enum status status = peer_call(sos->peer, &request, NULL, &error);
    if (status != STATUS_OK) {
        end(job, status, &error);
        return;
    }
    job->asked = true;
    link_append(&job->link, &sos->asked_jobs);
}

void
job_grant(struct sos *sos, struct job *job, uint32_t parts)
{
    job->granted += parts;
    link_remove(&job->grant_link);
    link_append(&job->grant_link, &sos->granting_jobs);
    client_stir(sos);
}

void
job_step(struct sos *sos)
{
    while (!link_is_empty(&sos->granting_jobs)) {
        struct job *job = LINK_ENTRY(sos->granting_jobs.next, struct job, grant_link);
        link_remove(&job->grant_link);
        peer_grant(sos->peer, &job->id, job->granted);
        job->granted = 0;
    }
    while (!link_is_empty(&sos->jobs)) {
        struct job *job = LINK_ENTRY(sos->jobs.next, struct job, link);
        link_remove(&job->link);
        if (!job->given_up) {
            ask(sos, job);
            continue;
        }
        struct error error;
        error_set(&error, "cancelled by the caller");
        if (job->asked)
            peer_cancel(sos->peer, &job->id);
        end(job, STATUS_CANCELLED, &error);
    }
}

enum status
job_start(struct sos *sos, struct job *job, struct error *error)
{
    if (sos->job_count >= sos->calls_max) {
        error_set(error, "%u calls wait for their answer already", sos->calls_max);
        return STATUS_BUSY;
    }
    job->sos = sos;
    job->id = client_new_id(sos);
    if (!id_table_put(&sos->jobs_by_id, &job->id, job))
        return STATUS_NOMEM;
    sos->job_count++;
    link_append(&job->link, &sos->jobs);
    client_stir(sos);
    return STATUS_OK;
}

void
job_end(struct sos *sos, struct job **job_p)
{
    if (*job_p)
        sos->job_count--;
    job_destroy(job_p);
}

static void
give_up(struct sos *sos, struct job *job)
{
    job->given_up = true;
    link_remove(&job->link);
    link_append(&job->link, &sos->jobs);
    client_stir(sos);
}

static void
drop(struct sos *sos, struct job *job)
{
    job_end(sos, &job);
}

static void
pass_over(void *context, const struct message *chunk)
{
    (void)context;
    (void)chunk;
}

void
job_give_up(struct sos *sos, struct job *job)
{
    job->on_done = drop;
    if (job->on_chunk)
        job->on_chunk = pass_over;
    if (job->done)
        drop(sos, job);
    else
        give_up(sos, job);
}

void
job_end_all(struct sos *sos, enum status status, const struct error *error)
{
    struct link *lists[] = {&sos->jobs, &sos->asked_jobs};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        while (!link_is_empty(lists[i]))
            end(LINK_ENTRY(lists[i]->next, struct job, link), status, error);
    id_table_clear(&sos->jobs_by_id);
}

/* ---- a thread that waits */

static void
wake_waiter(struct sos *sos, struct job *job)
{
    wait_wake(sos, job);
}

static enum status
call_and_wait(struct sos *sos, struct job **job_p, struct error *error)
{
    enum { SLACK_US = 5 * 1000 * 1000 }; /* the peer itself ends the call in time */
    struct job *job = *job_p;
    job->on_done = wake_waiter;
    enum status status = job_start(sos, job, error);
    if (status != STATUS_OK)
        return status;
    while (status == STATUS_OK && !job->done)
        status = wait_for(sos, job, job->deadline_us + SLACK_US, error);
    if (!job->done) {
        *job_p = NULL;
        job_give_up(sos, job);
        return status;
    }
    sos->job_count--;
    *error = job->error;
    return job->status;
}

int
sos_call(struct sos *sos, const struct sos_call *call, struct sos_bytes *reply,
         struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct job *job = NULL;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = job_new(&job, sos, call, 0, &error);
    if (status == STATUS_OK)
        status = call_and_wait(sos, &job, &error);
    if (status == STATUS_OK && reply) {
        *reply = job->reply;
        job->reply = (struct sos_bytes){0};
    }
    int result = client_leave(sos, entered, status, &error, told);
    job_destroy(&job);
    return result;
}

/* ---- a callback that waits */

static void
run_callback(struct sos *sos, struct work *work)
{
    struct job *job = LINK_ENTRY(work, struct job, work);
    struct sos_error error;
    if (job->status != STATUS_OK)
        basic_fail(&error, job->status, &job->error);
    client_unlock(sos);
    if (job->on_reply)
        job->on_reply(job->context, job->status == STATUS_OK ? NULL : &error, job->reply);
    client_lock(sos);
    job_end(sos, &job);
}

static void
queue_callback(struct sos *sos, struct job *job)
{
    job->work.run = run_callback;
    work_add(sos, &job->work);
}

int
sos_call_async(struct sos *sos, const struct sos_call *call, sos_reply_fn *on_reply, void *context,
               struct sos_id *id, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct job *job = NULL;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = job_new(&job, sos, call, 0, &error);
    if (status == STATUS_OK) {
        job->on_done = queue_callback;
        job->on_reply = on_reply;
        job->context = context;
        status = job_start(sos, job, &error);
    }
    if (status == STATUS_OK && id)
        memcpy(id->bytes, job->id.bytes, sizeof id->bytes);
    int result = client_leave(sos, entered, status, &error, told);
    if (result != SOS_OK)
        job_destroy(&job);
    return result;
}

void
sos_cancel(struct sos *sos, const struct sos_id *id)
{
    struct error error;
    struct uuid wanted;
    memcpy(wanted.bytes, id->bytes, sizeof wanted.bytes);
    enum status status = client_enter(sos, &error);
    if (status != STATUS_OK)
        return;
    struct job *job = id_table_get(&sos->jobs_by_id, &wanted);
    if (job && !job->given_up)
        give_up(sos, job);
    client_leave(sos, true, status, &error, NULL);
}
