/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdlib.h>

#include "broker/mail/mailbox_state.h"

static struct bytes
nothing(void)
{
    return (struct bytes){NULL, 0};
}

enum status
letters_put(struct mailbox *mailbox, const struct inbox *inbox, const struct letter *letter)
{
    static const uint8_t form = 1;
    struct mail_key key;
    uint8_t *value;
    uint64_t number = inbox->live.next_number;
    mail_key_number(&key, inbox->account.name, number);
    enum status status = store_batch_put(mailbox->batch, MAIL_SPACE_MESSAGE, mail_key_bytes(&key),
                                         letter_size(letter), &value);
    if (status != STATUS_OK)
        return status;
    letter_encode(letter, value);
    if (letter->expires_us == 0)
        return STATUS_OK;
    mail_key_time(&key, letter->expires_us, inbox->account.name, number);
    return store_batch_add(mailbox->batch, STORE_PUT, MAIL_SPACE_EXPIRY, mail_key_bytes(&key),
                           (struct bytes){&form, 1});
}

uint64_t
letters_count_in(struct mailbox *mailbox, struct inbox *inbox, const struct letter *letter)
{
    accounts_touch_inbox(&mailbox->accounts, inbox);
    if (inbox->live.waiting == 0)
        inbox->live.low_number = inbox->live.next_number;
    inbox->live.waiting++;
    if (letter->expires_us && letter->expires_us < mailbox->expiry_due_us)
        mailbox->expiry_due_us = letter->expires_us;
    return inbox->live.next_number++;
}

void
letters_count_out(struct mailbox *mailbox, struct inbox *inbox, uint64_t number)
{
    accounts_touch_inbox(&mailbox->accounts, inbox);
    count_down(&inbox->live.waiting, 1);
    if (inbox->live.waiting == 0)
        inbox->live.low_number = inbox->live.next_number;
    else if (inbox->live.low_number == number)
        inbox->live.low_number++;
}

void
letters_count_off(struct mailbox *mailbox, struct inbox *inbox, const struct letter *letter)
{
    accounts_touch_inbox(&mailbox->accounts, inbox);
    count_down(&inbox->live.bytes, letter->record.size);
    struct sender *sender = accounts_find_sender(&mailbox->accounts, letter->sender);
    if (!sender)
        return;
    accounts_touch_sender(&mailbox->accounts, sender);
    count_down(&sender->live.count, 1);
    count_down(&sender->live.bytes, letter->record.size);
}

enum status
letters_delete(struct mailbox *mailbox, const struct inbox *inbox, uint64_t number,
               const struct letter *letter)
{
    struct mail_key key;
    mail_key_number(&key, inbox->account.name, number);
    enum status status = store_batch_add(mailbox->batch, STORE_DELETE, MAIL_SPACE_MESSAGE,
                                         mail_key_bytes(&key), nothing());
    if (status == STATUS_OK && letter->expires_us) {
        mail_key_time(&key, letter->expires_us, inbox->account.name, number);
        status = store_batch_add(mailbox->batch, STORE_DELETE, MAIL_SPACE_EXPIRY,
                                 mail_key_bytes(&key), nothing());
    }
    if (status == STATUS_OK && !gone_add(&mailbox->gone, inbox, MAIL_SPACE_MESSAGE, number))
        status = STATUS_NOMEM;
    return status;
}

enum status
mail_refuse_row(enum mail_space space, struct text name, uint64_t number, struct error *error)
{
    char shown[64];
    error_copy_text(shown, sizeof shown, name);
    error_set_word(error, "storage_failed",
                   "the row of %s %" PRIu64 " in space 0x%02x cannot be read", shown, number,
                   (unsigned)space);
    return STATUS_STORE_FAILED;
}

enum status
letters_get(struct mailbox *mailbox, enum mail_space space, const struct inbox *inbox,
            uint64_t number, bool whole, struct letter *letter, struct error *error)
{
    struct mail_key key;
    size_t size;
    if (gone_has(&mailbox->gone, inbox, space, number))
        return STATUS_NOT_FOUND;
    mail_key_number(&key, inbox->account.name, number);
    buffer_reset(&mailbox->row);
    enum status status =
        store_get_head(mailbox->store, (store_space)space, mail_key_bytes(&key),
                       whole ? SIZE_MAX : LETTER_HEAD_MAX, &mailbox->row, &size, error);
    if (status != STATUS_OK)
        return status;
    struct bytes row = buffer_bytes(&mailbox->row);
    bool fit = whole ? letter_decode(row, letter) : letter_decode_head(row, size, letter);
    return fit ? STATUS_OK : mail_refuse_row(space, inbox->account.name, number, error);
}

enum status
letters_announce(struct mailbox *mailbox, const struct inbox *inbox, uint64_t number)
{
    struct text none = {NULL, 0};
    struct mail_op *op = mail_op_new(MAIL_ARRIVED, inbox->account.name, none, none, nothing());
    if (!op)
        return STATUS_NOMEM;
    op->seq = number;
    *mailbox->arrived.end = op;
    mailbox->arrived.end = &op->next;
    return STATUS_OK;
}

enum status
mail_answer_row(struct mail_op *op, uint64_t number, const struct letter *letter)
{
    if ((op->row_count & (op->row_count - 1)) == 0) { /* full at every power of two */
        size_t capacity = op->row_count ? op->row_count * 2 : 1;
        struct mail_row *rows = reallocarray(op->rows, capacity, sizeof *rows);
        if (!rows)
            return STATUS_NOMEM;
        op->rows = rows;
    }
    if (!buffer_reserve(&op->out, letter->reason.size + letter->record.size))
        return STATUS_NOMEM;
    op->rows[op->row_count++] = (struct mail_row){.seq = number,
                                                  .kept_us = letter->kept_us,
                                                  .expires_us = letter->expires_us,
                                                  .attempts = letter->attempts,
                                                  .reason_size = (uint32_t)letter->reason.size,
                                                  .record_size = (uint32_t)letter->record.size,
                                                  .offset = op->out.size};
    buffer_append_text(&op->out, letter->reason);
    buffer_append(&op->out, letter->record.data, letter->record.size);
    return STATUS_OK;
}
