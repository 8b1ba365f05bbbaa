/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/channel_table.h"

#include <stdlib.h>

#include "broker/core/presence.h"

/* What is charged, in units of presence_worked(). */
enum {
    CHANNEL_WORK = 50, /* to make one … */
    TRIED_WORK = 2, /* … and for each pattern that might match: the worst take two microseconds */
    MATCH_STEPS = 512, /* of a match, in bytes of the pattern times bytes of the name … */
    MATCHES_WORK = 8   /* … and so many of these are a unit */
};

static struct bytes
text_key(struct text text)
{
    return (struct bytes){(const uint8_t *)text.data, text.size};
}

/* ---- patterns and the channels that they match */

static size_t
prefix_size(struct text pattern)
{
    size_t size = 0;
    while (size < pattern.size && pattern.data[size] != '*' && pattern.data[size] != '?' &&
           pattern.data[size] != '[')
        size++;
    return size;
}

static struct prefix *
prefix_find(const struct channels *channels, struct text text)
{
    uint64_t hash = table_hash(&channels->prefixes, text_key(text));
    for (struct table_node *node = table_first(&channels->prefixes, hash); node;
         node = table_next(node)) {
        struct prefix *prefix = CONTAINER_OF(node, struct prefix, node);
        if (text_equal(prefix->text, text))
            return prefix;
    }
    return NULL;
}

static struct prefix *
prefix_open(struct channels *channels, struct text text)
{
    struct prefix *prefix = prefix_find(channels, text);
    if (prefix)
        return prefix;
    prefix = calloc(1, sizeof *prefix + text.size + 1);
    if (!prefix)
        return NULL;
    if (text.size > 0)
        memcpy(prefix->text_bytes, text.data, text.size);
    prefix->text = (struct text){prefix->text_bytes, text.size};
    list_init(&prefix->patterns);
    table_insert(&channels->prefixes, &prefix->node,
                 table_hash(&channels->prefixes, text_key(text)));
    channels->prefix_sizes[text.size]++;
    return prefix;
}

static void
prefix_tidy(struct channels *channels, struct prefix *prefix)
{
    if (!list_is_empty(&prefix->patterns))
        return;
    table_remove(&channels->prefixes, &prefix->node);
    channels->prefix_sizes[prefix->text.size]--;
    free(prefix);
}

static void
match_remove(struct channels *channels, struct match *match)
{
    match->channel->audience.is_stale = true;
    list_remove(&match->of_channel);
    list_remove(&match->of_pattern);
    channels->matches--;
    free(match);
}

static void
remove_matches_of_channel(struct channels *channels, struct channel *channel)
{
    while (!list_is_empty(&channel->matches))
        match_remove(channels, CONTAINER_OF(channel->matches.next, struct match, of_channel));
}

static void
remove_matches_of_pattern(struct channels *channels, struct pattern *pattern)
{
    while (!list_is_empty(&pattern->matches))
        match_remove(channels, CONTAINER_OF(pattern->matches.next, struct match, of_pattern));
}

static enum status
match_try(struct channels *channels, struct channel *channel, struct pattern *pattern)
{
    if (!glob_match(pattern->text, channel->name))
        return STATUS_OK;
    if (channels->matches >= MATCHES_MAX)
        return STATUS_QUOTA_EXCEEDED;
    struct match *match = malloc(sizeof *match);
    if (!match)
        return STATUS_NOMEM;
    match->channel = channel;
    match->pattern = pattern;
    list_append(&channel->matches, &match->of_channel);
    list_append(&pattern->matches, &match->of_pattern);
    channel->audience.is_stale = true;
    channels->matches++;
    return STATUS_OK;
}

static size_t
match_work(struct text pattern, struct text name)
{
    return 1 + pattern.size * name.size / MATCH_STEPS;
}

/* A new pattern against every channel. */
static enum status
match_pattern(struct channels *channels, struct peer *peer, struct pattern *pattern)
{
    struct text prefix = pattern->prefix->text;
    size_t work = 1;
    enum status status = STATUS_OK;
    for (struct list_node *node = channels->all.next; node != &channels->all && status == STATUS_OK;
         node = node->next) {
        struct channel *channel = CONTAINER_OF(node, struct channel, all);
        work++;
        if (!text_starts_with(channel->name, prefix.data))
            continue;
        work += match_work(pattern->text, channel->name);
        status = match_try(channels, channel, pattern);
    }
    presence_worked(channels->core, peer, work / MATCHES_WORK);
    if (status != STATUS_OK)
        remove_matches_of_pattern(channels, pattern);
    return status;
}

/* A new channel against every pattern that begins as its name does. */
static enum status
match_channel(struct channels *channels, struct peer *peer, struct channel *channel)
{
    enum status status = STATUS_OK;
    size_t tried = 0;
    for (size_t size = 0; size <= channel->name.size && status == STATUS_OK; size++) {
        if (channels->prefix_sizes[size] == 0)
            continue;
        struct prefix *prefix = prefix_find(channels, (struct text){channel->name.data, size});
        if (!prefix)
            continue;
        for (struct list_node *node = prefix->patterns.next;
             node != &prefix->patterns && status == STATUS_OK; node = node->next, tried++)
            status = match_try(channels, channel, CONTAINER_OF(node, struct pattern, link));
    }
    presence_worked(channels->core, peer, tried * TRIED_WORK);
    if (status != STATUS_OK)
        remove_matches_of_channel(channels, channel);
    return status;
}

static struct pattern *
pattern_find(const struct channels *channels, struct text text)
{
    uint64_t hash = table_hash(&channels->patterns, text_key(text));
    for (struct table_node *node = table_first(&channels->patterns, hash); node;
         node = table_next(node)) {
        struct pattern *pattern = CONTAINER_OF(node, struct pattern, node);
        if (text_equal(pattern->text, text))
            return pattern;
    }
    return NULL;
}

static void
pattern_drop(struct channels *channels, struct pattern *pattern)
{
    struct prefix *prefix = pattern->prefix;
    remove_matches_of_pattern(channels, pattern);
    table_remove(&channels->patterns, &pattern->node);
    list_remove(&pattern->link);
    free(pattern);
    prefix_tidy(channels, prefix);
}

static struct pattern *
pattern_new(struct channels *channels, struct text text)
{
    struct prefix *prefix = prefix_open(channels, (struct text){text.data, prefix_size(text)});
    if (!prefix)
        return NULL;
    struct pattern *pattern = calloc(1, sizeof *pattern + text.size + 1);
    if (!pattern) {
        prefix_tidy(channels, prefix);
        return NULL;
    }
    memcpy(pattern->text_bytes, text.data, text.size);
    pattern->text = (struct text){pattern->text_bytes, text.size};
    pattern->prefix = prefix;
    list_init(&pattern->subscriptions);
    list_init(&pattern->matches);
    list_append(&prefix->patterns, &pattern->link);
    table_insert(&channels->patterns, &pattern->node,
                 table_hash(&channels->patterns, text_key(text)));
    return pattern;
}

static enum status
pattern_open(struct channels *channels, struct peer *peer, struct text text,
             struct pattern **pattern_p, struct error *error)
{
    struct pattern *pattern = pattern_find(channels, text);
    if (pattern) {
        *pattern_p = pattern;
        return STATUS_OK;
    }
    enum status status = presence_may_work(channels->core, peer, error);
    if (status != STATUS_OK)
        return status;
    pattern = pattern_new(channels, text);
    if (!pattern)
        return STATUS_NOMEM;
    status = match_pattern(channels, peer, pattern);
    if (status == STATUS_OK) {
        *pattern_p = pattern;
        return STATUS_OK;
    }
    pattern_drop(channels, pattern);
    if (status == STATUS_QUOTA_EXCEEDED)
        error_set_word(error, "too_many_subscriptions",
                       "the patterns of all would match the channels more than %d times",
                       MATCHES_MAX);
    return status;
}

/* ---- channels */

struct channel *
channel_find(const struct channels *channels, struct text name)
{
    uint64_t hash = table_hash(&channels->table, text_key(name));
    for (struct table_node *node = table_first(&channels->table, hash); node;
         node = table_next(node)) {
        struct channel *channel = CONTAINER_OF(node, struct channel, node);
        if (text_equal(channel->name, name))
            return channel;
    }
    return NULL;
}

static void
show_count(struct channels *channels)
{
    metric_set(channels->core->figures.channels, (double)channels->table.count);
}

static void
audience_clear(struct channels *channels, struct channel *channel)
{
    struct audience *audience = &channel->audience;
    channels->listed -= audience->capacity;
    free(audience->list);
    *audience = (struct audience){.is_stale = true};
    list_remove(&channel->heard);
}

void
channel_drop(struct channels *channels, struct channel *channel)
{
    if (channel->seq > channels->seq_floor)
        channels->seq_floor = channel->seq;
    remove_matches_of_channel(channels, channel);
    history_drop(channels, channel);
    audience_clear(channels, channel);
    table_remove(&channels->table, &channel->node);
    list_remove(&channel->all);
    list_remove(&channel->idle);
    free(channel);
    show_count(channels);
}

static void
move_to_end(struct list_node *head, struct list_node *node)
{
    if (!list_is_linked(node) || node->next == head)
        return;
    list_remove(node);
    list_append(head, node);
}

void
channel_touch(struct channels *channels, struct channel *channel)
{
    move_to_end(&channels->idle, &channel->idle);
    move_to_end(&channels->keeping, &channel->keeping);
    move_to_end(&channels->heard, &channel->heard);
}

/* False: every channel has somebody who asked for it by name. */
static bool
evict_one(struct channels *channels)
{
    if (list_is_empty(&channels->idle))
        return false;
    channel_drop(channels, CONTAINER_OF(channels->idle.next, struct channel, idle));
    return true;
}

static enum status
refuse_channel(const struct channels *channels, struct error *error)
{
    error_set_word(error, "too_many_channels",
                   "%zu channels are there, and none of them can be forgotten",
                   channels->table.count);
    return STATUS_QUOTA_EXCEEDED;
}

static struct channel *
channel_new(struct channels *channels, struct text name)
{
    struct channel *channel = calloc(1, sizeof *channel + name.size + 1);
    if (!channel)
        return NULL;
    memcpy(channel->name_bytes, name.data, name.size);
    channel->name = (struct text){channel->name_bytes, name.size};
    uint64_t now_us = channels->core->now.wall_us;
    channel->seq = now_us > channels->seq_floor ? now_us : channels->seq_floor;
    channel->audience.is_stale = true;
    list_init(&channel->subscriptions);
    list_init(&channel->matches);
    list_append(&channels->all, &channel->all);
    list_append(&channels->idle, &channel->idle);
    table_insert(&channels->table, &channel->node, table_hash(&channels->table, text_key(name)));
    show_count(channels);
    return channel;
}

enum status
channel_open(struct channels *channels, struct peer *peer, struct text name,
             struct channel **channel_p, struct error *error)
{
    struct channel *channel = channel_find(channels, name);
    if (channel) {
        channel_touch(channels, channel);
        *channel_p = channel;
        return STATUS_OK;
    }
    enum status status = presence_may_work(channels->core, peer, error);
    if (status != STATUS_OK)
        return status;
    presence_worked(channels->core, peer, CHANNEL_WORK);
    while (channels->table.count >= channels->core->options.channels_max)
        if (!evict_one(channels))
            return refuse_channel(channels, error);
    channel = channel_new(channels, name);
    if (!channel)
        return STATUS_NOMEM;
    status = match_channel(channels, peer, channel);
    list_remove(&channel->idle); /* it must not be the one that goes */
    while (status == STATUS_QUOTA_EXCEEDED && evict_one(channels))
        status = match_channel(channels, peer, channel);
    list_append(&channels->idle, &channel->idle);
    if (status != STATUS_OK) {
        channel_drop(channels, channel);
        return status == STATUS_QUOTA_EXCEEDED ? refuse_channel(channels, error) : status;
    }
    *channel_p = channel;
    return STATUS_OK;
}

static void
channel_tidy(struct channels *channels, struct channel *channel)
{
    if (channel->subscription_count > 0 || channel->is_pinned)
        return;
    if (channel->history.count == 0)
        channel_drop(channels, channel);
    else if (!list_is_linked(&channel->idle))
        list_append(&channels->idle, &channel->idle);
}

/* ---- who listens */

size_t
channel_listeners(const struct channel *channel)
{
    size_t count = channel->subscription_count;
    for (struct list_node *node = channel->matches.next; node != &channel->matches;
         node = node->next)
        count += CONTAINER_OF(node, struct match, of_channel)->pattern->subscription_count;
    return count;
}

static bool
audience_is_right(const struct channels *channels, const struct channel *channel)
{
    const struct audience *audience = &channel->audience;
    if (audience->is_stale)
        return false;
    if (audience->checked == channels->generation)
        return true;
    for (struct list_node *node = channel->matches.next; node != &channel->matches;
         node = node->next)
        if (CONTAINER_OF(node, struct match, of_channel)->pattern->changed > audience->made)
            return false;
    return true;
}

static void
list_subscribers(struct audience *audience, const struct list_node *subscriptions, uint64_t mark)
{
    for (struct list_node *node = subscriptions->next; node != subscriptions; node = node->next) {
        struct subscription *subscription = CONTAINER_OF(node, struct subscription, of_topic);
        if (subscription->subscriber->mark == mark)
            continue;
        subscription->subscriber->mark = mark;
        audience->list[audience->count++] = (struct listener){
            subscription->subscriber, subscription->channel ? subscription : NULL};
    }
}

static bool
audience_reserve(struct channels *channels, struct channel *channel, size_t count)
{
    struct audience *audience = &channel->audience;
    bool is_wasteful = audience->capacity > 64 && audience->capacity / 4 > count;
    if (count <= audience->capacity && !is_wasteful)
        return true;
    size_t capacity = count + count / 4 + 4;
    struct listener *list = realloc(audience->list, capacity * sizeof *list);
    if (!list)
        return false;
    channels->listed += capacity;
    channels->listed -= audience->capacity;
    audience->list = list;
    audience->capacity = capacity;
    if (!list_is_linked(&channel->heard))
        list_append(&channels->heard, &channel->heard);
    return true;
}

/* Lists can be made again: those of channels that were not used for long give way. */
static void
forget_audiences(struct channels *channels, const struct channel *but)
{
    while (channels->listed > AUDIENCES_MAX && !list_is_empty(&channels->heard)) {
        struct channel *channel = CONTAINER_OF(channels->heard.next, struct channel, heard);
        if (channel == but)
            return;
        audience_clear(channels, channel);
    }
}

bool
channel_audience(struct channels *channels, struct channel *channel)
{
    struct audience *audience = &channel->audience;
    if (!audience_is_right(channels, channel)) {
        if (!audience_reserve(channels, channel, channel_listeners(channel)))
            return false;
        uint64_t mark = ++channels->mark;
        audience->count = 0;
        /* First those who asked by name: they may be reading the history. */
        list_subscribers(audience, &channel->subscriptions, mark);
        for (struct list_node *node = channel->matches.next; node != &channel->matches;
             node = node->next)
            list_subscribers(audience,
                             &CONTAINER_OF(node, struct match, of_channel)->pattern->subscriptions,
                             mark);
        audience->is_stale = false;
        audience->made = channels->generation;
        move_to_end(&channels->heard, &channel->heard);
        forget_audiences(channels, channel);
    }
    audience->checked = channels->generation;
    return true;
}

/* ---- subscriptions */

struct subscription *
subscription_find(const struct subscriber *subscriber, struct text topic)
{
    for (struct list_node *node = subscriber->subscriptions.next;
         node != &subscriber->subscriptions; node = node->next) {
        struct subscription *subscription = CONTAINER_OF(node, struct subscription, of_subscriber);
        struct text text =
            subscription->channel ? subscription->channel->name : subscription->pattern->text;
        if (text_equal(text, topic))
            return subscription;
    }
    return NULL;
}

static enum status
check_room(const struct channels *channels, const struct subscriber *subscriber, bool is_pattern,
           struct error *error)
{
    const struct peer *peer = subscriber->peer;
    const struct known *known = peer->rights & CORE_ACT_FOR_OTHERS ? NULL : peer->known;
    if (subscriber->count >= SUBSCRIPTIONS_MAX)
        error_set_word(error, "too_many_subscriptions", "a session has at most %d subscriptions",
                       SUBSCRIPTIONS_MAX);
    else if (known && (known->subscriptions >= IDENTITY_SUBSCRIPTIONS_MAX ||
                       (is_pattern && known->patterns >= IDENTITY_PATTERNS_MAX)))
        error_set_word(error, "too_many_subscriptions",
                       "all sessions and streams of %.*s have at most %d subscriptions together, "
                       "%d of them to patterns",
                       TEXT_ARGS(peer->identity), IDENTITY_SUBSCRIPTIONS_MAX,
                       IDENTITY_PATTERNS_MAX);
    else if ((is_pattern && channels->pattern_subscriptions >= PATTERN_SUBSCRIPTIONS_MAX) ||
             channels->subscriptions >= SUBSCRIPTIONS_ALL_MAX)
        error_set_word(error, "too_many_subscriptions",
                       "the broker has as many subscriptions as it takes");
    else
        return STATUS_OK;
    return STATUS_QUOTA_EXCEEDED;
}

static void
count_subscription(struct channels *channels, const struct subscription *subscription,
                   size_t change)
{
    struct known *known = subscription->subscriber->peer->known;
    subscription->subscriber->count += change;
    channels->subscriptions += change;
    channels->pattern_subscriptions += subscription->pattern ? change : 0;
    if (!known)
        return;
    known->subscriptions += change;
    known->patterns += subscription->pattern ? change : 0;
}

static void
join_topic(struct channels *channels, struct subscription *subscription)
{
    if (subscription->pattern) {
        struct pattern *pattern = subscription->pattern;
        list_append(&pattern->subscriptions, &subscription->of_topic);
        pattern->subscription_count++;
        pattern->changed = ++channels->generation;
        return;
    }
    struct channel *channel = subscription->channel;
    list_append(&channel->subscriptions, &subscription->of_topic);
    channel->subscription_count++;
    channel->audience.is_stale = true;
    list_remove(&channel->idle);
}

static void
leave_topic(struct channels *channels, struct subscription *subscription)
{
    list_remove(&subscription->of_topic);
    if (subscription->pattern) {
        struct pattern *pattern = subscription->pattern;
        pattern->subscription_count--;
        pattern->changed = ++channels->generation;
        if (pattern->subscription_count == 0)
            pattern_drop(channels, pattern);
        return;
    }
    struct channel *channel = subscription->channel;
    channel->subscription_count--;
    channel->audience.is_stale = true;
    channel_tidy(channels, channel);
}

enum status
subscription_open(struct channels *channels, struct subscriber *subscriber, struct text topic,
                  struct subscription **subscription_p, struct error *error)
{
    bool is_pattern = glob_is_pattern(topic);
    enum status status = check_room(channels, subscriber, is_pattern, error);
    if (status != STATUS_OK)
        return status;
    struct subscription *subscription = calloc(1, sizeof *subscription);
    if (!subscription)
        return STATUS_NOMEM;
    subscription->subscriber = subscriber;
    status = is_pattern
                 ? pattern_open(channels, subscriber->peer, topic, &subscription->pattern, error)
                 : channel_open(channels, subscriber->peer, topic, &subscription->channel, error);
    if (status != STATUS_OK) {
        free(subscription);
        return status;
    }
    join_topic(channels, subscription);
    list_append(&subscriber->subscriptions, &subscription->of_subscriber);
    count_subscription(channels, subscription, 1);
    *subscription_p = subscription;
    return STATUS_OK;
}

void
subscription_close(struct channels *channels, struct subscription *subscription)
{
    struct subscriber *subscriber = subscription->subscriber;
    count_subscription(channels, subscription, (size_t)-1);
    leave_topic(channels, subscription);
    list_remove(&subscription->of_subscriber);
    subscriber->reading -= subscription->is_reading;
    free(subscription);
}
