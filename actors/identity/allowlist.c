/* SPDX-License-Identifier: Apache-2.0 */
/* Who may speak with an agent on a channel. */
#include "actors/identity/grant_revoke.h"
#include "actors/identity/pairing.h"
#include "contracts/identity.h"

enum { LIST_REPLY_MAX = 200 * 1024 };

static const enum status ENOUGH = STATUS_PENDING;

static enum status
scan(struct context *context, struct text channel, store_row_fn *row, void *row_context,
     struct error *error)
{
    struct buffer prefix;
    buffer_init(&prefix);
    if (!text_is_empty(channel))
        append_channel(&prefix, channel);
    enum status status = prefix.failed ? STATUS_NOMEM
                                       : context_scan(context, SPACE_ALLOWED, buffer_bytes(&prefix),
                                                      false, row, row_context, error);
    buffer_clear(&prefix);
    return status;
}

static enum status
count_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    size_t *count = context;
    (void)key;
    (void)value;
    (void)error;
    ++*count;
    return STATUS_OK;
}

enum status
allowlist_count(struct context *context, struct text channel, size_t *count, struct error *error)
{
    *count = 0;
    return scan(context, channel, count_row, count, error);
}

/* ---- list */

struct page {
    int64_t skip, left;
    struct buffer entries;
    uint32_t count;
};

static enum status
list_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct page *page = context;
    struct allowed allowed;
    if (page->skip > 0) {
        page->skip--;
        return STATUS_OK;
    }
    if (page->left == 0 || page->entries.size > LIST_REPLY_MAX)
        return ENOUGH;
    if (!allowed_decode(key, value, &allowed)) {
        error_set(error, "the row of an allowlist cannot be read");
        return STATUS_STORE_FAILED;
    }
    pack_map(&page->entries, 7);
    pack_pair_string(&page->entries, "channel", allowed.channel);
    pack_pair_string(&page->entries, "sender_id", allowed.sender_id);
    pack_pair_string(&page->entries, "agent_id", allowed.agent_id);
    pack_pair_string(&page->entries, "approver_id", allowed.approver_id);
    pack_pair_string(&page->entries, "capability_id", allowed.capability_id);
    pack_pair_timestamp(&page->entries, "approved_at", allowed.approved_us);
    pack_pair_timestamp(&page->entries, "expires_at", allowed.expires_us);
    page->count++;
    page->left--;
    return STATUS_OK;
}

enum status
allowlist_list(struct context *context, struct request *request, struct outcome *outcome,
               struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct page page = {.skip = arguments_integer(arguments, IDENTITY_ALLOWLIST_LIST_OFFSET),
                        .left = arguments_integer(arguments, IDENTITY_ALLOWLIST_LIST_LIMIT)};
    buffer_init(&page.entries);
    enum status status = scan(context, arguments_text(arguments, IDENTITY_ALLOWLIST_LIST_CHANNEL),
                              list_row, &page, error);
    if (status == ENOUGH)
        status = STATUS_OK;
    if (status == STATUS_OK) {
        pack_array(outcome_reply(outcome), page.count);
        pack_raw(outcome_reply(outcome), buffer_bytes(&page.entries));
        if (page.entries.failed)
            status = STATUS_NOMEM;
    }
    buffer_clear(&page.entries);
    return status;
}

/* ---- get and remove */

enum status
allowlist_get(struct context *context, struct text channel, struct text sender,
              struct allowed *allowed, struct error *error)
{
    struct buffer key, row;
    buffer_init(&key);
    buffer_init(&row);
    append_channel(&key, channel);
    buffer_append_text(&key, sender);
    enum status status = STATUS_NOT_FOUND;
    if (channel_name_is_valid(channel) && sender_id_is_valid(sender))
        status = key.failed ? STATUS_NOMEM
                            : context_get(context, SPACE_ALLOWED, buffer_bytes(&key), &row, error);
    if (status == STATUS_NOT_FOUND) {
        error_set_word(error, "allowlist_entry_not_found", "this sender is not on the allowlist");
    } else if (status == STATUS_OK &&
               !allowed_decode(buffer_bytes(&key), buffer_bytes(&row), allowed)) {
        error_set(error, "the row of an allowlist cannot be read");
        status = STATUS_STORE_FAILED;
    }
    buffer_clear(&key);
    buffer_clear(&row);
    return status;
}

static enum status
answer_removed(const struct request *request, struct outcome *outcome)
{
    const struct arguments *arguments = request_arguments(request);
    struct buffer *out = outcome_reply(outcome);
    pack_map(out, 3);
    pack_pair_bool(out, "deleted", true);
    pack_pair_text(out, "channel", arguments_text(arguments, IDENTITY_ALLOWLIST_REMOVE_CHANNEL));
    pack_pair_text(out, "sender_id",
                   arguments_text(arguments, IDENTITY_ALLOWLIST_REMOVE_SENDER_ID));
    return STATUS_OK;
}

static enum status
on_taken_back(struct context *context, struct request *request, const struct event *event,
              struct outcome *outcome, struct error *error)
{
    (void)context;
    enum status status = grant_taken_back(request, event, outcome, error);
    return status == STATUS_OK ? answer_removed(request, outcome) : status;
}

enum status
allowlist_remove(struct context *context, struct request *request, struct outcome *outcome,
                 struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct allowed allowed;
    enum status status = allowlist_get(
        context, arguments_text(arguments, IDENTITY_ALLOWLIST_REMOVE_CHANNEL),
        arguments_text(arguments, IDENTITY_ALLOWLIST_REMOVE_SENDER_ID), &allowed, error);
    if (status != STATUS_OK)
        return status;
    allowed_delete(outcome, &allowed);
    status = grant_take_back(context, request, outcome, text_of(allowed.capability_id),
                             text_of("taken off the allowlist"), on_taken_back, error);
    return status == STATUS_OK ? answer_removed(request, outcome) : status;
}
