/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/channel.h"

#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/channel_table.h"
#include "broker/core/form.h"
#include "broker/core/peers.h"
#include "broker/core/presence.h"
#include "broker/core/revoke.h"
#include "broker/core/tap.h"
#include "kernel/assert.h"
#include "kernel/identity.h"
#include "kernel/pack.h"

#define SYSTEM_EVENTS "system:events"

enum {
    SECOND_US = 1000000,
    SLOW_TOLD_PER_SECOND = 10 /* a crowd of slow ones must not fill the events' history */
};

static bool
init_tables(struct channels *channels, const uint8_t *key)
{
    return table_init(&channels->table, key) && table_init(&channels->patterns, key) &&
           table_init(&channels->prefixes, key);
}

struct channels *
channels_new(struct core *core)
{
    struct channels *channels = calloc(1, sizeof *channels);
    if (!channels)
        return NULL;
    channels->core = core;
    list_init(&channels->all);
    list_init(&channels->idle);
    list_init(&channels->keeping);
    list_init(&channels->heard);
    list_init(&channels->slow);
    buffer_init(&channels->record);
    struct channel *events = NULL;
    if (!init_tables(channels, core->options.hash_key) ||
        channel_open(channels, NULL, text_of(SYSTEM_EVENTS), &events, NULL) != STATUS_OK) {
        channels_destroy(&channels);
        return NULL;
    }
    events->is_pinned = true;
    list_remove(&events->idle);
    return channels;
}

void
channels_destroy(struct channels **channels_p)
{
    struct channels *channels = *channels_p;
    if (!channels)
        return;
    while (!list_is_empty(&channels->all))
        channel_drop(channels, CONTAINER_OF(channels->all.next, struct channel, all));
    ASSERT(channels->subscriptions == 0 && channels->matches == 0 && channels->kept_bytes == 0);
    table_clear(&channels->table);
    table_clear(&channels->patterns);
    table_clear(&channels->prefixes);
    buffer_clear(&channels->record);
    free(channels);
    *channels_p = NULL;
}

/* ---- names */

static enum status
refuse_name(struct text name, struct error *error)
{
    char quoted[65];
    error_copy_text(quoted, sizeof quoted, name);
    error_set_word(error, "not_a_channel",
                   "\"%s\" is no channel: expected squad:, guild: or system: and a name, or an "
                   "identity, a colon and a topic",
                   quoted);
    return STATUS_INVALID;
}

static bool
is_printable(struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return true;
}

enum status
channel_check_name(struct text name, bool with_patterns, struct error *error)
{
    struct identity identity;
    if (glob_is_pattern(name))
        return with_patterns && name.size <= MESSAGE_NAME_MAX && is_printable(name)
                   ? STATUS_OK
                   : refuse_name(name, error);
    if (identity_parse(name, &identity, NULL) != STATUS_OK)
        return refuse_name(name, error);
    if (identity.type == IDENTITY_SQUAD || identity.type == IDENTITY_GUILD ||
        identity.type == IDENTITY_SYSTEM)
        return STATUS_OK;
    const char *colon = memchr(identity.name.data, ':', identity.name.size);
    bool has_topic = colon && colon + 1 < identity.name.data + identity.name.size;
    return has_topic ? STATUS_OK : refuse_name(name, error);
}

bool
channel_is_reserved(struct text name)
{
    return text_starts_with(name, "system:");
}

enum status
channel_refuse_reserved(struct error *error)
{
    error_set_word(error, "channel_reserved", "only the broker speaks on system: channels");
    return STATUS_FORBIDDEN;
}

/* ---- giving an event out */

static void
count_drops(struct channels *channels, struct subscriber *subscriber, uint64_t count)
{
    subscriber->dropped += count;
    metric_add(channels->core->figures.events_dropped, count);
}

static void
fall_behind(struct channels *channels, struct subscriber *subscriber)
{
    subscriber->is_behind = true;
    count_drops(channels, subscriber, 1);
    if (!list_is_linked(&subscriber->slow))
        list_append(&channels->slow, &subscriber->slow);
}

static size_t
give_out(struct channels *channels, const struct channel *channel, const struct message *event)
{
    size_t given = 0;
    for (size_t i = 0; i < channel->audience.count; i++) {
        const struct listener *listener = &channel->audience.list[i];
        struct subscriber *subscriber = listener->subscriber;
        if (listener->exact && listener->exact->is_reading)
            continue; /* it comes to it in its turn */
        if (subscriber->is_behind) {
            count_drops(channels, subscriber, 1);
            continue;
        }
        enum core_sent sent = subscriber->deliver(channels->core, subscriber->context, event,
                                                  buffer_bytes(&channels->record));
        if (sent == CORE_FULL)
            fall_behind(channels, subscriber);
        given += sent == CORE_SENT;
    }
    metric_add(channels->core->figures.events, given);
    return given;
}

/* Only after the event was given out: telling gives out another one, by way of this. */
static void
tell_of_slow(struct channels *channels)
{
    struct core *core = channels->core;
    while (!list_is_empty(&channels->slow)) {
        struct subscriber *subscriber = CONTAINER_OF(channels->slow.next, struct subscriber, slow);
        list_remove(&subscriber->slow);
        if (core->now.monotonic_us - channels->told_since_us >= SECOND_US) {
            channels->told_since_us = core->now.monotonic_us;
            channels->told = 0;
        }
        if (channels->told++ < SLOW_TOLD_PER_SECOND)
            event_tell(core, "subscriber.slow", "identity", subscriber->peer->identity);
    }
}

enum status
channel_publish(struct core *core, struct peer *peer, struct message *event, size_t *given,
                struct error *error)
{
    struct channels *channels = core->channels;
    struct channel *channel;
    enum status status = channel_open(channels, peer, event->target, &channel, error);
    if (status != STATUS_OK)
        return status;
    if (!channel_audience(channels, channel))
        return STATUS_NOMEM;
    event->version = MESSAGE_VERSION;
    event->kind = KIND_EVENT;
    event->seq = channel->seq + 1;
    buffer_reset(&channels->record);
    status = message_encode(&channels->record, event, error);
    if (status == STATUS_OK && channels->record.size > EVENT_SIZE_MAX) {
        error_set(error, "the event has %zu bytes, at most %d are passed on", channels->record.size,
                  EVENT_SIZE_MAX);
        status = STATUS_TOO_LARGE;
    }
    if (status != STATUS_OK)
        return status;
    channel->seq = event->seq;
    metric_add(core->figures.published, 1);
    history_keep(channels, channel, buffer_bytes(&channels->record));
    *given = give_out(channels, channel, event);
    tell_of_slow(channels);
    return STATUS_OK;
}

bool
channel_matters(struct core *core, struct text name)
{
    if (core->options.channel_history_max > 0)
        return true;
    const struct channel *channel = channel_find(core->channels, name);
    return channel && channel_listeners(channel) > 0;
}

void
channel_say(struct core *core, struct text channel, struct text type, struct bytes payload)
{
    struct message event = {.id = uuid_next(&core->ids, core->now.wall_us),
                            .source = text_of(BUS_IDENTITY),
                            .target = channel,
                            .type = type,
                            .timestamp_us = core->now.wall_us,
                            .payload = payload};
    size_t given = 0;
    const char *verdict = VERDICT_DROPPED;
    if (channel_publish(core, NULL, &event, &given, NULL) == STATUS_OK)
        verdict = given > 0 ? VERDICT_FORWARDED : VERDICT_ACCEPTED;
    tap_record(core, TAP_OUT, &event, core->channels->record.size, verdict);
}

void
channel_pack_event(struct buffer *out, const struct message *event)
{
    pack_map(out, 7u + (event->trace.size > 0) + (event->metadata.size > 0));
    form_uuid(out, "id", &event->id);
    pack_pair_text(out, "channel", event->target);
    pack_pair_uint(out, "seq", event->seq);
    pack_pair_text(out, "from", event->source);
    pack_pair_text(out, "type", event->type);
    form_payload(out, "payload", event->payload);
    form_time(out, "sent_at", event->timestamp_us);
    if (event->trace.size > 0)
        form_trace_id(out, "trace_id", event->trace);
    if (event->metadata.size > 0)
        pack_pair_raw(out, "metadata", event->metadata);
}

/* ---- subscribers */

struct subscriber *
subscriber_new(struct core *core, struct peer *peer, channel_deliver_fn *deliver, void *context)
{
    (void)core;
    struct subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (!subscriber)
        return NULL;
    subscriber->peer = peer;
    subscriber->deliver = deliver;
    subscriber->context = context;
    list_init(&subscriber->subscriptions);
    return subscriber;
}

void
subscriber_destroy(struct core *core, struct subscriber **subscriber_p)
{
    struct subscriber *subscriber = *subscriber_p;
    if (!subscriber)
        return;
    while (!list_is_empty(&subscriber->subscriptions))
        subscription_close(core->channels, CONTAINER_OF(subscriber->subscriptions.next,
                                                        struct subscription, of_subscriber));
    list_remove(&subscriber->slow);
    room_watch_off(&subscriber->room);
    free(subscriber);
    *subscriber_p = NULL;
}

/* What went before is not there to be read: it is no loss of this subscriber's. */
static void
begin_reading(struct subscription *subscription, uint64_t after)
{
    const struct channel *channel = subscription->channel;
    uint64_t first = history_first(channel);
    if (!subscription->is_reading)
        subscription->subscriber->reading++;
    subscription->is_reading = true;
    subscription->next = after < channel->seq ? after + 1 : channel->seq + 1;
    if (subscription->next < first)
        subscription->next = first;
}

enum status
subscriber_add(struct core *core, struct subscriber *subscriber, struct text channel, bool history,
               uint64_t after, uint64_t *last, struct error *error)
{
    enum status status = channel_check_name(channel, !history, error);
    if (status != STATUS_OK)
        return status;
    struct subscription *subscription = subscription_find(subscriber, channel);
    if (!subscription)
        status = subscription_open(core->channels, subscriber, channel, &subscription, error);
    if (status != STATUS_OK)
        return status;
    subscription->ground = ground_keep(core);
    if (history)
        begin_reading(subscription, after);
    *last = subscription->channel ? subscription->channel->seq : 0;
    return STATUS_OK;
}

bool
subscriber_remove(struct core *core, struct subscriber *subscriber, struct text channel)
{
    struct subscription *subscription = subscription_find(subscriber, channel);
    if (subscription)
        subscription_close(core->channels, subscription);
    return subscription != NULL;
}

bool
subscriber_rests_on(const struct subscriber *subscriber, const struct ground_set *revoked)
{
    const struct list_node *all = &subscriber->subscriptions;
    for (struct list_node *node = all->next; node != all; node = node->next)
        if (ground_set_has(revoked,
                           &CONTAINER_OF(node, struct subscription, of_subscriber)->ground))
            return true;
    return false;
}

size_t
subscriber_count(const struct subscriber *subscriber)
{
    return subscriber->count;
}

static enum core_sent
give_kept(struct core *core, struct subscriber *subscriber, struct bytes record)
{
    struct message event;
    size_t used;
    if (message_decode(&event, record, &used, NULL) != STATUS_OK)
        return CORE_SENT;
    return subscriber->deliver(core, subscriber->context, &event, record);
}

/* False: there is no more room; the subscriber is behind. */
static bool
read_on(struct core *core, struct subscription *subscription)
{
    struct subscriber *subscriber = subscription->subscriber;
    const struct channel *channel = subscription->channel;
    uint64_t first = history_first(channel);
    if (subscription->next < first) {
        count_drops(core->channels, subscriber, first - subscription->next);
        subscription->next = first;
    }
    while (subscription->next <= channel->seq) {
        enum core_sent sent = give_kept(core, subscriber, history_at(channel, subscription->next));
        if (sent != CORE_SENT) {
            subscriber->is_behind = true;
            return false;
        }
        metric_add(core->figures.events, 1);
        subscription->next++;
    }
    subscription->is_reading = false;
    subscriber->reading--;
    return true;
}

uint64_t
subscriber_resume(struct core *core, struct subscriber *subscriber)
{
    uint64_t dropped = subscriber->dropped;
    subscriber->dropped = 0;
    subscriber->is_behind = false;
    for (struct list_node *node = subscriber->subscriptions.next;
         node != &subscriber->subscriptions && subscriber->reading > 0; node = node->next) {
        struct subscription *subscription = CONTAINER_OF(node, struct subscription, of_subscriber);
        if (subscription->is_reading && !read_on(core, subscription))
            break;
    }
    return dropped;
}
