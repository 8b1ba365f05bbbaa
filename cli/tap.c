/* SPDX-License-Identifier: Apache-2.0 */
/* cli/tap.c - `sos tap`: the header of each record that passes the broker, as it passes. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/home.h"
#include "cli/invoke.h"
#include "cli/options.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/wait.h"
#include "kernel/json.h"
#include "kernel/pack.h"

enum {
    TAP_TTL_MS = 600000, /* then it is begun anew */
    CAPABILITY_SECONDS = 3600
};

struct tap {
    struct cli *cli;
    const char *filter[5];
    const char *capability_file;
    const char *connection_file;
    uint64_t count; /* records to print; 0 = no end */
    uint64_t printed;
    uint64_t dropped;
};

static const char *const filter_names[] = {"source", "target", "type", "kind", "trace"};

enum { FILTERS = sizeof filter_names / sizeof *filter_names };

/* ---- printing */

static struct text
text_at(const struct value *record, const char *key)
{
    struct text text = {"", 0};
    value_find_text(record, key, &text);
    return text;
}

static void
append_column(struct buffer *out, struct text text, size_t width)
{
    size_t before = out->size;
    print_clean(text, out);
    while (out->size - before < width)
        buffer_append_byte(out, ' ');
    buffer_append_byte(out, ' ');
}

/* What makes a record special: a status, a chunk's number, why it went no further. */
static void
append_notes(struct buffer *out, const struct value *record)
{
    uint64_t number = 0;
    if (value_find_uint(record, "status", &number) && number)
        buffer_append_format(out, " %s", status_word(status_from_code(number)));
    if (value_find_uint(record, "seq", &number))
        buffer_append_format(out, " #%llu", (unsigned long long)number);
    static const char *const keys[] = {"principal", "capability", "verdict"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct text text = text_at(record, keys[i]);
        if (text.size == 0 || text_equal_string(text, "accepted"))
            continue;
        buffer_append_format(out, " %s=", keys[i]);
        print_clean(text, out);
    }
}

static void
print_line(const struct value *record)
{
    char when[TIMESTAMP_TEXT_SIZE] = "";
    uint64_t at_us = 0;
    uint64_t size = 0;
    struct buffer line;
    buffer_init(&line);
    value_find_uint(record, "at_us", &at_us);
    value_find_uint(record, "size", &size);
    timestamp_format(at_us, when);
    if (strlen(when) > 26)
        buffer_append_format(&line, "%.15s ", when + 11);
    append_column(&line, text_at(record, "direction"), 3);
    append_column(&line, text_at(record, "kind"), 9);
    append_column(&line, text_at(record, "source"), 20);
    append_column(&line, text_at(record, "target"), 20);
    append_column(&line, text_at(record, "type"), 18);
    buffer_append_format(&line, "%7llu", (unsigned long long)size);
    append_notes(&line, record);
    buffer_append_byte(&line, '\n');
    fwrite(line.data, 1, line.size, stdout);
    buffer_clear(&line);
}

static bool
print_record(struct tap *tap, const struct value *record)
{
    struct error error;
    if (!tap->cli->json)
        print_line(record);
    else if (print_value(record->raw, false, &error) != STATUS_OK)
        return false;
    tap->printed++;
    return !ferror(stdout) && (tap->count == 0 || tap->printed < tap->count);
}

static bool
take_chunk(void *context, struct bytes payload)
{
    struct tap *tap = context;
    struct value chunk;
    struct value records;
    struct value record;
    uint64_t dropped = 0;
    if (!value_parse(payload, &chunk))
        return true;
    value_find_uint(&chunk, "dropped", &dropped);
    if (dropped)
        fprintf(stderr, "sos tap: %llu records were left out\n", (unsigned long long)dropped);
    tap->dropped += dropped;
    bool goes_on = true;
    if (value_find(&chunk, "records", &records)) {
        struct entries entries = value_entries(&records);
        while (goes_on && entries_next(&entries, &record))
            goes_on = print_record(tap, &record);
    }
    return fflush(stdout) == 0 && goes_on;
}

/* ---- the right to */

static enum status
issue_capability(struct cli *cli, struct buffer *token, struct error *error)
{
    struct river_key key;
    enum status status = home_river_key(cli->home, &key, error);
    if (status != STATUS_OK) {
        error_wrap(error, "sign a capability for bus:tap");
        return status;
    }
    uint64_t now_us = clock_now(cli->clock).wall_us;
    struct capability_grant grant = {.subject = HOME_OPERATOR,
                                     .action = "bus:tap",
                                     .resource = "bus:*",
                                     .issued_us = now_us,
                                     .expires_us = now_us + CAPABILITY_SECONDS * UINT64_C(1000000)};
    status = capability_issue(token, &grant, &key.secret_key, error);
    home_river_key_clear(&key);
    return status;
}

static void
pack_filter(const struct tap *tap, struct buffer *out)
{
    uint32_t count = 0;
    for (size_t i = 0; i < FILTERS; i++)
        count += tap->filter[i] != NULL;
    pack_map(out, count);
    for (size_t i = 0; i < FILTERS; i++)
        if (tap->filter[i])
            pack_pair_string(out, filter_names[i], tap->filter[i]);
}

/* ---- the command */

static enum status
listen(struct tap *tap, struct peer *peer, int signal_fd, struct error *error)
{
    struct buffer token;
    struct buffer payload;
    struct buffer reply;
    buffer_init(&token);
    buffer_init(&payload);
    buffer_init(&reply);
    enum status status = tap->capability_file
                             ? invoke_read_capability(tap->capability_file, &token, error)
                             : issue_capability(tap->cli, &token, error);
    pack_filter(tap, &payload);
    struct peer_request request = {
        .kind = KIND_REQUEST,
        .target = text_of("service:bus"),
        .type = text_of("tap"),
        .payload = buffer_bytes(&payload),
        .flags = MESSAGE_STREAM,
        .ttl_ms = TAP_TTL_MS,
        .capability = buffer_text(&token),
    };
    struct invoke invoke = {.peer = peer,
                            .signal_fd = signal_fd,
                            .clock = tap->cli->clock,
                            .on_chunk = take_chunk,
                            .context = tap};
    if (status == STATUS_OK)
        status = invoke_run(&invoke, &request, &reply, error);
    buffer_clear(&reply);
    buffer_clear(&payload);
    if (token.data)
        explicit_bzero(token.data, token.capacity);
    buffer_clear(&token);
    return status;
}

/* Goes on over the end of a tap's time and a new broker, until the user has enough. */
static int
listen_on(struct tap *tap, struct peer *peer, int signal_fd)
{
    for (;;) {
        struct error error = ERROR_INIT;
        enum status status = listen(tap, peer, signal_fd, &error);
        if (status == STATUS_CANCELLED || status == STATUS_OK)
            break;
        if (status != STATUS_TIMEOUT && status != STATUS_UNKNOWN_OUTCOME)
            return print_refusal(tap->cli, "tap", status, &error);
        if (status == STATUS_UNKNOWN_OUTCOME)
            fprintf(stderr, "sos tap: the broker was lost; waiting for it\n");
    }
    if (tap->dropped)
        fprintf(stderr, "sos tap: %llu records in all were left out\n",
                (unsigned long long)tap->dropped);
    return EXIT_OK;
}

static int
parse_count(struct tap *tap, const char *text)
{
    char *end;
    errno = 0;
    tap->count = strtoull(text, &end, 10);
    if (end == text || *end || errno || *text == '-' || tap->count == 0)
        return command_fail("tap", EXIT_USAGE, "--count: came '%.32s', expected 1 or more", text);
    return EXIT_OK;
}

static int
parse(struct tap *tap, int argc, char **argv)
{
    const char *count = NULL;
    const struct option_row options[] = {
        {"--source", &tap->filter[0]}, {"--target", &tap->filter[1]},
        {"--type", &tap->filter[2]},   {"--kind", &tap->filter[3]},
        {"--trace", &tap->filter[4]},  {"--cap", &tap->capability_file},
        {"--count", &count},           {"--as", &tap->connection_file},
    };
    for (int i = 1; i < argc; i++) {
        enum option_result result =
            options_take("tap", options, sizeof options / sizeof *options, argc, argv, &i);
        if (result == OPTION_WRONG)
            return EXIT_USAGE;
        if (result == OPTION_NONE)
            return command_fail("tap", EXIT_USAGE, "unexpected argument '%.64s'", argv[i]);
    }
    if (tap->connection_file && !tap->capability_file)
        return command_fail("tap", EXIT_USAGE, "--as needs --cap: a capability for that identity");
    return count ? parse_count(tap, count) : EXIT_OK;
}

int
run_tap(struct cli *cli, int argc, char **argv)
{
    struct tap tap = {.cli = cli};
    struct error error = ERROR_INIT;
    int code = parse(&tap, argc, argv);
    if (code != EXIT_OK)
        return code;
    int signal_fd = wait_signals();
    struct peer *peer = NULL;
    struct session_options options = {.connection_file = tap.connection_file};
    if (session_open(&peer, cli, &options, &error) != STATUS_OK)
        code = command_fail("tap", EXIT_UNREACHABLE, "%s", error.message);
    else
        code = listen_on(&tap, peer, signal_fd);
    peer_close(&peer);
    if (signal_fd >= 0)
        close(signal_fd);
    return code;
}
