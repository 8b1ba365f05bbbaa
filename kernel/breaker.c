/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/breaker.h"

#include "kernel/assert.h"

enum {
    TRY_RETRY_MS = 1000 /* how long a try may take is not known here */
};

static const char *const state_names[BREAKER_STATES] = {
    [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF_OPEN] = "half_open"};

static const char *const event_names[BREAKER_EVENTS] = {[BREAKER_ON_TRIP] = "trip",
                                                        [BREAKER_ON_COOLED] = "cooled",
                                                        [BREAKER_ON_SUCCESS] = "success",
                                                        [BREAKER_ON_FAILURE] = "failure"};

/* Open has no row for a result: it comes from a call that was admitted before, and is late. */
static const struct state_row rows[] = {
    {BREAKER_CLOSED, BREAKER_ON_SUCCESS, BREAKER_CLOSED},
    {BREAKER_CLOSED, BREAKER_ON_FAILURE, BREAKER_CLOSED},
    {BREAKER_CLOSED, BREAKER_ON_TRIP, BREAKER_OPEN},
    {BREAKER_OPEN, BREAKER_ON_COOLED, BREAKER_HALF_OPEN},
    {BREAKER_HALF_OPEN, BREAKER_ON_SUCCESS, BREAKER_CLOSED},
    {BREAKER_HALF_OPEN, BREAKER_ON_FAILURE, BREAKER_OPEN},
};

const struct state_machine breaker_machine = {
    .name = "circuit breaker",
    .state_names = state_names,
    .state_count = BREAKER_STATES,
    .event_names = event_names,
    .event_count = BREAKER_EVENTS,
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
};

static void
step(struct breaker *breaker, enum breaker_event event)
{
    enum status status = state_step(&breaker_machine, &breaker->state, (int)event, NULL);
    ASSERT(status == STATUS_OK);
}

static uint64_t
open_left_us(const struct breaker *breaker, uint64_t monotonic_us)
{
    uint64_t passed = monotonic_us > breaker->opened_us ? monotonic_us - breaker->opened_us : 0;
    uint64_t whole = (uint64_t)BREAKER_OPEN_MS * 1000;
    return passed < whole ? whole - passed : 0;
}

void
breaker_init(struct breaker *breaker)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED};
}

bool
breaker_admit(struct breaker *breaker, uint64_t monotonic_us)
{
    if (breaker->state == BREAKER_CLOSED)
        return true;
    if (breaker->state == BREAKER_OPEN) {
        if (open_left_us(breaker, monotonic_us) > 0)
            return false;
        step(breaker, BREAKER_ON_COOLED);
    }
    if (breaker->trying)
        return false;
    breaker->trying = true;
    return true;
}

static void
report_closed(struct breaker *breaker, bool success, uint64_t monotonic_us)
{
    step(breaker, success ? BREAKER_ON_SUCCESS : BREAKER_ON_FAILURE);
    breaker->failures = success ? 0 : breaker->failures + 1;
    if (breaker->failures >= BREAKER_FAILURES) {
        step(breaker, BREAKER_ON_TRIP);
        breaker->opened_us = monotonic_us;
    }
}

void
breaker_report(struct breaker *breaker, bool success, uint64_t monotonic_us)
{
    if (breaker->state == BREAKER_CLOSED) {
        report_closed(breaker, success, monotonic_us);
    } else if (breaker->state == BREAKER_HALF_OPEN && breaker->trying) {
        step(breaker, success ? BREAKER_ON_SUCCESS : BREAKER_ON_FAILURE);
        breaker->trying = false;
        if (success)
            breaker->failures = 0;
        else
            breaker->opened_us = monotonic_us;
    }
}

void
breaker_abandon(struct breaker *breaker)
{
    breaker->trying = false;
}

uint64_t
breaker_retry_ms(const struct breaker *breaker, uint64_t monotonic_us)
{
    if (breaker->state == BREAKER_OPEN)
        return (open_left_us(breaker, monotonic_us) + 999) / 1000;
    return breaker->state == BREAKER_HALF_OPEN && breaker->trying ? TRY_RETRY_MS : 0;
}
