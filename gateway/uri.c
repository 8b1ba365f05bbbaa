/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/uri.h"

#include "kernel/assert.h"

/* The storage has room for the whole target, so that earlier views stay valid. */
static enum status
decode(struct text raw, const char *where, struct buffer *storage, struct text *out,
       struct error *error)
{
    bool in_query = where[0] == 'q';
    size_t begin = storage->size;
    for (size_t i = 0; i < raw.size; i++) {
        char byte = raw.data[i];
        if (byte == '+' && in_query) {
            byte = ' ';
        } else if (byte == '%') {
            int high = raw.size - i > 2 ? hex_digit_value(raw.data[i + 1]) : -1;
            int low = raw.size - i > 2 ? hex_digit_value(raw.data[i + 2]) : -1;
            if (high < 0 || low < 0) {
                error_set(error, "%s: came '%%' without two hexadecimal digits after it", where);
                return STATUS_INVALID;
            }
            byte = (char)(high << 4 | low);
            i += 2;
        }
        if (byte == '\0') {
            error_set(error, "%s: came a NUL byte, expected text", where);
            return STATUS_INVALID;
        }
        buffer_append_byte(storage, (uint8_t)byte);
    }
    struct text decoded = {(const char *)storage->data + begin, storage->size - begin};
    if (!text_is_utf8(decoded)) {
        error_set(error, "%s: came bytes that are not UTF-8", where);
        return STATUS_INVALID;
    }
    *out = decoded;
    return STATUS_OK;
}

/* Takes the part before the first `mark` (or all) off rest. */
static bool
next_part(struct text *rest, char mark, struct text *part)
{
    if (!rest->data)
        return false;
    const char *end = memchr(rest->data, mark, rest->size);
    if (!end) {
        *part = *rest;
        *rest = (struct text){NULL, 0};
        return true;
    }
    size_t size = (size_t)(end - rest->data);
    *part = (struct text){rest->data, size};
    *rest = (struct text){end + 1, rest->size - size - 1};
    return true;
}

static enum status
parse_path(struct text path, struct uri *uri, struct buffer *storage, struct error *error)
{
    if (path.size == 0 || path.data[0] != '/') {
        error_set(error, "path: expected one that begins with '/'");
        return STATUS_INVALID;
    }
    struct text rest = {path.data + 1, path.size - 1};
    struct text part;
    if (rest.size == 0)
        return STATUS_OK;
    while (next_part(&rest, '/', &part)) {
        if (uri->segment_count == URI_SEGMENTS_MAX) {
            error_set(error, "path: more than %d segments", URI_SEGMENTS_MAX);
            return STATUS_NOT_FOUND;
        }
        enum status status =
            decode(part, "path", storage, &uri->segments[uri->segment_count], error);
        if (status != STATUS_OK)
            return status;
        uri->segment_count++;
    }
    return STATUS_OK;
}

static enum status
parse_query(struct text query, struct uri *uri, struct buffer *storage, struct error *error)
{
    struct text rest = query;
    struct text part;
    while (next_part(&rest, '&', &part)) {
        if (part.size == 0)
            continue;
        if (uri->query_count == URI_QUERY_MAX) {
            error_set(error, "query: more than %d parameters", URI_QUERY_MAX);
            return STATUS_INVALID;
        }
        struct uri_pair *pair = &uri->query[uri->query_count];
        struct text value = part;
        struct text name;
        next_part(&value, '=', &name);
        enum status status = decode(name, "query", storage, &pair->name, error);
        if (status == STATUS_OK)
            status =
                decode(value.data ? value : text_of(""), "query", storage, &pair->value, error);
        if (status != STATUS_OK)
            return status;
        uri->query_count++;
    }
    return STATUS_OK;
}

enum status
uri_parse(struct text target, struct uri *uri, struct buffer *storage, struct error *error)
{
    uri->segment_count = 0;
    uri->query_count = 0;
    buffer_reset(storage);
    if (!buffer_reserve(storage, target.size + 1))
        return STATUS_NOMEM;
    const uint8_t *base = storage->data;

    struct text query = target;
    struct text path;
    next_part(&query, '?', &path);
    enum status status = parse_path(path, uri, storage, error);
    if (status == STATUS_OK && query.data)
        status = parse_query(query, uri, storage, error);
    ASSERT(storage->data == base);
    return status;
}
