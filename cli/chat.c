/* SPDX-License-Identifier: Apache-2.0 */
/* cli/chat.c - `sos chat`: one answer, or a conversation line by line. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "cli/client.h"
#include "cli/invoke.h"
#include "cli/options.h"
#include "cli/print.h"
#include "cli/session.h"
#include "cli/wait.h"
#include "kernel/pack.h"

enum { MESSAGE_SIZE_MAX = 65536, ANSWER_MS = 180000 };

struct chat {
    struct cli *cli;
    struct peer *peer;
    int signal_fd;
    const char *agent;
    const char *model;
    char conversation[MESSAGE_NAME_MAX + 1]; /* "" until the first answer names it */
    struct buffer token;
    bool printed; /* of the running answer */
    char last;    /* byte printed */
};

/* ---- one answer */

static void
print_text(struct chat *chat, struct text text)
{
    struct buffer clean;
    buffer_init(&clean);
    print_clean(text, &clean);
    fwrite(clean.data, 1, clean.size, stdout);
    fflush(stdout);
    if (clean.size) {
        chat->printed = true;
        chat->last = (char)clean.data[clean.size - 1];
    }
    buffer_clear(&clean);
}

static bool
take_chunk(void *context, struct bytes payload)
{
    struct chat *chat = context;
    struct value chunk;
    struct text text;
    if (value_parse(payload, &chunk) && value_find_text(&chunk, "chunk", &text))
        print_text(chat, text);
    return true;
}

static void
pack_request(const struct chat *chat, struct text message, struct buffer *out)
{
    bool has_conversation = *chat->conversation != '\0';
    pack_map(out, 3u + has_conversation + (chat->model != NULL));
    pack_pair_text(out, "message", message);
    pack_pair_string(out, "agent_id", chat->agent);
    pack_pair_bool(out, "stream", !chat->cli->json);
    if (has_conversation)
        pack_pair_string(out, "conversation_id", chat->conversation);
    if (chat->model)
        pack_pair_string(out, "model", chat->model);
}

/* The last part of an answer: what chunks did not bring, and the conversation's id. */
static enum status
take_reply(struct chat *chat, struct bytes reply, struct error *error)
{
    struct value map;
    struct text text;
    if (chat->cli->json)
        return print_value(reply, false, error);
    if (value_parse(reply, &map) && !chat->printed && value_find_text(&map, "content", &text))
        print_text(chat, text);
    return STATUS_OK;
}

static void
keep_conversation(struct chat *chat, struct bytes reply)
{
    struct value map;
    struct text id;
    if (value_parse(reply, &map) && value_find_text(&map, "conversation_id", &id) &&
        id.size < sizeof chat->conversation && id.size > 0) {
        memcpy(chat->conversation, id.data, id.size);
        chat->conversation[id.size] = '\0';
    }
}

/* *signal_number: what cut the answer off. */
static enum status
ask(struct chat *chat, struct text message, int *signal_number, struct error *error)
{
    struct buffer payload;
    struct buffer reply;
    buffer_init(&payload);
    buffer_init(&reply);
    pack_request(chat, message, &payload);
    const struct trace trace = trace_new();
    struct peer_request request = {
        .kind = KIND_REQUEST,
        .target = text_of("service:engine"),
        .type = text_of("chat"),
        .payload = buffer_bytes(&payload),
        .flags = MESSAGE_WRITE | (chat->cli->json ? 0u : MESSAGE_STREAM),
        .trace = &trace,
        .ttl_ms = ANSWER_MS,
        .capability = buffer_text(&chat->token),
    };
    struct invoke invoke = {.peer = chat->peer,
                            .signal_fd = chat->signal_fd,
                            .clock = chat->cli->clock,
                            .on_chunk = chat->cli->json ? NULL : take_chunk,
                            .context = chat};
    chat->printed = false;
    chat->last = '\n';
    enum status status = invoke_run(&invoke, &request, &reply, error);
    if (status == STATUS_OK) {
        keep_conversation(chat, buffer_bytes(&reply));
        status = take_reply(chat, buffer_bytes(&reply), error);
    }
    if (chat->last != '\n')
        putchar('\n');
    fflush(stdout);
    *signal_number = invoke.signal_number;
    buffer_clear(&reply);
    buffer_clear(&payload);
    return status;
}

/* ---- line by line */

static void
prompt(const struct chat *chat)
{
    if (isatty(STDIN_FILENO) && !chat->cli->json) {
        printf("> ");
        fflush(stdout);
    }
}

/* Keeps the session alive until there is something to read. False: a signal came. */
static bool
await_input(struct chat *chat)
{
    for (;;) {
        while (peer_process(chat->peer))
            continue;
        zmq_pollitem_t items[] = {
            {.socket = peer_socket(chat->peer), .events = ZMQ_POLLIN},
            {.fd = chat->signal_fd, .events = ZMQ_POLLIN},
            {.fd = STDIN_FILENO, .events = ZMQ_POLLIN},
        };
        zmq_poll(items, 3, invoke_timeout_ms(chat->peer, chat->cli->clock));
        if (invoke_take_signal(chat->signal_fd))
            return false;
        if (items[2].revents)
            return true;
    }
}

/* Answers one line; false: the conversation is over. */
static bool
answer_line(struct chat *chat, struct text line, int *code)
{
    struct error error = ERROR_INIT;
    int signal_number = 0;
    while (line.size && (line.data[line.size - 1] == '\r' || line.data[line.size - 1] == ' '))
        line.size--;
    if (line.size == 0)
        return true;
    if (!text_is_utf8(line)) {
        *code = command_fail("chat", EXIT_FAILED, "the line is not UTF-8 text");
        return true;
    }
    enum status status = ask(chat, line, &signal_number, &error);
    if (status == STATUS_CANCELLED)
        return signal_number == SIGINT && isatty(STDIN_FILENO);
    *code = EXIT_OK;
    if (status != STATUS_OK)
        *code = print_refusal(chat->cli, "chat", status, &error);
    return peer_state(chat->peer) != PEER_REFUSED;
}

/* Answers every whole line of the input; what is left stays. */
static bool
answer_lines(struct chat *chat, struct buffer *input, int *code)
{
    uint8_t *end;
    while (input->size && (end = memchr(input->data, '\n', input->size))) {
        struct text line = {(const char *)input->data, (size_t)(end - input->data)};
        bool goes_on = answer_line(chat, line, code);
        size_t used = line.size + 1;
        memmove(input->data, input->data + used, input->size - used);
        input->size -= used;
        if (!goes_on)
            return false;
        prompt(chat);
    }
    return true;
}

static int
converse(struct chat *chat)
{
    struct buffer input;
    buffer_init(&input);
    int code = EXIT_OK;
    prompt(chat);
    while (await_input(chat)) {
        if (input.size > MESSAGE_SIZE_MAX) {
            code =
                command_fail("chat", EXIT_FAILED, "a line has at most %d bytes", MESSAGE_SIZE_MAX);
            break;
        }
        if (!buffer_reserve(&input, MESSAGE_SIZE_MAX)) {
            code = command_fail("chat", EXIT_FAILED, "out of memory");
            break;
        }
        ssize_t got = read(STDIN_FILENO, input.data + input.size, MESSAGE_SIZE_MAX);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got <= 0) { /* the last line may lack its end */
            answer_line(chat, buffer_text(&input), &code);
            break;
        }
        input.size += (size_t)got;
        if (!answer_lines(chat, &input, &code))
            break;
    }
    buffer_clear(&input);
    return code;
}

/* ---- the command */

static int
parse(struct chat *chat, struct session_options *session, struct buffer *message, int argc,
      char **argv, const char **capability_file)
{
    const char *conversation = NULL;
    const struct option_row options[] = {
        {"--agent", &chat->agent},  {"--conversation", &conversation},
        {"--model", &chat->model},  {"--as", &session->connection_file},
        {"--cap", capability_file},
    };
    for (int i = 1; i < argc; i++) {
        enum option_result result =
            options_take("chat", options, sizeof options / sizeof *options, argc, argv, &i);
        if (result == OPTION_WRONG)
            return EXIT_USAGE;
        if (result == OPTION_TAKEN)
            continue;
        if (strncmp(argv[i], "--", 2) == 0)
            return command_fail("chat", EXIT_USAGE, "unknown option '%.64s'", argv[i]);
        buffer_append_format(message, "%s%s", message->size ? " " : "", argv[i]);
    }
    if (conversation && strlen(conversation) >= sizeof chat->conversation)
        return command_fail("chat", EXIT_USAGE, "--conversation: at most %d bytes",
                            MESSAGE_NAME_MAX);
    if (conversation)
        memcpy(chat->conversation, conversation, strlen(conversation) + 1);
    if (!text_is_utf8(buffer_text(message)))
        return command_fail("chat", EXIT_USAGE, "the message is not UTF-8 text");
    return EXIT_OK;
}

static int
answer_once(struct chat *chat, struct text message)
{
    struct error error = ERROR_INIT;
    int signal_number = 0;
    enum status status = ask(chat, message, &signal_number, &error);
    return status == STATUS_OK ? EXIT_OK : print_refusal(chat->cli, "chat", status, &error);
}

int
run_chat(struct cli *cli, int argc, char **argv)
{
    struct chat chat = {.cli = cli, .agent = "agent:river"};
    struct session_options session = {0};
    struct error error = ERROR_INIT;
    const char *capability_file = NULL;
    struct buffer message;
    buffer_init(&message);
    buffer_init(&chat.token);
    int code = parse(&chat, &session, &message, argc, argv, &capability_file);
    if (code == EXIT_OK && capability_file &&
        invoke_read_capability(capability_file, &chat.token, &error) != STATUS_OK)
        code = command_fail("chat", EXIT_FAILED, "%s", error.message);
    if (code == EXIT_OK) {
        chat.signal_fd = wait_signals();
        if (session_open(&chat.peer, cli, &session, &error) != STATUS_OK)
            code = command_fail("chat", EXIT_UNREACHABLE, "%s", error.message);
        else if (message.size)
            code = answer_once(&chat, buffer_text(&message));
        else
            code = converse(&chat);
        peer_close(&chat.peer);
        if (chat.signal_fd >= 0)
            close(chat.signal_fd);
    }
    buffer_clear(&chat.token);
    buffer_clear(&message);
    return code;
}
