/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct audit {
    char path[PATH_MAX];
    uint64_t size;
    uint64_t size_max;
    int fd;
};

static enum status
fail(const struct audit *audit, const char *what, struct error *error)
{
    error_set(error, "%s audit file %s: %s", what, audit->path, strerror(errno));
    return STATUS_STORE_FAILED;
}

static bool
write_all(int fd, struct text text)
{
    size_t done = 0;
    while (done < text.size) {
        ssize_t wrote = write(fd, text.data + done, text.size - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        done += (size_t)wrote;
    }
    return true;
}

/* A crash may have left the beginning of a line: the next one must not continue it. */
static bool
ends_within_a_line(const struct audit *audit)
{
    char last = '\n';
    return audit->size > 0 && pread(audit->fd, &last, 1, (off_t)audit->size - 1) == 1 &&
           last != '\n';
}

static enum status
open_file(struct audit *audit, struct error *error)
{
    struct stat about;
    int fd =
        open(audit->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return fail(audit, "open", error);
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        close(fd);
        error_set(error, "audit file %s: not a regular file", audit->path);
        return STATUS_STORE_FAILED;
    }
    if (audit->fd >= 0)
        close(audit->fd);
    audit->fd = fd;
    audit->size = (uint64_t)about.st_size;
    return STATUS_OK;
}

enum status
audit_open(struct audit **audit_p, const char *path, uint64_t size_max, struct error *error)
{
    struct audit *audit = calloc(1, sizeof *audit);
    if (!audit)
        return STATUS_NOMEM;
    audit->fd = -1;
    audit->size_max = size_max ? size_max : AUDIT_SIZE_MAX;
    enum status status = STATUS_OK;
    if (snprintf(audit->path, sizeof audit->path, "%s", path) >= (int)sizeof audit->path) {
        error_set(error, "audit file %.64s…: the path is too long", path);
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK)
        status = open_file(audit, error);
    if (status == STATUS_OK && ends_within_a_line(audit)) {
        if (!write_all(audit->fd, text_of("\n")))
            status = fail(audit, "write", error);
        audit->size++;
    }
    if (status != STATUS_OK) {
        audit_close(&audit);
        return status;
    }
    *audit_p = audit;
    return STATUS_OK;
}

void
audit_close(struct audit **audit_p)
{
    struct audit *audit = *audit_p;
    if (!audit)
        return;
    if (audit->fd >= 0)
        close(audit->fd);
    free(audit);
    *audit_p = NULL;
}

/* ---- rotation */

static bool
numbered(const struct audit *audit, int number, char path[static PATH_MAX + 8])
{
    if (number == 0)
        snprintf(path, PATH_MAX + 8, "%s", audit->path);
    else
        snprintf(path, PATH_MAX + 8, "%s.%d", audit->path, number);
    return access(path, F_OK) == 0;
}

static enum status
write_line(struct audit *audit, struct text line, struct error *error)
{
    if (write_all(audit->fd, line)) {
        audit->size += line.size;
        return STATUS_OK;
    }
    enum status status = fail(audit, "write", error);
    /* No half line may stay: what follows would be read as its end. */
    if (ftruncate(audit->fd, (off_t)audit->size) != 0)
        error_wrap(error, "a part of a line may stand at %llu", (unsigned long long)audit->size);
    return status;
}

static enum status
tell_of_removal(struct audit *audit, uint64_t wall_us, struct error *error)
{
    struct buffer line;
    buffer_init(&line);
    char detail[96];
    snprintf(detail, sizeof detail, "the oldest of %d rotated files was removed", AUDIT_FILES_KEPT);
    struct audit_entry entry = {
        .event = "audit.rotated", .outcome = "ok", .detail = text_of(detail)};
    audit_format(&entry, wall_us, &line);
    enum status status = line.failed ? STATUS_NOMEM : write_line(audit, buffer_text(&line), error);
    buffer_clear(&line);
    return status;
}

static enum status
rotate(struct audit *audit, uint64_t wall_us, struct error *error)
{
    char from[PATH_MAX + 8];
    char to[PATH_MAX + 8];
    enum status status = audit_sync(audit, error);
    if (status != STATUS_OK)
        return status;
    /* Only as far as there are files without a gap: a free number takes what is moved up. */
    int last = 1;
    while (last <= AUDIT_FILES_KEPT && numbered(audit, last, to))
        last++;
    bool removes = last > AUDIT_FILES_KEPT;
    if (removes)
        last = AUDIT_FILES_KEPT;
    for (int number = last; number > 0; number--) {
        numbered(audit, number, to);
        /* The file itself is missing when an earlier rotation could not make the next one. */
        if (numbered(audit, number - 1, from) && rename(from, to) != 0)
            return fail(audit, "rotate", error);
    }
    status = open_file(audit, error);
    return status == STATUS_OK && removes ? tell_of_removal(audit, wall_us, error) : status;
}

enum status
audit_append(struct audit *audit, struct text line, uint64_t wall_us, struct error *error)
{
    enum status status = STATUS_OK;
    if (audit->size > 0 && audit->size + line.size > audit->size_max)
        status = rotate(audit, wall_us, error);
    return status == STATUS_OK ? write_line(audit, line, error) : status;
}

enum status
audit_sync(struct audit *audit, struct error *error)
{
    return fdatasync(audit->fd) == 0 ? STATUS_OK : fail(audit, "sync", error);
}
