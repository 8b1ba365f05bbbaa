/* SPDX-License-Identifier: Apache-2.0 */
/* cli/logs.c - `sos logs`: prints the home's log, its end first wanted, and follows it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/lifecycle.h"

enum { LINES_DEFAULT = 50, LINES_MAX = 1000000, READ_SIZE = 64 * 1024 };

/* Where the last `lines` lines begin. */
static off_t
tail_offset(int fd, off_t size, unsigned long lines)
{
    char block[4096];
    off_t at = size;
    unsigned long seen = 0;
    while (at > 0) {
        size_t want = at < (off_t)sizeof block ? (size_t)at : sizeof block;
        if (pread(fd, block, want, at - (off_t)want) != (ssize_t)want)
            return at;
        for (size_t i = want; i > 0; i--) {
            off_t here = at - (off_t)want + (off_t)i;
            if (block[i - 1] == '\n' && here != size && ++seen == lines)
                return here;
        }
        at -= (off_t)want;
    }
    return 0;
}

/* Prints what was added; when `service` is set, only the lines of it. Lines may end in a later
 * call. */
struct printer {
    const char *service;
    char mark[96];
    char *line;
    size_t line_capacity;
};

static bool
print_new(struct printer *printer, FILE *file)
{
    ssize_t size;
    clearerr(file);
    while ((size = getline(&printer->line, &printer->line_capacity, file)) > 0) {
        if (printer->line[size - 1] != '\n') { /* half a line: read it again when it is whole */
            if (fseeko(file, -(off_t)size, SEEK_CUR) != 0)
                return false;
            break;
        }
        if (!printer->service || strstr(printer->line, printer->mark))
            fwrite(printer->line, 1, (size_t)size, stdout);
    }
    return fflush(stdout) == 0;
}

static int
follow(struct printer *printer, FILE *file, const char *path)
{
    int watch = inotify_init1(IN_CLOEXEC);
    if (watch < 0 ||
        inotify_add_watch(watch, path, IN_MODIFY | IN_MOVE_SELF | IN_DELETE_SELF) < 0) {
        int cause = errno;
        if (watch >= 0)
            close(watch);
        return command_fail("logs", EXIT_FAILED, "watch %s: %s", path, strerror(cause));
    }
    bool rotated = false;
    while (print_new(printer, file) && !rotated) {
        char events[4096] __attribute__((aligned(8)));
        ssize_t got = read(watch, events, sizeof events);
        if (got < 0 && errno != EINTR)
            break;
        for (ssize_t at = 0; got > 0 && at < got;) {
            const struct inotify_event *event =
                (const struct inotify_event *)(const void *)(events + at);
            rotated |= (event->mask & (IN_MOVE_SELF | IN_DELETE_SELF)) != 0;
            at += (ssize_t)(sizeof *event + event->len);
        }
    }
    close(watch);
    return rotated ? EXIT_OK : EXIT_FAILED;
}

int
run_logs(struct cli *cli, int argc, char **argv)
{
    struct printer printer = {NULL, "", NULL, 0};
    struct error error = ERROR_INIT;
    unsigned long lines = LINES_DEFAULT;
    bool following = false;
    char path[PATH_SIZE];

    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        if (strcmp(argv[i], "-f") == 0 || strcmp(argv[i], "--follow") == 0) {
            following = true;
        } else if (command_option(argc, argv, &i, "--lines", &value)) {
            char *end = NULL;
            lines = value ? strtoul(value, &end, 10) : 0;
            if (!value || *end || lines == 0 || lines > LINES_MAX)
                return command_fail("logs", EXIT_USAGE, "--lines: came '%s', expected 1 to %d",
                                    value ? value : "", LINES_MAX);
        } else if (argv[i][0] != '-' && !printer.service) {
            printer.service = argv[i];
            snprintf(printer.mark, sizeof printer.mark, "\"service\":\"%s\"", argv[i]);
        } else {
            return command_fail("logs", EXIT_USAGE, "unexpected argument '%s'", argv[i]);
        }
    }
    if (paths_join(path, cli->home, "logs/sos.log", &error) != STATUS_OK)
        return command_fail("logs", EXIT_FAILED, "%s", error.message);

    int code = EXIT_OK;
    do {
        FILE *file = fopen(path, "re");
        struct stat about;
        if (!file)
            return command_fail("logs", EXIT_FAILED, "open %s: %s", path, strerror(errno));
        if (lines && fstat(fileno(file), &about) == 0)
            fseeko(file, tail_offset(fileno(file), about.st_size, lines), SEEK_SET);
        lines = 0; /* after a rotation the new file is printed whole */
        if (following)
            code = follow(&printer, file, path);
        else
            print_new(&printer, file);
        fclose(file);
    } while (following && code == EXIT_OK);
    free(printer.line);
    return code;
}
