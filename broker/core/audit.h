/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/audit.h - what the core tells the audit trail. */
#ifndef SOS_BROKER_CORE_AUDIT_H
#define SOS_BROKER_CORE_AUDIT_H

#include "broker/core/state.h"
#include "kernel/audit.h"

/* Nobody waits for it. */
void audit_tell(struct core *core, const struct audit_entry *entry);

/* A record of the peer was refused for what it tried: event "source_forged", … */
void audit_tell_refusal(struct core *core, const struct peer *peer, const char *event,
                        const struct message *message, const struct error *error);

/* Its connection is closed. */
void audit_tell_cut(struct core *core, const struct peer *peer, const char *reason);

#endif
