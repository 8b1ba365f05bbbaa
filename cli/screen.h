/* SPDX-License-Identifier: Apache-2.0 */
/* cli/screen.h - what standard output can show: colours, width, characters beyond ASCII. */
#ifndef SOS_CLI_SCREEN_H
#define SOS_CLI_SCREEN_H

#include <stdbool.h>

#include "kernel/bytes.h"

enum screen_style {
    STYLE_PLAIN,
    STYLE_DIM,
    STYLE_BOLD,
    STYLE_RED,
    STYLE_GREEN,
    STYLE_YELLOW,
    STYLE_BLUE,
    STYLE_MAGENTA,
    STYLE_CYAN,
    STYLE_REVERSE
};

enum screen_color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct screen {
    bool terminal; /* standard output is one */
    bool color;
    bool utf8;
    int width;  /* columns; 0: no bound */
    int height; /* lines; 0: not known */
};

/* COLOR_AUTO: on a terminal, unless NO_COLOR is set or TERM is "dumb". */
struct screen screen_of_stdout(enum screen_color color);
/* The size anew, after it was changed. */
void screen_measure(struct screen *screen);

/* "auto", "always", "never". */
bool screen_color_parse(const char *text, enum screen_color *color);

void screen_begin(const struct screen *screen, struct buffer *out, enum screen_style style);
void screen_end(const struct screen *screen, struct buffer *out, enum screen_style style);

/* Appends text of others in exactly `width` columns (0: as many as it takes), cut with an ellipsis
 * or filled with spaces; control characters become '?'. */
void screen_cell(const struct screen *screen, struct buffer *out, struct text text, size_t width,
                 enum screen_style style);
/* The same, filled at its left. */
void screen_cell_right(const struct screen *screen, struct buffer *out, struct text text,
                       size_t width, enum screen_style style);

/* Columns that a text takes: its characters, each counted as one. */
size_t screen_columns(struct text text);

/* "1.25 ms", "950 µs", "12.0 s". */
void screen_duration(const struct screen *screen, uint64_t us, char *out, size_t size);
/* "412 B", "12.4 K", "1.2 M". */
void screen_size(uint64_t bytes, char *out, size_t size);
/* "981", "12.4k", "1.2M". */
void screen_count(double count, char *out, size_t size);

#endif
