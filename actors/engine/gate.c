/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/gate.h"

#include <stdlib.h>

#include "kernel/assert.h"

struct gate *
gate_new(void)
{
    struct gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return NULL;
    gate->holders = 1;
    breaker_init(&gate->breaker);
    return gate;
}

struct gate *
gate_hold(struct gate *gate)
{
    gate->holders++;
    return gate;
}

void
gate_release(struct gate **gate_p)
{
    struct gate *gate = *gate_p;
    if (!gate)
        return;
    ASSERT(gate->holders > 0);
    *gate_p = NULL;
    if (--gate->holders == 0)
        free(gate);
}
