/* SPDX-License-Identifier: Apache-2.0 */
/* store/store_compaction.h - lets RocksDB rewrite its files only while the disk has room for that;
 * private to the store.
 *
 * A compaction writes about as much as it reads before it frees that. One that runs out of room
 * fails, and with it the whole database until it is opened again; while it tries it takes the last
 * bytes from all others. So none begins that may not end. Locked by the caller. */
#ifndef SOS_STORE_COMPACTION_H
#define SOS_STORE_COMPACTION_H

#include <stdbool.h>
#include <stdint.h>

struct rocksdb_t;

struct store_compaction {
    struct rocksdb_t *db; /* opened without automatic compactions */
    int folder;           /* its files */
    bool allowed;
};

/* Allows or forbids them by what is free; returns what the database may need beside the rows that
 * are put: for the compaction that is due, and for what it holds in memory. */
uint64_t store_compaction_needs(struct store_compaction *compaction, uint64_t free_bytes);

/* Begins, in the background, to free what deleted rows hold. flush: some were deleted just now. */
void store_compaction_tidy(struct store_compaction *compaction, bool flush);

/* As in the options of store_rocksdb.c. */
enum {
    STORE_TABLE_SIZE = 8 << 20,
    STORE_LEVEL_SIZE = 32 << 20,      /* the second level; each further one ten times as much */
    STORE_COMPACTION_SIZE = 32 << 20, /* but of the first level into the second */
    STORE_FORBID_SIZE = 1 << 20       /* room for writing down that none may begin */
};

#endif
