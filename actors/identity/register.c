/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/register.h"

#include <stdlib.h>

#include "contracts/identity.h"
#include "kernel/identity.h"

enum { BROKER_TTL_MS = 10000 };

/* ---- the broker */

void
ask_broker(struct outcome *outcome, const struct agent *agent, resume_fn *resume)
{
    struct buffer payload;
    bool adds = agent->status == AGENT_PENDING;
    buffer_init(&payload);
    if (adds)
        agent_pack_key_add(&payload, agent);
    else
        agent_pack_key_revoke(&payload, agent);
    if (payload.failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_call(outcome,
                     &(struct outcome_call){.service = "bus",
                                            .type = adds ? "key_add" : "key_revoke",
                                            .payload = buffer_bytes(&payload),
                                            .ttl_ms = BROKER_TTL_MS},
                     resume);
    buffer_clear(&payload);
}

bool
broker_refuses(enum status status)
{
    switch (status) {
    case STATUS_ALREADY_EXISTS:
    case STATUS_FORBIDDEN:
    case STATUS_VALIDATION:
    case STATUS_INVALID:
    case STATUS_QUOTA_EXCEEDED:
        return true;
    default:
        return false;
    }
}

void
close_agent(struct context *context, struct outcome *outcome, struct agent *agent)
{
    if (agent->status == AGENT_PENDING) {
        agent->status = AGENT_REGISTERED;
    } else {
        agent->status = AGENT_REVOKED;
        agent->revoked_us = context_now(context).wall_us;
    }
    agent_put(outcome, agent);
}

static enum status
report_unconfirmed(const struct event *event, const char *what, struct error *error)
{
    error_set(
        error,
        "%s is recorded, but the broker has not confirmed it yet (%s); it is asked again by itself",
        what, event->error.message);
    return STATUS_UNAVAILABLE;
}

/* ---- register */

static struct text
argument(const struct request *request, unsigned field)
{
    return arguments_text(request_arguments(request), field);
}

static bool
is_hex(struct text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!strchr("0123456789abcdefABCDEF", text.data[i]) || text.data[i] == '\0')
            return false;
    return true;
}

static void
copy(char *to, struct text text)
{
    if (text.size > 0)
        memcpy(to, text.data, text.size); /* the contract's bounds are those of struct agent */
    to[text.size] = '\0';
}

static enum status
read_agent(const struct request *request, struct agent *agent, struct error *error)
{
    struct identity identity;
    struct text id = argument(request, IDENTITY_REGISTER_AGENT_ID);
    struct text public_key = argument(request, IDENTITY_REGISTER_PUBLIC_KEY);
    *agent = (struct agent){.status = AGENT_PENDING};
    if (identity_parse(id, &identity, error) != STATUS_OK || identity.type != IDENTITY_AGENT) {
        error_set_field(error, "agent_id",
                        "came %.*s, expected agent:<name> of letters, digits and . _ - : @ /",
                        TEXT_ARGS(id));
        return STATUS_VALIDATION;
    }
    if (!is_hex(public_key)) {
        error_set_field(error, "public_key", "expected 64 hex digits");
        return STATUS_VALIDATION;
    }
    copy(agent->id, id);
    copy(agent->curve_public_key, argument(request, IDENTITY_REGISTER_CURVE_PUBLIC_KEY));
    copy(agent->name, argument(request, IDENTITY_REGISTER_NAME));
    copy(agent->model, argument(request, IDENTITY_REGISTER_MODEL));
    copy(agent->public_key, public_key);
    if (!curve_key_is_valid(agent->curve_public_key)) {
        error_set_field(error, "curve_public_key",
                        "expected the Z85 text of a CURVE key, 40 characters");
        return STATUS_VALIDATION;
    }
    return STATUS_OK;
}

/* NOT_FOUND: it may be made. OK: the same registration is under way. */
static enum status
find_same(struct context *context, const struct agent *wanted, struct error *error)
{
    struct agent found;
    enum status status = agent_get(context, text_of(wanted->id), &found, error);
    if (status == STATUS_OK && found.status == AGENT_PENDING &&
        strcmp(found.curve_public_key, wanted->curve_public_key) == 0)
        return STATUS_OK;
    if (status == STATUS_OK) {
        error_set_word(error, "agent_exists",
                       found.status == AGENT_REVOKED ? "%s was revoked; its name is not given again"
                                                     : "%s is registered already",
                       wanted->id);
        return STATUS_ALREADY_EXISTS;
    }
    if (status != STATUS_NOT_FOUND)
        return status;

    struct buffer owner;
    buffer_init(&owner);
    status = agent_get_by_key(context, text_of(wanted->curve_public_key), &owner, error);
    if (status == STATUS_OK) {
        error_set_word(error, "key_exists", "this key belongs to another agent");
        status = STATUS_ALREADY_EXISTS;
    }
    buffer_clear(&owner);
    return status;
}

/* What the caller is told once the row that the broker refused is gone. */
struct refusal {
    enum status status;
    struct error error;
};

static enum status
on_removed(struct context *context, struct request *request, const struct event *event,
           struct outcome *outcome, struct error *error)
{
    (void)context;
    (void)event;
    (void)outcome;
    const struct refusal *refusal = request_progress(request);
    *error = refusal->error;
    return refusal->status;
}

/* A step that fails writes nothing: the row goes in this one, the words in the next. */
static enum status
remove_refused(struct request *request, const struct event *event, const struct agent *agent,
               struct outcome *outcome)
{
    struct refusal *refusal = malloc(sizeof *refusal);
    if (!refusal)
        return STATUS_NOMEM;
    *refusal = (struct refusal){event->status, event->error};
    request_set_progress(request, refusal, free);
    agent_delete(outcome, agent);
    outcome_timer(outcome, 0, 0, on_removed);
    return STATUS_PENDING;
}

static enum status
on_added(struct context *context, struct request *request, const struct event *event,
         struct outcome *outcome, struct error *error)
{
    struct agent agent;
    enum status status =
        agent_get(context, argument(request, IDENTITY_REGISTER_AGENT_ID), &agent, error);
    if (status != STATUS_OK)
        return status;
    if (event->status != STATUS_OK && agent.status == AGENT_PENDING)
        return broker_refuses(event->status) ? remove_refused(request, event, &agent, outcome)
                                             : report_unconfirmed(event, "the agent", error);
    if (agent.status == AGENT_PENDING)
        close_agent(context, outcome, &agent);
    agent_pack(outcome_reply(outcome), &agent);
    return STATUS_OK;
}

enum status
register_agent(struct context *context, struct request *request, struct outcome *outcome,
               struct error *error)
{
    struct agent agent;
    enum status status = read_agent(request, &agent, error);
    if (status == STATUS_OK)
        status = find_same(context, &agent, error);
    if (status == STATUS_NOT_FOUND) {
        agent.created_us = context_now(context).wall_us;
        outcome_expect_absent(outcome, SPACE_AGENT, text_bytes(text_of(agent.id)));
        agent_put(outcome, &agent);
        status = STATUS_OK;
    }
    if (status != STATUS_OK)
        return status;
    ask_broker(outcome, &agent, on_added);
    return STATUS_PENDING;
}

/* ---- revoke */

static enum status
on_revoked(struct context *context, struct request *request, const struct event *event,
           struct outcome *outcome, struct error *error)
{
    struct agent agent;
    enum status status =
        agent_get(context, argument(request, IDENTITY_REVOKE_AGENT_ID), &agent, error);
    if (status != STATUS_OK)
        return status;
    if (event->status != STATUS_OK && agent.status == AGENT_REVOKING)
        return report_unconfirmed(event, "the revocation", error);
    if (agent.status == AGENT_REVOKING)
        close_agent(context, outcome, &agent);
    agent_pack(outcome_reply(outcome), &agent);
    return STATUS_OK;
}

enum status
revoke_agent(struct context *context, struct request *request, struct outcome *outcome,
             struct error *error)
{
    struct agent agent;
    enum status status =
        agent_get(context, argument(request, IDENTITY_REVOKE_AGENT_ID), &agent, error);
    if (status != STATUS_OK)
        return status;
    if (agent.status == AGENT_REVOKED) {
        agent_pack(outcome_reply(outcome), &agent);
        return STATUS_OK;
    }
    if (agent.status != AGENT_REVOKING) {
        agent.status = AGENT_REVOKING;
        copy(agent.reason, argument(request, IDENTITY_REVOKE_REASON));
        agent_put(outcome, &agent);
    }
    ask_broker(outcome, &agent, on_revoked);
    return STATUS_PENDING;
}
