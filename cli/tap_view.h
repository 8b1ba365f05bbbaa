/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tap_view.h - records as lines for people: who, to whom, what, how large, how long. */
#ifndef SOS_CLI_TAP_VIEW_H
#define SOS_CLI_TAP_VIEW_H

#include "cli/screen.h"
#include "cli/tap_entry.h"

struct tap_view;

struct tap_view_options {
    struct screen screen;
    bool checks;  /* health checks, which recur, too */
    bool chunks;  /* chunks and credits too */
    bool payload; /* under its line */
};

/* NULL when out of memory. */
struct tap_view *tap_view_new(const struct tap_view_options *options);
void tap_view_destroy(struct tap_view **view_p);

/* Appends the line of a record; nothing for one that is hidden. */
void tap_view_line(struct tap_view *view, const struct tap_entry *entry, struct buffer *out);
/* Appends the line that says how many records are missing here. */
void tap_view_dropped(struct tap_view *view, uint64_t dropped, struct buffer *out);
/* Appends what is to be said at the end: records, hidden ones, left out ones. */
void tap_view_sum(const struct tap_view *view, struct buffer *out);

#endif
