/* SPDX-License-Identifier: Apache-2.0 */
/* cli/bus_show.h - what the bus says, for people: mail and events line by line, answers as tables.
 */
#ifndef SOS_CLI_BUS_SHOW_H
#define SOS_CLI_BUS_SHOW_H

#include "cli/bus_caller.h"
#include "cli/screen.h"
#include "cli/table.h"
#include "kernel/pack.h"

/* One message or event: with --json its JSON, else a line. False: standard output is gone. */
bool show_mail(const struct cli *cli, const struct screen *screen, const struct value *mail);
bool show_event(const struct cli *cli, const struct screen *screen, const struct value *event);
bool show_dropped(const struct cli *cli, uint64_t dropped);

/* A member of a map as a cell: texts as they are, other values as JSON, "-" when it is absent or
 * nil. */
void show_member(struct table *table, const struct value *map, const char *name);
/* The same for a moment: "11-23 19:32:12", UTC. */
void show_moment(struct table *table, const struct value *map, const char *name);

/* A member of a map as text that lives as long as the map; "" when it is none. */
struct text show_text(const struct value *map, const char *name);

/* An answer that lists maps: `member` holds the list (NULL: the answer is the list), one row each.
 * Prints "nothing" on stderr when it is empty. Returns an exit code. */
typedef void show_row_fn(struct table *table, const struct value *row);
int show_list(const struct bus_caller *caller, struct bytes answer, const char *member,
              const char *const *headings, show_row_fn *row);

/* An answer of --json. Returns an exit code. */
int show_json(const struct bus_caller *caller, struct bytes answer);

#endif
