/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of service:bus, records of channels, and tokens, for a fixture's peers. */
#ifndef SOS_TESTS_BROKER_CORE_FIXTURE_BUS_H
#define SOS_TESTS_BROKER_CORE_FIXTURE_BUS_H

#include "fixture.h"
#include "kernel/capability.h"

/* Who signs tokens. */
struct river {
    struct ed25519_public_key public_key;
    struct ed25519_secret_key secret_key;
};

/* Makes the core anew: it trusts a new river, and asks for capabilities when enforced. */
struct river river_trusted(struct fixture *f, bool enforced);
/* A token for an hour; the caller clears it. */
struct buffer river_token(const struct fixture *f, const struct river *river, const char *subject,
                          const char *action, const char *resource);

/* `pairs` are name, text, …, NULL; a text that begins with '#' is a number. */
struct uuid bus_ask(struct fixture *f, peer_number peer, const char *type, uint32_t flags,
                    struct text token, ...);
#define NO_TOKEN ((struct text){NULL, 0})
/* The payload of the next reply, which must be a success; valid until the next take. */
struct value bus_take_reply(struct fixture *f, peer_number peer);
uint64_t uint_in(const struct value *map, const char *key);
struct text text_in(const struct value *map, const char *key);
struct value list_in(const struct value *map, const char *key); /* checked to be an array */
struct value entry_of(const struct value *list, uint32_t index);

/* `after` below 0: none. */
enum { LIVE_ONLY = -1 };
struct uuid subscribe(struct fixture *f, peer_number peer, const char *channel, int64_t after,
                      struct text token);
/* The same and takes its ack; the number in it. */
uint64_t subscribe_well(struct fixture *f, peer_number peer, const char *channel, int64_t after);
void unsubscribe_well(struct fixture *f, peer_number peer, const char *channel);
/* payload: this number. */
struct uuid publish(struct fixture *f, peer_number peer, const char *channel, uint64_t number,
                    uint32_t flags);
/* Takes the next event and checks its channel and number. Its seq. */
uint64_t take_event(struct fixture *f, peer_number peer, const char *channel, uint64_t number);

/* Drops what the peer was sent so far: an outbox holds only so much. */
void forget_frames(struct fixture *f, peer_number peer);

#endif
