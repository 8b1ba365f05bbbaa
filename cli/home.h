/* SPDX-License-Identifier: Apache-2.0 */
/* cli/home.h - the folder that a swarm lives in: its keys, its locks, its files.
 *
 * All calls block and are for one thread. Folders are made 0700, files 0600. */
#ifndef SOS_CLI_HOME_H
#define SOS_CLI_HOME_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/error.h"
#include "kernel/paths.h"
#include "kernel/status.h"
#include "sdk/c/connection.h"

/* An identity that every home has a CURVE key for, besides its agents. */
struct home_identity {
    const char *identity; /* "service:memory" */
    const char *key_file; /* "secrets/memory.key", below the home */
    bool act_for_others;  /* may name a principal */
};

/* Ends with a row whose identity is NULL. The broker itself is HOME_BROKER_KEY. */
extern const struct home_identity home_identities[];

#define HOME_BROKER_KEY "secrets/broker.key"
#define HOME_OPERATOR "user:operator"
#define HOME_OPERATOR_KEY "secrets/operator.key"
#define HOME_KEY_TABLE "data/broker/keys.json"
#define HOME_REVOKED "data/broker/revoked"
#define HOME_MAIL "data/broker/mail"
#define HOME_BUS_AUDIT "data/audit/bus.jsonl"
#define HOME_SWARM_FILE "config/swarm.json"

/* Makes the home and its run/ folder: what locking needs. */
enum status home_make_run(const char *home, struct error *error);

/* Makes what is missing and keeps what is there: folders, the River key, the broker's and every
 * identity's key, and their rows in the broker's key table. Call with the home locked. */
enum status home_prepare(const char *home, uint64_t now_us, struct error *error);

/* Lets a key onto the bus of a home whose swarm does not run: into the broker's table, from where
 * service:identity takes agents over when it starts. The only way in for keys of services. CONFLICT
 * while the swarm runs; otherwise as keytable_add(). */
enum status home_allow_key(const char *home, const char *identity, const char *public_key,
                           uint64_t now_us, struct error *error);

/* How one of the home's identities reaches its swarm: config/swarm.json and a key file below the
 * home ("secrets/memory.key"). NOT_FOUND: the swarm was never started. Caller clears. */
enum status home_connection(const char *home, const char *key_file, struct connection *connection,
                            struct error *error);

/* Writes config/swarm.json, atomically. */
enum status home_save_swarm(const char *home, const char *endpoint, const char *broker_public_key,
                            struct error *error);

/* The locks of a running swarm: `supervisor` is held by the supervisor alone, `processes` by it and
 * every child that inherits its descriptor, so that a new swarm can await the end of an orphaned
 * one. */
struct home_lock {
    int supervisor_fd;
    int processes_fd;
};

/* CONFLICT when a swarm of this home runs. Awaits leftover processes for at most wait_ms. */
enum status home_lock(struct home_lock *lock, const char *home, uint32_t wait_ms,
                      struct error *error);
void home_unlock(struct home_lock *lock);

/* Does a supervisor hold the home? Its pid in *pid when known, else 0. */
bool home_is_running(const char *home, long *pid);

#endif
