/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/schedule.h"

#include <stdlib.h>

#include "kernel/assert.h"

enum { CAPACITY_MIN = 64 };

void
schedule_init(struct schedule *schedule)
{
    *schedule = (struct schedule){0};
}

void
schedule_clear(struct schedule *schedule)
{
    for (size_t i = 0; i < schedule->count; i++)
        schedule->heap[i]->place = 0;
    free(schedule->heap);
    schedule_init(schedule);
}

static void
put(struct schedule *schedule, size_t place, struct timer *timer)
{
    schedule->heap[place - 1] = timer;
    timer->place = place;
}

static void
rise(struct schedule *schedule, size_t place, struct timer *timer)
{
    while (place > 1 && schedule->heap[place / 2 - 1]->due_us > timer->due_us) {
        put(schedule, place, schedule->heap[place / 2 - 1]);
        place /= 2;
    }
    put(schedule, place, timer);
}

static void
sink(struct schedule *schedule, size_t place, struct timer *timer)
{
    for (;;) {
        size_t child = place * 2;
        if (child > schedule->count)
            break;
        if (child < schedule->count &&
            schedule->heap[child]->due_us < schedule->heap[child - 1]->due_us)
            child++;
        if (schedule->heap[child - 1]->due_us >= timer->due_us)
            break;
        put(schedule, place, schedule->heap[child - 1]);
        place = child;
    }
    put(schedule, place, timer);
}

bool
schedule_add(struct schedule *schedule, struct timer *timer, uint64_t due_us)
{
    ASSERT(timer->place == 0);
    if (schedule->count == schedule->capacity) {
        size_t capacity = schedule->capacity ? schedule->capacity * 2 : CAPACITY_MIN;
        struct timer **heap = realloc(schedule->heap, capacity * sizeof *heap);
        if (!heap)
            return false;
        schedule->heap = heap;
        schedule->capacity = capacity;
    }
    timer->due_us = due_us;
    schedule->count++;
    rise(schedule, schedule->count, timer);
    return true;
}

void
schedule_remove(struct schedule *schedule, struct timer *timer)
{
    if (timer->place == 0)
        return;
    size_t place = timer->place;
    ASSERT(place <= schedule->count && schedule->heap[place - 1] == timer);
    struct timer *last = schedule->heap[schedule->count - 1];
    schedule->count--;
    timer->place = 0;
    if (last == timer)
        return;
    if (place > 1 && schedule->heap[place / 2 - 1]->due_us > last->due_us)
        rise(schedule, place, last);
    else
        sink(schedule, place, last);
}

struct timer *
schedule_take(struct schedule *schedule, uint64_t now_us)
{
    if (schedule->count == 0 || schedule->heap[0]->due_us > now_us)
        return NULL;
    struct timer *timer = schedule->heap[0];
    schedule_remove(schedule, timer);
    return timer;
}

uint64_t
schedule_next_us(const struct schedule *schedule)
{
    return schedule->count ? schedule->heap[0]->due_us : UINT64_MAX;
}
