/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tap_calls.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/core/list.h"
#include "broker/core/table.h"

/* Ids are chosen by strangers: a keyed table. */
struct slot {
    struct table_node node;
    bool used;
    struct tap_call call;
};

struct tap_calls {
    struct table table;
    struct slot *slots; /* a ring */
    size_t next;
};

struct tap_calls *
tap_calls_new(void)
{
    uint8_t key[TABLE_KEY_SIZE];
    struct tap_calls *calls = calloc(1, sizeof *calls);
    if (!calls)
        return NULL;
    calls->slots = calloc(TAP_CALLS_MAX, sizeof *calls->slots);
    if (!calls->slots || !table_make_key(key) || !table_init(&calls->table, key))
        tap_calls_destroy(&calls);
    return calls;
}

void
tap_calls_destroy(struct tap_calls **calls_p)
{
    struct tap_calls *calls = *calls_p;
    if (!calls)
        return;
    table_clear(&calls->table);
    free(calls->slots);
    free(calls);
    *calls_p = NULL;
}

static uint64_t
hash_of(const struct tap_calls *calls, const struct uuid *id)
{
    return table_hash(&calls->table, (struct bytes){id->bytes, sizeof id->bytes});
}

static struct slot *
find(const struct tap_calls *calls, const struct uuid *id)
{
    struct table_node *node = table_first(&calls->table, hash_of(calls, id));
    for (; node; node = table_next(node)) {
        struct slot *slot = CONTAINER_OF(node, struct slot, node);
        if (uuid_equal(&slot->call.id, id))
            return slot;
    }
    return NULL;
}

static void
forget(struct tap_calls *calls, struct slot *slot)
{
    if (slot->used)
        table_remove(&calls->table, &slot->node);
    slot->used = false;
}

static void
copy(char to[static TAP_CALL_TEXT_MAX], struct text text)
{
    snprintf(to, TAP_CALL_TEXT_MAX, "%.*s", TEXT_ARGS(text));
}

void
tap_calls_begin(struct tap_calls *calls, const struct tap_entry *request)
{
    if (find(calls, &request->id))
        return;
    struct slot *slot = &calls->slots[calls->next];
    calls->next = (calls->next + 1) % TAP_CALLS_MAX;
    forget(calls, slot);
    slot->used = true;
    slot->call = (struct tap_call){.id = request->id, .at_us = request->at_us};
    copy(slot->call.source, request->source);
    copy(slot->call.target, request->target);
    copy(slot->call.type, request->type);
    table_insert(&calls->table, &slot->node, hash_of(calls, &request->id));
}

struct tap_call *
tap_calls_find(struct tap_calls *calls, const struct tap_entry *entry)
{
    struct slot *slot = find(calls, &entry->correlation);
    return slot ? &slot->call : NULL;
}

bool
tap_calls_end(struct tap_calls *calls, const struct tap_entry *reply, struct tap_call *call)
{
    struct slot *slot = find(calls, &reply->correlation);
    if (!slot)
        return false;
    *call = slot->call;
    forget(calls, slot);
    return true;
}
