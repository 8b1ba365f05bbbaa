/* SPDX-License-Identifier: Apache-2.0 */
/* Answers in many parts. A part that was taken gives the producer credit for another. */
#include <stdlib.h>

#include "sdk/c/sos_internal.h"

struct part {
    struct part *next;
    struct sos_bytes bytes;
};

struct sos_stream {
    struct sos *sos;
    struct job *job; /* NULL: it has ended */
    bool renewed;    /* begun anew when it ends by its deadline or a loss: the tap */
    bool ended;
    bool no_memory;
    struct part *first;
    struct part **end;
    uint32_t taken; /* parts, since credit was given */
    enum status status;
    struct error error;
    struct sos_bytes reply;
    struct timer again;
    char *capability; /* of a renewed one */
    struct sos_bytes filters;
};

static void
add_part(void *owner, const struct message *chunk)
{
    struct sos_stream *stream = owner;
    struct part *part = malloc(sizeof *part);
    if (part && basic_copy(chunk->payload, &part->bytes)) {
        part->next = NULL;
        *stream->end = part;
        stream->end = &part->next;
    } else {
        free(part);
        stream->no_memory = true;
    }
    wait_wake(stream->sos, stream);
}

static bool
is_worth_another(enum status status)
{
    return status == STATUS_OK || status == STATUS_TIMEOUT || status == STATUS_UNKNOWN_OUTCOME ||
           status == STATUS_UNAVAILABLE || status == STATUS_BUSY;
}

static void
end_stream(struct sos *sos, struct job *job)
{
    struct sos_stream *stream = job->owner;
    stream->job = NULL;
    if (stream->renewed && !sos->ended && is_worth_another(job->status) &&
        timers_set(&sos->timers, &stream->again, client_now_us(sos) + RETRY_US)) {
        job_end(sos, &job);
        return;
    }
    stream->ended = true;
    stream->status = job->status;
    stream->error = job->error;
    stream->reply = job->reply;
    job->reply = (struct sos_bytes){0};
    job_end(sos, &job);
    wait_wake(sos, stream);
}

static enum status
begin(struct sos *sos, struct sos_stream *stream, const struct sos_call *call, struct error *error)
{
    struct job *job = NULL;
    enum status status = job_new(&job, sos, call, MESSAGE_STREAM, error);
    if (status == STATUS_OK) {
        job->on_done = end_stream;
        job->on_chunk = add_part;
        job->owner = stream;
        status = job_start(sos, job, error);
    }
    if (status != STATUS_OK) {
        job_destroy(&job);
        return status;
    }
    stream->job = job;
    stream->taken = 0;
    return STATUS_OK;
}

static struct sos_stream *
stream_new(struct sos *sos)
{
    struct sos_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->sos = sos;
    stream->end = &stream->first;
    client_retain(sos);
    return stream;
}

static void
stream_free(struct sos_stream *stream)
{
    while (stream->first) {
        struct part *part = stream->first;
        stream->first = part->next;
        sos_bytes_free(&part->bytes);
        free(part);
    }
    sos_bytes_free(&stream->reply);
    sos_bytes_free(&stream->filters);
    free(stream->capability);
    client_release(stream->sos);
    free(stream);
}

int
sos_stream_open(struct sos *sos, const struct sos_call *call, struct sos_stream **stream_p,
                struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct sos_stream *stream = NULL;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered && !(stream = stream_new(sos)))
        status = STATUS_NOMEM;
    if (status == STATUS_OK)
        status = begin(sos, stream, call, &error);
    int result = client_leave(sos, entered, status, &error, told);
    if (result == SOS_OK)
        *stream_p = stream;
    else if (stream)
        stream_free(stream);
    return result;
}

/* ---- taking */

/* Credit goes back for several parts at once, but never so late that the producer stands still. */
static void
give_credit(struct sos *sos, struct sos_stream *stream)
{
    enum { TOGETHER = 8 };
    stream->taken++;
    if (!stream->job || (stream->first && stream->taken < TOGETHER))
        return;
    job_grant(sos, stream->job, stream->taken);
    stream->taken = 0;
}

static struct sos_bytes
take_part(struct sos *sos, struct sos_stream *stream)
{
    struct part *part = stream->first;
    struct sos_bytes bytes = part->bytes;
    stream->first = part->next;
    if (!stream->first)
        stream->end = &stream->first;
    free(part);
    give_credit(sos, stream);
    return bytes;
}

static enum status
next(struct sos *sos, struct sos_stream *stream, uint64_t deadline_us, int *local,
     struct sos_bytes *bytes, struct error *error)
{
    while (!stream->first) {
        if (stream->no_memory)
            return STATUS_NOMEM;
        if (stream->ended && stream->status != STATUS_OK) {
            *error = stream->error;
            return stream->status;
        }
        if (stream->ended) {
            *local = SOS_END;
            return STATUS_OK;
        }
        enum status status = wait_for(sos, stream, deadline_us, error);
        if (status == STATUS_TIMEOUT) {
            *local = SOS_NOTHING;
            return STATUS_OK;
        }
        if (status != STATUS_OK)
            return status;
    }
    *bytes = take_part(sos, stream);
    return STATUS_OK;
}

int
sos_stream_next(struct sos_stream *stream, int timeout_ms, struct sos_bytes *part,
                struct sos_error *told)
{
    struct sos *sos = stream->sos;
    struct error error = ERROR_INIT;
    int local = SOS_OK;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = next(sos, stream, client_deadline_us(sos, timeout_ms), &local, part, &error);
    int result = client_leave(sos, entered, status, &error, told);
    return result == SOS_OK ? local : result;
}

struct sos_bytes
sos_stream_reply(const struct sos_stream *stream)
{
    return stream->reply;
}

void
sos_stream_close(struct sos_stream **stream_p)
{
    struct sos_stream *stream = *stream_p;
    *stream_p = NULL;
    if (!stream || !client_lock(stream->sos))
        return;
    struct sos *sos = stream->sos;
    if (stream->job)
        job_give_up(sos, stream->job);
    timers_remove(&sos->timers, &stream->again);
    client_unlock(sos);
    stream_free(stream);
}

/* ---- the tap */

static enum status
begin_tap(struct sos *sos, struct sos_stream *stream, struct error *error)
{
    struct sos_call call = {.target = "service:bus",
                            .type = "tap",
                            .payload = stream->filters,
                            .timeout_ms = CALL_TIMEOUT_MAX_MS,
                            .capability = stream->capability};
    return begin(sos, stream, &call, error);
}

static void
begin_again(void *context, void *owner)
{
    struct sos *sos = context;
    struct sos_stream *stream = owner;
    stream->status = begin_tap(sos, stream, &stream->error);
    stream->ended = stream->status != STATUS_OK;
    if (stream->ended)
        wait_wake(sos, stream);
}

int
sos_tap(struct sos *sos, const char *capability, struct sos_bytes filters,
        struct sos_stream **stream_p, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct sos_stream *stream = NULL;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = basic_check_payload(filters, &error);
    if (status == STATUS_OK) {
        stream = stream_new(sos);
        if (!stream || !basic_copy((struct bytes){filters.data, filters.size}, &stream->filters) ||
            !(stream->capability = text_copy(basic_text(capability))))
            status = STATUS_NOMEM;
    }
    if (status == STATUS_OK) {
        stream->renewed = true;
        timer_init(&stream->again, begin_again, stream);
        status = begin_tap(sos, stream, &error);
    }
    int result = client_leave(sos, entered, status, &error, told);
    if (result == SOS_OK)
        *stream_p = stream;
    else if (stream)
        stream_free(stream);
    return result;
}
