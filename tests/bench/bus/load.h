/* SPDX-License-Identifier: Apache-2.0 */
/* tests/bench/bus/load.h - the load that each system under test gets alike, and what it has to
 * provide for it.
 *
 * load.c has main(): it plays one role until it is over and prints what it counted as one line of
 * JSON. transport_*.c, one for each program, carry its messages.
 *
 *   client      keeps in_flight requests on their way to the workers, for `seconds`
 *   worker      answers each request with the same bytes
 *   publisher   says numbered messages, at most `window` ahead of the slowest subscriber
 *   subscriber  checks that each comes once, in order, and gives credit back
 *   tap         counts the records that a tap shows, until SIGTERM
 *
 * Durable: a client's messages are answered by the ack that says that they are kept, and a
 * publisher's go through an inbox whose owner, the subscriber, acks each.
 *
 * `ready` is printed when the role is connected; clients and publishers begin at a line on stdin.
 */
#ifndef SOS_BENCH_BUS_LOAD_H
#define SOS_BENCH_BUS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum role { ROLE_CLIENT, ROLE_WORKER, ROLE_PUBLISHER, ROLE_SUBSCRIBER, ROLE_TAP, ROLE_SYSTEM };

struct load_options {
    enum role role;
    const char *address; /* the system's: host:port or an endpoint */
    const char *keys;    /* a connection file, or the CA's certificate; NULL: in the clear */
    unsigned index;      /* of this client, worker, subscriber */
    unsigned workers;
    unsigned subscribers;
    unsigned size; /* of a message */
    unsigned in_flight;
    unsigned window;
    unsigned seconds;
    bool at_once; /* each message leaves by itself, as soon as it is said */
    bool durable;
    const char *token; /* tap: the file of its capability */
};

struct load;

/* A message for the role. A worker's answer is sent within. */
void load_received(struct load *load, const uint8_t *data, size_t size);
/* tap: so many more records, and records that it was not shown. */
void load_shown(struct load *load, uint64_t records, uint64_t dropped);
/* Sends what may be sent now. Called again and again between messages, from one thread at a time
 * with load_received(). */
void load_pump(struct load *load);
/* Nothing more to be done. */
bool load_ended(const struct load *load);
/* Prints why, and ends the program. */
_Noreturn void load_fail(const char *what, const char *why);

struct transport;

/* Connected, subscribed: what is sent to it from here on arrives. */
struct transport *transport_open(const struct load_options *options, struct load *load);
/* client: a request; worker: the answer to the message being handled; publisher: to all
 * subscribers; subscriber: to the publisher. False: not now. */
bool transport_send(struct transport *transport, const uint8_t *data, size_t size);
/* Until load_ended(). */
void transport_run(struct transport *transport);
void transport_close(struct transport *transport);

#endif
