/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/audit.h"

#include <stdio.h>

void
audit_tell(struct core *core, const struct audit_entry *entry)
{
    if (core->sink.audit)
        core->sink.audit(core->sink.context, entry, 0);
}

void
audit_tell_refusal(struct core *core, const struct peer *peer, const char *event,
                   const struct message *message, const struct error *error)
{
    char outcome[96];
    snprintf(outcome, sizeof outcome, "refused: %s", error->word[0] ? error->word : event);
    struct audit_entry entry = {.event = event,
                                .actor = peer->identity,
                                .subject = message->source,
                                .action = text_of(kind_word(message->kind)),
                                .resource = message->target,
                                .trace = message->trace,
                                .outcome = outcome,
                                .detail = text_of(error->message)};
    audit_tell(core, &entry);
}

void
audit_tell_cut(struct core *core, const struct peer *peer, const char *reason)
{
    struct audit_entry entry = {.event = "peer.cut",
                                .actor = text_of("service:bus"),
                                .subject = peer->identity,
                                .action = text_of("cut"),
                                .outcome = "ok",
                                .detail = text_of(reason)};
    audit_tell(core, &entry);
}
