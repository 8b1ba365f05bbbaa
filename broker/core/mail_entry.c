/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail_entry.h"

#include <stdlib.h>

#include "broker/core/mail_ask.h"
#include "broker/core/mail_consumer.h"
#include "broker/core/mail_inbox.h"
#include "broker/core/presence.h"
#include "kernel/assert.h"

/* ---- the table */

struct key {
    uint64_t inbox;
    struct uuid id;
};

static uint64_t
hash_of(const struct core *core, uint64_t inbox, const struct uuid *id)
{
    struct key key = {inbox, *id};
    return table_hash(&core->mail->entries, (struct bytes){(const uint8_t *)&key, sizeof key});
}

static struct entry *
entry_at(struct table_node *node)
{
    return node ? CONTAINER_OF(node, struct entry, node) : NULL;
}

struct entry *
entry_find_number(const struct core *core, uint64_t inbox, const struct uuid *id, uint64_t seq)
{
    struct table_node *node = table_first(&core->mail->entries, hash_of(core, inbox, id));
    for (; node; node = table_next(node)) {
        struct entry *entry = entry_at(node);
        if (entry->seq == seq && entry->inbox->number == inbox && uuid_equal(&entry->id, id))
            return entry;
    }
    return NULL;
}

static unsigned
rank(const struct entry *entry)
{
    return entry->state == ENTRY_OUT ? 0 : entry->state == ENTRY_ENDING ? 2 : 1;
}

struct entry *
entry_find(const struct core *core, const struct inbox *inbox, const struct uuid *id)
{
    struct entry *best = NULL;
    struct table_node *node = table_first(&core->mail->entries, hash_of(core, inbox->number, id));
    for (; node; node = table_next(node)) {
        struct entry *entry = entry_at(node);
        if (entry->inbox != inbox || !uuid_equal(&entry->id, id))
            continue;
        if (!best || rank(entry) < rank(best) ||
            (rank(entry) == rank(best) && entry->seq < best->seq))
            best = entry;
    }
    return best;
}

/* ---- states */

/* Nobody else may take it: it is in no list and runs no timer. */
static void
leave(struct core *core, struct entry *entry)
{
    struct inbox *inbox = entry->inbox;
    switch (entry->state) {
    case ENTRY_OUT:
        if (!entry->consumer)
            return;
        inbox->out_count--;
        consumer_lost(core, entry->consumer, entry);
        entry->consumer = NULL;
        return;
    case ENTRY_AGAIN:
    case ENTRY_READING:
        break;
    case ENTRY_DELAYED:
        inbox->delayed_count--;
        timers_remove(&core->timers, &entry->timer);
        break;
    case ENTRY_ENDING:
        inbox->ending_count--;
        inbox->failed_count -= entry->failed != NULL;
        mail_op_destroy(&entry->failed);
        timers_remove(&core->timers, &entry->timer);
        break;
    }
    list_remove(&entry->link);
}

static void
fire(void *context, void *owner)
{
    struct core *core = context;
    struct entry *entry = owner;
    struct inbox *inbox = entry->inbox;
    if (entry->state == ENTRY_ENDING) {
        inbox->failed_count--;
        mail_ask(core, &entry->failed);
        return;
    }
    entry_again(core, entry);
    inbox_look(core, inbox);
}

struct entry *
entry_new(struct core *core, struct inbox *inbox, const struct uuid *id, uint64_t seq,
          uint32_t tries)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->inbox = inbox;
    entry->id = *id;
    entry->seq = seq;
    entry->tries = tries;
    timer_init(&entry->timer, fire, entry);
    table_insert(&core->mail->entries, &entry->node, hash_of(core, inbox->number, id));
    inbox->entry_count++;
    return entry;
}

void
entry_free(struct core *core, struct entry *entry)
{
    leave(core, entry);
    table_remove(&core->mail->entries, &entry->node);
    entry->inbox->entry_count--;
    free(entry);
}

void
entry_out(struct core *core, struct entry *entry, struct consumer *consumer)
{
    leave(core, entry);
    entry->state = ENTRY_OUT;
    entry->consumer = consumer;
    entry->extended_us = 0;
    entry->inbox->out_count++;
    consumer_took(core, consumer, entry);
}

void
entry_again(struct core *core, struct entry *entry)
{
    leave(core, entry);
    entry->state = ENTRY_AGAIN;
    list_append(&entry->inbox->again, &entry->link);
}

void
entry_reading(struct core *core, struct entry *entry)
{
    leave(core, entry);
    entry->state = ENTRY_READING;
    list_append(&entry->inbox->rest, &entry->link);
}

void
entry_delay(struct core *core, struct entry *entry, uint64_t delay_us)
{
    leave(core, entry);
    entry->state = ENTRY_DELAYED;
    list_append(&entry->inbox->rest, &entry->link);
    entry->inbox->delayed_count++;
    if (delay_us == 0 ||
        !timers_set(&core->timers, &entry->timer, core->now.monotonic_us + delay_us))
        entry_again(core, entry);
}

uint64_t
entry_schedule_us(const struct entry *entry)
{
    uint32_t shift = entry->tries < MAIL_ATTEMPTS_MAX ? entry->tries : MAIL_ATTEMPTS_MAX;
    return MAIL_AGAIN_US << shift;
}

static struct mail_op *
question(struct entry *entry, enum mail_op_type type, struct text text)
{
    struct mail_op *op = mail_op_new(type, entry->inbox->name, (struct text){NULL, 0}, text,
                                     (struct bytes){NULL, 0});
    if (!op)
        return NULL;
    op->tag = entry->inbox->number;
    op->id = entry->id;
    op->seq = entry->seq;
    op->attempts = entry->tries;
    return op;
}

void
entry_tried(struct core *core, struct entry *entry, uint64_t delay_us, struct text reason)
{
    entry->tries++;
    if (entry->tries >= MAIL_ATTEMPTS_MAX) {
        if (entry_kill(core, entry, reason, NULL))
            return;
        entry->tries--; /* no memory: it is tried once more */
        entry_delay(core, entry, MAIL_FAILED_US);
        return;
    }
    struct mail_op *op = question(entry, MAIL_TRIED, (struct text){NULL, 0});
    if (op)
        mail_ask(core, &op);
    entry_delay(core, entry, delay_us);
}

/* ---- ends */

static bool
end(struct core *core, struct entry *entry, struct mail_op *op, struct ticket *ticket)
{
    if (!op)
        return false;
    leave(core, entry);
    entry->dies = op->type == MAIL_KILL;
    entry->state = ENTRY_ENDING;
    entry->ticket = ticket ? ticket->number : 0;
    if (ticket)
        ticket->left++;
    list_append(&entry->inbox->rest, &entry->link);
    entry->inbox->ending_count++;
    mail_ask(core, &op);
    return true;
}

/* It is ending already, and nobody else waits for that. */
static bool
join_end(struct entry *entry, struct ticket *ticket)
{
    if (!ticket || entry->ticket != 0)
        return false;
    entry->ticket = ticket->number;
    ticket->left++;
    return true;
}

bool
entry_remove(struct core *core, struct entry *entry, struct ticket *ticket)
{
    /* One that failed is asked again at once. */
    if (entry->state == ENTRY_ENDING && !entry->failed)
        return !entry->dies && join_end(entry, ticket);
    return end(core, entry, question(entry, MAIL_REMOVE, (struct text){NULL, 0}), ticket);
}

bool
entry_kill(struct core *core, struct entry *entry, struct text reason, struct ticket *ticket)
{
    if (entry->state == ENTRY_ENDING)
        return false;
    char line[MAIL_REASON_MAX + 1]; /* a receiver's words: made fit to be shown */
    error_copy_text(line, sizeof line, reason);
    return end(core, entry, question(entry, MAIL_KILL, text_of(line)), ticket);
}

static void
tell_ticket(struct core *core, struct entry *entry, enum status status)
{
    struct ticket *ticket = entry->ticket ? ticket_find(core, entry->ticket) : NULL;
    entry->ticket = 0;
    if (!ticket)
        return;
    ASSERT(ticket->left > 0);
    ticket->left--;
    if (status == STATUS_OK)
        ticket->count++;
    else
        ticket->status = status;
    if (ticket->left == 0)
        ticket->answered(core, ticket, NULL);
}

static void
ask_again_later(struct core *core, struct entry *entry, struct mail_op **op_p)
{
    struct mail_op *op = *op_p;
    *op_p = NULL;
    op->status = STATUS_OK;
    op->error = ERROR_INIT;
    entry->failed = op;
    entry->inbox->failed_count++;
    /* Without memory for the timer it is asked again when its receiver says so again, or when the
     * inbox is made anew. */
    timers_set(&core->timers, &entry->timer, core->now.monotonic_us + MAIL_FAILED_US);
}

struct inbox *
entry_answered(struct core *core, struct mail_op **op_p)
{
    const struct mail_op *op = *op_p;
    struct entry *entry = entry_find_number(core, op->tag, &op->id, op->seq);
    if (!entry || entry->state != ENTRY_ENDING || entry->failed ||
        entry->dies != (op->type == MAIL_KILL))
        return NULL;
    struct inbox *inbox = entry->inbox;
    enum status status = op->status == STATUS_NOT_FOUND ? STATUS_OK : op->status;
    if (status != STATUS_OK) {
        ask_again_later(core, entry, op_p);
        tell_ticket(core, entry, status);
        return inbox;
    }
    if (op->type == MAIL_REMOVE) {
        metric_add(core->figures.mail_acked, 1);
    } else if (op->status == STATUS_OK) {
        metric_add(core->figures.mail_dead, 1);
        event_tell(core, "mail.dead", "identity", inbox->name);
    }
    tell_ticket(core, entry, STATUS_OK);
    entry_free(core, entry);
    return inbox;
}
