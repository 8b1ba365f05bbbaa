/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/sync.h - the service's routine: keys that were added to the broker's table
 * offline become agents here, what the broker has not confirmed is asked of it again, old keys end,
 * and claims that were not proved in time are turned down. */
#ifndef SOS_IDENTITY_SYNC_H
#define SOS_IDENTITY_SYNC_H

#include "actors/identity/keyring.h"
#include "actors/identity/river.h"
#include "actors/runtime/service.h"

enum { SYNC_MS = 5000, SYNC_LIST_US = 60 * 1000 * 1000 };

/* The service's state. Volatile: a new one lists again. */
struct identities {
    struct river *river;
    uint64_t list_us;     /* the broker's keys are listed again, monotonic */
    size_t users, guilds; /* rows */
    struct keyring keyring;
};

handler_fn sync_agents;

#endif
