/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/bus.h - the operations that the broker itself offers as service:bus. */
#ifndef SOS_BROKER_CORE_BUS_H
#define SOS_BROKER_CORE_BUS_H

#include "broker/core/state.h"

/* A request to service:bus; the verdict. */
const char *bus_request(struct core *core, struct peer *peer, const struct message *message);

#endif
