/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/key_rotate.h"

#include "actors/identity/claim.h"
#include "actors/identity/onboarding.h"
#include "actors/identity/onboarding_duty.h"
#include "contracts/identity.h"

/* The agent by its own key, or an admin. */
static enum status
check_right(const struct request *request, struct error *error)
{
    struct text agent_id = request_text(request, IDENTITY_ROTATE_KEY_AGENT_ID);
    if (text_equal(request_source(request), agent_id) &&
        text_equal(request_principal(request), agent_id))
        return STATUS_OK;
    return onboarding_check_admin(request, error);
}

static enum status
check_state(const struct agent *agent, struct error *error)
{
    if (agent->state != STATE_ACTIVE && agent->state != STATE_SUSPENDED) {
        error_set(error, "%s is %s: rotate_key is not allowed", agent->id,
                  agent_state_word(agent->state));
        return STATUS_CONFLICT;
    }
    if (!agent->curve_public_key[0]) {
        error_set_word(error, "no_key", "%s has no key for the bus that could be replaced",
                       agent->id);
        return STATUS_CONFLICT;
    }
    if (agent->old_key[0] || agent->status == AGENT_PENDING) {
        error_set_word(error, "rotation_running",
                       "%s has two keys until the old one ends: another one is added after that",
                       agent->id);
        return STATUS_CONFLICT;
    }
    return STATUS_OK;
}

static enum status
read_key(struct context *context, const struct request *request, const struct agent *agent,
         struct agent *wanted, struct error *error)
{
    struct claim_fields fields = {.agent_id = text_of(agent->id),
                                  .curve_public_key =
                                      request_text(request, IDENTITY_ROTATE_KEY_CURVE_PUBLIC_KEY)};
    enum status status = claim_read(&fields, wanted, error);
    if (status != STATUS_OK)
        return status;
    struct buffer owner;
    buffer_init(&owner);
    status = agent_get_by_key(context, fields.curve_public_key, &owner, error);
    buffer_clear(&owner);
    if (status == STATUS_OK) {
        error_set_word(error, "key_exists", "this key was given to an agent already");
        return STATUS_ALREADY_EXISTS;
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status
rotate_key(struct context *context, struct request *request, struct outcome *outcome,
           struct error *error)
{
    struct agent agent, wanted;
    uint64_t overlap_s = (uint64_t)arguments_integer(request_arguments(request),
                                                     IDENTITY_ROTATE_KEY_OVERLAP_SECONDS);
    enum status status = check_right(request, error);
    if (status == STATUS_OK)
        status =
            agent_get(context, request_text(request, IDENTITY_ROTATE_KEY_AGENT_ID), &agent, error);
    if (status != STATUS_OK)
        return status;
    /* Asked again: it is under way, or done. */
    if (text_equal_string(request_text(request, IDENTITY_ROTATE_KEY_CURVE_PUBLIC_KEY),
                          agent.curve_public_key) &&
        agent.old_key[0])
        return duty_run(context, request, outcome, &agent, NULL, error);
    status = check_state(&agent, error);
    if (status == STATUS_OK)
        status = read_key(context, request, &agent, &wanted, error);
    if (status != STATUS_OK)
        return status;
    agent_set_old_key(outcome, &agent, agent.curve_public_key,
                      context_now(context).wall_us + overlap_s * 1000000);
    memcpy(agent.curve_public_key, wanted.curve_public_key, sizeof agent.curve_public_key);
    agent.status = AGENT_PENDING;
    agent.version++;
    agent.duties |= overlap_s > 0 ? DUTY_KEY : DUTY_KEY | DUTY_OLD_KEY;
    agent_put(outcome, &agent);
    outcome_audit(outcome, &(struct audit_entry){.event = "agent.rotate_key",
                                                 .actor = request_principal(request),
                                                 .subject = text_of(agent.id),
                                                 .action = text_of("rotate_key"),
                                                 .resource = text_of(agent.id),
                                                 .outcome = "ok"});
    return duty_run(context, request, outcome, &agent, NULL, error);
}
