/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/tap.h - shows what passes the broker to who holds bus:tap, or with payloads
 * bus:payload.
 *
 * The core decides who may and hands a sighting of each record that a tap may want to the sink;
 * filtering, redacting and packing are done elsewhere (tap_gather.h, on a thread of its own), and
 * come back as chunks that leave under the tap's credit. What does not fit is dropped and counted,
 * so that no sender ever waits for a tap. A tap runs once its audit line is on disk. */
#ifndef SOS_BROKER_CORE_TAP_H
#define SOS_BROKER_CORE_TAP_H

#include "broker/core/state.h"
#include "broker/core/tap_gather.h"

/* direction IN: a peer's record, OUT: one that the broker itself said. */
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

/* The record under work belongs to a request of this type, which its own header does not say. */
void tap_note_type(struct core *core, struct text type);

/* Sends what is ready. */
void tap_flush(struct core *core);

/* What the sink gives back. */
void tap_chunk_ready(struct core *core, struct tap_chunk **chunk_p);
void tap_audited(struct core *core, uint64_t ticket, bool written);

#endif
