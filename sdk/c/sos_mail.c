/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"

/* ---- the message that came */

struct sos_mail *
mail_new(struct sos *sos, const struct message *message)
{
    struct sos_mail *mail = malloc(sizeof *mail + envelope_size(message));
    if (!mail)
        return NULL;
    *mail = (struct sos_mail){.sos = sos};
    link_init(&mail->link);
    link_init(&mail->queue_link);
    envelope_fill(&mail->envelope, message, mail->storage);
    client_retain(sos);
    return mail;
}

void
mail_free(struct sos_mail **mail_p)
{
    struct sos_mail *mail = *mail_p;
    *mail_p = NULL;
    if (!mail)
        return;
    envelope_clear(&mail->envelope);
    client_release(mail->sos);
    free(mail);
}

/* struct uuid and struct sos_id are the same 16 bytes. */
_Static_assert(sizeof(struct uuid) == sizeof(struct sos_id), "one form of ids");

static const struct sos_id *
id_of(const struct uuid *uuid)
{
    return (const struct sos_id *)(const void *)uuid;
}

const struct sos_id *
sos_mail_id(const struct sos_mail *mail)
{
    return id_of(&mail->envelope.message.id);
}

const char *
sos_mail_from(const struct sos_mail *mail)
{
    return mail->envelope.from;
}

const char *
sos_mail_to(const struct sos_mail *mail)
{
    return mail->envelope.to;
}

const char *
sos_mail_type(const struct sos_mail *mail)
{
    return mail->envelope.type;
}

struct sos_bytes
sos_mail_payload(const struct sos_mail *mail)
{
    struct bytes payload = mail->envelope.message.payload;
    return (struct sos_bytes){payload.data, payload.size};
}

const struct sos_map *
sos_mail_map(struct sos_mail *mail)
{
    return envelope_map(&mail->envelope);
}

const char *
sos_mail_text(struct sos_mail *mail)
{
    return envelope_text(&mail->envelope);
}

const struct sos_id *
sos_mail_in_reply_to(const struct sos_mail *mail)
{
    return id_of(&mail->envelope.message.correlation);
}

uint32_t
sos_mail_attempt(const struct sos_mail *mail)
{
    return mail->envelope.message.attempt;
}

uint64_t
sos_mail_sent_us(const struct sos_mail *mail)
{
    return mail->envelope.message.timestamp_us;
}

uint64_t
sos_mail_seq(const struct sos_mail *mail)
{
    return mail->envelope.message.seq;
}

uint32_t
sos_mail_ttl_ms(const struct sos_mail *mail)
{
    return mail->envelope.message.ttl_ms;
}

struct sos_bytes
sos_mail_metadata(const struct sos_mail *mail)
{
    struct bytes metadata = mail->envelope.message.metadata;
    return (struct sos_bytes){metadata.data, metadata.size};
}

const char *
sos_mail_trace(const struct sos_mail *mail)
{
    return mail->envelope.trace;
}

/* ---- sending */

static enum status
check_message(const struct sos_message *message, struct error *error)
{
    if (!message->to || !*message->to) {
        error_set_field(error, "to", "missing");
        return STATUS_INVALID;
    }
    if (message->timeout_ms > SEND_TIMEOUT_MAX_MS) {
        error_set_field(error, "timeout_ms", "came %u, at most %d", message->timeout_ms,
                        SEND_TIMEOUT_MAX_MS);
        return STATUS_INVALID;
    }
    return basic_check_payload(message->payload, error);
}

enum status
mail_send(struct sos *sos, const struct sos_message *given, outgoing_fn *on_done, void *owner,
          struct outgoing **outgoing_p, struct error *error)
{
    struct trace trace;
    uint8_t trace_bytes[TRACE_PACKED];
    enum status status = check_message(given, error);
    if (status == STATUS_OK)
        status = basic_trace(given->trace, &trace, error);
    if (status != STATUS_OK)
        return status;
    struct buffer metadata;
    buffer_init(&metadata);
    if (given->deliver_at_us) {
        pack_map(&metadata, 1);
        pack_pair_uint(&metadata, "deliver_at", given->deliver_at_us);
    }
    struct message message = {
        .kind = KIND_SEND,
        .target = text_of(given->to),
        .type = text_of(given->type ? given->type : "message"),
        .ttl_ms = given->ttl_ms,
        .capability = basic_text(given->capability),
        .trace = basic_trace_bytes(&trace, trace_bytes),
        .metadata = buffer_bytes(&metadata),
        .payload = {given->payload.data, given->payload.size},
    };
    memcpy(message.id.bytes, given->id.bytes, sizeof message.id.bytes);
    memcpy(message.correlation.bytes, given->in_reply_to.bytes, sizeof message.correlation.bytes);
    uint32_t timeout_ms = given->timeout_ms ? given->timeout_ms : SEND_TIMEOUT_MS;
    status = metadata.failed
                 ? STATUS_NOMEM
                 : outgoing_add(sos, &message, true, timeout_ms, on_done, owner, outgoing_p, error);
    buffer_clear(&metadata);
    return status;
}

int
sos_send_message(struct sos *sos, const struct sos_message *message, struct sos_receipt *receipt,
                 struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct outgoing *outgoing = NULL;
    struct uuid id = {{0}};
    uint64_t copies = 0;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = mail_send(sos, message, outgoing_wake, NULL, &outgoing, &error);
    if (status == STATUS_OK) {
        id = outgoing->id;
        status = outgoing_wait(sos, outgoing, &copies, &error);
    }
    if (status == STATUS_OK && receipt) {
        receipt->copies = copies;
        memcpy(receipt->id.bytes, id.bytes, sizeof receipt->id.bytes);
    }
    return client_leave(sos, entered, status, &error, told);
}

int
sos_send(struct sos *sos, const char *to, const char *type, struct sos_bytes payload,
         struct sos_error *told)
{
    struct sos_message message = {.to = to, .type = type, .payload = payload};
    return sos_send_message(sos, &message, NULL, told);
}

static void
run_sent(struct sos *sos, struct work *work)
{
    struct outgoing *outgoing = LINK_ENTRY(work, struct outgoing, work);
    struct sos_error error;
    struct sos_receipt receipt = {.copies = outgoing->seq};
    memcpy(receipt.id.bytes, outgoing->id.bytes, sizeof receipt.id.bytes);
    if (outgoing->status != STATUS_OK)
        basic_fail(&error, outgoing->status, &outgoing->error);
    client_unlock(sos);
    outgoing->on_sent(outgoing->context, outgoing->status == STATUS_OK ? NULL : &error, &receipt);
    client_lock(sos);
    outgoing_end(sos, &outgoing);
}

static void
queue_sent(struct sos *sos, struct outgoing *outgoing)
{
    outgoing->work.run = run_sent;
    work_add(sos, &outgoing->work);
}

int
sos_send_async(struct sos *sos, const struct sos_message *message, sos_sent_fn *on_sent,
               void *context, struct sos_id *id, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct outgoing *outgoing = NULL;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = mail_send(sos, message, on_sent ? queue_sent : NULL, NULL, &outgoing, &error);
    if (status == STATUS_OK) {
        outgoing->on_sent = on_sent;
        outgoing->context = context;
        if (id)
            memcpy(id->bytes, outgoing->id.bytes, sizeof id->bytes);
    }
    return client_leave(sos, entered, status, &error, told);
}

/* ---- ending a message */

static int
end_mail(struct sos_mail **mail_p, enum inbox_end how, const char *reason, int delay_ms,
         struct sos_error *told)
{
    struct sos_mail *mail = *mail_p;
    if (!mail)
        return SOS_OK;
    struct error error = ERROR_INIT;
    struct sos *sos = mail->sos;
    if (!client_lock(sos)) {
        error_set_word(&error, "forked", "this message belongs to the parent process");
        return basic_fail(told, STATUS_CONFLICT, &error);
    }
    enum status status = STATUS_CANCELLED;
    error_set(&error, "the client was closed: the message comes again");
    if (!sos->ended)
        status = inbox_end(sos, mail, how, reason, delay_ms, &error);
    client_unlock(sos);
    if (status == STATUS_OK || status == STATUS_CANCELLED)
        mail_free(mail_p);
    return status == STATUS_OK ? SOS_OK : basic_fail(told, status, &error);
}

int
sos_mail_ack(struct sos_mail **mail_p, struct sos_error *told)
{
    return end_mail(mail_p, INBOX_ACK, NULL, -1, told);
}

int
sos_mail_nack(struct sos_mail **mail_p, const char *reason, int delay_ms, struct sos_error *told)
{
    return end_mail(mail_p, INBOX_NACK, reason, delay_ms, told);
}

int
sos_mail_reject(struct sos_mail **mail_p, const char *reason, struct sos_error *told)
{
    return end_mail(mail_p, INBOX_REJECT, reason, -1, told);
}

void
sos_mail_release(struct sos_mail **mail_p)
{
    if (end_mail(mail_p, INBOX_NACK, NULL, -1, NULL) == SOS_OK || !*mail_p)
        return;
    if (client_lock((*mail_p)->sos)) {
        inbox_forget((*mail_p)->sos, *mail_p);
        client_unlock((*mail_p)->sos);
        mail_free(mail_p);
    }
    *mail_p = NULL;
}

/* ---- answering it */

/* The answer's id follows from the message's: answered twice, it is stored once. */
static struct uuid
answer_id(const struct uuid *id)
{
    struct uuid answer = *id;
    static const uint8_t mark[] = {'a', 'n', 's', 'w', 'e', 'r'};
    for (size_t i = 0; i < sizeof mark; i++)
        answer.bytes[sizeof answer.bytes - sizeof mark + i] ^= mark[i];
    answer.bytes[6] = (uint8_t)((answer.bytes[6] & 0x0f) | 0x80); /* UUID version 8: our own */
    return answer;
}

enum status
mail_answer(struct sos *sos, const struct message *mail, const struct mail_answer *answer,
            outgoing_fn *on_done, void *owner, struct outgoing **outgoing_p, struct error *error)
{
    struct message message = {
        .kind = KIND_SEND,
        .id = answer_id(&mail->id),
        .correlation = mail->id,
        .target = mail->source,
        .type = basic_text(answer->type),
        .trace = mail->trace,
        .metadata = answer->metadata,
        .payload = answer->payload,
    };
    return outgoing_add(sos, &message, true, SEND_TIMEOUT_MS, on_done, owner, outgoing_p, error);
}

int
sos_mail_reply(struct sos_mail *mail, const char *type, struct sos_bytes payload,
               struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct sos *sos = mail->sos;
    struct outgoing *outgoing = NULL;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    struct mail_answer answer = {type ? type : "reply", {payload.data, payload.size}, {0}};
    if (entered)
        status = basic_check_payload(payload, &error);
    if (status == STATUS_OK)
        status = mail_answer(sos, &mail->envelope.message, &answer, outgoing_wake, NULL, &outgoing,
                             &error);
    if (status == STATUS_OK)
        status = outgoing_wait(sos, outgoing, NULL, &error);
    return client_leave(sos, entered, status, &error, told);
}
