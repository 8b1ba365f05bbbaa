/* SPDX-License-Identifier: Apache-2.0 */
/* `store_checkpoint {folder}`: a copy of the store for a backup, made by the store's thread between
 * two commits. The service writes the folder with its own rights, so only the home's owner may name
 * one. */
#include "actors/runtime/dispatch_core.h"

#define OPERATOR "user:operator"

static void
answer(struct dispatch *dispatch, const struct peer_origin *origin, enum status status,
       const struct error *error)
{
    struct buffer reply;
    buffer_init(&reply);
    if (status == STATUS_OK)
        pack_map(&reply, 0);
    else
        error_pack(&reply, status, error);
    dispatch->port.reply(dispatch->port.context, origin, status, buffer_bytes(&reply), NULL);
    buffer_clear(&reply);
}

static enum status
admit(const struct dispatch *dispatch, const struct message *message, struct text *folder,
      struct error *error)
{
    struct value payload;
    if (!text_equal_string(message->source, OPERATOR) || !text_is_empty(message->principal)) {
        error_set(error, "store_checkpoint: only " OPERATOR " may ask for it");
        return STATUS_FORBIDDEN;
    }
    if (!dispatch->context.store) {
        error_set(error, "%s has no store", dispatch->context.service->contract->service);
        return STATUS_NOT_IMPLEMENTED;
    }
    if (dispatch->checkpoint.wanted || dispatch->checkpoint.running || dispatch->stopping) {
        error_set(error, "%s",
                  dispatch->stopping ? "the service is stopping"
                                     : "another checkpoint is being made");
        return STATUS_BUSY;
    }
    if (!value_parse(message->payload, &payload) || !value_find_text(&payload, "folder", folder) ||
        text_is_empty(*folder) || folder->data[0] != '/' || folder->size >= CHECKPOINT_PATH_MAX ||
        memchr(folder->data, '\0', folder->size)) {
        error_set_field(error, "folder", "expected an absolute path of at most %d bytes",
                        CHECKPOINT_PATH_MAX - 1);
        return STATUS_VALIDATION;
    }
    return STATUS_OK;
}

void
checkpoint_take(struct dispatch *dispatch, const struct message *message)
{
    struct checkpoint *checkpoint = &dispatch->checkpoint;
    struct error error = ERROR_INIT;
    struct text folder = {NULL, 0};
    struct peer_origin origin;
    peer_origin_of(&origin, message);
    enum status status = admit(dispatch, message, &folder, &error);
    if (status != STATUS_OK) {
        answer(dispatch, &origin, status, &error);
        return;
    }
    checkpoint->wanted = true;
    checkpoint->origin = origin;
    memcpy(checkpoint->folder, folder.data, folder.size);
    checkpoint->folder[folder.size] = '\0';
}

void
checkpoint_begin(struct dispatch *dispatch)
{
    dispatch->checkpoint.wanted = false;
    dispatch->checkpoint.running = true;
    dispatch->committing = true;
    dispatch->port.checkpoint(dispatch->port.context, dispatch->checkpoint.folder);
}

void
checkpoint_end(struct dispatch *dispatch, enum status status, const struct error *error)
{
    dispatch->checkpoint.running = false;
    dispatch->committing = false;
    if (status == STATUS_OK)
        log_info(dispatch->context.logger, "checkpoint made in %s", dispatch->checkpoint.folder);
    else
        log_error(dispatch->context.logger, "checkpoint failed: %s", error->message);
    answer(dispatch, &dispatch->checkpoint.origin, status, error);
}
