/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/outbound.h - what waits to leave to each peer.
 *
 * CURVE encrypts frame by frame, so records that go to one peer gather here and leave many to a
 * frame: when OUTBOUND_RECORDS or OUTBOUND_BYTES are reached, else at the end of the drain, so that
 * a lone record waits for no other. What the sink does not take stays, in order, up to
 * OUTBOUND_PEER_MAX bytes, and is tried again: a burst is not a stuck peer. A peer for which
 * nothing waits keeps no memory, and no call looks at peers for which nothing waits. */
#ifndef SOS_BROKER_CORE_OUTBOUND_H
#define SOS_BROKER_CORE_OUTBOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/core.h"
#include "broker/core/list.h"

enum {
    OUTBOUND_RECORDS = 64,        /* of a frame */
    OUTBOUND_BYTES = 32 * 1024,   /* of a frame, unless one record alone has more */
    OUTBOUND_PEER_MAX = 1 << 20,  /* bytes that wait for one peer */
    OUTBOUND_ALL_MAX = 256 << 20, /* for all: beyond it a peer that takes nothing … */
    OUTBOUND_SHARE = 16 * 1024,   /* … may have so much waiting */
    OUTBOUND_RETRY_US = 2000,
    OUTBOUND_GIVE_MIN = 16 * 1024 /* frames of this size are given away, smaller ones copied */
};

struct core;
struct peer;

/* A frame in the making. One malloc()ed block. */
struct parcel {
    struct parcel *next;
    void *owner; /* for the sink that was given it */
    bool held;   /* the same */
    uint32_t records;
    size_t size;
    size_t capacity;
    uint8_t data[];
};

/* Of a peer. */
struct outbound {
    struct list_node link;     /* in the core's dirty or stuck ones, while something waits */
    struct list_node awaiting; /* room_watch */
    struct parcel *first;
    struct parcel **last; /* what points to the one that records are appended to; NULL: none */
    size_t size;          /* of all */
    bool stuck;           /* the sink did not take the first one */
};

/* Of the core. */
struct sending {
    struct list_node dirty;
    struct list_node stuck;
    struct parcel *spares;
    size_t spare_count;
    size_t size;  /* of all that waits */
    size_t added; /* since the last flush */
    uint64_t retry_us;
};

/* Who wants to know when a peer that answered CORE_FULL takes records again. One call, from
 * core_flush(), with the watch off; it may send and watch again. Not called for a peer that goes:
 * take the watch off then. */
struct room_watch {
    struct list_node link; /* zero-initialised: off */
    void (*ready)(struct core *core, struct room_watch *watch);
};
/* On already: nothing. */
void outbound_watch(struct peer *peer, struct room_watch *watch);
static inline void
room_watch_off(struct room_watch *watch)
{
    list_remove(&watch->link);
}

void sending_init(struct sending *sending);
void sending_clear(struct sending *sending); /* no peer is left */
void sending_take_back(struct sending *sending, struct parcel **parcel_p);

void outbound_init(struct outbound *outbound);
/* Drops what waits, and forgets the watches. */
void outbound_drop(struct core *core, struct peer *peer);

/* FULL: too much waits already, or no memory; the record was not taken. GONE: the peer was found to
 * be gone and is doomed. */
enum core_sent outbound_add(struct core *core, struct peer *peer, struct bytes record);

/* Sends what waits for one peer, unless it is stuck. */
void outbound_push(struct core *core, struct peer *peer);

/* Sends what waits for all, and what is due of what was stuck. */
void outbound_flush(struct core *core);
/* When to flush again for what is stuck; UINT64_MAX. */
uint64_t outbound_next_us(const struct core *core);

/* The peer takes records more slowly than they come: what can wait had better. */
bool outbound_is_stuck(const struct peer *peer);

#endif
