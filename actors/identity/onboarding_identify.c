/* SPDX-License-Identifier: Apache-2.0 */
/* identify and verify: the two steps that an agent takes by itself. */
#include "actors/identity/claim.h"
#include "actors/identity/onboarding.h"
#include "actors/identity/onboarding_duty.h"
#include "actors/identity/onboarding_steps.h"
#include "contracts/identity.h"

/* ---- identify */

static void
pack_challenge(struct buffer *out, const struct agent *agent)
{
    char until[TIMESTAMP_TEXT_SIZE];
    timestamp_format(agent->due_us, until);
    pack_pair_string(out, "challenge", agent->challenge);
    pack_pair_string(out, "challenge_expires_at", until);
}

static const struct duty_answer with_challenge = {2, pack_challenge};

static enum status
read_metadata(const struct request *request, struct bytes *metadata, struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    *metadata = (struct bytes){0};
    if (!arguments_has(arguments, IDENTITY_IDENTIFY_METADATA))
        return STATUS_OK;
    *metadata = arguments->values[IDENTITY_IDENTIFY_METADATA].raw;
    if (metadata->size <= CLAIM_METADATA_MAX)
        return STATUS_OK;
    error_set_field(error, "metadata", "came %zu bytes, expected at most %d packed", metadata->size,
                    CLAIM_METADATA_MAX);
    return STATUS_VALIDATION;
}

static enum status
read_claim(const struct request *request, struct agent *agent, struct bytes *metadata,
           struct error *error)
{
    struct claim_fields fields = {.agent_id = request_text(request, IDENTITY_IDENTIFY_AGENT_ID),
                                  .public_key = request_text(request, IDENTITY_IDENTIFY_PUBLIC_KEY),
                                  .curve_public_key =
                                      request_text(request, IDENTITY_IDENTIFY_CURVE_PUBLIC_KEY),
                                  .name = request_text(request, IDENTITY_IDENTIFY_NAME),
                                  .model = request_text(request, IDENTITY_IDENTIFY_MODEL)};
    enum status status = claim_read(&fields, agent, error);
    if (status == STATUS_OK)
        status = read_metadata(request, metadata, error);
    if (status == STATUS_OK)
        status = claim_check_bearer(request_source(request), agent->curve_public_key, error);
    return status;
}

/* What an earlier claim of this name, which was rejected, left behind. */
static enum status
find_earlier(struct context *context, struct outcome *outcome, struct agent *agent,
             struct error *error)
{
    struct agent earlier;
    enum status status = agent_get(context, text_of(agent->id), &earlier, error);
    if (status == STATUS_NOT_FOUND) {
        agent->created_us = context_now(context).wall_us;
        outcome_expect_absent(outcome, SPACE_AGENT, text_bytes(text_of(agent->id)));
        return onboarding_check_candidates(context, error);
    }
    if (status != STATUS_OK)
        return status;
    if (earlier.state == STATE_ANONYMOUS && agent_is_open(&earlier)) {
        error_set(error, "%s was rejected a moment ago; try again", agent->id);
        return STATUS_UNAVAILABLE;
    }
    agent->state = earlier.state; /* the machine says whether it may */
    agent->created_us = earlier.created_us;
    agent->due_us = earlier.due_us;
    agent->version = earlier.version;
    agent->steps = earlier.steps;
    return STATUS_OK;
}

enum status
identify_agent(struct context *context, struct request *request, struct outcome *outcome,
               struct error *error)
{
    struct agent agent;
    struct bytes metadata;
    struct agent_step step = {.action = ACTION_IDENTIFY, .actor = request_principal(request)};
    enum status status = read_claim(request, &agent, &metadata, error);
    if (status == STATUS_OK)
        status = find_earlier(context, outcome, &agent, error);
    if (status == STATUS_OK && agent.state == STATE_ANONYMOUS) {
        status = claim_check_key(context, &agent, error);
        status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    if (status != STATUS_OK)
        return status;
    if (agent.curve_public_key[0])
        agent.status = AGENT_PENDING;
    status = onboarding_step(context, outcome, &agent, &step, error);
    if (status != STATUS_OK)
        return status;
    claim_challenge(&agent);
    agent_set_due(outcome, &agent, context_now(context).wall_us + CHALLENGE_US);
    agent_put(outcome, &agent);
    if (metadata.size > 0)
        outcome_put(outcome, SPACE_CLAIM, text_bytes(text_of(agent.id)), metadata);
    else
        outcome_delete(outcome, SPACE_CLAIM, text_bytes(text_of(agent.id)));
    return duty_run(context, request, outcome, &agent, &with_challenge, error);
}

/* ---- verify */

enum status
verify_agent(struct context *context, struct request *request, struct outcome *outcome,
             struct error *error)
{
    struct agent agent;
    struct agent_step step = {.action = ACTION_VERIFY, .actor = request_principal(request)};
    enum status status =
        agent_get(context, request_text(request, IDENTITY_VERIFY_ID), &agent, error);
    if (status == STATUS_OK)
        status = claim_check_bearer(request_source(request), agent.curve_public_key, error);
    if (status == STATUS_OK) /* the state first: a wrong one is refused before the proof is read */
        status = onboarding_step(context, outcome, &agent, &step, error);
    if (status == STATUS_OK && context_now(context).wall_us >= agent.due_us) {
        error_set_word(error, "challenge_expired",
                       "the challenge of %s has expired: it is rejected in a moment and may "
                       "identify again",
                       agent.id);
        status = STATUS_UNAUTHORIZED;
    }
    if (status == STATUS_OK)
        status = claim_check_proof(&agent, request_text(request, IDENTITY_VERIFY_SIGNATURE), error);
    if (status != STATUS_OK)
        return status;
    agent.challenge[0] = '\0';
    agent_set_due(outcome, &agent, UINT64_MAX); /* counts as a candidate until it has a squad */
    agent_put(outcome, &agent);
    return duty_run(context, request, outcome, &agent, NULL, error);
}
