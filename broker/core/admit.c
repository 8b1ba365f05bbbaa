/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/admit.h"

#include "broker/core/access.h"
#include "broker/core/answer.h"
#include "broker/core/audit.h"
#include "broker/core/channel.h"
#include "broker/core/control.h"
#include "broker/core/mail.h"
#include "broker/core/peers.h"
#include "broker/core/pending.h"
#include "broker/core/session.h"
#include "broker/core/stream.h"
#include "broker/core/tap.h"

typedef const char *receive_fn(struct core *core, struct peer *peer, const struct message *message);

/* What a peer says to say that something went wrong there: it was counted, more is not asked. */
static const char *
error_receive(struct core *core, struct peer *peer, const struct message *message)
{
    (void)core, (void)peer, (void)message;
    return VERDICT_ACCEPTED;
}

/* Kinds without a row are the broker's to say. */
static receive_fn *const handlers[KIND_ERROR + 1] = {
    [KIND_HELLO] = hello_receive,         [KIND_READY] = ready_receive,
    [KIND_HEARTBEAT] = heartbeat_receive, [KIND_BYE] = bye_receive,
    [KIND_REQUEST] = request_receive,     [KIND_REPLY] = reply_receive,
    [KIND_CHUNK] = chunk_receive,         [KIND_CANCEL] = cancel_receive,
    [KIND_CONTROL] = control_receive,     [KIND_ERROR] = error_receive,
    [KIND_SEND] = send_receive,           [KIND_ACK] = ack_receive,
    [KIND_NACK] = nack_receive,           [KIND_PUBLISH] = publish_receive,
    [KIND_SUBSCRIBE] = subscribe_receive, [KIND_UNSUBSCRIBE] = unsubscribe_receive,
};

static const char *
refuse_kind(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    error_set(&error, "records of kind %s are not served", kind_word(message->kind));
    return answer_refuse_error(core, peer, &message->id, STATUS_NOT_IMPLEMENTED, &error);
}

static const char *
refuse_source(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    error_set_word(&error, "source_forged", "source is %.*s, the key is that of %.*s",
                   TEXT_ARGS(message->source), TEXT_ARGS(peer->identity));
    audit_tell_refusal(core, peer, "source_forged", message, &error);
    return answer_refuse_error(core, peer, &message->id, STATUS_FORBIDDEN, &error);
}

static const char *
refuse_principal(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    error_set_word(&error, "principal_not_allowed", "%.*s may not act for others",
                   TEXT_ARGS(peer->identity));
    audit_tell_refusal(core, peer, "principal_not_allowed", message, &error);
    return answer_refuse(core, peer, message, STATUS_FORBIDDEN, &error);
}

static const char *
refuse_access(struct core *core, struct peer *peer, const struct message *message,
              const struct error *error)
{
    audit_tell_refusal(core, peer, error->word, message, error);
    /* A gateway is not to blame for whom it speaks for. */
    return peer->rights & CORE_ACT_FOR_OTHERS
               ? answer_refuse_late(core, peer, message, STATUS_FORBIDDEN, error)
               : answer_refuse(core, peer, message, STATUS_FORBIDDEN, error);
}

static const char *
admit(struct core *core, struct peer *peer, const struct message *message)
{
    if (!text_equal(message->source, peer->identity))
        return refuse_source(core, peer, message);
    unsigned kind = (unsigned)message->kind;
    if (kind > KIND_ERROR || !handlers[kind])
        return refuse_kind(core, peer, message);
    if (!peer->greeted && kind != KIND_HELLO)
        return session_ask_hello(core, peer);
    if (message->principal.size > 0 && !(peer->rights & CORE_ACT_FOR_OTHERS))
        return refuse_principal(core, peer, message);
    struct error error = ERROR_INIT;
    if (access_check(core, peer, message, &error) != STATUS_OK)
        return refuse_access(core, peer, message, &error);
    return handlers[kind](core, peer, message);
}

void
admit_again(struct core *core, struct peer *peer, const struct message *message)
{
    core->ground = (struct ground){.id = 0};
    admit(core, peer, message);
}

/* The record's id is known when its header could be read that far. */
static void
refuse_record(struct core *core, struct peer *peer, const struct uuid *id, size_t size,
              enum status status, const struct error *error)
{
    struct message unread = {.id = *id, .source = peer->identity};
    const char *verdict = answer_refuse_error(core, peer, id, status, error);
    tap_record(core, TAP_IN, &unread, size, verdict);
}

size_t
admit_frame(struct core *core, struct peer *peer, struct bytes frame)
{
    size_t size = frame.size;
    if (size == 0 || size > FRAME_SIZE_MAX) {
        peer_doom(core, peer, "broken_length");
        return size;
    }
    for (int i = 0; i < CORE_TURN_RECORDS && frame.size > 0; i++) {
        struct error error = ERROR_INIT;
        struct message message;
        size_t used = 0;
        enum status status = message_decode(&message, frame, &used, &error);
        if (used == 0) {
            figures_refused(&core->figures, "broken_length");
            answer_refuse_error(core, peer, &(struct uuid){{0}}, STATUS_INVALID, &error);
            tap_record(core, TAP_IN, &(struct message){.source = peer->identity}, frame.size,
                       "refused: broken_length");
            peer_doom(core, peer, "broken_length");
            return size;
        }
        core->taken++;
        if (status == STATUS_OK) {
            unsigned kind = (unsigned)message.kind;
            if (kind <= KIND_ERROR)
                metric_add(core->figures.records[kind], 1);
            core->under_work = &message;
            core->ground = (struct ground){.id = 0};
            const char *verdict = admit(core, peer, &message);
            core->under_work = NULL;
            tap_record(core, TAP_IN, &message, used, verdict);
        } else {
            refuse_record(core, peer, &message.id, used, status, &error);
        }
        if (peer->doomed)
            return size;
        frame.data += used;
        frame.size -= used;
    }
    return size - frame.size;
}
