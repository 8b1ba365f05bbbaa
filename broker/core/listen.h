/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/listen.h - `bus_listen`: an agent's mail and the events of channels as one stream.
 *
 * Its chunks carry what came during one drain, under the caller's credit. Without credit mail waits
 * in the inbox; events wait here up to a bound, then they are left out and counted. */
#ifndef SOS_BROKER_CORE_LISTEN_H
#define SOS_BROKER_CORE_LISTEN_H

#include "broker/core/state.h"

/* Sends what was gathered. */
void listen_flush(struct core *core);

#endif
