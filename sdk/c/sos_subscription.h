/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/c/sos_subscription.h - what sos_channel.c (the broker's side of subscriptions) and
 * sos_subscription.c (the program's side) share. With the client's lock. */
#ifndef SOS_SDK_SOS_SUBSCRIPTION_H
#define SOS_SDK_SOS_SUBSCRIPTION_H

#include "sdk/c/sos_internal.h"

enum subscription_state { SUB_WANTED, SUB_ASKED, SUB_LIVE, SUB_FAILED };

struct sos_subscription {
    struct work work; /* while events wait for a callback */
    struct link link;
    struct sos *sos;
    enum subscription_state state;
    bool pattern;
    bool rereads; /* the next subscribe says `after` */
    bool begun;   /* the broker has agreed once */
    bool known;   /* last_seq is the event before the next one */
    bool overflowed;
    bool reread; /* it was asked for what came behind reread_at: a gap there is a loss */
    uint64_t reread_at;
    bool running; /* its callback */
    bool dead;    /* ended while it ran */
    struct uuid subscribe_id;
    uint64_t asked_us;
    uint64_t last_seq;
    uint64_t lost; /* left out here, not told yet */
    struct link queue;
    size_t queued;
    size_t queue_max;
    sos_event_fn *on_event;
    void *context;
    enum status status;
    struct error error;
    char *capability;
    struct text channel;
    char name[];
};

struct channels {
    struct link all;
    struct link heard;
    size_t heard_count;
    struct link farewells;
    struct timer again;
};

static inline struct sos_subscription *
subscription_of(struct link *link)
{
    return LINK_ENTRY(link, struct sos_subscription, link);
}

/* ---- sos_subscription.c */
/* Into its queue. False: it is full, the event was left out. */
bool subscription_give(struct sos *sos, struct sos_subscription *sub, const struct message *message,
                       uint64_t missed);

/* ---- sos_channel.c */
/* Asks for what came behind the last event. */
void channels_read_again(struct sos *sos, struct sos_subscription *sub);
/* It is out of the list: says so to the broker when nobody else listens there. */
void channels_left(struct sos *sos, const struct sos_subscription *sub, bool was_said);

#endif
