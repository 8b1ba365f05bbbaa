/* SPDX-License-Identifier: Apache-2.0 */
/* cli/top.c - `sos top`: what a swarm does, once a second, on one screen. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include <zmq.h>

#include "cli/client.h"
#include "cli/home.h"
#include "cli/invoke.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/tap_ask.h"
#include "cli/top_view.h"
#include "cli/wait.h"
#include "platform/river_key.h"

enum {
    ANSWER_MS = 2000,
    TOKEN_SECONDS = 86400,
    QUESTIONS = 4,
    RETRY_US = 2000000 /* a tap that was refused or lost is begun anew */
};

struct top;

/* Something that the broker is asked each time. */
struct question {
    const char *type;
    const char *action; /* of its capability; NULL: none */
    const char *resource;
    bool lists; /* its payload is a limit */
    struct top *top;
    struct buffer token;
    bool waits; /* for its answer */
};

struct top {
    struct cli *cli;
    const char *connection_file;
    const char *capability_file;
    bool once;
    uint64_t interval_us;
    enum screen_color color;

    struct screen screen;
    struct top_model *model;
    struct peer *peer;
    struct question questions[QUESTIONS];
    struct tap_ask ask;
    struct buffer tap_token;
    struct uuid tap_id;
    bool taps;
    uint64_t tap_tried_us;
    struct error error; /* the last refusal */
    struct termios before;
    bool raw;
};

/* ---- answers */

static uint64_t
now_us(const struct top *top)
{
    return clock_now(top->cli->clock).monotonic_us;
}

static void
take_answer(void *context, const struct peer_answer *answer)
{
    struct question *question = context;
    struct top *top = question->top;
    question->waits = false;
    if (answer->status != STATUS_OK) {
        error_unpack(answer->payload, &top->error);
        return;
    }
    if (strcmp(question->type, "directory") == 0)
        top_take_directory(top->model, answer->payload);
    else if (strcmp(question->type, "metrics") == 0)
        top_take_metrics(top->model, answer->payload, now_us(top));
    else if (strcmp(question->type, "bus_mailboxes") == 0)
        top_take_inboxes(top->model, answer->payload);
    else
        top_take_peers(top->model, answer->payload);
}

static void
ask(struct top *top)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_uint(&payload, "limit", TOP_ROWS_MAX);
    for (size_t i = 0; i < QUESTIONS; i++) {
        struct question *question = &top->questions[i];
        struct uuid id;
        if (question->waits)
            continue;
        struct peer_request request = {.kind = KIND_REQUEST,
                                       .target = text_of("service:bus"),
                                       .type = text_of(question->type),
                                       .payload = question->lists ? buffer_bytes(&payload)
                                                                  : (struct bytes){NULL, 0},
                                       .flags = MESSAGE_IDEMPOTENT,
                                       .ttl_ms = ANSWER_MS,
                                       .capability = buffer_text(&question->token),
                                       .on_reply = take_answer,
                                       .context = question};
        question->waits = peer_call(top->peer, &request, &id, NULL) == STATUS_OK;
    }
    buffer_clear(&payload);
}

static bool
waits(const struct top *top)
{
    for (size_t i = 0; i < QUESTIONS; i++)
        if (top->questions[i].waits)
            return true;
    return false;
}

/* ---- the tap */

static void
take_tap_end(void *context, const struct peer_answer *answer)
{
    struct top *top = context;
    top->taps = false;
    if (answer->status != STATUS_OK)
        error_unpack(answer->payload, &top->error);
}

static void
take_tap_chunk(void *context, const struct message *chunk)
{
    struct top *top = context;
    top_take_tap(top->model, chunk->payload, now_us(top));
    peer_grant(top->peer, &top->tap_id, 1);
}

static void
begin_tap(struct top *top)
{
    struct buffer payload;
    if (top->taps || (top->tap_tried_us && now_us(top) - top->tap_tried_us < RETRY_US))
        return;
    top->tap_tried_us = now_us(top);
    buffer_init(&payload);
    tap_ask_pack(&top->ask, &payload);
    struct peer_request request =
        tap_ask_request(buffer_bytes(&payload), buffer_text(&top->tap_token));
    request.on_reply = take_tap_end;
    request.on_chunk = take_tap_chunk;
    request.context = top;
    top->taps = peer_call(top->peer, &request, &top->tap_id, NULL) == STATUS_OK;
    buffer_clear(&payload);
}

/* ---- the terminal */

static void
write_out(const char *text)
{
    size_t size = strlen(text);
    while (size > 0) {
        ssize_t wrote = write(STDOUT_FILENO, text, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return;
        text += wrote;
        size -= (size_t)wrote;
    }
}

static void
enter_screen(struct top *top)
{
    struct termios raw;
    if (isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &top->before) == 0) {
        raw = top->before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        top->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    write_out("\033[?1049h\033[?25l");
}

static void
leave_screen(struct top *top)
{
    write_out("\033[?25h\033[?1049l");
    if (top->raw)
        tcsetattr(STDIN_FILENO, TCSANOW, &top->before);
}

/* Each line is written over what stood there, so that nothing flickers. */
static void
show_screen(const struct buffer *page)
{
    struct buffer out;
    buffer_init(&out);
    buffer_append_string(&out, "\033[H");
    for (size_t i = 0; i < page->size; i++) {
        if (page->data[i] != '\n')
            buffer_append_byte(&out, page->data[i]);
        else if (i + 1 < page->size)
            buffer_append_string(&out, "\033[K\r\n");
    }
    buffer_append_string(&out, "\033[K\033[J");
    buffer_append_byte(&out, '\0');
    if (!out.failed)
        write_out((const char *)out.data);
    buffer_clear(&out);
}

static void
show(struct top *top)
{
    struct buffer page;
    const char *hint = "q quits";
    buffer_init(&page);
    bool full = !top->once && !top->cli->json && top->screen.terminal;
    if (full) {
        screen_measure(&top->screen);
        if (peer_state(top->peer) != PEER_READY)
            hint = "the broker was lost; waiting for it";
        else if (*top->error.message)
            hint = top->error.message;
    }
    if (top->cli->json)
        top_json(top->model, &page);
    else
        top_draw(top->model, &top->screen, full ? hint : NULL, &page);
    if (full) {
        show_screen(&page);
    } else {
        fwrite(page.data, 1, page.size, stdout);
        if (!top->cli->json && !top->once)
            putchar('\n');
        fflush(stdout);
    }
    buffer_clear(&page);
    top->error = ERROR_INIT;
}

/* ---- the loop */

/* True: q. */
static bool
was_quit(void)
{
    char keys[64];
    ssize_t count = read(STDIN_FILENO, keys, sizeof keys);
    for (ssize_t i = 0; i < count; i++)
        if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == 3)
            return true;
    return false;
}

static long
wait_ms(const struct top *top, uint64_t due_us)
{
    uint64_t now = now_us(top);
    long until_ms = due_us > now ? (long)((due_us - now) / 1000 + 1) : 0;
    long peer_ms = invoke_timeout_ms(top->peer, top->cli->clock);
    return peer_ms < until_ms ? peer_ms : until_ms;
}

/* Until due_us, or until the user has enough (false). */
static bool
listen_until(struct top *top, int signal_fd, uint64_t due_us, bool answers)
{
    for (;;) {
        while (peer_process(top->peer))
            continue;
        if (now_us(top) >= due_us || (answers && !waits(top)))
            return true;
        zmq_pollitem_t items[] = {
            {.socket = peer_socket(top->peer), .events = ZMQ_POLLIN},
            {.socket = peer_monitor(top->peer), .events = ZMQ_POLLIN},
            {.fd = signal_fd, .events = ZMQ_POLLIN},
            {.fd = STDIN_FILENO, .events = ZMQ_POLLIN},
        };
        zmq_poll(items, top->raw ? 4 : 3, wait_ms(top, due_us));
        if (invoke_take_signal(signal_fd) || (top->raw && items[3].revents && was_quit()))
            return false;
    }
}

/* Rates need two samples. */
static void
sample_once(struct top *top, int signal_fd)
{
    begin_tap(top);
    ask(top);
    if (!listen_until(top, signal_fd, now_us(top) + ANSWER_MS * UINT64_C(1000), true) ||
        !listen_until(top, signal_fd, now_us(top) + top->interval_us, false))
        return;
    ask(top);
    if (listen_until(top, signal_fd, now_us(top) + ANSWER_MS * UINT64_C(1000), true))
        show(top);
}

static void
run_on(struct top *top, int signal_fd)
{
    bool full = !top->cli->json && top->screen.terminal;
    if (full)
        enter_screen(top);
    uint64_t due_us = now_us(top);
    bool goes_on = true;
    while (goes_on && !ferror(stdout)) {
        begin_tap(top);
        ask(top);
        goes_on = listen_until(top, signal_fd, now_us(top) + top->interval_us / 2, true);
        if (goes_on)
            show(top);
        due_us += top->interval_us;
        if (due_us < now_us(top))
            due_us = now_us(top);
        goes_on = goes_on && listen_until(top, signal_fd, due_us, false);
    }
    if (full)
        leave_screen(top);
}

/* ---- the command */

static enum status
issue(struct top *top, struct question *question, const struct river_key *key, struct error *error)
{
    uint64_t wall_us = clock_now(top->cli->clock).wall_us;
    struct capability_grant grant = {.subject = HOME_OPERATOR,
                                     .action = question->action,
                                     .resource = question->resource,
                                     .issued_us = wall_us,
                                     .expires_us = wall_us + TOKEN_SECONDS * UINT64_C(1000000)};
    return capability_issue(&question->token, &grant, &key->secret_key, error);
}

static enum status
prepare(struct top *top, struct error *error)
{
    static const struct question questions[QUESTIONS] = {
        {.type = "directory"},
        {.type = "metrics"},
        {.type = "bus_mailboxes", .action = "bus:receive", .resource = "*", .lists = true},
        {.type = "bus_peers",
         .action = "bus:subscribe",
         .resource = "system:events",
         .lists = true},
    };
    struct river_key key;
    top->ask.kind = "re[pq]*";
    top->ask.capability_file = top->capability_file;
    top->model = top_model_new(now_us(top));
    if (!top->model)
        return STATUS_NOMEM;
    for (size_t i = 0; i < QUESTIONS; i++) {
        top->questions[i] = questions[i];
        top->questions[i].top = top;
        buffer_init(&top->questions[i].token);
    }
    enum status status = tap_ask_token(&top->ask, top->cli, &top->tap_token, error);
    if (status != STATUS_OK || top->connection_file)
        return status;
    status = river_key_load(top->cli->home, &key, error);
    for (size_t i = 0; i < QUESTIONS && status == STATUS_OK; i++)
        if (top->questions[i].action)
            status = issue(top, &top->questions[i], &key, error);
    river_key_clear(&key);
    return status;
}

static int
run(struct top *top)
{
    struct error error = ERROR_INIT;
    struct session_options options = {.connection_file = top->connection_file};
    int signal_fd = wait_signals();
    int code = EXIT_OK;
    top->screen = screen_of_stdout(top->color);
    if (top->once)
        top->screen.height = 0;
    if (prepare(top, &error) != STATUS_OK)
        code = command_fail("top", EXIT_FAILED, "%s", error.message);
    else if (session_open(&top->peer, top->cli, &options, &error) != STATUS_OK)
        code = command_fail("top", EXIT_UNREACHABLE, "%s", error.message);
    else if (top->once)
        sample_once(top, signal_fd);
    else
        run_on(top, signal_fd);
    peer_close(&top->peer);
    if (signal_fd >= 0)
        close(signal_fd);
    return code;
}

static int
check(struct top *top, const char *interval, const char *color)
{
    double seconds = 1;
    if (top->connection_file && !top->capability_file)
        return command_fail("top", EXIT_USAGE,
                            "--as needs --cap: a capability for bus:tap of that identity");
    if (color && !screen_color_parse(color, &top->color))
        return command_fail("top", EXIT_USAGE,
                            "--color: came '%.32s', expected auto, always or never", color);
    if (interval) {
        char *end;
        seconds = strtod(interval, &end);
        if (end == interval || *end || !(seconds >= 0.1 && seconds <= 3600))
            return command_fail("top", EXIT_USAGE,
                                "--interval: came '%.32s', expected seconds from 0.1 to 3600",
                                interval);
    }
    top->interval_us = (uint64_t)(seconds * 1e6);
    return EXIT_OK;
}

static int
parse(struct top *top, int argc, char **argv)
{
    const char *interval = NULL;
    const char *color = NULL;
    const struct option_row options[] = {{"--interval", &interval},
                                         {"--color", &color},
                                         {"--cap", &top->capability_file},
                                         {"--as", &top->connection_file}};
    for (int i = 1; i < argc; i++) {
        enum option_result result =
            options_take("top", options, sizeof options / sizeof *options, argc, argv, &i);
        if (result == OPTION_WRONG)
            return EXIT_USAGE;
        if (result == OPTION_TAKEN)
            continue;
        if (strcmp(argv[i], "--once") != 0)
            return command_fail("top", EXIT_USAGE, "unexpected argument '%.64s'", argv[i]);
        top->once = true;
    }
    return check(top, interval, color);
}

int
run_top(struct cli *cli, int argc, char **argv)
{
    struct top top = {.cli = cli};
    buffer_init(&top.tap_token);
    int code = parse(&top, argc, argv);
    if (code == EXIT_OK)
        code = run(&top);
    for (size_t i = 0; i < QUESTIONS; i++)
        tap_ask_wipe(&top.questions[i].token);
    tap_ask_wipe(&top.tap_token);
    top_model_destroy(&top.model);
    return code;
}
