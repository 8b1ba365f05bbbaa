/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/timers.h - what happens when: a binary heap of timers that stand in their owners.
 *
 * A heap rather than a wheel: a request sets and removes its timer once, both in logarithmic time,
 * and nothing has to run while nothing is due. The time is handed in. Not for several threads. */
#ifndef SOS_KERNEL_TIMERS_H
#define SOS_KERNEL_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The timer is off when it is called, and may be set again or freed. context: timers_fire's. */
typedef void timer_fn(void *context, void *owner);

/* Must not move in memory while it is set. */
struct timer {
    timer_fn *fire;
    void *owner;
    uint64_t at_us; /* monotonic */
    size_t place;   /* in the heap, from 1; 0 = off */
};

/* Zero-initialised: empty. */
struct timers {
    struct timer **heap; /* heap[0] is unused */
    size_t count;
    size_t capacity;
};

#define TIMERS_NONE UINT64_MAX

/* Off. */
static inline void
timer_init(struct timer *timer, timer_fn *fire, void *owner)
{
    *timer = (struct timer){.fire = fire, .owner = owner};
}

/* Does not look at the timers in it, which may be gone. */
void timers_clear(struct timers *timers);

/* Sets or moves. False when out of memory: the timer is as it was. Moving never fails. */
bool timers_set(struct timers *timers, struct timer *timer, uint64_t at_us);
void timers_remove(struct timers *timers, struct timer *timer); /* off already: nothing */

/* Takes out all that are due, the earliest first, and calls each. */
void timers_fire(struct timers *timers, uint64_t now_us, void *context);

/* When the next one is due; TIMERS_NONE. */
uint64_t timers_next(const struct timers *timers);

#endif
