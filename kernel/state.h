/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/state.h - walks a state machine that is written as a table.
 *
 * One row per allowed transition; no row means CONFLICT, with an error that
 * names the state and the action. States and events are small enums of the
 * table's owner; names serve errors, history and documents. */
#ifndef SOS_KERNEL_STATE_H
#define SOS_KERNEL_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/error.h"
#include "kernel/status.h"

struct state_row {
    int from;
    int event;
    int to;
};

struct state_machine {
    const char *name;               /* "task" */
    const char *const *state_names; /* indexed by state */
    size_t state_count;
    const char *const *event_names; /* indexed by event */
    size_t event_count;
    const struct state_row *rows;
    size_t row_count;
};

/* OK: *state becomes the row's `to`. CONFLICT: *state is unchanged. */
enum status state_step(const struct state_machine *machine, int *state, int event,
                       struct error *error);

/* Is there a row? */
bool state_allows(const struct state_machine *machine, int state, int event);

#endif
