/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/register.h - registering and revoking: the row first, then the broker, then the
 * row's end. */
#ifndef SOS_IDENTITY_REGISTER_H
#define SOS_IDENTITY_REGISTER_H

#include "actors/identity/agent.h"

handler_fn register_agent, revoke_agent;

/* Records the control record that an open agent (pending, revoking) waits for. */
void ask_broker(struct outcome *outcome, const struct agent *agent, resume_fn *resume);

/* Did the broker refuse the key for good? It then stays refused however often it is asked. */
bool broker_refuses(enum status status);

/* The broker has confirmed what the open agent waited for: writes its last row. */
void close_agent(struct context *context, struct outcome *outcome, struct agent *agent);

static inline bool
agent_is_open(const struct agent *agent)
{
    return agent->status == AGENT_PENDING || agent->status == AGENT_REVOKING;
}

#endif
