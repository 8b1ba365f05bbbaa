/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/sync.h - the service's routine: keys that were added to the broker's table
 * offline become agents here, and what the broker has not confirmed is asked of it again. */
#ifndef SOS_IDENTITY_SYNC_H
#define SOS_IDENTITY_SYNC_H

#include "actors/runtime/service.h"

enum { SYNC_MS = 5000, SYNC_LIST_US = 60 * 1000 * 1000 };

/* The service's state. Volatile: a new one lists again. */
struct identities {
    uint64_t list_us; /* the broker's keys are listed again, monotonic */
};

handler_fn sync_agents;

#endif
