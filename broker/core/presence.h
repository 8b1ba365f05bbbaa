/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/presence.h - who is connected, who was a while ago, and the events that tell of it.
 */
#ifndef SOS_BROKER_CORE_PRESENCE_H
#define SOS_BROKER_CORE_PRESENCE_H

#include "broker/core/state.h"

struct presence;

struct presence *presence_new(struct core *core);
void presence_destroy(struct presence **presence_p);

/* A session began (hello) or ended. */
void presence_joined(struct core *core, struct peer *peer);
void presence_left(struct core *core, struct peer *peer);

/* Tells `type` on system:events: one map with `key`: `value`. Costs little when nobody listens. */
void event_tell(struct core *core, const char *type, const char *key, struct text value);

#endif
