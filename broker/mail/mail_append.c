/* SPDX-License-Identifier: Apache-2.0 */
/* A message comes in: known already? whose inboxes? do they and the sender have room? */
#include "broker/mail/mailbox_state.h"
#include "kernel/message.h"

struct delivery {
    struct letter letter;
    uint64_t due_us; /* 0: now */
    struct sender *sender;
    size_t copies;
    bool announced;
};

static enum status
check(const struct mail_op *op, struct error *error)
{
    if (!mail_name_is_fit(op->name)) {
        error_set_word(error, "not_an_inbox", "expected a name of 1 to %d bytes", MAIL_NAME_MAX);
        return STATUS_INVALID;
    }
    if (!mail_name_is_fit(op->source)) {
        error_set(error, "the sender's name has not 1 to %d bytes", MAIL_NAME_MAX);
        return STATUS_INVALID;
    }
    if (op->record.size == 0 || op->record.size > RECORD_SIZE_MAX) {
        error_set(error, "the message has %zu bytes, expected 1 to %d", op->record.size,
                  RECORD_SIZE_MAX);
        return STATUS_TOO_LARGE;
    }
    return STATUS_OK;
}

static enum status
find_members(struct mailbox *mailbox, const struct mail_op *op, size_t *count, struct error *error)
{
    struct squad *squad;
    enum status status = squads_find(&mailbox->squads, mailbox->store, op->name, &squad, error);
    if (status != STATUS_OK)
        return status;
    if (squad->count == 0) {
        error_set_word(error, "squad_empty", "%.*s has no members", TEXT_ARGS(op->name));
        return STATUS_NOT_FOUND;
    }
    if (op->record.size > MAIL_COPIES_BYTES / squad->count) {
        error_set(error, "copies for %zu members would have more than %d bytes together",
                  squad->count, MAIL_COPIES_BYTES);
        return STATUS_TOO_LARGE;
    }
    for (size_t i = 0; i < squad->count; i++) {
        mailbox->receivers[i] = accounts_inbox(&mailbox->accounts, squad->members[i]);
        if (!mailbox->receivers[i])
            return STATUS_NOMEM;
    }
    *count = squad->count;
    return STATUS_OK;
}

static enum status
find_receivers(struct mailbox *mailbox, const struct mail_op *op, size_t *count,
               struct error *error)
{
    if (op->squad)
        return find_members(mailbox, op, count, error);
    mailbox->receivers[0] = accounts_inbox(&mailbox->accounts, op->name);
    *count = 1;
    return mailbox->receivers[0] ? STATUS_OK : STATUS_NOMEM;
}

/* Does used + more stay within max? */
static bool
fits(uint64_t used, uint64_t more, uint64_t max)
{
    return used <= max && more <= max - used;
}

static enum status
check_limits(const struct mailbox *mailbox, const struct delivery *delivery, struct error *error)
{
    const struct mailbox_limits *limits = &mailbox->limits;
    const struct sender_figures *sender = &delivery->sender->live;
    size_t size = delivery->letter.record.size;
    if (!fits(sender->count, delivery->copies, limits->sender_max) ||
        !fits(sender->bytes, (uint64_t)delivery->copies * size, limits->sender_bytes_max)) {
        error_set_word(error, "sender_quota",
                       "%llu messages of this sender, %llu bytes, wait in inboxes already",
                       (unsigned long long)sender->count, (unsigned long long)sender->bytes);
        return STATUS_QUOTA_EXCEEDED;
    }
    for (size_t i = 0; i < delivery->copies; i++) {
        const struct inbox *inbox = mailbox->receivers[i];
        if (fits(inbox_count(inbox), 1, limits->inbox_max) &&
            fits(inbox->live.bytes, size, limits->inbox_bytes_max))
            continue;
        error_set_word(error, "inbox_full", "the inbox %.*s holds %llu messages, %llu bytes",
                       TEXT_ARGS(inbox->account.name), (unsigned long long)inbox_count(inbox),
                       (unsigned long long)inbox->live.bytes);
        return STATUS_QUOTA_EXCEEDED;
    }
    return STATUS_OK;
}

static enum status
put_delayed(struct mailbox *mailbox, const struct inbox *inbox, const struct delivery *delivery)
{
    struct mail_key key;
    uint8_t *value;
    mail_key_time(&key, delivery->due_us, inbox->account.name, inbox->live.next_number);
    enum status status = store_batch_put(mailbox->batch, MAIL_SPACE_DELAYED, mail_key_bytes(&key),
                                         letter_size(&delivery->letter), &value);
    if (status == STATUS_OK)
        letter_encode(&delivery->letter, value);
    return status;
}

static enum status
put_rows(struct mailbox *mailbox, const struct delivery *delivery)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < delivery->copies; i++) {
        const struct inbox *inbox = mailbox->receivers[i];
        status = delivery->due_us ? put_delayed(mailbox, inbox, delivery)
                                  : letters_put(mailbox, inbox, &delivery->letter);
        if (status == STATUS_OK && delivery->announced && !delivery->due_us)
            status = letters_announce(mailbox, inbox, inbox->live.next_number);
    }
    return status;
}

/* The number of the last copy. */
static uint64_t
count_in(struct mailbox *mailbox, const struct delivery *delivery)
{
    uint64_t number = 0;
    size_t size = delivery->letter.record.size;
    for (size_t i = 0; i < delivery->copies; i++) {
        struct inbox *inbox = mailbox->receivers[i];
        if (delivery->due_us) {
            accounts_touch_inbox(&mailbox->accounts, inbox);
            inbox->live.delayed++;
            number = inbox->live.next_number++;
        } else {
            number = letters_count_in(mailbox, inbox, &delivery->letter);
        }
        inbox->live.bytes += size;
    }
    if (delivery->due_us && delivery->due_us < mailbox->delayed_due_us)
        mailbox->delayed_due_us = delivery->due_us;
    accounts_touch_sender(&mailbox->accounts, delivery->sender);
    delivery->sender->live.count += delivery->copies;
    delivery->sender->live.bytes += (uint64_t)delivery->copies * size;
    return number;
}

/* What never becomes due in time goes when its time is over. */
static uint64_t
due_of(const struct mail_op *op, struct now now)
{
    if (op->due_us <= now.wall_us)
        return 0;
    return op->expires_us && op->expires_us < op->due_us ? op->expires_us : op->due_us;
}

static enum status
deliver(struct mailbox *mailbox, struct mail_op *op, const struct mail_id *id, struct error *error)
{
    struct delivery delivery = {.letter = {.kept_us = mailbox->now.wall_us,
                                           .expires_us = op->expires_us,
                                           .sender = op->source,
                                           .record = op->record},
                                .due_us = due_of(op, mailbox->now),
                                .announced = op->squad || op->due_us};
    enum status status = find_receivers(mailbox, op, &delivery.copies, error);
    if (status != STATUS_OK)
        return status;
    delivery.sender = accounts_sender(&mailbox->accounts, op->source);
    if (!delivery.sender)
        return STATUS_NOMEM;
    status = check_limits(mailbox, &delivery, error);
    if (status != STATUS_OK)
        return status;
    status = put_rows(mailbox, &delivery);
    if (status == STATUS_OK && !known_add(mailbox->known, id, mailbox->now))
        status = STATUS_NOMEM;
    if (status != STATUS_OK)
        return status;
    uint64_t number = count_in(mailbox, &delivery);
    op->count = delivery.copies;
    op->seq = delivery.announced ? 0 : number;
    return STATUS_OK;
}

enum status
mail_plan_append(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    enum status status = check(op, error);
    if (status != STATUS_OK)
        return status;
    op->count = 0;
    op->seq = 0;
    struct mail_id id = known_id(mailbox->known, op->source, &op->id);
    if (known_find(mailbox->known, &id) != KNOWN_NOT)
        return STATUS_OK;
    return deliver(mailbox, op, &id, error);
}
