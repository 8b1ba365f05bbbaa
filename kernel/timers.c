/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/timers.h"

#include <stdlib.h>

void
timers_clear(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){NULL, 0, 0};
}

static void
put(struct timers *timers, struct timer *timer, size_t place)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void
rise(struct timers *timers, struct timer *timer, size_t place)
{
    while (place > 1 && timers->heap[place / 2]->at_us > timer->at_us) {
        put(timers, timers->heap[place / 2], place);
        place /= 2;
    }
    put(timers, timer, place);
}

static void
sink(struct timers *timers, struct timer *timer, size_t place)
{
    for (;;) {
        size_t child = place * 2;
        if (child > timers->count)
            break;
        if (child < timers->count && timers->heap[child + 1]->at_us < timers->heap[child]->at_us)
            child++;
        if (timers->heap[child]->at_us >= timer->at_us)
            break;
        put(timers, timers->heap[child], place);
        place = child;
    }
    put(timers, timer, place);
}

static bool
reserve(struct timers *timers)
{
    if (timers->count + 1 < timers->capacity)
        return true;
    size_t capacity = timers->capacity ? timers->capacity * 2 : 64;
    struct timer **heap = realloc(timers->heap, capacity * sizeof *heap);
    if (!heap)
        return false;
    timers->heap = heap;
    timers->capacity = capacity;
    return true;
}

bool
timers_set(struct timers *timers, struct timer *timer, uint64_t at_us)
{
    if (timer->place == 0) {
        if (!reserve(timers))
            return false;
        timer->at_us = at_us;
        timers->count++;
        rise(timers, timer, timers->count);
        return true;
    }
    bool earlier = at_us < timer->at_us;
    timer->at_us = at_us;
    if (earlier)
        rise(timers, timer, timer->place);
    else
        sink(timers, timer, timer->place);
    return true;
}

void
timers_remove(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    if (place == 0)
        return;
    timer->place = 0;
    struct timer *last = timers->heap[timers->count];
    timers->count--;
    if (last == timer)
        return;
    if (place > 1 && timers->heap[place / 2]->at_us > last->at_us)
        rise(timers, last, place);
    else
        sink(timers, last, place);
}

void
timers_fire(struct timers *timers, uint64_t now_us, void *context)
{
    while (timers->count > 0 && timers->heap[1]->at_us <= now_us) {
        struct timer *timer = timers->heap[1];
        timers_remove(timers, timer);
        timer->fire(context, timer->owner);
    }
}

uint64_t
timers_next(const struct timers *timers)
{
    return timers->count ? timers->heap[1]->at_us : TIMERS_NONE;
}
