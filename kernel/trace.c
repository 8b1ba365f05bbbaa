/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/trace.h"

#include <sodium.h>
#include <stdio.h>

#include "kernel/id.h"

enum { TRACEPARENT_SIZE = TRACEPARENT_TEXT_SIZE - 1, FLAG_SAMPLED = 1 };

/* All zero means "none" in both header families, so a random one must not be it. */
static void
fill_random(uint8_t *bytes, size_t size)
{
    do
        randombytes_buf(bytes, size);
    while (sodium_is_zero(bytes, size));
}

struct trace
trace_new(void)
{
    struct trace trace = {.sampled = true};
    fill_random(trace.trace_id, sizeof trace.trace_id);
    fill_random(trace.span_id, sizeof trace.span_id);
    return trace;
}

struct trace
trace_child(const struct trace *parent)
{
    struct trace child = *parent;
    memcpy(child.parent_span_id, parent->span_id, sizeof child.parent_span_id);
    fill_random(child.span_id, sizeof child.span_id);
    return child;
}

bool
trace_is_set(const struct trace *trace)
{
    return !sodium_is_zero(trace->trace_id, sizeof trace->trace_id);
}

/* Exactly 2 * size hex digits, not all zero. Writes only on success. */
static bool
parse_hex(struct text text, uint8_t *bytes, size_t size)
{
    uint8_t parsed[16] = {0};
    size_t parsed_size;

    if (text.size != 2 * size || size > sizeof parsed ||
        sodium_hex2bin(parsed, sizeof parsed, text.data, text.size, NULL, &parsed_size, NULL) !=
            0 ||
        parsed_size != size || sodium_is_zero(parsed, size))
        return false;
    memcpy(bytes, parsed, size);
    return true;
}

static bool
has_upper_case(struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] >= 'A' && text.data[i] <= 'Z')
            return true;
    return false;
}

static struct text
slice(struct text text, size_t from, size_t size)
{
    return (struct text){text.data + from, size};
}

/* version "-" trace id "-" parent id "-" flags. Version 00 is exactly that; a later one may add
 * fields behind another dash (W3C Trace Context section 3.2.4). Lower case only. */
static bool
parse_traceparent(struct text text, struct trace *trace)
{
    struct trace parsed = {.sampled = false};
    uint8_t version, flags;

    if (text.size < TRACEPARENT_SIZE || text.data[2] != '-' || text.data[35] != '-' ||
        text.data[52] != '-' || has_upper_case(slice(text, 0, TRACEPARENT_SIZE)))
        return false;
    if (!parse_hex(slice(text, 0, 2), &version, 1)) {
        if (!text_equal_string(slice(text, 0, 2), "00") || text.size != TRACEPARENT_SIZE)
            return false;
    } else if (version == 0xFF || (text.size > TRACEPARENT_SIZE && text.data[55] != '-')) {
        return false;
    }
    if (!parse_hex(slice(text, 53, 2), &flags, 1)) {
        if (!text_equal_string(slice(text, 53, 2), "00"))
            return false;
        flags = 0;
    }
    if (!parse_hex(slice(text, 3, 32), parsed.trace_id, sizeof parsed.trace_id) ||
        !parse_hex(slice(text, 36, 16), parsed.span_id, sizeof parsed.span_id))
        return false;
    parsed.sampled = (flags & FLAG_SAMPLED) != 0;
    *trace = parsed;
    return true;
}

struct trace
trace_from_headers(struct text trace_id, struct text span_id, struct text traceparent)
{
    struct trace caller = {.sampled = true};
    struct trace w3c;
    struct uuid id;
    bool has_w3c = parse_traceparent(traceparent, &w3c);

    if (uuid_parse(trace_id, &id) && !uuid_is_nil(&id)) {
        memcpy(caller.trace_id, id.bytes, sizeof caller.trace_id);
        /* Another trace's span cannot be this one's parent. */
        if (has_w3c && memcmp(w3c.trace_id, caller.trace_id, sizeof w3c.trace_id) == 0)
            caller = w3c;
    } else if (has_w3c) {
        caller = w3c;
    } else {
        return trace_new();
    }
    parse_hex(span_id, caller.span_id, sizeof caller.span_id);
    return trace_child(&caller);
}

void
trace_format_id(const struct trace *trace, char text[static TRACE_ID_TEXT_SIZE])
{
    sodium_bin2hex(text, TRACE_ID_TEXT_SIZE, trace->trace_id, sizeof trace->trace_id);
}

void
trace_format_span(const uint8_t span_id[static 8], char text[static SPAN_ID_TEXT_SIZE])
{
    sodium_bin2hex(text, SPAN_ID_TEXT_SIZE, span_id, 8);
}

void
trace_format_traceparent(const struct trace *trace, char text[static TRACEPARENT_TEXT_SIZE])
{
    char trace_id[TRACE_ID_TEXT_SIZE], span_id[SPAN_ID_TEXT_SIZE];
    trace_format_id(trace, trace_id);
    trace_format_span(trace->span_id, span_id);
    snprintf(text, TRACEPARENT_TEXT_SIZE, "00-%s-%s-%02x", trace_id, span_id,
             trace->sampled ? FLAG_SAMPLED : 0);
}
