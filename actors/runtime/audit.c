/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/outcome.h"

void
outcome_audit(struct outcome *outcome, const struct audit_entry *entry)
{
    char actor[MESSAGE_NAME_MAX + 1] = "";
    struct text name = entry->actor;
    memcpy(actor, name.data, name.size < sizeof actor ? name.size : sizeof actor - 1);
    const struct log_fields fields = {.trace = outcome->request ? &outcome->request->trace : NULL,
                                      .agent_id = actor};
    log_event(outcome->context->logger, LOG_INFO, &fields, "audit: %s", entry->event);
}
