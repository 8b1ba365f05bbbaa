/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/idempotency.h - a write that is sent twice with the same key is done once.
 *
 * (principal, operation, key) -> hash of the payload and the first answer, a row written in the
 * same batch as the effects. Rows are kept for a day, and at most so many and so many bytes: the
 * oldest go first. The order of age is kept in memory and rebuilt from the rows at start. */
#ifndef SOS_RUNTIME_IDEMPOTENCY_H
#define SOS_RUNTIME_IDEMPOTENCY_H

#include "actors/runtime/overlay.h"
#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum { STORE_SPACE_IDEMPOTENCY = STORE_SPACE_RUNTIME + 1, IDEMPOTENCY_HASH_SIZE = 32 };

struct idempotency_limits {
    size_t rows_max;
    uint64_t bytes_max;
    uint64_t keep_us;
};

#define IDEMPOTENCY_LIMITS                                                                         \
    ((struct idempotency_limits){100000, UINT64_C(64) << 20, UINT64_C(24) * 3600 * 1000000})

struct idempotency;

struct idempotency *idempotency_new(struct idempotency_limits limits); /* NULL: out of memory */
void idempotency_destroy(struct idempotency **idempotency_p);

/* The row's key. Collision-free in practice (BLAKE2b), so texts cannot be shifted into each other.
 */
void idempotency_hash(struct text principal, struct text operation, struct text key,
                      uint8_t hash[static IDEMPOTENCY_HASH_SIZE]);
void idempotency_hash_body(struct bytes body, uint8_t hash[static IDEMPOTENCY_HASH_SIZE]);

/* OK: done before, the answer is appended to reply. NOT_FOUND: never, or too long ago. CONFLICT:
 * with another body. STORE_FAILED. */
enum status idempotency_find(const struct idempotency *idempotency, struct overlay *overlay,
                             struct store *store, const uint8_t hash[static IDEMPOTENCY_HASH_SIZE],
                             const uint8_t body[static IDEMPOTENCY_HASH_SIZE], uint64_t wall_us,
                             struct buffer *reply, struct error *error);

enum status idempotency_keep(struct overlay *overlay,
                             const uint8_t hash[static IDEMPOTENCY_HASH_SIZE],
                             const uint8_t body[static IDEMPOTENCY_HASH_SIZE], uint64_t wall_us,
                             struct bytes reply);

/* One durable row; as service.apply. */
enum status idempotency_apply(struct idempotency *idempotency, struct bytes key, struct bytes value,
                              bool deleted, struct error *error);

/* After all rows of the store were applied. */
void idempotency_loaded(struct idempotency *idempotency);

/* Is there something to delete? */
bool idempotency_is_due(const struct idempotency *idempotency, uint64_t wall_us);

/* Writes the deletion of at most a few hundred rows that are too old or too many. */
enum status idempotency_clean(struct idempotency *idempotency, struct overlay *overlay,
                              struct store *store, uint64_t wall_us, struct error *error);

#endif
