/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery rule: see docs/decisions/0002-wal-recovery.md and wal_scan.c.
 *
 * The lock is flock() on the folder itself, taken before the scan: RocksDB takes its own LOCK
 * file only while it opens, and a log that another process is writing would look torn. */
#include "store/store_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/wal_scan.h"

enum { FOLDER_MODE = 0700, CURRENT_MAX = 64 };

static const char RESTORE_HINT[] = "restore this store from a backup";

enum status
store_folder_sync_parent(const char *path, struct error *error)
{
    char *parent = strdup(path);
    if (!parent)
        return STATUS_NOMEM;
    char *slash = strrchr(parent, '/');
    if (slash)
        slash[slash == parent ? 1 : 0] = '\0';

    enum status status = STATUS_OK;
    const char *name = slash ? parent : ".";
    int descriptor = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0 || fsync(descriptor) != 0) {
        error_set(error, "sync folder %s: %s", name, strerror(errno));
        status = STATUS_STORE_FAILED;
    }
    if (descriptor >= 0)
        close(descriptor);
    free(parent);
    return status;
}

static enum status
make_folder(const char *path, struct error *error)
{
    if (mkdir(path, FOLDER_MODE) == 0)
        return store_folder_sync_parent(path, error);
    if (errno == EEXIST)
        return STATUS_OK;
    error_set(error, "make folder %s: %s", path, strerror(errno));
    return STATUS_STORE_FAILED;
}

static enum status
make_folders(char *path, struct error *error)
{
    struct stat info;
    if (lstat(path, &info) == 0)
        return STATUS_OK;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        enum status status = make_folder(path, error);
        *slash = '/';
        if (status != STATUS_OK)
            return status;
    }
    return make_folder(path, error);
}

static enum status
lock_folder(int descriptor, const char *path, struct error *error)
{
    while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR)
            continue;
        if (errno == EWOULDBLOCK) {
            error_set(error, "store %s is already open, here or in another process", path);
            return STATUS_CONFLICT;
        }
        error_set(error, "lock store %s: %s", path, strerror(errno));
        return STATUS_STORE_FAILED;
    }
    return STATUS_OK;
}

enum status
store_folder_open(const char *folder, int *descriptor_out, char **path_out, struct error *error)
{
    enum status status = STATUS_INVALID;
    int descriptor = -1;
    size_t size = strlen(folder);
    if (size == 0) {
        error_set(error, "the store's folder has no name");
        return STATUS_INVALID;
    }
    char *path = strdup(folder);
    if (!path)
        return STATUS_NOMEM;
    /* "link/" would be followed. */
    while (size > 1 && path[size - 1] == '/')
        path[--size] = '\0';

    status = make_folders(path, error);
    if (status != STATUS_OK)
        goto fail;
    descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0) {
        bool is_other = errno == ENOTDIR || errno == ELOOP;
        error_set(error, "store %s: %s", path,
                  is_other ? "a symbolic link or no folder, expected a folder" : strerror(errno));
        status = is_other ? STATUS_INVALID : STATUS_STORE_FAILED;
        goto fail;
    }
    status = lock_folder(descriptor, path, error);
    if (status != STATUS_OK)
        goto fail;
    *descriptor_out = descriptor;
    *path_out = path;
    return STATUS_OK;

fail:
    if (descriptor >= 0)
        close(descriptor);
    free(path);
    return status;
}

/* ---- listing */

struct listing {
    char (*names)[32]; /* of write-ahead logs, in the order of their numbers */
    size_t count;
    size_t capacity;
    bool has_tables;
};

static void
clear_listing(struct listing *listing)
{
    free(listing->names);
    *listing = (struct listing){0};
}

/* Digits and then the suffix: "000012.log". */
static bool
is_numbered(const char *name, const char *suffix)
{
    size_t digits = strspn(name, "0123456789");
    return digits > 0 && digits <= 20 && strcmp(name + digits, suffix) == 0;
}

static uint64_t
number_of(const char *name)
{
    return strtoull(name, NULL, 10);
}

static int
by_number(const void *a, const void *b)
{
    uint64_t x = number_of(a);
    uint64_t y = number_of(b);
    return x < y ? -1 : x > y;
}

static enum status
add_log(struct listing *listing, const char *name, struct error *error)
{
    size_t size = strlen(name) + 1;
    if (size > sizeof *listing->names) {
        error_set(error, "%s: no log of this store has so long a name", name);
        return STATUS_STORE_FAILED;
    }
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity ? listing->capacity * 2 : 8;
        void *names = reallocarray(listing->names, capacity, sizeof *listing->names);
        if (!names)
            return STATUS_NOMEM;
        listing->names = names;
        listing->capacity = capacity;
    }
    memcpy(listing->names[listing->count++], name, size);
    return STATUS_OK;
}

static DIR *
open_listing(int descriptor)
{
    int copy = openat(descriptor, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (copy < 0)
        return NULL;
    DIR *folder = fdopendir(copy);
    if (!folder)
        close(copy);
    return folder;
}

static enum status
list_files(int descriptor, struct listing *listing, struct error *error)
{
    enum status status = STATUS_OK;
    DIR *folder = open_listing(descriptor);
    if (!folder) {
        error_set(error, "list the store's folder: %s", strerror(errno));
        return STATUS_STORE_FAILED;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(folder);
        if (!entry && errno != 0) {
            error_set(error, "list the store's folder: %s", strerror(errno));
            status = STATUS_STORE_FAILED;
        }
        if (!entry || status != STATUS_OK)
            break;
        if (is_numbered(entry->d_name, ".log"))
            status = add_log(listing, entry->d_name, error);
        else if (is_numbered(entry->d_name, ".sst"))
            listing->has_tables = true;
    }
    closedir(folder);
    if (status == STATUS_OK && listing->count > 1)
        qsort(listing->names, listing->count, sizeof *listing->names, by_number);
    return status;
}

static bool
is_table(const char *name)
{
    return is_numbered(name, ".sst");
}

/* which: NULL for all. */
static uint64_t
sum_files(int descriptor, bool (*which)(const char *name))
{
    uint64_t size = 0;
    DIR *folder = open_listing(descriptor);
    if (!folder)
        return 0;
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        struct stat info;
        if ((!which || which(entry->d_name)) &&
            fstatat(dirfd(folder), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(info.st_mode))
            size += (uint64_t)info.st_size;
    }
    closedir(folder);
    return size;
}

uint64_t
store_folder_size(int descriptor)
{
    return sum_files(descriptor, NULL);
}

uint64_t
store_folder_tables(int descriptor)
{
    return sum_files(descriptor, is_table);
}

/* ---- examination */

static enum status
refuse(const char *name, const struct wal_report *report, struct error *error)
{
    error_set(error, "%s is damaged at offset %" PRIu64 ": %s; nothing was skipped, %s", name,
              report->offset, report->reason, RESTORE_HINT);
    return STATUS_STORE_FAILED;
}

/* has_database: is there a CURRENT file? name: of the MANIFEST it points to. */
static enum status
read_current(int descriptor, bool *has_database, char name[static CURRENT_MAX], struct error *error)
{
    int file = openat(descriptor, "CURRENT", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0 && errno == ENOENT) {
        *has_database = false;
        return STATUS_OK;
    }
    ssize_t size = file < 0 ? -1 : read(file, name, CURRENT_MAX - 1);
    if (size < 0) {
        error_set(error, "read CURRENT: %s", strerror(errno));
        if (file >= 0)
            close(file);
        return STATUS_STORE_FAILED;
    }
    close(file);
    name[size] = '\0';
    static const char prefix[] = "MANIFEST-";
    if (strncmp(name, prefix, strlen(prefix)) != 0 || !is_numbered(name + strlen(prefix), "\n")) {
        error_set(error, "CURRENT does not name a MANIFEST: it is damaged, %s", RESTORE_HINT);
        return STATUS_STORE_FAILED;
    }
    name[size - 1] = '\0';
    *has_database = true;
    return STATUS_OK;
}

static enum status
examine_manifest(int descriptor, const char *name, struct error *error)
{
    struct wal_report report;
    enum status status = wal_scan_file(descriptor, name, &report, error);
    if (status == STATUS_OK && report.state == WAL_DAMAGED)
        return refuse(name, &report, error);
    /* A torn last entry was never relied upon: files are deleted only after it is synced. */
    return status;
}

/* Only the log that was written last may be torn. RocksDB may have begun the next one already,
 * with nothing or an empty batch in it: hence writes, not files, decide what stands behind. */
static enum status
examine_logs(int descriptor, const struct listing *listing, struct store_files *files,
             struct error *error)
{
    for (size_t i = 0; i < listing->count; i++) {
        struct wal_report report;
        const char *name = listing->names[i];
        enum status status = wal_scan_file(descriptor, name, &report, error);
        if (status != STATUS_OK)
            return status;
        if (report.state == WAL_DAMAGED)
            return refuse(name, &report, error);
        if (files->torn_log[0] && (report.writes > 0 || report.state == WAL_TORN)) {
            error_set(error,
                      "%s ends within a record at offset %" PRIu64
                      " and %s goes on after it: a piece of the log is lost, %s",
                      files->torn_log, files->torn_offset, name, RESTORE_HINT);
            return STATUS_STORE_FAILED;
        }
        if (report.state == WAL_TORN) {
            snprintf(files->torn_log, sizeof files->torn_log, "%s", name);
            files->torn_offset = report.offset;
        }
    }
    return STATUS_OK;
}

enum status
store_folder_examine(int descriptor, struct store_files *files, struct error *error)
{
    struct store_files found = {0};
    struct listing listing = {0};
    char manifest[CURRENT_MAX];

    enum status status = read_current(descriptor, &found.has_database, manifest, error);
    if (status == STATUS_OK)
        status = list_files(descriptor, &listing, error);
    if (status == STATUS_OK && found.has_database)
        status = examine_manifest(descriptor, manifest, error);
    if (status == STATUS_OK)
        status = examine_logs(descriptor, &listing, &found, error);
    if (status == STATUS_OK && !found.has_database && (listing.has_tables || listing.count > 0)) {
        /* RocksDB would make a new database here and delete the files of this one. */
        error_set(error, "the folder holds a database without its CURRENT file: %s", RESTORE_HINT);
        status = STATUS_STORE_FAILED;
    }
    clear_listing(&listing);
    if (status == STATUS_OK)
        *files = found;
    return status;
}

enum status
store_folder_cut_log(int descriptor, const char *name, uint64_t size, struct error *error)
{
    int file = openat(descriptor, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool is_cut =
        file >= 0 ? ftruncate(file, (off_t)size) == 0 && fsync(file) == 0 : errno == ENOENT;
    is_cut = is_cut && fsync(descriptor) == 0;
    if (!is_cut)
        error_set(error, "cut %s at %" PRIu64 ": %s", name, size, strerror(errno));
    if (file >= 0)
        close(file);
    return is_cut ? STATUS_OK : STATUS_STORE_FAILED;
}

enum status
store_folder_verify_logs(int descriptor, bool may_be_torn, struct error *error)
{
    struct listing listing = {0};
    enum status status = list_files(descriptor, &listing, error);
    for (size_t i = 0; i < listing.count && status == STATUS_OK; i++) {
        struct wal_report report = {.state = WAL_CLEAN};
        status = wal_scan_file(descriptor, listing.names[i], &report, error);
        bool is_fine = report.state == WAL_CLEAN || (report.state == WAL_TORN && may_be_torn);
        if (status == STATUS_OK && !is_fine)
            status = refuse(listing.names[i], &report, error);
    }
    clear_listing(&listing);
    return status;
}
