/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/pack.h - msgpack: a writer onto a buffer and a zero-copy reader.
 *
 * Writing is msgpack-c's packer with a buffer behind it. Reading walks the
 * bytes: every length is checked against what is there before it is used, so
 * any input is safe; values borrow from the input. (Walking a header measured
 * 7 ns where unpacking into msgpack-c objects took 107.)
 * Text is whatever a str holds: readers that need UTF-8 check it (text_is_utf8).
 * Source of the format: the msgpack specification. */
#ifndef SOS_KERNEL_PACK_H
#define SOS_KERNEL_PACK_H

#include "kernel/bytes.h"

enum {
    PACK_DEPTH_MAX = 64 /* nesting that a reader accepts; deeper is invalid */
};

/* ---- writing: appends to the buffer; out of memory shows in buffer->failed */
void pack_nil(struct buffer *out);
void pack_bool(struct buffer *out, bool value);
void pack_uint(struct buffer *out, uint64_t value);
void pack_int(struct buffer *out, int64_t value);
void pack_double(struct buffer *out, double value);
void pack_text(struct buffer *out, struct text text);
void pack_string(struct buffer *out, const char *string); /* NULL is nil */
void pack_bin(struct buffer *out, const void *data, size_t size);
void pack_array(struct buffer *out, uint32_t count);   /* then count values */
void pack_map(struct buffer *out, uint32_t count);     /* then count pairs */
void pack_raw(struct buffer *out, struct bytes value); /* one already packed value, as it is */

/* Key and value of a map entry in one call. */
void pack_pair_text(struct buffer *out, const char *key, struct text value);
void pack_pair_string(struct buffer *out, const char *key, const char *value);
void pack_pair_uint(struct buffer *out, const char *key, uint64_t value);
void pack_pair_int(struct buffer *out, const char *key, int64_t value);
void pack_pair_double(struct buffer *out, const char *key, double value);
void pack_pair_bool(struct buffer *out, const char *key, bool value);
void pack_pair_nil(struct buffer *out, const char *key);
void pack_pair_raw(struct buffer *out, const char *key, struct bytes value);
void pack_pair_timestamp(struct buffer *out, const char *key, uint64_t wall_us); /* as text */

/* ---- reading */
enum value_type {
    VALUE_NIL,
    VALUE_BOOL,
    VALUE_UINT, /* any integer >= 0 */
    VALUE_INT,  /* an integer < 0 */
    VALUE_DOUBLE,
    VALUE_TEXT,
    VALUE_BIN,
    VALUE_ARRAY,
    VALUE_MAP,
    VALUE_EXT
};

struct value {
    enum value_type type;
    union {
        bool boolean;
        uint64_t uint;
        int64_t integer;
        double number;
        struct text text;
        struct bytes bin; /* also EXT's data */
        uint32_t count;   /* entries of an ARRAY or pairs of a MAP */
    } as;
    struct bytes raw; /* the whole packed value, entries included */
};

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct reader
reader_of(struct bytes bytes)
{
    return (struct reader){bytes.data, bytes.data ? bytes.data + bytes.size : NULL};
}

/* Reads the next scalar, or the head of the next container and leaves the
 * reader on its first entry (value->raw is then only the head). False: the
 * bytes end early or are malformed; the reader has not moved. */
bool reader_next(struct reader *reader, struct value *value);

/* Skips one whole value; false when malformed or nested beyond PACK_DEPTH_MAX. */
bool reader_skip(struct reader *reader);

/* Parses exactly one whole value, entries checked to the end, trailing bytes
 * refused. After true every other call on it can rely on its form. */
bool value_parse(struct bytes bytes, struct value *value);

/* Entry of a parsed map by key; false when absent (or value is no map). With
 * duplicate keys the first counts. */
bool value_find(const struct value *map, const char *key, struct value *found);

/* value_find and a type check in one; false leaves *out as it was. */
bool value_find_text(const struct value *map, const char *key, struct text *out);
bool value_find_uint(const struct value *map, const char *key, uint64_t *out);
bool value_find_int(const struct value *map, const char *key, int64_t *out);
bool value_find_double(const struct value *map, const char *key, double *out); /* integers too */
bool value_find_bool(const struct value *map, const char *key, bool *out);
bool value_find_bin(const struct value *map, const char *key, struct bytes *out);

/* Walks a parsed container: init once, next until false. */
struct entries {
    struct reader reader;
    uint32_t left;
};
struct entries value_entries(const struct value *container);
bool entries_next(struct entries *entries, struct value *value);                         /* array */
bool entries_next_pair(struct entries *entries, struct value *key, struct value *value); /* map */

#endif
