/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/presence.h"

#include <stdlib.h>

#include "broker/core/bus.h"
#include "broker/core/channel.h"

struct presence {
    struct core *core;
};

struct presence *
presence_new(struct core *core)
{
    struct presence *presence = calloc(1, sizeof *presence);
    if (presence)
        presence->core = core;
    return presence;
}

void
presence_destroy(struct presence **presence_p)
{
    free(*presence_p);
    *presence_p = NULL;
}

void
presence_joined(struct core *core, struct peer *peer)
{
    (void)core, (void)peer;
}

void
presence_left(struct core *core, struct peer *peer)
{
    (void)core, (void)peer;
}

void
event_tell(struct core *core, const char *type, const char *key, struct text value)
{
    (void)core, (void)type, (void)key, (void)value;
}

const char *
bus_peers(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}
