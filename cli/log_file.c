/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/paths.h"

struct log_file {
    char path[PATH_SIZE];
    int fd;
    off_t size;
};

static int
open_append(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

enum status
log_file_open(struct log_file **file_p, const char *home, struct error *error)
{
    struct log_file *file = calloc(1, sizeof *file);
    struct stat about;
    if (!file)
        return STATUS_NOMEM;
    file->fd = -1;
    enum status status = paths_join(file->path, home, "logs/sos.log", error);
    if (status == STATUS_OK) {
        file->fd = open_append(file->path);
        if (file->fd < 0 || fstat(file->fd, &about) != 0) {
            error_set(error, "open log %s: %s", file->path, strerror(errno));
            status = STATUS_INTERNAL;
        }
    }
    if (status != STATUS_OK) {
        log_file_close(&file);
        return status;
    }
    file->size = about.st_size;
    *file_p = file;
    return STATUS_OK;
}

void
log_file_close(struct log_file **file_p)
{
    struct log_file *file = *file_p;
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    free(file);
    *file_p = NULL;
}

static void
rotate(struct log_file *file)
{
    char from[PATH_SIZE + 16];
    char to[PATH_SIZE + 16];
    for (int i = LOG_FILES_KEPT; i > 0; i--) {
        snprintf(to, sizeof to, "%s.%d", file->path, i);
        if (i > 1)
            snprintf(from, sizeof from, "%s.%d", file->path, i - 1);
        else
            snprintf(from, sizeof from, "%s", file->path);
        rename(from, to); /* a missing one is fine */
    }
    int fresh = open_append(file->path);
    if (fresh < 0)
        return; /* goes on in the renamed file */
    close(file->fd);
    file->fd = fresh;
    file->size = 0;
}

void
log_file_write(struct log_file *file, struct text lines)
{
    if (file->size > 0 && file->size + (off_t)lines.size > LOG_FILE_SIZE_MAX)
        rotate(file);
    size_t done = 0;
    while (done < lines.size) {
        ssize_t wrote = write(file->fd, lines.data + done, lines.size - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return;
        done += (size_t)wrote;
        file->size += wrote;
    }
}
