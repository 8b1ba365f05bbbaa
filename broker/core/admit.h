/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/admit.h - every record passes here: form, session, sender, then its kind's handler.
 */
#ifndef SOS_BROKER_CORE_ADMIT_H
#define SOS_BROKER_CORE_ADMIT_H

#include "broker/core/state.h"

/* Reads a frame record by record, at most CORE_TURN_RECORDS, and returns how many bytes that were;
 * all of it when the peer is doomed. A bad record is refused alone; a broken length dooms the peer.
 */
size_t admit_frame(struct core *core, struct peer *peer, struct bytes frame);

/* A record that waited for service:identity. */
void admit_again(struct core *core, struct peer *peer, const struct message *message);

#endif
