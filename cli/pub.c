/* SPDX-License-Identifier: Apache-2.0 */
/* cli/pub.c - `sos pub`: says something on a channel. */
#include <stdio.h>

#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/bus_values.h"
#include "cli/client.h"

struct pub_line {
    const char *from;
    bool text;
    const char *words[3]; /* CHANNEL [TYPE] PAYLOAD */
    size_t word_count;
};

static enum status
pack(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct pub_line *line = context;
    struct buffer argument;
    buffer_init(&argument);
    pack_map(out, 3 + (line->word_count == 3));
    pack_pair_string(out, "from", line->from ? line->from : caller->identity);
    pack_pair_string(out, "channel", line->words[0]);
    if (line->word_count == 3)
        pack_pair_string(out, "type", line->words[1]);
    pack_string(out, "payload");
    enum status status = values_argument(line->words[line->word_count - 1], &argument, error);
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
    uint64_t seq = 0;
    uint64_t subscribers = 0;
    if (caller->cli->json)
        return show_json(caller, reply);
    if (!value_parse(reply, &map))
        return command_fail("pub", EXIT_FAILED, "the answer cannot be read");
    value_find_uint(&map, "seq", &seq);
    value_find_uint(&map, "subscribers", &subscribers);
    printf("event %llu, %llu subscriber%s\n", (unsigned long long)seq,
           (unsigned long long)subscribers, subscribers == 1 ? "" : "s");
    return EXIT_OK;
}

int
run_pub(struct cli *cli, int argc, char **argv)
{
    struct pub_line pub = {0};
    struct bus_caller caller = {0};
    struct option_row rows[BUS_CALLER_OPTIONS + 1];
    bus_caller_options(&caller, rows);
    rows[2] = (struct option_row){"--from", &pub.from};
    const struct flag_row flags[] = {{"--text", &pub.text}};
    struct options_line line = {rows, 3, flags, 1, pub.words, 3, 0};
    int code = options_parse("pub", &line, argc, argv);
    pub.word_count = line.word_count;
    if (code == EXIT_OK && line.word_count < 2)
        code = command_fail("pub", EXIT_USAGE, "expected: sos pub CHANNEL [TYPE] PAYLOAD");
    if (code != EXIT_OK)
        return code;
    return bus_caller_run(&caller, cli, "pub",
                          &(struct bus_task){bus_operation(OP_BUS_PUBLISH), pack, show, &pub});
}
