/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail_ask.h"

#include <stdlib.h>

#include "broker/core/answer.h"

/* ---- questions */

static bool
give(struct core *core, struct mail_op **op_p)
{
    if (!core->sink.mail(core->sink.context, op_p))
        return false;
    core->mail->asked++;
    return true;
}

bool
mail_try(struct core *core, struct mail_op **op_p)
{
    struct mail *mail = core->mail;
    return !mail->closing && !mail->backlog && give(core, op_p);
}

void
mail_ask(struct core *core, struct mail_op **op_p)
{
    struct mail *mail = core->mail;
    if (mail->closing) {
        mail_op_destroy(op_p);
        return;
    }
    if (!mail->backlog && give(core, op_p))
        return;
    (*op_p)->next = NULL;
    *mail->backlog_end = *op_p;
    mail->backlog_end = &(*op_p)->next;
    *op_p = NULL;
    /* An answer is tried upon as well: without memory for the timer that is when. */
    if (mail->retry.place == 0)
        timers_set(&core->timers, &mail->retry, core->now.monotonic_us + MAIL_RETRY_US);
}

void
mail_ask_backlog(struct core *core)
{
    struct mail *mail = core->mail;
    while (mail->backlog) {
        struct mail_op *op = mail->backlog;
        struct mail_op *next = op->next;
        if (!give(core, &op)) {
            if (mail->retry.place == 0)
                timers_set(&core->timers, &mail->retry, core->now.monotonic_us + MAIL_RETRY_US);
            return;
        }
        mail->backlog = next;
        if (!next)
            mail->backlog_end = &mail->backlog;
    }
}

void
mail_ask_clear(struct mail *mail)
{
    while (mail->backlog) {
        struct mail_op *op = mail->backlog;
        mail->backlog = op->next;
        mail_op_destroy(&op);
    }
    mail->backlog_end = &mail->backlog;
}

/* ---- tickets */

static struct bytes
number_key(const uint64_t *number)
{
    return (struct bytes){(const uint8_t *)number, sizeof *number};
}

struct ticket *
ticket_find(const struct core *core, uint64_t number)
{
    const struct table *tickets = &core->mail->tickets;
    struct table_node *node = table_first(tickets, table_hash(tickets, number_key(&number)));
    for (; node; node = table_next(node)) {
        struct ticket *ticket = CONTAINER_OF(node, struct ticket, node);
        if (ticket->number == number)
            return ticket;
    }
    return NULL;
}

static struct ticket *
ticket_new(struct core *core, ticket_fn *answered)
{
    struct table *tickets = &core->mail->tickets;
    struct ticket *ticket = calloc(1, sizeof *ticket);
    if (!ticket)
        return NULL;
    ticket->number = ++core->mail->last_number;
    ticket->answered = answered;
    buffer_init(&ticket->out);
    table_insert(tickets, &ticket->node, table_hash(tickets, number_key(&ticket->number)));
    return ticket;
}

void
ticket_destroy(struct core *core, struct ticket *ticket)
{
    table_remove(&core->mail->tickets, &ticket->node);
    timers_remove(&core->timers, &ticket->timer);
    list_remove(&ticket->take_link);
    mail_release(core, &ticket->consumer, false);
    buffer_clear(&ticket->out);
    free(ticket);
}

struct ticket *
ticket_of_record(struct core *core, struct peer *peer, const struct message *message,
                 ticket_fn *answered)
{
    struct ticket *ticket = ticket_new(core, answered);
    if (!ticket)
        return NULL;
    ticket->peer = peer->number;
    ticket->id = message->id;
    return ticket;
}

static void
request_ended(struct core *core, struct request *request)
{
    ticket_destroy(core, request->work);
}

static const struct request_work work = {.ended = request_ended};

struct ticket *
ticket_of_call(struct core *core, const struct bus_call *call, ticket_fn *answered,
               const char **verdict)
{
    if (!core->sink.mail) {
        *verdict = bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
        return NULL;
    }
    struct ticket *ticket = ticket_new(core, answered);
    if (ticket) {
        ticket->request = bus_keep(core, call, &work, ticket);
        if (ticket->request) {
            *verdict = VERDICT_HELD;
            return ticket;
        }
        ticket_destroy(core, ticket);
    }
    *verdict = bus_refuse(core, call, STATUS_NOMEM, NULL);
    return NULL;
}

void
ticket_ask(struct core *core, struct ticket *ticket, struct mail_op **op_p)
{
    (*op_p)->tag = MAIL_TICKET_TAG | ticket->number;
    mail_ask(core, op_p);
}

const char *
ticket_ask_now(struct core *core, struct ticket *ticket, struct mail_op **op_p)
{
    if (!*op_p) {
        ticket_fail(core, ticket, STATUS_NOMEM, NULL);
        return "refused: service_unavailable";
    }
    (*op_p)->tag = MAIL_TICKET_TAG | ticket->number;
    if (mail_try(core, op_p))
        return VERDICT_HELD;
    mail_op_destroy(op_p);
    struct error error = ERROR_INIT;
    error_set(&error, "too much waits for the mailbox");
    ticket_fail(core, ticket, STATUS_BUSY, &error);
    return "refused: service_busy";
}

void
ticket_reply(struct core *core, struct ticket *ticket, const struct buffer *payload)
{
    if (payload->failed)
        bus_fail(core, ticket->request, STATUS_NOMEM, NULL);
    else
        bus_reply(core, ticket->request, buffer_bytes(payload));
}

void
ticket_fail(struct core *core, struct ticket *ticket, enum status status, const struct error *error)
{
    bus_fail(core, ticket->request, status, error);
}
