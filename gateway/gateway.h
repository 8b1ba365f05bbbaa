/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/gateway.h - HTTP doors onto the bus. */
#ifndef SOS_GATEWAY_GATEWAY_H
#define SOS_GATEWAY_GATEWAY_H

#include "kernel/clock.h"
#include "kernel/config.h"
#include "kernel/contract.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/status.h"
#include "sdk/c/connection.h"

struct gateway;

struct gateway_options {
    const struct connection *connection; /* identity service:gateway; copied */
    const struct config *config;         /* outlives the gateway; the GATEWAY_ options */
    const struct clock *clock;
    const struct logger *logger;
};

/* One listening socket of the gateway. */
struct gateway_port {
    const char *name; /* "engine" "memory" "memory2" … "unified"; the option's middle part */
    uint16_t port;    /* actual */
};

enum { GATEWAY_PORTS_MAX = 16 };

/* Binds every port and starts the gateway's thread (a CZMQ actor). UNAVAILABLE names port and
 * setting when one is taken; FORBIDDEN for a bind address other than loopback without
 * gateway.allow_remote. */
enum status gateway_start(struct gateway **gateway_p, const struct gateway_options *options,
                          struct error *error);

/* Stops accepting, lets calls under way finish for at most gateway.drain_ms, closes. */
void gateway_stop(struct gateway **gateway_p);

size_t gateway_ports(const struct gateway *gateway,
                     struct gateway_port ports[static GATEWAY_PORTS_MAX]);

void *gateway_pipe(struct gateway *gateway); /* readable when it ended by itself */
const struct error *gateway_failure(const struct gateway *gateway);

#endif
