/* SPDX-License-Identifier: Apache-2.0 */
/* cli/send.c - `sos send`: a durable message into an inbox, or to a squad. */
#include <stdio.h>

#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/bus_values.h"
#include "cli/client.h"

struct send_line {
    const char *from, *ttl, *at, *id, *reply_to;
    bool text;
    const char *words[3]; /* TO [TYPE] PAYLOAD */
    size_t word_count;
};

static enum status
pack(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct send_line *line = context;
    struct buffer argument;
    char moment[TIMESTAMP_TEXT_SIZE];
    uint64_t ttl_ms = 0;
    buffer_init(&argument);
    uint32_t optional = 0u + (line->word_count == 3) + (line->ttl != NULL) + (line->at != NULL) +
                        (line->id != NULL) + (line->reply_to != NULL);
    pack_map(out, 3 + optional);
    pack_pair_string(out, "from", line->from ? line->from : caller->identity);
    pack_pair_string(out, "to", line->words[0]);
    if (line->word_count == 3)
        pack_pair_string(out, "type", line->words[1]);
    if (line->id)
        pack_pair_string(out, "message_id", line->id);
    if (line->reply_to)
        pack_pair_string(out, "in_reply_to", line->reply_to);
    enum status status = STATUS_OK;
    if (line->ttl) {
        status = values_duration("--ttl", line->ttl, UINT32_MAX, &ttl_ms, error);
        pack_pair_uint(out, "ttl_ms", ttl_ms);
    }
    if (line->at && status == STATUS_OK) {
        uint64_t now_us = clock_now(caller->cli->clock).wall_us;
        status = values_moment("--at", line->at, now_us, moment, error);
        if (status == STATUS_OK)
            pack_pair_string(out, "deliver_at", moment);
    }
    if (status == STATUS_OK)
        status = values_argument(line->words[line->word_count - 1], &argument, error);
    pack_string(out, "payload");
    if (status == STATUS_OK)
        status = values_body(buffer_text(&argument), line->text, out, error);
    buffer_clear(&argument);
    return status;
}

static int
show(void *context, const struct bus_caller *caller, struct bytes reply)
{
    (void)context;
    struct value map;
    uint64_t copies = 0;
    bool duplicate = false;
    if (caller->cli->json)
        return show_json(caller, reply);
    if (!value_parse(reply, &map))
        return command_fail("send", EXIT_FAILED, "the answer cannot be read");
    struct text id = show_text(&map, "message_id");
    value_find_uint(&map, "copies", &copies);
    value_find_bool(&map, "duplicate", &duplicate);
    printf("%.*s  ", TEXT_ARGS(id));
    if (duplicate)
        printf("was there already\n");
    else
        printf("on disk, %llu inbox%s\n", (unsigned long long)copies, copies == 1 ? "" : "es");
    return EXIT_OK;
}

int
run_send(struct cli *cli, int argc, char **argv)
{
    struct send_line send = {0};
    struct bus_caller caller = {0};
    struct option_row rows[BUS_CALLER_OPTIONS + 5];
    bus_caller_options(&caller, rows);
    rows[2] = (struct option_row){"--from", &send.from};
    rows[3] = (struct option_row){"--ttl", &send.ttl};
    rows[4] = (struct option_row){"--at", &send.at};
    rows[5] = (struct option_row){"--id", &send.id};
    rows[6] = (struct option_row){"--reply-to", &send.reply_to};
    const struct flag_row flags[] = {{"--text", &send.text}};
    struct options_line line = {rows, 7, flags, 1, send.words, 3, 0};
    int code = options_parse("send", &line, argc, argv);
    send.word_count = line.word_count;
    if (code == EXIT_OK && line.word_count < 2)
        code = command_fail("send", EXIT_USAGE, "expected: sos send TO [TYPE] PAYLOAD");
    if (code != EXIT_OK)
        return code;
    return bus_caller_run(&caller, cli, "send",
                          &(struct bus_task){bus_operation(OP_BUS_SEND), pack, show, &send});
}
