/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/register.h"

#include "actors/identity/claim.h"
#include "actors/identity/onboarding.h"
#include "actors/identity/onboarding_duty.h"
#include "contracts/identity.h"

/* ---- register */

static enum status
read_agent(const struct request *request, struct agent *agent, struct error *error)
{
    struct claim_fields fields = {.agent_id = request_text(request, IDENTITY_REGISTER_AGENT_ID),
                                  .public_key = request_text(request, IDENTITY_REGISTER_PUBLIC_KEY),
                                  .curve_public_key =
                                      request_text(request, IDENTITY_REGISTER_CURVE_PUBLIC_KEY),
                                  .name = request_text(request, IDENTITY_REGISTER_NAME),
                                  .model = request_text(request, IDENTITY_REGISTER_MODEL)};
    enum status status = claim_read(&fields, agent, error);
    if (status == STATUS_OK)
        agent->status = AGENT_PENDING;
    return status;
}

/* NOT_FOUND: it may be made. OK: the same registration is under way. One that was rejected has only
 * a name: the operator may give that, and the row is taken over. */
static enum status
find_same(struct context *context, struct agent *wanted, bool *is_new, struct error *error)
{
    struct agent found;
    enum status status = agent_get(context, text_of(wanted->id), &found, error);
    if (status == STATUS_OK && found.status == AGENT_PENDING && found.state == STATE_ACTIVE &&
        strcmp(found.curve_public_key, wanted->curve_public_key) == 0) {
        *wanted = found;
        return STATUS_OK;
    }
    bool is_free = status == STATUS_OK && found.state == STATE_ANONYMOUS && !agent_is_open(&found);
    if (status == STATUS_OK && !is_free) {
        error_set_word(error, "agent_exists",
                       found.status == AGENT_REVOKED ? "%s was revoked; its name is not given again"
                                                     : "%s is registered already",
                       wanted->id);
        return STATUS_ALREADY_EXISTS;
    }
    if (!is_free && status != STATUS_NOT_FOUND)
        return status;
    *is_new = !is_free;
    if (is_free) {
        wanted->created_us = found.created_us;
        wanted->due_us = found.due_us;
        wanted->version = found.version;
        wanted->steps = found.steps;
    }
    return claim_check_key(context, wanted, error);
}

enum status
register_agent(struct context *context, struct request *request, struct outcome *outcome,
               struct error *error)
{
    struct agent agent;
    bool is_new = false;
    enum status status = read_agent(request, &agent, error);
    if (status == STATUS_OK)
        status = find_same(context, &agent, &is_new, error);
    if (status == STATUS_NOT_FOUND) {
        if (is_new) {
            agent.created_us = context_now(context).wall_us;
            outcome_expect_absent(outcome, SPACE_AGENT, text_bytes(text_of(agent.id)));
        }
        agent_set_due(outcome, &agent, 0);
        onboarding_move(context, outcome, &agent, STATE_ACTIVE, "register",
                        request_principal(request), (struct text){NULL, 0});
        agent_put(outcome, &agent);
        status = STATUS_OK;
    }
    if (status != STATUS_OK)
        return status;
    return duty_run(context, request, outcome, &agent, NULL, error);
}

/* ---- revoke */

enum status
revoke_agent(struct context *context, struct request *request, struct outcome *outcome,
             struct error *error)
{
    struct agent agent;
    enum status status =
        agent_get(context, request_text(request, IDENTITY_REVOKE_AGENT_ID), &agent, error);
    if (status != STATUS_OK)
        return status;
    if (agent.status != AGENT_REVOKED && agent.status != AGENT_REVOKING) {
        struct text reason = request_text(request, IDENTITY_REVOKE_REASON);
        agent_set_due(outcome, &agent, 0);
        claim_copy(agent.reason, sizeof agent.reason, reason);
        onboarding_move(context, outcome, &agent, STATE_TERMINATED, "revoke",
                        request_principal(request), reason);
        agent_put(outcome, &agent);
    }
    return duty_run(context, request, outcome, &agent, NULL, error);
}
