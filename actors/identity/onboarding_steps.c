/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that somebody else takes for an agent. */
#include "actors/identity/onboarding_steps.h"

#include "actors/identity/claim.h"
#include "actors/identity/onboarding.h"
#include "actors/identity/onboarding_duty.h"
#include "contracts/identity.h"
#include "kernel/identity.h"

/* The generator gives each operation its own names for the same two fields. */
#define SAME_FIELDS(step)                                                                          \
    _Static_assert((int)IDENTITY_##step##_ID == (int)IDENTITY_SUSPEND_ID &&                        \
                       (int)IDENTITY_##step##_REASON == (int)IDENTITY_SUSPEND_REASON,              \
                   "the steps have the same fields")
SAME_FIELDS(REJECT);
SAME_FIELDS(ACTIVATE);
SAME_FIELDS(REACTIVATE);
SAME_FIELDS(TERMINATE);

static enum status
finish(struct context *context, struct request *request, struct outcome *outcome,
       const struct agent *agent, struct error *error)
{
    agent_put(outcome, agent);
    return duty_run(context, request, outcome, agent, NULL, error);
}

/* Who may, whom, and whether the machine allows it. */
static enum status
take_step(struct context *context, struct request *request, struct outcome *outcome,
          enum agent_action action, struct agent *agent, struct error *error)
{
    struct agent_step step = {action, request_principal(request),
                              request_text(request, IDENTITY_SUSPEND_REASON)};
    enum status status = onboarding_check_admin(request, error);
    if (status == STATUS_OK)
        status = agent_get(context, request_text(request, IDENTITY_SUSPEND_ID), agent, error);
    return status == STATUS_OK ? onboarding_step(context, outcome, agent, &step, error) : status;
}

enum status
reject_agent(struct context *context, struct request *request, struct outcome *outcome,
             struct error *error)
{
    struct agent agent;
    enum status status = take_step(context, request, outcome, ACTION_REJECT, &agent, error);
    if (status != STATUS_OK)
        return status;
    agent.challenge[0] = '\0';
    agent_set_due(outcome, &agent, context_now(context).wall_us + REJECTED_KEPT_US);
    return finish(context, request, outcome, &agent, error);
}

static enum status
step_plainly(struct context *context, struct request *request, struct outcome *outcome,
             enum agent_action action, struct error *error)
{
    struct agent agent;
    enum status status = take_step(context, request, outcome, action, &agent, error);
    return status == STATUS_OK ? finish(context, request, outcome, &agent, error) : status;
}

enum status
activate_agent(struct context *context, struct request *request, struct outcome *outcome,
               struct error *error)
{
    return step_plainly(context, request, outcome, ACTION_ACTIVATE, error);
}

enum status
suspend_agent(struct context *context, struct request *request, struct outcome *outcome,
              struct error *error)
{
    return step_plainly(context, request, outcome, ACTION_SUSPEND, error);
}

enum status
reactivate_agent(struct context *context, struct request *request, struct outcome *outcome,
                 struct error *error)
{
    return step_plainly(context, request, outcome, ACTION_REACTIVATE, error);
}

enum status
terminate_agent(struct context *context, struct request *request, struct outcome *outcome,
                struct error *error)
{
    struct agent agent;
    enum status status = take_step(context, request, outcome, ACTION_TERMINATE, &agent, error);
    if (status != STATUS_OK)
        return status;
    claim_copy(agent.reason, sizeof agent.reason, request_text(request, IDENTITY_TERMINATE_REASON));
    return finish(context, request, outcome, &agent, error);
}

/* ---- squads */

static const enum status FULL = STATUS_PENDING;

static enum status
count_squad(void *context, struct bytes key, struct bytes value, struct error *error)
{
    uint32_t *count = context;
    (void)key, (void)value, (void)error;
    return ++*count >= SQUADS_MAX ? FULL : STATUS_OK;
}

/* One that nobody was in before is made. */
static enum status
make_squad(struct context *context, struct outcome *outcome, struct text squad, struct error *error)
{
    struct identity identity;
    struct buffer row;
    uint32_t count = 0;
    if (identity_parse(squad, &identity, error) != STATUS_OK || identity.type != IDENTITY_SQUAD) {
        char came[65];
        claim_copy(came, sizeof came, squad);
        error_set_field(error, "squad_id",
                        "came %s, expected squad:<name> of letters, digits and . _ - : @ /", came);
        return STATUS_VALIDATION;
    }
    buffer_init(&row);
    enum status status = context_get(context, SPACE_SQUAD, text_bytes(squad), &row, error);
    if (status == STATUS_NOT_FOUND) {
        status = context_scan(context, SPACE_SQUAD, (struct bytes){0}, false, count_squad, &count,
                              error);
        if (status == FULL) {
            error_set_word(error, "too_many_squads", "there are %d squads, no more are made",
                           SQUADS_MAX);
            status = STATUS_QUOTA_EXCEEDED;
        }
        if (status == STATUS_OK) {
            pack_map(&row, 1);
            pack_pair_uint(&row, "created_us", context_now(context).wall_us);
            if (row.failed)
                status = STATUS_NOMEM;
            else
                outcome_put(outcome, SPACE_SQUAD, text_bytes(squad), buffer_bytes(&row));
        }
    }
    buffer_clear(&row);
    return status;
}

enum status
assign_squad(struct context *context, struct request *request, struct outcome *outcome,
             struct error *error)
{
    struct agent agent;
    struct text squad = request_text(request, IDENTITY_ASSIGN_SQUAD_SQUAD_ID);
    struct agent_step step = {ACTION_ASSIGN_SQUAD, request_principal(request),
                              request_text(request, IDENTITY_ASSIGN_SQUAD_REASON)};
    enum status status = onboarding_check_admin(request, error);
    if (status == STATUS_OK)
        status = agent_get(context, request_text(request, IDENTITY_ASSIGN_SQUAD_ID), &agent, error);
    if (status == STATUS_OK)
        status = make_squad(context, outcome, squad, error);
    if (status != STATUS_OK)
        return status;
    claim_copy(agent.squad_id, sizeof agent.squad_id, squad);
    agent_set_due(outcome, &agent, 0);
    status = onboarding_step(context, outcome, &agent, &step, error);
    return status == STATUS_OK ? finish(context, request, outcome, &agent, error) : status;
}

/* ---- looking */

enum status
get_agent(struct context *context, struct request *request, struct outcome *outcome,
          struct error *error)
{
    struct agent agent;
    enum status status = agent_get(context, request_text(request, IDENTITY_GET_ID), &agent, error);
    if (status == STATUS_OK)
        status = onboarding_pack(context, outcome_reply(outcome), &agent, 0, error);
    return status;
}
