/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/audit_tail.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WINDOW = 4 * AUDIT_LINE_MAX };

static const char *
line_begin(const char *window, const char *end)
{
    const char *newline = memrchr(window, '\n', (size_t)(end - window));
    return newline ? newline + 1 : window;
}

/* window: the file's last bytes; whole: all of it. */
static struct audit_tail
read_window(const char *window, size_t size, bool whole)
{
    struct audit_tail tail = {0};
    const char *end = line_begin(window, window + size); /* behind the last newline */
    size_t rest = (size_t)(window + size - end);
    if (rest >= AUDIT_LINE_MAX || (rest > 0 && end == window && !whole)) {
        tail.endless = true;
        tail.damaged = true;
    } else {
        tail.torn = rest;
    }
    bool is_last = true;
    while (end > window && !tail.found) {
        struct audit_line line;
        const char *begin = line_begin(window, end - 1);
        struct text text = {begin, (size_t)(end - 1 - begin)};
        enum audit_finding finding = audit_check(text, NULL, &line);
        if (is_last && finding != AUDIT_LINE_GOOD)
            tail.damaged = true;
        is_last = false;
        tail.found = finding != AUDIT_LINE_FOREIGN;
        if (tail.found)
            tail.link = line.link;
        end = begin;
    }
    return tail;
}

bool
audit_tail_read(int fd, struct audit_tail *tail)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return false;
    size_t size = about.st_size < WINDOW ? (size_t)about.st_size : WINDOW;
    char *window = malloc(WINDOW);
    bool read = window && pread(fd, window, size, about.st_size - (off_t)size) == (ssize_t)size;
    if (read)
        *tail = read_window(window, size, (off_t)size == about.st_size);
    free(window);
    return read;
}
