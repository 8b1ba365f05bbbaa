/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/sdk/fixture_bus.h - a small bus on a thread of its own: enough of a broker for the
 * public library, with faults on order. Inboxes outlive its restarts, as on a disk. */
#ifndef SOS_TESTS_FIXTURE_BUS_H
#define SOS_TESTS_FIXTURE_BUS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "sdk/c/peer.h"
#include "sdk/c/sos.h"

enum { BUS_PEERS_MAX = 16, BUS_MAIL_MAX = 4096, BUS_EVENTS_MAX = 4096, BUS_SUBSCRIPTIONS_MAX = 64 };

struct bus_mail {
    struct uuid id;
    char inbox[64];
    struct buffer record; /* as it was sent */
    uint32_t attempt;
    int holder;   /* peer, -1: waits */
    bool removed; /* acknowledged */
    bool dead;
    unsigned handed; /* deliveries */
};

struct bus_event {
    char channel[64];
    uint64_t seq;
    struct buffer record; /* kind event */
    bool lost;            /* of a history that is gone */
};

struct bus_peer {
    uint8_t route[64];
    size_t route_size;
    char identity[64];
    bool takes_mail;
    uint32_t window;
    char service[64];
    char subscriptions[BUS_SUBSCRIPTIONS_MAX][64];
    size_t subscription_count;
};

struct bus {
    pthread_t thread;
    pthread_mutex_t lock;
    atomic_bool quit;
    bool running;
    void *context;
    void *router;
    struct curve_keys keys;
    char endpoint[ENDPOINT_SIZE];
    uint64_t epoch;
    uint64_t heartbeat_ms;

    struct bus_peer peers[BUS_PEERS_MAX];
    size_t peer_count;
    struct bus_mail mail[BUS_MAIL_MAX];
    size_t mail_count;
    struct bus_event events[BUS_EVENTS_MAX];
    size_t event_count;
    struct {
        struct uuid id;
        int peer; /* who asked */
        char source[64];
    } pending[64];
    size_t pending_count;

    /* what was seen */
    size_t sends;
    size_t acks;
    size_t extends;
    size_t subscribes;
    size_t unsubscribes;
    size_t cancels;
    size_t credits;
    size_t readies;

    /* faults: how many of the next ones */
    size_t mute_sends;     /* stored, not answered */
    size_t lost_sends;     /* behind those: neither stored nor answered */
    size_t busy_sends;     /* answered BUSY */
    size_t mute_acks;      /* acknowledgements that are neither written down nor answered */
    size_t skip_events;    /* numbered, not given out */
    size_t seq_base;       /* events are numbered above it from now on */
    bool refuse_subscribe; /* FORBIDDEN */
    bool mute;             /* answers nothing at all */
    bool hold_mail;        /* delivers nothing */
};

struct bus *bus_new(void);
void bus_destroy(struct bus **bus_p);
/* The sessions are gone, the inboxes are not. Same port. */
void bus_stop(struct bus *bus);
void bus_start(struct bus *bus);
void bus_restart(struct bus *bus);

/* Sets a fault, or reads a figure, under its lock. */
void bus_set(struct bus *bus, size_t *fault, size_t value);
void bus_set_flag(struct bus *bus, bool *flag, bool value);
size_t bus_get(struct bus *bus, const size_t *figure);
/* Waits until the figure has at least this value; fails the test after 10 s. */
void bus_await(struct bus *bus, const size_t *figure, size_t value);
/* Messages of an inbox that are neither acknowledged nor dead. */
size_t bus_waiting(struct bus *bus, const char *inbox);
/* Forgets who holds what, and delivers it again: as after a lease. */
void bus_redeliver(struct bus *bus);
/* Everything that channels keep is gone; numbers go on. */
void bus_forget_history(struct bus *bus);
/* Puts a message into an inbox. */
void bus_post(struct bus *bus, const char *from, const char *to, const char *text);
void bus_publish(struct bus *bus, const char *channel, const char *text);

/* A client of this bus; the test fails when it cannot connect. options may be NULL. */
struct sos *bus_connect(struct bus *bus, const char *identity, const struct sos_options *options);

#endif
