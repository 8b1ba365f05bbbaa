/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/channel_record.c - what peers say to channels: publish, subscribe, unsubscribe. */
#include "broker/core/answer.h"
#include "broker/core/channel_table.h"
#include "broker/core/mail.h"
#include "broker/core/peers.h"
#include "broker/core/revoke.h"
#include "kernel/pack.h"

static void
acknowledge(struct core *core, struct peer *peer, const struct message *message, uint64_t seq)
{
    struct message ack = {.kind = KIND_ACK, .correlation = message->id, .seq = seq};
    answer_send(core, peer, &ack);
}

/* ---- publish */

static enum status
may_publish(struct core *core, struct peer *peer, const struct message *message,
            struct error *error)
{
    struct value payload;
    enum status status = channel_check_name(message->target, false, error);
    if (status != STATUS_OK)
        return status;
    if (channel_is_reserved(message->target))
        return channel_refuse_reserved(error);
    if (message->payload.size > 0 && !value_parse(message->payload, &payload)) {
        error_set(error, "publish: the payload is not one msgpack value");
        return STATUS_INVALID;
    }
    return bus_allow(core, peer, message, OP_BUS_PUBLISH, message->target, error);
}

const char *
publish_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    size_t given = 0;
    struct message event = {.id = message->id,
                            .source = message->source,
                            .target = message->target,
                            .type = message->type,
                            .timestamp_us = message->timestamp_us,
                            .trace = message->trace,
                            .metadata = message->metadata,
                            .payload = message->payload};
    enum status status = may_publish(core, peer, message, &error);
    if (status == STATUS_OK)
        status = channel_publish(core, peer, &event, &given, &error);
    if (status != STATUS_OK)
        return answer_refuse(core, peer, message, status, &error);
    if (message->flags & MESSAGE_CONFIRM)
        acknowledge(core, peer, message, event.seq);
    return given > 0 ? VERDICT_FORWARDED : VERDICT_ACCEPTED;
}

/* ---- subscribe, unsubscribe */

static enum core_sent
deliver_to_session(struct core *core, void *context, const struct message *message,
                   struct bytes record)
{
    (void)message;
    struct peer *peer = context;
    enum core_sent sent = peer_send(core, peer, record);
    if (sent == CORE_FULL)
        outbound_watch(peer, &peer->subscriber->room);
    return sent;
}

/* False: there is no room for that either. */
static bool
tell_dropped(struct core *core, struct subscriber *subscriber)
{
    if (subscriber->dropped == 0)
        return true;
    buffer_reset(&core->payload);
    pack_map(&core->payload, 1);
    pack_pair_uint(&core->payload, "dropped", subscriber->dropped);
    struct message notice = {.kind = KIND_CONTROL,
                             .type = text_of("events_dropped"),
                             .payload = buffer_bytes(&core->payload)};
    return answer_send(core, subscriber->peer, &notice) != CORE_FULL;
}

/* What was left out is told before anything newer comes. */
static void
go_on(struct core *core, struct subscriber *subscriber)
{
    do {
        if (!tell_dropped(core, subscriber)) {
            subscriber->is_behind = true;
            outbound_watch(subscriber->peer, &subscriber->room);
            return;
        }
        subscriber_resume(core, subscriber);
    } while (!subscriber->is_behind && subscriber->dropped > 0);
}

static void
session_has_room(struct core *core, struct room_watch *watch)
{
    go_on(core, CONTAINER_OF(watch, struct subscriber, room));
}

static enum status
open_subscriber(struct core *core, struct peer *peer)
{
    if (peer->subscriber)
        return STATUS_OK;
    peer->subscriber = subscriber_new(core, peer, deliver_to_session, peer);
    if (!peer->subscriber)
        return STATUS_NOMEM;
    peer->subscriber->room.ready = session_has_room;
    return STATUS_OK;
}

void
channels_peer_gone(struct core *core, struct peer *peer)
{
    subscriber_destroy(core, &peer->subscriber);
}

/* An error of no record: that one was answered long ago. */
static void
tell_end(struct core *core, struct peer *peer, struct text topic, const struct ground_set *ended)
{
    struct error error = ERROR_INIT;
    enum status status = ground_set_refuse(ended, &error);
    error_wrap(&error, "the subscription to %.*s ends", TEXT_ARGS(topic));
    struct message about = {.kind = KIND_SUBSCRIBE};
    answer_refuse_late(core, peer, &about, status, &error);
}

void
channels_drop_revoked(struct core *core, struct peer *peer, const struct ground_set *revoked)
{
    struct list_node *next;
    if (!peer->subscriber)
        return;
    const struct list_node *all = &peer->subscriber->subscriptions;
    for (struct list_node *node = all->next; node != all; node = next) {
        struct subscription *subscription = CONTAINER_OF(node, struct subscription, of_subscriber);
        next = node->next;
        if (!ground_set_has(revoked, &subscription->ground))
            continue;
        tell_end(core, peer,
                 subscription->channel ? subscription->channel->name : subscription->pattern->text,
                 revoked);
        subscription_close(core->channels, subscription);
    }
}

struct wish {
    struct text channel;
    bool has_after;
    uint64_t after;
};

static enum status
read_wish(const struct value *payload, const struct message *message, struct wish *wish,
          struct error *error)
{
    struct value after;
    if (!value_find_text(payload, "channel", &wish->channel)) {
        error_set(error, "%s: expected a map with channel or inbox (text)",
                  kind_word(message->kind));
        return STATUS_INVALID;
    }
    if (message->kind == KIND_UNSUBSCRIBE || !value_find(payload, "after", &after) ||
        after.type == VALUE_NIL)
        return STATUS_OK;
    wish->has_after = value_find_uint(payload, "after", &wish->after);
    if (!wish->has_after || glob_is_pattern(wish->channel)) {
        error_set_field(error, "after",
                        "expected the number of an event, with a channel's own name");
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

static enum status
may_subscribe(struct core *core, struct peer *peer, const struct message *message,
              struct text channel, struct error *error)
{
    enum status status = channel_check_name(channel, true, error);
    return status == STATUS_OK ? bus_allow(core, peer, message, OP_BUS_HISTORY, channel, error)
                               : status;
}

/* The payload, or nil when it cannot be read. */
static struct value
read_payload(const struct message *message)
{
    struct value payload;
    if (!value_parse(message->payload, &payload))
        payload = (struct value){.type = VALUE_NIL};
    return payload;
}

const char *
subscribe_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    struct value payload = read_payload(message), inbox;
    struct wish wish = {.has_after = false};
    uint64_t last = 0;
    if (value_find(&payload, "inbox", &inbox))
        return mail_subscribe(core, peer, message, &payload);
    enum status status = read_wish(&payload, message, &wish, &error);
    if (status == STATUS_OK)
        status = may_subscribe(core, peer, message, wish.channel, &error);
    if (status == STATUS_OK)
        status = open_subscriber(core, peer);
    if (status == STATUS_OK)
        status = subscriber_add(core, peer->subscriber, wish.channel, wish.has_after, wish.after,
                                &last, &error);
    if (status != STATUS_OK)
        return answer_refuse(core, peer, message, status, &error);
    acknowledge(core, peer, message, last);
    if (wish.has_after && !peer->subscriber->is_behind)
        go_on(core, peer->subscriber);
    return VERDICT_ANSWERED;
}

const char *
unsubscribe_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct error error = ERROR_INIT;
    struct value payload = read_payload(message), inbox;
    struct wish wish = {.has_after = false};
    if (value_find(&payload, "inbox", &inbox))
        return mail_unsubscribe(core, peer, message, &payload);
    enum status status = read_wish(&payload, message, &wish, &error);
    if (status != STATUS_OK)
        return answer_refuse(core, peer, message, status, &error);
    if (peer->subscriber)
        subscriber_remove(core, peer->subscriber, wish.channel);
    acknowledge(core, peer, message, 0);
    return VERDICT_ANSWERED;
}
