/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/bus_caller.h"

#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/wait.h"
#include "platform/river_key.h"

enum { TOKEN_SECONDS = 3600, LISTEN_TICK_MS = 200, PAGE_MAX = 1000 };

/* ---- who */

void
bus_caller_options(struct bus_caller *caller, struct option_row rows[static BUS_CALLER_OPTIONS])
{
    rows[0] = (struct option_row){"--as", &caller->as};
    rows[1] = (struct option_row){"--cap", &caller->capability_file};
}

/* A file by its form, else the name of an agent of the home, with or without "agent:". */
static enum status
find_connection(const struct bus_caller *caller, char *key_file, size_t size,
                struct session_options *options, struct error *error)
{
    const char *as = caller->as;
    size_t length = strlen(as);
    if (strchr(as, '/') || (length > 5 && strcmp(as + length - 5, ".json") == 0)) {
        options->connection_file = as;
        return STATUS_OK;
    }
    const char *name = strncmp(as, "agent:", 6) == 0 ? as + 6 : as;
    int written = snprintf(key_file, size, "agents/%s.json", name);
    if (written < 0 || (size_t)written >= size) {
        error_set(error, "--as: the name is too long");
        return STATUS_VALIDATION;
    }
    options->key_file = key_file;
    return STATUS_OK;
}

static enum status
connect_as(struct bus_caller *caller, struct error *error)
{
    char key_file[MESSAGE_NAME_MAX + 16];
    struct session_options options = {.identity = caller->identity};
    enum status status = STATUS_OK;
    if (caller->as)
        status = find_connection(caller, key_file, sizeof key_file, &options, error);
    if (status == STATUS_OK)
        status = session_open(&caller->peer, caller->cli, &options, error);
    return status;
}

int
bus_caller_open(struct bus_caller *caller, struct cli *cli, const char *command)
{
    struct error error = ERROR_INIT;
    caller->cli = cli;
    caller->command = command;
    caller->trace = trace_new();
    caller->signal_fd = wait_signals();
    int code = EXIT_OK;
    if (caller->capability_file &&
        invoke_read_capability(caller->capability_file, &caller->shown, &error) != STATUS_OK) {
        code = command_fail(command, EXIT_USAGE, "--cap: %s", error.message);
    } else {
        enum status status = connect_as(caller, &error);
        bool no_such_agent = caller->as && status == STATUS_NOT_FOUND;
        if (status != STATUS_OK)
            code = command_fail(command, no_such_agent ? EXIT_USAGE : EXIT_UNREACHABLE, "%s",
                                error.message);
    }
    if (code != EXIT_OK)
        bus_caller_close(caller);
    return code;
}

static void
wipe(struct buffer *token)
{
    if (token->data)
        sodium_memzero(token->data, token->capacity);
    buffer_clear(token);
}

void
bus_caller_close(struct bus_caller *caller)
{
    peer_close(&caller->peer);
    if (caller->signal_fd >= 0)
        close(caller->signal_fd);
    caller->signal_fd = -1;
    wipe(&caller->shown);
    wipe(&caller->token);
    buffer_clear(&caller->right);
}

/* ---- with which right */

struct right {
    const char *action;
    struct text resource;
    struct text subject;
};

/* True when the last token was signed for the same; else it is remembered for the next time. */
static bool
was_signed(struct bus_caller *caller, const struct right *right)
{
    struct buffer key;
    buffer_init(&key);
    buffer_append_string(&key, right->action);
    buffer_append_byte(&key, 0);
    buffer_append_text(&key, right->resource);
    buffer_append_byte(&key, 0);
    buffer_append_text(&key, right->subject);
    bool same = caller->token.size > 0 && !key.failed &&
                text_equal(buffer_text(&key), buffer_text(&caller->right));
    buffer_clear(&caller->right);
    caller->right = key;
    return same;
}

static enum status
sign(struct bus_caller *caller, const struct right *right, struct error *error)
{
    struct river_key key;
    char subject[MESSAGE_NAME_MAX + 1];
    char resource[MESSAGE_NAME_MAX + 1];
    if (was_signed(caller, right))
        return STATUS_OK;
    wipe(&caller->token);
    if (right->subject.size >= sizeof subject || right->resource.size >= sizeof resource) {
        error_set(error, "the name is too long");
        return STATUS_VALIDATION;
    }
    enum status status = river_key_load(caller->cli->home, &key, error);
    if (status != STATUS_OK) {
        error_wrap(error, "sign a capability for %s", right->action);
        return status;
    }
    snprintf(subject, sizeof subject, "%.*s", TEXT_ARGS(right->subject));
    snprintf(resource, sizeof resource, "%.*s", TEXT_ARGS(right->resource));
    uint64_t now_us = clock_now(caller->cli->clock).wall_us;
    struct capability_grant grant = {.subject = subject,
                                     .action = right->action,
                                     .resource = resource,
                                     .issued_us = now_us,
                                     .expires_us = now_us + TOKEN_SECONDS * UINT64_C(1000000)};
    status = capability_issue(&caller->token, &grant, &key.secret_key, error);
    river_key_clear(&key);
    return status;
}

static struct text
subject_of(const struct operation *operation, const struct arguments *arguments)
{
    for (unsigned i = 0; operation->capability_subject && i < operation->field_count; i++)
        if (strcmp(operation->fields[i].name, operation->capability_subject) == 0 &&
            arguments->present[i] && arguments->values[i].type == VALUE_TEXT)
            return arguments->values[i].as.text;
    return text_of(HOME_OPERATOR);
}

/* Listening to channels alone needs the right to those, not the one to an inbox. */
static bool
is_for_channels(const struct operation *operation, const struct arguments *arguments)
{
    return operation == bus_operation(OP_BUS_LISTEN) &&
           text_equal_string(arguments_text(arguments, BUS_LISTEN_INBOX), "none");
}

static enum status
sign_for(struct bus_caller *caller, const struct operation *operation,
         const struct arguments *arguments, struct error *error)
{
    struct buffer resource;
    buffer_init(&resource);
    struct right right = {.action = operation->capability_action,
                          .subject = subject_of(operation, arguments)};
    if (is_for_channels(operation, arguments)) {
        right.action = bus_operation(OP_BUS_HISTORY)->capability_action;
        buffer_append_string(&resource, "*");
    } else {
        contract_resource(operation, arguments, &resource);
    }
    right.resource = buffer_text(&resource);
    enum status status = resource.failed ? STATUS_NOMEM : sign(caller, &right, error);
    buffer_clear(&resource);
    return status;
}

/* ---- calls */

static unsigned
flags_of(const struct operation *operation)
{
    return (operation->flags & OPERATION_IDEMPOTENT ? MESSAGE_IDEMPOTENT : 0u) |
           (operation->flags & OPERATION_WRITE ? MESSAGE_WRITE : 0u) |
           (operation->flags & OPERATION_STREAM_ALWAYS ? MESSAGE_STREAM : 0u);
}

static struct text
target_of(const struct operation *operation, char out[static MESSAGE_NAME_MAX + 1])
{
    int size = snprintf(out, MESSAGE_NAME_MAX + 1, "service:%s", operation->service);
    return (struct text){out, size > 0 ? (size_t)size : 0};
}

enum status
bus_caller_request(struct bus_caller *caller, const struct operation *operation,
                   struct bytes payload, struct peer_request *request, struct error *error)
{
    struct arguments arguments;
    enum status status = contract_validate(operation, payload, &arguments, error);
    if (status != STATUS_OK)
        return status;
    struct text token = buffer_text(&caller->shown);
    if (!caller->as && token.size == 0 && operation->capability_action) {
        status = sign_for(caller, operation, &arguments, error);
        token = buffer_text(&caller->token);
    }
    if (status != STATUS_OK)
        return status;
    *request = (struct peer_request){
        .kind = KIND_REQUEST,
        .target = target_of(operation, caller->target),
        .type = text_of(operation->type),
        .payload = payload,
        .flags = flags_of(operation),
        .ttl_ms = operation->timeout_ms,
        .trace = &caller->trace,
        .capability = token,
    };
    return STATUS_OK;
}

enum status
bus_caller_call(struct bus_caller *caller, const struct operation *operation, struct bytes payload,
                struct buffer *reply, struct error *error)
{
    struct peer_request request;
    struct invoke invoke = {
        .peer = caller->peer, .signal_fd = caller->signal_fd, .clock = caller->cli->clock};
    enum status status = bus_caller_request(caller, operation, payload, &request, error);
    return status == STATUS_OK ? invoke_run(&invoke, &request, reply, error) : status;
}

static int
run_task(struct bus_caller *caller, const struct bus_task *task)
{
    struct error error = ERROR_INIT;
    struct buffer payload;
    struct buffer answer;
    buffer_init(&payload);
    buffer_init(&answer);
    enum status status = task->pack(task->context, caller, &payload, &error);
    if (status == STATUS_OK && payload.failed)
        status = STATUS_NOMEM;
    int code = EXIT_OK;
    if (status != STATUS_OK) {
        code = command_fail(caller->command, EXIT_USAGE, "%s",
                            error.message[0] ? error.message : status_text(status));
    } else {
        status = bus_caller_call(caller, task->operation, buffer_bytes(&payload), &answer, &error);
        code = status == STATUS_OK ? task->show(task->context, caller, buffer_bytes(&answer))
                                   : bus_caller_refused(caller, status, &error);
    }
    buffer_clear(&answer);
    buffer_clear(&payload);
    return code;
}

int
bus_caller_run(struct bus_caller *caller, struct cli *cli, const char *command,
               const struct bus_task *task)
{
    int code = bus_caller_open(caller, cli, command);
    if (code != EXIT_OK)
        return code;
    code = run_task(caller, task);
    bus_caller_close(caller);
    return code;
}

static enum status
pack_pattern(void *context, const struct bus_caller *caller, struct buffer *out,
             struct error *error)
{
    const char *const *pattern = context;
    (void)caller;
    (void)error;
    pack_map(out, 2);
    pack_pair_string(out, "pattern", *pattern);
    pack_pair_uint(out, "limit", PAGE_MAX);
    return STATUS_OK;
}

int
bus_caller_run_pattern(struct cli *cli, int argc, char **argv, unsigned operation,
                       int (*show)(void *context, const struct bus_caller *caller,
                                   struct bytes answer))
{
    const char *pattern = "*";
    struct bus_caller caller = {0};
    struct option_row rows[BUS_CALLER_OPTIONS];
    bus_caller_options(&caller, rows);
    struct options_line line = {rows, BUS_CALLER_OPTIONS, NULL, 0, &pattern, 1, 0};
    int code = options_parse(argv[0], &line, argc, argv);
    if (code != EXIT_OK)
        return code;
    return bus_caller_run(
        &caller, cli, argv[0],
        &(struct bus_task){bus_operation(operation), pack_pattern, show, &pattern});
}

static enum status
listen_once(struct bus_caller *caller, const struct bus_listening *listening, struct error *error)
{
    struct peer_request request;
    struct buffer payload;
    struct buffer reply;
    struct invoke invoke = {.peer = caller->peer,
                            .signal_fd = caller->signal_fd,
                            .clock = caller->cli->clock,
                            .on_chunk = listening->on_chunk,
                            .on_tick = listening->on_tick,
                            .tick_ms = LISTEN_TICK_MS,
                            .context = listening->context};
    buffer_init(&payload);
    buffer_init(&reply);
    listening->pack(listening->context, &payload);
    enum status status = payload.failed
                             ? STATUS_NOMEM
                             : bus_caller_request(caller, bus_operation(OP_BUS_LISTEN),
                                                  buffer_bytes(&payload), &request, error);
    if (status == STATUS_OK)
        status = invoke_run(&invoke, &request, &reply, error);
    buffer_clear(&reply);
    buffer_clear(&payload);
    return status;
}

int
bus_caller_listen(struct bus_caller *caller, const struct bus_listening *listening)
{
    for (;;) {
        struct error error = ERROR_INIT;
        enum status status = listen_once(caller, listening, &error);
        if (status == STATUS_CANCELLED)
            return EXIT_OK;
        if (status == STATUS_UNKNOWN_OUTCOME)
            fprintf(stderr, "sos %s: the broker was lost; waiting for it\n", caller->command);
        else if (status != STATUS_OK && status != STATUS_TIMEOUT)
            return bus_caller_refused(caller, status, &error);
    }
}

int
bus_caller_refused(const struct bus_caller *caller, enum status status, const struct error *error)
{
    if (status == STATUS_CANCELLED)
        return command_fail(caller->command, EXIT_FAILED, "cancelled");
    return print_refusal(caller->cli, caller->command, status, error);
}
