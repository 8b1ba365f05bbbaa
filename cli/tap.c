/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tap.c - `sos tap`: what passes the broker, as it passes or from a recording; as lines, as
 * JSON, as the tree of one trace. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/invoke.h"
#include "cli/print.h"
#include "cli/recording.h"
#include "cli/session.h"
#include "cli/tap_ask.h"
#include "cli/tap_trace.h"
#include "cli/tap_view.h"
#include "cli/wait.h"

enum {
    TICK_MS = 50,
    /* What belongs to a trace may come a little behind the answer to its root. */
    TRACE_QUIET_US = 300000,
    TRACE_WAIT_SECONDS = 30,
    HELD_MAX = 64
};

struct tap {
    struct cli *cli;
    struct tap_ask ask;
    const char *connection_file;
    const char *record_path;
    const char *from_path;
    const char *trace; /* as it was given; NULL: no tree */
    uint64_t wait_us;  /* for the trace */
    uint64_t count;    /* records to print; 0 = no end */
    enum screen_color color;
    bool all;

    struct tap_view *view;
    struct trace_tree *tree;
    struct recorder *recorder;
    struct tap_filter *filter; /* over a recording */
    struct buffer out;
    struct error error; /* why it ends before its time */
    uint64_t printed;
    uint64_t dropped;
    struct value held[HELD_MAX]; /* take_record() */
    size_t held_count;
    bool listens;
    uint64_t since_us; /* monotonic */
    uint64_t heard_us; /* the last record */
};

/* ---- records */

static bool
fail(struct tap *tap, const struct error *error)
{
    tap->error = *error;
    return false;
}

static bool
add_json(struct tap *tap, const struct value *record)
{
    struct error error = ERROR_INIT;
    if (msgpack_to_json(record->raw, &tap->out, &error) != STATUS_OK)
        return fail(tap, &error);
    buffer_append_byte(&tap->out, '\n');
    return true;
}

/* False: that was enough, or nothing more can be said. */
static bool
show_record(struct tap *tap, const struct value *record)
{
    struct tap_entry entry;
    struct error error = ERROR_INIT;
    if (!tap_entry_read(&entry, record))
        return true;
    if (tap->filter) {
        struct tap_header header = tap_entry_header(&entry);
        if (!tap_filter_matches(tap->filter, &header))
            return true;
    }
    if (tap->recorder && recorder_add(tap->recorder, record->raw, &error) != STATUS_OK)
        return fail(tap, &error);
    if (tap->tree)
        trace_tree_add(tap->tree, &entry);
    else if (!tap->cli->json)
        tap_view_line(tap->view, &entry, &tap->out);
    else if (!add_json(tap, record))
        return false;
    tap->printed++;
    return tap->count == 0 || tap->printed < tap->count;
}

static bool
show_held(struct tap *tap)
{
    bool goes_on = true;
    for (size_t i = 0; i < tap->held_count && goes_on; i++)
        goes_on = show_record(tap, &tap->held[i]);
    tap->held_count = 0;
    return goes_on;
}

static bool
answers_one_held(const struct tap *tap, const struct value *record)
{
    struct text id, held;
    if (!value_find_text(record, "id", &id))
        return false;
    for (size_t i = 0; i < tap->held_count; i++)
        if ((value_find_text(&tap->held[i], "correlation", &held) && text_equal(id, held)) ||
            (value_find_text(&tap->held[i], "id", &held) && text_equal(id, held)))
            return true;
    return false;
}

/* The broker tells of a record when it is done with it, so what it said in answer came first. That
 * is held until the record is there, which for people comes before its answer. */
static bool
take_record(void *context, const struct value *record)
{
    struct tap *tap = context;
    struct text direction;
    bool is_out =
        value_find_text(record, "direction", &direction) && text_equal_string(direction, "out");
    if (is_out) {
        bool goes_on = tap->held_count < HELD_MAX || show_held(tap);
        tap->held[tap->held_count++] = *record;
        return goes_on;
    }
    if (answers_one_held(tap, record))
        return show_record(tap, record) && show_held(tap);
    return show_held(tap) && show_record(tap, record);
}

static bool
take_dropped(struct tap *tap, uint64_t dropped)
{
    struct error error = ERROR_INIT;
    if (dropped == 0)
        return true;
    tap->dropped += dropped;
    if (tap->recorder && recorder_dropped(tap->recorder, dropped, &error) != STATUS_OK)
        return fail(tap, &error);
    if (tap->tree)
        return true;
    if (tap->cli->json)
        buffer_append_format(&tap->out, "{\"dropped\":%llu}\n", (unsigned long long)dropped);
    else
        tap_view_dropped(tap->view, dropped, &tap->out);
    return true;
}

/* False: standard output is gone. */
static bool
print_out(struct tap *tap)
{
    bool good = !tap->out.failed &&
                fwrite(tap->out.data, 1, tap->out.size, stdout) == tap->out.size &&
                fflush(stdout) == 0;
    buffer_reset(&tap->out);
    return good;
}

/* The first chunk says that from now on all is seen. */
static void
say_beginning(struct tap *tap)
{
    const char *what = !tap->tree    ? "listening, until Ctrl-C"
                       : *tap->trace ? "waiting for the trace; Ctrl-C draws what came"
                                     : "waiting for the next trace; Ctrl-C draws what came";
    tap->listens = true;
    fprintf(stderr, "sos tap: %s\n", what);
}

static bool
take_chunk(void *context, struct bytes payload)
{
    struct tap *tap = context;
    struct error error = ERROR_INIT;
    uint64_t dropped = 0;
    tap->heard_us = clock_now(tap->cli->clock).monotonic_us;
    if (!tap->listens)
        say_beginning(tap);
    bool goes_on = tap_chunk_read(payload, &dropped, take_record, tap);
    goes_on = goes_on && show_held(tap);
    goes_on = take_dropped(tap, dropped) && goes_on;
    if (tap->recorder && recorder_flush(tap->recorder, &error) != STATUS_OK)
        goes_on = fail(tap, &error);
    return print_out(tap) && goes_on;
}

/* ---- from the broker */

static bool
tick(void *context)
{
    struct tap *tap = context;
    uint64_t now_us = clock_now(tap->cli->clock).monotonic_us;
    if (now_us - tap->since_us >= tap->wait_us)
        return false;
    return !trace_tree_is_complete(tap->tree) || now_us - tap->heard_us < TRACE_QUIET_US;
}

static enum status
listen(struct tap *tap, struct peer *peer, int signal_fd, struct error *error)
{
    struct buffer token, payload, reply;
    buffer_init(&token);
    buffer_init(&payload);
    buffer_init(&reply);
    enum status status = tap_ask_token(&tap->ask, tap->cli, &token, error);
    tap_ask_pack(&tap->ask, &payload);
    struct peer_request request = tap_ask_request(buffer_bytes(&payload), buffer_text(&token));
    struct invoke invoke = {.peer = peer,
                            .signal_fd = signal_fd,
                            .clock = tap->cli->clock,
                            .on_chunk = take_chunk,
                            .on_tick = tap->tree ? tick : NULL,
                            .tick_ms = TICK_MS,
                            .context = tap};
    if (status == STATUS_OK)
        status = invoke_run(&invoke, &request, &reply, error);
    buffer_clear(&reply);
    buffer_clear(&payload);
    tap_ask_wipe(&token);
    return status;
}

/* Goes on over the end of a tap's time and a new broker, until the user has enough. */
static int
listen_on(struct tap *tap, struct peer *peer, int signal_fd)
{
    tap->since_us = clock_now(tap->cli->clock).monotonic_us;
    for (;;) {
        struct error error = ERROR_INIT;
        enum status status = listen(tap, peer, signal_fd, &error);
        if (status == STATUS_CANCELLED || status == STATUS_OK)
            return EXIT_OK;
        if (status != STATUS_TIMEOUT && status != STATUS_UNKNOWN_OUTCOME)
            return print_refusal(tap->cli, "tap", status, &error);
        if (status == STATUS_UNKNOWN_OUTCOME)
            fprintf(stderr, "sos tap: the broker was lost; waiting for it\n");
    }
}

static int
run_live(struct tap *tap)
{
    struct error error = ERROR_INIT;
    struct peer *peer = NULL;
    int signal_fd = wait_signals();
    int code;
    struct session_options options = {.connection_file = tap->connection_file};
    if (session_open(&peer, tap->cli, &options, &error) != STATUS_OK)
        code = command_fail("tap", EXIT_UNREACHABLE, "%s", error.message);
    else
        code = listen_on(tap, peer, signal_fd);
    peer_close(&peer);
    if (signal_fd >= 0)
        close(signal_fd);
    return code;
}

/* ---- from a file */

static int
run_recorded(struct tap *tap)
{
    struct error error = ERROR_INIT;
    struct recording *recording = NULL;
    struct recorded recorded;
    bool payloads;
    bool end = false;
    bool goes_on = true;
    enum status status = recording_open(&recording, tap->from_path, &payloads, &error);
    while (status == STATUS_OK && goes_on) {
        status = recording_next(recording, &recorded, &end, &error);
        if (status != STATUS_OK || end)
            break;
        goes_on = recorded.type == RECORDED_RECORD ? show_record(tap, &recorded.value)
                                                   : take_dropped(tap, recorded.dropped);
        goes_on = print_out(tap) && goes_on;
    }
    recording_close(&recording);
    return status == STATUS_OK ? EXIT_OK : command_fail("tap", EXIT_FAILED, "%s", error.message);
}

/* ---- the command */

static int
finish(struct tap *tap, int code)
{
    struct error error = ERROR_INIT;
    struct screen screen = screen_of_stdout(tap->color);
    if (tap->tree && code == EXIT_OK) {
        if (trace_tree_is_empty(tap->tree))
            code = command_fail("tap", EXIT_FAILED, "no request of that trace was seen");
        else if (tap->cli->json)
            trace_tree_json(tap->tree, tap->dropped, &tap->out);
        else
            trace_tree_draw(tap->tree, &screen, tap->dropped, &tap->out);
        print_out(tap);
    } else if (!tap->cli->json && code == EXIT_OK) {
        struct buffer sum;
        buffer_init(&sum);
        tap_view_sum(tap->view, &sum);
        fprintf(stderr, "sos tap: %.*s", TEXT_ARGS(buffer_text(&sum)));
        buffer_clear(&sum);
    }
    if (recorder_close(&tap->recorder, &error) != STATUS_OK && !*tap->error.message)
        tap->error = error;
    if (*tap->error.message && code == EXIT_OK)
        code = command_fail("tap", EXIT_FAILED, "%s", tap->error.message);
    return code;
}

static int
prepare(struct tap *tap)
{
    struct error error = ERROR_INIT;
    struct tap_view_options options = {
        .screen = screen_of_stdout(tap->color),
        .checks = tap->all || tap->ask.type,
        .chunks = tap->all || tap->ask.type || tap->ask.kind,
        .payload = tap->ask.payload,
    };
    buffer_init(&tap->out);
    tap->view = tap_view_new(&options);
    if (tap->trace)
        tap->tree = trace_tree_new(tap->trace);
    if (!tap->view || (tap->trace && !tap->tree))
        return command_fail("tap", EXIT_FAILED, "out of memory");
    enum status status = STATUS_OK;
    if (tap->from_path)
        status = tap_ask_filter(&tap->ask, &tap->filter, &error);
    if (status == STATUS_OK && tap->record_path) {
        struct buffer filters;
        buffer_init(&filters);
        tap_ask_pack(&tap->ask, &filters);
        status = recorder_open(&tap->recorder, tap->record_path, tap->ask.payload,
                               buffer_bytes(&filters), clock_now(tap->cli->clock).wall_us, &error);
        buffer_clear(&filters);
    }
    if (status == STATUS_OK)
        return EXIT_OK;
    return command_fail("tap", status == STATUS_INVALID ? EXIT_USAGE : EXIT_FAILED, "%s",
                        error.message);
}

static int
parse_number(const char *option, const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    if (end == text || *end || errno || *text == '-' || *number == 0 || *number > UINT32_MAX)
        return command_fail("tap", EXIT_USAGE, "%s: came '%.32s', expected 1 or more", option,
                            text);
    return EXIT_OK;
}

/* "next", or hex digits with or without dashes: all 32 of them when the broker is to look for it.
 */
static int
parse_trace(struct tap *tap, const char *text)
{
    static char digits[2 * TRACE_ID_SIZE + 1];
    size_t count = 0;
    tap->trace = digits;
    tap->ask.trace = NULL;
    if (strcmp(text, "next") == 0)
        return EXIT_OK;
    for (const char *at = text; *at; at++) {
        if (*at == '-')
            continue;
        int value = hex_digit_value(*at);
        if (value < 0 || count == sizeof digits - 1)
            return command_fail("tap", EXIT_USAGE,
                                "--trace: came '%.48s', expected 32 hex digits, or next", text);
        digits[count++] = "0123456789abcdef"[value];
    }
    digits[count] = '\0';
    if (count < sizeof digits - 1 && !tap->from_path)
        return command_fail("tap", EXIT_USAGE,
                            "--trace: came %zu hex digits, expected all 32 (the beginning is "
                            "enough with --from), or next",
                            count);
    if (count == sizeof digits - 1)
        tap->ask.trace = digits;
    return EXIT_OK;
}

static int
check(struct tap *tap, const char *count, const char *wait, const char *color)
{
    uint64_t seconds = TRACE_WAIT_SECONDS;
    int code = EXIT_OK;
    if (tap->connection_file && !tap->ask.capability_file)
        return command_fail("tap", EXIT_USAGE, "--as needs --cap: a capability for that identity");
    if (tap->from_path && (tap->record_path || tap->connection_file || tap->ask.capability_file))
        return command_fail("tap", EXIT_USAGE,
                            "--from shows a file: --record, --as and --cap have no use there");
    if (color && !screen_color_parse(color, &tap->color))
        return command_fail("tap", EXIT_USAGE,
                            "--color: came '%.32s', expected auto, always or "
                            "never",
                            color);
    if (tap->ask.trace)
        code = parse_trace(tap, tap->ask.trace);
    if (code == EXIT_OK && count)
        code = parse_number("--count", count, &tap->count);
    if (code == EXIT_OK && wait)
        code = parse_number("--wait", wait, &seconds);
    tap->wait_us = seconds * 1000000;
    return code;
}

static bool
take_flag(struct tap *tap, const char *argument)
{
    if (strcmp(argument, "--payload") == 0)
        tap->ask.payload = true;
    else if (strcmp(argument, "--all") == 0)
        tap->all = true;
    else
        return false;
    return true;
}

static int
parse(struct tap *tap, int argc, char **argv)
{
    const char *count = NULL;
    const char *wait = NULL;
    const char *color = NULL;
    struct option_row options[TAP_ASK_OPTIONS + 7];
    tap_ask_options(&tap->ask, options);
    const struct option_row own[] = {
        {"--cap", &tap->ask.capability_file},
        {"--count", &count},
        {"--as", &tap->connection_file},
        {"--record", &tap->record_path},
        {"--from", &tap->from_path},
        {"--wait", &wait},
        {"--color", &color},
    };
    memcpy(options + TAP_ASK_OPTIONS, own, sizeof own);
    for (int i = 1; i < argc; i++) {
        if (take_flag(tap, argv[i]))
            continue;
        enum option_result result =
            options_take("tap", options, sizeof options / sizeof *options, argc, argv, &i);
        if (result == OPTION_WRONG)
            return EXIT_USAGE;
        if (result == OPTION_NONE)
            return command_fail("tap", EXIT_USAGE, "unexpected argument '%.64s'", argv[i]);
    }
    return check(tap, count, wait, color);
}

int
run_tap(struct cli *cli, int argc, char **argv)
{
    struct tap tap = {.cli = cli};
    int code = parse(&tap, argc, argv);
    if (code == EXIT_OK)
        code = prepare(&tap);
    if (code == EXIT_OK) {
        code = tap.from_path ? run_recorded(&tap) : run_live(&tap);
        code = finish(&tap, code);
    }
    recorder_close(&tap.recorder, NULL);
    tap_filter_destroy(&tap.filter);
    trace_tree_destroy(&tap.tree);
    tap_view_destroy(&tap.view);
    buffer_clear(&tap.out);
    return code;
}
