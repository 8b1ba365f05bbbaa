/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/river_state.h - River's inside, for the files that keep it. */
#ifndef SOS_IDENTITY_RIVER_STATE_H
#define SOS_IDENTITY_RIVER_STATE_H

#include "actors/identity/river.h"
#include "kernel/expiring.h"
#include "platform/river_key.h"

enum { RIVER_KEYS_MAX = 3, RIVER_RATES_MAX = 65536 };

struct river {
    struct river_key key;
    bool has_key;
    struct ed25519_public_key keys[RIVER_KEYS_MAX];
    size_t key_count;
    char edition[POLICY_EDITION_MAX + 1];
    struct policy *policy;
    struct buffer json; /* of the policy in force */
    bool has_followed;  /* the row says what was in force at the start */
    bool broken;        /* the file of today is: `trouble` says how */
    char trouble[400];
    uint64_t look_us;       /* the file is looked at again, monotonic */
    struct expiring *rates; /* capability id: when its allowance is whole again; monotonic */
};

#endif
