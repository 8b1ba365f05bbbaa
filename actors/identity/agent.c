/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/agent.h"

static const char *const status_words[AGENT_STATUSES] = {
#define AGENT_STATUS_WORD(id, word) word,
    AGENT_STATUS_MAP(AGENT_STATUS_WORD)
#undef AGENT_STATUS_WORD
};

/* ---- rows */

static void
encode(struct buffer *out, const struct agent *agent)
{
    pack_map(out, 8);
    pack_pair_string(out, "status", status_words[agent->status]);
    pack_pair_string(out, "curve_public_key", agent->curve_public_key);
    pack_pair_string(out, "name", agent->name);
    pack_pair_string(out, "model", agent->model);
    pack_pair_string(out, "public_key", agent->public_key);
    pack_pair_string(out, "reason", agent->reason);
    pack_pair_uint(out, "created_us", agent->created_us);
    pack_pair_uint(out, "revoked_us", agent->revoked_us);
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
read_status(const struct value *map, enum agent_status *status)
{
    struct text word;
    if (!value_find_text(map, "status", &word))
        return false;
    for (int i = 0; i < AGENT_STATUSES; i++) {
        if (text_equal_string(word, status_words[i])) {
            *status = (enum agent_status)i;
            return true;
        }
    }
    return false;
}

static bool
decode(struct text id, struct bytes row, struct agent *agent)
{
    struct value map;
    *agent = (struct agent){0};
    if (id.size >= sizeof agent->id || !value_parse(row, &map))
        return false;
    memcpy(agent->id, id.data, id.size);
    return read_status(&map, &agent->status) &&
           read_text(&map, "curve_public_key", agent->curve_public_key,
                     sizeof agent->curve_public_key) &&
           read_text(&map, "name", agent->name, sizeof agent->name) &&
           read_text(&map, "model", agent->model, sizeof agent->model) &&
           read_text(&map, "public_key", agent->public_key, sizeof agent->public_key) &&
           read_text(&map, "reason", agent->reason, sizeof agent->reason) &&
           value_find_uint(&map, "created_us", &agent->created_us) &&
           value_find_uint(&map, "revoked_us", &agent->revoked_us);
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

/* created_us, big-endian, and the agent: so the order of keys is the order of age. */
static void
append_age_key(struct buffer *key, const struct agent *agent)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_append_byte(key, (uint8_t)(agent->created_us >> shift));
    buffer_append_string(key, agent->id);
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

void
agent_put(struct outcome *outcome, const struct agent *agent)
{
    struct buffer row, age;
    struct bytes id = text_bytes(text_of(agent->id));
    buffer_init(&row);
    buffer_init(&age);
    encode(&row, agent);
    append_age_key(&age, agent);
    if (row.failed || age.failed) {
        outcome_reply(outcome)->failed = true;
    } else {
        outcome_put(outcome, SPACE_AGENT, id, buffer_bytes(&row));
        outcome_put(outcome, SPACE_AGE, buffer_bytes(&age), (struct bytes){0});
        outcome_put(outcome, SPACE_KEY, text_bytes(text_of(agent->curve_public_key)), id);
        if (agent->status == AGENT_PENDING || agent->status == AGENT_REVOKING)
            outcome_put(outcome, SPACE_OPEN, id, (struct bytes){0});
        else
            outcome_delete(outcome, SPACE_OPEN, id);
    }
    buffer_clear(&row);
    buffer_clear(&age);
}

void
agent_delete(struct outcome *outcome, const struct agent *agent)
{
    struct buffer age;
    struct bytes id = text_bytes(text_of(agent->id));
    buffer_init(&age);
    append_age_key(&age, agent);
    if (age.failed) {
        outcome_reply(outcome)->failed = true;
    } else {
        outcome_delete(outcome, SPACE_AGENT, id);
        outcome_delete(outcome, SPACE_AGE, buffer_bytes(&age));
        outcome_delete(outcome, SPACE_KEY, text_bytes(text_of(agent->curve_public_key)));
        outcome_delete(outcome, SPACE_OPEN, id);
    }
    buffer_clear(&age);
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
agent_pack(struct buffer *out, const struct agent *agent)
{
    pack_map(out, 8);
    pack_pair_string(out, "agent_id", agent->id);
    pack_pair_optional(out, "name", agent->name);
    pack_pair_optional(out, "model", agent->model);
    pack_pair_optional(out, "public_key", agent->public_key);
    pack_pair_string(out, "curve_public_key", agent->curve_public_key);
    pack_pair_string(out, "status", status_words[agent->status]);
    pack_pair_time(out, "created_at", agent->created_us);
    pack_pair_time(out, "revoked_at", agent->revoked_us);
}

void
agent_pack_key_add(struct buffer *out, const struct agent *agent)
{
    pack_map(out, 2);
    pack_pair_string(out, "identity", agent->id);
    pack_pair_string(out, "curve_public_key", agent->curve_public_key);
}

void
agent_pack_key_revoke(struct buffer *out, const struct agent *agent)
{
    pack_map(out, 1);
    pack_pair_string(out, "identity", agent->id);
}
