/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/form.h"

#include "kernel/clock.h"
#include "kernel/pack.h"
#include "kernel/trace.h"

void
form_uuid(struct buffer *out, const char *key, const struct uuid *uuid)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(uuid, text);
    pack_pair_string(out, key, text);
}

void
form_time(struct buffer *out, const char *key, uint64_t wall_us)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(wall_us, text);
    pack_pair_string(out, key, text);
}

void
form_payload(struct buffer *out, const char *key, struct bytes payload)
{
    struct value value;
    pack_string(out, key);
    if (payload.size == 0)
        pack_nil(out);
    else if (value_parse(payload, &value))
        pack_raw(out, payload);
    else
        pack_bin(out, payload.data, payload.size);
}

void
form_trace_id(struct buffer *out, const char *key, struct bytes trace)
{
    struct trace parsed = {{0}, {0}, {0}, false};
    char text[TRACE_ID_TEXT_SIZE];
    memcpy(parsed.trace_id, trace.data, sizeof parsed.trace_id);
    trace_format_id(&parsed, text);
    pack_pair_string(out, key, text);
}
