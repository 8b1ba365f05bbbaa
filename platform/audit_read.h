/* SPDX-License-Identifier: Apache-2.0 */
/* platform/audit_read.h - the lines of a trail, through all its files, while it is written.
 *
 * Reads only. Calls block. */
#ifndef SOS_PLATFORM_AUDIT_READ_H
#define SOS_PLATFORM_AUDIT_READ_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

struct audit_place {
    int file;      /* its number: FILE.3; 0: FILE itself */
    uint64_t line; /* from 1 */
    bool is_whole; /* false: it ends without a newline */
};

/* A line without its newline; of one that is too long to be a trail's, the beginning. Something
 * else than OK ends the reading. */
typedef enum status audit_line_fn(void *context, const struct audit_place *place, struct text line,
                                  struct error *error);

/* Oldest file first; newest_only: FILE alone. NOT_FOUND: there is no such file. A rotation that
 * comes between does no harm. files may be NULL. */
enum status audit_read(const char *path, bool newest_only, audit_line_fn *line, void *context,
                       unsigned *files, struct error *error);

/* The same for FILE alone, again and again: what is new since the last time. A line counts when it
 * is whole. When the file is rotated its end is read before the new one's beginning. */
struct audit_follower;
struct audit_follower *audit_follower_new(const char *path); /* NULL when out of memory */
void audit_follower_destroy(struct audit_follower **follower_p);
enum status audit_follow(struct audit_follower *follower, audit_line_fn *line, void *context,
                         struct error *error);

/* "bus" for every trail data/audit/bus.jsonl[.N] of a folder, in alphabetical order. NOT_FOUND:
 * there is no such folder. Other than OK of fn ends it. */
typedef enum status audit_trail_fn(void *context, const char *name, struct error *error);
enum status audit_each_trail(const char *folder, audit_trail_fn *fn, void *context,
                             struct error *error);

#endif
