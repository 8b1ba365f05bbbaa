/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests this peer owes an answer in this session. The broker counts answers to requests
 * that it does not know (any more) against a peer and cuts one that gives too many: what was
 * cancelled, answered, or came in an earlier session never leaves. */
#include <string.h>

#include "sdk/c/peer_internal.h"

static void
refuse_busy(struct peer *peer, const struct message *request)
{
    struct error error;
    error_set(&error, "%d requests wait for their answer already", SERVED_MAX);
    struct buffer payload;
    buffer_init(&payload);
    error_pack(&payload, STATUS_BUSY, &error);
    struct message reply = peer_message(peer, KIND_REPLY);
    reply.correlation = request->id;
    reply.target = request->source;
    reply.status = STATUS_BUSY;
    reply.payload = buffer_bytes(&payload);
    peer_post(peer, &reply, true, NULL);
    buffer_clear(&payload);
}

static bool
is_served(const struct peer *peer, const struct uuid *id)
{
    return id_table_get(&peer->served, id) != NULL;
}

void
serve_receive(struct peer *peer, const struct message *message)
{
    bool known = is_served(peer, &message->correlation);
    switch (message->kind) {
    case KIND_REQUEST:
        if (is_served(peer, &message->id))
            return;
        if (peer->served.count >= SERVED_MAX || !id_table_put(&peer->served, &message->id, peer)) {
            refuse_busy(peer, message);
            return;
        }
        break;
    case KIND_CANCEL:
        if (!known)
            return;
        id_table_take(&peer->served, &message->correlation);
        break;
    case KIND_CHUNK:
        if (!known)
            return;
        break;
    case KIND_CONTROL:
        if (!known || !text_equal_string(message->type, "credit"))
            return;
        break;
    default:
        return;
    }
    if (peer->is_service && peer->callbacks.on_message)
        peer->callbacks.on_message(peer->callbacks.context, message);
}

void
peer_origin_of(struct peer_origin *origin, const struct message *request)
{
    *origin = (struct peer_origin){.request_id = request->id};
    size_t size = request->source.size;
    if (size > MESSAGE_NAME_MAX)
        size = MESSAGE_NAME_MAX;
    if (size)
        memcpy(origin->source, request->source.data, size);
    if (request->trace.size == TRACE_BYTES) {
        memcpy(origin->trace.trace_id, request->trace.data, sizeof origin->trace.trace_id);
        memcpy(origin->trace.span_id, request->trace.data + sizeof origin->trace.trace_id,
               sizeof origin->trace.span_id);
    }
}

/* What a reply and a chunk have in common. */
static enum status
begin(struct peer *peer, struct message *message, enum kind kind, const struct peer_origin *origin,
      uint8_t trace[static TRACE_BYTES], struct error *error)
{
    if (!peer_is_connected(peer) || !is_served(peer, &origin->request_id)) {
        error_set(error, "the request was cancelled, answered or lost with its session");
        return STATUS_GONE;
    }
    *message = peer_message(peer, kind);
    message->correlation = origin->request_id;
    message->target = text_of(origin->source);
    message->trace = peer_trace_bytes(&origin->trace, trace);
    return STATUS_OK;
}

enum status
peer_reply(struct peer *peer, const struct peer_origin *origin, enum status status,
           struct bytes payload, struct error *error)
{
    uint8_t trace[TRACE_BYTES];
    struct message message;
    enum status result = begin(peer, &message, KIND_REPLY, origin, trace, error);
    if (result != STATUS_OK)
        return result;
    message.status = (uint32_t)status;
    message.payload = payload;
    result = peer_post(peer, &message, false, error);
    if (result == STATUS_OK)
        id_table_take(&peer->served, &origin->request_id);
    return result;
}

enum status
peer_send_chunk(struct peer *peer, const struct peer_origin *origin, uint64_t seq, bool final,
                struct bytes payload, struct error *error)
{
    if (payload.size > CHUNK_SIZE_MAX) {
        error_set(error, "the chunk has %zu bytes, at most %d travel", payload.size,
                  CHUNK_SIZE_MAX);
        return STATUS_TOO_LARGE;
    }
    uint8_t trace[TRACE_BYTES];
    struct message message;
    enum status result = begin(peer, &message, KIND_CHUNK, origin, trace, error);
    if (result != STATUS_OK)
        return result;
    message.seq = seq;
    message.flags = final ? MESSAGE_FINAL : 0;
    message.payload = payload;
    return peer_post(peer, &message, false, error);
}
