/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/agent.h"

static const char *const status_words[AGENT_STATUSES] = {
#define AGENT_STATUS_WORD(id, word) word,
    AGENT_STATUS_MAP(AGENT_STATUS_WORD)
#undef AGENT_STATUS_WORD
};

static const char *const state_words[AGENT_STATES] = {
#define AGENT_STATE_WORD(id, word) word,
    AGENT_STATE_MAP(AGENT_STATE_WORD)
#undef AGENT_STATE_WORD
};

const char *
agent_state_word(enum agent_state state)
{
    return state_words[state];
}

/* ---- rows */

static void
encode(struct buffer *out, const struct agent *agent)
{
    pack_map(out, 17);
    pack_pair_string(out, "status", status_words[agent->status]);
    pack_pair_string(out, "curve_public_key", agent->curve_public_key);
    pack_pair_string(out, "name", agent->name);
    pack_pair_string(out, "model", agent->model);
    pack_pair_string(out, "public_key", agent->public_key);
    pack_pair_string(out, "reason", agent->reason);
    pack_pair_uint(out, "created_us", agent->created_us);
    pack_pair_uint(out, "revoked_us", agent->revoked_us);
    pack_pair_string(out, "state", state_words[agent->state]);
    pack_pair_uint(out, "duties", agent->duties);
    pack_pair_uint(out, "version", agent->version);
    pack_pair_string(out, "squad_id", agent->squad_id);
    pack_pair_string(out, "old_key", agent->old_key);
    pack_pair_uint(out, "old_until_us", agent->old_until_us);
    pack_pair_string(out, "challenge", agent->challenge);
    pack_pair_uint(out, "due_us", agent->due_us);
    pack_pair_uint(out, "steps", agent->steps);
}

static bool
read_text(const struct value *map, const char *key, char *to, size_t capacity)
{
    struct text text;
    if (!value_find_text(map, key, &text) || text.size >= capacity)
        return false;
    memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    return true;
}

static bool
read_word(const struct value *map, const char *key, const char *const *words, int count, int *found)
{
    struct text word;
    if (!value_find_text(map, key, &word))
        return false;
    for (int i = 0; i < count; i++) {
        if (text_equal_string(word, words[i])) {
            *found = i;
            return true;
        }
    }
    return false;
}

static bool
read_onboarding(const struct value *map, struct agent *agent)
{
    struct value first;
    uint64_t duties = 0;
    int state;
    if (!value_find(map, "state", &first)) { /* an older row */
        bool ends = agent->status == AGENT_REVOKED || agent->status == AGENT_REVOKING;
        bool open = agent->status == AGENT_PENDING || agent->status == AGENT_REVOKING;
        agent->state = ends ? STATE_TERMINATED : STATE_ACTIVE;
        agent->duties = open ? DUTY_KEY : 0;
        return true;
    }
    if (!read_word(map, "state", state_words, AGENT_STATES, &state) ||
        !value_find_uint(map, "duties", &duties) || duties > (DUTY_KEY | DUTY_OLD_KEY | DUTY_SQUAD))
        return false;
    agent->state = (enum agent_state)state;
    agent->duties = (unsigned)duties;
    return value_find_uint(map, "version", &agent->version) &&
           read_text(map, "squad_id", agent->squad_id, sizeof agent->squad_id) &&
           read_text(map, "old_key", agent->old_key, sizeof agent->old_key) &&
           value_find_uint(map, "old_until_us", &agent->old_until_us) &&
           read_text(map, "challenge", agent->challenge, sizeof agent->challenge) &&
           value_find_uint(map, "due_us", &agent->due_us) &&
           value_find_uint(map, "steps", &agent->steps);
}

static bool
decode(struct text id, struct bytes row, struct agent *agent)
{
    struct value map;
    *agent = (struct agent){0};
    if (id.size >= sizeof agent->id || !value_parse(row, &map))
        return false;
    memcpy(agent->id, id.data, id.size);
    int status;
    if (!read_word(&map, "status", status_words, AGENT_STATUSES, &status))
        return false;
    agent->status = (enum agent_status)status;
    return read_text(&map, "curve_public_key", agent->curve_public_key,
                     sizeof agent->curve_public_key) &&
           read_text(&map, "name", agent->name, sizeof agent->name) &&
           read_text(&map, "model", agent->model, sizeof agent->model) &&
           read_text(&map, "public_key", agent->public_key, sizeof agent->public_key) &&
           read_text(&map, "reason", agent->reason, sizeof agent->reason) &&
           value_find_uint(&map, "created_us", &agent->created_us) &&
           value_find_uint(&map, "revoked_us", &agent->revoked_us) && read_onboarding(&map, agent);
}

enum status
agent_check_row(store_space space, struct bytes key, struct bytes value, struct error *error)
{
    struct agent agent;
    if (space != SPACE_AGENT ||
        decode((struct text){(const char *)key.data, key.size}, value, &agent))
        return STATUS_OK;
    error_set(error, "not a row of an agent");
    return STATUS_STORE_FAILED;
}

void
agent_append_moment(struct buffer *key, uint64_t moment_us, const char *id)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_append_byte(key, (uint8_t)(moment_us >> shift));
    buffer_append_string(key, id);
}

uint64_t
agent_read_moment(struct bytes key)
{
    uint64_t moment_us = 0;
    for (size_t i = 0; i < MOMENT_SIZE && i < key.size; i++)
        moment_us = moment_us << 8 | key.data[i];
    return moment_us;
}

/* ---- reading */

enum status
agent_get(struct context *context, struct text id, struct agent *agent, struct error *error)
{
    struct buffer row;
    enum status status = STATUS_NOT_FOUND;
    buffer_init(&row);
    if (id.size > 0 && id.size <= MESSAGE_NAME_MAX)
        status = context_get(context, SPACE_AGENT, text_bytes(id), &row, error);
    if (status == STATUS_NOT_FOUND)
        error_set_word(error, "agent_not_found", "there is no agent %.*s", TEXT_ARGS(id));
    if (status == STATUS_OK && !decode(id, buffer_bytes(&row), agent)) {
        error_set(error, "the row of an agent cannot be read");
        status = STATUS_STORE_FAILED;
    }
    buffer_clear(&row);
    return status;
}

enum status
agent_get_by_key(struct context *context, struct text curve_public_key, struct buffer *id,
                 struct error *error)
{
    return context_get(context, SPACE_KEY, text_bytes(curve_public_key), id, error);
}

/* ---- writing */

/* A row that says when something is due for an agent, or that it is not any more. */
static void
mark_moment(struct outcome *outcome, store_space space, uint64_t moment_us, const char *id,
            bool put)
{
    struct buffer key;
    buffer_init(&key);
    agent_append_moment(&key, moment_us, id);
    if (key.failed)
        outcome_reply(outcome)->failed = true;
    else if (put)
        outcome_put(outcome, space, buffer_bytes(&key), (struct bytes){0});
    else
        outcome_delete(outcome, space, buffer_bytes(&key));
    buffer_clear(&key);
}

void
agent_set_due(struct outcome *outcome, struct agent *agent, uint64_t due_us)
{
    if (agent->due_us)
        mark_moment(outcome, SPACE_CANDIDATE, agent->due_us, agent->id, false);
    agent->due_us = due_us;
    if (due_us)
        mark_moment(outcome, SPACE_CANDIDATE, due_us, agent->id, true);
}

void
agent_set_old_key(struct outcome *outcome, struct agent *agent, const char *key, uint64_t until_us)
{
    if (agent->old_key[0])
        mark_moment(outcome, SPACE_ROTATION, agent->old_until_us, agent->id, false);
    memmove(agent->old_key, key, strlen(key) + 1);
    agent->old_until_us = until_us;
    if (agent->old_key[0])
        mark_moment(outcome, SPACE_ROTATION, until_us, agent->id, true);
}

void
agent_put(struct outcome *outcome, const struct agent *agent)
{
    struct buffer row;
    struct bytes id = text_bytes(text_of(agent->id));
    buffer_init(&row);
    encode(&row, agent);
    if (row.failed) {
        outcome_reply(outcome)->failed = true;
    } else {
        outcome_put(outcome, SPACE_AGENT, id, buffer_bytes(&row));
        mark_moment(outcome, SPACE_AGE, agent->created_us, agent->id, true);
        if (agent->curve_public_key[0])
            outcome_put(outcome, SPACE_KEY, text_bytes(text_of(agent->curve_public_key)), id);
        if (agent_is_open(agent))
            outcome_put(outcome, SPACE_OPEN, id, (struct bytes){0});
        else
            outcome_delete(outcome, SPACE_OPEN, id);
    }
    buffer_clear(&row);
}

void
agent_free_key(struct outcome *outcome, struct agent *agent)
{
    if (agent->curve_public_key[0])
        outcome_delete(outcome, SPACE_KEY, text_bytes(text_of(agent->curve_public_key)));
    agent->curve_public_key[0] = '\0';
}

void
agent_delete(struct outcome *outcome, struct agent *agent)
{
    struct bytes id = text_bytes(text_of(agent->id));
    agent_free_key(outcome, agent);
    agent_set_due(outcome, agent, 0);
    agent_set_old_key(outcome, agent, "", 0);
    mark_moment(outcome, SPACE_AGE, agent->created_us, agent->id, false);
    outcome_delete(outcome, SPACE_AGENT, id);
    outcome_delete(outcome, SPACE_OPEN, id);
    outcome_delete(outcome, SPACE_CLAIM, id);
}

/* ---- packing */

static void
pack_pair_optional(struct buffer *out, const char *key, const char *value)
{
    pack_pair_string(out, key, value[0] ? value : NULL);
}

static void
pack_pair_time(struct buffer *out, const char *key, uint64_t at_us)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(at_us, text);
    pack_pair_string(out, key, at_us ? text : NULL);
}

void
agent_pack_pairs(struct buffer *out, const struct agent *agent)
{
    pack_pair_string(out, "agent_id", agent->id);
    pack_pair_optional(out, "name", agent->name);
    pack_pair_optional(out, "model", agent->model);
    pack_pair_optional(out, "public_key", agent->public_key);
    pack_pair_optional(out, "curve_public_key", agent->curve_public_key);
    pack_pair_string(out, "status", status_words[agent->status]);
    pack_pair_time(out, "created_at", agent->created_us);
    pack_pair_time(out, "revoked_at", agent->revoked_us);
    pack_pair_string(out, "state", state_words[agent->state]);
    pack_pair_optional(out, "squad_id", agent->squad_id);
    pack_pair_optional(out, "old_curve_public_key", agent->old_key);
    pack_pair_time(out, "old_key_until", agent->old_until_us);
}

void
agent_pack(struct buffer *out, const struct agent *agent)
{
    pack_map(out, AGENT_PAIRS);
    agent_pack_pairs(out, agent);
}
