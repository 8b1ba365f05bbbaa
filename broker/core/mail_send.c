/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail_send.h"

#include "broker/core/answer.h"
#include "broker/core/mail_ask.h"
#include "broker/core/mail_form.h"
#include "broker/core/peers.h"
#include "kernel/identity.h"
#include "kernel/pack.h"

#define SECOND_NS UINT64_C(1000000000)
/* 9999-12-31T23:59:59.999999Z, the last instant that a timestamp can say. */
#define WALL_MAX_US UINT64_C(253402300799999999)

/* ---- names */

static bool
is_squad(const struct identity *identity)
{
    return identity->type == IDENTITY_SQUAD || identity->type == IDENTITY_GUILD;
}

static bool
is_inbox(const struct identity *identity)
{
    if (identity->type != IDENTITY_AGENT && identity->type != IDENTITY_USER &&
        identity->type != IDENTITY_SERVICE)
        return false;
    return !memchr(identity->name.data, ':', identity->name.size);
}

enum status
mail_check_inbox(struct text name, struct error *error)
{
    struct identity identity;
    if (identity_parse(name, &identity, NULL) == STATUS_OK && is_inbox(&identity))
        return STATUS_OK;
    error_set_word(error, "not_an_inbox",
                   "expected agent:<name>, user:<name> or service:<name>, without a second colon");
    return STATUS_INVALID;
}

enum status
mail_check_squad(struct text name, struct error *error)
{
    struct identity identity;
    if (identity_parse(name, &identity, NULL) == STATUS_OK && is_squad(&identity))
        return STATUS_OK;
    error_set_word(error, "not_a_squad", "expected squad:<name> or guild:<name>");
    return STATUS_INVALID;
}

static enum status
check_target(struct text target, bool *squad, struct error *error)
{
    struct identity identity;
    if (identity_parse(target, &identity, NULL) == STATUS_OK) {
        *squad = is_squad(&identity);
        if (*squad || is_inbox(&identity))
            return STATUS_OK;
    }
    error_set_word(error, "not_an_inbox",
                   "a message goes to agent:<name>, user:<name>, service:<name>, squad:<name> or "
                   "guild:<name>, its target is of another form");
    return STATUS_INVALID;
}

/* ---- limits */

/* A token bucket that holds what a second allows: the instant at which it would be full again. */
static bool
take_from_bucket(struct core *core, struct peer *peer)
{
    uint64_t now_ns = core->now.monotonic_us * 1000;
    uint64_t full_ns = peer->mail_rate_ns > now_ns ? peer->mail_rate_ns : now_ns;
    if (full_ns - now_ns >= SECOND_NS)
        return false;
    peer->mail_rate_ns = full_ns + SECOND_NS / core->options.mail_rate;
    return true;
}

static enum status
check_size(struct bytes record, struct bytes payload, struct error *error)
{
    size_t header = record.size - payload.size;
    if (record.size <= MAIL_RECORD_MAX && header <= MAIL_HEADER_MAX)
        return STATUS_OK;
    error_set(error, "a message of %zu bytes, %zu of them header; at most %d and %d can be kept",
              record.size, header, (int)MAIL_RECORD_MAX, (int)MAIL_HEADER_MAX);
    return STATUS_TOO_LARGE;
}

enum status
mail_append(struct core *core, struct peer *peer, const struct message *message,
            struct bytes record, uint64_t due_us, uint64_t tag, struct error *error)
{
    if (!core->sink.mail) {
        error_set(error, "this broker has no inboxes");
        return STATUS_NOT_IMPLEMENTED;
    }
    if (uuid_is_nil(&message->id)) {
        error_set_field(error, "id", "a message needs an id of its own, this one is all zero");
        return STATUS_INVALID;
    }
    bool squad = false;
    enum status status = check_target(message->target, &squad, error);
    if (status == STATUS_OK)
        status = check_size(record, message->payload, error);
    if (status != STATUS_OK)
        return status;
    if (!take_from_bucket(core, peer)) {
        error_set(error, "more than %lu messages a second (mail.rate)",
                  (unsigned long)core->options.mail_rate);
        return STATUS_RATE_LIMITED;
    }
    struct mail_op *op =
        mail_op_new(MAIL_APPEND, message->target, message->source, (struct text){NULL, 0}, record);
    if (!op)
        return STATUS_NOMEM;
    op->tag = tag;
    op->squad = squad;
    op->id = message->id;
    if (message->ttl_ms > 0)
        op->expires_us = core->now.wall_us + (uint64_t)message->ttl_ms * 1000;
    op->due_us = due_us > core->now.wall_us ? due_us : 0;
    if (mail_try(core, &op))
        return STATUS_OK;
    mail_op_destroy(&op);
    error_set(error, "too much waits for the disk");
    return STATUS_BUSY;
}

void
send_count(struct core *core, enum status status, uint64_t copies, const struct error *error)
{
    if (status == STATUS_OK)
        metric_add(core->figures.mail_accepted, copies > 0);
    else
        figures_mail_refused(&core->figures,
                             error && error->word[0] ? error->word : status_word(status));
}

/* ---- records */

static enum status
read_due(struct bytes metadata, uint64_t *due_us, struct error *error)
{
    struct value map, due;
    *due_us = 0;
    if (metadata.size == 0 || !value_parse(metadata, &map) ||
        !value_find(&map, "deliver_at", &due) || due.type == VALUE_NIL)
        return STATUS_OK;
    if (due.type != VALUE_UINT || due.as.uint > WALL_MAX_US) {
        error_set_field(error, "deliver_at", "expected microseconds since 1970 (uint)");
        return STATUS_INVALID;
    }
    *due_us = due.as.uint;
    return STATUS_OK;
}

/* A token is the sender's, for the broker: it is not kept on disk. */
static enum status
strip(struct core *core, const struct message *message, struct bytes *record, struct error *error)
{
    *record = message->raw;
    if (message->capability.size == 0 && message->principal.size == 0)
        return STATUS_OK;
    struct message stripped = *message;
    stripped.capability = (struct text){NULL, 0};
    stripped.principal = (struct text){NULL, 0};
    buffer_reset(&core->record);
    enum status status = message_encode(&core->record, &stripped, error);
    *record = buffer_bytes(&core->record);
    return status;
}

static enum status
take_on(struct core *core, struct peer *peer, const struct message *message, struct error *error)
{
    if (peer->mail_unanswered >= MAIL_UNANSWERED_MAX) {
        error_set(error, "%u messages of this peer wait for the disk already",
                  peer->mail_unanswered);
        return STATUS_BUSY;
    }
    uint64_t due_us;
    struct bytes record;
    enum status status = read_due(message->metadata, &due_us, error);
    if (status == STATUS_OK)
        status = strip(core, message, &record, error);
    if (status == STATUS_OK)
        status = mail_append(core, peer, message, record, due_us, peer->number, error);
    return status;
}

const char *
send_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    enum status status = take_on(core, peer, message, &error);
    if (status != STATUS_OK) {
        send_count(core, status, 0, &error);
        return answer_refuse_error(core, peer, &message->id, status, &error);
    }
    peer->mail_unanswered++;
    return VERDICT_ACCEPTED;
}

void
send_answered(struct core *core, const struct mail_op *op)
{
    send_count(core, op->status, op->count, &op->error);
    struct peer *peer = peers_find(core, op->tag);
    if (!peer)
        return;
    peer->mail_unanswered -= peer->mail_unanswered > 0;
    if (!peer->greeted)
        return;
    if (op->status == STATUS_OK) {
        answer_ack(core, peer, &op->id, op->count);
        return;
    }
    /* The store's limits and faults are not the peer's. */
    struct message record = {.kind = KIND_SEND, .id = op->id};
    answer_refuse_late(core, peer, &record, op->status, &op->error);
}
