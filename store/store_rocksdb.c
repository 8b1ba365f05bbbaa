/* SPDX-License-Identifier: Apache-2.0 */
/* The store on RocksDB: one database per store, every commit synced.
 *
 * Opening: lock the folder, scan its logs (store_folder.c), then open in RocksDB's strictest
 * recovery mode. Only when the scan says that a crash cut the last record short does it open in
 * the mode that drops such a record. Its default mode would silently drop every record behind a
 * damaged one.
 *
 * A key is the space byte and the caller's key. Reads go on from any thread; a commit holds
 * the lock over its checks and its write. After a write that failed nothing is known about the
 * log's end, so the store refuses to commit until it is opened again. */
#include "store/store_driver.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <rocksdb/c.h>

#include "kernel/assert.h"
#include "store/store_compaction.h"
#include "store/store_folder.h"
#include "store/store_verify.h"

enum { CACHE_SIZE = 32 << 20, RECOVER_TORN = 0, RECOVER_CLEAN = 1, LOCAL_KEY = 256 };

/* Small on purpose: a swarm runs a dozen of these on a small machine. Automatic resuming after a
 * background error is off because it would begin a new log behind a torn one. Levels and tables are
 * small because compactions need room, and they begin when there is some (store_compaction.h). Its
 * own text log says nothing after opening: this build of RocksDB ends the process when it writes to
 * a text log that could not be written before, and the disk that fails is the one that it would
 * report on. */
static const char OPTIONS[] = "track_and_verify_wals_in_manifest=true;"
                              "recycle_log_file_num=0;"
                              "wal_compression=kNoCompression;"
                              "manual_wal_flush=false;"
                              "paranoid_checks=true;"
                              "max_bgerror_resume_count=0;"
                              "compression=kZSTD;"
                              "write_buffer_size=8388608;"
                              "arena_block_size=65536;"
                              "max_write_buffer_number=2;"
                              "max_total_wal_size=16777216;"
                              "max_manifest_file_size=4194304;"
                              "disable_auto_compactions=true;"
                              "max_bytes_for_level_base=33554432;"
                              "target_file_size_base=8388608;"
                              "max_compaction_bytes=33554432;"
                              "max_open_files=256;"
                              "max_background_jobs=2;"
                              "max_file_opening_threads=1;"
                              "stats_dump_period_sec=0;"
                              "stats_persist_period_sec=0;"
                              "keep_log_file_num=2;"
                              "max_log_file_size=262144;"
                              "info_log_level=FATAL_LEVEL";

struct rocksdb_store {
    struct store base;
    int folder; /* locked */
    char *path;
    rocksdb_cache_t *cache;
    rocksdb_t *db;
    rocksdb_readoptions_t *reading;
    rocksdb_writeoptions_t *writing;
    pthread_mutex_t commit_lock;
    bool failed; /* under commit_lock */
    struct store_compaction compaction;
};

/* One block cache for all stores of the process: memory is the process's, not a store's. */
static struct {
    pthread_mutex_t lock;
    rocksdb_cache_t *cache;
    size_t users;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER};

static rocksdb_cache_t *
retain_cache(void)
{
    pthread_mutex_lock(&shared.lock);
    if (shared.users++ == 0)
        shared.cache = rocksdb_cache_create_lru(CACHE_SIZE);
    rocksdb_cache_t *cache = shared.cache;
    pthread_mutex_unlock(&shared.lock);
    return cache;
}

static void
release_cache(void)
{
    pthread_mutex_lock(&shared.lock);
    if (--shared.users == 0) {
        rocksdb_cache_destroy(shared.cache);
        shared.cache = NULL;
    }
    pthread_mutex_unlock(&shared.lock);
}

static struct rocksdb_store *
rocksdb_of(struct store *store)
{
    return (struct rocksdb_store *)store;
}

/* Takes RocksDB's message over into error. */
static void
take_message(char *message, struct error *error)
{
    error_set(error, "%s", message);
    rocksdb_free(message);
}

/* ---- keys */

/* The space byte and the key, on the stack when short. */
struct full_key {
    uint8_t local[LOCAL_KEY];
    uint8_t *data;
    size_t size;
};

static bool
key_init(struct full_key *full, store_space space, struct bytes key)
{
    if (key.size >= SIZE_MAX)
        return false;
    full->size = key.size + 1;
    full->data = full->size <= sizeof full->local ? full->local : malloc(full->size);
    if (!full->data)
        return false;
    full->data[0] = space;
    if (key.size > 0)
        memcpy(full->data + 1, key.data, key.size);
    return true;
}

static void
key_clear(struct full_key *full)
{
    if (full->data != full->local)
        free(full->data);
}

/* Turns a prefix into the first key behind all keys that begin with it. False: there is none. */
static bool
key_to_upper_bound(struct full_key *full)
{
    while (full->size > 0 && full->data[full->size - 1] == 0xff)
        full->size--;
    if (full->size == 0)
        return false;
    full->data[full->size - 1]++;
    return true;
}

/* ---- reading */

static enum status
rocksdb_store_get_head(struct store *base, store_space space, struct bytes key, size_t max,
                       struct buffer *out, size_t *size, struct error *error)
{
    struct rocksdb_store *store = rocksdb_of(base);
    enum status status = STATUS_OK;
    char *message = NULL;
    struct full_key full;
    if (!key_init(&full, space, key))
        return STATUS_NOMEM;

    rocksdb_pinnableslice_t *slice =
        rocksdb_get_pinned(store->db, store->reading, (char *)full.data, full.size, &message);
    if (message) {
        take_message(message, error);
        error_wrap(error, "read store %s", store->path);
        status = STATUS_STORE_FAILED;
    } else if (!slice) {
        error_set(error, "no such key in space 0x%02x", space);
        status = STATUS_NOT_FOUND;
    } else {
        size_t whole = 0;
        const char *value = rocksdb_pinnableslice_value(slice, &whole);
        size_t part = whole < max ? whole : max;
        if (buffer_reserve(out, part)) {
            buffer_append(out, value, part);
            *size = whole;
        } else {
            status = STATUS_NOMEM;
        }
    }
    rocksdb_pinnableslice_destroy(slice);
    key_clear(&full);
    return status;
}

static enum status
lookup(struct store *base, store_space space, struct bytes key, struct buffer *out,
       struct error *error)
{
    size_t size;
    return rocksdb_store_get_head(base, space, key, SIZE_MAX, out, &size, error);
}

static enum status
walk(struct rocksdb_store *store, rocksdb_iterator_t *iterator, const struct full_key *from,
     bool reverse, store_row_fn *row, void *context, struct error *error)
{
    if (reverse)
        rocksdb_iter_seek_to_last(iterator);
    else if (from)
        rocksdb_iter_seek(iterator, (char *)from->data, from->size);
    else
        rocksdb_iter_seek_to_first(iterator);
    while (rocksdb_iter_valid(iterator)) {
        struct bytes key;
        struct bytes value;
        key.data = (const uint8_t *)rocksdb_iter_key(iterator, &key.size);
        value.data = (const uint8_t *)rocksdb_iter_value(iterator, &value.size);
        ASSERT(key.size > 0);
        key.data++;
        key.size--;
        enum status status = row(context, key, value, error);
        if (status != STATUS_OK)
            return status;
        if (reverse)
            rocksdb_iter_prev(iterator);
        else
            rocksdb_iter_next(iterator);
    }
    char *message = NULL;
    rocksdb_iter_get_error(iterator, &message);
    if (!message)
        return STATUS_OK;
    take_message(message, error);
    error_wrap(error, "read store %s", store->path);
    return STATUS_STORE_FAILED;
}

static enum status
rocksdb_store_scan(struct store *base, store_space space, struct bytes prefix, struct bytes from,
                   bool reverse, store_row_fn *row, void *context, struct error *error)
{
    struct rocksdb_store *store = rocksdb_of(base);
    struct full_key lower;
    struct full_key upper;
    struct full_key first;
    if (!key_init(&lower, space, prefix))
        return STATUS_NOMEM;
    if (!key_init(&upper, space, prefix)) {
        key_clear(&lower);
        return STATUS_NOMEM;
    }
    if (!key_init(&first, space, from)) {
        key_clear(&upper);
        key_clear(&lower);
        return STATUS_NOMEM;
    }

    rocksdb_readoptions_t *reading = rocksdb_readoptions_create();
    rocksdb_readoptions_set_iterate_lower_bound(reading, (char *)lower.data, lower.size);
    if (key_to_upper_bound(&upper))
        rocksdb_readoptions_set_iterate_upper_bound(reading, (char *)upper.data, upper.size);
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, reading);

    enum status status =
        walk(store, iterator, from.size > 0 ? &first : NULL, reverse, row, context, error);

    rocksdb_iter_destroy(iterator);
    rocksdb_readoptions_destroy(reading);
    key_clear(&first);
    key_clear(&upper);
    key_clear(&lower);
    return status;
}

/* ---- writing */

/* By key; writes to one key keep their order. */
static int
compare_writes(const void *a, const void *b)
{
    const struct store_write *x = *(const struct store_write *const *)a;
    const struct store_write *y = *(const struct store_write *const *)b;
    if (x->space != y->space)
        return x->space < y->space ? -1 : 1;
    size_t common = x->key.size < y->key.size ? x->key.size : y->key.size;
    int order = common ? memcmp(x->key.data, y->key.data, common) : 0;
    if (order != 0)
        return order;
    if (x->key.size != y->key.size)
        return x->key.size < y->key.size ? -1 : 1;
    return x < y ? -1 : x > y;
}

static bool
add_write(rocksdb_writebatch_t *writes, const struct store_write *write)
{
    struct full_key full;
    if (!key_init(&full, write->space, write->key))
        return false;
    if (write->type == STORE_PUT)
        rocksdb_writebatch_put(writes, (char *)full.data, full.size,
                               (const char *)write->value.data, write->value.size);
    else
        rocksdb_writebatch_delete(writes, (char *)full.data, full.size);
    key_clear(&full);
    return true;
}

/* NULL: out of memory. Sorted: a row that stands next to the one before finds its place at once. */
static rocksdb_writebatch_t *
make_writes(const struct store_batch *batch)
{
    size_t count = 0;
    const struct store_write **sorted = calloc(store_batch_count(batch), sizeof *sorted);
    if (!sorted)
        return NULL;
    for (size_t i = 0; i < store_batch_count(batch); i++) {
        const struct store_write *write = store_batch_at(batch, i);
        if (write->type == STORE_PUT || write->type == STORE_DELETE)
            sorted[count++] = write;
    }
    qsort(sorted, count, sizeof *sorted, compare_writes);
    rocksdb_writebatch_t *writes = rocksdb_writebatch_create();
    bool added = true;
    for (size_t i = 0; i < count && added; i++)
        added = add_write(writes, sorted[i]);
    free(sorted);
    if (added)
        return writes;
    rocksdb_writebatch_destroy(writes);
    return NULL;
}

/* Under the commit lock. A flush or compaction that failed ends all others, and writes would wait
 * for them for ever, or fail later. */
static bool
has_failed(struct rocksdb_store *store)
{
    uint64_t errors = 0;
    if (!store->failed &&
        rocksdb_property_int(store->db, "rocksdb.background-errors", &errors) == 0 && errors > 0)
        store->failed = true;
    return store->failed;
}

/* Under the commit lock. */
static enum status
write_through(struct rocksdb_store *store, rocksdb_writebatch_t *writes, struct error *error)
{
    char *message = NULL;
    if (rocksdb_writebatch_count(writes) == 0)
        return STATUS_OK;
    rocksdb_write(store->db, store->writing, writes, &message);
    if (!message)
        return STATUS_OK;
    store->failed = true;
    take_message(message, error);
    error_wrap(error, "write store %s", store->path);
    return STATUS_UNKNOWN_OUTCOME;
}

static enum status
rocksdb_store_commit(struct store *base, const struct store_batch *batch, struct error *error)
{
    struct rocksdb_store *store = rocksdb_of(base);
    enum status status;
    rocksdb_writebatch_t *writes = make_writes(batch);
    if (!writes)
        return STATUS_NOMEM;

    pthread_mutex_lock(&store->commit_lock);
    if (has_failed(store)) {
        error_set(error, "store %s failed in an earlier write; it must be opened again",
                  store->path);
        status = STATUS_STORE_FAILED;
    } else {
        status = store_check(base, batch, lookup, error);
    }
    if (status == STATUS_OK)
        status = write_through(store, writes, error);
    pthread_mutex_unlock(&store->commit_lock);

    rocksdb_writebatch_destroy(writes);
    return status;
}

/* ---- copies and checks */

static enum status
create_checkpoint(struct rocksdb_store *store, const char *folder, struct error *error)
{
    char *message = NULL;
    rocksdb_checkpoint_t *checkpoint = rocksdb_checkpoint_object_create(store->db, &message);
    if (!message)
        rocksdb_checkpoint_create(checkpoint, folder, 0, &message);
    rocksdb_checkpoint_object_destroy(checkpoint);
    if (!message)
        return STATUS_OK;
    take_message(message, error);
    return STATUS_STORE_FAILED;
}

static enum status
rocksdb_store_checkpoint(struct store *base, const char *folder, struct error *error)
{
    struct rocksdb_store *store = rocksdb_of(base);
    struct stat info;
    enum status status = STATUS_STORE_FAILED;

    if (lstat(folder, &info) == 0) {
        error_set(error, "copy store %s: %s is already there", store->path, folder);
        return STATUS_ALREADY_EXISTS;
    }
    if (errno != ENOENT) {
        error_set(error, "%s: %s", folder, strerror(errno));
        goto fail;
    }
    status = create_checkpoint(store, folder, error);
    if (status != STATUS_OK)
        goto fail;
    if (chmod(folder, 0700) != 0) {
        error_set(error, "chmod %s: %s", folder, strerror(errno));
        status = STATUS_STORE_FAILED;
        goto fail;
    }
    status = store_folder_sync_parent(folder, error);
    if (status == STATUS_OK)
        return STATUS_OK;

fail:
    error_wrap(error, "copy store %s to %s", store->path, folder);
    return status;
}

static enum status
verify_tables(struct rocksdb_store *store, struct error *error)
{
    enum status status = STATUS_OK;
    struct buffer path;
    buffer_init(&path);
    const rocksdb_livefiles_t *files = rocksdb_livefiles(store->db);
    for (int i = 0; i < rocksdb_livefiles_count(files) && status == STATUS_OK; i++) {
        char message[256];
        const char *name = rocksdb_livefiles_name(files, i); /* begins with a slash */
        buffer_reset(&path);
        buffer_append_string(&path, store->path);
        buffer_append_string(&path, name);
        buffer_append_byte(&path, '\0');
        if (path.failed) {
            status = STATUS_NOMEM;
        } else if (!store_verify_table((const char *)path.data, message, sizeof message)) {
            error_set(error, "%s is damaged: %s", name + 1, message);
            status = STATUS_STORE_FAILED;
        }
    }
    rocksdb_livefiles_destroy(files);
    buffer_clear(&path);
    return status;
}

/* Files may neither vanish while they are read, nor a log be read in the middle of a write. */
static enum status
rocksdb_store_verify(struct store *base, struct error *error)
{
    struct rocksdb_store *store = rocksdb_of(base);
    char *message = NULL;
    enum status status = STATUS_STORE_FAILED;

    rocksdb_disable_file_deletions(store->db, &message);
    if (message) {
        take_message(message, error);
        goto done;
    }
    status = verify_tables(store, error);
    if (status == STATUS_OK) {
        pthread_mutex_lock(&store->commit_lock);
        status = store_folder_verify_logs(store->folder, store->failed, error);
        pthread_mutex_unlock(&store->commit_lock);
    }
    rocksdb_enable_file_deletions(store->db, 0, &message);
    if (message && status == STATUS_OK) {
        take_message(message, error);
        status = STATUS_STORE_FAILED;
    } else if (message) {
        rocksdb_free(message);
    }

done:
    if (status != STATUS_OK)
        error_wrap(error, "verify store %s", store->path);
    return status;
}

static bool
rocksdb_store_has_failed(struct store *base)
{
    struct rocksdb_store *store = rocksdb_of(base);
    pthread_mutex_lock(&store->commit_lock);
    bool failed = has_failed(store);
    pthread_mutex_unlock(&store->commit_lock);
    return failed;
}

static uint64_t
rocksdb_store_size(struct store *base)
{
    return store_folder_size(rocksdb_of(base)->folder);
}

static bool
rocksdb_store_room(struct store *base, uint64_t *free_bytes, uint64_t *total_bytes,
                   uint64_t *needed_bytes)
{
    struct statvfs disk;
    if (fstatvfs(rocksdb_of(base)->folder, &disk) != 0)
        return false;
    *free_bytes = (uint64_t)disk.f_bavail * disk.f_frsize;
    *total_bytes = (uint64_t)disk.f_blocks * disk.f_frsize;
    *needed_bytes = store_compaction_needs(&rocksdb_of(base)->compaction, *free_bytes);
    return true;
}

static void
rocksdb_store_tidy(struct store *base, bool flush)
{
    store_compaction_tidy(&rocksdb_of(base)->compaction, flush);
}

static void
rocksdb_store_pretend_room(struct store *base, uint64_t free_bytes, uint64_t total_bytes)
{
    (void)base;
    (void)free_bytes;
    (void)total_bytes;
}

static void
rocksdb_store_fault_after(struct store *base, int calls)
{
    (void)base;
    (void)calls;
}

/* ---- opening and closing */

static void
rocksdb_store_close(struct store *base)
{
    struct rocksdb_store *store = rocksdb_of(base);
    if (store->db)
        rocksdb_close(store->db);
    if (store->reading)
        rocksdb_readoptions_destroy(store->reading);
    if (store->writing)
        rocksdb_writeoptions_destroy(store->writing);
    if (store->cache)
        release_cache();
    if (store->folder >= 0)
        close(store->folder);
    pthread_mutex_destroy(&store->commit_lock);
    store_room_clear(&base->room);
    free(store->path);
    free(store);
}

static const struct store_driver rocksdb_driver = {.close = rocksdb_store_close,
                                                   .get_head = rocksdb_store_get_head,
                                                   .scan = rocksdb_store_scan,
                                                   .commit = rocksdb_store_commit,
                                                   .checkpoint = rocksdb_store_checkpoint,
                                                   .verify = rocksdb_store_verify,
                                                   .size = rocksdb_store_size,
                                                   .has_failed = rocksdb_store_has_failed,
                                                   .fault_after = rocksdb_store_fault_after,
                                                   .room = rocksdb_store_room,
                                                   .tidy = rocksdb_store_tidy,
                                                   .pretend_room = rocksdb_store_pretend_room};

static enum status
make_options(rocksdb_cache_t *cache, bool create, int recovery_mode,
             rocksdb_options_t **options_out, struct error *error)
{
    enum status status = STATUS_OK;
    char *message = NULL;

    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, cache);
    rocksdb_block_based_options_set_cache_index_and_filter_blocks(table, 1);
    /* In pieces: the cache has shards, and the whole index of a table of many small rows is larger
     * than one of them, so that every read would unpack it anew. */
    rocksdb_block_based_options_set_index_type(
        table, rocksdb_block_based_table_index_type_two_level_index_search);
    rocksdb_block_based_options_set_partition_filters(table, 1);
    rocksdb_block_based_options_set_filter_policy(table,
                                                  rocksdb_filterpolicy_create_bloom_full(10));
    rocksdb_options_t *base = rocksdb_options_create();
    rocksdb_options_set_block_based_table_factory(base, table);
    rocksdb_options_set_create_if_missing(base, create);

    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_get_options_from_string(base, OPTIONS, options, &message);
    rocksdb_options_set_wal_recovery_mode(options, recovery_mode);
    if (message) {
        take_message(message, error);
        error_wrap(error, "RocksDB does not take the store's options");
        status = STATUS_STORE_FAILED;
    } else if (rocksdb_options_get_wal_recovery_mode(options) != recovery_mode ||
               rocksdb_options_get_recycle_log_file_num(options) != 0 ||
               rocksdb_options_get_create_if_missing(options) != create) {
        error_set(error, "RocksDB took the store's options but does not show them");
        status = STATUS_STORE_FAILED;
    }
    rocksdb_options_destroy(base);
    rocksdb_block_based_options_destroy(table);
    if (status == STATUS_OK)
        *options_out = options;
    else
        rocksdb_options_destroy(options);
    return status;
}

static enum status
open_database(struct rocksdb_store *store, const struct store_files *files, struct error *error)
{
    char *message = NULL;
    rocksdb_options_t *options;
    int mode = files->torn_log[0] ? RECOVER_TORN : RECOVER_CLEAN;
    enum status status = make_options(store->cache, !files->has_database, mode, &options, error);
    if (status != STATUS_OK)
        return status;

    store->db = rocksdb_open(options, store->path, &message);
    rocksdb_options_destroy(options);
    store->compaction = (struct store_compaction){.db = store->db, .folder = store->folder};
    if (!message)
        return STATUS_OK;
    /* Our own lock is held: RocksDB's is somebody's who is not a store, such as ldb. Its C
     * interface has no codes, only words. */
    bool is_locked = strstr(message, "lock hold by") || strstr(message, "While lock file");
    status = is_locked ? STATUS_CONFLICT : STATUS_STORE_FAILED;
    take_message(message, error);
    return status;
}

/* Nothing may be written behind a torn log: at the next start a piece of the log would seem to
 * be lost. */
static enum status
settle_torn_log(struct rocksdb_store *store, const struct store_files *files,
                const struct logger *logger, struct error *error)
{
    enum status status =
        store_folder_cut_log(store->folder, files->torn_log, files->torn_offset, error);
    if (status == STATUS_OK && logger)
        log_warn(logger, "store %s: dropped an unfinished last record (%s, offset %" PRIu64 ")",
                 store->path, files->torn_log, files->torn_offset);
    return status;
}

static bool
has_rows(struct rocksdb_store *store)
{
    rocksdb_iterator_t *iterator = rocksdb_create_iterator(store->db, store->reading);
    rocksdb_iter_seek_to_first(iterator);
    char *message = NULL;
    rocksdb_iter_get_error(iterator, &message);
    bool has = rocksdb_iter_valid(iterator) || message;
    rocksdb_free(message);
    rocksdb_iter_destroy(iterator);
    return has;
}

enum status
store_open(struct store **store_p, const char *folder, uint32_t schema, const struct logger *logger,
           struct error *error)
{
    struct store_files files;
    struct rocksdb_store *store = calloc(1, sizeof *store);
    if (!store)
        return STATUS_NOMEM;
    store->base.driver = &rocksdb_driver;
    store->folder = -1;
    if (!store_room_init(&store->base.room)) {
        free(store);
        return STATUS_NOMEM;
    }
    if (pthread_mutex_init(&store->commit_lock, NULL) != 0) {
        store_room_clear(&store->base.room);
        free(store);
        return STATUS_NOMEM;
    }

    enum status status = store_folder_open(folder, &store->folder, &store->path, error);
    if (status == STATUS_OK)
        status = store_folder_examine(store->folder, &files, error);
    if (status != STATUS_OK)
        goto fail;

    store->cache = retain_cache();
    store->reading = rocksdb_readoptions_create();
    store->writing = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(store->writing, 1);
    status = open_database(store, &files, error);
    if (status == STATUS_OK && files.torn_log[0])
        status = settle_torn_log(store, &files, logger, error);
    if (status == STATUS_OK)
        status = store_begin(&store->base, schema, !has_rows(store), error);
    if (status != STATUS_OK)
        goto fail;
    store_room_look(&store->base);
    *store_p = &store->base;
    return STATUS_OK;

fail:
    error_wrap(error, "open store %s", folder);
    rocksdb_store_close(&store->base);
    return status;
}
