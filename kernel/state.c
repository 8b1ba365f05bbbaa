/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/state.h"

static const struct state_row *
find_row(const struct state_machine *machine, int state, int event)
{
    for (size_t i = 0; i < machine->row_count; i++)
        if (machine->rows[i].from == state && machine->rows[i].event == event)
            return &machine->rows[i];
    return NULL;
}

static const char *
name_of(const char *const *names, size_t count, int index)
{
    return index >= 0 && (size_t)index < count ? names[index] : "unknown";
}

enum status
state_step(const struct state_machine *machine, int *state, int event, struct error *error)
{
    const struct state_row *row = find_row(machine, *state, event);
    if (!row) {
        error_set(error, "%s is %s: %s is not allowed", machine->name,
                  name_of(machine->state_names, machine->state_count, *state),
                  name_of(machine->event_names, machine->event_count, event));
        return STATUS_CONFLICT;
    }
    *state = row->to;
    return STATUS_OK;
}

bool
state_allows(const struct state_machine *machine, int state, int event)
{
    return find_row(machine, state, event) != NULL;
}
