/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/river_approval.h"

#include <stdio.h>

#include "actors/identity/grant_rows.h"

#define HOUR_US (UINT64_C(3600) * 1000000)
#define KEEP_US (7 * 24 * HOUR_US)

/* ---- states */

static const char *const state_words[APPROVAL_STATES] = {
#define APPROVAL_STATE_WORD(id, word) word,
    APPROVAL_STATE_MAP(APPROVAL_STATE_WORD)
#undef APPROVAL_STATE_WORD
};

static const char *const event_words[APPROVAL_EVENTS] = {"approve", "deny", "expire"};

static const struct state_row transitions[] = {
    {APPROVAL_PENDING, APPROVAL_ON_APPROVE, APPROVAL_APPROVED},
    {APPROVAL_PENDING, APPROVAL_ON_DENY, APPROVAL_DENIED},
    {APPROVAL_PENDING, APPROVAL_ON_EXPIRE, APPROVAL_EXPIRED},
};

const struct state_machine approval_machine = {.name = "approval",
                                               .state_names = state_words,
                                               .state_count = APPROVAL_STATES,
                                               .event_names = event_words,
                                               .event_count = APPROVAL_EVENTS,
                                               .rows = transitions,
                                               .row_count =
                                                   sizeof transitions / sizeof *transitions};

/* ---- rows */

void
approval_clear(struct approval *approval)
{
    buffer_clear(&approval->row);
}

static void
pack_uses(struct buffer *out, const struct right *right)
{
    if (right->limited)
        pack_pair_int(out, "uses", right->uses);
    else
        pack_pair_nil(out, "uses");
}

static void
pack_constraints(struct buffer *out, const struct right *right)
{
    pack_string(out, "constraints");
    if (right->constraints.size > 0)
        pack_raw(out, right->constraints);
    else
        pack_map(out, 0);
}

static void
encode(struct buffer *out, const struct approval *approval)
{
    const struct right *right = &approval->right;
    pack_map(out, 15);
    pack_pair_string(out, "state", state_words[approval->state]);
    pack_pair_string(out, "agent_id", right->subject);
    pack_pair_string(out, "action", right->action);
    pack_pair_string(out, "resource", right->resource);
    pack_constraints(out, right);
    pack_uses(out, right);
    pack_pair_int(out, "expires_in", right->expires_in_s);
    pack_pair_text(out, "justification", approval->justification);
    pack_pair_text(out, "reason", approval->reason);
    pack_pair_string(out, "decided_by", approval->decided_by);
    pack_pair_string(out, "why", approval->why);
    pack_pair_string(out, "capability_id", approval->capability_id);
    pack_pair_uint(out, "created_us", approval->created_us);
    pack_pair_uint(out, "expires_us", approval->expires_us);
    pack_pair_uint(out, "decided_us", approval->decided_us);
}

static bool
read_state(const struct value *map, int *state)
{
    struct text word;
    if (!value_find_text(map, "state", &word))
        return false;
    for (int i = 0; i < APPROVAL_STATES; i++) {
        if (text_equal_string(word, state_words[i])) {
            *state = i;
            return true;
        }
    }
    return false;
}

static bool
read_right(const struct value *map, struct right *right)
{
    struct value constraints, uses;
    if (!value_find(map, "constraints", &constraints) || constraints.type != VALUE_MAP ||
        !value_find(map, "uses", &uses))
        return false;
    right->constraints = constraints.raw;
    right->limited = uses.type == VALUE_UINT;
    right->uses = right->limited ? (int64_t)uses.as.uint : 0;
    return rows_read_text(map, "agent_id", right->subject, sizeof right->subject) &&
           rows_read_text(map, "action", right->action, sizeof right->action) &&
           rows_read_text(map, "resource", right->resource, sizeof right->resource) &&
           value_find_int(map, "expires_in", &right->expires_in_s);
}

static bool
decode(struct text id, struct bytes row, struct approval *approval)
{
    struct value map;
    if (id.size >= sizeof approval->id || !value_parse(row, &map))
        return false;
    memcpy(approval->id, id.data, id.size);
    approval->id[id.size] = '\0';
    return read_state(&map, &approval->state) && read_right(&map, &approval->right) &&
           value_find_text(&map, "justification", &approval->justification) &&
           value_find_text(&map, "reason", &approval->reason) &&
           rows_read_text(&map, "decided_by", approval->decided_by, sizeof approval->decided_by) &&
           rows_read_text(&map, "why", approval->why, sizeof approval->why) &&
           rows_read_text(&map, "capability_id", approval->capability_id,
                          sizeof approval->capability_id) &&
           value_find_uint(&map, "created_us", &approval->created_us) &&
           value_find_uint(&map, "expires_us", &approval->expires_us) &&
           value_find_uint(&map, "decided_us", &approval->decided_us);
}

enum status
approval_check_row(store_space space, struct bytes key, struct bytes value, struct error *error)
{
    struct approval approval = {0};
    if (space != SPACE_APPROVAL ||
        decode((struct text){(const char *)key.data, key.size}, value, &approval))
        return STATUS_OK;
    error_set(error, "not a row of an approval");
    return STATUS_STORE_FAILED;
}

static void
expire(const struct context *context, struct approval *approval)
{
    if (context_now(context).wall_us >= approval->expires_us)
        state_step(&approval_machine, &approval->state, APPROVAL_ON_EXPIRE, NULL);
}

enum status
approval_read(struct context *context, struct text id, struct approval *approval,
              struct error *error)
{
    enum status status = STATUS_NOT_FOUND;
    buffer_init(&approval->row);
    if (id.size > 0 && id.size < sizeof approval->id)
        status = context_get(context, SPACE_APPROVAL, bytes_of(id), &approval->row, error);
    if (status == STATUS_NOT_FOUND)
        error_set_word(error, "approval_not_found", "there is no such approval");
    if (status == STATUS_OK && !decode(id, buffer_bytes(&approval->row), approval)) {
        error_set(error, "the row of an approval cannot be read");
        status = STATUS_STORE_FAILED;
    }
    if (status == STATUS_OK)
        expire(context, approval);
    return status;
}

void
approval_put(struct outcome *outcome, const struct approval *approval)
{
    struct buffer row;
    buffer_init(&row);
    encode(&row, approval);
    if (row.failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_put(outcome, SPACE_APPROVAL, bytes_of(text_of(approval->id)), buffer_bytes(&row));
    buffer_clear(&row);
}

/* ---- asking */

struct same {
    struct context *context;
    const struct right *right;
    size_t waiting, of_agent;
    char found[UUID_TEXT_SIZE];
};

static bool
is_same_right(const struct right *one, const struct right *other)
{
    static const uint8_t empty[] = {0x80};
    struct bytes left = one->constraints, right = other->constraints;
    if (left.size == 0)
        left = (struct bytes){empty, sizeof empty};
    if (right.size == 0)
        right = (struct bytes){empty, sizeof empty};
    return strcmp(one->subject, other->subject) == 0 && strcmp(one->action, other->action) == 0 &&
           strcmp(one->resource, other->resource) == 0 && one->limited == other->limited &&
           one->uses == other->uses && one->expires_in_s == other->expires_in_s &&
           left.size == right.size && memcmp(left.data, right.data, left.size) == 0;
}

static enum status
take_same(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct same *same = context;
    struct approval approval = {0};
    struct text id = {(const char *)key.data, key.size};
    (void)error;
    if (!decode(id, value, &approval))
        return STATUS_OK;
    expire(same->context, &approval);
    if (approval.state != APPROVAL_PENDING)
        return STATUS_OK;
    same->waiting++;
    if (strcmp(approval.right.subject, same->right->subject) != 0)
        return STATUS_OK;
    same->of_agent++;
    if (is_same_right(&approval.right, same->right))
        memcpy(same->found, approval.id, sizeof same->found);
    return STATUS_OK;
}

static enum status
make(struct context *context, struct outcome *outcome, const struct right *right,
     struct text justification, const char *reason, struct approval *approval)
{
    const struct uuid id = context_uuid(context);
    uint64_t now_us = context_now(context).wall_us;
    *approval = (struct approval){.state = APPROVAL_PENDING,
                                  .right = *right,
                                  .justification = justification,
                                  .reason = text_of(reason),
                                  .created_us = now_us,
                                  .expires_us = now_us + APPROVAL_HOURS * HOUR_US};
    buffer_init(&approval->row);
    uuid_format(&id, approval->id);
    approval_put(outcome, approval);
    rows_set_due(outcome, now_us + KEEP_US, SPACE_APPROVAL, text_of(approval->id));
    return STATUS_OK;
}

enum status
approval_ask(struct context *context, struct outcome *outcome, const struct right *right,
             struct text justification, const char *reason, struct approval *approval,
             struct error *error)
{
    struct same same = {.context = context, .right = right};
    enum status status =
        context_scan(context, SPACE_APPROVAL, (struct bytes){0}, false, take_same, &same, error);
    if (status != STATUS_OK)
        return status;
    if (same.found[0])
        return approval_read(context, text_of(same.found), approval, error);
    if (same.waiting >= APPROVALS_MAX || same.of_agent >= APPROVALS_AGENT_MAX) {
        error_set(error, "too many rights wait for an approval already");
        return STATUS_QUOTA_EXCEEDED;
    }
    return make(context, outcome, right, justification, reason, approval);
}

/* ---- packing */

static void
pack_text_or_nil(struct buffer *out, const char *key, struct text text)
{
    if (text.size > 0)
        pack_pair_text(out, key, text);
    else
        pack_pair_nil(out, key);
}

static void
pack_time(struct buffer *out, const char *key, uint64_t at_us)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(at_us, text);
    pack_pair_string(out, key, at_us ? text : NULL);
}

void
approval_pack(const struct approval *approval, struct buffer *out)
{
    const struct right *right = &approval->right;
    pack_map(out, 16);
    pack_pair_string(out, "approval_id", approval->id);
    pack_pair_string(out, "status", state_words[approval->state]);
    pack_pair_string(out, "agent_id", right->subject);
    pack_pair_string(out, "action", right->action);
    pack_pair_string(out, "resource", right->resource);
    pack_constraints(out, right);
    pack_uses(out, right);
    pack_pair_int(out, "expires_in", right->expires_in_s);
    pack_text_or_nil(out, "justification", approval->justification);
    pack_text_or_nil(out, "reason", approval->reason);
    pack_text_or_nil(out, "decided_by", text_of(approval->decided_by));
    pack_text_or_nil(out, "decision", text_of(approval->why));
    pack_text_or_nil(out, "capability_id", text_of(approval->capability_id));
    pack_time(out, "created_at", approval->created_us);
    pack_time(out, "expires_at", approval->expires_us);
    pack_time(out, "decided_at", approval->decided_us);
}
