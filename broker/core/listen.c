/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/listen.c - `bus_listen`: an agent's mail and the events of channels as one stream. */
#include "broker/core/channel.h"
#include "broker/core/mail.h"

const char *
bus_listen(struct core *core, const struct bus_call *call)
{
    return bus_refuse(core, call, STATUS_NOT_IMPLEMENTED, NULL);
}
