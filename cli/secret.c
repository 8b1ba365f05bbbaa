/* SPDX-License-Identifier: Apache-2.0 */
/* cli/secret.c - `sos secret`: keeps, shows, lists and forgets secrets. A value comes from standard
 * input or is asked for; it never stands on a command line. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actors/identity/secret.h"
#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/client.h"
#include "cli/secret_input.h"
#include "contracts/identity.h"

struct secret_line {
    const char *words[2]; /* set|get|list|rm NAME */
    size_t word_count;
    struct buffer value; /* of set */
};

struct verb {
    const char *word;
    unsigned operation;
    size_t words;
    int (*show)(const struct bus_caller *caller, struct bytes answer);
};

static int
unreadable(void)
{
    return command_fail("secret", EXIT_FAILED, "the answer cannot be read");
}

static int
show_set(const struct bus_caller *caller, struct bytes answer)
{
    struct value map;
    bool created = false;
    if (caller->cli->json)
        return show_json(caller, answer);
    if (!value_parse(answer, &map))
        return unreadable();
    value_find_bool(&map, "created", &created);
    struct text name = show_text(&map, "name");
    printf("%.*s is %s\n", TEXT_ARGS(name), created ? "kept" : "replaced");
    return EXIT_OK;
}

static int
show_value(const struct bus_caller *caller, struct bytes answer)
{
    struct value map;
    struct text value;
    if (caller->cli->json)
        return show_json(caller, answer);
    if (!value_parse(answer, &map) || !value_find_text(&map, "value", &value))
        return unreadable();
    bool written = fwrite(value.data, 1, value.size, stdout) == value.size;
    if (isatty(STDOUT_FILENO))
        putchar('\n');
    return written && fflush(stdout) == 0
               ? EXIT_OK
               : command_fail("secret", EXIT_FAILED, "standard output cannot be written");
}

static void
row(struct table *table, const struct value *secret)
{
    show_member(table, secret, "name");
    show_moment(table, secret, "created_at");
    show_moment(table, secret, "updated_at");
}

static int
show_names(const struct bus_caller *caller, struct bytes answer)
{
    static const char *const headings[] = {"NAME", "CREATED (UTC)", "UPDATED (UTC)", NULL};
    return show_list(caller, answer, NULL, headings, row);
}

static int
show_removed(const struct bus_caller *caller, struct bytes answer)
{
    if (caller->cli->json)
        return show_json(caller, answer);
    printf("forgotten\n");
    return EXIT_OK;
}

static const struct verb verbs[] = {
    {"set", OP_IDENTITY_SECRET_SET, 2, show_set},
    {"get", OP_IDENTITY_SECRET_GET, 2, show_value},
    {"list", OP_IDENTITY_SECRET_LIST, 1, show_names},
    {"rm", OP_IDENTITY_SECRET_REMOVE, 2, show_removed},
};

static const struct verb *
find_verb(const struct secret_line *line)
{
    for (size_t i = 0; line->word_count > 0 && i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(line->words[0], verbs[i].word) == 0 && line->word_count == verbs[i].words)
            return &verbs[i];
    return NULL;
}

static void
pack(const struct secret_line *line, const struct verb *verb, struct buffer *payload)
{
    bool sets = verb->operation == OP_IDENTITY_SECRET_SET;
    if (!buffer_reserve(payload, line->value.size + 512))
        return;
    pack_map(payload, sets ? 2 : (uint32_t)(verb->words - 1));
    if (verb->words > 1)
        pack_pair_string(payload, "name", line->words[1]);
    if (sets)
        pack_pair_text(payload, "value", buffer_text(&line->value));
}

static int
ask(struct bus_caller *caller, struct cli *cli, const struct secret_line *line,
    const struct verb *verb)
{
    struct error error = ERROR_INIT;
    struct buffer payload, answer;
    int code = bus_caller_open(caller, cli, "secret");
    if (code != EXIT_OK)
        return code;
    buffer_init(&payload);
    buffer_init(&answer);
    pack(line, verb, &payload);
    enum status status =
        payload.failed || !buffer_reserve(&answer, SECRET_VALUE_MAX + 512)
            ? STATUS_NOMEM
            : bus_caller_call(caller, &identity_contract.operations[verb->operation],
                              buffer_bytes(&payload), &answer, &error);
    code = status == STATUS_OK ? verb->show(caller, buffer_bytes(&answer))
                               : bus_caller_refused(caller, status, &error);
    secret_forget(&payload);
    secret_forget(&answer);
    bus_caller_close(caller);
    return code;
}

int
run_secret(struct cli *cli, int argc, char **argv)
{
    struct secret_line secret = {0};
    struct bus_caller caller = {0};
    struct error error = ERROR_INIT;
    struct option_row rows[BUS_CALLER_OPTIONS];
    bus_caller_options(&caller, rows);
    struct options_line line = {rows, BUS_CALLER_OPTIONS, NULL, 0, secret.words, 2, 0};
    int code = options_parse("secret", &line, argc, argv);
    if (code != EXIT_OK)
        return code;
    secret.word_count = line.word_count;
    const struct verb *verb = find_verb(&secret);
    if (!verb)
        return command_fail("secret", EXIT_USAGE,
                            "expected: sos secret set NAME, get NAME, list, or rm NAME");
    if (verb->words > 1 && !secret_name_is_valid(text_of(secret.words[1])))
        return command_fail("secret", EXIT_USAGE, "NAME: expected 1 to %d of a-z, 0-9 and . _ -",
                            SECRET_NAME_MAX);
    enum status status = STATUS_OK;
    if (verb->operation == OP_IDENTITY_SECRET_SET)
        status = secret_read("Value", SECRET_VALUE_MAX, &secret.value, &error);
    code = status == STATUS_OK ? ask(&caller, cli, &secret, verb)
                               : command_fail("secret", EXIT_FAILED, "%s", error.message);
    secret_forget(&secret.value);
    return code;
}
