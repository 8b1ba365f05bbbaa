/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/presence.h - who is connected, who was a while ago, and the events that tell of it.
 */
#ifndef SOS_BROKER_CORE_PRESENCE_H
#define SOS_BROKER_CORE_PRESENCE_H

#include "broker/core/state.h"

enum { PRESENCE_LEFT_MAX = 1024 /* identities that left, remembered */ };

struct presence;

/* An identity with a session, or one that had some. */
struct known {
    struct table_node node;
    struct list_node link;     /* among those online, or those that left, the latest last */
    struct list_node sessions; /* peers */
    size_t session_count;
    uint64_t since_us;    /* wall clock: of the first session of those it has */
    uint64_t seen_us;     /* wall clock: when it left */
    uint64_t worked_us;   /* presence_worked() */
    size_t subscriptions; /* of its sessions and streams, to channels */
    size_t patterns;      /* of them to patterns */
    struct text identity;
    char identity_bytes[];
};

struct presence *presence_new(struct core *core);
void presence_destroy(struct presence **presence_p);

/* A session began (hello) or ended. */
void presence_joined(struct core *core, struct peer *peer);
void presence_left(struct core *core, struct peer *peer);

/* Work that costs the routing thread far more than passing a record on (matching patterns, listing
 * thousands) is charged to the identity that asked for it: at worst a tenth of the thread each,
 * more to peers that act for others. may: RATE_LIMITED while too much is to its charge. worked: a
 * unit is at most a microsecond or so. peer NULL: the broker itself, never limited. */
enum status presence_may_work(struct core *core, const struct peer *peer, struct error *error);
void presence_worked(struct core *core, const struct peer *peer, size_t units);

/* Tells `type` on system:events: one map with `key`: `value`. Costs little when nobody listens. */
void event_tell(struct core *core, const char *type, const char *key, struct text value);

/* Tells storage.full and storage.ok when that changes. */
void event_storage(struct core *core, bool is_full);

#endif
