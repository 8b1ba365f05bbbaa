/* SPDX-License-Identifier: Apache-2.0 */
/* platform/river_key.h - the home's River key: what every capability that this home issues is
 * signed with.
 *
 * A file of mode 0600 below the home, made once and never replaced. Calls block; any thread. */
#ifndef SOS_PLATFORM_RIVER_KEY_H
#define SOS_PLATFORM_RIVER_KEY_H

#include "kernel/capability.h"
#include "kernel/error.h"
#include "kernel/status.h"

#define RIVER_KEY_FILE "secrets/river.key"

struct river_key {
    struct ed25519_public_key public_key;
    struct ed25519_secret_key secret_key;
};

/* Makes the key of a home that has none; the folder secrets/ is there. One that is there stays. */
enum status river_key_make(const char *home, struct error *error);

/* NOT_FOUND: the home has none. FORBIDDEN: others may read it. INVALID: it is no such key. The
 * error names the file. The caller clears. */
enum status river_key_load(const char *home, struct river_key *key, struct error *error);

/* Wipes it. */
void river_key_clear(struct river_key *key);

#endif
