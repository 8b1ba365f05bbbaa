/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/admit.h - every record passes here: form, session, sender, then its kind's handler.
 */
#ifndef SOS_BROKER_CORE_ADMIT_H
#define SOS_BROKER_CORE_ADMIT_H

#include "broker/core/state.h"

/* Reads one frame record by record. A bad record is refused alone; a broken length dooms the peer.
 */
void admit_frame(struct core *core, struct peer *peer, struct bytes frame);

#endif
