/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/actor.h - runs one service as a CZMQ actor. */
#ifndef SOS_RUNTIME_ACTOR_H
#define SOS_RUNTIME_ACTOR_H

#include "actors/runtime/service.h"
#include "kernel/capability.h"
#include "sdk/c/connection.h"

struct actor;

struct actor_options {
    const struct service *service;
    const struct connection *connection; /* copied */
    const char *store_folder;            /* NULL with has_store: in memory (tests) */
    const char *home;                    /* the swarm's folder, outlives the actor; may be NULL */
    const struct config *config;         /* outlives the actor */
    const struct clock *clock;
    const struct logger *logger;
    const struct ed25519_public_key *capability_keys; /* copied */
    size_t capability_key_count;
    bool require_capabilities;
};

/* Opens the store, loads the state, starts the thread, returns when it runs (not yet ready at the
 * broker: it goes on connecting for as long as it lives). Start-up failures are returned here. */
enum status actor_start(struct actor **actor_p, const struct actor_options *options,
                        struct error *error);

/* Stops taking requests, finishes the commit under way, answers, says bye, closes the store. */
void actor_stop(struct actor **actor_p);

/* A pipe end that becomes readable when the actor ended by itself (broker refused it, store lost):
 * for the host's poll loop. actor_failure() then has the words. */
void *actor_pipe(struct actor *actor);
const struct error *actor_failure(const struct actor *actor);

#endif
