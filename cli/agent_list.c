/* SPDX-License-Identifier: Apache-2.0 */
/* cli/agent_list.c - `sos agent list`: agents that service:identity knows, and which of them are
 * connected. */
#include <stdio.h>

#include "cli/agent.h"
#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "contracts/identity.h"

enum { PAGE = 1000 };

struct listing {
    struct buffer agents; /* pages of records, one packed list after the other */
    struct buffer peers;  /* the answer of bus_peers */
};

/* ---- asking */

static enum status
ask_page(struct bus_caller *caller, uint64_t offset, struct buffer *out, uint32_t *count,
         struct error *error)
{
    struct buffer payload;
    struct value list;
    size_t before = out->size;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_uint(&payload, "limit", PAGE);
    pack_pair_uint(&payload, "offset", offset);
    enum status status = bus_caller_call(caller, &identity_contract.operations[OP_IDENTITY_LIST],
                                         buffer_bytes(&payload), out, error);
    buffer_clear(&payload);
    if (status != STATUS_OK)
        return status;
    if (!value_parse((struct bytes){out->data + before, out->size - before}, &list) ||
        list.type != VALUE_ARRAY) {
        error_set(error, "the answer cannot be read");
        return STATUS_BAD_GATEWAY;
    }
    *count = list.as.count;
    return STATUS_OK;
}

static enum status
ask(struct bus_caller *caller, struct listing *listing, struct error *error)
{
    struct buffer payload;
    uint64_t offset = 0;
    uint32_t count = 1;
    enum status status = STATUS_OK;
    for (; status == STATUS_OK && count > 0; offset += count)
        status = ask_page(caller, offset, &listing->agents, &count, error);
    if (status != STATUS_OK)
        return status;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "pattern", "agent:*");
    pack_pair_uint(&payload, "limit", PAGE);
    status = bus_caller_call(caller, bus_operation(OP_BUS_PEERS), buffer_bytes(&payload),
                             &listing->peers, error);
    buffer_clear(&payload);
    return status;
}

/* ---- telling */

static bool
find_peer(const struct listing *listing, struct text agent, struct value *peer)
{
    struct value map;
    struct value peers;
    if (!value_parse(buffer_bytes(&listing->peers), &map) || !value_find(&map, "peers", &peers) ||
        peers.type != VALUE_ARRAY)
        return false;
    for (struct entries entries = value_entries(&peers); entries_next(&entries, peer);)
        if (text_equal(show_text(peer, "identity"), agent))
            return true;
    return false;
}

typedef void each_fn(void *context, const struct value *agent, bool online,
                     const struct value *peer);

static void
each_agent(const struct listing *listing, each_fn *each, void *context)
{
    struct reader reader = reader_of(buffer_bytes(&listing->agents));
    while (reader.at < reader.end) {
        const uint8_t *begin = reader.at;
        struct value list;
        struct value agent;
        if (!reader_skip(&reader) ||
            !value_parse((struct bytes){begin, (size_t)(reader.at - begin)}, &list))
            return;
        for (struct entries entries = value_entries(&list); entries_next(&entries, &agent);) {
            struct value peer = {0};
            bool online = false;
            if (find_peer(listing, show_text(&agent, "agent_id"), &peer))
                value_find_bool(&peer, "online", &online);
            each(context, &agent, online, &peer);
        }
    }
}

static void
add_row(void *context, const struct value *agent, bool online, const struct value *peer)
{
    struct table *table = context;
    show_member(table, agent, "agent_id");
    table_add(table, text_of(online ? "online" : "away"));
    show_member(table, agent, "status");
    show_member(table, agent, "state");
    show_moment(table, peer, online ? "since" : "last_seen");
    show_moment(table, agent, "created_at");
    show_member(table, agent, "name");
}

static void
count_agent(void *context, const struct value *agent, bool online, const struct value *peer)
{
    uint32_t *count = context;
    (void)agent;
    (void)online;
    (void)peer;
    ++*count;
}

/* The record, and what is known of its connection. */
static void
pack_agent(void *context, const struct value *agent, bool online, const struct value *peer)
{
    struct buffer *out = context;
    struct value key;
    struct value member;
    struct text seen = show_text(peer, "last_seen");
    pack_map(out, agent->as.count + 2);
    for (struct entries entries = value_entries(agent);
         entries_next_pair(&entries, &key, &member);) {
        pack_raw(out, key.raw);
        pack_raw(out, member.raw);
    }
    pack_pair_bool(out, "online", online);
    if (seen.size > 0)
        pack_pair_text(out, "last_seen", seen);
    else
        pack_pair_nil(out, "last_seen");
}

static int
tell(const struct bus_caller *caller, const struct listing *listing)
{
    static const char *const headings[] = {"AGENT",       "STATE",         "STATUS", "ONBOARDING",
                                           "SINCE (UTC)", "CREATED (UTC)", "NAME",   NULL};
    uint32_t count = 0;
    each_agent(listing, count_agent, &count);
    if (caller->cli->json) {
        struct buffer packed;
        buffer_init(&packed);
        pack_array(&packed, count);
        each_agent(listing, pack_agent, &packed);
        int code = show_json(caller, buffer_bytes(&packed));
        buffer_clear(&packed);
        return code;
    }
    struct table *table = table_new(headings);
    struct screen screen = screen_of_stdout(COLOR_AUTO);
    if (table)
        each_agent(listing, add_row, table);
    bool printed = table && table_print(table, &screen);
    table_destroy(&table);
    if (!printed)
        return command_fail("agent", EXIT_FAILED, "standard output cannot be written");
    if (count == 0)
        fprintf(stderr, "nothing\n");
    return EXIT_OK;
}

int
agent_list(struct cli *cli, int argc, char **argv)
{
    struct bus_caller caller = {0};
    struct listing listing = {0};
    struct error error = ERROR_INIT;
    struct options_line line = {0};
    int code = options_parse("agent", &line, argc, argv);
    if (code == EXIT_OK)
        code = bus_caller_open(&caller, cli, "agent");
    if (code != EXIT_OK)
        return code;
    enum status status = ask(&caller, &listing, &error);
    code =
        status == STATUS_OK ? tell(&caller, &listing) : bus_caller_refused(&caller, status, &error);
    bus_caller_close(&caller);
    buffer_clear(&listing.agents);
    buffer_clear(&listing.peers);
    return code;
}
