/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "kernel/assert.h"
#include "kernel/pack.h"

struct member {
    struct text key;
    struct value value;
};

static enum status append_value(struct buffer *out, const struct value *value, struct error *error);

/* text is checked UTF-8. */
static uint32_t
next_code_point(struct text *text)
{
    const unsigned char *at = (const unsigned char *)text->data;
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    uint32_t code = size == 1 ? at[0] : at[0] & (0x7fU >> size);
    for (size_t i = 1; i < size; i++)
        code = code << 6 | (at[i] & 0x3fU);
    text->data += size;
    text->size -= size;
    return code;
}

static void
append_code_point(struct buffer *out, uint32_t code)
{
    static const char short_escapes[] = "b\bf\fn\nr\rt\t\"\"\\\\";
    for (size_t i = 0; i + 1 < sizeof short_escapes; i += 2) {
        if (code == (unsigned char)short_escapes[i + 1]) {
            buffer_append_byte(out, '\\');
            buffer_append_byte(out, (uint8_t)short_escapes[i]);
            return;
        }
    }
    if (code >= 0x20 && code < 0x7f) {
        buffer_append_byte(out, (uint8_t)code);
    } else if (code < 0x10000) {
        buffer_append_format(out, "\\u%04x", code);
    } else {
        uint32_t offset = code - 0x10000;
        buffer_append_format(out, "\\u%04x\\u%04x", 0xd800 + (offset >> 10),
                             0xdc00 + (offset & 0x3ff));
    }
}

static enum status
append_text(struct buffer *out, struct text text, struct error *error)
{
    if (!text_is_utf8(text)) {
        error_set(error, "a text is not UTF-8");
        return STATUS_INVALID;
    }
    buffer_append_byte(out, '"');
    while (text.size > 0)
        append_code_point(out, next_code_point(&text));
    buffer_append_byte(out, '"');
    return STATUS_OK;
}

static enum status
append_array(struct buffer *out, const struct value *array, struct error *error)
{
    struct entries entries = value_entries(array);
    struct value entry;
    bool first = true;
    buffer_append_byte(out, '[');
    while (entries_next(&entries, &entry)) {
        if (!first)
            buffer_append_string(out, ", ");
        first = false;
        enum status status = append_value(out, &entry, error);
        if (status != STATUS_OK)
            return status;
    }
    buffer_append_byte(out, ']');
    return STATUS_OK;
}

/* The order of UTF-8 bytes is the order of code points, by which Python sorts. */
static int
compare_members(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    size_t shorter = a->key.size < b->key.size ? a->key.size : b->key.size;
    int order = shorter > 0 ? memcmp(a->key.data, b->key.data, shorter) : 0;
    return order != 0 ? order : (a->key.size > b->key.size) - (a->key.size < b->key.size);
}

static enum status
collect_members(const struct value *map, struct member *members, struct error *error)
{
    struct entries entries = value_entries(map);
    struct value key;
    size_t count = 0;
    while (entries_next_pair(&entries, &key, &members[count].value)) {
        if (key.type != VALUE_TEXT) {
            error_set(error, "a key of an object is not text");
            return STATUS_INVALID;
        }
        members[count++].key = key.as.text;
        if (count == map->as.count)
            break;
    }
    ASSERT(count == map->as.count);
    qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 1; i < count; i++) {
        if (text_equal(members[i - 1].key, members[i].key)) {
            error_set(error, "duplicate key \"%.*s\" in an object", TEXT_ARGS(members[i].key));
            return STATUS_INVALID;
        }
    }
    return STATUS_OK;
}

static enum status
append_members(struct buffer *out, const struct member *members, size_t count, struct error *error)
{
    buffer_append_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_append_string(out, ", ");
        enum status status = append_text(out, members[i].key, error);
        if (status != STATUS_OK)
            return status;
        buffer_append_string(out, ": ");
        status = append_value(out, &members[i].value, error);
        if (status != STATUS_OK)
            return status;
    }
    buffer_append_byte(out, '}');
    return STATUS_OK;
}

static enum status
append_map(struct buffer *out, const struct value *map, struct error *error)
{
    if (map->as.count == 0) {
        buffer_append_string(out, "{}");
        return STATUS_OK;
    }
    struct member *members = calloc(map->as.count, sizeof *members);
    if (!members) {
        error_set(error, "out of memory for %u members", map->as.count);
        return STATUS_NOMEM;
    }
    enum status status = collect_members(map, members, error);
    if (status == STATUS_OK)
        status = append_members(out, members, map->as.count, error);
    free(members);
    return status;
}

static enum status
append_value(struct buffer *out, const struct value *value, struct error *error)
{
    switch (value->type) {
    case VALUE_NIL:
        buffer_append_string(out, "null");
        return STATUS_OK;
    case VALUE_BOOL:
        buffer_append_string(out, value->as.boolean ? "true" : "false");
        return STATUS_OK;
    case VALUE_UINT:
        buffer_append_format(out, "%" PRIu64, value->as.uint);
        return STATUS_OK;
    case VALUE_INT:
        buffer_append_format(out, "%" PRId64, value->as.integer);
        return STATUS_OK;
    case VALUE_DOUBLE:
        if (!isfinite(value->as.number)) {
            error_set(error, "a number is not finite");
            return STATUS_INVALID;
        }
        json_append_double(out, value->as.number);
        return STATUS_OK;
    case VALUE_TEXT:
        return append_text(out, value->as.text, error);
    case VALUE_ARRAY:
        return append_array(out, value, error);
    case VALUE_MAP:
        return append_map(out, value, error);
    case VALUE_BIN:
    case VALUE_EXT:
        break;
    }
    error_set(error, "binary data has no form in JSON");
    return STATUS_INVALID;
}

enum status
json_canonical(struct bytes value, struct buffer *out, struct error *error)
{
    struct value parsed;
    if (!value_parse(value, &parsed)) {
        error_set(error, "not one whole msgpack value (%zu bytes)", value.size);
        return STATUS_INVALID;
    }
    size_t before = out->size;
    enum status status = append_value(out, &parsed, error);
    if (status == STATUS_OK && out->failed) {
        error_set(error, "out of memory for the canonical form of %zu bytes", value.size);
        status = STATUS_NOMEM;
    }
    if (status != STATUS_OK)
        out->size = before;
    return status;
}
