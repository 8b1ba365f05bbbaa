/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/bytes.h - borrowed views on text and bytes, and a growing buffer.
 *
 * A view never owns: it is valid as long as what it points into. Text is UTF-8
 * where its source has checked it, and is not NUL-terminated. */
#ifndef SOS_KERNEL_BYTES_H
#define SOS_KERNEL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *data;
    size_t size;
};

struct bytes {
    const uint8_t *data;
    size_t size;
};

/* For printf: printf("%.*s", TEXT_ARGS(text)). */
#define TEXT_ARGS(text) (int)(text).size, (text).data

static inline struct text
text_of(const char *string)
{
    return (struct text){string, string ? strlen(string) : 0};
}

static inline bool
text_is_empty(struct text text)
{
    return text.size == 0;
}

static inline bool
text_equal(struct text a, struct text b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool
text_equal_string(struct text a, const char *string)
{
    return text_equal(a, text_of(string));
}

bool text_starts_with(struct text text, const char *prefix);

/* 0 to 15; -1: not a hexadecimal digit. */
int hex_digit_value(char digit);

/* A NUL-terminated copy that the caller frees; NULL when out of memory. */
char *text_copy(struct text text);

/* Valid UTF-8 (RFC 3629: no surrogates, no overlong forms)? */
bool text_is_utf8(struct text text);

/* Grows by doubling. When memory runs out, `failed` is set, data stays valid
 * and further appends do nothing: check once, at the end. */
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void buffer_init(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* frees; usable again */
void buffer_reset(struct buffer *buffer); /* size 0, keeps the memory, clears failed */
bool buffer_reserve(struct buffer *buffer, size_t more);
void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_byte(struct buffer *buffer, uint8_t byte);
void buffer_append_text(struct buffer *buffer, struct text text);
void buffer_append_string(struct buffer *buffer, const char *string);
void buffer_append_format(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline struct bytes
buffer_bytes(const struct buffer *buffer)
{
    return (struct bytes){buffer->data, buffer->size};
}

static inline struct text
buffer_text(const struct buffer *buffer)
{
    return (struct text){(const char *)buffer->data, buffer->size};
}

#endif
