/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/audit_limit.h"

#include <stdio.h>

enum { SECOND_US = 1000000 };

static size_t
place_of(struct audit_limit *limit, const char *event)
{
    for (size_t i = 0; i < limit->count; i++)
        if (strcmp(limit->events[i].event, event) == 0)
            return i;
    if (limit->count == AUDIT_LIMIT_EVENTS)
        return AUDIT_LIMIT_EVENTS - 1;
    snprintf(limit->events[limit->count].event, sizeof limit->events[0].event, "%s", event);
    return limit->count++;
}

bool
audit_limit_take(struct audit_limit *limit, const char *event, uint64_t now_us)
{
    size_t i = place_of(limit, event);
    /* What was left out is told before the next second of this event begins. */
    if (now_us - limit->events[i].since_us >= SECOND_US && limit->events[i].left_out == 0) {
        limit->events[i].since_us = now_us;
        limit->events[i].lines = 0;
    }
    if (limit->events[i].lines >= AUDIT_LIMIT_LINES) {
        limit->events[i].left_out++;
        return false;
    }
    limit->events[i].lines++;
    return true;
}

bool
audit_limit_due(struct audit_limit *limit, uint64_t now_us, const char **event, uint64_t *left_out)
{
    for (size_t i = 0; i < limit->count; i++) {
        if (limit->events[i].left_out == 0 || now_us - limit->events[i].since_us < SECOND_US)
            continue;
        *event = limit->events[i].event;
        *left_out = limit->events[i].left_out;
        limit->events[i].left_out = 0;
        return true;
    }
    return false;
}

uint64_t
audit_limit_next(const struct audit_limit *limit)
{
    uint64_t next_us = UINT64_MAX;
    for (size_t i = 0; i < limit->count; i++)
        if (limit->events[i].left_out > 0 && limit->events[i].since_us + SECOND_US < next_us)
            next_us = limit->events[i].since_us + SECOND_US;
    return next_us;
}
