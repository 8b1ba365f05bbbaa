/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/limits.h - what one client address may take: connections at once, requests a minute.
 *
 * The table is bounded: when it is full of busy addresses, further ones share one entry, so that a
 * flood from many addresses cannot grow memory. IPv6 clients count by /64. One thread. */
#ifndef SOS_GATEWAY_LIMITS_H
#define SOS_GATEWAY_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct limits;

/* Of one address; valid while it has a connection. */
struct client {
    uint8_t key[16];
    bool loopback;
    uint32_t connections;
    uint64_t tokens; /* millionths of a request */
    uint64_t filled_us;
    struct client *next;
};

enum {
    LIMITS_CLIENTS_MAX = 16384,
    LIMITS_REMOTE_DEFAULT = 1200 /* requests a minute off loopback when none are configured */
};

/* rate: requests a minute of one address, 0: none on loopback, LIMITS_REMOTE_DEFAULT elsewhere.
 * NULL when out of memory. */
struct limits *limits_new(uint64_t rate);
void limits_destroy(struct limits **limits_p);

/* One more connection of this address; release gives it back. NULL when out of memory. */
struct client *limits_acquire(struct limits *limits, const struct sockaddr *address);
void limits_release(struct limits *limits, struct client *client);

/* May the address make a request now? False: *retry_seconds (>= 1) until it may. */
bool limits_admit(struct limits *limits, struct client *client, uint64_t now_us,
                  uint32_t *retry_seconds);

#endif
