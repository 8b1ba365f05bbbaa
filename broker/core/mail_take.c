/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail_take.h"

#include "broker/core/mail_ask.h"
#include "broker/core/mail_consumer.h"
#include "broker/core/mail_form.h"
#include "broker/core/mail_inbox.h"
#include "kernel/pack.h"

enum { SPARE_US = 100000 /* of the call's budget, for the way back */ };

static struct mail_op *
ask_for_figures(struct text inbox)
{
    struct mail_op *op = mail_op_new(MAIL_FIGURES, inbox, (struct text){NULL, 0},
                                     (struct text){NULL, 0}, (struct bytes){NULL, 0});
    if (op)
        op->limit = 1;
    return op;
}

/* False: it does not fit the answer any more. */
static bool
gather(struct ticket *ticket, const struct message *message)
{
    size_t size = message->payload.size + message->metadata.size + MAIL_FORM_OVERHEAD;
    if (ticket->out.size + size > MAIL_ANSWER_MAX)
        return false;
    mail_form_pack(&ticket->out, message, true);
    if (ticket->out.failed)
        return false;
    ticket->items++;
    return true;
}

static void
reply(struct core *core, struct ticket *ticket, uint64_t waiting)
{
    struct buffer *out = &core->payload;
    buffer_reset(out);
    pack_map(out, 2);
    pack_string(out, "messages");
    pack_array(out, ticket->items);
    pack_raw(out, buffer_bytes(&ticket->out));
    pack_pair_uint(out, "waiting", waiting);
    out->failed = out->failed || ticket->out.failed;
    ticket_reply(core, ticket, out);
}

static uint64_t
less(uint64_t count, uint64_t by)
{
    return count > by ? count - by : 0;
}

/* ---- looking only */

static void
peeked(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    if (op->type == MAIL_FIGURES) {
        reply(core, ticket, less(mail_form_waiting(buffer_bytes(&op->out)), ticket->items));
        return;
    }
    for (size_t i = 0; i < op->row_count; i++) {
        const struct mail_row *row = &op->rows[i];
        struct bytes record = {op->out.data + row->offset, row->record_size};
        struct mail_stamp stamp = {row->seq, row->expires_us, row->attempts};
        struct message message;
        if (!mail_form_deliver(record, &stamp, core->now.wall_us, &message))
            continue;
        message.attempt = row->attempts;
        if (!gather(ticket, &message))
            break;
    }
    struct mail_op *figures = ask_for_figures(op->name);
    if (figures)
        ticket_ask(core, ticket, &figures);
    else
        ticket_fail(core, ticket, STATUS_NOMEM, NULL);
}

static const char *
peek(struct core *core, const struct bus_call *call, struct text inbox)
{
    const char *verdict;
    struct ticket *ticket = ticket_of_call(core, call, peeked, &verdict);
    if (!ticket)
        return verdict;
    struct mail_op *op = mail_op_new(MAIL_READ, inbox, (struct text){NULL, 0},
                                     (struct text){NULL, 0}, (struct bytes){NULL, 0});
    if (op) {
        op->seq = (uint64_t)arguments_integer(call->arguments, BUS_INBOX_AFTER);
        op->limit = (uint32_t)arguments_integer(call->arguments, BUS_INBOX_LIMIT);
        op->bytes_max = MAIL_ANSWER_MAX;
    }
    return ticket_ask_now(core, ticket, &op);
}

/* ---- taking */

static enum core_sent
deliver(struct core *core, void *context, const struct message *message)
{
    (void)core;
    return gather(context, message) ? CORE_SENT : CORE_FULL;
}

static void
counted(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    uint64_t waiting = op->status == STATUS_OK ? mail_form_waiting(buffer_bytes(&op->out)) : 0;
    waiting = less(waiting, ticket->consumer->inbox->out_count);
    struct consumer *consumer = ticket->consumer;
    if (!ticket->out.failed) {
        ticket->consumer = NULL;
        consumer_close(core, consumer);
    }
    reply(core, ticket, waiting);
}

static void
finish(struct core *core, struct ticket *ticket)
{
    list_remove(&ticket->take_link);
    timers_remove(&core->timers, &ticket->timer);
    ticket->consumer->paused = true;
    consumer_settle(ticket->consumer);
    struct mail_op *op = ask_for_figures(ticket->consumer->inbox->name);
    if (op)
        ticket_ask(core, ticket, &op);
    else
        ticket_fail(core, ticket, STATUS_NOMEM, NULL);
}

static void
stop_waiting(void *context, void *owner)
{
    finish(context, owner);
}

static bool
is_done(const struct inbox *inbox, const struct ticket *ticket)
{
    if (ticket->items == ticket->consumer->window || ticket->consumer->paused)
        return true;
    return (ticket->items > 0 || !ticket->waits) && (inbox_is_empty(inbox) || inbox_is_full(inbox));
}

void
takes_look(struct core *core, struct inbox *inbox)
{
    struct list_node *node = inbox->takes.next, *next;
    for (; node != &inbox->takes; node = next) {
        next = node->next;
        struct ticket *ticket = CONTAINER_OF(node, struct ticket, take_link);
        if (is_done(inbox, ticket))
            finish(core, ticket);
    }
}

void
takes_fail(struct core *core, struct inbox *inbox, enum status status, const struct error *error)
{
    while (!list_is_empty(&inbox->takes))
        ticket_fail(core, CONTAINER_OF(inbox->takes.next, struct ticket, take_link), status, error);
}

/* How long it waits for the first message: not beyond the call's own time. */
static uint64_t
wait_until_us(const struct core *core, const struct ticket *ticket, uint64_t wait_ms)
{
    uint64_t until_us = core->now.monotonic_us + wait_ms * 1000;
    uint64_t last_us = less(ticket->request->deadline_us, SPARE_US);
    return until_us < last_us ? until_us : last_us;
}

static const char *
take(struct core *core, const struct bus_call *call, struct text inbox)
{
    const char *verdict;
    struct ticket *ticket = ticket_of_call(core, call, counted, &verdict);
    if (!ticket)
        return verdict;
    const struct arguments *arguments = call->arguments;
    uint64_t wait_ms = (uint64_t)arguments_integer(arguments, BUS_INBOX_WAIT_MS);
    struct consumer_options options = {
        .inbox = inbox,
        .window = (uint32_t)arguments_integer(arguments, BUS_INBOX_LIMIT),
        .ack_ms = (uint32_t)arguments_integer(arguments, BUS_INBOX_ACK_MS),
        .peer = call->peer,
        .deliver = deliver,
        .context = ticket};
    struct error error = ERROR_INIT;
    enum status status = mail_consume(core, &options, &ticket->consumer, &error);
    if (status == STATUS_OK && inbox_is_full(ticket->consumer->inbox)) {
        error_set_word(&error, "too_many_unacked",
                       "%d messages of inbox %.*s are out and not acknowledged", MAIL_HELD_MAX,
                       TEXT_ARGS(inbox));
        status = STATUS_QUOTA_EXCEEDED;
    }
    if (status != STATUS_OK) {
        ticket_fail(core, ticket, status, &error);
        return VERDICT_ANSWERED;
    }
    ticket->waits = wait_ms > 0;
    list_append(&ticket->consumer->inbox->takes, &ticket->take_link);
    timer_init(&ticket->timer, stop_waiting, ticket);
    /* Without memory for the timer the call's own deadline ends it. */
    if (ticket->waits)
        timers_set(&core->timers, &ticket->timer, wait_until_us(core, ticket, wait_ms));
    return VERDICT_HELD;
}

const char *
bus_inbox(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    struct text inbox = arguments_text(call->arguments, BUS_INBOX_AGENT_ID);
    enum status status = mail_check_inbox(inbox, &error);
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);
    return arguments_boolean(call->arguments, BUS_INBOX_PEEK) ? peek(core, call, inbox)
                                                              : take(core, call, inbox);
}
