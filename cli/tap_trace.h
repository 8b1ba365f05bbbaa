/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tap_trace.h - one trace as a tree of calls with their times.
 *
 * Records carry the trace and the span of who says them, not the span's parent. So a call belongs
 * to the open call at whose target it was made; which of several, by the span that all calls of one
 * handler share. */
#ifndef SOS_CLI_TAP_TRACE_H
#define SOS_CLI_TAP_TRACE_H

#include "cli/screen.h"
#include "cli/tap_entry.h"

struct trace_tree;

enum { TRACE_SPANS_MAX = 4096 };

/* prefix: lower-case hex digits, dashes left out; "" takes the first trace that a request shows.
 * NULL when out of memory. */
struct trace_tree *trace_tree_new(const char *prefix);
void trace_tree_destroy(struct trace_tree **tree_p);

void trace_tree_add(struct trace_tree *tree, const struct tap_entry *entry);
bool trace_tree_is_empty(const struct trace_tree *tree);
/* Every root was answered, or refused. */
bool trace_tree_is_complete(const struct trace_tree *tree);

/* For people. dropped: records that the tap left out. */
void trace_tree_draw(const struct trace_tree *tree, const struct screen *screen, uint64_t dropped,
                     struct buffer *out);
/* One JSON object and a newline. */
void trace_tree_json(const struct trace_tree *tree, uint64_t dropped, struct buffer *out);

#endif
