/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/audit_tail.h"

/* How far the file goes. */
struct extent {
    uint64_t size;
    struct audit_link link;
};

struct audit {
    char path[PATH_MAX];
    uint64_t size_max;
    int fd;
    bool is_renamed; /* a rotation has moved the file and could not make the next one yet */
    struct extent written;
    struct extent synced;
    struct buffer line; /* its memory is kept */
};

enum { NUMBERED_SIZE = PATH_MAX + 8 };

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

/* New and renamed files last only when their folder does. */
static enum status
sync_folder(const struct audit *audit, struct error *error)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", audit->path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    enum status status = synced ? STATUS_OK : fail(audit, "sync the folder of", error);
    if (fd >= 0)
        close(fd);
    return status;
}

/* Leaves the place in the chain as it is. */
static enum status
open_file(struct audit *audit, struct error *error)
{
    struct stat about;
    int fd =
        open(audit->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return fail(audit, "open", error);
    enum status status = STATUS_STORE_FAILED;
    if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        error_set(error, "audit file %s: not a regular file", audit->path);
        goto fail;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        error_set(error, "audit file %s: somebody else writes it already", audit->path);
        status = STATUS_CONFLICT;
        goto fail;
    }
    status = sync_folder(audit, error);
    if (status != STATUS_OK)
        goto fail;
    if (audit->fd >= 0)
        close(audit->fd);
    audit->fd = fd;
    audit->is_renamed = false;
    audit->written.size = (uint64_t)about.st_size;
    audit->synced = audit->written;
    return STATUS_OK;

fail:
    close(fd);
    return status;
}

/* ---- lines */

static enum status
write_line(struct audit *audit, uint64_t seq, struct text members, struct error *error)
{
    struct audit_link link = audit->written.link;
    buffer_reset(&audit->line);
    audit_chain(&link, seq, members, &audit->line);
    if (audit->line.failed)
        return STATUS_NOMEM;
    if (write_all(audit->fd, buffer_text(&audit->line))) {
        audit->written = (struct extent){audit->written.size + audit->line.size, link};
        return STATUS_OK;
    }
    enum status status = fail(audit, "write", error);
    /* No half line may stay: what follows would be read as its end. */
    if (ftruncate(audit->fd, (off_t)audit->written.size) != 0)
        error_wrap(error, "a part of a line may stand at %llu",
                   (unsigned long long)audit->written.size);
    return status;
}

static enum status
tell(struct audit *audit, const char *event, const char *resource, const char *detail,
     uint64_t wall_us, struct error *error)
{
    struct buffer members;
    buffer_init(&members);
    const struct audit_entry entry = {
        .event = event, .resource = text_of(resource), .outcome = "ok", .detail = text_of(detail)};
    audit_format(&entry, wall_us, &members);
    enum status status =
        members.failed ? STATUS_NOMEM
                       : write_line(audit, audit->written.link.seq, buffer_text(&members), error);
    buffer_clear(&members);
    return status;
}

/* ---- opening */

static bool
numbered(const struct audit *audit, int number, char path[static NUMBERED_SIZE])
{
    if (number == 0)
        snprintf(path, NUMBERED_SIZE, "%s", audit->path);
    else
        snprintf(path, NUMBERED_SIZE, "%s.%d", audit->path, number);
    return access(path, F_OK) == 0;
}

/* *link: behind the last line of FILE.number; as it is when there is no such file or line. */
static enum status
find_link(const struct audit *audit, int number, struct audit_link *link, struct error *error)
{
    char path[NUMBERED_SIZE];
    struct audit_tail tail;
    if (!numbered(audit, number, path))
        return STATUS_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    bool read = fd >= 0 && audit_tail_read(fd, &tail);
    if (!read)
        error_set(error, "read audit file %s: %s", path, strerror(errno));
    else if (tail.found)
        *link = tail.link;
    if (fd >= 0)
        close(fd);
    return read ? STATUS_OK : STATUS_STORE_FAILED;
}

static enum status
take_back(struct audit *audit, uint64_t torn, uint64_t wall_us, struct error *error)
{
    char detail[96];
    if (ftruncate(audit->fd, (off_t)(audit->written.size - torn)) != 0)
        return fail(audit, "take back an unfinished line of", error);
    audit->written.size -= torn;
    snprintf(detail, sizeof detail, "%llu bytes of an unfinished line were taken back",
             (unsigned long long)torn);
    return tell(audit, "audit.recovered", "", detail, wall_us, error);
}

static enum status
end_foreign_line(struct audit *audit, struct error *error)
{
    if (!write_all(audit->fd, text_of("\n")))
        return fail(audit, "write", error);
    audit->written.size++;
    return STATUS_OK;
}

/* What is there already: the chain goes on behind its last line. */
static enum status
take_over(struct audit *audit, uint64_t wall_us, struct error *error)
{
    struct audit_tail tail;
    if (!audit_tail_read(audit->fd, &tail))
        return fail(audit, "read", error);
    enum status status = STATUS_OK;
    if (tail.found)
        audit->written.link = tail.link;
    else /* new, or the first line after a rotation was not written any more */
        status = find_link(audit, 1, &audit->written.link, error);
    if (status == STATUS_OK && tail.torn > 0)
        status = take_back(audit, tail.torn, wall_us, error);
    if (status == STATUS_OK && tail.endless)
        status = end_foreign_line(audit, error);
    if (status == STATUS_OK && tail.damaged)
        status = tell(audit, "audit.damaged", "", "the line before is none of this trail", wall_us,
                      error);
    return status == STATUS_OK ? audit_sync(audit, error) : status;
}

enum status
audit_open(struct audit **audit_p, const char *path, uint64_t size_max, uint64_t wall_us,
           struct error *error)
{
    struct audit *audit = calloc(1, sizeof *audit);
    if (!audit)
        return STATUS_NOMEM;
    audit->fd = -1;
    audit->size_max = size_max ? size_max : AUDIT_SIZE_MAX;
    buffer_init(&audit->line);
    enum status status = STATUS_OK;
    if (snprintf(audit->path, sizeof audit->path, "%s", path) >= (int)sizeof audit->path) {
        error_set(error, "audit file %.64s…: the path is too long", path);
        status = STATUS_INVALID;
    }
    if (status == STATUS_OK)
        status = open_file(audit, error);
    if (status == STATUS_OK)
        status = take_over(audit, wall_us, error);
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
    buffer_clear(&audit->line);
    free(audit);
    *audit_p = NULL;
}

struct audit_link
audit_last(const struct audit *audit)
{
    return audit->written.link;
}

/* ---- rotation */

/* On disk before the file goes: a crash in between must not look like a removal by somebody else.
 */
static enum status
vouch_for_removal(struct audit *audit, uint64_t wall_us, struct error *error)
{
    struct audit_link removed = {0};
    char detail[96], hex[AUDIT_HEX_SIZE];
    enum status status = find_link(audit, AUDIT_FILES_KEPT, &removed, error);
    if (status != STATUS_OK)
        return status;
    audit_hash_format(&removed.hash, hex);
    snprintf(detail, sizeof detail, "the oldest of %d rotated files is removed", AUDIT_FILES_KEPT);
    return tell(audit, "audit.rotated", hex, detail, wall_us, error);
}

static enum status
rotate(struct audit *audit, uint64_t wall_us, struct error *error)
{
    char from[NUMBERED_SIZE];
    char to[NUMBERED_SIZE];
    enum status status = STATUS_OK;
    /* Only as far as there are files without a gap: a free number takes what is moved up. */
    int last = 1;
    while (last <= AUDIT_FILES_KEPT && numbered(audit, last, to))
        last++;
    if (last > AUDIT_FILES_KEPT) {
        last = AUDIT_FILES_KEPT;
        status = vouch_for_removal(audit, wall_us, error);
    }
    if (status == STATUS_OK)
        status = audit_sync(audit, error);
    if (status != STATUS_OK)
        return status;
    for (int number = last; number > 0; number--) {
        numbered(audit, number, to);
        if (numbered(audit, number - 1, from) && rename(from, to) != 0)
            return fail(audit, "rotate", error);
    }
    audit->is_renamed = true;
    return open_file(audit, error);
}

/* ---- appending */

static bool
is_in_place(const struct audit *audit, struct stat *about)
{
    struct stat named;
    return fstat(audit->fd, about) == 0 && lstat(audit->path, &named) == 0 &&
           about->st_ino == named.st_ino && about->st_dev == named.st_dev;
}

/* Nobody else has business with the file. The chain goes on from what this writer has written last,
 * so that whoever checks it finds the place. */
static enum status
look_for_strangers(struct audit *audit, uint64_t wall_us, struct error *error)
{
    struct stat about;
    char detail[128];
    char last;
    bool in_place = is_in_place(audit, &about);
    if (in_place && (uint64_t)about.st_size == audit->written.size)
        return STATUS_OK;
    uint64_t expected = audit->written.size;
    enum status status = STATUS_OK;
    if (!in_place)
        status = open_file(audit, error);
    else
        audit->written.size = (uint64_t)about.st_size;
    if (status != STATUS_OK)
        return status;
    uint64_t found = audit->written.size;
    if (found > 0 && pread(audit->fd, &last, 1, (off_t)found - 1) == 1 && last != '\n') {
        status = end_foreign_line(audit, error);
        if (status != STATUS_OK)
            return status;
    }
    audit->synced = audit->written;
    snprintf(detail, sizeof detail, "the file was %s by somebody else: it has %llu bytes, had %llu",
             in_place ? "changed" : "replaced", (unsigned long long)found,
             (unsigned long long)expected);
    return tell(audit, "audit.damaged", "", detail, wall_us, error);
}

enum status
audit_append(struct audit *audit, uint64_t seq, struct text members, uint64_t wall_us,
             struct error *error)
{
    const uint64_t frame = 256; /* what chaining adds */
    enum status status = audit->is_renamed ? open_file(audit, error) : STATUS_OK;
    if (status == STATUS_OK)
        status = look_for_strangers(audit, wall_us, error);
    if (status == STATUS_OK && audit->written.size > 0 &&
        audit->written.size + members.size + frame > audit->size_max)
        status = rotate(audit, wall_us, error);
    return status == STATUS_OK ? write_line(audit, seq, members, error) : status;
}

void
audit_revert(struct audit *audit)
{
    if (ftruncate(audit->fd, (off_t)audit->synced.size) == 0)
        audit->written = audit->synced;
}

enum status
audit_sync(struct audit *audit, struct error *error)
{
    if (fdatasync(audit->fd) == 0) {
        audit->synced = audit->written;
        return STATUS_OK;
    }
    enum status status = fail(audit, "sync", error);
    /* What the disk has refused may look written from here on: it must not count as such. */
    audit_revert(audit);
    return status;
}

enum status
audit_remark(struct audit *audit, const char *event, const char *detail, uint64_t wall_us,
             struct error *error)
{
    return tell(audit, event, "", detail, wall_us, error);
}
