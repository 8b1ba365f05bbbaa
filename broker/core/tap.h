/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/tap.h - shows what passes the broker, as header lines, to who holds bus:tap.
 *
 * Records are gathered per tap and leave as chunks under the tap's credit; what does not fit is
 * dropped and counted, so that no sender ever waits for a tap. Tokens are reduced to their ids. */
#ifndef SOS_BROKER_CORE_TAP_H
#define SOS_BROKER_CORE_TAP_H

#include "broker/core/state.h"

enum tap_direction { TAP_IN, TAP_OUT };

void tap_record_always(struct core *core, enum tap_direction direction,
                       const struct message *message, size_t size, const char *verdict);

/* Costs one comparison while nobody listens. */
static inline void
tap_record(struct core *core, enum tap_direction direction, const struct message *message,
           size_t size, const char *verdict)
{
    if (core->tap_count > 0)
        tap_record_always(core, direction, message, size, verdict);
}

/* Sends what was gathered. */
void tap_flush(struct core *core);

#endif
