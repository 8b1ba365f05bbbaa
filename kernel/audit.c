/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/audit.h"

#include <sodium.h>

#include "kernel/clock.h"
#include "kernel/json.h"

enum { TRACE_ID_SIZE = 16 };

static void
add_member(struct buffer *out, const char *name, struct text value)
{
    buffer_append_format(out, ",\"%s\":", name);
    if (value.size > AUDIT_TEXT_MAX)
        value.size = AUDIT_TEXT_MAX;
    if (value.size == 0)
        buffer_append_string(out, "null");
    else
        json_append_text(out, value);
}

void
audit_format(const struct audit_entry *entry, uint64_t wall_us, struct buffer *out)
{
    char when[TIMESTAMP_TEXT_SIZE];
    char trace[2 * TRACE_ID_SIZE + 1] = "";
    timestamp_format(wall_us, when);
    if (entry->trace.size >= TRACE_ID_SIZE)
        sodium_bin2hex(trace, sizeof trace, entry->trace.data, TRACE_ID_SIZE);
    buffer_append_format(out, "{\"ts\":\"%s\"", when);
    add_member(out, "event", text_of(entry->event));
    add_member(out, "actor", entry->actor);
    add_member(out, "subject", entry->subject);
    add_member(out, "action", entry->action);
    add_member(out, "resource", entry->resource);
    add_member(out, "capability_id", entry->capability_id);
    add_member(out, "trace_id", text_of(trace));
    add_member(out, "outcome", text_of(entry->outcome));
    add_member(out, "detail", entry->detail);
    buffer_append_string(out, "}\n");
}
