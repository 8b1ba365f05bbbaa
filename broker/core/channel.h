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

/* Publishes what the broker itself says. payload: one packed value. */
void channel_say(struct core *core, struct text channel, struct text type, struct bytes payload);

/* ---- subscribers */

/* What a subscriber gets: message is of kind EVENT; record its encoded form. FULL: it is left out
 * and counted until subscriber_resume(). */
typedef enum core_sent channel_deliver_fn(struct core *core, void *context,
                                          const struct message *message, struct bytes record);

/* dropped: how many events it missed, told by subscriber_resume(). NULL when out of memory. */
struct subscriber *subscriber_new(struct core *core, struct peer *peer, channel_deliver_fn *deliver,
                                  void *context);
void subscriber_destroy(struct core *core, struct subscriber **subscriber_p);
/* channel: exact or a pattern; kept events above `after` first when history is set. INVALID word
 * "not_a_channel"; QUOTA_EXCEEDED word "too_many_subscriptions"; NOMEM. *last: number of the last
 * event, 0 for a pattern. */
enum status subscriber_add(struct core *core, struct subscriber *subscriber, struct text channel,
                           bool history, uint64_t after, uint64_t *last, struct error *error);
bool subscriber_remove(struct core *core, struct subscriber *subscriber, struct text channel);
/* There is room again: returns how many events were left out, and counts from 0. */
uint64_t subscriber_resume(struct core *core, struct subscriber *subscriber);
size_t subscriber_count(const struct subscriber *subscriber);

/* ---- records; they return the verdict */
const char *publish_receive(struct core *core, struct peer *peer, const struct message *message);
const char *subscribe_receive(struct core *core, struct peer *peer, const struct message *message);
const char *unsubscribe_receive(struct core *core, struct peer *peer,
                                const struct message *message);

#endif
