/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/audit_limit.h - how many lines of one event the audit trail takes in a second.
 *
 * What anybody can cause (a wrong key, a forged source) must neither fill the disk nor bury the
 * rest: AUDIT_LIMIT_LINES a second of each event, then one line that says how many were left out.
 * Pure: the time is handed in. */
#ifndef SOS_BROKER_NET_AUDIT_LIMIT_H
#define SOS_BROKER_NET_AUDIT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"

enum { AUDIT_LIMIT_LINES = 10, AUDIT_LIMIT_EVENTS = 16, AUDIT_LIMIT_NAME_MAX = 47 };

/* Zero-initialise. */
struct audit_limit {
    struct {
        char event[AUDIT_LIMIT_NAME_MAX + 1];
        uint64_t since_us;
        uint32_t lines;
        uint64_t left_out;
    } events[AUDIT_LIMIT_EVENTS];
    size_t count;
};

/* May this line be written? False: it is counted. An event beyond AUDIT_LIMIT_EVENTS shares the
 * last one's allowance. */
bool audit_limit_take(struct audit_limit *limit, const char *event, uint64_t now_us);

/* The next event whose second is over and of which lines were left out: its name and their number,
 * which begins anew. False: none. */
bool audit_limit_due(struct audit_limit *limit, uint64_t now_us, const char **event,
                     uint64_t *left_out);

/* When audit_limit_due() has something next; UINT64_MAX. */
uint64_t audit_limit_next(const struct audit_limit *limit);

#endif
