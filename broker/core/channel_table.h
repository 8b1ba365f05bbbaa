/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/channel_table.h - the channels there are and who listens to each; for channel*.c
 * alone.
 *
 * A pattern is matched against a channel's name once, when the later of the two appears: the match
 * is kept. Who listens to a channel (its audience) is listed when something is said there after a
 * change, each subscriber once. Patterns are found by what stands before their first wildcard, so
 * that those of one agent's own channels cost the other channels nothing. */
#ifndef SOS_BROKER_CORE_CHANNEL_TABLE_H
#define SOS_BROKER_CORE_CHANNEL_TABLE_H

#include "broker/core/channel.h"

enum {
    PATTERN_SUBSCRIPTIONS_MAX = 65536,
    SUBSCRIPTIONS_ALL_MAX = 1048576,
    IDENTITY_SUBSCRIPTIONS_MAX = 1024, /* of all sessions and streams of one identity … */
    IDENTITY_PATTERNS_MAX = 256,       /* … that does not act for others */
    MATCHES_MAX = 500000,
    AUDIENCES_MAX = 2097152,                /* entries of all lists */
    EVENT_SIZE_MAX = RECORD_SIZE_MAX - 4096 /* leaves room for its form within a record */
};

/* An event as it was sent. */
struct kept {
    size_t size;
    uint8_t bytes[];
};

/* The last events, without a gap: the newest has the channel's seq. */
struct history {
    struct kept **ring;
    size_t capacity; /* a power of two */
    size_t start;
    size_t count;
    size_t bytes;
};

struct listener {
    struct subscriber *subscriber;
    struct subscription *exact; /* may be reading the history; NULL: by a pattern */
};

struct audience {
    struct listener *list;
    size_t count;
    size_t capacity;
    bool is_stale;
    uint64_t made;    /* generation */
    uint64_t checked; /* the latest at which it was found right */
};

struct channel {
    struct table_node node;
    struct list_node all;
    struct list_node idle;    /* while it may be evicted; least recently used first */
    struct list_node keeping; /* while it keeps events; the same order */
    struct list_node heard;   /* while its audience is listed; the same order */
    struct list_node subscriptions;
    size_t subscription_count;
    struct list_node matches;
    uint64_t seq; /* of the last event */
    struct history history;
    struct audience audience;
    bool is_pinned; /* the broker itself speaks there */
    struct text name;
    char name_bytes[];
};

/* What patterns have before their first wildcard. */
struct prefix {
    struct table_node node;
    struct list_node patterns;
    struct text text;
    char text_bytes[];
};

/* One, however many subscribe to it. */
struct pattern {
    struct table_node node;
    struct list_node link; /* in its prefix */
    struct prefix *prefix;
    struct list_node subscriptions;
    size_t subscription_count;
    struct list_node matches;
    uint64_t changed; /* generation */
    struct text text;
    char text_bytes[];
};

struct match {
    struct list_node of_channel;
    struct list_node of_pattern;
    struct channel *channel;
    struct pattern *pattern;
};

struct subscription {
    struct list_node of_subscriber;
    struct list_node of_topic;
    struct subscriber *subscriber;
    struct channel *channel; /* or */
    struct pattern *pattern;
    struct ground ground; /* what allows it */
    bool is_reading;      /* the history, up to the live events */
    uint64_t next;        /* event that it reads next */
};

struct subscriber {
    struct peer *peer;
    channel_deliver_fn *deliver;
    void *context;
    struct list_node subscriptions;
    size_t count;
    size_t reading; /* subscriptions that are */
    uint64_t dropped;
    bool is_behind;        /* gets nothing until subscriber_resume() */
    uint64_t mark;         /* of the last audience that it was listed in */
    struct list_node slow; /* to be told of */
    struct room_watch room;
};

struct channels {
    struct core *core;
    struct table table;
    struct table patterns;
    struct table prefixes;
    size_t prefix_sizes[MESSAGE_NAME_MAX + 1]; /* how many prefixes of each size there are */
    struct list_node all;
    struct list_node idle;
    struct list_node keeping;
    struct list_node heard;
    struct list_node slow;
    size_t pattern_subscriptions;
    size_t subscriptions;
    size_t matches;
    size_t kept_bytes;
    size_t listed;       /* entries of all audiences */
    uint64_t generation; /* of the pattern subscriptions */
    uint64_t mark;
    uint64_t seq_floor; /* no channel of this start had a greater number when it was evicted */
    uint64_t told_since_us;
    unsigned told;
    struct buffer record; /* the event that is given out */
};

struct channel *channel_find(const struct channels *channels, struct text name);
/* Finds or makes. peer: who is to be charged; NULL: the broker. QUOTA_EXCEEDED word
 * "too_many_channels"; RATE_LIMITED; NOMEM. */
enum status channel_open(struct channels *channels, struct peer *peer, struct text name,
                         struct channel **channel_p, struct error *error);
void channel_drop(struct channels *channels, struct channel *channel);
/* It was used just now. */
void channel_touch(struct channels *channels, struct channel *channel);

/* Makes the list of who listens right; false when out of memory. */
bool channel_audience(struct channels *channels, struct channel *channel);
/* Subscriptions that match: somebody with two counts twice. */
size_t channel_listeners(const struct channel *channel);

/* Subscriptions; topic: a channel's name or a pattern, in good form. */
enum status subscription_open(struct channels *channels, struct subscriber *subscriber,
                              struct text topic, struct subscription **subscription_p,
                              struct error *error);
struct subscription *subscription_find(const struct subscriber *subscriber, struct text topic);
void subscription_close(struct channels *channels, struct subscription *subscription);

/* ---- channel_history.c */

/* Keeps the channel's newest event; when there is no room, older ones go, here or elsewhere. */
void history_keep(struct channels *channels, struct channel *channel, struct bytes record);
void history_drop(struct channels *channels, struct channel *channel);
/* Number of the oldest kept event; one above the last when none is. */
uint64_t history_first(const struct channel *channel);
/* The kept event with this number, which there must be. */
struct bytes history_at(const struct channel *channel, uint64_t seq);

#endif
