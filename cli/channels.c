/* SPDX-License-Identifier: Apache-2.0 */
/* cli/channels.c - `sos channels`: which channels there are. */
#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/client.h"

static void
row(struct table *table, const struct value *channel)
{
    uint64_t bytes = 0;
    char size[16];
    show_member(table, channel, "channel");
    show_member(table, channel, "subscribers");
    show_member(table, channel, "events");
    value_find_uint(channel, "bytes", &bytes);
    screen_size(bytes, size, sizeof size);
    table_add(table, text_of(size));
    show_member(table, channel, "last_seq");
}

static int
show(void *context, const struct bus_caller *caller, struct bytes answer)
{
    static const char *const headings[] = {"CHANNEL", ">SUBSCRIBERS", ">KEPT",
                                           ">SIZE",   ">LAST",        NULL};
    (void)context;
    return show_list(caller, answer, "channels", headings, row);
}

int
run_channels(struct cli *cli, int argc, char **argv)
{
    return bus_caller_run_pattern(cli, argc, argv, OP_BUS_CHANNELS, show);
}
