/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/breaker.h - circuit breaker: closed, after 3
 * consecutive failures open for 60 s, then half open: one try decides. */
#ifndef SOS_KERNEL_BREAKER_H
#define SOS_KERNEL_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/state.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER_STATES };
enum breaker_event {
    BREAKER_ON_TRIP,
    BREAKER_ON_COOLED,
    BREAKER_ON_SUCCESS,
    BREAKER_ON_FAILURE,
    BREAKER_EVENTS
};

enum { BREAKER_FAILURES = 3, BREAKER_OPEN_MS = 60000 };

extern const struct state_machine breaker_machine;

struct breaker {
    int state;
    unsigned failures;  /* consecutive */
    uint64_t opened_us; /* monotonic */
    bool trying;        /* half open: the one try is out */
};

void breaker_init(struct breaker *breaker);

/* May a call be tried now? In half open only one at a time. A true answer must
 * be followed by breaker_report, or by breaker_abandon when nothing was learned. */
bool breaker_admit(struct breaker *breaker, uint64_t monotonic_us);
void breaker_report(struct breaker *breaker, bool success, uint64_t monotonic_us);
void breaker_abandon(struct breaker *breaker);

/* Milliseconds until the next try is admitted; 0 when it is now. While the one try of half open
 * is out its end is not known: 1000. */
uint64_t breaker_retry_ms(const struct breaker *breaker, uint64_t monotonic_us);

#endif
