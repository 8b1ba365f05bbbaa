/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/front.h - what the gateway does with each HTTP call: guard, route, its own paths, or over
 * the bus and back. Knows neither sockets nor the peer, so tests can put it between a real HTTP
 * server and a bus of their own. One thread. */
#ifndef SOS_GATEWAY_FRONT_H
#define SOS_GATEWAY_FRONT_H

#include "gateway/http.h"
#include "gateway/session/bus.h"
#include "kernel/contract.h"

struct front;

struct front_options {
    const struct contract *const *contracts; /* NULL-terminated, outlive the front */
    const struct bus *bus;                   /* copied */
    const struct clock *clock;
    const struct logger *logger;
    const char *cors_origins; /* copied */
    const char *bind;         /* outlives the front */
    bool allow_remote;
    size_t streams_max; /* WebSockets and endless streams at once */
};

enum status front_new(struct front **front_p, const struct front_options *options,
                      struct error *error);
/* The HTTP server is closed before. */
void front_destroy(struct front **front_p);

/* The listening socket's tag is its door, DOORS for the unified port. */
struct http_callbacks front_callbacks(struct front *front);
/* Before the first call arrives. */
void front_attach(struct front *front, struct http *http);

/* Writes what waits for WebSockets and endless streams, asks for the services' health when it is
 * time to; returns when to call again (monotonic, µs). Before each http_wait(). */
uint64_t front_tick(struct front *front, uint64_t now_us);

/* New calls are refused with 503 from now on; what lasts until its client leaves ends. */
void front_drain(struct front *front);
/* What is still on the bus is given up and answered with 503. */
void front_end(struct front *front);

#endif
