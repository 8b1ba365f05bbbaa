/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"

struct sos_event *
event_new(const struct message *message)
{
    struct sos_event *event = malloc(sizeof *event + envelope_size(message));
    if (!event)
        return NULL;
    *event = (struct sos_event){0};
    link_init(&event->link);
    envelope_fill(&event->envelope, message, event->storage);
    return event;
}

void
sos_event_free(struct sos_event **event_p)
{
    struct sos_event *event = *event_p;
    *event_p = NULL;
    if (!event)
        return;
    envelope_clear(&event->envelope);
    free(event);
}

const char *
sos_event_channel(const struct sos_event *event)
{
    return event->envelope.to;
}

uint64_t
sos_event_seq(const struct sos_event *event)
{
    return event->envelope.message.seq;
}

const char *
sos_event_from(const struct sos_event *event)
{
    return event->envelope.from;
}

const char *
sos_event_type(const struct sos_event *event)
{
    return event->envelope.type;
}

struct sos_bytes
sos_event_payload(const struct sos_event *event)
{
    struct bytes payload = event->envelope.message.payload;
    return (struct sos_bytes){payload.data, payload.size};
}

const struct sos_map *
sos_event_map(struct sos_event *event)
{
    return envelope_map(&event->envelope);
}

const char *
sos_event_text(struct sos_event *event)
{
    return envelope_text(&event->envelope);
}

const struct sos_id *
sos_event_id(const struct sos_event *event)
{
    return (const struct sos_id *)(const void *)&event->envelope.message.id;
}

uint64_t
sos_event_sent_us(const struct sos_event *event)
{
    return event->envelope.message.timestamp_us;
}

struct sos_bytes
sos_event_metadata(const struct sos_event *event)
{
    struct bytes metadata = event->envelope.message.metadata;
    return (struct sos_bytes){metadata.data, metadata.size};
}

const char *
sos_event_trace(const struct sos_event *event)
{
    return event->envelope.trace;
}

uint64_t
sos_event_missed(const struct sos_event *event)
{
    return event->missed;
}

/* ---- history */

struct sos_history {
    size_t count;
    struct sos_event *list[];
};

/* As a record, so that it is the same as one that came live. */
static struct sos_event *
event_of_map(const struct value *map)
{
    struct message message = {.kind = KIND_EVENT};
    struct text id = {0};
    struct text sent_at = {0};
    struct value value;
    if (!value_find_text(map, "channel", &message.target) ||
        !value_find_uint(map, "seq", &message.seq) ||
        !value_find_text(map, "from", &message.source) || !value_find_text(map, "id", &id) ||
        !uuid_parse(id, &message.id))
        return NULL;
    value_find_text(map, "type", &message.type);
    if (value_find_text(map, "sent_at", &sent_at))
        timestamp_parse(sent_at, &message.timestamp_us);
    if (value_find(map, "payload", &value) && value.type != VALUE_NIL)
        message.payload = value.raw;
    if (value_find(map, "metadata", &value) && value.type == VALUE_MAP)
        message.metadata = value.raw;
    struct buffer record;
    struct sos_event *event = NULL;
    size_t used;
    buffer_init(&record);
    if (message_encode(&record, &message, NULL) == STATUS_OK &&
        message_decode(&message, buffer_bytes(&record), &used, NULL) == STATUS_OK)
        event = event_new(&message);
    buffer_clear(&record);
    return event;
}

static struct sos_history *
read_history(struct sos_bytes reply)
{
    struct value map;
    struct value list;
    struct value entry;
    if (!value_parse((struct bytes){reply.data, reply.size}, &map) ||
        !value_find(&map, "events", &list) || list.type != VALUE_ARRAY)
        list = (struct value){.type = VALUE_ARRAY};
    struct sos_history *history =
        calloc(1, sizeof *history + list.as.count * sizeof history->list[0]);
    if (!history)
        return NULL;
    struct entries entries = value_entries(&list);
    while (entries_next(&entries, &entry)) {
        struct sos_event *event = event_of_map(&entry);
        if (event)
            history->list[history->count++] = event;
    }
    return history;
}

int
sos_history_read(struct sos *sos, const char *channel, uint64_t after, uint32_t limit,
                 struct sos_history **history_p, struct sos_error *told)
{
    enum { LIMIT_DEFAULT = 100 };
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 3);
    pack_pair_text(&payload, "channel", basic_text(channel));
    pack_pair_uint(&payload, "after", after);
    pack_pair_uint(&payload, "limit", limit ? limit : LIMIT_DEFAULT);
    struct sos_call call = {.target = "service:bus",
                            .type = "bus_history",
                            .payload = {payload.data, payload.size},
                            .idempotent = true};
    struct sos_bytes reply = {0};
    struct error error;
    error_set(&error, "out of memory");
    int result = payload.failed ? basic_fail(told, STATUS_NOMEM, &error)
                                : sos_call(sos, &call, &reply, told);
    buffer_clear(&payload);
    if (result != SOS_OK)
        return result;
    struct sos_history *history = read_history(reply);
    sos_bytes_free(&reply);
    if (!history)
        return basic_fail(told, STATUS_NOMEM, &error);
    *history_p = history;
    return SOS_OK;
}

size_t
sos_history_count(const struct sos_history *history)
{
    return history->count;
}

struct sos_event *
sos_history_at(struct sos_history *history, size_t index)
{
    return index < history->count ? history->list[index] : NULL;
}

void
sos_history_free(struct sos_history **history_p)
{
    struct sos_history *history = *history_p;
    *history_p = NULL;
    if (!history)
        return;
    for (size_t i = 0; i < history->count; i++)
        sos_event_free(&history->list[i]);
    free(history);
}
