/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/onboarding_duty.h - what the broker has to be told of an agent: its key, what it
 * may do, its squad.
 *
 * A duty stands in the agent's row before the broker is asked and goes when it has answered. Each
 * question carries the version of the row that it is about: an answer to an older one ends no duty.
 */
#ifndef SOS_IDENTITY_ONBOARDING_DUTY_H
#define SOS_IDENTITY_ONBOARDING_DUTY_H

#include "actors/identity/agent.h"

/* Asks for the agent's first duty; it has one. */
void duty_ask(struct outcome *outcome, const struct agent *agent, resume_fn *resume);

/* The broker has done what event->tag was about: the agent is written. */
void duty_done(struct context *context, struct outcome *outcome, struct agent *agent, unsigned tag);

/* Did the broker refuse for good? It then stays refused however often it is asked. */
bool duty_is_refused(enum status status);

/* The agent is written as it is without what was refused: a key that cannot be added is none. */
enum status duty_refused(struct context *context, struct outcome *outcome, struct agent *agent,
                         unsigned tag, const struct error *why, struct error *error);

/* The end of a handler that moved an agent: asks the broker for all that is to be told and answers
 * with the record, to which `also` (may be NULL) adds. The agent is put already. */
struct duty_answer {
    uint32_t pairs;
    void (*pack)(struct buffer *out, const struct agent *agent);
};
enum status duty_run(struct context *context, struct request *request, struct outcome *outcome,
                     const struct agent *agent, const struct duty_answer *also,
                     struct error *error);

#endif
