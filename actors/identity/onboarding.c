/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/onboarding.h"

#include <stdio.h>

#include "actors/runtime/request.h"

static const char *const states[AGENT_STATES] = {
#define STATE_NAME(id, word) word,
    AGENT_STATE_MAP(STATE_NAME)
#undef STATE_NAME
};

static const char *const actions[AGENT_ACTIONS] = {
#define ACTION_NAME(id, word) word,
    AGENT_ACTION_MAP(ACTION_NAME)
#undef ACTION_NAME
};

static const struct state_row rows[] = {
    {STATE_ANONYMOUS, ACTION_IDENTIFY, STATE_IDENTIFIED},
    {STATE_IDENTIFIED, ACTION_VERIFY, STATE_VERIFIED},
    {STATE_IDENTIFIED, ACTION_REJECT, STATE_ANONYMOUS},
    {STATE_VERIFIED, ACTION_ASSIGN_SQUAD, STATE_SQUAD_ASSIGNED},
    {STATE_SQUAD_ASSIGNED, ACTION_ACTIVATE, STATE_ACTIVE},
    {STATE_ACTIVE, ACTION_SUSPEND, STATE_SUSPENDED},
    {STATE_SUSPENDED, ACTION_REACTIVATE, STATE_ACTIVE},
    {STATE_ACTIVE, ACTION_TERMINATE, STATE_TERMINATED},
    {STATE_SUSPENDED, ACTION_TERMINATE, STATE_TERMINATED},
};

const struct state_machine agent_machine = {.name = "the agent",
                                            .state_names = states,
                                            .state_count = AGENT_STATES,
                                            .event_names = actions,
                                            .event_count = AGENT_ACTIONS,
                                            .rows = rows,
                                            .row_count = sizeof rows / sizeof rows[0]};

/* ---- history */

/* The agent, a zero, and the number of the step, big-endian. */
static void
append_history_key(struct buffer *key, const struct agent *agent, uint64_t step)
{
    buffer_append_string(key, agent->id);
    buffer_append_byte(key, 0);
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_append_byte(key, (uint8_t)(step >> shift));
}

static void
remember(struct outcome *outcome, struct agent *agent, struct bytes row)
{
    struct buffer key;
    buffer_init(&key);
    append_history_key(&key, agent, agent->steps);
    if (key.failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_put(outcome, SPACE_HISTORY, buffer_bytes(&key), row);
    if (agent->steps >= HISTORY_MAX) {
        buffer_reset(&key);
        append_history_key(&key, agent, agent->steps - HISTORY_MAX);
        if (key.failed)
            outcome_reply(outcome)->failed = true;
        else
            outcome_delete(outcome, SPACE_HISTORY, buffer_bytes(&key));
    }
    agent->steps++;
    buffer_clear(&key);
}

static void
audit(struct outcome *outcome, const struct agent *agent, const char *action, struct text actor,
      struct text reason)
{
    char event[32];
    snprintf(event, sizeof event, "agent.%s", action);
    outcome_audit(outcome, &(struct audit_entry){.event = event,
                                                 .actor = actor,
                                                 .subject = text_of(agent->id),
                                                 .action = text_of(action),
                                                 .resource = text_of(agent->id),
                                                 .outcome = "ok",
                                                 .detail = reason});
}

/* What the broker has to hear of a state is told by duty. */
static void
set_duties(struct agent *agent, enum agent_state from)
{
    if (from == STATE_IDENTIFIED && agent->state == STATE_VERIFIED)
        return; /* the same rights */
    agent->version++;
    if (agent->state != STATE_SQUAD_ASSIGNED)
        agent->duties |= DUTY_KEY;
    if (agent->squad_id[0] &&
        (agent->state == STATE_SQUAD_ASSIGNED || agent->state == STATE_TERMINATED))
        agent->duties |= DUTY_SQUAD;
    if (agent->state == STATE_TERMINATED) {
        agent->status = AGENT_REVOKING;
        agent->duties &= ~(unsigned)DUTY_OLD_KEY; /* all keys go */
    }
}

void
onboarding_move(struct context *context, struct outcome *outcome, struct agent *agent,
                enum agent_state to, const char *action, struct text actor, struct text reason)
{
    enum agent_state from = agent->state;
    char at[TIMESTAMP_TEXT_SIZE];
    struct buffer row;
    buffer_init(&row);
    timestamp_format(context_now(context).wall_us, at);
    pack_map(&row, 6);
    pack_pair_string(&row, "from", states[from]);
    pack_pair_string(&row, "to", states[to]);
    pack_pair_string(&row, "action", action);
    pack_pair_text(&row, "actor", actor);
    pack_pair_string(&row, "time", at);
    if (reason.size > 0)
        pack_pair_text(&row, "reason", reason);
    else
        pack_pair_nil(&row, "reason");
    if (row.failed)
        outcome_reply(outcome)->failed = true;
    else
        remember(outcome, agent, buffer_bytes(&row));
    buffer_clear(&row);
    agent->state = to;
    set_duties(agent, from);
    audit(outcome, agent, action, actor, reason);
}

enum status
onboarding_step(struct context *context, struct outcome *outcome, struct agent *agent,
                const struct agent_step *step, struct error *error)
{
    int state = (int)agent->state;
    enum status status = state_step(&agent_machine, &state, (int)step->action, error);
    if (status != STATUS_OK) {
        error_wrap(error, "%s", agent->id);
        return status;
    }
    onboarding_move(context, outcome, agent, (enum agent_state)state, actions[step->action],
                    step->actor, step->reason);
    return STATUS_OK;
}

/* ---- packing */

struct walk {
    struct outcome *outcome; /* NULL: packs */
    struct buffer packed;
    uint32_t count;
};

static enum status
take_step(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct walk *walk = context;
    (void)error;
    if (walk->outcome)
        outcome_delete(walk->outcome, SPACE_HISTORY, key);
    else
        pack_raw(&walk->packed, value);
    walk->count++;
    return STATUS_OK;
}

static enum status
walk_history(struct context *context, const struct agent *agent, struct walk *walk,
             struct error *error)
{
    struct bytes prefix = {(const uint8_t *)agent->id, strlen(agent->id) + 1}; /* with its zero */
    return context_scan(context, SPACE_HISTORY, prefix, false, take_step, walk, error);
}

static enum status
pack_claim(struct context *context, struct buffer *out, const struct agent *agent,
           struct error *error)
{
    struct buffer claim;
    buffer_init(&claim);
    enum status status =
        context_get(context, SPACE_CLAIM, text_bytes(text_of(agent->id)), &claim, error);
    if (status == STATUS_OK) {
        pack_pair_raw(out, "metadata", buffer_bytes(&claim));
    } else if (status == STATUS_NOT_FOUND) {
        pack_string(out, "metadata");
        pack_map(out, 0);
        status = STATUS_OK;
    }
    buffer_clear(&claim);
    return status;
}

enum status
onboarding_pack(struct context *context, struct buffer *out, const struct agent *agent,
                uint32_t more, struct error *error)
{
    struct walk walk = {.count = 0};
    buffer_init(&walk.packed);
    enum status status = walk_history(context, agent, &walk, error);
    if (status == STATUS_OK && walk.packed.failed)
        status = STATUS_NOMEM;
    if (status == STATUS_OK) {
        pack_map(out, AGENT_PAIRS + 2 + more);
        agent_pack_pairs(out, agent);
        pack_string(out, "history");
        pack_array(out, walk.count);
        pack_raw(out, buffer_bytes(&walk.packed));
        status = pack_claim(context, out, agent, error);
    }
    buffer_clear(&walk.packed);
    return status;
}

enum status
onboarding_forget(struct context *context, struct outcome *outcome, struct agent *agent,
                  struct error *error)
{
    struct walk walk = {.outcome = outcome};
    enum status status = walk_history(context, agent, &walk, error);
    if (status == STATUS_OK)
        agent_delete(outcome, agent);
    return status;
}

/* ---- checks */

enum status
onboarding_check_admin(const struct request *request, struct error *error)
{
    struct text who = request_principal(request);
    if (text_equal_string(who, "user:operator") || text_equal_string(who, "user:local") ||
        !text_is_empty(request->capability))
        return STATUS_OK;
    error_set_word(error, "not_admin", "%.*s needs a capability for this", TEXT_ARGS(who));
    return STATUS_FORBIDDEN;
}

static const enum status ENOUGH = STATUS_PENDING;

static enum status
count_candidate(void *context, struct bytes key, struct bytes value, struct error *error)
{
    uint32_t *count = context;
    (void)key, (void)value, (void)error;
    return ++*count >= CANDIDATES_MAX ? ENOUGH : STATUS_OK;
}

enum status
onboarding_check_candidates(struct context *context, struct error *error)
{
    uint32_t count = 0;
    enum status status = context_scan(context, SPACE_CANDIDATE, (struct bytes){0}, false,
                                      count_candidate, &count, error);
    if (status != ENOUGH)
        return status;
    error_set_word(error, "too_many_candidates",
                   "%d agents wait to be verified or for a squad, no more are taken",
                   CANDIDATES_MAX);
    return STATUS_QUOTA_EXCEEDED;
}

enum status
onboarding_check_row(store_space space, struct bytes key, struct bytes value, struct error *error)
{
    struct value row;
    bool good = true;
    if (space == SPACE_HISTORY)
        good = key.size > MOMENT_SIZE && value_parse(value, &row) && row.type == VALUE_MAP;
    else if (space == SPACE_CLAIM)
        good =
            value.size <= CLAIM_METADATA_MAX && value_parse(value, &row) && row.type == VALUE_MAP;
    else if (space == SPACE_ROTATION || space == SPACE_CANDIDATE)
        good = key.size > MOMENT_SIZE;
    if (good)
        return STATUS_OK;
    error_set(error, "not a row of an agent's onboarding");
    return STATUS_STORE_FAILED;
}
