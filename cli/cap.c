/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cap.c - `sos cap`: asking for rights, giving, handing on, looking at and taking back. */
#include "cli/cap.h"

#include <stdio.h>
#include <string.h>

#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/bus_values.h"
#include "cli/client.h"
#include "cli/print.h"
#include "contracts/identity.h"
#include "kernel/json.h"

enum { WORDS_MAX = 3, EXPIRES_DAYS_MAX = 365 };

/* How a word of the command line becomes the value of a field. */
enum form { FORM_TEXT, FORM_NUMBER, FORM_SECONDS, FORM_JSON, FORM_TOKEN };

struct place {
    const char *field; /* of the request; NULL: there is none */
    enum form form;
};

struct verb {
    const char *word;
    unsigned operation;
    size_t words_min;
    struct place words[WORDS_MAX];
    int (*show)(void *context, const struct bus_caller *caller, struct bytes answer);
    const char *expected;
};

static const struct {
    const char *name;
    struct place place;
} options[] = {
    {"--uses", {"uses", FORM_NUMBER}},
    {"--expires", {"expires_in", FORM_SECONDS}},
    {"--constraints", {"constraints", FORM_JSON}},
    {"--why", {"justification", FORM_TEXT}},
    {"--reason", {"reason", FORM_TEXT}},
    {"--action", {"action", FORM_TEXT}},
    {"--resource", {"resource", FORM_TEXT}},
    {"--subject", {"subject", FORM_TEXT}},
    {"--limit", {"limit", FORM_NUMBER}},
};

enum { OPTIONS_COUNT = sizeof options / sizeof options[0] };

struct cap_line {
    const struct verb *verb;
    const char *words[WORDS_MAX + 1];
    size_t word_count;
    const char *values[OPTIONS_COUNT];
};

/* ---- what is asked */

static enum status
pack_number(const char *field, const char *text, struct buffer *out, struct error *error)
{
    uint64_t number = 0;
    enum status status = values_number(field, text, 0, INT64_MAX, &number, error);
    if (status == STATUS_OK)
        pack_uint(out, number);
    return status;
}

static enum status
pack_seconds(const char *field, const char *text, struct buffer *out, struct error *error)
{
    const uint64_t max_ms = UINT64_C(86400000) * EXPIRES_DAYS_MAX;
    uint64_t ms = 0;
    enum status status = values_duration(field, text, max_ms, &ms, error);
    if (status == STATUS_OK)
        pack_uint(out, ms / 1000);
    return status;
}

static enum status
pack_json(const char *field, const char *text, struct buffer *out, struct error *error)
{
    struct json_parser *parser = json_parser_new();
    if (!parser)
        return STATUS_NOMEM;
    enum status status = json_to_msgpack(parser, text_of(text), out, error);
    json_parser_destroy(&parser);
    if (status != STATUS_OK)
        error_wrap(error, "%s", field);
    return status;
}

static enum status
pack_token(const char *path, struct buffer *out, struct error *error)
{
    struct buffer token;
    buffer_init(&token);
    enum status status = invoke_read_capability(path, &token, error);
    if (status == STATUS_OK)
        pack_text(out, buffer_text(&token));
    buffer_clear(&token);
    return status;
}

static enum status
pack_place(const struct place *place, const char *text, struct buffer *out, struct error *error)
{
    pack_string(out, place->field);
    switch (place->form) {
    case FORM_NUMBER:
        return pack_number(place->field, text, out, error);
    case FORM_SECONDS:
        return pack_seconds(place->field, text, out, error);
    case FORM_JSON:
        return pack_json(place->field, text, out, error);
    case FORM_TOKEN:
        return pack_token(text, out, error);
    default:
        pack_string(out, text);
        return STATUS_OK;
    }
}

static bool
has_field(const struct verb *verb, const char *field)
{
    const struct operation *operation = &identity_contract.operations[verb->operation];
    for (size_t i = 0; i < operation->field_count; i++)
        if (strcmp(operation->fields[i].name, field) == 0)
            return true;
    return false;
}

static enum status
pack(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct cap_line *line = context;
    size_t words = line->word_count - 1;
    uint32_t count = (uint32_t)words;
    enum status status = STATUS_OK;
    (void)caller;
    for (size_t i = 0; i < OPTIONS_COUNT; i++) {
        if (line->values[i] && !has_field(line->verb, options[i].place.field)) {
            error_set(error, "%s is no option of sos cap %s", options[i].name, line->verb->word);
            return STATUS_VALIDATION;
        }
        count += line->values[i] != NULL;
    }
    pack_map(out, count);
    for (size_t i = 0; status == STATUS_OK && i < words; i++)
        status = pack_place(&line->verb->words[i], line->words[i + 1], out, error);
    for (size_t i = 0; status == STATUS_OK && i < OPTIONS_COUNT; i++)
        if (line->values[i])
            status = pack_place(&options[i].place, line->values[i], out, error);
    return status;
}

/* ---- what is answered */

/* A token is printed as it is sent: `sos cap issue … > file`. */
static int
show_token(void *context, const struct bus_caller *caller, struct bytes answer)
{
    struct value map;
    (void)context;
    if (value_parse(answer, &map) && !caller->cli->json && show_text(&map, "approval_id").size > 0)
        fprintf(stderr, "an administrator decides: sos cap approve %.*s\n",
                TEXT_ARGS(show_text(&map, "approval_id")));
    return show_json(caller, answer);
}

static int
show_verdict(void *context, const struct bus_caller *caller, struct bytes answer)
{
    struct value map;
    bool valid = false;
    (void)context;
    if (!value_parse(answer, &map))
        return command_fail("cap", EXIT_FAILED, "the answer cannot be read");
    value_find_bool(&map, "valid", &valid);
    if (caller->cli->json) {
        int code = show_json(caller, answer);
        return code == EXIT_OK && !valid ? EXIT_FAILED : code;
    }
    if (!valid)
        return command_fail("cap", EXIT_FAILED, "%.*s: %.*s", TEXT_ARGS(show_text(&map, "detail")),
                            TEXT_ARGS(show_text(&map, "message")));
    printf("good\n");
    return EXIT_OK;
}

static void
capability_row(struct table *table, const struct value *record)
{
    show_member(table, record, "id");
    show_member(table, record, "state");
    show_member(table, record, "uses_left");
    show_moment(table, record, "expires_at");
    show_member(table, record, "subject");
    show_member(table, record, "action");
    show_member(table, record, "resource");
}

static int
show_capabilities(void *context, const struct bus_caller *caller, struct bytes answer)
{
    static const char *const headings[] = {"ID",      "STATE",  ">USES",    "EXPIRES (UTC)",
                                           "SUBJECT", "ACTION", "RESOURCE", NULL};
    (void)context;
    return show_list(caller, answer, NULL, headings, capability_row);
}

static void
approval_row(struct table *table, const struct value *record)
{
    show_member(table, record, "approval_id");
    show_member(table, record, "status");
    show_moment(table, record, "expires_at");
    show_member(table, record, "agent_id");
    show_member(table, record, "action");
    show_member(table, record, "resource");
    show_member(table, record, "justification");
}

static int
show_approvals(void *context, const struct bus_caller *caller, struct bytes answer)
{
    static const char *const headings[] = {"ID",     "STATUS",   "UNTIL (UTC)",   "AGENT",
                                           "ACTION", "RESOURCE", "JUSTIFICATION", NULL};
    (void)context;
    return show_list(caller, answer, NULL, headings, approval_row);
}

static int
show_revoked(void *context, const struct bus_caller *caller, struct bytes answer)
{
    struct value map;
    uint64_t count = 0;
    (void)context;
    if (caller->cli->json)
        return show_json(caller, answer);
    if (!value_parse(answer, &map))
        return command_fail("cap", EXIT_FAILED, "the answer cannot be read");
    value_find_uint(&map, "revoked", &count);
    printf("%llu revoked\n", (unsigned long long)count);
    return EXIT_OK;
}

static int
show_denied(void *context, const struct bus_caller *caller, struct bytes answer)
{
    (void)context;
    if (caller->cli->json)
        return show_json(caller, answer);
    printf("denied\n");
    return EXIT_OK;
}

/* ---- the command */

static const struct verb verbs[] = {
    {"request",
     OP_IDENTITY_CAPABILITY_REQUEST,
     3,
     {{"agent_id", FORM_TEXT}, {"action", FORM_TEXT}, {"resource", FORM_TEXT}},
     show_token,
     "request AGENT ACTION RESOURCE"},
    {"issue",
     OP_IDENTITY_CAPABILITY_ISSUE,
     3,
     {{"subject", FORM_TEXT}, {"action", FORM_TEXT}, {"resource", FORM_TEXT}},
     show_token,
     "issue SUBJECT ACTION RESOURCE"},
    {"delegate",
     OP_IDENTITY_CAPABILITY_DELEGATE,
     2,
     {{"parent", FORM_TOKEN}, {"subject", FORM_TEXT}},
     show_token,
     "delegate FILE SUBJECT"},
    {"verify",
     OP_IDENTITY_CAPABILITY_VERIFY,
     1,
     {{"token", FORM_TOKEN}},
     show_verdict,
     "verify FILE"},
    {"revoke",
     OP_IDENTITY_CAPABILITY_REVOKE,
     1,
     {{"id", FORM_TEXT}, {"token", FORM_TOKEN}},
     show_revoked,
     "revoke ID [FILE]"},
    {"list",
     OP_IDENTITY_CAPABILITY_LIST,
     0,
     {{"subject", FORM_TEXT}},
     show_capabilities,
     "list [SUBJECT]"},
    {"approvals",
     OP_IDENTITY_APPROVALS,
     0,
     {{"status", FORM_TEXT}},
     show_approvals,
     "approvals [pending|approved|denied|expired]"},
    {"approve",
     OP_IDENTITY_APPROVAL_APPROVE,
     1,
     {{"approval_id", FORM_TEXT}},
     show_token,
     "approve ID"},
    {"deny", OP_IDENTITY_APPROVAL_DENY, 1, {{"approval_id", FORM_TEXT}}, show_denied, "deny ID"},
    {"fetch",
     OP_IDENTITY_APPROVAL_GET,
     2,
     {{"approval_id", FORM_TEXT}, {"agent_id", FORM_TEXT}},
     show_token,
     "fetch ID AGENT"},
};

static size_t
words_max(const struct verb *verb)
{
    size_t count = 0;
    while (count < WORDS_MAX && verb->words[count].field)
        count++;
    return count;
}

static const struct verb *
find_verb(const char *word)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strcmp(word, verbs[i].word) == 0)
            return &verbs[i];
    return NULL;
}

int
run_cap(struct cli *cli, int argc, char **argv)
{
    struct bus_caller caller = {0};
    struct cap_line line = {0};
    struct option_row rows[BUS_CALLER_OPTIONS + OPTIONS_COUNT];
    bus_caller_options(&caller, rows);
    for (size_t i = 0; i < OPTIONS_COUNT; i++)
        rows[BUS_CALLER_OPTIONS + i] = (struct option_row){options[i].name, &line.values[i]};
    struct options_line parsed = {
        rows, BUS_CALLER_OPTIONS + OPTIONS_COUNT, NULL, 0, line.words, WORDS_MAX + 1, 0};
    int code = options_parse("cap", &parsed, argc, argv);
    line.word_count = parsed.word_count;
    if (code != EXIT_OK)
        return code;
    if (line.word_count == 2 && strcmp(line.words[0], "inspect") == 0)
        return cap_inspect(cli, line.words[1]);
    line.verb = line.word_count > 0 ? find_verb(line.words[0]) : NULL;
    if (!line.verb)
        return command_fail("cap", EXIT_USAGE,
                            "expected: sos cap request | issue | delegate | inspect | verify | "
                            "revoke | list | approvals | approve | deny | fetch");
    size_t words = line.word_count - 1;
    if (words < line.verb->words_min || words > words_max(line.verb))
        return command_fail("cap", EXIT_USAGE, "expected: sos cap %s", line.verb->expected);
    return bus_caller_run(&caller, cli, "cap",
                          &(struct bus_task){&identity_contract.operations[line.verb->operation],
                                             pack, line.verb->show, &line});
}
