/* SPDX-License-Identifier: Apache-2.0 */
/* cli/sub.c - `sos sub`: what is said on channels, as it is said.
 *
 * Of one channel nothing is missed: it is listened to first, then its history is read from where
 * the last event was, and what came meanwhile is shown behind it. */
#include <stdio.h>
#include <string.h>

#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/bus_values.h"
#include "cli/client.h"

enum { CHANNELS_MAX = 64, HELD_MAX = 16 * 1024 * 1024, PAGE = 1000 };

struct sub {
    struct bus_caller caller;
    struct screen screen;
    const char *channels[CHANNELS_MAX];
    size_t channel_count;
    const char *after, *count;
    bool exact;         /* one channel, by its name */
    bool reads_back;    /* last counts */
    uint64_t last;      /* number of the last event that was shown */
    bool listening;     /* the stream has begun */
    bool reading;       /* the history is being read: events are held */
    struct buffer held; /* events, packed one after the other */
    uint64_t left;      /* events to show; 0: no bound */
    bool enough;
    bool failed; /* said on stderr */
};

static void
give_up(struct sub *sub, enum status status, const struct error *error)
{
    bus_caller_refused(&sub->caller, status, error);
    sub->failed = true;
    sub->enough = true;
}

static void
show(struct sub *sub, const struct value *event)
{
    uint64_t seq = 0;
    value_find_uint(event, "seq", &seq);
    if (sub->enough || (sub->exact && sub->reads_back && seq <= sub->last))
        return;
    if (!show_event(sub->caller.cli, &sub->screen, event)) {
        sub->failed = true;
        sub->enough = true;
        return;
    }
    if (sub->exact) {
        sub->last = seq;
        sub->reads_back = true;
    }
    if (sub->left > 0 && --sub->left == 0)
        sub->enough = true;
}

/* ---- reading back */

static void
show_held(struct sub *sub)
{
    struct reader reader = reader_of(buffer_bytes(&sub->held));
    struct value event;
    while (reader.at < reader.end) {
        const uint8_t *begin = reader.at;
        if (!reader_skip(&reader))
            break;
        if (value_parse((struct bytes){begin, (size_t)(reader.at - begin)}, &event))
            show(sub, &event);
    }
    buffer_clear(&sub->held);
    sub->reading = false;
}

static void read_back(struct sub *sub);

/* Behind 0 the newest ones come: true when older ones are kept, which are to be read first. */
static bool
begins_later(struct sub *sub, const struct value *answer, const struct value *events)
{
    struct value event;
    uint64_t first = 0;
    uint64_t seq = 0;
    struct entries entries = value_entries(events);
    if (sub->last > 0 || !entries_next(&entries, &event) ||
        !value_find_uint(answer, "first_seq", &first) || !value_find_uint(&event, "seq", &seq) ||
        first <= 1 || seq <= first)
        return false;
    sub->last = first - 1;
    return true;
}

static void
on_history(void *context, const struct peer_answer *answer)
{
    struct sub *sub = context;
    struct error error = ERROR_INIT;
    struct value map;
    struct value events;
    struct value event;
    uint64_t last = 0;
    uint64_t before = sub->last;
    if (answer->status != STATUS_OK) {
        error_unpack(answer->payload, &error);
        /* A lost broker ends the stream too, and all begins anew. */
        if (answer->status != STATUS_UNKNOWN_OUTCOME)
            give_up(sub, answer->status, &error);
        return;
    }
    if (!value_parse(answer->payload, &map) || !value_find(&map, "events", &events) ||
        events.type != VALUE_ARRAY)
        return;
    if (begins_later(sub, &map, &events)) {
        read_back(sub);
        return;
    }
    for (struct entries entries = value_entries(&events); entries_next(&entries, &event);)
        show(sub, &event);
    value_find_uint(&map, "last_seq", &last);
    if (sub->last > before && sub->last < last && !sub->enough)
        read_back(sub);
    else
        show_held(sub);
}

static void
read_back(struct sub *sub)
{
    struct error error = ERROR_INIT;
    struct buffer payload;
    struct peer_request request;
    struct uuid id;
    buffer_init(&payload);
    pack_map(&payload, 3);
    pack_pair_string(&payload, "channel", sub->channels[0]);
    pack_pair_uint(&payload, "after", sub->last);
    pack_pair_uint(&payload, "limit", PAGE);
    enum status status = payload.failed
                             ? STATUS_NOMEM
                             : bus_caller_request(&sub->caller, bus_operation(OP_BUS_HISTORY),
                                                  buffer_bytes(&payload), &request, &error);
    request.on_reply = on_history;
    request.context = sub;
    if (status == STATUS_OK)
        status = peer_call(sub->caller.peer, &request, &id, &error);
    buffer_clear(&payload);
    sub->reading = status == STATUS_OK;
    if (status != STATUS_OK)
        give_up(sub, status, &error);
}

/* ---- listening */

static void
pack_listen(void *context, struct buffer *payload)
{
    struct sub *sub = context;
    struct buffer channels;
    buffer_init(&channels);
    for (size_t i = 0; i < sub->channel_count; i++) {
        if (i > 0)
            buffer_append_byte(&channels, ',');
        buffer_append_string(&channels, sub->channels[i]);
    }
    pack_map(payload, 3);
    pack_pair_string(payload, "agent_id", sub->caller.identity);
    pack_pair_string(payload, "inbox", "none");
    pack_pair_text(payload, "channels", buffer_text(&channels));
    payload->failed = payload->failed || channels.failed;
    buffer_clear(&channels);
    buffer_clear(&sub->held);
    sub->listening = false;
    sub->reading = false;
}

static void
hold(struct sub *sub, const struct value *event)
{
    struct error error = ERROR_INIT;
    buffer_append(&sub->held, event->raw.data, event->raw.size);
    if (!sub->held.failed && sub->held.size <= HELD_MAX)
        return;
    error_set(&error, "too much came while the history was read");
    give_up(sub, STATUS_BUSY, &error);
}

static bool
on_chunk(void *context, struct bytes payload)
{
    struct sub *sub = context;
    struct value chunk;
    struct value events;
    struct value event;
    uint64_t dropped = 0;
    if (!sub->listening) {
        sub->listening = true;
        if (sub->exact && sub->reads_back)
            read_back(sub);
    }
    if (!value_parse(payload, &chunk))
        return !sub->enough;
    if (value_find(&chunk, "events", &events) && events.type == VALUE_ARRAY) {
        for (struct entries entries = value_entries(&events); entries_next(&entries, &event);) {
            if (sub->reading)
                hold(sub, &event);
            else
                show(sub, &event);
        }
    }
    if (value_find_uint(&chunk, "dropped", &dropped) && dropped > 0 && !sub->enough)
        sub->enough = !show_dropped(sub->caller.cli, dropped);
    return !sub->enough;
}

static bool
on_tick(void *context)
{
    const struct sub *sub = context;
    return !sub->enough;
}

/* ---- the command */

static int
check(struct sub *sub)
{
    struct error error = ERROR_INIT;
    enum status status = STATUS_OK;
    if (sub->channel_count == 0)
        return command_fail("sub", EXIT_USAGE, "expected: sos sub CHANNEL|PATTERN...");
    sub->exact = sub->channel_count == 1 && !strpbrk(sub->channels[0], "*?[");
    if (sub->after && !sub->exact)
        return command_fail("sub", EXIT_USAGE, "--after: only with the name of one channel");
    if (sub->after)
        status = values_number("--after", sub->after, 0, INT64_MAX, &sub->last, &error);
    sub->reads_back = sub->after != NULL;
    if (status == STATUS_OK && sub->count)
        status = values_number("--count", sub->count, 1, INT64_MAX, &sub->left, &error);
    return status == STATUS_OK ? EXIT_OK : command_fail("sub", EXIT_USAGE, "%s", error.message);
}

int
run_sub(struct cli *cli, int argc, char **argv)
{
    struct sub sub = {.screen = screen_of_stdout(COLOR_AUTO)};
    struct option_row rows[BUS_CALLER_OPTIONS + 2];
    bus_caller_options(&sub.caller, rows);
    rows[2] = (struct option_row){"--after", &sub.after};
    rows[3] = (struct option_row){"--count", &sub.count};
    struct options_line line = {rows, 4, NULL, 0, sub.channels, CHANNELS_MAX, 0};
    int code = options_parse("sub", &line, argc, argv);
    sub.channel_count = line.word_count;
    if (code == EXIT_OK)
        code = check(&sub);
    if (code == EXIT_OK)
        code = bus_caller_open(&sub.caller, cli, "sub");
    if (code != EXIT_OK)
        return code;
    code = bus_caller_listen(&sub.caller,
                             &(struct bus_listening){pack_listen, on_chunk, on_tick, &sub});
    bus_caller_close(&sub.caller);
    buffer_clear(&sub.held);
    return sub.failed ? EXIT_FAILED : code;
}
