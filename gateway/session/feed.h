/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/session/feed.h - what passes over one WebSocket: what the bus has for its owner, and what
 * the owner says to the bus. Messages are JSON objects; docs/WEBSOCKET.md has their forms.
 *
 * Two kinds: the feed of an agent (its mail, the events of channels, and calls of the agent), and
 * the feed of a tap. Knows neither frames nor sockets: messages come and go as text. What the bus
 * sends is bounded by the credit that feed_drained() gives back, what the client asks for by
 * feed_takes_messages(). One thread. */
#ifndef SOS_GATEWAY_SESSION_FEED_H
#define SOS_GATEWAY_SESSION_FEED_H

#include "gateway/session/exchange.h"
#include "kernel/contract.h"
#include "kernel/json.h"

struct feed;

struct feed_options {
    struct exchanges *exchanges;
    struct json_parser *parser;
    const struct contract *bus;        /* the contract of service:bus */
    const struct operation *operation; /* of it: what the feed listens to, a stream */
    struct text principal;             /* outlives the feed */
    struct trace trace;
    /* Copied: */
    struct text agent;      /* whose feed; empty: a tap's, which makes no calls */
    struct bytes arguments; /* of the operation: one packed map */
    struct text capability; /* a token that was read already; may be empty */
    /* A message for the client. False: it cannot be held. */
    bool (*say)(void *context, struct text message);
    /* The feed is over: close with this code. Called once at most, and then nothing else is. */
    void (*end)(void *context, unsigned code, const char *reason);
    void *context;
};

/* NULL when out of memory. */
struct feed *feed_new(const struct feed_options *options);
/* Gives up what is under way. Not inside say() and end(). */
void feed_destroy(struct feed **feed_p);

/* Begins to listen; a tap without a capability waits for one. */
void feed_begin(struct feed *feed);

/* One message of the client. */
void feed_receive(struct feed *feed, struct text message);

/* Everything that was said has left to the client. */
void feed_drained(struct feed *feed);

/* False while as many calls are under way as are allowed. */
bool feed_takes_messages(const struct feed *feed);

/* It cannot go on until the client shows a capability. */
bool feed_awaits_capability(const struct feed *feed);

#endif
