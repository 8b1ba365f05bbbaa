/* SPDX-License-Identifier: Apache-2.0 */
/* cli/call.c - `sos call`: any operation of any contract from the command line. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/call_values.h"
#include "cli/client.h"
#include "cli/invoke.h"
#include "cli/options.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/wait.h"
#include "kernel/contract.h"
#include "kernel/json.h"

enum { TIMEOUT_MAX_MS = 600000 };

struct call_line {
    const char *operation;
    const char *json_body;
    const char *capability_file;
    const char *connection_file;
    const char *idempotency_key;
    uint32_t timeout_ms; /* 0: the operation's own */
    const char *assignments[CALL_VALUES_MAX];
    size_t assignment_count;
};

/* ---- what there is */

static const struct operation *
find_operation(const char *name)
{
    const char *dot = strchr(name, '.');
    if (!dot)
        return NULL;
    const struct contract *contract = contract_find((struct text){name, (size_t)(dot - name)});
    for (size_t i = 0; contract && i < contract->operation_count; i++)
        if (strcmp(contract->operations[i].name, dot + 1) == 0)
            return &contract->operations[i];
    return NULL;
}

static void
list_for_people(void)
{
    for (size_t i = 0; contracts[i]; i++) {
        printf("%s%s: %s\n", i ? "\n" : "", contracts[i]->service, contracts[i]->summary);
        for (size_t j = 0; j < contracts[i]->operation_count; j++) {
            const struct operation *operation = &contracts[i]->operations[j];
            printf("  %s.%-*s %s\n", operation->service, (int)(22 - strlen(operation->service)),
                   operation->name, operation->summary);
        }
    }
    printf("\nsos call SERVICE.OPERATION --help lists an operation's fields\n");
}

static void
list_for_programs(void)
{
    struct buffer out;
    buffer_init(&out);
    buffer_append_string(&out, "[");
    for (size_t i = 0; contracts[i]; i++) {
        for (size_t j = 0; j < contracts[i]->operation_count; j++) {
            const struct operation *operation = &contracts[i]->operations[j];
            buffer_append_format(
                &out, "%s{\"operation\":\"%s.%s\",\"type\":\"%s\",\"summary\":", i || j ? "," : "",
                operation->service, operation->name, operation->type);
            json_append_text(&out, text_of(operation->summary));
            buffer_append_string(&out, "}");
        }
    }
    buffer_append_string(&out, "]\n");
    fwrite(out.data, 1, out.size, stdout);
    buffer_clear(&out);
}

static void
print_field(const struct field *field)
{
    struct buffer note;
    buffer_init(&note);
    if (field->flags & FIELD_REQUIRED)
        buffer_append_string(&note, "required");
    if (field->fallback.size) {
        buffer_append_string(&note, "default ");
        msgpack_to_json(field->fallback, &note, NULL);
    }
    for (size_t i = 0; field->words && field->words[i]; i++)
        buffer_append_format(&note, "%s%s", i ? " " : (note.size ? "; one of " : "one of "),
                             field->words[i]);
    struct buffer type;
    buffer_init(&type);
    call_values_type(field, &type);
    printf("  %-18s %-16.*s %.*s%s%s\n", field->name, TEXT_ARGS(buffer_text(&type)),
           TEXT_ARGS(buffer_text(&note)), note.size && field->summary ? ". " : "",
           field->summary ? field->summary : "");
    buffer_clear(&type);
    buffer_clear(&note);
}

bool
explain_call(int argc, char **argv)
{
    const struct operation *operation = argc > 1 ? find_operation(argv[1]) : NULL;
    if (!operation)
        return false;
    printf("usage: sos call %s.%s [FIELD=TEXT | FIELD:=JSON]...\n\n%s\n\n", operation->service,
           operation->name, operation->summary);
    if (operation->field_count)
        printf("fields:\n");
    else
        printf("It takes no fields.\n");
    for (size_t i = 0; i < operation->field_count; i++)
        print_field(&operation->fields[i]);
    if (operation->capability_action)
        printf("\ncapability where they are enforced: %s @ %s\n", operation->capability_action,
               operation->capability_resource);
    return true;
}

/* ---- the command line */

static int
parse_timeout(const char *text, uint32_t *timeout_ms)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (end == text || *end || errno || number < 1 || number > TIMEOUT_MAX_MS)
        return command_fail("call", EXIT_USAGE, "--timeout: came '%.32s', expected 1 to %d ms",
                            text, TIMEOUT_MAX_MS);
    *timeout_ms = (uint32_t)number;
    return EXIT_OK;
}

static int
parse(struct call_line *line, int argc, char **argv)
{
    const char *timeout = NULL;
    const struct option_row options[] = {
        {"--json-body", &line->json_body}, {"--cap", &line->capability_file},
        {"--as", &line->connection_file},  {"--idempotency-key", &line->idempotency_key},
        {"--timeout", &timeout},
    };
    for (int i = 1; i < argc; i++) {
        enum option_result result =
            options_take("call", options, sizeof options / sizeof *options, argc, argv, &i);
        if (result == OPTION_WRONG)
            return EXIT_USAGE;
        if (result == OPTION_TAKEN)
            continue;
        if (strncmp(argv[i], "--", 2) == 0) {
            return command_fail("call", EXIT_USAGE, "unknown option '%.64s'", argv[i]);
        } else if (!line->operation) {
            line->operation = argv[i];
        } else if (line->assignment_count < CALL_VALUES_MAX) {
            line->assignments[line->assignment_count++] = argv[i];
        } else {
            return command_fail("call", EXIT_USAGE, "more than %d fields", CALL_VALUES_MAX);
        }
    }
    return timeout ? parse_timeout(timeout, &line->timeout_ms) : EXIT_OK;
}

/* ---- the call */

static bool
asks_stream(const struct operation *operation, struct bytes payload)
{
    struct value map;
    bool stream = false;
    if (operation->flags & OPERATION_STREAM_ALWAYS)
        return true;
    return (operation->flags & OPERATION_STREAM) && value_parse(payload, &map) &&
           value_find_bool(&map, "stream", &stream) && stream;
}

struct output {
    bool indented;
    enum status status;
    struct error error;
};

static bool
print_chunk(void *context, struct bytes payload)
{
    struct output *output = context;
    output->status = print_value(payload, false, &output->error);
    return output->status == STATUS_OK;
}

static enum status
call(struct cli *cli, struct peer *peer, int signal_fd, const struct call_line *line,
     const struct operation *operation, struct bytes payload, struct error *error)
{
    struct output output = {.indented = !cli->json && isatty(STDOUT_FILENO)};
    char target[MESSAGE_NAME_MAX + 1];
    struct buffer token;
    struct buffer metadata;
    struct buffer reply;
    buffer_init(&token);
    buffer_init(&metadata);
    buffer_init(&reply);
    snprintf(target, sizeof target, "service:%s", operation->service);
    enum status status = STATUS_OK;
    if (line->capability_file)
        status = invoke_read_capability(line->capability_file, &token, error);
    if (line->idempotency_key) {
        pack_map(&metadata, 1);
        pack_pair_string(&metadata, "idempotency_key", line->idempotency_key);
    }
    bool stream = asks_stream(operation, payload);
    const struct trace trace = trace_new();
    struct peer_request request = {
        .kind = KIND_REQUEST,
        .target = text_of(target),
        .type = text_of(operation->type),
        .payload = payload,
        .flags = (stream ? MESSAGE_STREAM : 0u) |
                 (operation->flags & OPERATION_IDEMPOTENT ? MESSAGE_IDEMPOTENT : 0u) |
                 (operation->flags & OPERATION_WRITE ? MESSAGE_WRITE : 0u),
        .trace = &trace,
        .ttl_ms = line->timeout_ms ? line->timeout_ms : operation->timeout_ms,
        .capability = buffer_text(&token),
        .metadata = buffer_bytes(&metadata),
    };
    struct invoke invoke = {.peer = peer,
                            .signal_fd = signal_fd,
                            .clock = cli->clock,
                            .on_chunk = stream ? print_chunk : NULL,
                            .context = &output};
    if (status == STATUS_OK)
        status = invoke_run(&invoke, &request, &reply, error);
    if (output.status != STATUS_OK) {
        status = output.status;
        *error = output.error;
    }
    if (status == STATUS_OK && reply.size)
        status = print_value(buffer_bytes(&reply), output.indented && !stream, error);
    buffer_clear(&reply);
    buffer_clear(&metadata);
    buffer_clear(&token);
    return status;
}

int
run_call(struct cli *cli, int argc, char **argv)
{
    struct call_line line = {0};
    struct error error = ERROR_INIT;
    int code = parse(&line, argc, argv);
    if (code != EXIT_OK)
        return code;
    if (!line.operation) {
        if (cli->json)
            list_for_programs();
        else
            list_for_people();
        return EXIT_OK;
    }
    const struct operation *operation = find_operation(line.operation);
    if (!operation)
        return command_fail("call", EXIT_USAGE,
                            "unknown operation '%.64s', expected SERVICE.OPERATION; sos call "
                            "lists them",
                            line.operation);
    struct buffer payload;
    buffer_init(&payload);
    enum status status = call_values_pack(operation, text_of(line.json_body), line.assignments,
                                          line.assignment_count, &payload, &error);
    if (status != STATUS_OK) {
        code = command_fail("call", EXIT_USAGE, "%s.%s: %s", operation->service, operation->name,
                            error.message);
        buffer_clear(&payload);
        return code;
    }
    int signal_fd = wait_signals();
    struct peer *peer = NULL;
    struct session_options options = {.connection_file = line.connection_file};
    status = session_open(&peer, cli, &options, &error);
    if (status != STATUS_OK) {
        code = command_fail("call", EXIT_UNREACHABLE, "%s", error.message);
    } else {
        status = call(cli, peer, signal_fd, &line, operation, buffer_bytes(&payload), &error);
        if (status != STATUS_OK)
            code = print_refusal(cli, "call", status, &error);
    }
    peer_close(&peer);
    if (signal_fd >= 0)
        close(signal_fd);
    buffer_clear(&payload);
    return code;
}
