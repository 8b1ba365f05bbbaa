/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a message that is in its inbox: handled, tried once more, dead. */
#include "broker/mail/mailbox_state.h"

enum status
mail_plan_remove(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct letter letter;
    struct inbox *inbox = accounts_find_inbox(&mailbox->accounts, op->name);
    if (!inbox)
        return STATUS_OK;
    enum status status =
        letters_get(mailbox, MAIL_SPACE_MESSAGE, inbox, op->seq, false, &letter, error);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status == STATUS_OK)
        status = letters_delete(mailbox, inbox, op->seq, &letter);
    if (status != STATUS_OK)
        return status;
    letters_count_out(mailbox, inbox, op->seq);
    letters_count_off(mailbox, inbox, &letter);
    return STATUS_OK;
}

static enum status
find(struct mailbox *mailbox, const struct mail_op *op, struct inbox **inbox_p,
     struct letter *letter, struct error *error)
{
    *inbox_p = accounts_find_inbox(&mailbox->accounts, op->name);
    enum status status =
        *inbox_p ? letters_get(mailbox, MAIL_SPACE_MESSAGE, *inbox_p, op->seq, true, letter, error)
                 : STATUS_NOT_FOUND;
    if (status == STATUS_NOT_FOUND)
        error_set(error, "there is no message %llu in this inbox", (unsigned long long)op->seq);
    return status;
}

enum status
mail_plan_tried(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct inbox *inbox;
    struct letter letter;
    struct mail_key key;
    uint8_t *value;
    enum status status = find(mailbox, op, &inbox, &letter, error);
    if (status != STATUS_OK)
        return status;
    letter.attempts = op->attempts;
    mail_key_number(&key, inbox->account.name, op->seq);
    status = store_batch_put(mailbox->batch, MAIL_SPACE_MESSAGE, mail_key_bytes(&key),
                             letter_size(&letter), &value);
    if (status == STATUS_OK)
        letter_encode(&letter, value);
    return status;
}

/* Cut where a character ends. */
static struct text
cut_reason(struct text reason)
{
    if (reason.size <= MAIL_REASON_MAX)
        return reason;
    reason.size = MAIL_REASON_MAX;
    while (reason.size > 0 && ((uint8_t)reason.data[reason.size] & 0xc0) == 0x80)
        reason.size--;
    return reason;
}

enum status
mail_plan_kill(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct inbox *inbox;
    struct letter letter;
    struct mail_key key;
    uint8_t *value;
    enum status status = find(mailbox, op, &inbox, &letter, error);
    if (status != STATUS_OK)
        return status;
    struct letter dead = letter;
    dead.kept_us = mailbox->now.wall_us;
    dead.attempts = op->attempts;
    dead.reason = cut_reason(op->text);
    mail_key_number(&key, inbox->account.name, inbox->live.next_dead);
    status = store_batch_put(mailbox->batch, MAIL_SPACE_DEAD, mail_key_bytes(&key),
                             letter_size(&dead), &value);
    if (status == STATUS_OK) {
        letter_encode(&dead, value);
        status = letters_delete(mailbox, inbox, op->seq, &letter);
    }
    if (status != STATUS_OK)
        return status;
    letters_count_out(mailbox, inbox, op->seq);
    inbox->live.dead++;
    inbox->live.next_dead++;
    return STATUS_OK;
}
