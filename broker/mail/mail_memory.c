/* SPDX-License-Identifier: Apache-2.0 */
/* Working memory: the last items that an agent pushed, a row each. */
#include "broker/mail/mailbox_state.h"
#include "kernel/pack.h"

static enum status
check(const struct mail_op *op, struct error *error)
{
    struct value item;
    if (!mail_name_is_fit(op->name)) {
        error_set(error, "the owner's name has not 1 to %d bytes", MAIL_NAME_MAX);
        return STATUS_INVALID;
    }
    if (op->record.size > MAIL_MEMORY_ITEM_MAX) {
        error_set(error, "the item has %zu bytes, expected at most %d", op->record.size,
                  MAIL_MEMORY_ITEM_MAX);
        return STATUS_TOO_LARGE;
    }
    if (!value_parse(op->record, &item)) {
        error_set(error, "the item is not one packed value");
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

enum status
mail_plan_memory_push(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    uint8_t *value;
    struct mail_key key;
    enum status status = check(op, error);
    if (status != STATUS_OK)
        return status;
    struct inbox *inbox = accounts_inbox(&mailbox->accounts, op->name);
    if (!inbox)
        return STATUS_NOMEM;
    struct memory_row row = {mailbox->now.wall_us, op->record};
    mail_key_number(&key, op->name, inbox->live.memory_next);
    status = store_batch_put(mailbox->batch, MAIL_SPACE_MEMORY, mail_key_bytes(&key),
                             memory_row_size(&row), &value);
    if (status != STATUS_OK)
        return status;
    memory_row_encode(&row, value);
    bool full = inbox->live.memory_count == MAIL_MEMORY_ITEMS;
    if (full) {
        mail_key_number(&key, op->name, inbox->live.memory_next - MAIL_MEMORY_ITEMS);
        status = store_batch_add(mailbox->batch, STORE_DELETE, MAIL_SPACE_MEMORY,
                                 mail_key_bytes(&key), (struct bytes){NULL, 0});
        if (status != STATUS_OK)
            return status;
    }
    accounts_touch_inbox(&mailbox->accounts, inbox);
    inbox->live.memory_next++;
    inbox->live.memory_count += !full;
    op->count = inbox->live.memory_count;
    return STATUS_OK;
}

struct recall {
    struct buffer items;
    uint32_t count;
    uint32_t limit;
};

static enum status
take_item(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct recall *recall = context;
    struct memory_row row;
    struct text name;
    struct value item;
    uint64_t number;
    if (recall->count == recall->limit)
        return STATUS_PENDING; /* enough */
    if (!mail_key_read_number(key, &name, &number))
        return mail_refuse_row(MAIL_SPACE_MEMORY, (struct text){NULL, 0}, 0, error);
    if (!memory_row_decode(value, &row) || !value_parse(row.item, &item))
        return mail_refuse_row(MAIL_SPACE_MEMORY, name, number, error);
    recall->count++;
    pack_map(&recall->items, 2);
    pack_pair_raw(&recall->items, "item", row.item);
    pack_pair_uint(&recall->items, "at", row.pushed_us);
    return recall->items.failed ? STATUS_NOMEM : STATUS_OK;
}

enum status
mail_answer_memory_recall(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct mail_key prefix;
    struct recall recall = {.limit = op->limit};
    if (!mail_name_is_fit(op->name)) {
        error_set(error, "the owner's name has not 1 to %d bytes", MAIL_NAME_MAX);
        return STATUS_INVALID;
    }
    buffer_init(&recall.items);
    mail_key_prefix(&prefix, op->name);
    enum status status = store_scan(mailbox->store, MAIL_SPACE_MEMORY, mail_key_bytes(&prefix),
                                    true, take_item, &recall, error);
    if (status == STATUS_PENDING)
        status = STATUS_OK;
    if (status == STATUS_OK) {
        op->count = recall.count;
        pack_array(&op->out, recall.count);
        pack_raw(&op->out, buffer_bytes(&recall.items));
        status = op->out.failed ? STATUS_NOMEM : STATUS_OK;
    }
    buffer_clear(&recall.items);
    return status;
}
