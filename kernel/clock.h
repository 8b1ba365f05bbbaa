/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/clock.h - time as a value that is handed in, so that tests own it.
 *
 * Pure code takes `struct now` or a `const struct clock *`; only the process
 * edges have a clock (platform/system_clock.h, tests). Monotonic time measures; wall time dates. */
#ifndef SOS_KERNEL_CLOCK_H
#define SOS_KERNEL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"

struct now {
    uint64_t monotonic_us; /* never steps; meaning only as differences */
    uint64_t wall_us;      /* microseconds since 1970-01-01 UTC; may step */
};

struct clock {
    struct now (*read)(void *context);
    void *context;
};

static inline struct now
clock_now(const struct clock *clock)
{
    return clock->read(clock->context);
}

enum { TIMESTAMP_TEXT_SIZE = 32 };

/* "2026-01-02T03:04:05.678901Z" (RFC 3339, UTC, microseconds). What lies beyond
 * the year 9999, which RFC 3339 cannot say, is its last microsecond. */
void timestamp_format(uint64_t wall_us, char text[static TIMESTAMP_TEXT_SIZE]);

/* RFC 3339 and the forms Python's datetime.isoformat() prints: with or without
 * fraction, 'T' or space, offset Z, +hh:mm, -hh:mm or none (UTC). False otherwise
 * and before 1970. Digits beyond microseconds are dropped. */
bool timestamp_parse(struct text text, uint64_t *wall_us);

#endif
