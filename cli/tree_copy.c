/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tree_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/paths.h"
#include "platform/file.h"

enum { BLOCK_SIZE = 256 * 1024 };

static enum status
fail(struct error *error, const char *what, const char *path)
{
    error_set(error, "%s %s: %s", what, path, strerror(errno));
    return STATUS_INTERNAL;
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

enum status
tree_walk(const char *root, tree_file_fn *file, void *context, struct error *error)
{
    char path[PATH_SIZE];
    char *roots[] = {path, NULL};
    if (snprintf(path, sizeof path, "%s", root) >= (int)sizeof path) {
        error_set(error, "path is too long: %s", root);
        return STATUS_INVALID;
    }
    size_t root_size = strlen(path);
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!walk)
        return fail(error, "walk", root);

    enum status status = STATUS_OK;
    FTSENT *entry;
    while (status == STATUS_OK && (entry = fts_read(walk))) {
        switch (entry->fts_info) {
        case FTS_D:
        case FTS_DP:
            break;
        case FTS_F:
            status = file(context, entry->fts_path + root_size + 1, entry->fts_path,
                          (uint64_t)entry->fts_statp->st_size, error);
            break;
        case FTS_DNR:
        case FTS_ERR:
        case FTS_NS:
            errno = entry->fts_errno;
            status = fail(error, "read", entry->fts_path);
            break;
        default:
            error_set(error, "%s: neither a regular file nor a folder", entry->fts_path);
            status = STATUS_INVALID;
        }
    }
    fts_close(walk);
    return status;
}

/* Makes every folder above the file. */
static enum status
make_parents(const char *path, struct error *error)
{
    char folder[PATH_SIZE];
    if (snprintf(folder, sizeof folder, "%s", path) >= (int)sizeof folder) {
        error_set(error, "path is too long: %s", path);
        return STATUS_INVALID;
    }
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        enum status status = folder_make(folder, error);
        if (status != STATUS_OK)
            return status;
        *slash = '/';
    }
    return STATUS_OK;
}

static enum status
copy_content(int from_fd, int to_fd, const char *from, const char *to, struct error *error)
{
    for (;;) {
        ssize_t moved = copy_file_range(from_fd, NULL, to_fd, NULL, BLOCK_SIZE, 0);
        if (moved < 0 && errno == EINTR)
            continue;
        if (moved == 0)
            return STATUS_OK;
        if (moved > 0)
            continue;
        if (errno != EXDEV && errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
            return fail(error, "copy", from);
        break; /* across file systems: by hand from where it stands */
    }
    char block[16 * 1024];
    ssize_t got;
    while ((got = read(from_fd, block, sizeof block)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(error, "read", from);
        for (ssize_t done = 0; done < got;) {
            ssize_t wrote = write(to_fd, block + done, (size_t)(got - done));
            if (wrote < 0 && errno == EINTR)
                continue;
            if (wrote <= 0)
                return fail(error, "write", to);
            done += wrote;
        }
    }
    return STATUS_OK;
}

enum status
tree_copy_file(const char *from, const char *to, struct error *error)
{
    struct stat about;
    int to_fd = -1;
    enum status status = make_parents(to, error);
    if (status != STATUS_OK)
        return status;
    int from_fd = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from_fd < 0)
        return fail(error, "open", from);
    if (fstat(from_fd, &about) != 0) {
        status = fail(error, "stat", from);
    } else {
        to_fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, about.st_mode & 0700);
        status =
            to_fd < 0 ? fail(error, "make", to) : copy_content(from_fd, to_fd, from, to, error);
    }
    if (status == STATUS_OK && fsync(to_fd) != 0)
        status = fail(error, "sync", to);
    if (to_fd >= 0)
        close(to_fd);
    close(from_fd);
    return status;
}

enum status
tree_sha256(const char *path, char text[static SHA256_TEXT_SIZE], struct error *error)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    unsigned char block[16 * 1024];
    crypto_hash_sha256_state state;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return fail(error, "open", path);
    crypto_hash_sha256_init(&state);
    while ((got = read(fd, block, sizeof block)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            enum status status = fail(error, "read", path);
            close(fd);
            return status;
        }
        crypto_hash_sha256_update(&state, block, (unsigned long long)got);
    }
    close(fd);
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(text, SHA256_TEXT_SIZE, digest, sizeof digest);
    return STATUS_OK;
}
