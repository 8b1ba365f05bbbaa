/* SPDX-License-Identifier: Apache-2.0 */
/* cli/table.h - rows under headings, each column as wide as its widest cell; on a terminal the last
 * column is cut to what is left of the line. */
#ifndef SOS_CLI_TABLE_H
#define SOS_CLI_TABLE_H

#include "cli/screen.h"
#include "kernel/bytes.h"

struct table;

enum { TABLE_COLUMNS_MAX = 12 };

/* headings: NULL-terminated, static; one that begins with '>' stands at the right of its column.
 * The first one is empty: no line of headings. NULL when out of memory. */
struct table *table_new(const char *const *headings);
void table_destroy(struct table **table_p);

/* Cells from left to right, row after row. Text of others is made safe for a terminal. */
void table_add(struct table *table, struct text cell);
void table_add_format(struct table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* On standard output. Nothing when there are no rows. False: out of memory, or it cannot be
 * written. */
bool table_print(const struct table *table, const struct screen *screen);

#endif
