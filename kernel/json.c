/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/json.h"

#include <inttypes.h>
#include <math.h>

#include "kernel/assert.h"
#include "kernel/pack.h"

/* Length of the UTF-8 character that text begins with, 0 when it is none. */
static size_t
character_size(struct text text)
{
    unsigned char first = (unsigned char)text.data[0];
    size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (size > text.size || !text_is_utf8((struct text){text.data, size}))
        return 0;
    return size;
}

static bool
is_line_separator(const char *character)
{
    return memcmp(character, "\xe2\x80\xa8", 3) == 0 || memcmp(character, "\xe2\x80\xa9", 3) == 0;
}

/* Appends one character or broken byte that is not plain; answers its length. */
static size_t
append_special(struct buffer *out, struct text rest)
{
    static const char short_escapes[] = "b\bf\fn\nr\rt\t\"\"\\\\";
    unsigned char first = (unsigned char)rest.data[0];
    for (size_t i = 0; i + 1 < sizeof short_escapes; i += 2) {
        if (rest.data[0] == short_escapes[i + 1]) {
            buffer_append_byte(out, '\\');
            buffer_append_byte(out, (uint8_t)short_escapes[i]);
            return 1;
        }
    }
    if (first < 0x20) {
        buffer_append_format(out, "\\u%04x", first);
        return 1;
    }
    size_t size = character_size(rest);
    if (size == 0) {
        buffer_append_string(out, "\xef\xbf\xbd");
        return 1;
    }
    if (size == 3 && is_line_separator(rest.data))
        buffer_append_string(out, (unsigned char)rest.data[2] == 0xa8 ? "\\u2028" : "\\u2029");
    else
        buffer_append(out, rest.data, size);
    return size;
}

static bool
is_plain(char character)
{
    unsigned char byte = (unsigned char)character;
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

void
json_append_text(struct buffer *out, struct text text)
{
    buffer_append_byte(out, '"');
    size_t at = 0;
    while (at < text.size) {
        size_t run = at;
        while (run < text.size && is_plain(text.data[run]))
            run++;
        if (run > at)
            buffer_append(out, text.data + at, run - at);
        at = run;
        if (at < text.size)
            at += append_special(out, (struct text){text.data + at, text.size - at});
    }
    buffer_append_byte(out, '"');
}

static void
append_base64(struct buffer *out, struct bytes bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buffer_append_byte(out, '"');
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t group = (uint32_t)bytes.data[at] << 16;
        if (left > 1)
            group |= (uint32_t)bytes.data[at + 1] << 8;
        if (left > 2)
            group |= bytes.data[at + 2];
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63],
                        left > 1 ? digits[group >> 6 & 63] : '=',
                        left > 2 ? digits[group & 63] : '='};
        buffer_append(out, text, sizeof text);
    }
    buffer_append_byte(out, '"');
}

static void
append_scalar(struct buffer *out, const struct value *value)
{
    switch (value->type) {
    case VALUE_NIL:
        buffer_append_string(out, "null");
        break;
    case VALUE_BOOL:
        buffer_append_string(out, value->as.boolean ? "true" : "false");
        break;
    case VALUE_UINT:
        buffer_append_format(out, "%" PRIu64, value->as.uint);
        break;
    case VALUE_INT:
        buffer_append_format(out, "%" PRId64, value->as.integer);
        break;
    case VALUE_DOUBLE:
        if (isfinite(value->as.number))
            json_append_double(out, value->as.number);
        else
            buffer_append_string(out, "null");
        break;
    case VALUE_TEXT:
        json_append_text(out, value->as.text);
        break;
    case VALUE_BIN:
    case VALUE_EXT:
        append_base64(out, value->as.bin);
        break;
    case VALUE_ARRAY:
    case VALUE_MAP:
        break;
    }
}

/* A container as key becomes base64 of its bytes: its JSON inside a JSON string
 * would double its escapes with each level. */
static void
append_key(struct buffer *out, struct reader *reader)
{
    struct reader start = *reader;
    struct value key;
    bool whole = reader_next(reader, &key);
    ASSERT(whole);
    if (key.type == VALUE_ARRAY || key.type == VALUE_MAP) {
        *reader = start;
        whole = reader_skip(reader);
        ASSERT(whole);
        append_base64(out, (struct bytes){start.at, (size_t)(reader->at - start.at)});
        return;
    }
    bool quoted = key.type == VALUE_TEXT || key.type == VALUE_BIN || key.type == VALUE_EXT;
    if (!quoted)
        buffer_append_byte(out, '"');
    append_scalar(out, &key);
    if (!quoted)
        buffer_append_byte(out, '"');
}

/* The bytes were parsed before, so every read succeeds and the depth is bounded. */
static void
append_value(struct buffer *out, struct reader *reader)
{
    struct value value;
    bool whole = reader_next(reader, &value);
    ASSERT(whole);
    if (value.type != VALUE_ARRAY && value.type != VALUE_MAP) {
        append_scalar(out, &value);
        return;
    }
    bool map = value.type == VALUE_MAP;
    buffer_append_byte(out, map ? '{' : '[');
    for (uint32_t i = 0; i < value.as.count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        if (map) {
            append_key(out, reader);
            buffer_append_byte(out, ':');
        }
        append_value(out, reader);
    }
    buffer_append_byte(out, map ? '}' : ']');
}

enum status
msgpack_to_json(struct bytes value, struct buffer *out, struct error *error)
{
    struct value parsed;
    if (!value_parse(value, &parsed)) {
        error_set(error, "not one whole msgpack value (%zu bytes)", value.size);
        return STATUS_INVALID;
    }
    size_t before = out->size;
    struct reader reader = reader_of(value);
    append_value(out, &reader);
    if (out->failed) {
        out->size = before;
        error_set(error, "out of memory for the JSON of %zu bytes", value.size);
        return STATUS_NOMEM;
    }
    return STATUS_OK;
}
