/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/session/feed_internal.h - what a feed is inside. Internal to feed.c, feed_client.c and
 * feed_say.c. */
#ifndef SOS_GATEWAY_SESSION_FEED_INTERNAL_H
#define SOS_GATEWAY_SESSION_FEED_INTERNAL_H

#include "gateway/session/feed.h"
#include "kernel/pack.h"

enum {
    FEED_TOKENS_MAX = 8,
    FEED_CALLS_MAX = 32,
    FEED_SUBSCRIPTIONS_MAX = 16,
    FEED_REF_MAX = 128 /* bytes, packed */
};

/* What the client called its message: any scalar, given back with the answer. */
struct feed_ref {
    uint8_t data[FEED_REF_MAX];
    size_t size;
};

/* What an answer is about. */
struct feed_about {
    const char *of;             /* "send" */
    const struct feed_ref *ref; /* NULL: none */
    const char *channel;        /* NULL: none */
};

struct feed_token {
    char *json;
    char *action;
};

/* A call of the client. */
struct feed_call {
    struct feed *feed;
    const char *of; /* "send" */
    struct feed_ref ref;
    exchange_handle exchange;
    struct feed_call *next;
};

/* A stream of the bus: the feed's own, or a channel's that was subscribed to later. */
struct feed_stream {
    struct feed *feed;
    char *channel; /* NULL: the feed's own */
    struct feed_ref ref;
    exchange_handle exchange;
    exchange_handle probe; /* its answer says that the stream was not refused */
    bool ready;
    struct feed_stream *next;
};

struct feed {
    struct feed_options options;
    char *agent;
    struct buffer arguments;
    struct feed_token tokens[FEED_TOKENS_MAX];
    size_t token_count;
    struct feed_stream own;
    struct feed_stream *subscriptions;
    size_t subscription_count;
    struct feed_call *calls;
    size_t call_count;
    bool split; /* the feed's own stream is for the agent's own channels alone */
    bool awaits_capability;
    bool over;
    struct buffer json;    /* what is being said */
    struct buffer packed;  /* what was received */
    struct buffer payload; /* what is being asked */
    struct buffer token;
};

/* ---- feed_say.c: each says one message; false: it cannot be held */
bool say_map(struct feed *feed, const char *kind, struct bytes map);
bool say_dropped(struct feed *feed, uint64_t dropped);
bool say_ready(struct feed *feed, const char *of);
bool say_result(struct feed *feed, const struct feed_about *about, struct bytes result);
bool say_refusal(struct feed *feed, const struct feed_about *about, enum status status,
                 struct bytes payload);
bool say_error(struct feed *feed, const struct feed_about *about, enum status status,
               const struct error *error);

/* ---- feed.c */
void feed_end(struct feed *feed, unsigned code, const char *reason);
/* The client does not take what is said: ends the feed. */
void feed_overrun(struct feed *feed);
/* The token that the operation needs, or any. */
struct text feed_token_for(const struct feed *feed, const struct operation *operation);
struct text feed_token_of_action(const struct feed *feed, const char *action);
bool feed_has_token(const struct feed *feed, const char *action);
/* Those beside the agent's own, by comma. */
void feed_append_other_channels(const struct feed *feed, struct buffer *channels);
enum status feed_stream_begin(struct feed_stream *stream, struct error *error);
void feed_stream_drop(struct feed_stream *stream);

/* ---- feed_client.c */
void feed_call_drop(struct feed_call *call);
/* ref: may be NULL. */
enum status feed_subscribe(struct feed *feed, struct text channel, const struct feed_ref *ref,
                           struct error *error);
/* INVALID when it is no capability; a token of the same action is replaced. */
enum status feed_add_token(struct feed *feed, struct text json, struct error *error);

#endif
