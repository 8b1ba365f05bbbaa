/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/audit_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/audit.h"
#include "platform/audit.h"

enum { FILES_MAX = AUDIT_FILES_KEPT + 1, WINDOW = 4 * AUDIT_LINE_MAX, TRIES = 16 };

#define SUFFIX ".jsonl"

/* ---- the files */

struct files {
    int fds[FILES_MAX]; /* -1: not there */
};

static void
close_files(struct files *files)
{
    for (int i = 0; i < FILES_MAX; i++)
        if (files->fds[i] >= 0)
            close(files->fds[i]);
}

static bool
is_still_named(int fd, const char *path)
{
    struct stat opened, named;
    bool there = lstat(path, &named) == 0;
    if (fd < 0 || !there)
        return fd < 0 && !there;
    return fstat(fd, &opened) == 0 && opened.st_ino == named.st_ino &&
           opened.st_dev == named.st_dev;
}

static enum status
open_number(const char *path, int number, int *fd, struct error *error)
{
    char name[PATH_MAX + 16];
    struct stat about;
    snprintf(name, sizeof name, number ? "%s.%d" : "%s", path, number);
    *fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0 && errno == ENOENT)
        return STATUS_OK;
    if (*fd < 0) {
        error_set(error, "open audit file %s: %s", name, strerror(errno));
        return STATUS_STORE_FAILED;
    }
    if (fstat(*fd, &about) == 0 && S_ISREG(about.st_mode))
        return STATUS_OK;
    error_set(error, "audit file %s: not a regular file", name);
    return STATUS_STORE_FAILED;
}

/* Newest first; when the newest is the same afterwards, no rotation came between. */
static enum status
open_files(const char *path, int count, struct files *files, struct error *error)
{
    for (int try = 0; try < TRIES; try++) {
        enum status status = STATUS_OK;
        for (int i = 0; i < FILES_MAX; i++)
            files->fds[i] = -1;
        for (int i = 0; i < count && status == STATUS_OK; i++)
            status = open_number(path, i, &files->fds[i], error);
        if (status == STATUS_OK && is_still_named(files->fds[0], path))
            return STATUS_OK;
        close_files(files);
        if (status != STATUS_OK)
            return status;
    }
    error_set(error, "audit file %s: it is rotated faster than it can be read", path);
    return STATUS_BUSY;
}

/* ---- lines */

struct reading {
    audit_line_fn *line;
    void *context;
    struct audit_place place;
    char *window;
    size_t used;
    bool skips; /* the rest of a line that was too long */
    struct error *error;
};

static enum status
give(struct reading *reading, size_t size, bool is_whole)
{
    reading->place.line++;
    reading->place.is_whole = is_whole;
    return reading->line(reading->context, &reading->place, (struct text){reading->window, size},
                         reading->error);
}

static void
drop(struct reading *reading, size_t size)
{
    memmove(reading->window, reading->window + size, reading->used - size);
    reading->used -= size;
}

static enum status
give_lines(struct reading *reading)
{
    enum status status = STATUS_OK;
    size_t begin = 0;
    const char *newline;
    while (status == STATUS_OK &&
           (newline = memchr(reading->window + begin, '\n', reading->used - begin)) != NULL) {
        size_t size = (size_t)(newline - reading->window) - begin;
        if (!reading->skips) {
            char *window = reading->window;
            reading->window += begin;
            status = give(reading, size, true);
            reading->window = window;
        }
        reading->skips = false;
        begin += size + 1;
    }
    drop(reading, begin);
    if (status == STATUS_OK && reading->used == WINDOW) {
        if (!reading->skips)
            status = give(reading, WINDOW, true);
        reading->skips = true;
        reading->used = 0;
    }
    return status;
}

/* All whole lines up to the file's end. */
static enum status
read_lines(struct reading *reading, int fd)
{
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        ssize_t got = read(fd, reading->window + reading->used, WINDOW - reading->used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            error_set(reading->error, "read an audit file: %s", strerror(errno));
            return STATUS_STORE_FAILED;
        }
        if (got == 0)
            break;
        reading->used += (size_t)got;
        status = give_lines(reading);
    }
    return status;
}

static enum status
read_file(struct reading *reading, int fd)
{
    enum status status = read_lines(reading, fd);
    if (status == STATUS_OK && reading->used > 0 && !reading->skips)
        status = give(reading, reading->used, false);
    return status;
}

enum status
audit_read(const char *path, bool newest_only, audit_line_fn *line, void *context,
           unsigned *files_read, struct error *error)
{
    struct files files;
    unsigned count = 0;
    struct reading reading = {.line = line, .context = context, .error = error};
    enum status status = open_files(path, newest_only ? 1 : FILES_MAX, &files, error);
    if (status != STATUS_OK)
        return status;
    reading.window = malloc(WINDOW);
    if (!reading.window)
        status = STATUS_NOMEM;
    for (int i = FILES_MAX - 1; i >= 0 && status == STATUS_OK; i--) {
        if (files.fds[i] < 0)
            continue;
        count++;
        reading.place = (struct audit_place){.file = i};
        reading.used = 0;
        reading.skips = false;
        status = read_file(&reading, files.fds[i]);
    }
    if (status == STATUS_OK && count == 0) {
        error_set(error, "audit file %s: there is none", path);
        status = STATUS_NOT_FOUND;
    }
    free(reading.window);
    close_files(&files);
    if (files_read)
        *files_read = count;
    return status;
}

/* ---- following */

struct audit_follower {
    char path[PATH_MAX];
    int fd; /* -1: not open */
    struct reading reading;
};

struct audit_follower *
audit_follower_new(const char *path)
{
    struct audit_follower *follower = calloc(1, sizeof *follower);
    char *window = malloc(WINDOW);
    if (!follower || !window) {
        free(follower);
        free(window);
        return NULL;
    }
    snprintf(follower->path, sizeof follower->path, "%s", path);
    follower->fd = -1;
    follower->reading.window = window;
    return follower;
}

void
audit_follower_destroy(struct audit_follower **follower_p)
{
    struct audit_follower *follower = *follower_p;
    if (!follower)
        return;
    if (follower->fd >= 0)
        close(follower->fd);
    free(follower->reading.window);
    free(follower);
    *follower_p = NULL;
}

enum status
audit_follow(struct audit_follower *follower, audit_line_fn *line, void *context,
             struct error *error)
{
    struct reading *reading = &follower->reading;
    reading->line = line;
    reading->context = context;
    reading->error = error;
    for (int try = 0; try < TRIES; try++) {
        enum status status = STATUS_OK;
        if (follower->fd < 0)
            status = open_number(follower->path, 0, &follower->fd, error);
        if (status != STATUS_OK || follower->fd < 0)
            return status;
        bool is_named = is_still_named(follower->fd, follower->path);
        status = read_lines(reading, follower->fd); /* after the look: nothing comes to it later */
        if (status != STATUS_OK || is_named)
            return status;
        close(follower->fd);
        follower->fd = -1;
        reading->used = 0;
        reading->skips = false;
        reading->place = (struct audit_place){0};
    }
    return STATUS_OK;
}

/* ---- trails */

/* The length of "bus" in "bus.jsonl" and "bus.jsonl.3"; 0: no trail's file. */
static size_t
trail_name_size(const char *name)
{
    const char *suffix = strstr(name, SUFFIX);
    if (!suffix || suffix == name)
        return 0;
    const char *rest = suffix + strlen(SUFFIX);
    bool numbered = rest[0] == '.' && rest[1] != '\0' && strspn(rest + 1, "0123456789") < 3 &&
                    rest[1 + strspn(rest + 1, "0123456789")] == '\0';
    return *rest == '\0' || numbered ? (size_t)(suffix - name) : 0;
}

static int
is_trail_file(const struct dirent *entry)
{
    return trail_name_size(entry->d_name) > 0;
}

enum status
audit_each_trail(const char *folder, audit_trail_fn *fn, void *context, struct error *error)
{
    struct dirent **entries = NULL;
    char last[NAME_MAX + 1] = "";
    int count = scandir(folder, &entries, is_trail_file, alphasort);
    if (count < 0) {
        bool missing = errno == ENOENT;
        error_set(error, "read %s: %s", folder, strerror(errno));
        return missing ? STATUS_NOT_FOUND : STATUS_STORE_FAILED;
    }
    enum status status = STATUS_OK;
    for (int i = 0; i < count; i++) {
        char *name = entries[i]->d_name;
        name[trail_name_size(name)] = '\0';
        if (status == STATUS_OK && strcmp(name, last) != 0)
            status = fn(context, name, error);
        snprintf(last, sizeof last, "%s", name);
        free(entries[i]);
    }
    free(entries);
    return status;
}
