/* SPDX-License-Identifier: Apache-2.0 */
/* cli/replay.c - `sos replay`: sends the requests of a recording again, one after the other, and
 * says how their answers compare. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/core/list.h"
#include "broker/core/table.h"
#include "cli/client.h"
#include "cli/invoke.h"
#include "cli/print.h"
#include "cli/recording.h"
#include "cli/screen.h"
#include "cli/session.h"
#include "cli/tap_ask.h"
#include "cli/wait.h"
#include "kernel/contract.h"

enum {
    REQUESTS_MAX = 1000000,
    BYTES_MAX = 1024 * 1024 * 1024, /* of all that is kept of the recording */
    TTL_DEFAULT_MS = 30000
};

struct item {
    struct table_node node;
    struct uuid id;
    char *source, *target, *type; /* owned */
    struct bytes payload;         /* owned */
    const char *obstacle;         /* NULL: none */
    uint32_t ttl_ms;
    bool streamed; /* it was answered in chunks */
    bool answered;
    enum status status;
};

struct replay {
    struct cli *cli;
    struct tap_ask ask; /* filters */
    const char *path;
    const char *connection_file;
    bool send;
    bool all;
    double interval_us; /* between two; 0: as soon as the one before is answered */
    enum screen_color color;

    struct screen screen;
    struct tap_filter *filter;
    struct tap_filter *status_filter; /* on what was answered */
    struct table table;
    struct item *items;
    size_t count;
    size_t capacity;
    size_t bytes;
    struct buffer token;

    size_t sent, same, different, refused;
};

/* ---- reading */

static struct item *
find(struct replay *replay, const struct uuid *id)
{
    uint64_t hash = table_hash(&replay->table, (struct bytes){id->bytes, sizeof id->bytes});
    for (struct table_node *node = table_first(&replay->table, hash); node;
         node = table_next(node)) {
        struct item *item = CONTAINER_OF(node, struct item, node);
        if (uuid_equal(&item->id, id))
            return item;
    }
    return NULL;
}

/* What a service asks another for is done again by the request that made it ask. */
static bool
is_wanted(const struct replay *replay, const struct tap_entry *entry)
{
    struct tap_header header = tap_entry_header(entry);
    if (entry->kind != KIND_REQUEST || entry->out || !tap_filter_matches(replay->filter, &header))
        return false;
    if (text_equal_string(entry->type, "tap") || text_equal_string(entry->type, "health_check"))
        return false;
    return replay->all || !text_starts_with(entry->source, "service:") ||
           text_equal_string(entry->source, "service:gateway");
}

static const char *
obstacle_of(const struct tap_entry *entry, struct bytes payload)
{
    if (text_equal_string(entry->note, "redacted"))
        return "its payload is redacted: what is secret was never recorded";
    if (text_equal_string(entry->note, "too_large"))
        return "its payload was too large for the tap";
    if (text_equal_string(entry->note, "unreadable"))
        return "its payload could not be read";
    if (tap_entry_is_lost(entry))
        return "it was refused by the broker";
    if (payload.size == 0 && entry->has_payload)
        return "its payload is missing";
    return NULL;
}

static void
free_item(struct item *item)
{
    free(item->source);
    free(item->target);
    free(item->type);
    free((void *)(uintptr_t)item->payload.data);
}

static enum status
keep(struct replay *replay, const struct tap_entry *entry, struct bytes payload,
     struct error *error)
{
    replay->bytes += sizeof(struct item) + payload.size + entry->source.size + entry->target.size;
    if (replay->count == REQUESTS_MAX || replay->bytes > BYTES_MAX) {
        error_set(error,
                  "%s: more than %d requests or %d bytes are too much for one replay: use "
                  "filters",
                  replay->path, REQUESTS_MAX, BYTES_MAX);
        return STATUS_TOO_LARGE;
    }
    if (replay->count == replay->capacity) {
        size_t capacity = replay->capacity ? replay->capacity * 2 : 256;
        struct item *items = realloc(replay->items, capacity * sizeof *items);
        if (!items)
            return STATUS_NOMEM;
        replay->items = items;
        replay->capacity = capacity;
    }
    uint8_t *copy = malloc(payload.size ? payload.size : 1);
    if (copy && payload.size)
        memcpy(copy, payload.data, payload.size);
    struct item item = {.id = entry->id,
                        .source = text_copy(entry->source),
                        .target = text_copy(entry->target),
                        .type = text_copy(entry->type),
                        .payload = {copy, payload.size},
                        .obstacle = obstacle_of(entry, payload),
                        .ttl_ms = entry->ttl_ms > 0 && entry->ttl_ms <= TAP_TTL_MS
                                      ? (uint32_t)entry->ttl_ms
                                      : TTL_DEFAULT_MS};
    if (!copy || !item.source || !item.target || !item.type) {
        free_item(&item);
        return STATUS_NOMEM;
    }
    replay->items[replay->count++] = item;
    return STATUS_OK;
}

/* Fills requests only; what answers them is looked for when all have their place in memory. */
static enum status
take_requests(struct replay *replay, struct recording *recording, struct error *error)
{
    struct recorded recorded;
    struct tap_entry entry;
    bool end = false;
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        status = recording_next(recording, &recorded, &end, error);
        if (status != STATUS_OK || end)
            break;
        if (recorded.type == RECORDED_RECORD && tap_entry_read(&entry, &recorded.value) &&
            is_wanted(replay, &entry))
            status = keep(replay, &entry, recorded.payload, error);
    }
    return status;
}

static enum status
take_answers(struct replay *replay, struct recording *recording, struct error *error)
{
    struct recorded recorded;
    struct tap_entry entry;
    bool end = false;
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        status = recording_next(recording, &recorded, &end, error);
        if (status != STATUS_OK || end)
            break;
        if (recorded.type != RECORDED_RECORD || !tap_entry_read(&entry, &recorded.value) ||
            uuid_is_nil(&entry.correlation))
            continue;
        struct item *item = find(replay, &entry.correlation);
        if (item && entry.kind == KIND_CHUNK)
            item->streamed = true;
        if (item && entry.kind == KIND_REPLY) {
            item->answered = true;
            item->status = status_from_code(entry.status);
        }
    }
    return status;
}

typedef enum status take_fn(struct replay *replay, struct recording *recording,
                            struct error *error);

static enum status
pass(struct replay *replay, take_fn *take, bool *payloads, struct error *error)
{
    struct recording *recording = NULL;
    enum status status = recording_open(&recording, replay->path, payloads, error);
    if (status == STATUS_OK)
        status = take(replay, recording, error);
    recording_close(&recording);
    return status;
}

static enum status
load(struct replay *replay, struct error *error)
{
    uint8_t key[TABLE_KEY_SIZE];
    bool payloads = false;
    if (!table_make_key(key) || !table_init(&replay->table, key))
        return STATUS_NOMEM;
    enum status status = pass(replay, take_requests, &payloads, error);
    if (status == STATUS_OK && !payloads) {
        error_set(error,
                  "%s was recorded without payloads: record with sos tap --payload --record FILE",
                  replay->path);
        return STATUS_INVALID;
    }
    for (size_t i = 0; i < replay->count; i++) {
        struct item *item = &replay->items[i];
        struct bytes id = {item->id.bytes, sizeof item->id.bytes};
        table_insert(&replay->table, &item->node, table_hash(&replay->table, id));
    }
    return status == STATUS_OK ? pass(replay, take_answers, &payloads, error) : status;
}

/* --status speaks of the recorded answers. */
static void
drop_by_status(struct replay *replay)
{
    size_t kept = 0;
    for (size_t i = 0; i < replay->count; i++) {
        struct item *item = &replay->items[i];
        struct tap_header header = {.has_status = item->answered, .status = item->status};
        if (tap_filter_matches(replay->status_filter, &header))
            replay->items[kept++] = *item;
        else
            free_item(item);
    }
    replay->count = kept;
    table_clear(&replay->table); /* it led to where they stood */
}

/* ---- saying */

static const char *
word_of(bool answered, enum status status)
{
    return !answered ? "no answer" : status == STATUS_OK ? "ok" : status_word(status);
}

/* took_us: 0 for what was not sent. */
static void
print_line(const struct replay *replay, const struct item *item, const char *now, uint64_t took_us,
           enum screen_style style, const char *more)
{
    const struct screen *screen = &replay->screen;
    struct buffer out;
    char size[24];
    char took[24] = "";
    buffer_init(&out);
    screen_size(item->payload.size, size, sizeof size);
    if (took_us)
        screen_duration(screen, took_us, took, sizeof took);
    screen_cell(screen, &out, text_of(item->source), 20, STYLE_DIM);
    screen_cell(screen, &out, text_of(screen->utf8 ? " ───▶ " : " ---> "), 0, STYLE_CYAN);
    screen_cell(screen, &out, text_of(item->target), 18, STYLE_PLAIN);
    buffer_append_byte(&out, ' ');
    screen_cell(screen, &out, text_of(item->type), 20, STYLE_BOLD);
    screen_cell_right(screen, &out, text_of(size), 8, STYLE_DIM);
    screen_cell_right(screen, &out, text_of(took), 10, STYLE_DIM);
    buffer_append_string(&out, "  ");
    screen_cell(screen, &out, text_of(now), 0, style);
    if (*more) {
        buffer_append_string(&out, "  ");
        screen_cell(screen, &out, text_of(more), 0, style);
    }
    printf("%.*s\n", TEXT_ARGS(buffer_text(&out)));
    buffer_clear(&out);
}

static void
print_json(const struct item *item, const char *now, uint64_t took_us, const char *refusal)
{
    char id[UUID_TEXT_SIZE];
    struct buffer out;
    buffer_init(&out);
    uuid_format(&item->id, id);
    buffer_append_format(&out, "{\"id\":\"%s\",\"target\":", id);
    json_append_text(&out, text_of(item->target));
    buffer_append_string(&out, ",\"type\":");
    json_append_text(&out, text_of(item->type));
    buffer_append_format(&out, ",\"recorded\":\"%s\"", word_of(item->answered, item->status));
    if (now)
        buffer_append_format(
            &out, ",\"now\":\"%s\",\"took_us\":%llu,\"same\":%s", now, (unsigned long long)took_us,
            strcmp(now, word_of(item->answered, item->status)) == 0 ? "true" : "false");
    if (refusal) {
        buffer_append_string(&out, ",\"refused\":");
        json_append_text(&out, text_of(refusal));
    }
    printf("%.*s}\n", TEXT_ARGS(buffer_text(&out)));
    buffer_clear(&out);
}

static void
say_refused(struct replay *replay, const struct item *item)
{
    replay->refused++;
    if (replay->cli->json)
        print_json(item, NULL, 0, item->obstacle);
    else
        print_line(replay, item, "refused:", 0, STYLE_RED, item->obstacle);
}

static void
say_planned(struct replay *replay, const struct item *item)
{
    char recorded[96];
    if (item->obstacle) {
        say_refused(replay, item);
        return;
    }
    if (replay->cli->json) {
        print_json(item, NULL, 0, NULL);
        return;
    }
    snprintf(recorded, sizeof recorded, "(recorded: %s)", word_of(item->answered, item->status));
    print_line(replay, item, "would be sent", 0, STYLE_PLAIN, recorded);
}

static void
say_answered(struct replay *replay, const struct item *item, enum status status, uint64_t took_us)
{
    const char *now = word_of(true, status);
    const char *before = word_of(item->answered, item->status);
    bool same = strcmp(now, before) == 0;
    char more[96] = "";
    if (same)
        replay->same++;
    else
        replay->different++;
    if (replay->cli->json) {
        print_json(item, now, took_us, NULL);
        return;
    }
    if (!same)
        snprintf(more, sizeof more, "(recorded: %s)", before);
    print_line(replay, item, now, took_us, same ? STYLE_GREEN : STYLE_RED, more);
}

/* ---- sending */

static bool
pass_over_chunk(void *context, struct bytes payload)
{
    (void)context, (void)payload;
    return true;
}

static uint32_t
flags_of(const struct item *item)
{
    for (size_t i = 0; contracts[i]; i++) {
        const struct operation *operation = contract_operation(contracts[i], text_of(item->type));
        if (!operation)
            continue;
        return (operation->flags & OPERATION_IDEMPOTENT ? MESSAGE_IDEMPOTENT : 0u) |
               (operation->flags & OPERATION_WRITE ? MESSAGE_WRITE : 0u) |
               (operation->flags & OPERATION_STREAM_ALWAYS ? MESSAGE_STREAM : 0u);
    }
    return 0;
}

/* False: the user has enough, or there is no broker any more. */
static bool
send_item(struct replay *replay, struct invoke *invoke, const struct item *item)
{
    const struct trace trace = trace_new();
    struct error error = ERROR_INIT;
    struct buffer reply;
    buffer_init(&reply);
    uint32_t flags = flags_of(item) | (item->streamed ? MESSAGE_STREAM : 0u);
    struct peer_request request = {.kind = KIND_REQUEST,
                                   .target = text_of(item->target),
                                   .type = text_of(item->type),
                                   .payload = item->payload,
                                   .flags = flags,
                                   .ttl_ms = item->ttl_ms,
                                   .trace = &trace,
                                   .capability = buffer_text(&replay->token)};
    invoke->on_chunk = flags & MESSAGE_STREAM ? pass_over_chunk : NULL;
    uint64_t from_us = clock_now(replay->cli->clock).monotonic_us;
    enum status status = invoke_run(invoke, &request, &reply, &error);
    uint64_t took_us = clock_now(replay->cli->clock).monotonic_us - from_us;
    buffer_clear(&reply);
    if (invoke->signal_number)
        return false;
    replay->sent++;
    say_answered(replay, item, status, took_us ? took_us : 1);
    return true;
}

/* False: the user has enough. */
static bool
pause_until(struct replay *replay, struct invoke *invoke, uint64_t due_us)
{
    for (;;) {
        uint64_t now_us = clock_now(replay->cli->clock).monotonic_us;
        if (now_us >= due_us)
            return true;
        while (peer_process(invoke->peer))
            continue;
        long peer_ms = invoke_timeout_ms(invoke->peer, invoke->clock);
        long left_ms = (long)((due_us - now_us) / 1000 + 1);
        struct pollfd item = {.fd = invoke->signal_fd, .events = POLLIN};
        if (poll(&item, 1, (int)(peer_ms < left_ms ? peer_ms : left_ms)) > 0)
            return false;
    }
}

static int
send_all(struct replay *replay)
{
    struct error error = ERROR_INIT;
    struct peer *peer = NULL;
    int signal_fd = wait_signals();
    struct session_options options = {.connection_file = replay->connection_file};
    int code = EXIT_OK;
    if (session_open(&peer, replay->cli, &options, &error) != STATUS_OK) {
        code = command_fail("replay", EXIT_UNREACHABLE, "%s", error.message);
    } else {
        struct invoke invoke = {.peer = peer, .signal_fd = signal_fd, .clock = replay->cli->clock};
        double due_us = (double)clock_now(replay->cli->clock).monotonic_us;
        bool goes_on = true;
        for (size_t i = 0; i < replay->count && goes_on; i++) {
            if (replay->items[i].obstacle) {
                say_refused(replay, &replay->items[i]);
                continue;
            }
            goes_on = pause_until(replay, &invoke, (uint64_t)due_us) &&
                      send_item(replay, &invoke, &replay->items[i]);
            due_us += replay->interval_us;
        }
    }
    peer_close(&peer);
    if (signal_fd >= 0)
        close(signal_fd);
    return code;
}

/* ---- the command */

static int
run(struct replay *replay)
{
    struct error error = ERROR_INIT;
    const struct tap_ask by_status = {.status = replay->ask.status};
    replay->ask.status = NULL;
    enum status status = tap_ask_filter(&replay->ask, &replay->filter, &error);
    if (status == STATUS_OK)
        status = tap_ask_filter(&by_status, &replay->status_filter, &error);
    if (status != STATUS_OK)
        return command_fail("replay", EXIT_USAGE, "%s", error.message);
    status = load(replay, &error);
    if (status == STATUS_OK && replay->ask.capability_file)
        status = invoke_read_capability(replay->ask.capability_file, &replay->token, &error);
    if (status != STATUS_OK)
        return command_fail("replay", EXIT_FAILED, "%s",
                            *error.message ? error.message : status_text(status));
    drop_by_status(replay);
    replay->screen = screen_of_stdout(replay->color);
    if (replay->send) {
        int code = send_all(replay);
        if (code != EXIT_OK)
            return code;
        fprintf(stderr,
                "sos replay: %zu sent: %zu answered as recorded, %zu otherwise; %zu "
                "refused\n",
                replay->sent, replay->same, replay->different, replay->refused);
    } else {
        for (size_t i = 0; i < replay->count; i++)
            say_planned(replay, &replay->items[i]);
        fprintf(stderr,
                "sos replay: %zu request%s would be sent, %zu cannot be; nothing was: "
                "--send does it\n",
                replay->count - replay->refused, replay->count - replay->refused == 1 ? "" : "s",
                replay->refused);
    }
    return replay->different + replay->refused > 0 ? EXIT_FAILED : EXIT_OK;
}

static int
check(struct replay *replay, const char *rate, const char *color)
{
    if (!replay->path)
        return command_fail("replay", EXIT_USAGE, "which recording? sos replay FILE");
    if (strcmp(replay->path, "-") == 0)
        return command_fail("replay", EXIT_USAGE, "a file is needed: it is read twice");
    if (color && !screen_color_parse(color, &replay->color))
        return command_fail("replay", EXIT_USAGE,
                            "--color: came '%.32s', expected auto, always or never", color);
    if (rate) {
        char *end;
        double value = strtod(rate, &end);
        if (end == rate || *end || !(value >= 0.001 && value <= 1e6))
            return command_fail("replay", EXIT_USAGE,
                                "--rate: came '%.32s', expected requests a second, from 0.001",
                                rate);
        replay->interval_us = 1e6 / value;
    }
    return EXIT_OK;
}

static int
parse(struct replay *replay, int argc, char **argv)
{
    const char *rate = NULL;
    const char *color = NULL;
    struct option_row options[TAP_ASK_OPTIONS + 4];
    tap_ask_options(&replay->ask, options);
    const struct option_row own[] = {{"--cap", &replay->ask.capability_file},
                                     {"--as", &replay->connection_file},
                                     {"--rate", &rate},
                                     {"--color", &color}};
    memcpy(options + TAP_ASK_OPTIONS, own, sizeof own);
    for (int i = 1; i < argc; i++) {
        enum option_result result =
            options_take("replay", options, sizeof options / sizeof *options, argc, argv, &i);
        if (result == OPTION_WRONG)
            return EXIT_USAGE;
        if (result == OPTION_TAKEN)
            continue;
        if (strcmp(argv[i], "--send") == 0)
            replay->send = true;
        else if (strcmp(argv[i], "--all") == 0)
            replay->all = true;
        else if (*argv[i] != '-' && !replay->path)
            replay->path = argv[i];
        else
            return command_fail("replay", EXIT_USAGE, "unexpected argument '%.64s'", argv[i]);
    }
    return check(replay, rate, color);
}

int
run_replay(struct cli *cli, int argc, char **argv)
{
    struct replay replay = {.cli = cli};
    buffer_init(&replay.token);
    int code = parse(&replay, argc, argv);
    if (code == EXIT_OK)
        code = run(&replay);
    for (size_t i = 0; i < replay.count; i++)
        free_item(&replay.items[i]);
    free(replay.items);
    table_clear(&replay.table);
    tap_filter_destroy(&replay.filter);
    tap_filter_destroy(&replay.status_filter);
    tap_ask_wipe(&replay.token);
    return code;
}
