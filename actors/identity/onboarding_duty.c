/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/onboarding_duty.h"

#include <stdlib.h>

#include "actors/identity/onboarding.h"

enum { BROKER_TTL_MS = 10000, DUTY_BITS = 3 };

#define SYSTEM "system:identity"

/* By state: what the broker lets the agent do. */
static const char *const access_words[AGENT_STATES] = {
    [STATE_ANONYMOUS] = "onboarding", [STATE_IDENTIFIED] = "onboarding",
    [STATE_VERIFIED] = "onboarding",  [STATE_SQUAD_ASSIGNED] = "onboarding",
    [STATE_ACTIVE] = "full",          [STATE_SUSPENDED] = "read_only",
    [STATE_TERMINATED] = "onboarding"};

/* ---- asking */

static enum agent_duty
first_duty(const struct agent *agent)
{
    if (agent->duties & DUTY_KEY)
        return DUTY_KEY;
    return agent->duties & DUTY_OLD_KEY ? DUTY_OLD_KEY : DUTY_SQUAD;
}

static const char *
pack_squad(struct buffer *out, const struct agent *agent)
{
    pack_map(out, 2);
    pack_pair_string(out, "squad", agent->squad_id);
    pack_pair_string(out, "agent_id", agent->id);
    return agent->state == STATE_TERMINATED ? "bus_leave" : "bus_join";
}

static const char *
pack_key(struct buffer *out, const struct agent *agent)
{
    bool forgets = agent->state == STATE_ANONYMOUS;
    bool adds = !forgets && agent->status == AGENT_PENDING;
    bool revokes = agent->status == AGENT_REVOKING;
    pack_map(out, revokes ? 1 : adds ? 3 : 2);
    pack_pair_string(out, "identity", agent->id);
    if (revokes)
        return "key_revoke";
    if (forgets || adds)
        pack_pair_string(out, "curve_public_key", agent->curve_public_key);
    if (forgets)
        return "key_forget";
    pack_pair_string(out, "access", access_words[agent->state]);
    return adds ? "key_add" : "key_access";
}

static const char *
pack_duty(struct buffer *out, const struct agent *agent, enum agent_duty duty)
{
    if (duty == DUTY_SQUAD)
        return pack_squad(out, agent);
    if (duty == DUTY_KEY)
        return pack_key(out, agent);
    pack_map(out, 2);
    pack_pair_string(out, "identity", agent->id);
    pack_pair_string(out, "curve_public_key", agent->old_key);
    return "key_revoke";
}

static unsigned
tag_of(const struct agent *agent, enum agent_duty duty)
{
    return (unsigned)(agent->version << DUTY_BITS) | duty;
}

void
duty_ask(struct outcome *outcome, const struct agent *agent, resume_fn *resume)
{
    struct buffer payload;
    enum agent_duty duty = first_duty(agent);
    buffer_init(&payload);
    const char *type = pack_duty(&payload, agent, duty);
    if (payload.failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_call(outcome,
                     &(struct outcome_call){.service = "bus",
                                            .type = type,
                                            .payload = buffer_bytes(&payload),
                                            .ttl_ms = BROKER_TTL_MS,
                                            .tag = tag_of(agent, duty)},
                     resume);
    buffer_clear(&payload);
}

/* ---- what was answered */

/* 0: the row has changed since it was asked. */
static unsigned
answered_duty(const struct agent *agent, unsigned tag)
{
    unsigned duty = tag & ((1u << DUTY_BITS) - 1);
    return tag == tag_of(agent, (enum agent_duty)duty) ? agent->duties & duty : 0;
}

static void
key_is_told(struct context *context, struct outcome *outcome, struct agent *agent)
{
    if (agent->status == AGENT_REVOKING) {
        agent->status = AGENT_REVOKED;
        agent->revoked_us = context_now(context).wall_us;
        agent_set_old_key(outcome, agent, "", 0);
    } else if (agent->state == STATE_ANONYMOUS) {
        agent_free_key(outcome, agent);
        agent->status = AGENT_NONE;
    } else if (agent->status == AGENT_PENDING) {
        agent->status = AGENT_REGISTERED;
    }
}

void
duty_done(struct context *context, struct outcome *outcome, struct agent *agent, unsigned tag)
{
    unsigned duty = answered_duty(agent, tag);
    agent->duties &= ~duty;
    if (duty == DUTY_KEY)
        key_is_told(context, outcome, agent);
    else if (duty == DUTY_OLD_KEY)
        agent_set_old_key(outcome, agent, "", 0);
    if (duty)
        agent_put(outcome, agent);
}

bool
duty_is_refused(enum status status)
{
    switch (status) {
    case STATUS_ALREADY_EXISTS:
    case STATUS_FORBIDDEN:
    case STATUS_VALIDATION:
    case STATUS_INVALID:
    case STATUS_CONFLICT:
    case STATUS_QUOTA_EXCEEDED:
        return true;
    default:
        return false;
    }
}

/* A key that the broker does not take: a rotation is undone, a candidate begins anew, and an agent
 * that was just registered is none. */
static enum status
drop_key(struct context *context, struct outcome *outcome, struct agent *agent,
         const struct error *why, struct error *error)
{
    agent_free_key(outcome, agent);
    if (agent->old_key[0]) {
        memcpy(agent->curve_public_key, agent->old_key, sizeof agent->old_key);
        agent_set_old_key(outcome, agent, "", 0);
        agent->status = AGENT_REGISTERED;
        agent->version++;
        agent->duties |= DUTY_KEY; /* its rights may have changed meanwhile */
    } else if (agent->due_us) {
        agent->status = AGENT_NONE;
        onboarding_move(context, outcome, agent, STATE_ANONYMOUS, "reject", text_of(SYSTEM),
                        text_of(why->message));
        agent->duties = 0; /* the broker has nothing of it */
    } else {
        return onboarding_forget(context, outcome, agent, error);
    }
    agent_put(outcome, agent);
    return STATUS_OK;
}

enum status
duty_refused(struct context *context, struct outcome *outcome, struct agent *agent, unsigned tag,
             const struct error *why, struct error *error)
{
    unsigned duty = answered_duty(agent, tag);
    if (!duty)
        return STATUS_OK;
    log_warn(context_logger(context), "%s: the broker refuses what it has to know of it: %s",
             agent->id, why->message);
    agent->duties &= ~duty;
    if (duty == DUTY_KEY && agent->status == AGENT_PENDING)
        return drop_key(context, outcome, agent, why, error);
    agent_put(outcome, agent);
    return STATUS_OK;
}

/* ---- the end of a handler */

struct duty_progress {
    char id[MESSAGE_NAME_MAX + 1];
    struct duty_answer also;
    enum status refused; /* OK: not */
    struct error why;
};

static enum status
answer(struct context *context, struct outcome *outcome, const struct agent *agent,
       const struct duty_answer *also, struct error *error)
{
    enum status status =
        onboarding_pack(context, outcome_reply(outcome), agent, also->pairs, error);
    if (status == STATUS_OK && also->pack)
        also->pack(outcome_reply(outcome), agent);
    return status;
}

/* A step that fails writes nothing: what the refusal changes goes in one, the words in the next. */
static enum status
on_refused(struct context *context, struct request *request, const struct event *event,
           struct outcome *outcome, struct error *error)
{
    (void)context, (void)event, (void)outcome;
    const struct duty_progress *progress = request_progress(request);
    *error = progress->why;
    return progress->refused;
}

static enum status
on_told(struct context *context, struct request *request, const struct event *event,
        struct outcome *outcome, struct error *error)
{
    struct duty_progress *progress = request_progress(request);
    struct agent agent;
    enum status status = agent_get(context, text_of(progress->id), &agent, error);
    if (status != STATUS_OK)
        return status;
    if (event->status == STATUS_OK) {
        duty_done(context, outcome, &agent, event->tag);
    } else if (answered_duty(&agent, event->tag) && duty_is_refused(event->status)) {
        progress->refused = event->status;
        progress->why = event->error;
        status = duty_refused(context, outcome, &agent, event->tag, &event->error, error);
        if (status != STATUS_OK)
            return status;
        outcome_timer(outcome, 0, 0, on_refused);
        return STATUS_PENDING;
    } else if (answered_duty(&agent, event->tag)) {
        error_set(error,
                  "%s is recorded as %s, but the broker has not confirmed it yet (%s); it is asked "
                  "again by itself",
                  agent.id, agent_state_word(agent.state), event->error.message);
        return STATUS_UNAVAILABLE;
    }
    if (!agent_is_open(&agent))
        return answer(context, outcome, &agent, &progress->also, error);
    duty_ask(outcome, &agent, on_told);
    return STATUS_PENDING;
}

enum status
duty_run(struct context *context, struct request *request, struct outcome *outcome,
         const struct agent *agent, const struct duty_answer *also, struct error *error)
{
    static const struct duty_answer nothing = {0, NULL};
    if (!agent_is_open(agent))
        return answer(context, outcome, agent, also ? also : &nothing, error);
    struct duty_progress *progress = calloc(1, sizeof *progress);
    if (!progress)
        return STATUS_NOMEM;
    memcpy(progress->id, agent->id, sizeof progress->id);
    progress->also = also ? *also : nothing;
    request_set_progress(request, progress, free);
    duty_ask(outcome, agent, on_told);
    return STATUS_PENDING;
}
