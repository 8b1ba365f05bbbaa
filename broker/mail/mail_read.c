/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and dead letters, read from what is committed. */
#include "broker/mail/mailbox_state.h"

struct reading {
    struct mail_op *op;
    enum mail_space space;
    struct text inbox;
    uint64_t wall_us;
    uint64_t first; /* number of the first row that was there; 0: none */
};

static bool
is_over(const struct reading *reading, const struct letter *letter)
{
    return reading->space == MAIL_SPACE_MESSAGE && letter->expires_us != 0 &&
           letter->expires_us <= reading->wall_us;
}

static enum status
take_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct reading *reading = context;
    struct mail_op *op = reading->op;
    struct letter letter;
    struct text name;
    uint64_t number;
    if (!mail_key_read_number(key, &name, &number))
        return mail_refuse_row(reading->space, reading->inbox, 0, error);
    if (!letter_decode(value, &letter))
        return mail_refuse_row(reading->space, reading->inbox, number, error);
    if (reading->first == 0)
        reading->first = number;
    if (is_over(reading, &letter))
        return STATUS_OK; /* the next sweep drops it */
    size_t size = letter.reason.size + letter.record.size;
    if (op->row_count >= op->limit || (op->row_count > 0 && op->out.size + size > op->bytes_max)) {
        op->more = true;
        return STATUS_PENDING;
    }
    return mail_answer_row(op, number, &letter);
}

static enum status
read_rows(struct mailbox *mailbox, struct reading *reading, uint64_t from, struct error *error)
{
    struct mail_key prefix;
    struct mail_key first;
    mail_key_prefix(&prefix, reading->inbox);
    mail_key_number(&first, reading->inbox, from);
    enum status status =
        store_scan_from(mailbox->store, (store_space)reading->space, mail_key_bytes(&prefix),
                        mail_key_bytes(&first), take_row, reading, error);
    return status == STATUS_PENDING ? STATUS_OK : status;
}

enum status
mail_answer_read(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct inbox *inbox = accounts_find_inbox(&mailbox->accounts, op->name);
    struct reading reading = {
        .op = op, .space = MAIL_SPACE_MESSAGE, .inbox = op->name, .wall_us = mailbox->now.wall_us};
    op->more = false;
    if (!inbox || inbox->live.waiting == 0 || op->seq >= inbox->live.next_number)
        return STATUS_OK;
    /* From the lowest number that there can be: before it lie rows that were deleted, and going
     * over those costs as much as going over others. */
    bool from_low = op->seq < inbox->live.low_number;
    uint64_t from = from_low ? inbox->live.low_number : op->seq + 1;
    enum status status = read_rows(mailbox, &reading, from, error);
    if (status == STATUS_OK && from_low && reading.first > inbox->live.low_number) {
        inbox->live.low_number = reading.first;
        inbox->kept.low_number = reading.first;
    }
    return status;
}

enum status
mail_answer_dead_read(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct inbox *inbox = accounts_find_inbox(&mailbox->accounts, op->name);
    struct reading reading = {.op = op, .space = MAIL_SPACE_DEAD, .inbox = op->name};
    op->more = false;
    op->count = inbox ? inbox->live.dead : 0;
    if (op->count == 0 || op->seq >= inbox->live.next_dead)
        return STATUS_OK;
    return read_rows(mailbox, &reading, op->seq + 1, error);
}

enum status
mail_answer_read_one(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct inbox *inbox = accounts_find_inbox(&mailbox->accounts, op->name);
    struct letter letter;
    enum status status =
        inbox ? letters_get(mailbox, MAIL_SPACE_MESSAGE, inbox, op->seq, true, &letter, error)
              : STATUS_NOT_FOUND;
    if (status == STATUS_OK && letter.expires_us != 0 && letter.expires_us <= mailbox->now.wall_us)
        status = STATUS_NOT_FOUND;
    if (status == STATUS_NOT_FOUND)
        error_set(error, "there is no message %llu in this inbox", (unsigned long long)op->seq);
    return status == STATUS_OK ? mail_answer_row(op, op->seq, &letter) : status;
}
