/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/sync.h"

#include <stdlib.h>

#include "actors/identity/grant_revoke.h"
#include "actors/identity/onboarding.h"
#include "actors/identity/onboarding_duty.h"

enum {
    DUTIES_IN_A_ROW = 3, /* of one agent */
    DUE_MAX = 32         /* in a run, of each kind */
};

/* What one run has done, and the agent it asks the broker about. */
struct run {
    char agent[MESSAGE_NAME_MAX + 1];
    char key[CURVE_KEY_TEXT_SIZE]; /* the last one that was listed */
    unsigned tries;                /* of one agent, one after the other */
    unsigned adopted, finished;
};

/* ---- unfinished agents */

struct first {
    const char *after;
    bool again; /* that one too */
    char found[MESSAGE_NAME_MAX + 1];
};

static const enum status FOUND = STATUS_PENDING;

static enum status
take_first(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct first *first = context;
    (void)value;
    (void)error;
    if (key.size >= sizeof first->found)
        return STATUS_OK;
    memcpy(first->found, key.data, key.size);
    first->found[key.size] = '\0';
    int order = strcmp(first->found, first->after);
    return order > 0 || (order == 0 && first->again) ? FOUND : STATUS_OK;
}

static resume_fn on_confirmed;

static enum status
finish_next(struct context *context, struct request *request, struct outcome *outcome,
            struct error *error)
{
    struct run *run = request_progress(request);
    struct first first = {.after = run->agent, .again = run->tries < DUTIES_IN_A_ROW};
    struct agent agent;
    enum status status =
        context_scan(context, SPACE_OPEN, (struct bytes){0}, false, take_first, &first, error);
    if (status == STATUS_OK)
        return tell_broker(context, request, outcome, run->adopted, run->finished, error);
    if (status != FOUND)
        return status;
    run->tries = strcmp(run->agent, first.found) == 0 ? run->tries + 1 : 0;
    memcpy(run->agent, first.found, sizeof run->agent);
    status = agent_get(context, text_of(run->agent), &agent, error);
    if (status != STATUS_OK)
        return status;
    duty_ask(outcome, &agent, on_confirmed);
    return STATUS_PENDING;
}

static enum status
on_confirmed(struct context *context, struct request *request, const struct event *event,
             struct outcome *outcome, struct error *error)
{
    struct run *run = request_progress(request);
    struct agent agent;
    enum status status = agent_get(context, text_of(run->agent), &agent, error);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    if (status == STATUS_OK && event->status == STATUS_OK) {
        duty_done(context, outcome, &agent, event->tag);
        run->finished++;
    } else if (status == STATUS_OK && duty_is_refused(event->status)) {
        status = duty_refused(context, outcome, &agent, event->tag, &event->error, error);
        if (status != STATUS_OK)
            return status;
        run->finished++;
    } else if (event->status != STATUS_OK) {
        *error = event->error;
        return event->status;
    }
    return finish_next(context, request, outcome, error);
}

/* ---- keys that were added offline */

static enum status
adopt(struct context *context, struct outcome *outcome, struct run *run, const struct value *entry,
      struct error *error)
{
    struct agent agent;
    struct text id, key, access;
    bool revoked = false;
    if (!value_find_text(entry, "identity", &id) || !text_starts_with(id, "agent:") ||
        id.size >= sizeof agent.id || !value_find_text(entry, "curve_public_key", &key) ||
        key.size >= sizeof agent.curve_public_key)
        return STATUS_OK;
    value_find_bool(entry, "revoked", &revoked);
    /* A key that is still being onboarded is in a row of its own. */
    bool suspended = false;
    if (value_find_text(entry, "access", &access)) {
        suspended = text_equal_string(access, "read_only");
        if (text_equal_string(access, "onboarding"))
            return STATUS_OK;
    }
    uint64_t now_us = context_now(context).wall_us;
    enum status status = agent_get(context, id, &agent, error);
    if (status == STATUS_NOT_FOUND) {
        agent = (struct agent){.status = revoked ? AGENT_REVOKED : AGENT_REGISTERED,
                               .state = revoked     ? STATE_TERMINATED
                                        : suspended ? STATE_SUSPENDED
                                                    : STATE_ACTIVE,
                               .created_us = now_us,
                               .revoked_us = revoked ? now_us : 0};
        memcpy(agent.id, id.data, id.size);
        memcpy(agent.curve_public_key, key.data, key.size);
    } else if (status == STATUS_OK && revoked && agent.status == AGENT_REGISTERED &&
               text_equal_string(key, agent.curve_public_key)) {
        agent.status = AGENT_REVOKED;
        agent.state = STATE_TERMINATED;
        agent.revoked_us = now_us;
    } else if (status == STATUS_OK && !revoked && agent.status == AGENT_REVOKED &&
               !text_equal_string(key, agent.curve_public_key)) {
        agent.status = AGENT_REGISTERED; /* given a new key offline */
        agent.state = STATE_ACTIVE;
        agent.revoked_us = 0;
        memcpy(agent.curve_public_key, key.data, key.size);
        agent.curve_public_key[key.size] = '\0';
    } else {
        return status;
    }
    agent_put(outcome, &agent);
    run->adopted++;
    return STATUS_OK;
}

static resume_fn on_keys;

static void
list_keys(struct outcome *outcome, const struct run *run)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_string(&payload, "after", run->key);
    if (payload.failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_call(outcome,
                     &(struct outcome_call){
                         .service = "bus", .type = "key_list", .payload = buffer_bytes(&payload)},
                     on_keys);
    buffer_clear(&payload);
}

static void
remember_key(struct run *run, const struct value *entry)
{
    struct text key;
    if (!value_find_text(entry, "curve_public_key", &key) || key.size >= sizeof run->key)
        return;
    memcpy(run->key, key.data, key.size);
    run->key[key.size] = '\0';
}

static enum status
on_keys(struct context *context, struct request *request, const struct event *event,
        struct outcome *outcome, struct error *error)
{
    struct identities *identities = context_state(context);
    struct run *run = request_progress(request);
    char after[CURVE_KEY_TEXT_SIZE];
    struct value map, keys, entry;
    bool more = false;
    if (event->status != STATUS_OK) {
        *error = event->error;
        return event->status;
    }
    if (!value_parse(event->payload, &map) || !value_find(&map, "keys", &keys) ||
        keys.type != VALUE_ARRAY) {
        error_set(error, "the broker's list of keys cannot be read");
        return STATUS_BAD_GATEWAY;
    }
    memcpy(after, run->key, sizeof after);
    struct entries entries = value_entries(&keys);
    while (entries_next(&entries, &entry)) {
        enum status status = adopt(context, outcome, run, &entry, error);
        if (status != STATUS_OK)
            return status;
        remember_key(run, &entry);
    }
    value_find_bool(&map, "more", &more);
    if (more && strcmp(run->key, after) == 0) {
        error_set(error, "the broker's list of keys does not go on");
        return STATUS_BAD_GATEWAY;
    }
    if (more) {
        list_keys(outcome, run);
        return STATUS_PENDING;
    }
    identities->list_us = context_now(context).monotonic_us + SYNC_LIST_US;
    return finish_next(context, request, outcome, error);
}

/* ---- what has become due */

struct due {
    uint64_t now_us;
    size_t count;
    char ids[DUE_MAX][MESSAGE_NAME_MAX + 1];
};

static const enum status LATER = STATUS_PENDING;

static enum status
take_due(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct due *due = context;
    (void)value, (void)error;
    if (agent_read_moment(key) > due->now_us || due->count == DUE_MAX)
        return LATER;
    size_t size = key.size - MOMENT_SIZE; /* apply() has seen to it */
    if (size > MESSAGE_NAME_MAX)
        return STATUS_OK;
    memcpy(due->ids[due->count], key.data + MOMENT_SIZE, size);
    due->ids[due->count++][size] = '\0';
    return STATUS_OK;
}

typedef enum status due_fn(struct context *context, struct outcome *outcome, struct agent *agent,
                           struct error *error);

static enum status
each_due(struct context *context, struct outcome *outcome, store_space space, due_fn *act,
         struct error *error)
{
    struct due *due = calloc(1, sizeof *due);
    if (!due)
        return STATUS_NOMEM;
    due->now_us = context_now(context).wall_us;
    enum status status =
        context_scan(context, space, (struct bytes){0}, false, take_due, due, error);
    if (status == LATER)
        status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < due->count; i++) {
        struct agent agent;
        status = agent_get(context, text_of(due->ids[i]), &agent, error);
        if (status == STATUS_OK)
            status = act(context, outcome, &agent, error);
        else if (status == STATUS_NOT_FOUND)
            status = STATUS_OK;
    }
    free(due);
    return status;
}

static enum status
end_old_key(struct context *context, struct outcome *outcome, struct agent *agent,
            struct error *error)
{
    (void)context, (void)error;
    if (agent->duties & DUTY_OLD_KEY)
        return STATUS_OK; /* and not confirmed yet */
    agent->duties |= DUTY_OLD_KEY;
    agent->version++;
    agent_put(outcome, agent);
    return STATUS_OK;
}

/* Who did not prove in time who it is begins anew, and is forgotten when it does not. */
static enum status
end_candidate(struct context *context, struct outcome *outcome, struct agent *agent,
              struct error *error)
{
    struct agent_step step = {ACTION_REJECT, text_of("system:identity"),
                              text_of("the challenge was not answered in time")};
    if (agent->state == STATE_ANONYMOUS)
        return agent_is_open(agent) ? STATUS_OK : onboarding_forget(context, outcome, agent, error);
    if (agent->state == STATE_IDENTIFIED) {
        enum status status = onboarding_step(context, outcome, agent, &step, error);
        if (status != STATUS_OK)
            return status;
        agent->challenge[0] = '\0';
        agent_set_due(outcome, agent, context_now(context).wall_us + REJECTED_KEPT_US);
        agent_put(outcome, agent);
    }
    return STATUS_OK;
}

enum status
sync_agents(struct context *context, struct request *request, struct outcome *outcome,
            struct error *error)
{
    const struct identities *identities = context_state(context);
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return STATUS_NOMEM;
    request_set_progress(request, run, free);
    enum status status = each_due(context, outcome, SPACE_ROTATION, end_old_key, error);
    if (status == STATUS_OK)
        status = each_due(context, outcome, SPACE_CANDIDATE, end_candidate, error);
    if (status != STATUS_OK)
        return status;
    if (context_now(context).monotonic_us < identities->list_us)
        return finish_next(context, request, outcome, error);
    list_keys(outcome, run);
    return STATUS_PENDING;
}
