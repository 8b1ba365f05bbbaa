/* SPDX-License-Identifier: Apache-2.0 */
/* cli/history.c - `sos history`: what was said on a channel. */
#include <stdio.h>

#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/bus_values.h"
#include "cli/client.h"

struct history_line {
    const char *after, *limit;
    const char *channel;
};

static enum status
pack(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct history_line *line = context;
    uint64_t after = 0;
    uint64_t limit = 100;
    enum status status = STATUS_OK;
    (void)caller;
    if (line->after)
        status = values_number("--after", line->after, 0, INT64_MAX, &after, error);
    if (status == STATUS_OK && line->limit)
        status = values_number("--limit", line->limit, 1, 1000, &limit, error);
    pack_map(out, 3);
    pack_pair_string(out, "channel", line->channel);
    pack_pair_uint(out, "after", after);
    pack_pair_uint(out, "limit", limit);
    return status;
}

static int
show(void *context, const struct bus_caller *caller, struct bytes answer)
{
    struct value map;
    struct value events;
    struct value event;
    (void)context;
    if (caller->cli->json)
        return show_json(caller, answer);
    if (!value_parse(answer, &map) || !value_find(&map, "events", &events) ||
        events.type != VALUE_ARRAY)
        return command_fail("history", EXIT_FAILED, "the answer cannot be read");
    struct screen screen = screen_of_stdout(COLOR_AUTO);
    for (struct entries entries = value_entries(&events); entries_next(&entries, &event);)
        if (!show_event(caller->cli, &screen, &event))
            return command_fail("history", EXIT_FAILED, "standard output cannot be written");
    if (events.as.count == 0)
        fprintf(stderr, "nothing\n");
    return EXIT_OK;
}

int
run_history(struct cli *cli, int argc, char **argv)
{
    struct history_line history = {0};
    struct bus_caller caller = {0};
    struct option_row rows[BUS_CALLER_OPTIONS + 2];
    bus_caller_options(&caller, rows);
    rows[2] = (struct option_row){"--after", &history.after};
    rows[3] = (struct option_row){"--limit", &history.limit};
    struct options_line line = {rows, 4, NULL, 0, &history.channel, 1, 0};
    int code = options_parse("history", &line, argc, argv);
    if (code == EXIT_OK && line.word_count == 0)
        code = command_fail("history", EXIT_USAGE, "expected: sos history CHANNEL");
    if (code != EXIT_OK)
        return code;
    return bus_caller_run(&caller, cli, "history",
                          &(struct bus_task){bus_operation(OP_BUS_HISTORY), pack, show, &history});
}
