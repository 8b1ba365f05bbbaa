/* SPDX-License-Identifier: Apache-2.0 */
/* cli/peers.c - `sos peers`: who is connected, and who was a while ago. */
#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/client.h"

static void
row(struct table *table, const struct value *peer)
{
    bool online = false;
    value_find_bool(peer, "online", &online);
    show_member(table, peer, "identity");
    table_add(table, text_of(online ? "online" : "away"));
    show_member(table, peer, "sessions");
    show_member(table, peer, "subscriptions");
    show_member(table, peer, "in_flight");
    show_moment(table, peer, online ? "since" : "last_seen");
}

static int
show(void *context, const struct bus_caller *caller, struct bytes answer)
{
    static const char *const headings[] = {
        "IDENTITY", "STATE", ">SESSIONS", ">SUBSCRIPTIONS", ">IN FLIGHT", "SINCE (UTC)", NULL};
    (void)context;
    return show_list(caller, answer, "peers", headings, row);
}

int
run_peers(struct cli *cli, int argc, char **argv)
{
    return bus_caller_run_pattern(cli, argc, argv, OP_BUS_PEERS, show);
}
