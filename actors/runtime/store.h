/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/store.h - durable rows of one service: ordered keys in typed spaces, atomic
 * batches, fsync before success.
 *
 * Two drivers: store_rocksdb (real) and store_memory (tests; countdown faults). get, scan and
 * commit may be called from different threads at once; one commit at a time. */
#ifndef SOS_RUNTIME_STORE_H
#define SOS_RUNTIME_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/id.h"
#include "kernel/log.h"
#include "kernel/status.h"

/* A key space is one byte before the key, owned by a service; 0xf0 and up belong to the
 * runtime (meta, idempotency). */
typedef uint8_t store_space;

enum { STORE_SPACE_RUNTIME = 0xf0 };

enum store_write_type {
    STORE_PUT,
    STORE_DELETE,
    STORE_EXPECT_ABSENT, /* commit fails with CONFLICT when the key is there */
    STORE_EXPECT_VALUE   /* … when it is absent or has another value */
};

struct store_write {
    enum store_write_type type;
    store_space space;
    struct bytes key;
    struct bytes value; /* PUT, EXPECT_VALUE */
};

/* Owns copies of what is put into it. */
struct store_batch;
struct store_batch *store_batch_new(void);
void store_batch_destroy(struct store_batch **batch_p);
enum status store_batch_add(struct store_batch *batch, enum store_write_type type,
                            store_space space, struct bytes key, struct bytes value);
size_t store_batch_count(const struct store_batch *batch);
const struct store_write *store_batch_at(const struct store_batch *batch, size_t index);
void store_batch_truncate(struct store_batch *batch, size_t count); /* back to a savepoint */
size_t store_batch_bytes(const struct store_batch *batch);

struct store;

/* Opens or makes the database in folder (made, 0700). Recovery rules: docs/decisions and
 * store_rocksdb.c. schema: the service's row format; a store of another schema is refused (CONFLICT) naming both.
 * STORE_FAILED names file and offset when the log is damaged. */
enum status store_open(struct store **store_p, const char *folder, uint32_t schema,
                       const struct logger *logger, struct error *error);
/* In memory, empty. */
enum status store_open_memory(struct store **store_p, uint32_t schema);
void store_close(struct store **store_p);

/* Made with the store, never changes: pinned by the broker. */
struct uuid store_uuid(const struct store *store);
/* Grows by one with every open, durable before open returns. */
uint64_t store_epoch(const struct store *store);

/* Appends the value to out. NOT_FOUND, STORE_FAILED. */
enum status store_get(struct store *store, store_space space, struct bytes key,
                      struct buffer *out, struct error *error);

/* Calls row for every key of the space that begins with prefix, in byte order (reverse: the other way), until it
 * returns something else than OK, which is then returned. Key without the space byte. A consistent
 * snapshot; row must not call the store for writing. */
typedef enum status store_row_fn(void *context, struct bytes key, struct bytes value,
                                 struct error *error);
enum status store_scan(struct store *store, store_space space, struct bytes prefix, bool reverse,
                       store_row_fn *row, void *context, struct error *error);

/* All or nothing, on disk (fsync) when it returns OK. An empty batch does nothing.
 * CONFLICT: an expectation does not hold, nothing was written. STORE_FAILED: nothing is
 * promised; the caller must reload. UNKNOWN_OUTCOME: the write may or may not be there. */
enum status store_commit(struct store *store, const struct store_batch *batch,
                         struct error *error);

/* A complete copy in a folder that does not exist yet, while the store serves. */
enum status store_checkpoint(struct store *store, const char *folder, struct error *error);

/* Reads every block and checks its checksum. */
enum status store_verify(struct store *store, struct error *error);

/* Bytes on disk (estimate) for stats. */
uint64_t store_size(struct store *store);

/* Memory driver only: the n-th fallible call from now (get, scan, commit; 0 = the next) fails with STORE_FAILED,
 * then calls work again; negative: never. */
void store_fault_after(struct store *store, int calls);

#endif
