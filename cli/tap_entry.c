/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tap_entry.h"

#include <sodium.h>

static void
read_uuid(const struct value *record, const char *key, struct uuid *uuid)
{
    struct text text;
    if (value_find_text(record, key, &text))
        uuid_parse(text, uuid);
}

static enum kind
kind_of(struct text word)
{
    for (unsigned i = KIND_HELLO; i <= KIND_ERROR; i++)
        if (text_equal_string(word, kind_word((enum kind)i)))
            return (enum kind)i;
    return (enum kind)0;
}

bool
tap_entry_read(struct tap_entry *entry, const struct value *record)
{
    *entry = (struct tap_entry){.raw = *record};
    if (record->type != VALUE_MAP)
        return false;
    struct text direction = {"", 0};
    struct text kind = {"", 0};
    uint64_t status = 0;
    size_t size = 0;
    value_find_uint(record, "at_us", &entry->at_us);
    value_find_text(record, "direction", &direction);
    value_find_text(record, "kind", &kind);
    entry->out = text_equal_string(direction, "out");
    entry->kind = kind_of(kind);
    read_uuid(record, "id", &entry->id);
    read_uuid(record, "correlation", &entry->correlation);
    value_find_text(record, "source", &entry->source);
    value_find_text(record, "target", &entry->target);
    value_find_text(record, "type", &entry->type);
    value_find_text(record, "principal", &entry->principal);
    value_find_text(record, "capability", &entry->capability);
    value_find_text(record, "verdict", &entry->verdict);
    value_find_text(record, "note", &entry->note);
    value_find_text(record, "span", &entry->span);
    value_find_uint(record, "ttl_ms", &entry->ttl_ms);
    value_find_uint(record, "attempt", &entry->attempt);
    value_find_uint(record, "size", &entry->size);
    entry->has_seq = value_find_uint(record, "seq", &entry->seq);
    entry->has_status = value_find_uint(record, "status", &status) && status <= UINT32_MAX;
    entry->status = entry->has_status ? (uint32_t)status : 0;
    entry->has_trace = value_find_text(record, "trace", &entry->trace_text) &&
                       sodium_hex2bin(entry->trace, sizeof entry->trace, entry->trace_text.data,
                                      entry->trace_text.size, NULL, &size, NULL) == 0 &&
                       size == sizeof entry->trace;
    entry->has_payload = value_find(record, "payload", &entry->payload);
    return true;
}

struct tap_header
tap_entry_header(const struct tap_entry *entry)
{
    return (struct tap_header){
        .kind = entry->kind ? text_of(kind_word(entry->kind)) : (struct text){"", 0},
        .source = entry->source,
        .target = entry->target,
        .type = entry->type,
        .verdict = entry->verdict,
        .trace = {entry->trace, entry->has_trace ? sizeof entry->trace : 0},
        .has_status = entry->has_status,
        .status = entry->status,
    };
}

bool
tap_entry_is_lost(const struct tap_entry *entry)
{
    return text_starts_with(entry->verdict, "refused") ||
           text_equal_string(entry->verdict, "dropped");
}
