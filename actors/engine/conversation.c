/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/conversation.h"

#include <stdio.h>

#include "kernel/assert.h"

enum { SEQUENCE_SIZE = 8, LENGTHS_SIZE = 3 };

/* ---- keys: agent length (2 bytes), agent, conversation length (1 byte), conversation [, number]
 */

static void
append_key(struct buffer *key, const struct conversation_id *id)
{
    ASSERT(id->agent.size <= UINT16_MAX && id->conversation.size <= CONVERSATION_ID_MAX);
    buffer_append_byte(key, (uint8_t)(id->agent.size >> 8));
    buffer_append_byte(key, (uint8_t)(id->agent.size & 0xff));
    buffer_append_text(key, id->agent);
    buffer_append_byte(key, (uint8_t)id->conversation.size);
    buffer_append_text(key, id->conversation);
}

static void
append_sequence(struct buffer *key, uint64_t sequence)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_append_byte(key, (uint8_t)(sequence >> shift));
}

static bool
key_is_valid(store_space space, struct bytes key)
{
    size_t behind = space == SPACE_TURN ? SEQUENCE_SIZE : 0;
    if (key.size < LENGTHS_SIZE + behind)
        return false;
    size_t agent = (size_t)key.data[0] << 8 | key.data[1];
    if (key.size - LENGTHS_SIZE - behind < agent)
        return false;
    return key.size == LENGTHS_SIZE + agent + key.data[2 + agent] + behind;
}

/* ---- rows */

static void
conversation_encode(struct buffer *out, const struct conversation *conversation)
{
    pack_map(out, 4);
    pack_pair_uint(out, "turns", conversation->turns);
    pack_pair_uint(out, "created_us", conversation->created_us);
    pack_pair_uint(out, "updated_us", conversation->updated_us);
    pack_pair_string(out, "last_model", conversation->last_model);
}

static bool
conversation_decode(struct bytes row, struct conversation *conversation)
{
    struct value map;
    struct text model;
    *conversation = (struct conversation){0};
    if (!value_parse(row, &map) || !value_find_uint(&map, "turns", &conversation->turns) ||
        !value_find_uint(&map, "created_us", &conversation->created_us) ||
        !value_find_uint(&map, "updated_us", &conversation->updated_us) ||
        !value_find_text(&map, "last_model", &model) || model.size > CONVERSATION_MODEL_MAX)
        return false;
    if (model.size > 0)
        memcpy(conversation->last_model, model.data, model.size);
    return true;
}

static void
turn_encode(struct buffer *out, const struct turn *turn)
{
    pack_map(out, 4);
    pack_pair_text(out, "role", turn->role);
    pack_pair_text(out, "content", turn->content);
    pack_pair_text(out, "model", turn->model);
    pack_pair_uint(out, "at_us", turn->at_us);
}

static bool
turn_decode(struct bytes row, struct turn *turn)
{
    struct value map;
    return value_parse(row, &map) && value_find_text(&map, "role", &turn->role) &&
           value_find_text(&map, "content", &turn->content) &&
           value_find_text(&map, "model", &turn->model) &&
           value_find_uint(&map, "at_us", &turn->at_us);
}

enum status
conversation_check_row(store_space space, struct bytes key, struct bytes value, struct error *error)
{
    struct conversation conversation;
    struct turn turn;
    bool good = key_is_valid(space, key) &&
                (space == SPACE_CONVERSATION ? conversation_decode(value, &conversation)
                                             : space == SPACE_TURN && turn_decode(value, &turn));
    if (good)
        return STATUS_OK;
    error_set(error, "not a row of a conversation");
    return STATUS_STORE_FAILED;
}

/* ---- reading and appending */

enum status
conversation_get(struct context *context, const struct conversation_id *id,
                 struct conversation *conversation, struct error *error)
{
    struct buffer key, row;
    buffer_init(&key);
    buffer_init(&row);
    append_key(&key, id);
    enum status status =
        key.failed ? STATUS_NOMEM
                   : context_get(context, SPACE_CONVERSATION, buffer_bytes(&key), &row, error);
    if (status == STATUS_OK && !conversation_decode(buffer_bytes(&row), conversation)) {
        error_set(error, "a conversation's row cannot be read");
        status = STATUS_STORE_FAILED;
    }
    buffer_clear(&key);
    buffer_clear(&row);
    return status;
}

static void
put_turn(struct outcome *outcome, struct buffer *key, uint64_t sequence, const struct turn *turn)
{
    struct buffer row;
    size_t size = key->size;
    buffer_init(&row);
    append_sequence(key, sequence);
    turn_encode(&row, turn);
    if (row.failed)
        key->failed = true;
    if (!key->failed) {
        outcome_expect_absent(outcome, SPACE_TURN, buffer_bytes(key));
        outcome_put(outcome, SPACE_TURN, buffer_bytes(key), buffer_bytes(&row));
    }
    key->size = size;
    buffer_clear(&row);
}

enum status
conversation_append(struct context *context, struct outcome *outcome,
                    const struct conversation_id *id, const struct turn *question,
                    const struct turn *answer, struct error *error)
{
    struct conversation conversation = {.created_us = question->at_us};
    enum status status = conversation_get(context, id, &conversation, error);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;

    struct buffer key, row;
    buffer_init(&key);
    buffer_init(&row);
    append_key(&key, id);
    put_turn(outcome, &key, conversation.turns, question);
    put_turn(outcome, &key, conversation.turns + 1, answer);

    conversation.turns += 2;
    conversation.updated_us = answer->at_us;
    snprintf(conversation.last_model, sizeof conversation.last_model, "%.*s",
             TEXT_ARGS(answer->model));
    conversation_encode(&row, &conversation);
    status = key.failed || row.failed ? STATUS_NOMEM : STATUS_OK;
    if (status == STATUS_OK)
        outcome_put(outcome, SPACE_CONVERSATION, buffer_bytes(&key), buffer_bytes(&row));
    buffer_clear(&key);
    buffer_clear(&row);
    return status;
}

/* Ends the scan: there is enough. */
static const enum status ENOUGH = STATUS_PENDING;

static enum status
take_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct turns *turns = context;
    struct turn turn;
    (void)key;
    if (!turn_decode(value, &turn)) {
        error_set(error, "a turn's row cannot be read");
        return STATUS_STORE_FAILED;
    }
    if (turns->count == turns->count_max || value.size > turns->bytes_max - turns->rows.size)
        return ENOUGH;
    buffer_append(&turns->rows, value.data, value.size);
    if (turns->rows.failed)
        return STATUS_NOMEM;
    turns->ends[turns->count++] = turns->rows.size;
    return STATUS_OK;
}

enum status
turns_read(struct turns *turns, struct context *context, const struct conversation_id *id,
           size_t count_max, size_t bytes_max, struct error *error)
{
    ASSERT(count_max <= CONVERSATION_TURNS_MAX);
    struct buffer key;
    buffer_init(&turns->rows);
    turns->count = 0;
    turns->count_max = count_max;
    turns->bytes_max = bytes_max;
    buffer_init(&key);
    append_key(&key, id);
    enum status status = key.failed ? STATUS_NOMEM
                                    : context_scan(context, SPACE_TURN, buffer_bytes(&key), true,
                                                   take_row, turns, error);
    buffer_clear(&key);
    return status == ENOUGH ? STATUS_OK : status;
}

void
turns_clear(struct turns *turns)
{
    buffer_clear(&turns->rows);
    turns->count = 0;
}

struct turn
turns_at(const struct turns *turns, size_t index)
{
    ASSERT(index < turns->count);
    struct turn turn = {0};
    size_t place = turns->count - 1 - index;
    size_t begin = place == 0 ? 0 : turns->ends[place - 1];
    bool good =
        turn_decode((struct bytes){turns->rows.data + begin, turns->ends[place] - begin}, &turn);
    ASSERT(good); /* take_row has read it */
    return turn;
}
