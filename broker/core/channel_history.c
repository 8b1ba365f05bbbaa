/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "broker/core/channel_table.h"

enum {
    RING_MIN = 8,
    KEPT_OVERHEAD = 64 /* of an event in memory, besides its bytes */
};

static size_t
cost_of(size_t size)
{
    return size + KEPT_OVERHEAD;
}

static void
drop_first(struct channels *channels, struct channel *channel)
{
    struct history *history = &channel->history;
    struct kept *kept = history->ring[history->start];
    history->bytes -= cost_of(kept->size);
    channels->kept_bytes -= cost_of(kept->size);
    free(kept);
    history->start = (history->start + 1) & (history->capacity - 1);
    history->count--;
}

void
history_drop(struct channels *channels, struct channel *channel)
{
    while (channel->history.count > 0)
        drop_first(channels, channel);
    free(channel->history.ring);
    channel->history = (struct history){.count = 0};
    list_remove(&channel->keeping);
}

static bool
grow(struct history *history)
{
    if (history->count < history->capacity)
        return true;
    size_t capacity = history->capacity ? history->capacity * 2 : RING_MIN;
    struct kept **ring = malloc(capacity * sizeof(struct kept *));
    if (!ring)
        return false;
    for (size_t i = 0; i < history->count; i++)
        ring[i] = history->ring[(history->start + i) & (history->capacity - 1)];
    free(history->ring);
    history->ring = ring;
    history->capacity = capacity;
    history->start = 0;
    return true;
}

static void
make_room(struct channels *channels, struct channel *channel, size_t cost)
{
    const struct core_options *options = &channels->core->options;
    struct history *history = &channel->history;
    while (history->count > 0 && (history->count >= options->channel_history_max ||
                                  history->bytes + cost > options->channel_history_bytes_max))
        drop_first(channels, channel);
    while (channels->kept_bytes + cost > options->channel_bytes_max &&
           !list_is_empty(&channels->keeping)) {
        struct channel *oldest = CONTAINER_OF(channels->keeping.next, struct channel, keeping);
        if (oldest != channel)
            history_drop(channels, oldest);
        else if (history->count > 0)
            drop_first(channels, channel);
        else
            break;
    }
}

void
history_keep(struct channels *channels, struct channel *channel, struct bytes record)
{
    const struct core_options *options = &channels->core->options;
    struct history *history = &channel->history;
    size_t cost = cost_of(record.size);
    bool fits = options->channel_history_max > 0 && cost <= options->channel_history_bytes_max &&
                cost <= options->channel_bytes_max;
    if (fits)
        make_room(channels, channel, cost);
    struct kept *kept = fits && grow(history) ? malloc(sizeof *kept + record.size) : NULL;
    if (!kept) {
        history_drop(channels, channel); /* what is kept has no gap */
        return;
    }
    kept->size = record.size;
    memcpy(kept->bytes, record.data, record.size);
    history->ring[(history->start + history->count++) & (history->capacity - 1)] = kept;
    history->bytes += cost;
    channels->kept_bytes += cost;
    if (!list_is_linked(&channel->keeping))
        list_append(&channels->keeping, &channel->keeping);
}

uint64_t
history_first(const struct channel *channel)
{
    return channel->seq + 1 - channel->history.count;
}

struct bytes
history_at(const struct channel *channel, uint64_t seq)
{
    const struct history *history = &channel->history;
    size_t place = (size_t)(seq - history_first(channel));
    const struct kept *kept = history->ring[(history->start + place) & (history->capacity - 1)];
    return (struct bytes){kept->bytes, kept->size};
}
