/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/tap_filter.h - which records a tap wants; also for recordings (cli).
 *
 * Pure; any thread, one at a time for one filter.
 */
#ifndef SOS_BROKER_CORE_TAP_FILTER_H
#define SOS_BROKER_CORE_TAP_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/message.h"
#include "kernel/status.h"

enum { TAP_PATTERN_MAX = 256, TRACE_ID_SIZE = 16 };

/* Every part must match; an empty one passes all. */
struct tap_query {
    struct text source, target, type, kind, verdict; /* globs */
    struct text trace;                               /* 32 hex digits */
    struct text status;                              /* "ok", "error" or a number */
    struct text header;                              /* POSIX extended regular expression */
};

/* What is matched. */
struct tap_header {
    struct text kind; /* its word; empty: it could not be read */
    struct text source, target, type, verdict;
    struct bytes trace; /* TRACE_ID_SIZE bytes or more; or empty */
    bool has_status;    /* replies and errors */
    uint32_t status;
};

/* What can be said at once, without patterns: for the routing thread. No false negatives. */
struct tap_sieve {
    uint32_t kinds; /* bit per kind; bit 0: unreadable */
    bool has_trace;
    uint8_t trace[TRACE_ID_SIZE];
    uint16_t source_size, target_size, type_size; /* 0: any */
    char source[TAP_PATTERN_MAX];
    char target[TAP_PATTERN_MAX];
    char type[TAP_PATTERN_MAX];
};

struct tap_filter;

/* INVALID, word "bad_filter": error->field names the part that cannot be right. NOMEM. */
enum status tap_filter_new(struct tap_filter **filter_p, const struct tap_query *query,
                           struct error *error);
void tap_filter_destroy(struct tap_filter **filter_p);

const struct tap_sieve *tap_filter_sieve(const struct tap_filter *filter);
bool tap_filter_matches(struct tap_filter *filter, const struct tap_header *header);

static inline bool
tap_sieve_text(struct text wanted, struct text text)
{
    return wanted.size == 0 || text_equal(wanted, text);
}

/* May the whole filter match? kind: 0 for a record that could not be read. */
bool tap_sieve_passes(const struct tap_sieve *sieve, enum kind kind, struct text source,
                      struct text target, struct text type, struct bytes trace);

/* Appends the line that `header` is matched with: kind source target type status verdict, "-" for
 * what a record has not; its status is "ok" or a number. */
void tap_line(const struct tap_header *header, struct buffer *out);

#endif
