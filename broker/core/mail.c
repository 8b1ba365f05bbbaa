/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail.h"

#include <stdlib.h>

#include "broker/core/mail_ask.h"
#include "broker/core/mail_entry.h"
#include "broker/core/mail_inbox.h"
#include "broker/core/mail_send.h"
#include "broker/core/mail_state.h"
#include "kernel/assert.h"

static void
retry(void *context, void *owner)
{
    (void)owner;
    mail_ask_backlog(context);
}

struct mail *
mail_new(struct core *core)
{
    struct mail *mail = calloc(1, sizeof *mail);
    if (!mail)
        return NULL;
    mail->core = core;
    mail->backlog_end = &mail->backlog;
    timer_init(&mail->retry, retry, mail);
    const uint8_t *key = core->options.hash_key;
    if (!table_init(&mail->inboxes, key) || !table_init(&mail->entries, key) ||
        !table_init(&mail->tickets, key))
        mail_destroy(&mail);
    return mail;
}

void
mail_close(struct mail *mail)
{
    mail->closing = true;
}

/* What a bus_inbox took belongs to no session. */
static void
release_leases(struct core *core, struct inbox *inbox)
{
    struct list_node *lists[] = {&inbox->takers, &inbox->others, &inbox->watchers};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (!list_is_empty(lists[i])) {
            struct consumer *consumer = CONTAINER_OF(lists[i]->next, struct consumer, link);
            mail_release(core, &consumer, false);
        }
    }
}

void
mail_destroy(struct mail **mail_p)
{
    struct mail *mail = *mail_p;
    if (!mail)
        return;
    mail->closing = true;
    for (size_t i = 0; i < mail->inboxes.slot_count; i++) {
        while (mail->inboxes.slots[i]) {
            struct inbox *inbox = CONTAINER_OF(mail->inboxes.slots[i], struct inbox, node);
            release_leases(mail->core, inbox);
            inbox_free(mail->core, inbox);
        }
    }
    for (size_t i = 0; i < mail->tickets.slot_count; i++) {
        while (mail->tickets.slots[i])
            ticket_destroy(mail->core, CONTAINER_OF(mail->tickets.slots[i], struct ticket, node));
    }
    mail_ask_clear(mail);
    timers_remove(&mail->core->timers, &mail->retry);
    ASSERT(mail->entries.count == 0 && mail->ready_bytes == 0);
    table_clear(&mail->inboxes);
    table_clear(&mail->entries);
    table_clear(&mail->tickets);
    free(mail);
    *mail_p = NULL;
}

static void
ticket_answered(struct core *core, struct mail_op *op)
{
    struct ticket *ticket = ticket_find(core, op->tag & ~MAIL_TICKET_TAG);
    if (!ticket)
        return;
    /* Figures are asked for at the end of other things, which know what to say without. */
    if (ticket->request && op->status != STATUS_OK && op->type != MAIL_FIGURES)
        ticket_fail(core, ticket, op->status, &op->error);
    else
        ticket->answered(core, ticket, op);
}

static void
append_answered(struct core *core, struct mail_op **op_p)
{
    struct mail_op *op = *op_p;
    if (op->tag & MAIL_TICKET_TAG) {
        send_count(core, op->status, op->count, &op->error);
        ticket_answered(core, op);
    } else {
        send_answered(core, op);
    }
    if (op->squad || op->due_us != 0)
        return;
    if (op->status == STATUS_OK && op->count > 0)
        inbox_arrived(core, op_p);
    /* It may be there: since an answer that did not know, or since one before the sender asked
     * again. */
    else if (op->status == STATUS_OK || op->status == STATUS_UNKNOWN_OUTCOME)
        inbox_doubt(core, op->name);
}

static void
take_answer(struct core *core, struct mail_op **op_p)
{
    struct mail_op *op = *op_p;
    switch (op->type) {
    case MAIL_APPEND:
        append_answered(core, op_p);
        return;
    case MAIL_READ:
        if (op->tag & MAIL_TICKET_TAG)
            ticket_answered(core, op);
        else
            inbox_rows(core, op_p);
        return;
    case MAIL_READ_ONE:
        inbox_row(core, op);
        return;
    case MAIL_REMOVE:
    case MAIL_KILL: {
        struct inbox *inbox = entry_answered(core, op_p);
        if (inbox)
            inbox_look(core, inbox);
        return;
    }
    case MAIL_TRIED:
        return;
    default:
        ticket_answered(core, op);
    }
}

void
mail_done(struct core *core, struct mail_op **op_p)
{
    struct mail *mail = core->mail;
    if ((*op_p)->type == MAIL_ARRIVED) {
        inbox_arrived(core, op_p);
    } else {
        mail->asked -= mail->asked > 0;
        take_answer(core, op_p);
    }
    mail_op_destroy(op_p);
    mail_ask_backlog(core);
    metric_set(core->figures.mail_asked, (double)mail->asked);
    metric_set(core->figures.mail_out, (double)mail->entries.count);
}
