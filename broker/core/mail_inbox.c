/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail_inbox.h"

#include <stdlib.h>

#include "broker/core/mail_ask.h"
#include "broker/core/mail_consumer.h"
#include "broker/core/mail_entry.h"
#include "broker/core/mail_form.h"
#include "broker/core/mail_ready.h"
#include "broker/core/mail_take.h"

/* ---- the table */

struct inbox *
inbox_find(const struct core *core, struct text name)
{
    const struct table *inboxes = &core->mail->inboxes;
    struct bytes key = {(const uint8_t *)name.data, name.size};
    struct table_node *node = table_first(inboxes, table_hash(inboxes, key));
    for (; node; node = table_next(node)) {
        struct inbox *inbox = CONTAINER_OF(node, struct inbox, node);
        if (text_equal(inbox->name, name))
            return inbox;
    }
    return NULL;
}

static void fire(void *context, void *owner);

struct inbox *
inbox_make(struct core *core, struct text name)
{
    struct mail *mail = core->mail;
    struct inbox *inbox = inbox_find(core, name);
    if (inbox)
        return inbox;
    inbox = calloc(1, sizeof *inbox + name.size + 1);
    if (!inbox)
        return NULL;
    memcpy(inbox->name_bytes, name.data, name.size);
    inbox->name = (struct text){inbox->name_bytes, name.size};
    inbox->number = ++mail->last_number;
    inbox->more = true;
    inbox->ready_end = &inbox->ready;
    list_init(&inbox->takers);
    list_init(&inbox->others);
    list_init(&inbox->watchers);
    list_init(&inbox->again);
    list_init(&inbox->rest);
    list_init(&inbox->takes);
    timer_init(&inbox->timer, fire, inbox);
    struct bytes key = {(const uint8_t *)inbox->name.data, inbox->name.size};
    table_insert(&mail->inboxes, &inbox->node, table_hash(&mail->inboxes, key));
    return inbox;
}

/* ---- giving out */

/* A row that cannot be read would stand before all others forever. */
static void
bury(struct core *core, struct inbox *inbox, uint64_t seq, uint32_t tries)
{
    struct mail_op *op = mail_op_new(MAIL_KILL, inbox->name, (struct text){NULL, 0},
                                     text_of("its record cannot be read"), (struct bytes){NULL, 0});
    if (!op)
        return;
    op->tag = inbox->number;
    op->seq = seq;
    op->attempts = tries;
    mail_ask(core, &op);
}

/* To the next consumer that has room and takes it. entry: of an earlier delivery; NULL makes one.
 * False: nobody took it. */
static bool
give(struct core *core, struct inbox *inbox, struct entry *entry, struct bytes record,
     const struct mail_stamp *stamp)
{
    struct message message;
    if (!mail_form_deliver(record, stamp, core->now.wall_us, &message)) {
        bury(core, inbox, stamp->seq, stamp->tries);
        if (entry)
            entry_free(core, entry);
        return true;
    }
    bool again = entry != NULL;
    while (!list_is_empty(&inbox->takers)) {
        struct consumer *consumer = CONTAINER_OF(inbox->takers.next, struct consumer, link);
        if (!entry)
            entry = entry_new(core, inbox, &message.id, stamp->seq, stamp->tries);
        if (!entry) {
            inbox_look_soon(core, inbox);
            return false;
        }
        if (consumer->deliver(core, consumer->context, &message) == CORE_SENT) {
            entry_out(core, entry, consumer);
            metric_add(core->figures.mail_delivered, 1);
            if (again || stamp->tries > 0)
                metric_add(core->figures.mail_redelivered, 1);
            return true;
        }
        consumer_pause(consumer);
        inbox_look_later(core, inbox, MAIL_RETRY_US);
    }
    if (entry && !again)
        entry_free(core, entry);
    return false;
}

bool
inbox_is_full(const struct inbox *inbox)
{
    uint64_t limit = inbox->windows * MAIL_HELD_WINDOWS;
    return inbox_held(inbox) >= (limit < MAIL_HELD_MAX ? limit : MAIL_HELD_MAX);
}

/* Room that is not kept for what is being read already. */
static bool
has_room(const struct inbox *inbox)
{
    return inbox->room > inbox->reads;
}

static bool
takes_new(const struct inbox *inbox)
{
    return has_room(inbox) && list_is_empty(&inbox->again) && !inbox_is_full(inbox);
}

static void
give_ready(struct core *core, struct inbox *inbox)
{
    struct bytes record;
    const struct mail_row *row;
    while (takes_new(inbox) && (row = ready_next(core, inbox, &record))) {
        struct mail_stamp stamp = {row->seq, row->expires_us, row->attempts};
        if (!give(core, inbox, NULL, record, &stamp))
            return;
        ready_pass(core, inbox);
    }
}

/* ---- reading */

static struct mail_op *
question(const struct inbox *inbox, enum mail_op_type type, uint64_t seq)
{
    struct mail_op *op = mail_op_new(type, inbox->name, (struct text){NULL, 0},
                                     (struct text){NULL, 0}, (struct bytes){NULL, 0});
    if (!op)
        return NULL;
    op->tag = inbox->number;
    op->seq = seq;
    return op;
}

/* False: look again later. */
static bool
ask(struct core *core, struct inbox *inbox, struct mail_op *op)
{
    if (op && mail_try(core, &op))
        return true;
    mail_op_destroy(&op);
    inbox_look_later(core, inbox, MAIL_RETRY_US);
    return false;
}

/* As many as are soon given out: who takes one by one needs no hundreds in memory. */
static uint32_t
rows_at_once(const struct inbox *inbox)
{
    uint64_t rows = inbox->windows * 2;
    if (rows < MAIL_READ_ROWS_MIN)
        return MAIL_READ_ROWS_MIN;
    return rows < MAIL_READ_ROWS ? (uint32_t)rows : (uint32_t)MAIL_READ_ROWS;
}

static void
read_ahead(struct core *core, struct inbox *inbox)
{
    uint32_t rows = rows_at_once(inbox);
    if (!inbox->more || inbox->reading || inbox->ready_rows >= rows / 2 || !takes_new(inbox))
        return;
    struct mail_op *op = question(inbox, MAIL_READ, inbox->read);
    if (op) {
        op->limit = rows;
        op->bytes_max = MAIL_READ_BYTES;
    }
    inbox->reading = ask(core, inbox, op);
    inbox->arrived_then = inbox->arrived;
    inbox->asked_behind = inbox->read;
}

static void
read_again(struct core *core, struct inbox *inbox)
{
    while (has_room(inbox) && inbox->reads < MAIL_READS_MAX && !list_is_empty(&inbox->again)) {
        struct entry *entry = CONTAINER_OF(inbox->again.next, struct entry, link);
        struct mail_op *op = question(inbox, MAIL_READ_ONE, entry->seq);
        if (op)
            op->id = entry->id;
        if (!ask(core, inbox, op))
            return;
        entry_reading(core, entry);
        inbox->reads++;
    }
}

static void
pump(struct core *core, struct inbox *inbox)
{
    read_again(core, inbox);
    read_ahead(core, inbox);
    give_ready(core, inbox);
}

bool
inbox_is_empty(const struct inbox *inbox)
{
    return !inbox->more && !inbox->reading && !inbox->ready && inbox->reads == 0 &&
           list_is_empty(&inbox->again);
}

/* ---- looking */

void
inbox_look_later(struct core *core, struct inbox *inbox, uint64_t delay_us)
{
    uint64_t at_us = core->now.monotonic_us + delay_us;
    if (inbox->timer.place == 0 || at_us < inbox->timer.at_us)
        timers_set(&core->timers, &inbox->timer, at_us);
}

void
inbox_look_soon(struct core *core, struct inbox *inbox)
{
    inbox_look_later(core, inbox, 0);
}

void
inbox_settle(struct core *core, struct inbox *inbox)
{
    if (inbox->consumer_count > 0 || inbox->busy || core->mail->closing)
        return;
    ready_drop(core, inbox);
    if (inbox->entry_count == 0)
        inbox_free(core, inbox);
    else if (inbox->timer.place == 0)
        inbox_look_later(core, inbox, MAIL_LINGER_US);
}

void
inbox_look(struct core *core, struct inbox *inbox)
{
    if (inbox->busy || core->mail->closing)
        return;
    inbox->busy = true;
    if (inbox->room > 0)
        pump(core, inbox);
    if (inbox->ready && core->mail->ready_bytes > MAIL_READY_BYTES_MAX)
        ready_drop(core, inbox);
    if (!list_is_empty(&inbox->takes))
        takes_look(core, inbox);
    inbox->busy = false;
    inbox_settle(core, inbox);
}

static void
fire(void *context, void *owner)
{
    struct core *core = context;
    struct inbox *inbox = owner;
    bool waits = inbox->delayed_count > 0 || inbox->ending_count > 0 ||
                 core->now.monotonic_us < inbox->left_us + MAIL_LINGER_US;
    if (inbox->consumer_count > 0) {
        consumers_retry(inbox);
        inbox_look(core, inbox);
    } else if (waits) {
        inbox_look_later(core, inbox, MAIL_LINGER_US);
    } else {
        /* Nobody came: what is out comes again from its rows when somebody does. */
        inbox_free(core, inbox);
    }
}

void
inbox_free(struct core *core, struct inbox *inbox)
{
    struct list_node *lists[] = {&inbox->again, &inbox->rest};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        while (!list_is_empty(lists[i]))
            entry_free(core, CONTAINER_OF(lists[i]->next, struct entry, link));
    }
    ready_drop(core, inbox);
    timers_remove(&core->timers, &inbox->timer);
    table_remove(&core->mail->inboxes, &inbox->node);
    free(inbox);
}

/* ---- what the mailbox says */

static void
show_watchers(struct core *core, struct inbox *inbox, struct bytes record,
              const struct mail_stamp *stamp)
{
    struct message message;
    if (!mail_form_deliver(record, stamp, core->now.wall_us, &message))
        return;
    struct list_node *node = inbox->watchers.next, *next;
    for (; node != &inbox->watchers; node = next) {
        next = node->next;
        struct consumer *consumer = CONTAINER_OF(node, struct consumer, link);
        if (consumer->deliver(core, consumer->context, &message) != CORE_SENT)
            figures_dropped(&core->figures, "watcher_full");
    }
}

static void
watch(struct core *core, struct inbox *inbox, const struct mail_op *op)
{
    struct mail_stamp stamp = {.seq = op->seq, .expires_us = op->expires_us};
    if (op->record.size > 0) {
        show_watchers(core, inbox, op->record, &stamp);
        return;
    }
    struct mail_op *one = NULL;
    if (inbox->watch_reads < MAIL_WATCH_READS_MAX)
        one = question(inbox, MAIL_READ_ONE, op->seq);
    if (one && mail_try(core, &one)) {
        inbox->watch_reads++;
    } else {
        mail_op_destroy(&one);
        figures_dropped(&core->figures, "watcher_full");
    }
}

/* The next one behind what is in memory, and its bytes are here: it need not be read. */
static bool
take_arrived(struct core *core, struct inbox *inbox, struct mail_op **op_p)
{
    const struct mail_op *op = *op_p;
    if (op->record.size == 0 || op->seq != inbox->read + 1 || inbox->more || inbox->reading)
        return false;
    struct mail_stamp stamp = {.seq = op->seq, .expires_us = op->expires_us};
    if (!inbox->ready && takes_new(inbox) && give(core, inbox, NULL, op->record, &stamp)) {
        inbox->read = inbox->given = op->seq;
        return true;
    }
    return inbox->consumer_count > 0 && inbox->ready_rows < rows_at_once(inbox) &&
           inbox->ready_bytes < MAIL_READ_BYTES && ready_keep(core, inbox, op_p);
}

void
inbox_arrived(struct core *core, struct mail_op **op_p)
{
    const struct mail_op *op = *op_p;
    struct inbox *inbox = inbox_find(core, op->name);
    if (!inbox)
        return;
    if (!list_is_empty(&inbox->watchers))
        watch(core, inbox, op);
    if (op->seq > inbox->arrived)
        inbox->arrived = op->seq;
    if (op->seq <= inbox->read)
        return;
    if (!take_arrived(core, inbox, op_p))
        inbox->more = true;
    inbox_look(core, inbox);
}

void
inbox_doubt(struct core *core, struct text name)
{
    struct inbox *inbox = inbox_find(core, name);
    if (!inbox)
        return;
    inbox->more = true;
    inbox_look(core, inbox);
}

static struct inbox *
inbox_of(const struct core *core, const struct mail_op *op)
{
    struct inbox *inbox = inbox_find(core, op->name);
    return inbox && inbox->number == op->tag ? inbox : NULL;
}

void
inbox_rows(struct core *core, struct mail_op **op_p)
{
    struct mail_op *op = *op_p;
    struct inbox *inbox = inbox_of(core, op);
    if (!inbox)
        return;
    inbox->reading = false;
    if (op->status != STATUS_OK) {
        inbox_look_later(core, inbox, MAIL_FAILED_US);
        inbox->busy = true;
        takes_fail(core, inbox, op->status, &op->error);
        inbox->busy = false;
        inbox_settle(core, inbox);
        return;
    }
    if (inbox->asked_behind != inbox->read) { /* those before it were dropped meanwhile */
        inbox->more = true;
        inbox_look(core, inbox);
        return;
    }
    /* What arrived after the question was asked may be missing in its answer. */
    bool more = op->more;
    ready_add(core, inbox, op_p);
    inbox->more = more || (inbox->arrived != inbox->arrived_then && inbox->arrived > inbox->read);
    inbox_look(core, inbox);
}

static void
deliver_again(struct core *core, struct inbox *inbox, struct entry *entry, const struct mail_op *op)
{
    if (op->status == STATUS_NOT_FOUND || (op->status == STATUS_OK && op->row_count != 1) ||
        (op->status == STATUS_OK &&
         mail_form_is_expired(op->rows[0].expires_us, core->now.wall_us))) {
        entry_free(core, entry); /* it has expired */
        return;
    }
    if (op->status != STATUS_OK) {
        entry_delay(core, entry, MAIL_FAILED_US);
        return;
    }
    const struct mail_row *row = &op->rows[0];
    struct bytes record = {op->out.data + row->offset, row->record_size};
    struct mail_stamp stamp = {row->seq, row->expires_us, entry->tries};
    if (!give(core, inbox, entry, record, &stamp))
        entry_again(core, entry);
}

void
inbox_row(struct core *core, const struct mail_op *op)
{
    struct inbox *inbox = inbox_of(core, op);
    if (!inbox)
        return;
    if (uuid_is_nil(&op->id)) {
        inbox->watch_reads--;
        if (op->status == STATUS_OK && op->row_count == 1) {
            const struct mail_row *row = &op->rows[0];
            struct mail_stamp stamp = {row->seq, row->expires_us, row->attempts};
            show_watchers(core, inbox, (struct bytes){op->out.data + row->offset, row->record_size},
                          &stamp);
        }
        return;
    }
    inbox->reads--;
    struct entry *entry = entry_find_number(core, op->tag, &op->id, op->seq);
    if (entry && entry->state == ENTRY_READING)
        deliver_again(core, inbox, entry, op);
    inbox_look(core, inbox);
}
