/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/stream.h - chunks in both directions of a request, under credit. */
#ifndef SOS_BROKER_CORE_STREAM_H
#define SOS_BROKER_CORE_STREAM_H

#include "broker/core/state.h"

const char *chunk_receive(struct core *core, struct peer *peer, const struct message *message);

/* `control` of type `credit`. */
const char *credit_receive(struct core *core, struct peer *peer, const struct message *message);

#endif
