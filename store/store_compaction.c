/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_compaction.h"

#include <rocksdb/c.h>

#include "store/store_folder.h"

static uint64_t
property(const struct store_compaction *compaction, const char *name)
{
    uint64_t value = 0;
    return rocksdb_property_int(compaction->db, name, &value) == 0 ? value : 0;
}

static void
set_allowed(struct store_compaction *compaction, bool allowed)
{
    const char *const keys[] = {"disable_auto_compactions"};
    const char *const values[] = {allowed ? "false" : "true"};
    char *message = NULL;
    if (compaction->allowed == allowed)
        return;
    compaction->allowed = allowed;
    /* It also writes its options down; when that fails they hold all the same. */
    rocksdb_set_options(compaction->db, 1, keys, values, &message);
    rocksdb_free(message);
}

uint64_t
store_compaction_needs(struct store_compaction *compaction, uint64_t free_bytes)
{
    uint64_t tables = property(compaction, "rocksdb.live-sst-files-size");
    uint64_t memory = property(compaction, "rocksdb.cur-size-all-mem-tables");
    uint64_t fresh = property(compaction, "rocksdb.num-files-at-level0");
    uint64_t most = fresh * STORE_TABLE_SIZE + STORE_LEVEL_SIZE + STORE_COMPACTION_SIZE;
    uint64_t needed = tables + memory < most ? tables + memory : most;
    if (property(compaction, "rocksdb.num-running-compactions") > 0) {
        /* What it has written is not free any more: it is not needed a second time. */
        uint64_t all = store_folder_tables(compaction->folder);
        uint64_t written = all > tables ? all - tables : 0;
        needed -= written < needed ? written : needed;
    } else if (free_bytes < needed) {
        /* Forbidding is written down as well, among the files: on a disk without a byte left that
         * fails, and with it the whole database. Nothing is put then, so nothing begins either. */
        if (free_bytes >= STORE_FORBID_SIZE)
            set_allowed(compaction, false);
    } else if (free_bytes - needed >= STORE_TABLE_SIZE) {
        set_allowed(compaction, true);
    }
    return needed + memory;
}

void
store_compaction_tidy(struct store_compaction *compaction, bool flush)
{
    char *message = NULL;
    if (flush) {
        rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
        rocksdb_flushoptions_set_wait(options, 0);
        rocksdb_flush(compaction->db, options, &message);
        rocksdb_flushoptions_destroy(options);
        rocksdb_free(message);
        message = NULL;
    }
    if (compaction->allowed)
        rocksdb_suggest_compact_range(compaction->db, NULL, 0, NULL, 0, &message);
    rocksdb_free(message); /* what went wrong shows at the next write */
}
