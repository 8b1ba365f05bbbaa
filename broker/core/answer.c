/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/answer.h"

#include <stdio.h>

#include "broker/core/peers.h"
#include "broker/core/tap.h"

enum { MINUTE_US = 60 * 1000000 };

enum core_sent
answer_send(struct core *core, struct peer *peer, struct message *record)
{
    if (peer->doomed)
        return CORE_GONE;
    record->version = MESSAGE_VERSION;
    record->id = uuid_next(&core->ids, core->now.wall_us);
    record->source = text_of(BUS_IDENTITY);
    record->target = peer->identity;
    record->timestamp_us = core->now.wall_us;
    buffer_reset(&core->record);
    if (message_encode(&core->record, record, NULL) != STATUS_OK) {
        answer_dropped(core, "not_encoded");
        return CORE_FULL;
    }
    enum core_sent sent = peer_send(core, peer, buffer_bytes(&core->record));
    if (sent == CORE_FULL && record->kind != KIND_HEARTBEAT)
        answer_dropped(core, "peer_full");
    tap_record(core, TAP_OUT, record, core->record.size,
               sent == CORE_SENT ? VERDICT_FORWARDED : VERDICT_DROPPED);
    return sent;
}

void
answer_reply(struct core *core, struct peer *peer, const struct uuid *request, struct text type,
             struct bytes payload)
{
    struct message reply = {
        .kind = KIND_REPLY, .correlation = *request, .type = type, .payload = payload};
    /* Only the broker's own lists can grow too long for a record. */
    size_t room = RECORD_SIZE_MAX - 2 * (MESSAGE_NAME_MAX + MESSAGE_TYPE_MAX) - 256;
    if (payload.size > room) {
        struct error error = ERROR_INIT;
        error_set(&error, "the answer has %zu bytes, at most %zu fit a record", payload.size, room);
        answer_failure(core, peer, request, type, STATUS_TOO_LARGE, &error);
        return;
    }
    answer_send(core, peer, &reply);
}

static void
send_failure(struct core *core, struct peer *peer, enum kind kind, const struct uuid *correlation,
             struct text type, enum status status, const struct error *error)
{
    struct buffer *payload = &core->payload;
    buffer_reset(payload);
    error_pack(payload, status, error);
    struct message record = {.kind = kind,
                             .correlation = *correlation,
                             .type = type,
                             .status = (uint32_t)status,
                             .payload = buffer_bytes(payload)};
    answer_send(core, peer, &record);
}

void
answer_failure(struct core *core, struct peer *peer, const struct uuid *request, struct text type,
               enum status status, const struct error *error)
{
    send_failure(core, peer, KIND_REPLY, request, type, status, error);
}

void
answer_ack(struct core *core, struct peer *peer, const struct uuid *id, uint64_t seq)
{
    struct message ack = {.kind = KIND_ACK, .correlation = *id, .seq = seq};
    answer_send(core, peer, &ack);
}

/* Load and lost races are nobody's fault: they do not count towards a cut. */
static bool
is_load(enum status status)
{
    switch (status) {
    case STATUS_UNAVAILABLE:
    case STATUS_BUSY:
    case STATUS_NOMEM:
    case STATUS_QUOTA_EXCEEDED:
    case STATUS_RATE_LIMITED:
    case STATUS_CONFLICT:
    case STATUS_STORE_FAILED:
        return true;
    default:
        return false;
    }
}

void
answer_count_refusal(struct core *core, struct peer *peer)
{
    if (core->now.monotonic_us - peer->refused_since_us >= MINUTE_US) {
        peer->refused_since_us = core->now.monotonic_us;
        peer->refused = 0;
    }
    if (++peer->refused > REFUSED_MAX)
        peer_doom(core, peer, "refused_too_often");
}

static const char *
count(struct core *core, enum status status, const struct error *error)
{
    const char *word = error && error->word[0] ? error->word : status_word(status);
    figures_refused(&core->figures, word);
    snprintf(core->verdict, sizeof core->verdict, "refused: %s", word);
    return core->verdict;
}

const char *
answer_refuse_late(struct core *core, struct peer *peer, const struct message *record,
                   enum status status, const struct error *error)
{
    enum kind kind = record->kind == KIND_REQUEST ? KIND_REPLY : KIND_ERROR;
    send_failure(core, peer, kind, &record->id, record->type, status, error);
    return count(core, status, error);
}

/* Whoever speaks through the gateway must not be able to have it cut. */
static bool
is_passed_on(const struct peer *peer, const struct message *record)
{
    return (peer->rights & CORE_ACT_FOR_OTHERS) && record->kind == KIND_REQUEST &&
           record->principal.size > 0;
}

const char *
answer_refuse(struct core *core, struct peer *peer, const struct message *record,
              enum status status, const struct error *error)
{
    if (status == STATUS_PENDING)
        return VERDICT_HELD;
    if (!is_load(status) && !is_passed_on(peer, record))
        answer_count_refusal(core, peer);
    return answer_refuse_late(core, peer, record, status, error);
}

const char *
answer_refuse_error(struct core *core, struct peer *peer, const struct uuid *id, enum status status,
                    const struct error *error)
{
    if (!is_load(status))
        answer_count_refusal(core, peer);
    send_failure(core, peer, KIND_ERROR, id, (struct text){NULL, 0}, status, error);
    return count(core, status, error);
}

const char *
answer_dropped(struct core *core, const char *reason)
{
    figures_dropped(&core->figures, reason);
    return VERDICT_DROPPED;
}
