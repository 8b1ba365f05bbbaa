/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/session.h - hello, ready, heartbeat, bye. */
#ifndef SOS_BROKER_CORE_SESSION_H
#define SOS_BROKER_CORE_SESSION_H

#include "broker/core/state.h"

const char *hello_receive(struct core *core, struct peer *peer, const struct message *message);
const char *ready_receive(struct core *core, struct peer *peer, const struct message *message);
const char *heartbeat_receive(struct core *core, struct peer *peer, const struct message *message);
const char *bye_receive(struct core *core, struct peer *peer, const struct message *message);

/* Anything else before the hello. */
const char *session_ask_hello(struct core *core, struct peer *peer);

#endif
