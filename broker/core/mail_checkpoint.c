/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_checkpoint.c - `store_checkpoint {folder}`: a copy of the inboxes for a backup.
 *
 * As every service answers it, and like there no row of a contract: the broker writes the folder
 * with its own rights, so only the home's owner may name one. */
#include "broker/core/answer.h"
#include "broker/core/mail_ask.h"
#include "kernel/pack.h"

enum { FOLDER_MAX = 4096 };

static enum status
admit(const struct peer *peer, const struct message *message, struct text *folder,
      struct error *error)
{
    struct value payload;
    if (!(peer->rights & CORE_OPERATOR) || !text_is_empty(message->principal)) {
        error_set(error, "store_checkpoint: only user:operator may ask for it");
        return STATUS_FORBIDDEN;
    }
    if (!value_parse(message->payload, &payload) || !value_find_text(&payload, "folder", folder) ||
        text_is_empty(*folder) || folder->data[0] != '/' || folder->size >= FOLDER_MAX ||
        memchr(folder->data, '\0', folder->size)) {
        error_set_field(error, "folder", "expected an absolute path of at most %d bytes",
                        FOLDER_MAX - 1);
        return STATUS_VALIDATION;
    }
    return STATUS_OK;
}

static void
made(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    (void)op;
    buffer_reset(&core->payload);
    pack_map(&core->payload, 0);
    ticket_reply(core, ticket, &core->payload);
}

const char *
mail_checkpoint(struct core *core, struct peer *peer, const struct message *message)
{
    struct text none = {NULL, 0};
    struct text folder = none;
    struct error error = ERROR_INIT;
    enum status status = admit(peer, message, &folder, &error);
    if (status != STATUS_OK)
        return answer_refuse(core, peer, message, status, &error);
    struct bus_call call = {.peer = peer, .message = message};
    const char *verdict;
    struct ticket *ticket = ticket_of_call(core, &call, made, &verdict);
    if (!ticket)
        return verdict;
    struct mail_op *op = mail_op_new(MAIL_CHECKPOINT, none, none, folder, (struct bytes){NULL, 0});
    return ticket_ask_now(core, ticket, &op);
}
