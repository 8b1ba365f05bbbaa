/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/channel.h - channels: what is said there goes to who subscribed, and is kept a while.
 *
 * An event is encoded once and given to each subscriber. A subscriber is a session, or a stream
 * (`bus_listen`); one that does not keep up loses events, is told how many, and slows nobody. */
#ifndef SOS_BROKER_CORE_CHANNEL_H
#define SOS_BROKER_CORE_CHANNEL_H

#include "broker/core/bus.h"
#include "broker/core/state.h"

struct channels;
struct subscriber;

enum { SUBSCRIPTIONS_MAX = 256 /* of one subscriber */ };

struct channels *channels_new(struct core *core);
void channels_destroy(struct channels **channels_p);

/* A session ends: its subscriptions go. */
void channels_peer_gone(struct core *core, struct peer *peer);
/* Those of the session that rest on these go, and it is told. */
void channels_drop_revoked(struct core *core, struct peer *peer, const struct ground_set *revoked);

/* Publishes what the broker itself says, on a channel of its own. payload: one packed value. */
void channel_say(struct core *core, struct text channel, struct text type, struct bytes payload);
/* Would anybody hear that, now or later? */
bool channel_matters(struct core *core, struct text channel);

/* A channel's name; with patterns also what may match some. INVALID word "not_a_channel". */
enum status channel_check_name(struct text name, bool with_patterns, struct error *error);

/* `system:` channels are the broker's: nobody else speaks there (FORBIDDEN word
 * "channel_reserved"). */
bool channel_is_reserved(struct text name);
enum status channel_refuse_reserved(struct error *error);

/* Says event, complete but for kind and seq, on the channel that is its target: fills both. peer:
 * who says it; NULL: the broker. *given: how many subscribers were given it. TOO_LARGE; NOMEM;
 * RATE_LIMITED and QUOTA_EXCEEDED word "too_many_channels" when there is no such channel yet. */
enum status channel_publish(struct core *core, struct peer *peer, struct message *event,
                            size_t *given, struct error *error);

/* Appends the contract's `event` map. */
void channel_pack_event(struct buffer *out, const struct message *event);
/* At most so many bytes more than the event's record are appended by it. */
enum { CHANNEL_FORM_OVERHEAD = 512 };

/* ---- subscribers */

/* What a subscriber gets: message is of kind EVENT; record its encoded form. FULL: it is left out
 * and counted until subscriber_resume(). */
typedef enum core_sent channel_deliver_fn(struct core *core, void *context,
                                          const struct message *message, struct bytes record);

/* NULL when out of memory. */
struct subscriber *subscriber_new(struct core *core, struct peer *peer, channel_deliver_fn *deliver,
                                  void *context);
void subscriber_destroy(struct core *core, struct subscriber **subscriber_p);
/* channel: a name, or without history a pattern. With history the kept events above `after` come
 * before the live ones, with the next subscriber_resume(); what finds no room waits there, and is
 * left out only when the channel keeps it no more. Subscribed already: only begins to read. It
 * rests on core->ground. INVALID word "not_a_channel"; QUOTA_EXCEEDED words
 * "too_many_subscriptions", "too_many_channels"; RATE_LIMITED; NOMEM. *last: number of the last
 * event, 0 for a pattern. */
enum status subscriber_add(struct core *core, struct subscriber *subscriber, struct text channel,
                           bool history, uint64_t after, uint64_t *last, struct error *error);
bool subscriber_remove(struct core *core, struct subscriber *subscriber, struct text channel);
/* There is room again: goes on reading, and returns how many events were left out, counted from 0
 * then. */
uint64_t subscriber_resume(struct core *core, struct subscriber *subscriber);
/* Is one of its subscriptions allowed by one of these? */
bool subscriber_rests_on(const struct subscriber *subscriber, const struct ground_set *revoked);
size_t subscriber_count(const struct subscriber *subscriber);

/* ---- records; they return the verdict */
const char *publish_receive(struct core *core, struct peer *peer, const struct message *message);
const char *subscribe_receive(struct core *core, struct peer *peer, const struct message *message);
const char *unsubscribe_receive(struct core *core, struct peer *peer,
                                const struct message *message);

#endif
