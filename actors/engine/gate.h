/* SPDX-License-Identifier: Apache-2.0 */
/* actors/engine/gate.h - what chats in flight share: places, and the provider's circuit breaker.
 *
 * Held by the state and by every chat in flight, freed by the last of them: a chat outlives a state
 * that is made anew after a failed commit. Nothing here is worth keeping over that. One thread. */
#ifndef SOS_ENGINE_GATE_H
#define SOS_ENGINE_GATE_H

#include "kernel/breaker.h"

enum { GATE_CHATS_MAX = 128 };

struct gate {
    unsigned holders;
    unsigned running; /* chats in flight */
    struct breaker breaker;
};

struct gate *gate_new(void); /* held once; NULL when out of memory */
struct gate *gate_hold(struct gate *gate);
void gate_release(struct gate **gate_p);

#endif
