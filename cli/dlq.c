/* SPDX-License-Identifier: Apache-2.0 */
/* cli/dlq.c - `sos dlq`: dead letters of an inbox: what could not be delivered. */
#include <stdio.h>
#include <string.h>

#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/client.h"

enum { IDS_MAX = 256 };

struct dlq_line {
    bool all;
    const char *words[IDS_MAX + 2]; /* list|show|replay|drop AGENT [ID…] */
    size_t word_count;
};

static enum status
pack_list(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct dlq_line *line = context;
    (void)caller;
    (void)error;
    pack_map(out, 2);
    pack_pair_string(out, "agent_id", line->words[1]);
    pack_pair_uint(out, "limit", 1000);
    return STATUS_OK;
}

static enum status
pack_one(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct dlq_line *line = context;
    (void)caller;
    if (line->word_count != 3) {
        error_set(error, "expected: sos dlq show AGENT ID");
        return STATUS_VALIDATION;
    }
    pack_map(out, 2);
    pack_pair_string(out, "agent_id", line->words[1]);
    pack_pair_string(out, "dead_id", line->words[2]);
    return STATUS_OK;
}

static enum status
pack_ids(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct dlq_line *line = context;
    size_t count = line->word_count - 2;
    (void)caller;
    if ((count == 0) != line->all) {
        error_set(error, "expected: sos dlq %s AGENT ID…, or --all", line->words[0]);
        return STATUS_VALIDATION;
    }
    pack_map(out, count > 0 ? 2 : 1);
    pack_pair_string(out, "agent_id", line->words[1]);
    if (count == 0)
        return STATUS_OK;
    pack_string(out, "ids");
    pack_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        pack_string(out, line->words[2 + i]);
    return STATUS_OK;
}

static void
row(struct table *table, const struct value *letter)
{
    struct value message = {0};
    value_find(letter, "message", &message);
    show_member(table, letter, "dead_id");
    show_moment(table, letter, "died_at");
    show_member(table, letter, "attempts");
    show_member(table, &message, "from");
    show_member(table, &message, "type");
    show_member(table, letter, "reason");
}

static int
show_letters(void *context, const struct bus_caller *caller, struct bytes answer)
{
    static const char *const headings[] = {"ID",   "DIED (UTC)", ">TRIES", "FROM",
                                           "TYPE", "REASON",     NULL};
    (void)context;
    return show_list(caller, answer, "dead_letters", headings, row);
}

static int
show_letter(void *context, const struct bus_caller *caller, struct bytes answer)
{
    static const char *const headings[] = {"", "", NULL};
    static const char *const of_letter[] = {"dead_id", "reason", "attempts", "died_at"};
    static const char *const of_message[] = {"id",      "from",     "to",     "type",
                                             "sent_at", "metadata", "payload"};
    struct value letter;
    struct value message = {0};
    (void)context;
    if (caller->cli->json)
        return show_json(caller, answer);
    if (!value_parse(answer, &letter))
        return command_fail("dlq", EXIT_FAILED, "the answer cannot be read");
    value_find(&letter, "message", &message);
    struct table *table = table_new(headings);
    if (!table)
        return command_fail("dlq", EXIT_FAILED, "out of memory");
    for (size_t i = 0; i < sizeof of_letter / sizeof of_letter[0]; i++) {
        table_add(table, text_of(of_letter[i]));
        show_member(table, &letter, of_letter[i]);
    }
    for (size_t i = 0; i < sizeof of_message / sizeof of_message[0]; i++) {
        table_add(table, text_of(of_message[i]));
        show_member(table, &message, of_message[i]);
    }
    struct screen screen = screen_of_stdout(COLOR_AUTO);
    screen.width = 0;
    bool printed = table_print(table, &screen);
    table_destroy(&table);
    return printed ? EXIT_OK
                   : command_fail("dlq", EXIT_FAILED, "standard output cannot be written");
}

/* Ids that nobody knew make the command fail, after what could be done was done. */
static int
show_done(void *context, const struct bus_caller *caller, struct bytes answer)
{
    const struct dlq_line *line = context;
    bool drops = strcmp(line->words[0], "drop") == 0;
    struct value map;
    struct value unknown;
    struct value id;
    uint64_t done = 0;
    uint64_t left = 0;
    int code = EXIT_OK;
    if (!value_parse(answer, &map))
        return command_fail("dlq", EXIT_FAILED, "the answer cannot be read");
    value_find_uint(&map, drops ? "dropped" : "replayed", &done);
    value_find_uint(&map, "left", &left);
    if (caller->cli->json)
        code = show_json(caller, answer);
    else
        printf("%llu %s, %llu left\n", (unsigned long long)done,
               drops ? "dropped" : "back in the inbox", (unsigned long long)left);
    if (!value_find(&map, "unknown", &unknown) || unknown.type != VALUE_ARRAY)
        return code;
    for (struct entries entries = value_entries(&unknown); entries_next(&entries, &id);) {
        if (id.type == VALUE_TEXT)
            code = command_fail("dlq", EXIT_FAILED, "no dead letter %.*s", TEXT_ARGS(id.as.text));
    }
    return code;
}

static const struct {
    const char *verb;
    unsigned operation;
    enum status (*pack)(void *context, const struct bus_caller *caller, struct buffer *out,
                        struct error *error);
    int (*show)(void *context, const struct bus_caller *caller, struct bytes answer);
} verbs[] = {
    {"list", OP_BUS_DEAD_LIST, pack_list, show_letters},
    {"show", OP_BUS_DEAD_GET, pack_one, show_letter},
    {"replay", OP_BUS_DEAD_REPLAY, pack_ids, show_done},
    {"drop", OP_BUS_DEAD_DROP, pack_ids, show_done},
};

int
run_dlq(struct cli *cli, int argc, char **argv)
{
    struct dlq_line dlq = {0};
    struct bus_caller caller = {0};
    struct option_row rows[BUS_CALLER_OPTIONS];
    bus_caller_options(&caller, rows);
    const struct flag_row flags[] = {{"--all", &dlq.all}};
    struct options_line line = {rows, BUS_CALLER_OPTIONS, flags, 1, dlq.words, IDS_MAX + 2, 0};
    int code = options_parse("dlq", &line, argc, argv);
    dlq.word_count = line.word_count;
    if (code != EXIT_OK)
        return code;
    for (size_t i = 0; line.word_count >= 2 && i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(dlq.words[0], verbs[i].verb) != 0)
            continue;
        return bus_caller_run(&caller, cli, "dlq",
                              &(struct bus_task){bus_operation(verbs[i].operation), verbs[i].pack,
                                                 verbs[i].show, &dlq});
    }
    return command_fail("dlq", EXIT_USAGE, "expected: sos dlq list|show|replay|drop AGENT [ID…]");
}
