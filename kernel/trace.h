/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/trace.h - distributed trace context: X-SOS-* headers and W3C
 * traceparent (https://www.w3.org/TR/trace-context/). */
#ifndef SOS_KERNEL_TRACE_H
#define SOS_KERNEL_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"

struct trace {
    uint8_t trace_id[16]; /* all zero: no trace */
    uint8_t span_id[8];
    uint8_t parent_span_id[8]; /* all zero: this span is the root */
    bool sampled;
};

enum { TRACE_ID_TEXT_SIZE = 33, SPAN_ID_TEXT_SIZE = 17, TRACEPARENT_TEXT_SIZE = 56 };

/* A new root span, random ids from libsodium. */
struct trace trace_new(void);

/* A new span of the same trace whose parent is this one. */
struct trace trace_child(const struct trace *parent);

bool trace_is_set(const struct trace *trace);

/* What a request carries in: each header text may be empty. Keeps the trace id
 * of X-SOS-Trace-ID (32 hex digits, UUID dashes allowed) or else traceparent,
 * the parent from X-SOS-Span-ID or traceparent, and makes a new span; anything
 * ill-formed or all zero is replaced by a new random trace. */
struct trace trace_from_headers(struct text trace_id, struct text span_id, struct text traceparent);

void trace_format_id(const struct trace *trace, char text[static TRACE_ID_TEXT_SIZE]);
void trace_format_span(const uint8_t span_id[static 8], char text[static SPAN_ID_TEXT_SIZE]);
void trace_format_traceparent(const struct trace *trace, char text[static TRACEPARENT_TEXT_SIZE]);

#endif
