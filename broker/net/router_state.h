/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/router_state.h - the router's data; for broker/net/router*.c alone.
 *
 *   router.c          opening, closing, the loop and what it looks after
 *   router_sink.c     what the core asks for
 *   router_receive.c  frames on their way to the core */
#ifndef SOS_BROKER_NET_ROUTER_STATE_H
#define SOS_BROKER_NET_ROUTER_STATE_H

#include "broker/core/core.h"
#include "broker/net/audit_log.h"
#include "broker/net/links.h"
#include "broker/net/mail_link.h"
#include "broker/net/monitor.h"
#include "broker/net/revoked.h"
#include "broker/net/router.h"
#include "broker/net/tap_thread.h"
#include "broker/net/zap.h"

enum { WIRE_OVERHEAD = 64 /* of a frame: ZMTP and CURVE */ };

struct router {
    const struct broker_options *options;
    struct keytable *keys;
    void *context;
    void *socket;
    struct zap *zap;
    struct monitor *monitor;
    struct tap_thread *tap;
    struct audit_log *audit; /* NULL: no trail is kept */
    struct revoked *revoked; /* NULL: nothing outlasts this start */
    struct mail_link mail;
    struct core *core;
    struct links links;
    struct pool used; /* memory of frames that have left */
    struct metric *handshakes_refused;
    struct metric *frames_unknown;
    struct now now;
    bool sent; /* something, since the socket was last asked what waits there */
    uint64_t inspected_us;
    char endpoint[ROUTER_ENDPOINT_SIZE];
};

struct core_sink router_sink(struct router *router);

/* Gives the core what it left of earlier frames: round robin, until each link had its turn or the
 * core has enough. */
void router_work_off(struct router *router);
/* Receives what is waiting. False: enough for one turn, and more may be waiting. */
bool router_receive_all(struct router *router);

#endif
