/* SPDX-License-Identifier: Apache-2.0 */
/* A message and the message that answers it: request and reply between those who come and go. Who
 * stops waiting loses nothing, the answer is then mail like any other. */
#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"

void
ask_pack_status(struct buffer *metadata, enum status status)
{
    pack_map(metadata, 1);
    pack_pair_uint(metadata, "status", (uint64_t)status);
}

/* OK, or what a refusal says. */
static enum status
status_of_answer(const struct sos_mail *answer, struct error *error)
{
    const struct message *message = &answer->envelope.message;
    struct value metadata;
    uint64_t code = 0;
    if (!value_parse(message->metadata, &metadata) ||
        !value_find_uint(&metadata, "status", &code) || code == 0)
        return STATUS_OK;
    error_unpack(message->payload, error);
    return status_from_code(code);
}

static enum status
await_answer(struct sos *sos, struct outgoing *outgoing, struct ask *ask, uint64_t deadline_us,
             struct error *error)
{
    enum status status = STATUS_OK;
    bool sent = false;
    while (!ask->answer && status == STATUS_OK) {
        if (outgoing->done && !sent) {
            sent = true;
            status = outgoing->status;
            *error = outgoing->error;
            continue;
        }
        if (sos->inbox.status != STATUS_OK) {
            status = sos->inbox.status;
            *error = sos->inbox.error;
            continue;
        }
        status = wait_for(sos, ask, deadline_us, error);
    }
    if (status == STATUS_TIMEOUT && !*error->message)
        error_set(error, "no answer so far");
    /* The answer may overtake the acknowledgement of the question. */
    if (outgoing->done) {
        outgoing_end(sos, &outgoing);
    } else {
        outgoing->on_done = NULL;
    }
    return ask->answer ? STATUS_OK : status;
}

static void
wake_asker(struct sos *sos, struct outgoing *outgoing)
{
    wait_wake(sos, outgoing->owner);
}

static enum status
ask_and_wait(struct sos *sos, const struct sos_message *message, int timeout_ms,
             struct sos_mail **answer_p, struct error *error)
{
    uint64_t deadline_us = client_deadline_us(sos, timeout_ms == 0 ? CALL_TIMEOUT_MS : timeout_ms);
    struct ask ask = {0};
    struct outgoing *outgoing = NULL;
    inbox_want(sos);
    enum status status = mail_send(sos, message, wake_asker, &ask, &outgoing, error);
    if (status != STATUS_OK)
        return status;
    struct uuid id = outgoing->id;
    if (!id_table_put(&sos->inbox.asks, &id, &ask)) {
        outgoing->on_done = NULL;
        return STATUS_NOMEM;
    }
    status = await_answer(sos, outgoing, &ask, deadline_us, error);
    id_table_take(&sos->inbox.asks, &id);
    if (status != STATUS_OK)
        return status;
    struct sos_mail *answer = ask.answer;
    status = status_of_answer(answer, error);
    if (status == STATUS_OK) {
        *answer_p = answer;
        return STATUS_OK;
    }
    if (inbox_end(sos, answer, INBOX_ACK, NULL, -1, NULL) != STATUS_OK)
        inbox_forget(sos, answer);
    mail_free(&answer);
    return status;
}

int
sos_ask(struct sos *sos, const struct sos_message *message, int timeout_ms,
        struct sos_mail **answer_p, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = ask_and_wait(sos, message, timeout_ms, answer_p, &error);
    return client_leave(sos, entered, status, &error, told);
}
