/* SPDX-License-Identifier: Apache-2.0 */
/* A call is kept as its encoded record from peer_call() to its answer. It waits while there is
 * no session or the broker's limit for one peer is reached, then is in flight. After a
 * loss it waits again when its record never left, or when it is idempotent and no chunk of its
 * answer was handed on; otherwise nobody can say what became of it. */
#include <stdlib.h>
#include <string.h>

#include "kernel/assert.h"
#include "kernel/pack.h"
#include "sdk/c/peer_internal.h"

static const char broker_identity[] = "service:bus";

/* ---- lists */

static struct call *
first_of(struct link *list)
{
    return link_is_empty(list) ? NULL : LINK_ENTRY(list->next, struct call, link);
}

/* ---- the table */

void
calls_init(struct calls *calls, uint32_t max)
{
    *calls = (struct calls){.max = max ? max : CALLS_MAX_DEFAULT};
    id_table_init(&calls->by_id);
    link_init(&calls->waiting);
    link_init(&calls->in_flight);
}

void
calls_clear(struct calls *calls)
{
    struct call *call;
    while ((call = first_of(&calls->waiting)) || (call = first_of(&calls->in_flight))) {
        link_remove(&call->link);
        free(call);
    }
    timers_clear(&calls->deadlines);
    id_table_clear(&calls->by_id);
    calls_init(calls, calls->max);
}

uint64_t
calls_deadline_us(const struct calls *calls)
{
    return timers_next(&calls->deadlines);
}

static void
set_in_flight(struct calls *calls, struct call *call, bool in_flight)
{
    if (call->in_flight == in_flight)
        return;
    call->in_flight = in_flight;
    if (in_flight)
        calls->in_flight_count++;
    else
        calls->in_flight_count--;
}

/* Takes it out of everything; the caller frees it. */
static void
forget(struct calls *calls, struct call *call)
{
    set_in_flight(calls, call, false);
    link_remove(&call->link);
    timers_remove(&calls->deadlines, &call->deadline);
    id_table_take(&calls->by_id, &call->id);
    calls->bytes -= call->record_size;
}

static void
finish(struct peer *peer, struct call *call, const struct peer_answer *answer)
{
    forget(&peer->calls, call);
    peer_reply_fn *on_reply = call->on_reply;
    void *context = call->context;
    free(call);
    if (on_reply)
        on_reply(context, answer);
}

/* An answer that is made here. */
static void
finish_failed(struct peer *peer, struct call *call, enum status status, const struct error *error)
{
    struct buffer payload;
    buffer_init(&payload);
    error_pack(&payload, status, error);
    finish(peer, call, &(struct peer_answer){status, buffer_bytes(&payload), NULL});
    buffer_clear(&payload);
}

/* ---- leaving */

static uint32_t
ttl_left_ms(const struct call *call, uint64_t now_us)
{
    if (call->deadline.at_us <= now_us)
        return 1;
    uint64_t left_ms = (call->deadline.at_us - now_us + 999) / 1000;
    return left_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)left_ms;
}

/* fresh: just encoded, with its whole ttl. */
static enum status
send_call(struct peer *peer, struct call *call, bool fresh, struct error *error)
{
    struct bytes record = {call->record, call->record_size};
    enum status status;
    if (fresh) {
        status = peer_post_record(peer, record, false, error);
    } else {
        struct message message;
        size_t used;
        status = message_decode(&message, record, &used, error);
        ASSERT(status == STATUS_OK && used == record.size);
        message.ttl_ms = ttl_left_ms(call, peer_now_us(peer));
        status = peer_post(peer, &message, false, error);
    }
    if (status != STATUS_OK)
        return status;
    /* The frame may have left within the post: then it is the one before the gathered. */
    call->frame_number =
        peer->outbox.records ? peer->outbox.gathered_number : peer->outbox.gathered_number - 1;
    link_remove(&call->link);
    link_append(&call->link, &peer->calls.in_flight);
    set_in_flight(&peer->calls, call, true);
    return STATUS_OK;
}

static bool
may_send(const struct peer *peer)
{
    return peer_is_connected(peer) && peer->calls.in_flight_count < peer->calls.in_flight_max;
}

void
calls_send_waiting(struct peer *peer)
{
    struct call *call;
    while (may_send(peer) && (call = first_of(&peer->calls.waiting))) {
        struct error error = ERROR_INIT;
        enum status status = send_call(peer, call, false, &error);
        if (status == STATUS_BUSY || status == STATUS_NOMEM)
            return;
        if (status != STATUS_OK)
            finish_failed(peer, call, status, &error);
    }
}

static enum status
encode_request(struct peer *peer, const struct peer_request *request, uint64_t wall_us,
               struct uuid *id, struct error *error)
{
    uint8_t trace[TRACE_BYTES];
    struct message message = peer_message_at(peer, request->kind, wall_us);
    if (request->id)
        message.id = *request->id;
    message.flags = request->flags;
    message.target = request->target;
    message.type = request->type;
    message.ttl_ms = request->ttl_ms;
    message.trace = peer_trace_bytes(request->trace, trace);
    message.capability = request->capability;
    message.principal = request->principal;
    message.metadata = request->metadata;
    message.payload = request->payload;
    *id = message.id;
    buffer_reset(&peer->scratch);
    return message_encode(&peer->scratch, &message, error);
}

static enum status
check_room(const struct peer *peer, const struct peer_request *request, struct error *error)
{
    const struct calls *calls = &peer->calls;
    if (peer->state == PEER_REFUSED) {
        *error = peer->refusal;
        return STATUS_UNAVAILABLE;
    }
    if (request->ttl_ms == 0 || (request->kind != KIND_REQUEST && request->kind != KIND_CONTROL)) {
        error_set(error, "a call is a request or control with a ttl above 0");
        return STATUS_INVALID;
    }
    if (request->id && id_table_get(&calls->by_id, request->id)) {
        error_set_word(error, "request_id_pending", "a call with this id waits for its answer");
        return STATUS_ALREADY_EXISTS;
    }
    if (calls->by_id.count >= calls->max) {
        error_set(error, "%u calls wait for their answer already", calls->max);
        return STATUS_BUSY;
    }
    if (calls->bytes >= CALL_BYTES_MAX) {
        error_set(error, "calls of %d bytes wait for their answer already", CALL_BYTES_MAX);
        return STATUS_BUSY;
    }
    return STATUS_OK;
}

static void
post_about(struct peer *peer, enum kind kind, const char *type, const struct uuid *id, uint64_t seq)
{
    struct message message = peer_message(peer, kind);
    message.correlation = *id;
    message.target = text_of(broker_identity);
    message.type = text_of(type);
    message.seq = seq;
    struct error error;
    if (peer_post(peer, &message, true, &error) != STATUS_OK)
        log_warn(peer->logger, "%s left unsaid: %s", kind_word(kind), error.message);
}

static void
expire(void *context, void *owner)
{
    struct peer *peer = context;
    struct call *call = owner;
    struct error error;
    if (call->in_flight) {
        post_about(peer, KIND_CANCEL, NULL, &call->id, 0);
        error_set(&error, "no answer in time");
    } else if (peer_is_connected(peer)) {
        error_set(&error, "no answer in time: too many calls wait for theirs");
    } else {
        error_set(&error, "no answer in time: not connected to %s%s%s", peer->connection.endpoint,
                  *peer->refusal.message ? ": " : "", peer->refusal.message);
    }
    finish_failed(peer, call, STATUS_TIMEOUT, &error);
}

enum status
peer_call(struct peer *peer, const struct peer_request *request, struct uuid *id,
          struct error *error)
{
    struct calls *calls = &peer->calls;
    struct error ignored;
    if (!error)
        error = &ignored;
    enum status status = check_room(peer, request, error);
    if (status != STATUS_OK)
        return status;
    struct uuid call_id;
    struct now now = clock_now(peer->clock);
    status = encode_request(peer, request, now.wall_us, &call_id, error);
    if (status != STATUS_OK)
        return status;
    if (peer->scratch.size > peer->session.record_max) {
        error_set(error, "the record has %zu bytes, at most %zu travel", peer->scratch.size,
                  peer->session.record_max);
        return STATUS_TOO_LARGE;
    }

    struct call *call = malloc(sizeof *call + peer->scratch.size);
    if (!call)
        goto no_memory;
    *call = (struct call){
        .id = call_id,
        .idempotent = (request->flags & MESSAGE_IDEMPOTENT) != 0,
        .on_reply = request->on_reply,
        .on_chunk = request->on_chunk,
        .context = request->context,
        .record_size = peer->scratch.size,
    };
    memcpy(call->record, peer->scratch.data, call->record_size);
    link_init(&call->link);
    timer_init(&call->deadline, expire, call);
    if (!id_table_put(&calls->by_id, &call->id, call))
        goto no_memory;
    if (!timers_set(&calls->deadlines, &call->deadline,
                    now.monotonic_us + (uint64_t)request->ttl_ms * 1000)) {
        id_table_take(&calls->by_id, &call->id);
        goto no_memory;
    }
    calls->bytes += call->record_size;

    if (may_send(peer) && !first_of(&calls->waiting)) {
        status = send_call(peer, call, true, error);
        if (status != STATUS_OK) {
            forget(calls, call);
            free(call);
            return status;
        }
    } else {
        link_append(&call->link, &calls->waiting);
    }
    if (id)
        *id = call_id;
    return STATUS_OK;

no_memory:
    free(call);
    error_set(error, "out of memory");
    return STATUS_NOMEM;
}

void
peer_cancel(struct peer *peer, const struct uuid *id)
{
    struct call *call = id_table_get(&peer->calls.by_id, id);
    if (!call)
        return;
    if (call->in_flight)
        post_about(peer, KIND_CANCEL, NULL, id, 0);
    forget(&peer->calls, call);
    free(call);
}

void
peer_grant(struct peer *peer, const struct uuid *id, uint32_t chunks)
{
    const struct call *call = id_table_get(&peer->calls.by_id, id);
    if (call && call->in_flight && chunks)
        post_about(peer, KIND_CONTROL, "credit", id, chunks);
}

/* ---- answers */

bool
calls_receive(struct peer *peer, const struct message *message)
{
    switch (message->kind) {
    case KIND_REPLY:
    case KIND_CHUNK:
    case KIND_CONTROL:
    case KIND_ERROR:
        break;
    default:
        return false;
    }
    struct call *call = id_table_get(&peer->calls.by_id, &message->correlation);
    if (!call || !call->in_flight) /* answered, cancelled, or of a session that is over */
        return message->kind == KIND_REPLY;
    if (message->kind == KIND_CHUNK) {
        call->chunked = true;
        if (call->on_chunk)
            call->on_chunk(call->context, message);
        return true;
    }
    struct peer_answer answer = {status_from_code(message->status), message->payload, message};
    if (message->kind == KIND_ERROR && answer.status == STATUS_OK)
        answer.status = STATUS_UNKNOWN;
    struct buffer words;
    buffer_init(&words);
    if (answer.status != STATUS_OK && answer.payload.size == 0) {
        error_pack(&words, answer.status, &ERROR_INIT);
        answer.payload = buffer_bytes(&words);
    }
    finish(peer, call, &answer);
    buffer_clear(&words);
    return true;
}

void
calls_expire(struct peer *peer)
{
    timers_fire(&peer->calls.deadlines, peer_now_us(peer), peer);
}

static bool
can_begin_again(const struct peer *peer, const struct call *call)
{
    return call->frame_number > peer->outbox.sent_number || (call->idempotent && !call->chunked);
}

void
calls_lost(struct peer *peer, const char *reason)
{
    struct calls *calls = &peer->calls;
    struct link lost;
    link_init(&lost);
    /* From the youngest on, each before the other: the order among those that wait stays. */
    while (!link_is_empty(&calls->in_flight)) {
        struct call *call = LINK_ENTRY(calls->in_flight.previous, struct call, link);
        link_remove(&call->link);
        set_in_flight(calls, call, false);
        link_after(&call->link, can_begin_again(peer, call) ? &calls->waiting : &lost);
    }
    outbox_clear(&peer->outbox);

    struct error error;
    error_set(&error, "the connection was lost while the call was in flight (%s)", reason);
    struct call *call;
    while ((call = first_of(&lost)))
        finish_failed(peer, call, STATUS_UNKNOWN_OUTCOME, &error);
}

void
calls_refuse(struct peer *peer)
{
    struct call *call;
    while ((call = first_of(&peer->calls.in_flight)))
        finish_failed(peer, call, STATUS_UNKNOWN_OUTCOME, &peer->refusal);
    while ((call = first_of(&peer->calls.waiting)))
        finish_failed(peer, call, STATUS_UNAVAILABLE, &peer->refusal);
}
