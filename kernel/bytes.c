/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_CAPACITY_MIN = 64 };

bool
text_starts_with(struct text text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && (size == 0 || memcmp(text.data, prefix, size) == 0);
}

int
hex_digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

char *
text_copy(struct text text)
{
    if (text.size == SIZE_MAX)
        return NULL;
    char *copy = malloc(text.size + 1);
    if (!copy)
        return NULL;
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

/* Size of the well-formed sequence at the start; 0 when there is none. The second byte's range
 * shuts out overlong forms, surrogates and what lies beyond U+10FFFF (RFC 3629 section 4). */
static size_t
sequence_size(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0], low = 0x80, high = 0xBF;
    size_t size;

    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        size = 2;
    else if (lead >= 0xE0 && lead <= 0xEF)
        size = 3;
    else if (lead >= 0xF0 && lead <= 0xF4)
        size = 4;
    else
        return 0;
    if (left < size)
        return 0;

    if (lead == 0xE0)
        low = 0xA0;
    else if (lead == 0xED)
        high = 0x9F;
    else if (lead == 0xF0)
        low = 0x90;
    else if (lead == 0xF4)
        high = 0x8F;
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    return size;
}

bool
text_is_utf8(struct text text)
{
    static const uint64_t high_bits = 0x8080808080808080u;
    const uint8_t *at = (const uint8_t *)text.data;
    size_t left = text.size;

    while (left > 0) {
        uint64_t eight;
        if (left >= sizeof eight) {
            memcpy(&eight, at, sizeof eight);
            if (!(eight & high_bits)) {
                at += sizeof eight;
                left -= sizeof eight;
                continue;
            }
        }
        size_t size = sequence_size(at, left);
        if (size == 0)
            return false;
        at += size;
        left -= size;
    }
    return true;
}

void
buffer_init(struct buffer *buffer)
{
    *buffer = (struct buffer){0};
}

void
buffer_clear(struct buffer *buffer)
{
    free(buffer->data);
    buffer_init(buffer);
}

void
buffer_reset(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

bool
buffer_reserve(struct buffer *buffer, size_t more)
{
    if (buffer->failed)
        return false;
    if (more <= buffer->capacity - buffer->size)
        return true;
    if (more > SIZE_MAX - buffer->size)
        goto fail;

    size_t needed = buffer->size + more;
    size_t capacity = buffer->capacity > SIZE_MAX / 2 ? SIZE_MAX : buffer->capacity * 2;
    if (capacity < BUFFER_CAPACITY_MIN)
        capacity = BUFFER_CAPACITY_MIN;
    if (capacity < needed)
        capacity = needed;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        goto fail;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;

fail:
    buffer->failed = true;
    return false;
}

void
buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    if (!buffer_reserve(buffer, size) || size == 0)
        return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void
buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    buffer_append(buffer, &byte, 1);
}

void
buffer_append_text(struct buffer *buffer, struct text text)
{
    buffer_append(buffer, text.data, text.size);
}

void
buffer_append_string(struct buffer *buffer, const char *string)
{
    buffer_append_text(buffer, text_of(string));
}

void
buffer_append_format(struct buffer *buffer, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);

    int size = vsnprintf(NULL, 0, format, args);
    /* One more for the NUL that vsnprintf writes and nobody counts. */
    if (size < 0)
        buffer->failed = true;
    else if (buffer_reserve(buffer, (size_t)size + 1)) {
        vsnprintf((char *)buffer->data + buffer->size, (size_t)size + 1, format, again);
        buffer->size += (size_t)size;
    }
    va_end(again);
    va_end(args);
}
