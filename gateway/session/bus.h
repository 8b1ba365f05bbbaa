/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/session/bus.h - the three calls of sdk/c/peer.h that the gateway makes, as an interface,
 * so that tests can play the bus. gateway.c binds it to a peer. */
#ifndef SOS_GATEWAY_SESSION_BUS_H
#define SOS_GATEWAY_SESSION_BUS_H

#include "sdk/c/peer.h"

struct bus {
    enum status (*call)(void *context, const struct peer_request *request, struct uuid *id,
                        struct error *error);
    void (*cancel)(void *context, const struct uuid *id);
    void (*grant)(void *context, const struct uuid *id, uint32_t chunks);
    bool (*connected)(void *context);
    void *context;
};

#endif
