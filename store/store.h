/* SPDX-License-Identifier: Apache-2.0 */
/* store/store.h - durable rows of one service: ordered keys in typed spaces, atomic
 * batches, fsync before success.
 *
 * Two drivers: store_rocksdb (real) and store_memory (tests; countdown faults). Every function on
 * a store but store_close may be called from several threads at once; commits wait for each
 * other. A batch belongs to one thread. No function keeps a view it was given. */
#ifndef SOS_STORE_H
#define SOS_STORE_H

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

enum {
    STORE_KEY_MAX = 4096,      /* bytes; may be empty */
    STORE_VALUE_MAX = 64 << 20 /* bytes */
};

enum store_write_type {
    STORE_PUT,
    STORE_DELETE,
    STORE_EXPECT_ABSENT, /* commit fails with CONFLICT when the key is there */
    STORE_EXPECT_VALUE   /* … when it is absent or has another value. Both see the batch's earlier
                          * writes, and are decided together with the write: no other commit can
                          * come between */
};

struct store_write {
    enum store_write_type type;
    store_space space;
    struct bytes key;
    struct bytes value; /* PUT, EXPECT_VALUE */
};

/* Owns copies of what is put into it. new: NULL when out of memory. add: NOMEM, or TOO_LARGE
 * beyond the bounds above; the batch is then as before. Views from at() are valid until their
 * write is truncated away or the batch destroyed; the pointer itself until the next add. bytes:
 * of all keys and values. */
struct store_batch;
struct store_batch *store_batch_new(void);
void store_batch_destroy(struct store_batch **batch_p);
enum status store_batch_add(struct store_batch *batch, enum store_write_type type,
                            store_space space, struct bytes key, struct bytes value);
/* A put whose value the caller writes itself: value_size bytes at *value, until the next add. */
enum status store_batch_put(struct store_batch *batch, store_space space, struct bytes key,
                            size_t value_size, uint8_t **value);
size_t store_batch_count(const struct store_batch *batch);
const struct store_write *store_batch_at(const struct store_batch *batch, size_t index);
void store_batch_truncate(struct store_batch *batch, size_t count); /* back to a savepoint */
size_t store_batch_bytes(const struct store_batch *batch);

struct store;

/* Opens or makes the database in folder (0700, with its missing parents). folder is locked until
 * close: CONFLICT naming it when it is open already, INVALID when it is a link or no folder.
 * schema: the service's row format; a store of another schema is refused (CONFLICT) naming both.
 * STORE_FAILED names file and offset when a log is damaged: nothing was changed then. Recovery
 * rules: docs/decisions/0002-wal-recovery.md. logger (may be NULL) hears of a dropped unfinished
 * record; used only during the call. */
enum status store_open(struct store **store_p, const char *folder, uint32_t schema,
                       const struct logger *logger, struct error *error);
/* In memory, empty. */
enum status store_open_memory(struct store **store_p, uint32_t schema);
void store_close(struct store **store_p);

/* Made with the store, never changes: pinned by the broker. */
struct uuid store_uuid(const struct store *store);
/* Grows by one with every open, durable before open returns. */
uint64_t store_epoch(const struct store *store);

/* Appends the value to out; on any other status than OK out is as before. NOT_FOUND,
 * STORE_FAILED, NOMEM. */
enum status store_get(struct store *store, store_space space, struct bytes key, struct buffer *out,
                      struct error *error);

/* The same, but at most the first `max` bytes of the value; *size: of the whole value. */
enum status store_get_head(struct store *store, store_space space, struct bytes key, size_t max,
                           struct buffer *out, size_t *size, struct error *error);

/* Calls row for every key of the space that begins with prefix, in byte order (reverse: the other
 * way), until it returns something else than OK, which is then returned. Key without the space
 * byte; both views are valid only during the call. A consistent snapshot; row may read the store
 * but not write to it. */
typedef enum status store_row_fn(void *context, struct bytes key, struct bytes value,
                                 struct error *error);
enum status store_scan(struct store *store, store_space space, struct bytes prefix, bool reverse,
                       store_row_fn *row, void *context, struct error *error);

/* The same for the keys from `from` on, itself included, in byte order. */
enum status store_scan_from(struct store *store, store_space space, struct bytes prefix,
                            struct bytes from, store_row_fn *row, void *context,
                            struct error *error);

/* All or nothing, on disk (fsync) when it returns OK. An empty batch does nothing.
 * CONFLICT: an expectation does not hold, nothing was written. STORE_FAILED with the word
 * "storage_full": see below. INVALID: the runtime's meta row
 * (space 0xf0, key "meta") cannot be written. NOMEM: nothing was written.
 * UNKNOWN_OUTCOME: the disk failed during this write, which may or may not be there after the
 * store is opened again. From then on every commit is STORE_FAILED, nothing written, until the
 * store is closed and opened; reads still see what was committed before. */
enum status store_commit(struct store *store, const struct store_batch *batch, struct error *error);

/* Room on the disk. Once a reserve is set, a commit that puts rows is refused while it would leave
 * less free: STORE_FAILED with the word "storage_full", nothing written, and the store goes on. A
 * batch that only deletes is always allowed; one that puts little besides (STORE_SHRINK_BYTES for
 * each delete) down to a quarter of the reserve. The reserve that counts is at most an eighth of
 * the file system, at least STORE_RESERVE_MIN; to it comes what the store may need at any time to
 * rewrite its files. Once refused for want of room, puts are taken again
 * when STORE_RESERVE_SLACK more is free. The disk is asked every 50 ms or 4 MiB at most. While it
 * is full, what deleted rows still hold on it is given back in the background. */
enum { STORE_RESERVE_MIN = 8 << 20, STORE_RESERVE_SLACK = 1 << 20, STORE_SHRINK_BYTES = 1024 };
void store_set_reserve(struct store *store, uint64_t bytes);
/* Would a commit that puts `more` bytes be refused so now? error then says what the commit would.
 */
bool store_is_full(struct store *store, uint64_t more, struct error *error);

/* A complete copy in a folder that does not exist yet (made 0700), while the store serves. Opens
 * as a store with the same uuid. ALREADY_EXISTS, STORE_FAILED; NOT_IMPLEMENTED in memory. */
enum status store_checkpoint(struct store *store, const char *folder, struct error *error);

/* Reads every block of every table, and every log, and checks the checksums, while the store
 * serves (commits wait while logs are read). STORE_FAILED names the file. */
enum status store_verify(struct store *store, struct error *error);

/* Bytes on disk (estimate) for stats. */
uint64_t store_size(struct store *store);

/* Did a write fail in a way that only closing and opening the store repairs? */
bool store_has_failed(struct store *store);

/* Memory driver only (elsewhere it does nothing): the n-th fallible call from now (get, scan,
 * commit; 0 = the next) fails with STORE_FAILED, nothing written, then calls work again;
 * negative: never. */
void store_fault_after(struct store *store, int calls);
/* Memory driver only: so much is free on the disk of so many bytes that it pretends to be on. */
void store_pretend_room(struct store *store, uint64_t free_bytes, uint64_t total_bytes);

#endif
