/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/timers.h - what happens when: a binary heap of timers that stand in their owners.
 *
 * A heap rather than a wheel: a request sets and removes its timer once, both in
 * logarithmic time, and nothing has to run while nothing is due. */
#ifndef SOS_BROKER_CORE_TIMERS_H
#define SOS_BROKER_CORE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct core;
struct timer;

typedef void timer_fn(struct core *core, struct timer *timer);

struct timer {
    uint64_t at_us; /* monotonic */
    timer_fn *fire; /* the timer is off when it is called, and may be set again or freed */
    size_t place;   /* in the heap, from 1; 0 = off */
};

struct timers {
    struct timer **heap; /* heap[0] is unused */
    size_t count;
    size_t capacity;
};

#define TIMERS_NONE UINT64_MAX

void timers_clear(struct timers *timers);

/* Sets or moves. False when out of memory: the timer is as it was. Moving never fails. */
bool timers_set(struct timers *timers, struct timer *timer, uint64_t at_us);
void timers_remove(struct timers *timers, struct timer *timer); /* off already: nothing */

/* Takes out the earliest timer that is due; NULL when none is. */
struct timer *timers_take_due(struct timers *timers, uint64_t now_us);

/* When the next one is due; TIMERS_NONE. */
uint64_t timers_next(const struct timers *timers);

#endif
