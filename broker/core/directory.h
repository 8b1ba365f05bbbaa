/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/directory.h - services, their ready instances, and who gets the next request. */
#ifndef SOS_BROKER_CORE_DIRECTORY_H
#define SOS_BROKER_CORE_DIRECTORY_H

#include "broker/core/state.h"

/* The service, made when it is new. NULL: no more unknown names are taken, or no memory. */
struct service *directory_service(struct core *core, struct text name, bool ready);
struct service *directory_find(const struct core *core, struct text name);

/* A service's `ready`. CONFLICT words: instance_exists, store_mismatch, store_epoch_stale;
 * FORBIDDEN: the peer's identity is not service:<name>. */
struct ready {
    struct text service;
    bool single;
    bool has_store;
    struct pin pin;
    uint32_t requests_max; /* 0: the default */
};
enum status directory_join(struct core *core, struct peer *peer, const struct ready *ready,
                           struct error *error);

/* The peer is no instance any more: its requests are given on or answered. */
void directory_leave(struct core *core, struct peer *peer);

/* The ready instance with the fewest requests in flight that can take one more; NULL. Among equals
 * the one that waited longest. */
struct instance *directory_choose(const struct service *service);

/* Too much waits for the instance: nothing goes there until its peer takes records again. */
void directory_block(struct instance *instance);

/* A name that only requests brought up is forgotten when none waits. */
void directory_tidy(struct core *core, struct service *service);

void directory_clear(struct core *core);

#endif
