/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sse.h"

#include "gateway/translate.h"
#include "kernel/json.h"
#include "kernel/pack.h"

static bool
is_map(struct bytes payload)
{
    struct value value;
    return value_parse(payload, &value) && value.type == VALUE_MAP;
}

static bool
close_event(struct buffer *out, size_t begin, bool written)
{
    if (!written) {
        out->size = begin;
        return false;
    }
    buffer_append_string(out, "\n\n");
    return true;
}

bool
sse_chunk(struct buffer *out, struct bytes payload)
{
    size_t begin = out->size;
    bool map = is_map(payload);
    buffer_append_string(out, map ? "data: " : "data: {\"chunk\":");
    bool written = msgpack_to_json(payload, out, NULL) == STATUS_OK;
    if (!map)
        buffer_append_byte(out, '}');
    return close_event(out, begin, written);
}

bool
sse_done(struct buffer *out, struct bytes reply)
{
    size_t begin = out->size;
    if (reply.size == 0) {
        buffer_append_string(out, "data: {\"done\":true}");
        return close_event(out, begin, true);
    }
    if (!is_map(reply)) {
        buffer_append_string(out, "data: {\"done\":true,\"result\":");
        bool written = msgpack_to_json(reply, out, NULL) == STATUS_OK;
        buffer_append_byte(out, '}');
        return close_event(out, begin, written);
    }
    struct value map;
    struct value key;
    struct value member;
    bool written = value_parse(reply, &map);
    buffer_append_string(out, "data: {\"done\":true");
    for (struct entries entries = value_entries(&map);
         written && entries_next_pair(&entries, &key, &member);) {
        if (key.type != VALUE_TEXT || text_equal_string(key.as.text, "done"))
            continue;
        buffer_append_byte(out, ',');
        json_append_text(out, key.as.text);
        buffer_append_byte(out, ':');
        written = msgpack_to_json(member.raw, out, NULL) == STATUS_OK;
    }
    buffer_append_byte(out, '}');
    return close_event(out, begin, written);
}

void
sse_error(struct buffer *out, enum status status, struct bytes payload)
{
    buffer_append_string(out, "data: {\"error\":");
    translate_error_object(status, payload, out);
    buffer_append_string(out, "}\n\n");
}
