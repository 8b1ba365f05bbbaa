/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/monitor.h - the ROUTER's connections by descriptor: which is whose, and which is gone.
 *
 * Descriptor numbers are reused, and what the socket's monitor tells comes beside the frames, not
 * in order with them. So a session (the number that authentication gave to a connection) is the
 * judge: of two that claim a descriptor the later lives. One thread, the ROUTER's. */
#ifndef SOS_BROKER_NET_MONITOR_H
#define SOS_BROKER_NET_MONITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/error.h"
#include "kernel/status.h"

struct monitor;

struct monitor_events {
    void *context;
    void (*disconnected)(void *context, uint64_t session);
    void (*refused)(void *context); /* a handshake failed */
};

/* Before the ROUTER binds. connections_max: more are closed at once. */
enum status monitor_open(struct monitor **monitor_p, void *zmq_context, void *router,
                         size_t connections_max, const struct monitor_events *events,
                         struct error *error);
void monitor_close(struct monitor **monitor_p);
/* The ROUTER's, by which a descriptor is known to be one of its connections. */
void monitor_set_port(struct monitor *monitor, uint16_t port);

void *monitor_socket(struct monitor *monitor); /* for zmq_poll */

size_t
monitor_count(const struct monitor *monitor); /* of connections, also those in the handshake */

/* Takes in all that is told by now; calls events. */
void monitor_drain(struct monitor *monitor, uint64_t now_us);

/* This session's frame came over descriptor fd. False: the descriptor is another, later session's
 * by now. An earlier one that held it is reported as disconnected. Drain first. */
bool monitor_claim(struct monitor *monitor, int fd, uint64_t session);
bool monitor_holds(const struct monitor *monitor, int fd, uint64_t session);

/* Bytes that its connection has taken in since it was made, as the kernel counts; 0 when not known.
 */
uint64_t monitor_bytes(const struct monitor *monitor, int fd, uint64_t session);

/* Closes the session's connection, if the descriptor is still its own. Drain first. */
void monitor_cut(struct monitor *monitor, int fd, uint64_t session);

/* Closes connections that no frame has come from for silence_us since they were accepted, or within
 * bytes_max bytes. */
void monitor_sweep(struct monitor *monitor, uint64_t now_us, uint64_t silence_us,
                   uint64_t bytes_max);

#endif
