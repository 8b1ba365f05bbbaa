/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/control.h - `control` records: credit, and the key table's changes. */
#ifndef SOS_BROKER_CORE_CONTROL_H
#define SOS_BROKER_CORE_CONTROL_H

#include "broker/core/state.h"

const char *control_receive(struct core *core, struct peer *peer, const struct message *message);

#endif
