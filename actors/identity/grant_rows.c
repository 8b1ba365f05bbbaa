/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/grant_rows.h"

enum { NUMBER_SIZE = 8 };

void
rows_append_number(struct buffer *key, uint64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_append_byte(key, (uint8_t)(number >> shift));
}

bool
rows_read_number(struct bytes key, uint64_t *number)
{
    if (key.size < NUMBER_SIZE)
        return false;
    *number = 0;
    for (size_t i = 0; i < NUMBER_SIZE; i++)
        *number = *number << 8 | key.data[i];
    return true;
}

void
rows_append_pair(struct buffer *key, struct text first, struct bytes second)
{
    buffer_append_text(key, first);
    buffer_append_byte(key, 0);
    buffer_append(key, second.data, second.size);
}

void
rows_put(struct outcome *outcome, store_space space, const struct buffer *key, struct bytes value)
{
    if (key->failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_put(outcome, space, buffer_bytes(key), value);
}

void
rows_delete(struct outcome *outcome, store_space space, const struct buffer *key)
{
    if (key->failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_delete(outcome, space, buffer_bytes(key));
}

void
rows_set_due(struct outcome *outcome, uint64_t due_us, store_space space, struct text id)
{
    struct buffer key;
    buffer_init(&key);
    rows_append_number(&key, due_us);
    buffer_append_byte(&key, (uint8_t)space);
    buffer_append_text(&key, id);
    rows_put(outcome, SPACE_RIVER_DUE, &key, (struct bytes){0});
    buffer_clear(&key);
}

bool
rows_read_text(const struct value *map, const char *key, char *to, size_t capacity)
{
    struct text text;
    if (!value_find_text(map, key, &text) || text.size >= capacity)
        return false;
    memcpy(to, text.data, text.size);
    to[text.size] = '\0';
    return true;
}
