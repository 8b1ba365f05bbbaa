/* SPDX-License-Identifier: Apache-2.0 */
/* Up and down the family of a capability. */
#include <stdlib.h>

#include "actors/identity/grant_rows.h"

void
chain_clear(struct chain *chain)
{
    for (size_t i = 0; i < DELEGATION_DEPTH_MAX; i++)
        grant_clear(&chain->links[i]);
    chain->count = 0;
}

enum status
chain_load(struct context *context, const struct capability *capability, struct chain *chain,
           struct error *error)
{
    const struct capability *child = capability;
    while (capability_has_parent(child)) {
        struct text parent_id = text_of(capability_parent_id(child));
        if (chain->count == DELEGATION_DEPTH_MAX) {
            error_set_word(error, "capability_widened", "capability %s has more than %d ancestors",
                           capability_id(capability), DELEGATION_DEPTH_MAX);
            return STATUS_SCOPE_DENIED;
        }
        struct grant *parent = &chain->links[chain->count++];
        enum status status = grant_get(context, parent_id, parent, error);
        if (status == STATUS_NOT_FOUND) {
            error_set_word(error, "capability_parent_unknown",
                           "capability %s was delegated from one that is not known here",
                           capability_id(child));
            return STATUS_TOKEN_INVALID;
        }
        if (status == STATUS_OK)
            status = delegation_check(child, parent->capability, error);
        if (status != STATUS_OK)
            return status;
        child = parent->capability;
    }
    return STATUS_OK;
}

/* ---- descendants */

struct family {
    char (*ids)[GRANT_ID_MAX + 1];
    size_t count;
};

static enum status
take_child(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct family *family = context;
    const uint8_t *end = memchr(key.data, 0, key.size);
    (void)value;
    (void)error;
    if (!end || family->count == GRANT_FAMILY_MAX)
        return STATUS_OK;
    size_t size = key.size - (size_t)(end + 1 - key.data);
    if (size == 0 || size > GRANT_ID_MAX)
        return STATUS_OK;
    memcpy(family->ids[family->count], end + 1, size);
    family->ids[family->count++][size] = '\0';
    return STATUS_OK;
}

static enum status
take_children(struct context *context, struct text id, struct family *family, struct error *error)
{
    struct buffer key;
    buffer_init(&key);
    rows_append_pair(&key, id, (struct bytes){0});
    enum status status = key.failed ? STATUS_NOMEM
                                    : context_scan(context, SPACE_GRANT_CHILD, buffer_bytes(&key),
                                                   false, take_child, family, error);
    buffer_clear(&key);
    return status;
}

enum status
grant_descendants(struct context *context, struct text id, grant_each_fn *each, void *each_context,
                  struct error *error)
{
    struct family family = {.ids = calloc(GRANT_FAMILY_MAX, sizeof *family.ids)};
    if (!family.ids)
        return STATUS_NOMEM;
    enum status status = take_children(context, id, &family, error);
    for (size_t i = 0; status == STATUS_OK && i < family.count; i++) {
        struct grant grant = {0};
        status = grant_get(context, text_of(family.ids[i]), &grant, error);
        if (status == STATUS_OK)
            status = each(each_context, &grant, error);
        else if (status == STATUS_NOT_FOUND)
            status = STATUS_OK;
        grant_clear(&grant);
        if (status == STATUS_OK)
            status = take_children(context, text_of(family.ids[i]), &family, error);
    }
    free(family.ids);
    return status;
}
