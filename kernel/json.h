/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/json.h - JSON in and out of msgpack, and canonical JSON.
 *
 * Parsing is simdjson behind one extern "C" file, writing is direct. */
#ifndef SOS_KERNEL_JSON_H
#define SOS_KERNEL_JSON_H

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum { JSON_DEPTH_MAX = 32 };

/* Parses JSON text (RFC 8259) and appends the same value as msgpack. INVALID
 * with the place and the cause when it is not JSON, nests deeper than JSON_DEPTH_MAX,
 * has a duplicate key in an object, is not UTF-8, or holds an integer outside
 * 64 bits. Integers stay exact to 64 bits, other numbers are doubles.
 * Not for several threads with one parser; a parser keeps its memory between calls. */
struct json_parser;
struct json_parser *json_parser_new(void); /* NULL when out of memory */
void json_parser_destroy(struct json_parser **parser_p);
enum status json_to_msgpack(struct json_parser *parser, struct text json, struct buffer *out,
                            struct error *error);

/* Appends one msgpack value as compact JSON: shortest round-trip doubles, text
 * escaped only where JSON demands (and U+2028/2029), invalid UTF-8 replaced by
 * U+FFFD, bin and ext as base64, NaN and infinities as null, non-text map keys as text (a container
 * as base64 of its bytes). INVALID when the bytes are not one whole value. */
enum status msgpack_to_json(struct bytes value, struct buffer *out, struct error *error);

/* Appends text as a JSON string with its quotes. */
void json_append_text(struct buffer *out, struct text text);

/* Appends a finite number as Python's repr: the shortest digits that read back
 * as the same double, always with a point or an exponent ("1.0", "1e+16"). */
void json_append_double(struct buffer *out, double value);

/* Python's json.dumps(value, sort_keys=True) byte for byte: separators ", " and
 * ": ", keys sorted by code point at every level, everything outside printable
 * ASCII as \uXXXX (surrogate pairs above U+FFFF), floats as Python's repr.
 * Input is one msgpack value with text keys. */
enum status json_canonical(struct bytes value, struct buffer *out, struct error *error);

#endif
