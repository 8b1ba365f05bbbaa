/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in a squad. */
#include "broker/mail/mailbox_state.h"
#include "kernel/pack.h"

static enum status
check(const struct mail_op *op, struct error *error)
{
    if (!mail_name_is_fit(op->name)) {
        error_set_word(error, "not_a_squad", "expected a name of 1 to %d bytes", MAIL_NAME_MAX);
        return STATUS_INVALID;
    }
    if (!mail_name_is_fit(op->source)) {
        error_set(error, "the member's name has not 1 to %d bytes", MAIL_NAME_MAX);
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

static enum status
check_limits(const struct squad *squad, const struct inbox *inbox, struct error *error)
{
    if (squad->count >= MAIL_SQUAD_MAX)
        error_set_word(error, "squad_full", "the squad has %d members already", MAIL_SQUAD_MAX);
    else if (inbox->live.squads >= MAIL_MEMBERSHIPS_MAX)
        error_set_word(error, "squad_full", "the member is in %d squads already",
                       MAIL_MEMBERSHIPS_MAX);
    else
        return STATUS_OK;
    return STATUS_QUOTA_EXCEEDED;
}

enum status
mail_plan_join(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct squad *squad;
    enum status status = check(op, error);
    if (status == STATUS_OK)
        status = squads_find(&mailbox->squads, mailbox->store, op->name, &squad, error);
    if (status != STATUS_OK)
        return status;
    op->count = squad->count;
    if (squad_has(squad, op->source))
        return STATUS_OK;
    struct inbox *inbox = accounts_inbox(&mailbox->accounts, op->source);
    if (!inbox)
        return STATUS_NOMEM;
    status = check_limits(squad, inbox, error);
    if (status == STATUS_OK)
        status = squads_add(&mailbox->squads, squad, op->source);
    if (status != STATUS_OK)
        return status;
    accounts_touch_inbox(&mailbox->accounts, inbox);
    inbox->live.squads++;
    op->count = squad->count;
    return STATUS_OK;
}

enum status
mail_plan_leave(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct squad *squad;
    enum status status = check(op, error);
    if (status == STATUS_OK)
        status = squads_find(&mailbox->squads, mailbox->store, op->name, &squad, error);
    if (status != STATUS_OK)
        return status;
    if (squad_has(squad, op->source)) {
        struct inbox *inbox = accounts_find_inbox(&mailbox->accounts, op->source);
        squads_remove(&mailbox->squads, squad, op->source);
        if (inbox) {
            accounts_touch_inbox(&mailbox->accounts, inbox);
            inbox->live.squads -= inbox->live.squads > 0;
        }
    }
    op->count = squad->count;
    return STATUS_OK;
}

enum status
mail_answer_members(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct squad *squad;
    if (!mail_name_is_fit(op->name)) {
        error_set_word(error, "not_a_squad", "expected a name of 1 to %d bytes", MAIL_NAME_MAX);
        return STATUS_INVALID;
    }
    enum status status = squads_find(&mailbox->squads, mailbox->store, op->name, &squad, error);
    if (status != STATUS_OK)
        return status;
    op->count = squad->count;
    pack_array(&op->out, (uint32_t)squad->count);
    for (size_t i = 0; i < squad->count; i++)
        pack_text(&op->out, squad->members[i]);
    return op->out.failed ? STATUS_NOMEM : STATUS_OK;
}
