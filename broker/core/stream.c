/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/stream.h"

#include "broker/core/answer.h"
#include "broker/core/hold.h"
#include "broker/core/peers.h"
#include "broker/core/pending.h"
#include "broker/core/tap.h"

static const char *
refuse_stranger(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    error_set_word(&error, "request_unknown", "this peer has no part in the request");
    return answer_refuse(core, peer, message, STATUS_NOT_FOUND, &error);
}

static bool
is_instance_of(const struct request *request, const struct peer *peer)
{
    return request->instance && request->instance->peer == peer;
}

/* False: why stands in error. Takes one credit otherwise. */
static bool
take_credit(struct direction *direction, const struct message *chunk, struct error *error)
{
    if (chunk->payload.size > CHUNK_SIZE_MAX)
        error_set_word(error, "chunk_too_large", "a chunk of %zu bytes, at most %d are allowed",
                       chunk->payload.size, CHUNK_SIZE_MAX);
    else if (direction->ended)
        error_set_word(error, "stream_overrun",
                       "a chunk in a direction that has ended or was never asked for");
    else if (chunk->seq != direction->seq)
        error_set_word(error, "stream_overrun", "chunk %llu came where %llu was expected",
                       (unsigned long long)chunk->seq, (unsigned long long)direction->seq);
    else if (direction->credit == 0)
        error_set_word(error, "stream_overrun", "chunk %llu came without credit",
                       (unsigned long long)chunk->seq);
    else {
        direction->credit--;
        direction->seq++;
        direction->ended = (chunk->flags & MESSAGE_FINAL) != 0;
        return true;
    }
    return false;
}

static const char *
break_stream(struct core *core, struct request *request, enum status status,
             const struct error *error)
{
    figures_refused(&core->figures, error->word[0] ? error->word : status_word(status));
    request_fail(core, request, status, error);
    return "refused: stream_overrun";
}

const char *
chunk_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct request *request = request_find(core, &message->correlation);
    if (!request)
        return answer_dropped(core, "late"); /* it crossed the end of its request */
    tap_note_type(core, request->type);
    bool down = is_instance_of(request, peer);
    if (!down && request->requester != peer)
        return refuse_stranger(core, peer, message);
    if (!request->service)
        return answer_dropped(core, "late"); /* the broker's own operations take no chunks */

    struct error error = ERROR_INIT;
    if (!take_credit(down ? &request->down : &request->up, message, &error))
        return break_stream(core, request, STATUS_QUOTA_EXCEEDED, &error);
    if (request->waiting) {
        enum status status = hold_chunk(core, request, message->raw, &error);
        return status == STATUS_OK ? VERDICT_HELD : break_stream(core, request, status, &error);
    }
    struct peer *receiver = down ? request->requester : request->instance->peer;
    request->chunk_passed = true;
    enum core_sent sent = peer_send(core, receiver, message->raw);
    if (sent == CORE_SENT)
        return VERDICT_FORWARDED;
    if (sent == CORE_GONE) /* its disconnection ends the request */
        return answer_dropped(core, "peer_gone");
    error_set_word(&error, "stream_overrun", "the receiver does not keep up with the stream");
    return break_stream(core, request, STATUS_QUOTA_EXCEEDED, &error);
}

const char *
credit_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct request *request = request_find(core, &message->correlation);
    if (!request)
        return answer_dropped(core, "late");
    bool up = is_instance_of(request, peer);
    if (!up && request->requester != peer)
        return refuse_stranger(core, peer, message);

    struct direction *direction = up ? &request->up : &request->down;
    uint32_t room = core->options.stream_credit - direction->credit;
    uint32_t more = message->seq < room ? (uint32_t)message->seq : room;
    if (more == 0 || direction->ended)
        return VERDICT_ACCEPTED;
    direction->credit += more;
    if (!request->service) {
        if (request->work_ops->credited)
            request->work_ops->credited(core, request);
        return VERDICT_ACCEPTED;
    }

    struct peer *producer =
        up ? request->requester : (request->instance ? request->instance->peer : NULL);
    if (!producer)
        return VERDICT_ACCEPTED;
    enum core_sent sent;
    if (more == message->seq) {
        sent = peer_send(core, producer, message->raw);
    } else {
        struct message less = *message;
        less.seq = more;
        buffer_reset(&core->record);
        sent = message_encode(&core->record, &less, NULL) == STATUS_OK
                   ? peer_send(core, producer, buffer_bytes(&core->record))
                   : CORE_FULL;
    }
    if (sent != CORE_FULL)
        return VERDICT_FORWARDED;
    struct error error = ERROR_INIT;
    error_set_word(&error, "stream_overrun", "the producer's credit could not be passed on");
    return break_stream(core, request, STATUS_QUOTA_EXCEEDED, &error);
}
