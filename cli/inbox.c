/* SPDX-License-Identifier: Apache-2.0 */
/* cli/inbox.c - `sos inbox`: looks into an inbox, takes messages out of it, or follows what comes.
 */
#include <stdio.h>

#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/bus_values.h"
#include "cli/client.h"

struct inbox {
    struct bus_caller caller;
    struct screen screen;
    const char *agent; /* NULL: who calls */
    const char *limit, *wait, *after;
    bool peek, take, follow, ack;
    uint64_t shown;
    uint64_t limit_number;
    bool failed; /* said on stderr */
};

static const char *
agent_of(const struct inbox *inbox)
{
    return inbox->agent ? inbox->agent : inbox->caller.identity;
}

/* ---- acknowledging */

static uint32_t
pack_ack(const struct inbox *inbox, const struct value *mail, struct buffer *out)
{
    struct value message;
    pack_map(out, 2);
    pack_pair_string(out, "agent_id", agent_of(inbox));
    pack_string(out, "ids");
    pack_array(out, mail->as.count);
    for (struct entries entries = value_entries(mail); entries_next(&entries, &message);)
        pack_text(out, show_text(&message, "id"));
    return mail->as.count;
}

static void
on_acked(void *context, const struct peer_answer *answer)
{
    struct inbox *inbox = context;
    struct error error = ERROR_INIT;
    if (answer->status == STATUS_OK)
        return;
    error_unpack(answer->payload, &error);
    bus_caller_refused(&inbox->caller, answer->status, &error);
    inbox->failed = true;
}

/* While a stream is listened to: the answer comes when it comes. */
static void
ack_later(struct inbox *inbox, const struct value *mail)
{
    struct error error = ERROR_INIT;
    struct buffer payload;
    struct peer_request request;
    struct uuid id;
    buffer_init(&payload);
    if (pack_ack(inbox, mail, &payload) > 0) {
        enum status status = payload.failed
                                 ? STATUS_NOMEM
                                 : bus_caller_request(&inbox->caller, bus_operation(OP_BUS_ACK),
                                                      buffer_bytes(&payload), &request, &error);
        request.on_reply = on_acked;
        request.context = inbox;
        if (status == STATUS_OK)
            status = peer_call(inbox->caller.peer, &request, &id, &error);
        if (status != STATUS_OK) {
            bus_caller_refused(&inbox->caller, status, &error);
            inbox->failed = true;
        }
    }
    buffer_clear(&payload);
}

static int
ack_now(struct inbox *inbox, const struct value *mail)
{
    struct error error = ERROR_INIT;
    struct buffer payload;
    struct buffer answer;
    buffer_init(&payload);
    buffer_init(&answer);
    enum status status = STATUS_OK;
    if (pack_ack(inbox, mail, &payload) > 0)
        status = payload.failed ? STATUS_NOMEM
                                : bus_caller_call(&inbox->caller, bus_operation(OP_BUS_ACK),
                                                  buffer_bytes(&payload), &answer, &error);
    buffer_clear(&answer);
    buffer_clear(&payload);
    return status == STATUS_OK ? EXIT_OK : bus_caller_refused(&inbox->caller, status, &error);
}

/* ---- following */

static void
pack_listen(void *context, struct buffer *payload)
{
    const struct inbox *inbox = context;
    pack_map(payload, 2);
    pack_pair_string(payload, "agent_id", agent_of(inbox));
    pack_pair_string(payload, "inbox", inbox->take ? "take" : "watch");
}

static bool
on_chunk(void *context, struct bytes payload)
{
    struct inbox *inbox = context;
    struct value chunk;
    struct value mail;
    struct value message;
    if (!value_parse(payload, &chunk) || !value_find(&chunk, "mail", &mail) ||
        mail.type != VALUE_ARRAY)
        return !inbox->failed;
    for (struct entries entries = value_entries(&mail); entries_next(&entries, &message);) {
        if (!show_mail(inbox->caller.cli, &inbox->screen, &message)) {
            inbox->failed = true;
            return false;
        }
        inbox->shown++;
    }
    if (inbox->ack)
        ack_later(inbox, &mail);
    return !inbox->failed && (!inbox->limit || inbox->shown < inbox->limit_number);
}

static bool
on_tick(void *context)
{
    const struct inbox *inbox = context;
    return !inbox->failed;
}

static int
follow(struct inbox *inbox)
{
    int code = bus_caller_listen(&inbox->caller,
                                 &(struct bus_listening){pack_listen, on_chunk, on_tick, inbox});
    return inbox->failed ? EXIT_FAILED : code;
}

/* ---- once */

static enum status
pack_once(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct inbox *inbox = context;
    uint64_t wait_ms = 0;
    uint64_t after = 0;
    enum status status = STATUS_OK;
    (void)caller;
    if (inbox->wait)
        status = values_duration("--wait", inbox->wait, 30000, &wait_ms, error);
    if (status == STATUS_OK && inbox->after)
        status = values_number("--after", inbox->after, 0, INT64_MAX, &after, error);
    pack_map(out, 5);
    pack_pair_string(out, "agent_id", agent_of(inbox));
    pack_pair_uint(out, "limit", inbox->limit_number);
    pack_pair_uint(out, "wait_ms", wait_ms);
    pack_pair_uint(out, "after", after);
    pack_pair_bool(out, "peek", !inbox->take);
    return status;
}

static int
show_once(void *context, const struct bus_caller *caller, struct bytes answer)
{
    struct inbox *inbox = context;
    struct value map;
    struct value mail;
    struct value message;
    uint64_t waiting = 0;
    if (!value_parse(answer, &map) || !value_find(&map, "messages", &mail) ||
        mail.type != VALUE_ARRAY)
        return command_fail("inbox", EXIT_FAILED, "the answer cannot be read");
    if (caller->cli->json) {
        int code = show_json(caller, answer);
        if (code != EXIT_OK)
            return code;
    }
    for (struct entries entries = value_entries(&mail);
         !caller->cli->json && entries_next(&entries, &message);)
        if (!show_mail(caller->cli, &inbox->screen, &message))
            return command_fail("inbox", EXIT_FAILED, "standard output cannot be written");
    int code = inbox->ack ? ack_now(inbox, &mail) : EXIT_OK;
    value_find_uint(&map, "waiting", &waiting);
    if (waiting > 0)
        fprintf(stderr, "%llu more wait\n", (unsigned long long)waiting);
    else if (mail.as.count == 0)
        fprintf(stderr, "nothing\n");
    return code;
}

/* ---- the command */

static int
check(struct inbox *inbox)
{
    struct error error = ERROR_INIT;
    uint64_t max = inbox->follow ? UINT32_MAX : 256;
    inbox->limit_number = 100;
    if (inbox->peek && (inbox->take || inbox->ack))
        return command_fail("inbox", EXIT_USAGE, "--peek takes nothing: not with --take and --ack");
    if (inbox->follow && (inbox->wait || inbox->after))
        return command_fail("inbox", EXIT_USAGE, "--follow: not with --wait and --after");
    inbox->take = inbox->take || inbox->ack;
    if (inbox->limit &&
        values_number("--limit", inbox->limit, 1, max, &inbox->limit_number, &error) != STATUS_OK)
        return command_fail("inbox", EXIT_USAGE, "%s", error.message);
    return EXIT_OK;
}

int
run_inbox(struct cli *cli, int argc, char **argv)
{
    struct inbox inbox = {.screen = screen_of_stdout(COLOR_AUTO)};
    struct option_row rows[BUS_CALLER_OPTIONS + 3];
    bus_caller_options(&inbox.caller, rows);
    rows[2] = (struct option_row){"--limit", &inbox.limit};
    rows[3] = (struct option_row){"--wait", &inbox.wait};
    rows[4] = (struct option_row){"--after", &inbox.after};
    const struct flag_row flags[] = {{"--peek", &inbox.peek},
                                     {"--take", &inbox.take},
                                     {"--follow", &inbox.follow},
                                     {"--ack", &inbox.ack}};
    struct options_line line = {rows, 5, flags, 4, &inbox.agent, 1, 0};
    int code = options_parse("inbox", &line, argc, argv);
    if (code == EXIT_OK)
        code = check(&inbox);
    if (code != EXIT_OK)
        return code;
    if (!inbox.follow)
        return bus_caller_run(
            &inbox.caller, cli, "inbox",
            &(struct bus_task){bus_operation(OP_BUS_INBOX), pack_once, show_once, &inbox});
    code = bus_caller_open(&inbox.caller, cli, "inbox");
    if (code != EXIT_OK)
        return code;
    code = follow(&inbox);
    bus_caller_close(&inbox.caller);
    return code;
}
