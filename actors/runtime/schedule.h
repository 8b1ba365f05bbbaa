/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/schedule.h - what is due next: a binary heap of schedule that live in their
 * owners.
 *
 * Adding and removing cost O(log n), looking at the next one nothing. Not for several threads. */
#ifndef SOS_RUNTIME_SCHEDULE_H
#define SOS_RUNTIME_SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zero-initialised: not set. Must not move in memory while it is set. */
struct timer {
    uint64_t due_us; /* monotonic */
    size_t place;    /* in the heap, from 1; 0 = not set */
    unsigned kind;   /* the owner's, to know what owner is */
    void *owner;
};

struct schedule {
    struct timer **heap;
    size_t count;
    size_t capacity;
};

void schedule_init(struct schedule *schedule);
void schedule_clear(struct schedule *schedule); /* every timer in it becomes not set */

/* False when out of memory: it is then not set. Must not be set already. */
bool schedule_add(struct schedule *schedule, struct timer *timer, uint64_t due_us);
void schedule_remove(struct schedule *schedule, struct timer *timer); /* not set: nothing happens */

/* The next that is due at now_us, removed; NULL when there is none. */
struct timer *schedule_take(struct schedule *schedule, uint64_t now_us);

uint64_t schedule_next_us(const struct schedule *schedule); /* UINT64_MAX when empty */

#endif
