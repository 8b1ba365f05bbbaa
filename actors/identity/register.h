/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/register.h - the operator's way in and out: registered agents are active at once,
 * revoked ones are terminated from any state. The row first, then the broker, then the row's end.
 */
#ifndef SOS_IDENTITY_REGISTER_H
#define SOS_IDENTITY_REGISTER_H

#include "actors/identity/agent.h"

handler_fn register_agent, revoke_agent;

#endif
