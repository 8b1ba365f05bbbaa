/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/secret_input.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { CTRL_C = 3, CTRL_D = 4, CTRL_U = 21, BACKSPACE = 8, DELETE = 127 };

void
secret_forget(struct buffer *text)
{
    if (text->data)
        sodium_memzero(text->data, text->capacity);
    buffer_clear(text);
}

static enum status
too_large(size_t max, struct error *error)
{
    error_set(error, "at most %zu bytes are taken", max);
    return STATUS_TOO_LARGE;
}

static enum status
take_byte(struct buffer *line, size_t start, size_t max, char byte, struct error *error)
{
    switch (byte) {
    case CTRL_C:
    case CTRL_D:
        error_set(error, "cancelled");
        return STATUS_CANCELLED;
    case CTRL_U:
        line->size = start;
        return STATUS_PENDING;
    case BACKSPACE:
    case DELETE:
        /* A character of several bytes goes as a whole. */
        while (line->size > start && (line->data[line->size - 1] & 0xC0) == 0x80)
            line->size--;
        line->size -= line->size > start;
        return STATUS_PENDING;
    case '\n':
    case '\r':
        return STATUS_OK;
    default:
        break;
    }
    if (line->size - start >= max)
        return too_large(max, error);
    buffer_append_byte(line, (uint8_t)byte);
    return line->failed ? STATUS_NOMEM : STATUS_PENDING;
}

static enum status
read_line(int fd, struct buffer *line, size_t max, struct error *error)
{
    size_t start = line->size;
    enum status status = STATUS_PENDING;
    while (status == STATUS_PENDING) {
        char byte;
        ssize_t got = read(fd, &byte, 1);
        if (got == 1) {
            status = take_byte(line, start, max, byte, error);
        } else if (got == 0 || errno != EINTR) {
            error_set(error, "the terminal cannot be read");
            status = STATUS_CANCELLED;
        }
    }
    return status;
}

enum status
secret_ask(const char *prompt, size_t max, struct buffer *line, struct error *error)
{
    struct termios before, silent;
    sigset_t ending, mask;
    if (!buffer_reserve(line, max)) /* what grows leaves copies behind */
        return STATUS_NOMEM;
    int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || tcgetattr(fd, &before) != 0) {
        error_set(error, "there is no terminal to ask at");
        if (fd >= 0)
            close(fd);
        return STATUS_UNAVAILABLE;
    }
    sigemptyset(&ending);
    const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&ending, signals[i]);
    sigprocmask(SIG_BLOCK, &ending, &mask);

    silent = before;
    silent.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG);
    silent.c_cc[VMIN] = 1;
    silent.c_cc[VTIME] = 0;
    tcsetattr(fd, TCSAFLUSH, &silent);
    dprintf(fd, "%s: ", prompt);
    enum status status = read_line(fd, line, max, error);
    dprintf(fd, "\n");
    tcsetattr(fd, TCSAFLUSH, &before);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    close(fd);
    return status;
}

static enum status
read_all(int fd, size_t max, struct buffer *text, struct error *error)
{
    size_t start = text->size;
    if (!buffer_reserve(text, max + 2)) /* a line feed at the end does not count */
        return STATUS_NOMEM;
    while (text->size - start < max + 2) {
        ssize_t got = read(fd, text->data + text->size, max + 2 - (text->size - start));
        if (got > 0) {
            text->size += (size_t)got;
        } else if (got == 0) {
            break;
        } else if (errno != EINTR) {
            error_set(error, "standard input cannot be read");
            return STATUS_INTERNAL;
        }
    }
    if (text->size > start && text->data[text->size - 1] == '\n')
        text->size--;
    return text->size - start > max ? too_large(max, error) : STATUS_OK;
}

enum status
secret_read(const char *prompt, size_t max, struct buffer *text, struct error *error)
{
    return isatty(STDIN_FILENO) ? secret_ask(prompt, max, text, error)
                                : read_all(STDIN_FILENO, max, text, error);
}

enum status
secret_ask_twice(const char *prompt, size_t max, struct buffer *line, struct error *error)
{
    struct buffer again;
    buffer_init(&again);
    enum status status = secret_ask(prompt, max, line, error);
    if (status == STATUS_OK)
        status = secret_ask("Once more", max, &again, error);
    if (status == STATUS_OK &&
        (line->size == 0 || !text_equal(buffer_text(line), buffer_text(&again)))) {
        error_set(error, line->size == 0 ? "it is empty" : "the two differ");
        status = STATUS_VALIDATION;
    }
    secret_forget(&again);
    return status;
}
