/* SPDX-License-Identifier: Apache-2.0 */
/* About the whole: how full inboxes are (those whose name fits a glob, in the order of their
 * names), and a copy of everything. */
#include <stdlib.h>

#include "broker/mail/mailbox_state.h"
#include "kernel/capability.h"
#include "kernel/pack.h"

struct listing {
    struct mail_op *op;
    struct text pattern;
    struct buffer entries;
    uint32_t count;
    size_t seen;
};

static enum status
take_inbox(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct listing *listing = context;
    struct text name = {(const char *)key.data, key.size};
    struct inbox_figures figures;
    if (!mail_name_is_fit(name) || !inbox_decode(value, &figures))
        return mail_refuse_row(MAIL_SPACE_INBOX, name, 0, error);
    if (listing->seen++ == MAIL_FIGURES_ROWS) {
        listing->op->more = true;
        return STATUS_PENDING;
    }
    uint64_t messages = figures.waiting + figures.delayed + figures.dead;
    if (messages == 0 || !glob_match(listing->pattern, name))
        return STATUS_OK;
    if (listing->count == listing->op->limit) {
        listing->op->more = true;
        return STATUS_PENDING;
    }
    listing->count++;
    pack_map(&listing->entries, 5);
    pack_pair_text(&listing->entries, "agent_id", name);
    pack_pair_uint(&listing->entries, "waiting", figures.waiting);
    pack_pair_uint(&listing->entries, "delayed", figures.delayed);
    pack_pair_uint(&listing->entries, "dead", figures.dead);
    pack_pair_uint(&listing->entries, "bytes", figures.bytes);
    return listing->entries.failed ? STATUS_NOMEM : STATUS_OK;
}

/* What every name that fits begins with. */
static struct bytes
literal_part(struct text pattern)
{
    size_t size = 0;
    while (size < pattern.size && !strchr("*?[", pattern.data[size]))
        size++;
    return (struct bytes){(const uint8_t *)pattern.data, size};
}

enum status
mail_answer_figures(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    struct listing listing = {.op = op, .pattern = op->name};
    buffer_init(&listing.entries);
    op->more = false;
    enum status status = store_scan(mailbox->store, MAIL_SPACE_INBOX, literal_part(op->name), false,
                                    take_inbox, &listing, error);
    if (status == STATUS_PENDING)
        status = STATUS_OK;
    if (status == STATUS_OK) {
        op->count = listing.count;
        pack_array(&op->out, listing.count);
        pack_raw(&op->out, buffer_bytes(&listing.entries));
        status = op->out.failed ? STATUS_NOMEM : STATUS_OK;
    }
    buffer_clear(&listing.entries);
    return status;
}

enum status
mail_answer_checkpoint(struct mailbox *mailbox, struct mail_op *op, struct error *error)
{
    char *folder = text_copy(op->text);
    if (!folder)
        return STATUS_NOMEM;
    enum status status = store_checkpoint(mailbox->store, folder, error);
    free(folder);
    return status;
}
