/* SPDX-License-Identifier: Apache-2.0 */
/* Questions that write are planned into a batch one by one, and committed together; those that
 * read are answered afterwards, from what is committed. Figures of accounts and known ids follow
 * the batch, or go back when it fails. */
#include "broker/mail/mailbox.h"

#include <stdlib.h>

#include "broker/mail/mailbox_state.h"
#include "kernel/assert.h"

/* ---- lists */

void
mail_list_init(struct mail_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void
cut_list(struct mail_list *list, struct mail_op **end)
{
    struct mail_op *op = *end;
    while (op) {
        struct mail_op *next = op->next;
        mail_op_destroy(&op);
        op = next;
    }
    *end = NULL;
    list->end = end;
}

void
mail_list_clear(struct mail_list *list)
{
    cut_list(list, &list->first);
}

void
mail_list_move(struct mail_op **first, struct mail_list *list)
{
    while (*first)
        first = &(*first)->next;
    *first = list->first;
    mail_list_init(list);
}

static void
append_list(struct mail_list *to, struct mail_list *from)
{
    if (!from->first)
        return;
    *to->end = from->first;
    to->end = from->end;
    mail_list_init(from);
}

/* ---- the batch */

struct mail_savepoint
mailbox_save(const struct mailbox *mailbox)
{
    return (struct mail_savepoint){store_batch_count(mailbox->batch), mailbox->arrived.end};
}

void
mailbox_back(struct mailbox *mailbox, const struct mail_savepoint *savepoint)
{
    store_batch_truncate(mailbox->batch, savepoint->writes);
    cut_list(&mailbox->arrived, savepoint->arrived);
}

void
mailbox_begin(struct mailbox *mailbox, struct now now, uint64_t bytes)
{
    mailbox->now = now;
    known_forget(mailbox->known, now);
    mailbox->has_no_room = store_is_full(mailbox->store, bytes, &mailbox->no_room);
}

static enum status
write_batch(struct mailbox *mailbox, struct error *error)
{
    struct store_batch *batch = mailbox->batch;
    enum status status = accounts_write(&mailbox->accounts, batch);
    if (status == STATUS_OK)
        status = squads_write(&mailbox->squads, batch);
    if (status == STATUS_OK)
        status = known_write(mailbox->known, batch, mailbox->now);
    return status == STATUS_OK ? store_commit(mailbox->store, batch, error) : status;
}

/* Senders are told one of two words, whatever went wrong with the disk. */
static void
name_failure(enum status status, struct error *error)
{
    if ((status != STATUS_STORE_FAILED && status != STATUS_UNKNOWN_OUTCOME) || error->word[0])
        return;
    struct error cause = *error;
    error_set_word(error, "storage_failed", "%s", cause.message);
}

enum status
mailbox_commit(struct mailbox *mailbox, struct mail_list *arrived, struct error *error)
{
    enum status status = write_batch(mailbox, error);
    if (status == STATUS_OK) {
        accounts_keep(&mailbox->accounts);
        squads_keep(&mailbox->squads);
        known_keep(mailbox->known);
        append_list(arrived, &mailbox->arrived);
    } else {
        accounts_revert(&mailbox->accounts);
        squads_revert(&mailbox->squads);
        known_revert(mailbox->known);
        mail_list_clear(&mailbox->arrived);
        name_failure(status, error);
    }
    store_batch_truncate(mailbox->batch, 0);
    gone_reset(&mailbox->gone);
    return status;
}

/* ---- questions */

static const struct {
    mail_step *plan;   /* it writes */
    mail_step *answer; /* it reads */
    bool shrinks;      /* planned even when there is no room */
} rows[] = {
    [MAIL_APPEND] = {.plan = mail_plan_append},
    [MAIL_READ] = {.answer = mail_answer_read},
    [MAIL_READ_ONE] = {.answer = mail_answer_read_one},
    [MAIL_REMOVE] = {.plan = mail_plan_remove, .shrinks = true},
    [MAIL_TRIED] = {.plan = mail_plan_tried},
    [MAIL_KILL] = {.plan = mail_plan_kill},
    [MAIL_DEAD_READ] = {.answer = mail_answer_dead_read},
    [MAIL_DEAD_REPLAY] = {.plan = mail_plan_dead_replay},
    [MAIL_DEAD_DROP] = {.plan = mail_plan_dead_drop, .shrinks = true},
    [MAIL_JOIN] = {.plan = mail_plan_join},
    [MAIL_LEAVE] = {.plan = mail_plan_leave},
    [MAIL_MEMBERS] = {.answer = mail_answer_members},
    [MAIL_MEMORY_PUSH] = {.plan = mail_plan_memory_push},
    [MAIL_MEMORY_RECALL] = {.answer = mail_answer_memory_recall},
    [MAIL_FIGURES] = {.answer = mail_answer_figures},
    [MAIL_CHECKPOINT] = {.answer = mail_answer_checkpoint},
};

/* PENDING: planned, answered by the commit. */
static void
plan_one(struct mailbox *mailbox, struct mail_op *op)
{
    struct mail_savepoint before = mailbox_save(mailbox);
    op->error = ERROR_INIT;
    if (mailbox->has_no_room && !rows[op->type].shrinks) {
        op->status = STATUS_STORE_FAILED;
        op->error = mailbox->no_room;
        return;
    }
    op->status = rows[op->type].plan(mailbox, op, &op->error);
    if (op->status == STATUS_OK) {
        op->status = STATUS_PENDING;
        return;
    }
    mailbox_back(mailbox, &before);
    name_failure(op->status, &op->error);
}

/* Does the answer stand on what the batch was to change? Then it falls with it. */
static bool
hangs_on_batch(const struct mail_op *op)
{
    return rows[op->type].plan && (op->status == STATUS_PENDING || op->status == STATUS_NOT_FOUND ||
                                   op->status == STATUS_QUOTA_EXCEEDED);
}

static void
settle(struct mail_op *from, const struct mail_op *to, enum status commit,
       const struct error *error)
{
    for (struct mail_op *op = from; op != to; op = op->next) {
        if (commit == STATUS_OK && op->status == STATUS_PENDING && rows[op->type].plan) {
            op->status = STATUS_OK;
        } else if (commit != STATUS_OK && hangs_on_batch(op)) {
            op->status = commit;
            op->error = *error;
        }
    }
}

static uint64_t
bytes_of(const struct mail_op *questions)
{
    uint64_t bytes = 0;
    for (const struct mail_op *op = questions; op && bytes < MAIL_BATCH_BYTES; op = op->next)
        if (op->type == MAIL_APPEND)
            bytes += op->record.size;
    return bytes;
}

/* As many as one batch takes; returns the next one. */
static struct mail_op *
run_batch(struct mailbox *mailbox, struct mail_op *from, struct mail_list *arrived, struct now now)
{
    struct mail_op *op = from;
    struct error error = ERROR_INIT;
    mailbox_begin(mailbox, now, bytes_of(from));
    for (; op && store_batch_bytes(mailbox->batch) < MAIL_BATCH_BYTES; op = op->next)
        if (rows[op->type].plan)
            plan_one(mailbox, op);
    enum status status = mailbox_commit(mailbox, arrived, &error);
    settle(from, op, status, &error);
    return op;
}

static bool
is_question(const struct mail_op *op)
{
    size_t type = (size_t)op->type;
    return type < sizeof rows / sizeof rows[0] && (rows[type].plan || rows[type].answer);
}

void
mailbox_run(struct mailbox *mailbox, struct mail_op *questions, struct mail_op **arrived,
            struct now now)
{
    struct mail_list list;
    mail_list_init(&list);
    for (struct mail_op *op = questions; op; op = op->next)
        ASSERT(is_question(op));
    for (struct mail_op *op = questions; op;)
        op = run_batch(mailbox, op, &list, now);
    for (struct mail_op *op = questions; op; op = op->next) {
        if (!rows[op->type].answer)
            continue;
        op->error = ERROR_INIT;
        op->status = rows[op->type].answer(mailbox, op, &op->error);
        if (op->status == STATUS_OK)
            continue;
        name_failure(op->status, &op->error);
        op->row_count = 0;
        buffer_reset(&op->out);
    }
    mail_list_move(arrived, &list);
}

/* ---- opening */

static enum status
take_first(void *context, struct bytes key, struct bytes value, struct error *error)
{
    uint64_t *time_us = context;
    struct text name;
    uint64_t number;
    (void)value;
    return mail_key_read_time(key, time_us, &name, &number)
               ? STATUS_PENDING
               : mail_refuse_row(MAIL_SPACE_DELAYED, (struct text){NULL, 0}, 0, error);
}

static enum status
load_due(struct mailbox *mailbox, enum mail_space space, uint64_t *time_us, struct error *error)
{
    *time_us = UINT64_MAX;
    enum status status = store_scan(mailbox->store, (store_space)space, (struct bytes){NULL, 0},
                                    false, take_first, time_us, error);
    return status == STATUS_PENDING ? STATUS_OK : status;
}

enum status
mailbox_open(struct mailbox **mailbox_p, struct store *store, const struct mailbox_limits *limits,
             struct now now, struct error *error)
{
    uint8_t key[TABLE_KEY_SIZE];
    struct mailbox *mailbox = calloc(1, sizeof *mailbox);
    if (!mailbox)
        return STATUS_NOMEM;
    mailbox->store = store;
    mailbox->limits = *limits;
    mailbox->now = now;
    buffer_init(&mailbox->row);
    mail_list_init(&mailbox->arrived);
    mailbox->batch = store_batch_new();
    bool made = table_make_key(key) && accounts_init(&mailbox->accounts, key) &&
                squads_init(&mailbox->squads, key) && mailbox->batch;
    enum status status = made ? STATUS_OK : STATUS_NOMEM;
    if (status == STATUS_OK)
        status = accounts_load(&mailbox->accounts, store, error);
    if (status == STATUS_OK)
        status =
            known_open(&mailbox->known, store, limits->dedup_ms, limits->dedup_max, now, error);
    if (status == STATUS_OK)
        status = load_due(mailbox, MAIL_SPACE_DELAYED, &mailbox->delayed_due_us, error);
    if (status == STATUS_OK)
        status = load_due(mailbox, MAIL_SPACE_EXPIRY, &mailbox->expiry_due_us, error);
    if (status != STATUS_OK) {
        error_wrap(error, "open the mailbox");
        mailbox_close(&mailbox);
        return status;
    }
    *mailbox_p = mailbox;
    return STATUS_OK;
}

void
mailbox_close(struct mailbox **mailbox_p)
{
    struct mailbox *mailbox = *mailbox_p;
    if (!mailbox)
        return;
    accounts_clear(&mailbox->accounts);
    squads_clear(&mailbox->squads);
    known_close(&mailbox->known);
    gone_clear(&mailbox->gone);
    store_batch_destroy(&mailbox->batch);
    buffer_clear(&mailbox->row);
    free(mailbox);
    *mailbox_p = NULL;
}

struct mailbox_figures
mailbox_figures(const struct mailbox *mailbox)
{
    return (struct mailbox_figures){.inboxes = mailbox->accounts.inboxes.count,
                                    .expired = mailbox->expired};
}
