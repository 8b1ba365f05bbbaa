/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/health.h - what GET /health answers, from memory: each service is asked over the bus
 * every now and then.
 *
 * 100 ms after a failure, 1 s after an answer. A door is as well as the services behind it; the
 * unified port is as well as the gateway. One thread. */
#ifndef SOS_GATEWAY_HEALTH_H
#define SOS_GATEWAY_HEALTH_H

#include "gateway/session/bus.h"
#include "kernel/contract.h"

struct health;

enum { HEALTH_FAILED_MS = 100, HEALTH_PERIOD_MS = 1000, HEALTH_TTL_MS = 1000 };

/* list: NULL-terminated contracts. `bus` is not asked: it is what asks. NULL when out of memory. */
struct health *health_new(const struct contract *const *list, const struct bus *bus,
                          uint64_t now_us);
void health_destroy(struct health **health_p);

/* Asks whom it is time to ask; returns when to call again. */
uint64_t health_tick(struct health *health, uint64_t now_us);

struct health_answer {
    bool well;        /* HTTP 200, else 503 */
    struct text json; /* valid until the next call */
};

/* door: DOORS for the unified port. */
struct health_answer health_of(struct health *health, enum door door, uint64_t now_us);

#endif
