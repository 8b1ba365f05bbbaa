/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/sdk/fixture_broker.h - a scripted broker: a real ROUTER with CURVE that the test
 * itself pumps, and a peer on a clock that only the test moves. */
#ifndef SOS_TESTS_FIXTURE_BROKER_H
#define SOS_TESTS_FIXTURE_BROKER_H

#include <stdbool.h>

#include "kernel/pack.h"
#include "sdk/c/peer.h"

enum { SEEN_MAX = 4096 };

/* One record that the broker got; owns its copy. */
struct seen {
    struct buffer record;
    struct message message;
};

/* One answer that the peer's caller got. */
struct answered {
    int count;
    enum status status;
    char text[128]; /* the payload when it is text, the error's message otherwise */
    int chunks;
    uint64_t last_seq;
};

struct fixture {
    struct clock clock;
    struct logger logger;
    uint64_t time_us;

    void *context;
    void *router;
    struct curve_keys broker_keys;
    struct connection connection;
    uint8_t route[256]; /* of the peer that spoke last */
    size_t route_size;
    void *zap;   /* NULL: everyone is let in */
    bool greets; /* answers hello, ready and heartbeats by itself */
    uint64_t epoch;
    uint64_t requests_max;
    struct seen seen[SEEN_MAX];
    size_t seen_count;

    struct peer *peer;
    enum peer_state states[64];
    size_t state_count;
    /* What came through on_message. */
    struct message last_message;
    struct buffer last_record;
    struct peer_origin origin;
    size_t message_count;
    /* What came through on_bus. */
    bool hears_bus; /* set before the peer is opened */
    enum kind bus_kinds[16];
    uint64_t bus_seqs[16];
    size_t bus_count;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Opens the peer as a client, or as service:memory. */
void fixture_open(struct fixture *f);
void fixture_open_service(struct fixture *f);
/* … and goes on until it is ready. */
void fixture_connect(struct fixture *f);
void fixture_connect_service(struct fixture *f);

/* Lets both sides work until nothing moves for a moment, or until the condition holds; the
 * clock ticks a little each turn. fixture_until fails the test when it never holds. */
void fixture_until(struct fixture *f, bool (*holds)(const struct fixture *f, const void *argument),
                   const void *argument);
void fixture_until_state(struct fixture *f, enum peer_state state);
void fixture_until_answered(struct fixture *f, const struct answered *answered);
/* The next record of this kind that was not taken yet (others stay); waits for it. */
struct seen *fixture_take(struct fixture *f, enum kind kind);
size_t fixture_count(const struct fixture *f, enum kind kind);
/* Both sides work for a few turns of the clock. */
void fixture_settle(struct fixture *f);
void fixture_forget(struct fixture *f);

/* The broker says something to the peer. */
struct message fixture_message(struct fixture *f, enum kind kind, const struct uuid *correlation);
void fixture_say(struct fixture *f, const struct message *message);
void fixture_say_error(struct fixture *f, enum kind kind, const struct uuid *correlation,
                       enum status status, const char *word);
void fixture_reply_text(struct fixture *f, const struct uuid *request, const char *text);
/* control hello_required */
void fixture_require_hello(struct fixture *f);
void fixture_welcome(struct fixture *f, const struct uuid *hello);

/* A call to service:memory whose payload is a text. */
struct uuid fixture_call(struct fixture *f, const char *text, uint32_t flags, uint32_t ttl_ms,
                         struct answered *answered);
struct peer_request fixture_request(const char *type, struct bytes payload,
                                    struct answered *answered);

#endif
