/* SPDX-License-Identifier: Apache-2.0 */
/* Dead letters go back into their inbox, or go for good: those that are named, or all, which are
 * done piece by piece: the answer says how many are left. */
#include <stdlib.h>

#include "broker/mail/mailbox_state.h"

static enum status
delete_row(struct mailbox *mailbox, const struct inbox *inbox, uint64_t number)
{
    struct mail_key key;
    mail_key_number(&key, inbox->account.name, number);
    enum status status = store_batch_add(mailbox->batch, STORE_DELETE, MAIL_SPACE_DEAD,
                                         mail_key_bytes(&key), (struct bytes){NULL, 0});
    if (status == STATUS_OK && !gone_add(&mailbox->gone, inbox, MAIL_SPACE_DEAD, number))
        status = STATUS_NOMEM;
    return status;
}

static enum status
replay_one(struct mailbox *mailbox, struct inbox *inbox, uint64_t number, struct error *error)
{
    struct letter letter;
    enum status status = letters_get(mailbox, MAIL_SPACE_DEAD, inbox, number, true, &letter, error);
    if (status != STATUS_OK)
        return status;
    /* As if it came now, and whoever wants it again wants it even late. */
    letter.kept_us = mailbox->now.wall_us;
    letter.expires_us = 0;
    letter.attempts = 0;
    letter.reason.size = 0;
    status = letters_put(mailbox, inbox, &letter);
    if (status == STATUS_OK)
        status = letters_announce(mailbox, inbox, inbox->live.next_number);
    if (status == STATUS_OK)
        status = delete_row(mailbox, inbox, number);
    if (status != STATUS_OK)
        return status;
    letters_count_in(mailbox, inbox, &letter);
    count_down(&inbox->live.dead, 1);
    return STATUS_OK;
}

static enum status
drop_one(struct mailbox *mailbox, struct inbox *inbox, uint64_t number, struct error *error)
{
    struct letter letter;
    enum status status =
        letters_get(mailbox, MAIL_SPACE_DEAD, inbox, number, false, &letter, error);
    if (status == STATUS_OK)
        status = delete_row(mailbox, inbox, number);
    if (status != STATUS_OK)
        return status;
    letters_count_off(mailbox, inbox, &letter);
    count_down(&inbox->live.dead, 1);
    return STATUS_OK;
}

typedef enum status move_one(struct mailbox *mailbox, struct inbox *inbox, uint64_t number,
                             struct error *error);

static enum status
try_one(struct mailbox *mailbox, struct inbox *inbox, uint64_t number, move_one *move,
        struct error *error)
{
    struct mail_savepoint before = mailbox_save(mailbox);
    enum status status = inbox ? move(mailbox, inbox, number, error) : STATUS_NOT_FOUND;
    if (status != STATUS_OK)
        mailbox_back(mailbox, &before);
    return status;
}

/* ---- those that are named: unknown ones gather at the front of seqs, in their order */

static enum status
move_named(struct mailbox *mailbox, struct inbox *inbox, struct mail_op *op, move_one *move,
           struct error *error)
{
    size_t unknown = 0;
    for (size_t i = 0; i < op->seq_count; i++) {
        enum status status = try_one(mailbox, inbox, op->seqs[i], move, error);
        if (status == STATUS_OK)
            op->count++;
        else if (status == STATUS_NOT_FOUND)
            op->seqs[unknown++] = op->seqs[i];
        else if (op->count == 0)
            return status;
        else
            break; /* what was moved counts; nothing is known about the others */
    }
    op->seq_count = unknown;
    return STATUS_OK;
}

/* ---- all */

struct dead_step {
    struct mailbox *mailbox;
    const struct inbox *inbox;
    uint64_t numbers[MAIL_STEP_ROWS];
    size_t count;
    size_t bytes;
};

static enum status
gather(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct dead_step *step = context;
    struct text name;
    uint64_t number;
    if (!mail_key_read_number(key, &name, &number))
        return mail_refuse_row(MAIL_SPACE_DEAD, step->inbox->account.name, 0, error);
    if (gone_has(&step->mailbox->gone, step->inbox, MAIL_SPACE_DEAD, number))
        return STATUS_OK;
    if (step->count == MAIL_STEP_ROWS ||
        (step->count > 0 && step->bytes + value.size > MAIL_STEP_BYTES))
        return STATUS_PENDING; /* enough */
    step->numbers[step->count++] = number;
    step->bytes += value.size;
    return STATUS_OK;
}

static enum status
move_all(struct mailbox *mailbox, struct inbox *inbox, struct mail_op *op, move_one *move,
         struct error *error)
{
    struct dead_step *step = malloc(sizeof *step);
    struct mail_key prefix;
    if (!step)
        return STATUS_NOMEM;
    *step = (struct dead_step){.mailbox = mailbox, .inbox = inbox};
    mail_key_prefix(&prefix, inbox->account.name);
    enum status status = store_scan(mailbox->store, MAIL_SPACE_DEAD, mail_key_bytes(&prefix), false,
                                    gather, step, error);
    if (status == STATUS_PENDING)
        status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < step->count; i++) {
        status = try_one(mailbox, inbox, step->numbers[i], move, error);
        if (status == STATUS_OK)
            op->count++;
    }
    free(step);
    return op->count > 0 ? STATUS_OK : status;
}

static enum status
move_letters(struct mailbox *mailbox, struct mail_op *op, move_one *move, struct error *error)
{
    struct inbox *inbox = accounts_find_inbox(&mailbox->accounts, op->name);
    enum status status = STATUS_OK;
    op->count = 0;
    if (op->seq_count > 0)
        status = move_named(mailbox, inbox, op, move, error);
    else if (inbox && inbox->live.dead > 0)
        status = move_all(mailbox, inbox, op, move, error);
    op->left = inbox ? inbox->live.dead : 0;
    return status;
}

enum status
mail_plan_dead_replay(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    return move_letters(mailbox, op, replay_one, error);
}

enum status
mail_plan_dead_drop(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    return move_letters(mailbox, op, drop_one, error);
}
