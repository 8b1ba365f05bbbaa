/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/mail/mailbox_state.h"

struct recovery {
    struct mailbox *mailbox;
    const struct inbox *inbox;
};

static enum status
announce(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct recovery *recovery = context;
    struct text name;
    uint64_t number;
    (void)value;
    if (!mail_key_read_number(key, &name, &number))
        return mail_refuse_row(MAIL_SPACE_MESSAGE, recovery->inbox->account.name, 0, error);
    return letters_announce(recovery->mailbox, recovery->inbox, number);
}

static enum status
recover_inbox(struct mailbox *mailbox, const struct inbox *inbox, uint64_t from,
              struct error *error)
{
    struct recovery recovery = {mailbox, inbox};
    struct mail_key prefix;
    struct mail_key first;
    mail_key_prefix(&prefix, inbox->account.name);
    mail_key_number(&first, inbox->account.name, from);
    return store_scan_from(mailbox->store, MAIL_SPACE_MESSAGE, mail_key_bytes(&prefix),
                           mail_key_bytes(&first), announce, &recovery, error);
}

enum status
mailbox_recover(struct mailbox *mailbox, const struct mailbox *before, struct mail_op **arrived,
                struct error *error)
{
    const struct table *table = &mailbox->accounts.inboxes;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < table->slot_count && status == STATUS_OK; i++) {
        for (struct table_node *node = table->slots[i]; node && status == STATUS_OK;
             node = node->next) {
            const struct inbox *inbox = CONTAINER_OF(node, struct inbox, account.node);
            const struct inbox *known = accounts_find_inbox(&before->accounts, inbox->account.name);
            uint64_t from = known ? known->kept.next_number : 1;
            if (inbox->kept.next_number > from)
                status = recover_inbox(mailbox, inbox, from, error);
        }
    }
    if (status == STATUS_OK)
        mail_list_move(arrived, &mailbox->arrived);
    else
        mail_list_clear(&mailbox->arrived);
    return status;
}
