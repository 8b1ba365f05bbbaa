/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/presence.h"

#include <stdlib.h>

#include "broker/core/bus.h"
#include "broker/core/channel.h"
#include "broker/core/form.h"
#include "kernel/capability.h"
#include "kernel/pack.h"

enum {
    WORK_US = 10,            /* how long a unit is to an identity's charge: 100,000 a second */
    WORK_BURST_US = 4000000, /* so much at once */
    WORK_SHARES = 16,        /* of who acts for others */
    NAME_STEPS = 1024,       /* of a glob on a name, in bytes of the pattern times 128: one unit */
    LIST_SIZE_MAX = 200 * 1024
};

struct presence {
    struct table table;
    struct list_node online;
    struct list_node left;
    size_t online_count;
    size_t left_count;
    bool is_storage_full;
};

struct presence *
presence_new(struct core *core)
{
    struct presence *presence = calloc(1, sizeof *presence);
    if (!presence)
        return NULL;
    list_init(&presence->online);
    list_init(&presence->left);
    if (!table_init(&presence->table, core->options.hash_key))
        presence_destroy(&presence);
    return presence;
}

static void
forget(struct presence *presence, struct known *known)
{
    table_remove(&presence->table, &known->node);
    list_remove(&known->link);
    free(known);
}

static void
forget_all(struct presence *presence, struct list_node *list)
{
    while (!list_is_empty(list))
        forget(presence, CONTAINER_OF(list->next, struct known, link));
}

void
presence_destroy(struct presence **presence_p)
{
    struct presence *presence = *presence_p;
    if (!presence)
        return;
    forget_all(presence, &presence->online);
    forget_all(presence, &presence->left);
    table_clear(&presence->table);
    free(presence);
    *presence_p = NULL;
}

static struct bytes
text_key(struct text text)
{
    return (struct bytes){(const uint8_t *)text.data, text.size};
}

static struct known *
find(const struct presence *presence, struct text identity)
{
    uint64_t hash = table_hash(&presence->table, text_key(identity));
    for (struct table_node *node = table_first(&presence->table, hash); node;
         node = table_next(node)) {
        struct known *known = CONTAINER_OF(node, struct known, node);
        if (text_equal(known->identity, identity))
            return known;
    }
    return NULL;
}

/* NULL: no memory. Who comes back is known by its old entry, its work included. */
static struct known *
come(struct presence *presence, struct text identity, uint64_t wall_us)
{
    struct known *known = find(presence, identity);
    if (known && known->session_count > 0)
        return known;
    if (known) {
        list_remove(&known->link);
        presence->left_count--;
    } else {
        known = calloc(1, sizeof *known + identity.size + 1);
        if (!known)
            return NULL;
        memcpy(known->identity_bytes, identity.data, identity.size);
        known->identity = (struct text){known->identity_bytes, identity.size};
        list_init(&known->sessions);
        table_insert(&presence->table, &known->node,
                     table_hash(&presence->table, text_key(identity)));
    }
    known->since_us = wall_us;
    list_append(&presence->online, &known->link);
    presence->online_count++;
    return known;
}

void
presence_joined(struct core *core, struct peer *peer)
{
    struct known *known = come(core->presence, peer->identity, core->now.wall_us);
    if (!known)
        return; /* it is not listed */
    peer->known = known;
    list_append(&known->sessions, &peer->of_known);
    if (++known->session_count == 1)
        event_tell(core, "peer.joined", "identity", known->identity);
}

void
presence_left(struct core *core, struct peer *peer)
{
    struct presence *presence = core->presence;
    struct known *known = peer->known;
    if (!known)
        return;
    peer->known = NULL;
    list_remove(&peer->of_known);
    if (--known->session_count > 0)
        return;
    known->seen_us = core->now.wall_us;
    list_remove(&known->link);
    list_append(&presence->left, &known->link);
    presence->online_count--;
    presence->left_count++;
    event_tell(core, "peer.left", "identity", known->identity);
    if (presence->left_count > PRESENCE_LEFT_MAX) {
        forget(presence, CONTAINER_OF(presence->left.next, struct known, link));
        presence->left_count--;
    }
}

/* ---- work */

enum status
presence_may_work(struct core *core, const struct peer *peer, struct error *error)
{
    if (!peer || !peer->known || peer->known->worked_us <= core->now.monotonic_us)
        return STATUS_OK;
    error_set(error, "%.*s has the broker match and list too much: try again in a moment",
              TEXT_ARGS(peer->identity));
    return STATUS_RATE_LIMITED;
}

void
presence_worked(struct core *core, const struct peer *peer, size_t units)
{
    if (!peer || !peer->known)
        return;
    uint64_t now_us = core->now.monotonic_us;
    uint64_t start_us = now_us > WORK_BURST_US ? now_us - WORK_BURST_US : 0;
    uint64_t cost_us = (uint64_t)units * WORK_US;
    if (peer->rights & CORE_ACT_FOR_OTHERS)
        cost_us /= WORK_SHARES;
    struct known *known = peer->known;
    known->worked_us = (known->worked_us > start_us ? known->worked_us : start_us) + cost_us;
}

/* ---- events */

void
event_tell(struct core *core, const char *type, const char *key, struct text value)
{
    struct text channel = text_of("system:events");
    if (!channel_matters(core, channel))
        return;
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_text(&payload, key, value);
    if (!payload.failed)
        channel_say(core, channel, text_of(type), buffer_bytes(&payload));
    buffer_clear(&payload);
}

void
event_storage(struct core *core, bool is_full)
{
    if (core->presence->is_storage_full == is_full)
        return;
    core->presence->is_storage_full = is_full;
    event_tell(core, is_full ? "storage.full" : "storage.ok", "identity", text_of("service:bus"));
}

/* ---- bus_peers */

struct listing {
    struct core *core;
    struct text pattern;
    int64_t limit;
    uint32_t count;
    size_t work;
    struct buffer entries;
};

static void
list_known(struct listing *listing, const struct known *known)
{
    struct core *core = listing->core;
    struct buffer *out = &listing->entries;
    size_t subscriptions = known->subscriptions, in_flight = 0;
    uint64_t heard_us = 0, seen_us = known->seen_us;
    for (struct list_node *node = known->sessions.next; node != &known->sessions;
         node = node->next) {
        const struct peer *peer = CONTAINER_OF(node, struct peer, of_known);
        in_flight += peer->request_count;
        heard_us = peer->heard_us > heard_us ? peer->heard_us : heard_us;
    }
    bool is_online = known->session_count > 0;
    if (is_online)
        seen_us = core->now.wall_us - (core->now.monotonic_us - heard_us);
    listing->count++;
    listing->work += 1 + known->session_count;
    pack_map(out, 7);
    pack_pair_text(out, "identity", known->identity);
    pack_pair_bool(out, "online", is_online);
    pack_pair_uint(out, "sessions", known->session_count);
    if (is_online)
        form_time(out, "since", known->since_us);
    else
        pack_pair_nil(out, "since");
    form_time(out, "last_seen", seen_us);
    pack_pair_uint(out, "subscriptions", subscriptions);
    pack_pair_uint(out, "in_flight", in_flight);
}

static bool
is_full(const struct listing *listing)
{
    return (int64_t)listing->count >= listing->limit || listing->entries.size >= LIST_SIZE_MAX;
}

static void
consider(struct listing *listing, const struct known *known)
{
    listing->work += 1 + listing->pattern.size * 128 / NAME_STEPS;
    if (glob_match(listing->pattern, known->identity))
        list_known(listing, known);
}

const char *
bus_peers(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    enum status status = presence_may_work(core, call->peer, &error);
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);
    const struct presence *presence = core->presence;
    struct listing listing = {.core = core,
                              .pattern = arguments_text(call->arguments, BUS_PEERS_PATTERN),
                              .limit = arguments_integer(call->arguments, BUS_PEERS_LIMIT)};
    buffer_init(&listing.entries);
    const struct list_node *online = &presence->online, *left = &presence->left;
    for (struct list_node *node = online->next; node != online && !is_full(&listing);
         node = node->next)
        consider(&listing, CONTAINER_OF(node, struct known, link));
    for (struct list_node *node = left->prev; node != left && !is_full(&listing); node = node->prev)
        consider(&listing, CONTAINER_OF(node, struct known, link));
    presence_worked(core, call->peer, listing.work);

    buffer_reset(&core->payload);
    pack_map(&core->payload, 2);
    pack_string(&core->payload, "peers");
    pack_array(&core->payload, listing.count);
    buffer_append(&core->payload, listing.entries.data, listing.entries.size);
    pack_pair_uint(&core->payload, "online", presence->online_count);
    bool failed = listing.entries.failed || core->payload.failed;
    buffer_clear(&listing.entries);
    return failed ? bus_refuse(core, call, STATUS_NOMEM, NULL)
                  : bus_answer(core, call, buffer_bytes(&core->payload));
}
