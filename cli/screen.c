/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/print.h"

static const char *const styles[] = {
    [STYLE_PLAIN] = "",          [STYLE_DIM] = "\033[2m",      [STYLE_BOLD] = "\033[1m",
    [STYLE_RED] = "\033[31m",    [STYLE_GREEN] = "\033[32m",   [STYLE_YELLOW] = "\033[33m",
    [STYLE_BLUE] = "\033[34m",   [STYLE_MAGENTA] = "\033[35m", [STYLE_CYAN] = "\033[36m",
    [STYLE_REVERSE] = "\033[7m",
};

static bool
speaks_utf8(void)
{
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

void
screen_measure(struct screen *screen)
{
    struct winsize size;
    if (screen->terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        screen->width = size.ws_col;
        screen->height = size.ws_row;
    }
}

struct screen
screen_of_stdout(enum screen_color color)
{
    const char *plain = getenv("NO_COLOR");
    const char *kind = getenv("TERM");
    struct screen screen = {.terminal = isatty(STDOUT_FILENO), .utf8 = speaks_utf8()};
    bool may = screen.terminal && !(plain && *plain) && !(kind && strcmp(kind, "dumb") == 0);
    screen.color = color == COLOR_ALWAYS || (color == COLOR_AUTO && may);
    screen_measure(&screen);
    return screen;
}

bool
screen_color_parse(const char *text, enum screen_color *color)
{
    static const char *const words[] = {
        [COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *color = (enum screen_color)i;
            return true;
        }
    }
    return false;
}

void
screen_begin(const struct screen *screen, struct buffer *out, enum screen_style style)
{
    if (screen->color)
        buffer_append_string(out, styles[style]);
}

void
screen_end(const struct screen *screen, struct buffer *out, enum screen_style style)
{
    if (screen->color && style != STYLE_PLAIN)
        buffer_append_string(out, "\033[0m");
}

static bool
is_start(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

size_t
screen_columns(struct text text)
{
    size_t columns = 0;
    for (size_t i = 0; i < text.size; i++)
        columns += is_start(text.data[i]);
    return columns;
}

/* The longest beginning of so many columns. */
static struct text
beginning(struct text text, size_t columns)
{
    size_t i = 0;
    for (size_t seen = 0; i < text.size; i++) {
        if (is_start(text.data[i]) && seen++ == columns)
            break;
    }
    return (struct text){text.data, i};
}

static void
append_flat(struct buffer *out, struct text text)
{
    size_t before = out->size;
    print_clean(text, out);
    for (size_t i = before; i < out->size; i++)
        if (out->data[i] == '\n' || out->data[i] == '\t')
            out->data[i] = ' ';
}

static void
fill(struct buffer *out, size_t count)
{
    while (count-- > 0)
        buffer_append_byte(out, ' ');
}

static void
cell(const struct screen *screen, struct buffer *out, struct text text, size_t width,
     enum screen_style style, bool right)
{
    size_t columns = screen_columns(text);
    bool cut = width > 0 && columns > width;
    size_t room = cut ? 0 : (width > columns ? width - columns : 0);
    if (right)
        fill(out, room);
    if (text.size == 0)
        style = STYLE_PLAIN;
    screen_begin(screen, out, style);
    append_flat(out, cut ? beginning(text, width - 1) : text);
    if (cut)
        buffer_append_string(out, screen->utf8 ? "…" : "~");
    screen_end(screen, out, style);
    if (!right)
        fill(out, room);
}

void
screen_cell(const struct screen *screen, struct buffer *out, struct text text, size_t width,
            enum screen_style style)
{
    cell(screen, out, text, width, style, false);
}

void
screen_cell_right(const struct screen *screen, struct buffer *out, struct text text, size_t width,
                  enum screen_style style)
{
    cell(screen, out, text, width, style, true);
}

/* Three digits that matter, whatever the size. */
static int
decimals(double value)
{
    return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

void
screen_duration(const struct screen *screen, uint64_t us, char *out, size_t size)
{
    if (us < 1000)
        snprintf(out, size, "%u %s", (unsigned)us, screen->utf8 ? "µs" : "us");
    else if (us < 1000000)
        snprintf(out, size, "%.*f ms", decimals((double)us / 1e3), (double)us / 1e3);
    else if (us < UINT64_C(600000000))
        snprintf(out, size, "%.*f s", decimals((double)us / 1e6), (double)us / 1e6);
    else
        snprintf(out, size, "%.0f min", (double)us / 6e7);
}

void
screen_size(uint64_t bytes, char *out, size_t size)
{
    if (bytes < 1000)
        snprintf(out, size, "%u B", (unsigned)bytes);
    else if (bytes < 1000 * UINT64_C(1024))
        snprintf(out, size, "%.1f K", (double)bytes / 1024);
    else if (bytes < 1000 * UINT64_C(1048576))
        snprintf(out, size, "%.1f M", (double)bytes / 1048576);
    else
        snprintf(out, size, "%.1f G", (double)bytes / 1073741824);
}

void
screen_count(double count, char *out, size_t size)
{
    if (count < 999.5)
        snprintf(out, size, "%.*f", count < 9.95 && count > 0 && count != (double)(int)count,
                 count);
    else if (count < 999500)
        snprintf(out, size, "%.1fk", count / 1e3);
    else
        snprintf(out, size, "%.1fM", count / 1e6);
}
