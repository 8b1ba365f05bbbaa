/* SPDX-License-Identifier: Apache-2.0 */
/* cli/audit_lines.h - lines of the home's audit trails: which are wanted, in order of time,
 * printed.
 */
#ifndef SOS_CLI_AUDIT_LINES_H
#define SOS_CLI_AUDIT_LINES_H

#include "cli/command.h"
#include "kernel/bytes.h"

/* All of them must match; NULL or 0: any. */
struct audit_filter {
    const char *event, *actor, *outcome, *resource, *trail; /* globs */
    uint64_t since_us;
    uint64_t until_us;
};

struct audit_lines;

/* Keeps the newest `max` of what it is given. NULL when out of memory. */
struct audit_lines *audit_lines_new(const struct audit_filter *filter, size_t max);
void audit_lines_destroy(struct audit_lines **lines_p);

/* A line of this trail, whose name outlives the lines. What is no JSON object, or not wanted, is
 * left out. NOMEM. */
enum status audit_lines_add(struct audit_lines *lines, const char *trail, struct text line);
size_t audit_lines_left_off(const struct audit_lines *lines); /* matched, and are too old */

/* On standard output, oldest first, and forgets them. json: the lines as they are. False: it cannot
 * be written. */
bool audit_lines_print(struct audit_lines *lines, bool json);

#endif
