/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/grant_rows.h - keys of River's rows. */
#ifndef SOS_IDENTITY_GRANT_ROWS_H
#define SOS_IDENTITY_GRANT_ROWS_H

#include "actors/identity/grant.h"
#include "kernel/pack.h"

#define GRANT_KEEP_US (UINT64_C(86400) * 1000000) /* a row outlives its token by so much */

static inline struct bytes
bytes_of(struct text text)
{
    return (struct bytes){(const uint8_t *)text.data, text.size};
}

/* Big-endian: the order of keys is the order of numbers. */
void rows_append_number(struct buffer *key, uint64_t number);
bool rows_read_number(struct bytes key, uint64_t *number);

/* first NUL second */
void rows_append_pair(struct buffer *key, struct text first, struct bytes second);

/* Puts or deletes by a key that was made; a key that failed makes the step fail. */
void rows_put(struct outcome *outcome, store_space space, const struct buffer *key,
              struct bytes value);
void rows_delete(struct outcome *outcome, store_space space, const struct buffer *key);

/* Marks a row to go at due_us. */
void rows_set_due(struct outcome *outcome, uint64_t due_us, store_space space, struct text id);

/* A text member into a field; false when it is missing or too long. */
bool rows_read_text(const struct value *map, const char *key, char *to, size_t capacity);

#endif
