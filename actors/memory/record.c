/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/record.h"

#include <math.h>

#include "kernel/message.h"
#include "kernel/pack.h"

enum { ROW_VERSION = 1, RECORD_PARTS = 7, ACCESS_PARTS = 3 };

static const char *const type_words[MEMORY_TYPES] = {
#define MEMORY_TYPE_WORD(id, word) word,
    MEMORY_TYPE_MAP(MEMORY_TYPE_WORD)
#undef MEMORY_TYPE_WORD
};

const char *
memory_type_word(enum memory_type type)
{
    return type_words[type];
}

bool
memory_type_find(struct text word, enum memory_type *type)
{
    for (unsigned i = 0; i < MEMORY_TYPES; i++)
        if (text_equal_string(word, type_words[i])) {
            *type = (enum memory_type)i;
            return true;
        }
    return false;
}

/* ---- metadata */

static bool
is_deeper(const struct value *value, unsigned depth)
{
    if (value->type != VALUE_MAP && value->type != VALUE_ARRAY)
        return false;
    if (depth == 0)
        return true;
    struct entries entries = value_entries(value);
    struct value key, item;
    while (value->type == VALUE_MAP ? entries_next_pair(&entries, &key, &item)
                                    : entries_next(&entries, &item))
        if (is_deeper(&item, depth - 1))
            return true;
    return false;
}

enum status
record_check_metadata(struct bytes metadata, struct error *error)
{
    struct value map;
    if (metadata.size > RECORD_METADATA_MAX)
        error_set_field(error, "metadata", "came %zu bytes packed, expected at most %d",
                        metadata.size, RECORD_METADATA_MAX);
    else if (!value_parse(metadata, &map) || map.type != VALUE_MAP)
        error_set_field(error, "metadata", "came something else, expected a map");
    else if (is_deeper(&map, RECORD_METADATA_DEPTH_MAX))
        error_set_field(error, "metadata", "nested deeper than the %d levels that are kept",
                        RECORD_METADATA_DEPTH_MAX);
    else
        return STATUS_OK;
    return STATUS_VALIDATION;
}

/* ---- writing */

void
record_encode(const struct record *record, struct buffer *out)
{
    pack_array(out, RECORD_PARTS);
    pack_uint(out, ROW_VERSION);
    pack_text(out, record->agent_id);
    pack_text(out, record->content);
    pack_string(out, memory_type_word(record->type));
    pack_double(out, record->importance);
    pack_uint(out, record->created_us);
    pack_raw(out, record->metadata);
}

void
access_encode(const struct access *access, struct buffer *out)
{
    pack_array(out, ACCESS_PARTS);
    pack_uint(out, ROW_VERSION);
    pack_uint(out, access->count);
    pack_uint(out, access->accessed_us);
}

/* ---- reading */

/* Opens the array and checks its version and length. */
static enum status
open_row(struct entries *entries, struct bytes row, uint32_t parts, struct error *error)
{
    struct value value, version;
    if (!value_parse(row, &value) || value.type != VALUE_ARRAY) {
        error_set(error, "%zu bytes that are no msgpack array", row.size);
        return STATUS_INVALID;
    }
    *entries = value_entries(&value);
    if (!entries_next(entries, &version) || version.type != VALUE_UINT ||
        version.as.uint != ROW_VERSION) {
        error_set(error, "the row's version is not %d", ROW_VERSION);
        return STATUS_INVALID;
    }
    if (value.as.count != parts) {
        error_set(error, "the row has %u parts, expected %u", value.as.count, parts);
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

static bool
next_text(struct entries *entries, size_t max, struct text *text)
{
    struct value value;
    if (!entries_next(entries, &value) || value.type != VALUE_TEXT || value.as.text.size == 0 ||
        value.as.text.size > max || !text_is_utf8(value.as.text))
        return false;
    *text = value.as.text;
    return true;
}

static bool
next_uint(struct entries *entries, uint64_t *number)
{
    struct value value;
    if (!entries_next(entries, &value) || value.type != VALUE_UINT)
        return false;
    *number = value.as.uint;
    return true;
}

static bool
next_importance(struct entries *entries, double *importance)
{
    struct value value;
    if (!entries_next(entries, &value) || value.type != VALUE_DOUBLE ||
        !isfinite(value.as.number) || value.as.number < 0 || value.as.number > 1)
        return false;
    *importance = value.as.number;
    return true;
}

enum status
record_decode(struct record *record, struct bytes row, struct error *error)
{
    struct entries entries;
    enum status status = open_row(&entries, row, RECORD_PARTS, error);
    if (status != STATUS_OK)
        return status;

    struct record read = {0};
    struct text type;
    struct value metadata;
    const char *wrong = NULL;
    if (!next_text(&entries, MESSAGE_NAME_MAX, &read.agent_id))
        wrong = "agent_id: expected 1 to 255 bytes of text";
    else if (!next_text(&entries, RECORD_CONTENT_MAX, &read.content))
        wrong = "content: expected 1 to 65536 bytes of text";
    else if (!next_text(&entries, MESSAGE_NAME_MAX, &type) || !memory_type_find(type, &read.type))
        wrong = "memory_type: expected engram, fact, episode, skill or context";
    else if (!next_importance(&entries, &read.importance))
        wrong = "importance: expected a number from 0 to 1";
    else if (!next_uint(&entries, &read.created_us))
        wrong = "created_at: expected microseconds";
    else if (!entries_next(&entries, &metadata) || metadata.type != VALUE_MAP)
        wrong = "metadata: expected a map";
    if (wrong) {
        error_set(error, "%s", wrong);
        return STATUS_INVALID;
    }
    read.metadata = metadata.raw;
    if (record_check_metadata(read.metadata, error) != STATUS_OK)
        return STATUS_INVALID;
    *record = read;
    return STATUS_OK;
}

enum status
access_decode(struct access *access, struct bytes row, struct error *error)
{
    struct entries entries;
    enum status status = open_row(&entries, row, ACCESS_PARTS, error);
    if (status != STATUS_OK)
        return status;
    struct access read;
    if (!next_uint(&entries, &read.count) || !next_uint(&entries, &read.accessed_us)) {
        error_set(error, "expected a count and microseconds");
        return STATUS_INVALID;
    }
    *access = read;
    return STATUS_OK;
}

enum status
record_key_decode(struct uuid *id, struct bytes key, struct error *error)
{
    if (key.size != sizeof id->bytes) {
        error_set(error, "a key of %zu bytes, expected an id of %zu", key.size, sizeof id->bytes);
        return STATUS_INVALID;
    }
    memcpy(id->bytes, key.data, sizeof id->bytes);
    return STATUS_OK;
}
