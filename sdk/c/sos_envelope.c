/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"

/* The record as it came, so that the views of the message can be made anew, and NUL-terminated
 * copies of its texts. */
size_t
envelope_size(const struct message *message)
{
    return message->raw.size + message->source.size + message->target.size + message->type.size +
           message->principal.size + message->capability.size + 5;
}

static const char *
put_text(char **at, struct text text)
{
    char *copy = *at;
    if (text.size)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *at += text.size + 1;
    return copy;
}

void
envelope_fill(struct envelope *envelope, const struct message *message, void *storage)
{
    *envelope = (struct envelope){0};
    uint8_t *record = storage;
    memcpy(record, message->raw.data, message->raw.size);
    size_t used;
    message_decode(&envelope->message, (struct bytes){record, message->raw.size}, &used, NULL);
    char *at = (char *)storage + message->raw.size;
    envelope->from = put_text(&at, message->source);
    envelope->to = put_text(&at, message->target);
    envelope->type = put_text(&at, message->type);
    envelope->principal = put_text(&at, message->principal);
    envelope->capability = put_text(&at, message->capability);
    if (message->trace.size == TRACE_PACKED) {
        struct trace trace = {.sampled = true};
        memcpy(trace.trace_id, message->trace.data, sizeof trace.trace_id);
        memcpy(trace.span_id, message->trace.data + sizeof trace.trace_id, sizeof trace.span_id);
        trace_format_traceparent(&trace, envelope->trace);
    }
}

void
envelope_clear(struct envelope *envelope)
{
    sos_map_free(&envelope->map);
    free(envelope->text);
}

static void
parse(struct envelope *envelope)
{
    struct bytes payload = envelope->message.payload;
    struct value value;
    if (envelope->parsed)
        return;
    envelope->parsed = true;
    if (value_parse(payload, &value) && value.type == VALUE_TEXT)
        envelope->text = text_copy(value.as.text);
    else
        sos_map_parse(&envelope->map, (struct sos_bytes){payload.data, payload.size}, NULL);
}

const struct sos_map *
envelope_map(struct envelope *envelope)
{
    parse(envelope);
    return envelope->map;
}

const char *
envelope_text(struct envelope *envelope)
{
    parse(envelope);
    return envelope->text;
}
