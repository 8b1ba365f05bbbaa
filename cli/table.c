/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { GAP = 2, CUT_MIN = 12 };

struct table {
    const char *headings[TABLE_COLUMNS_MAX];
    bool right[TABLE_COLUMNS_MAX];
    size_t columns;
    struct buffer cells; /* each ended by NUL */
    size_t count;
};

struct table *
table_new(const char *const *headings)
{
    struct table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    for (; headings[table->columns] && table->columns < TABLE_COLUMNS_MAX; table->columns++) {
        const char *heading = headings[table->columns];
        table->right[table->columns] = *heading == '>';
        table->headings[table->columns] = heading + (*heading == '>');
    }
    return table;
}

void
table_destroy(struct table **table_p)
{
    struct table *table = *table_p;
    if (!table)
        return;
    buffer_clear(&table->cells);
    free(table);
    *table_p = NULL;
}

void
table_add(struct table *table, struct text cell)
{
    for (size_t i = 0; i < cell.size; i++)
        buffer_append_byte(&table->cells, (uint8_t)(cell.data[i] ? cell.data[i] : '?'));
    buffer_append_byte(&table->cells, 0);
    table->count++;
}

void
table_add_format(struct table *table, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    table_add(table, text_of(text));
}

static void
measure(const struct table *table, const struct screen *screen, size_t widths[])
{
    const char *at = (const char *)table->cells.data;
    for (size_t i = 0; i < table->columns; i++)
        widths[i] = screen_columns(text_of(table->headings[i]));
    for (size_t i = 0; i < table->count; i++) {
        struct text cell = text_of(at);
        size_t width = screen_columns(cell);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
        at += cell.size + 1;
    }
    size_t before = 0;
    for (size_t i = 0; i + 1 < table->columns; i++)
        before += widths[i] + GAP;
    size_t last = table->columns - 1;
    size_t room = screen->width > 0 ? (size_t)screen->width : 0;
    if (room == 0 || before + widths[last] <= room)
        return;
    widths[last] = room > before + CUT_MIN ? room - before : CUT_MIN;
}

static void
append_cell(const struct table *table, const struct screen *screen, struct buffer *out,
            const size_t widths[], size_t column, struct text text, enum screen_style style)
{
    bool last = column == table->columns - 1;
    bool fits = screen_columns(text) <= widths[column];
    if (column > 0)
        buffer_append_string(out, "  ");
    if (table->right[column])
        screen_cell_right(screen, out, text, widths[column], style);
    else
        screen_cell(screen, out, text, last && fits ? 0 : widths[column], style);
    if (last)
        buffer_append_byte(out, '\n');
}

bool
table_print(const struct table *table, const struct screen *screen)
{
    size_t widths[TABLE_COLUMNS_MAX];
    struct buffer out;
    buffer_init(&out);
    if (table->count == 0)
        return !table->cells.failed;
    measure(table, screen, widths);
    for (size_t i = 0; *table->headings[0] && i < table->columns; i++)
        append_cell(table, screen, &out, widths, i, text_of(table->headings[i]), STYLE_DIM);
    const char *at = (const char *)table->cells.data;
    for (size_t i = 0; i < table->count; i++) {
        struct text cell = text_of(at);
        append_cell(table, screen, &out, widths, i % table->columns, cell, STYLE_PLAIN);
        at += cell.size + 1;
    }
    bool good = !out.failed && !table->cells.failed &&
                fwrite(out.data, 1, out.size, stdout) == out.size && fflush(stdout) == 0;
    buffer_clear(&out);
    return good;
}
