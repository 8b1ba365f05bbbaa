/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/channel_bus.c - the operations of channels: bus_publish, bus_history, bus_channels.
 */
#include <stdlib.h>

#include "broker/core/channel_table.h"
#include "broker/core/form.h"
#include "broker/core/presence.h"
#include "kernel/identity.h"
#include "kernel/pack.h"

enum {
    ANSWER_SIZE_MAX = 200 * 1024, /* then a list ends, whatever its limit */
    NAME_STEPS = 1024 /* of a glob, in bytes of the pattern times 128: one unit of work */
};

static const char *
answer_payload(struct core *core, const struct bus_call *call)
{
    return core->payload.failed ? bus_refuse(core, call, STATUS_NOMEM, NULL)
                                : bus_answer(core, call, buffer_bytes(&core->payload));
}

/* ---- bus_publish */

static struct bytes
raw_argument(const struct arguments *arguments, unsigned field)
{
    return arguments_has(arguments, field) ? arguments->values[field].raw : (struct bytes){NULL, 0};
}

const char *
bus_publish(struct core *core, const struct bus_call *call)
{
    const struct arguments *arguments = call->arguments;
    struct error error = ERROR_INIT;
    size_t given = 0;
    struct message event = {.id = uuid_next(&core->ids, core->now.wall_us),
                            .source = arguments_text(arguments, BUS_PUBLISH_FROM),
                            .target = arguments_text(arguments, BUS_PUBLISH_CHANNEL),
                            .type = arguments_text(arguments, BUS_PUBLISH_TYPE),
                            .timestamp_us = core->now.wall_us,
                            .trace = call->message->trace,
                            .metadata = raw_argument(arguments, BUS_PUBLISH_METADATA),
                            .payload = raw_argument(arguments, BUS_PUBLISH_PAYLOAD)};
    enum status status = bus_check_speaker(call, event.source, "from", &error);
    if (status == STATUS_OK)
        status = channel_check_name(event.target, false, &error);
    if (status == STATUS_OK && channel_is_reserved(event.target))
        status = channel_refuse_reserved(&error);
    if (status == STATUS_OK)
        status = channel_publish(core, call->peer, &event, &given, &error);
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);
    buffer_reset(&core->payload);
    pack_map(&core->payload, 3);
    form_uuid(&core->payload, "message_id", &event.id);
    pack_pair_uint(&core->payload, "seq", event.seq);
    pack_pair_uint(&core->payload, "subscribers", given);
    return answer_payload(core, call);
}

/* ---- bus_history */

/* The numbers of the events to show: [first, end). */
struct range {
    uint64_t first;
    uint64_t end;
};

static size_t
form_size(const struct channel *channel, uint64_t seq)
{
    return history_at(channel, seq).size + CHANNEL_FORM_OVERHEAD;
}

/* The newest ones that fit. */
static struct range
newest(const struct channel *channel, uint64_t limit)
{
    struct range range = {channel->seq + 1, channel->seq + 1};
    size_t size = 0;
    while (range.first > history_first(channel) && range.end - range.first < limit) {
        size += form_size(channel, range.first - 1);
        if (size > ANSWER_SIZE_MAX && range.first < range.end)
            break;
        range.first--;
    }
    return range;
}

/* The oldest ones behind a number that fit. */
static struct range
oldest(const struct channel *channel, uint64_t after, uint64_t limit)
{
    uint64_t first = history_first(channel);
    if (after >= first)
        first = after < channel->seq ? after + 1 : channel->seq + 1;
    struct range range = {first, first};
    size_t size = 0;
    while (range.end <= channel->seq && range.end - range.first < limit) {
        size += form_size(channel, range.end);
        if (size > ANSWER_SIZE_MAX && range.end > range.first)
            break;
        range.end++;
    }
    return range;
}

static void
pack_kept(struct buffer *out, const struct channel *channel, struct range range)
{
    pack_array(out, (uint32_t)(range.end - range.first));
    for (uint64_t seq = range.first; seq < range.end; seq++) {
        struct message event;
        size_t used;
        if (message_decode(&event, history_at(channel, seq), &used, NULL) == STATUS_OK)
            channel_pack_event(out, &event);
        else
            pack_nil(out);
    }
}

const char *
bus_history(struct core *core, const struct bus_call *call)
{
    struct text name = arguments_text(call->arguments, BUS_HISTORY_CHANNEL);
    uint64_t after = (uint64_t)arguments_integer(call->arguments, BUS_HISTORY_AFTER);
    uint64_t limit = (uint64_t)arguments_integer(call->arguments, BUS_HISTORY_LIMIT);
    struct error error = ERROR_INIT;
    enum status status = channel_check_name(name, false, &error);
    if (status == STATUS_OK)
        status = presence_may_work(core, call->peer, &error);
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);

    const struct channel *channel = channel_find(core->channels, name);
    struct range range = {0, 0};
    if (channel)
        range = after > 0 ? oldest(channel, after, limit) : newest(channel, limit);
    struct buffer *out = &core->payload;
    buffer_reset(out);
    pack_map(out, 4);
    pack_pair_text(out, "channel", name);
    pack_pair_uint(out, "first_seq", channel ? history_first(channel) : 0);
    pack_pair_uint(out, "last_seq", channel ? channel->seq : 0);
    pack_string(out, "events");
    pack_kept(out, channel, range);
    presence_worked(core, call->peer, 1 + (size_t)(range.end - range.first) / 4 + out->size / 8192);
    return answer_payload(core, call);
}

/* ---- bus_channels */

static void
pack_channel(struct buffer *out, const struct channel *channel)
{
    pack_map(out, 5);
    pack_pair_text(out, "channel", channel->name);
    pack_pair_uint(out, "subscribers", channel_listeners(channel));
    pack_pair_uint(out, "last_seq", channel->seq);
    pack_pair_uint(out, "events", channel->history.count);
    pack_pair_uint(out, "bytes", channel->history.bytes);
}

const char *
bus_channels(struct core *core, const struct bus_call *call)
{
    struct text pattern = arguments_text(call->arguments, BUS_CHANNELS_PATTERN);
    int64_t limit = arguments_integer(call->arguments, BUS_CHANNELS_LIMIT);
    struct error error = ERROR_INIT;
    enum status status = presence_may_work(core, call->peer, &error);
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);

    const struct list_node *all = &core->channels->all;
    struct buffer entries;
    uint32_t count = 0;
    size_t work = 0;
    buffer_init(&entries);
    for (struct list_node *node = all->next;
         node != all && (int64_t)count < limit && entries.size < ANSWER_SIZE_MAX;
         node = node->next) {
        const struct channel *channel = CONTAINER_OF(node, struct channel, all);
        work += 1 + pattern.size * 128 / NAME_STEPS;
        if (!glob_match(pattern, channel->name))
            continue;
        pack_channel(&entries, channel);
        count++;
    }
    presence_worked(core, call->peer, work);
    buffer_reset(&core->payload);
    pack_map(&core->payload, 1);
    pack_string(&core->payload, "channels");
    pack_array(&core->payload, count);
    buffer_append(&core->payload, entries.data, entries.size);
    core->payload.failed = core->payload.failed || entries.failed;
    buffer_clear(&entries);
    return answer_payload(core, call);
}
