/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static enum status
fail(struct error *error, const char *what, const char *path)
{
    int cause = errno;
    error_set(error, "%s %s: %s", what, path, strerror(cause));
    return cause == ENOENT ? STATUS_NOT_FOUND : STATUS_INTERNAL;
}

enum status
file_load(const char *path, size_t size_max, bool private_only, struct buffer *out,
          struct error *error)
{
    /* O_NONBLOCK: a FIFO in the file's place must not keep us waiting for its writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return fail(error, "open", path);

    enum status status = STATUS_OK;
    struct stat about;
    size_t before = out->size;
    if (fstat(fd, &about) != 0) {
        status = fail(error, "stat", path);
    } else if (!S_ISREG(about.st_mode)) {
        error_set(error, "%s: not a regular file", path);
        status = STATUS_INVALID;
    } else if (private_only && (about.st_mode & (S_IRWXG | S_IRWXO))) {
        error_set(error, "%s: mode is %04o, expected 0600: others must not read a secret", path,
                  (unsigned)(about.st_mode & 07777));
        status = STATUS_FORBIDDEN;
    }
    while (status == STATUS_OK) {
        if (!buffer_reserve(out, 4096)) {
            error_set(error, "%s: out of memory", path);
            status = STATUS_NOMEM;
            break;
        }
        ssize_t got = read(fd, out->data + out->size, 4096);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            status = fail(error, "read", path);
        if (got <= 0)
            break;
        out->size += (size_t)got;
        if (out->size - before > size_max) {
            error_set(error, "%s: larger than the %zu bytes allowed", path, size_max);
            status = STATUS_TOO_LARGE;
        }
    }
    if (status != STATUS_OK)
        out->size = before;
    close(fd);
    return status;
}

static bool
write_all(int fd, struct bytes content)
{
    size_t done = 0;
    while (done < content.size) {
        ssize_t wrote = write(fd, content.data + done, content.size - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        done += (size_t)wrote;
    }
    return true;
}

static bool
sync_folder_of(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int size = slash ? (int)(slash - path) : 0;
    if (snprintf(folder, sizeof folder, "%.*s", slash ? (size ? size : 1) : 1,
                 slash ? path : ".") >= (int)sizeof folder)
        return false;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool synced = fsync(fd) == 0;
    close(fd);
    return synced;
}

enum status
file_save(const char *path, struct bytes content, mode_t mode, struct error *error)
{
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.XXXXXX", path) >= (int)sizeof temporary) {
        error_set(error, "save %s: the path is too long", path);
        return STATUS_INVALID;
    }
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return fail(error, "make a temporary file beside", path);

    if (fchmod(fd, mode) != 0 || !write_all(fd, content) || fsync(fd) != 0) {
        enum status status = fail(error, "write", temporary);
        close(fd);
        unlink(temporary);
        return status;
    }
    if (close(fd) != 0 || rename(temporary, path) != 0) {
        enum status status = fail(error, "replace", path);
        unlink(temporary);
        return status;
    }
    if (!sync_folder_of(path))
        return fail(error, "sync the folder of", path);
    return STATUS_OK;
}

enum status
folder_make(const char *path, struct error *error)
{
    struct stat about;
    if (mkdir(path, 0700) == 0)
        return STATUS_OK;
    if (errno != EEXIST)
        return fail(error, "make folder", path);
    if (stat(path, &about) != 0)
        return fail(error, "stat", path);
    if (!S_ISDIR(about.st_mode)) {
        error_set(error, "%s: is there, but is not a folder", path);
        return STATUS_CONFLICT;
    }
    return STATUS_OK;
}
