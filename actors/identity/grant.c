/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/grant.h"

#include <stdio.h>

#include "actors/identity/grant_rows.h"
#include "kernel/json.h"

/* ---- states */

static const char *const state_words[GRANT_STATES] = {
#define GRANT_STATE_WORD(id, word) word,
    GRANT_STATE_MAP(GRANT_STATE_WORD)
#undef GRANT_STATE_WORD
};

static const char *const event_words[GRANT_EVENTS] = {"use_up", "expire", "revoke"};

static const struct state_row transitions[] = {
    {GRANT_ISSUED, GRANT_ON_USE_UP, GRANT_USED_UP},
    {GRANT_ISSUED, GRANT_ON_EXPIRE, GRANT_EXPIRED},
    {GRANT_ISSUED, GRANT_ON_REVOKE, GRANT_REVOKED},
    {GRANT_USED_UP, GRANT_ON_EXPIRE, GRANT_EXPIRED},
    {GRANT_USED_UP, GRANT_ON_REVOKE, GRANT_REVOKED},
};

const struct state_machine grant_machine = {.name = "capability",
                                            .state_names = state_words,
                                            .state_count = GRANT_STATES,
                                            .event_names = event_words,
                                            .event_count = GRANT_EVENTS,
                                            .rows = transitions,
                                            .row_count = sizeof transitions / sizeof *transitions};

enum status
grant_check_state(const struct grant *grant, struct error *error)
{
    switch (grant->state) {
    case GRANT_REVOKED:
        error_set_word(error, "capability_revoked", "capability %s was revoked", grant->id);
        return STATUS_SCOPE_DENIED;
    case GRANT_USED_UP:
        error_set_word(error, "capability_used_up", "capability %s has no uses left", grant->id);
        return STATUS_SCOPE_DENIED;
    case GRANT_EXPIRED:
        error_set(error, "capability %s has expired", grant->id);
        return STATUS_TOKEN_EXPIRED;
    default:
        return STATUS_OK;
    }
}

/* ---- rows */

void
grant_clear(struct grant *grant)
{
    buffer_clear(&grant->token);
    capability_destroy(&grant->capability);
}

static void
encode(struct buffer *out, const struct grant *grant)
{
    pack_map(out, 7);
    pack_pair_string(out, "state", state_words[grant->state]);
    if (grant->limited)
        pack_pair_uint(out, "uses_left", grant->uses_left);
    else
        pack_pair_nil(out, "uses_left");
    pack_pair_uint(out, "family", grant->family);
    pack_pair_uint(out, "changed_us", grant->changed_us);
    pack_pair_string(out, "by", grant->by);
    pack_pair_string(out, "reason", grant->reason);
    pack_pair_text(out, "token", buffer_text(&grant->token));
}

static bool
read_state(const struct value *map, int *state)
{
    struct text word;
    if (!value_find_text(map, "state", &word))
        return false;
    for (int i = 0; i < GRANT_STATES; i++) {
        if (text_equal_string(word, state_words[i])) {
            *state = i;
            return true;
        }
    }
    return false;
}

static bool
decode(struct text id, struct bytes row, struct grant *grant)
{
    struct value map, uses;
    struct text token;
    if (id.size == 0 || id.size > GRANT_ID_MAX || !value_parse(row, &map) ||
        !value_find_text(&map, "token", &token) || !value_find(&map, "uses_left", &uses))
        return false;
    memcpy(grant->id, id.data, id.size);
    grant->id[id.size] = '\0';
    grant->limited = uses.type == VALUE_UINT;
    grant->uses_left = grant->limited ? uses.as.uint : 0;
    buffer_init(&grant->token);
    buffer_append_text(&grant->token, token);
    return !grant->token.failed && read_state(&map, &grant->state) &&
           value_find_uint(&map, "family", &grant->family) &&
           value_find_uint(&map, "changed_us", &grant->changed_us) &&
           rows_read_text(&map, "by", grant->by, sizeof grant->by) &&
           rows_read_text(&map, "reason", grant->reason, sizeof grant->reason) &&
           capability_parse(&grant->capability, token, NULL) == STATUS_OK &&
           strcmp(capability_id(grant->capability), grant->id) == 0;
}

enum status
grant_check_row(store_space space, struct bytes key, struct bytes value, struct error *error)
{
    struct grant grant = {0};
    if (space != SPACE_GRANT)
        return STATUS_OK;
    bool good = decode((struct text){(const char *)key.data, key.size}, value, &grant);
    grant_clear(&grant);
    if (good)
        return STATUS_OK;
    error_set(error, "not a row of a capability");
    return STATUS_STORE_FAILED;
}

enum status
grant_get(struct context *context, struct text id, struct grant *grant, struct error *error)
{
    struct buffer row;
    enum status status = STATUS_NOT_FOUND;
    buffer_init(&row);
    if (id.size > 0 && id.size <= GRANT_ID_MAX)
        status = context_get(context, SPACE_GRANT, bytes_of(id), &row, error);
    if (status == STATUS_NOT_FOUND)
        error_set_word(error, "capability_not_found", "there is no capability %.*s here",
                       (int)(id.size < GRANT_ID_MAX ? id.size : GRANT_ID_MAX), id.data);
    if (status == STATUS_OK && !decode(id, buffer_bytes(&row), grant)) {
        error_set(error, "the row of a capability cannot be read");
        status = STATUS_STORE_FAILED;
    }
    if (status == STATUS_OK &&
        context_now(context).wall_us >= capability_expires_us(grant->capability))
        state_step(&grant_machine, &grant->state, GRANT_ON_EXPIRE, NULL);
    buffer_clear(&row);
    return status;
}

void
grant_put(struct outcome *outcome, const struct grant *grant)
{
    struct buffer row;
    buffer_init(&row);
    encode(&row, grant);
    if (row.failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_put(outcome, SPACE_GRANT, bytes_of(text_of(grant->id)), buffer_bytes(&row));
    buffer_clear(&row);
}

/* ---- what finds it */

static void
subject_key(const struct grant *grant, struct buffer *key)
{
    buffer_append_string(key, capability_subject(grant->capability));
    buffer_append_byte(key, 0);
    rows_append_number(key, capability_issued_us(grant->capability));
    buffer_append_string(key, grant->id);
}

/* How many rows the subject has: one more, or one less. */
static enum status
count_subject(struct context *context, struct outcome *outcome, const struct grant *grant,
              bool added, struct error *error)
{
    struct buffer key, row, value;
    struct value number;
    uint64_t count = 0;
    buffer_init(&key);
    buffer_init(&row);
    buffer_init(&value);
    rows_append_pair(&key, text_of(capability_subject(grant->capability)), (struct bytes){0});
    enum status status =
        key.failed ? STATUS_NOMEM
                   : context_get(context, SPACE_GRANT_SUBJECT, buffer_bytes(&key), &row, error);
    if (status == STATUS_OK && value_parse(buffer_bytes(&row), &number) &&
        number.type == VALUE_UINT)
        count = number.as.uint;
    if (status == STATUS_OK || status == STATUS_NOT_FOUND)
        status = STATUS_OK;
    if (status == STATUS_OK && added && count >= GRANTS_SUBJECT_MAX) {
        error_set(error, "%s has %d capabilities already", capability_subject(grant->capability),
                  GRANTS_SUBJECT_MAX);
        status = STATUS_QUOTA_EXCEEDED;
    } else if (status == STATUS_OK) {
        count = added ? count + 1 : count > 0 ? count - 1 : 0;
        pack_uint(&value, count);
        if (count > 0)
            rows_put(outcome, SPACE_GRANT_SUBJECT, &key, buffer_bytes(&value));
        else
            rows_delete(outcome, SPACE_GRANT_SUBJECT, &key);
    }
    buffer_clear(&key);
    buffer_clear(&row);
    buffer_clear(&value);
    return status;
}

static void
put_finders(struct outcome *outcome, const struct grant *grant)
{
    struct buffer key;
    uint64_t expires_us = capability_expires_us(grant->capability);
    buffer_init(&key);
    subject_key(grant, &key);
    rows_put(outcome, SPACE_GRANT_SUBJECT, &key, (struct bytes){0});
    if (capability_has_parent(grant->capability)) {
        buffer_reset(&key);
        rows_append_pair(&key, text_of(capability_parent_id(grant->capability)),
                         bytes_of(text_of(grant->id)));
        rows_put(outcome, SPACE_GRANT_CHILD, &key, (struct bytes){0});
    }
    rows_set_due(outcome,
                 expires_us < UINT64_MAX - GRANT_KEEP_US ? expires_us + GRANT_KEEP_US : UINT64_MAX,
                 SPACE_GRANT, text_of(grant->id));
    buffer_clear(&key);
}

enum status
grant_of_token(struct context *context, struct text token, struct grant *grant, struct error *error)
{
    int64_t uses = 0;
    enum status status = capability_parse(&grant->capability, token, error);
    if (status != STATUS_OK)
        return status;
    const char *id = capability_id(grant->capability);
    if (strlen(id) == 0 || strlen(id) > GRANT_ID_MAX ||
        strlen(capability_subject(grant->capability)) > MESSAGE_NAME_MAX) {
        error_set_word(error, "invalid_capability_payload",
                       "capability: an id of at most %d bytes and a subject of at most %d are "
                       "expected",
                       GRANT_ID_MAX, MESSAGE_NAME_MAX);
        return STATUS_INVALID;
    }
    snprintf(grant->id, sizeof grant->id, "%s", id);
    grant->state = GRANT_ISSUED;
    grant->changed_us = context_now(context).wall_us;
    grant->limited = capability_uses_remaining(grant->capability, &uses);
    grant->uses_left = uses > 0 ? (uint64_t)uses : 0;
    if (grant->limited && grant->uses_left == 0)
        state_step(&grant_machine, &grant->state, GRANT_ON_USE_UP, NULL);
    if (context_now(context).wall_us >= capability_expires_us(grant->capability))
        state_step(&grant_machine, &grant->state, GRANT_ON_EXPIRE, NULL);
    buffer_append_text(&grant->token, token);
    return grant->token.failed ? STATUS_NOMEM : STATUS_OK;
}

enum status
grant_add(struct context *context, struct outcome *outcome, struct text token,
          struct grant *ancestors, size_t ancestor_count, struct grant *grant, struct error *error)
{
    struct grant same = {0};
    enum status status = grant_of_token(context, token, grant, error);
    if (status != STATUS_OK)
        return status;
    status = grant_get(context, text_of(grant->id), &same, error);
    grant_clear(&same);
    if (status == STATUS_OK) {
        error_set(error, "there is a capability %s already", grant->id);
        return STATUS_ALREADY_EXISTS;
    }
    if (status != STATUS_NOT_FOUND)
        return status;
    struct grant *root = ancestor_count > 0 ? &ancestors[ancestor_count - 1] : NULL;
    if (root && root->family + 1 >= GRANT_FAMILY_MAX) {
        error_set(error, "%d capabilities stem from %s already", GRANT_FAMILY_MAX, root->id);
        return STATUS_QUOTA_EXCEEDED;
    }
    status = count_subject(context, outcome, grant, true, error);
    if (status != STATUS_OK)
        return status;
    if (root) {
        root->family++;
        grant_put(outcome, root);
    }
    grant_put(outcome, grant);
    put_finders(outcome, grant);
    return STATUS_OK;
}

/* ---- removing */

struct piece {
    struct outcome *outcome;
    size_t left;
};

static const enum status ENOUGH = STATUS_PENDING;

static enum status
remove_use(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct piece *piece = context;
    (void)value;
    (void)error;
    if (piece->left == 0)
        return ENOUGH;
    piece->left--;
    outcome_delete(piece->outcome, SPACE_GRANT_USE, key);
    return STATUS_OK;
}

/* The root that a row belongs to has one descendant less. */
static void
leave_family(struct context *context, struct outcome *outcome, const struct grant *grant)
{
    struct chain chain = {0};
    if (capability_has_parent(grant->capability) &&
        chain_load(context, grant->capability, &chain, NULL) == STATUS_OK) {
        struct grant *root = &chain.links[chain.count - 1];
        if (root->family > 0 && root->state != GRANT_EXPIRED) {
            root->family--;
            grant_put(outcome, root);
        }
    }
    chain_clear(&chain);
}

/* OK: the row and all that finds it go in this step. ENOUGH: some of it is left. */
static enum status
remove_grant(struct context *context, struct piece *piece, struct text id, struct error *error)
{
    struct grant grant = {0};
    struct buffer key;
    enum status status = grant_get(context, id, &grant, error);
    if (status != STATUS_OK) {
        grant_clear(&grant);
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    buffer_init(&key);
    rows_append_pair(&key, id, (struct bytes){0});
    status = key.failed ? STATUS_NOMEM
                        : context_scan(context, SPACE_GRANT_USE, buffer_bytes(&key), false,
                                       remove_use, piece, error);
    if (status == STATUS_OK)
        status = count_subject(context, piece->outcome, &grant, false, error);
    if (status == STATUS_OK) {
        leave_family(context, piece->outcome, &grant);
        buffer_reset(&key);
        subject_key(&grant, &key);
        rows_delete(piece->outcome, SPACE_GRANT_SUBJECT, &key);
        buffer_reset(&key);
        rows_append_pair(&key, text_of(capability_parent_id(grant.capability)), bytes_of(id));
        rows_delete(piece->outcome, SPACE_GRANT_CHILD, &key);
        outcome_delete(piece->outcome, SPACE_GRANT_OPEN, bytes_of(id));
        outcome_delete(piece->outcome, SPACE_GRANT, bytes_of(id));
    }
    buffer_clear(&key);
    grant_clear(&grant);
    return status;
}

enum { SWEEP_ROWS = 32, SWEEP_USES = 512, DUE_HEAD = 9 /* time and space */ };

struct due {
    uint64_t now_us;
    size_t count;
    size_t sizes[SWEEP_ROWS];
    uint8_t keys[SWEEP_ROWS][DUE_HEAD + GRANT_ID_MAX];
};

static enum status
take_due(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct due *due = context;
    uint64_t due_us;
    (void)value;
    (void)error;
    if (due->count == SWEEP_ROWS || !rows_read_number(key, &due_us) || due_us > due->now_us)
        return ENOUGH;
    if (key.size <= DUE_HEAD || key.size > sizeof due->keys[0])
        return STATUS_OK;
    memcpy(due->keys[due->count], key.data, key.size);
    due->sizes[due->count++] = key.size;
    return STATUS_OK;
}

static enum status
remove_due(struct context *context, struct piece *piece, struct bytes key, struct error *error)
{
    enum status status = STATUS_OK;
    struct text id = {(const char *)key.data + DUE_HEAD, key.size - DUE_HEAD};
    store_space space = key.data[DUE_HEAD - 1];
    if (space == SPACE_GRANT)
        status = remove_grant(context, piece, id, error);
    else
        outcome_delete(piece->outcome, space, bytes_of(id));
    if (status == STATUS_OK)
        outcome_delete(piece->outcome, SPACE_RIVER_DUE, key);
    return status;
}

void
grant_sweep(struct context *context, struct outcome *outcome)
{
    struct due due = {.now_us = context_now(context).wall_us};
    struct piece piece = {outcome, SWEEP_USES};
    struct error error = ERROR_INIT;
    enum status status =
        context_scan(context, SPACE_RIVER_DUE, (struct bytes){0}, false, take_due, &due, &error);
    if (status == ENOUGH)
        status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && i < due.count; i++)
        status = remove_due(context, &piece, (struct bytes){due.keys[i], due.sizes[i]}, &error);
    if (status != STATUS_OK && status != ENOUGH)
        log_warn(context_logger(context), "old capabilities stay for now: %s", error.message);
}

/* ---- packing */

enum status
grant_pack_token(struct text token, struct buffer *out, struct error *error)
{
    struct json_parser *parser = json_parser_new();
    if (!parser)
        return STATUS_NOMEM;
    enum status status = json_to_msgpack(parser, token, out, error);
    json_parser_destroy(&parser);
    return status;
}

static void
pack_text_or_nil(struct buffer *out, const char *key, const char *text)
{
    pack_pair_string(out, key, text[0] ? text : NULL);
}

enum status
grant_pack(const struct grant *grant, struct buffer *out, struct error *error)
{
    static const char *const members[] = {
        "id",        "subject",    "action", "resource",       "constraints",
        "issued_at", "expires_at", "issuer", "uses_remaining", "parent_id"};
    const uint32_t count = sizeof members / sizeof *members;
    struct buffer packed;
    struct value token, value;
    char changed_at[TIMESTAMP_TEXT_SIZE];
    buffer_init(&packed);
    enum status status = grant_pack_token(buffer_text(&grant->token), &packed, error);
    if (status == STATUS_OK && !value_parse(buffer_bytes(&packed), &token))
        status = STATUS_STORE_FAILED;
    if (status == STATUS_OK) {
        pack_map(out, count + 5);
        for (uint32_t i = 0; i < count; i++) {
            pack_string(out, members[i]);
            if (value_find(&token, members[i], &value))
                pack_raw(out, value.raw);
            else
                pack_nil(out);
        }
        pack_pair_string(out, "state", state_words[grant->state]);
        if (grant->limited)
            pack_pair_uint(out, "uses_left", grant->uses_left);
        else
            pack_pair_nil(out, "uses_left");
        timestamp_format(grant->changed_us, changed_at);
        pack_pair_string(out, "changed_at", changed_at);
        pack_text_or_nil(out, "changed_by", grant->by);
        pack_text_or_nil(out, "reason", grant->reason);
    }
    buffer_clear(&packed);
    return status;
}
