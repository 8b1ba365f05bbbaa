/* SPDX-License-Identifier: Apache-2.0 */
/* cli/audit.c - `sos audit`: is what the trails say unchanged? */
#include "cli/audit.h"

#include <stdio.h>
#include <string.h>

#include "cli/bus_values.h"
#include "cli/lifecycle.h"
#include "cli/options.h"
#include "kernel/json.h"
#include "platform/audit_read.h"
#include "platform/audit_verify.h"

/* ---- verify */

struct check {
    const struct cli *cli;
    const char *trail; /* NULL: all */
    uint64_t after;
    char folder[PATH_SIZE];
    struct buffer json; /* one object per trail */
    size_t trails, flawed;
};

/* "bus.jsonl", "bus.jsonl.3" */
static void
name_file(const char *trail, int number, char *name, size_t size)
{
    if (number == 0)
        snprintf(name, size, "%s.jsonl", trail);
    else
        snprintf(name, size, "%s.jsonl.%d", trail, number);
}

static void
add_json(struct check *check, const char *trail, const struct audit_verdict *verdict)
{
    struct buffer *out = &check->json;
    char file[300], hex[AUDIT_HEX_SIZE];
    audit_hash_format(&verdict->last.hash, hex);
    buffer_append_format(out, "%s{\"trail\":", check->trails > 1 ? "," : "");
    json_append_text(out, text_of(trail));
    buffer_append_format(out,
                         ",\"ok\":%s,\"files\":%u,\"lines\":%llu,\"last_seq\":%llu,"
                         "\"last_hash\":\"%s\",\"unfinished_bytes\":%llu",
                         verdict->is_good ? "true" : "false", verdict->files,
                         (unsigned long long)verdict->lines, (unsigned long long)verdict->last.seq,
                         hex, (unsigned long long)verdict->unfinished);
    if (!verdict->is_good) {
        name_file(trail, verdict->file, file, sizeof file);
        buffer_append_string(out, ",\"file\":");
        json_append_text(out, text_of(file));
        buffer_append_format(out, ",\"line\":%llu,\"problem\":", (unsigned long long)verdict->line);
        json_append_text(out, text_of(verdict->problem));
        buffer_append_string(out, ",\"expected\":");
        json_append_text(out, text_of(verdict->expected));
    }
    buffer_append_string(out, "}");
}

static void
print_verdict(const char *trail, const struct audit_verdict *verdict)
{
    char file[300];
    if (verdict->is_good) {
        printf("%s: %llu lines in %u file%s are unchanged\n", trail,
               (unsigned long long)verdict->lines, verdict->files, verdict->files == 1 ? "" : "s");
        if (verdict->unfinished > 0)
            printf("  and %llu bytes of a line that is not finished\n",
                   (unsigned long long)verdict->unfinished);
        return;
    }
    name_file(trail, verdict->file, file, sizeof file);
    printf("%s: %s/%s, line %llu: %s\n  expected: %s\n  %llu lines before it are unchanged\n",
           trail, AUDIT_FOLDER, file, (unsigned long long)verdict->line, verdict->problem,
           verdict->expected, (unsigned long long)verdict->lines);
}

static enum status
verify_trail(void *context, const char *trail, struct error *error)
{
    struct check *check = context;
    struct audit_verdict verdict;
    char path[PATH_SIZE + 300];
    if (check->trail && strcmp(check->trail, trail) != 0)
        return STATUS_OK;
    snprintf(path, sizeof path, "%s/%s.jsonl", check->folder, trail);
    enum status status = audit_verify_after(path, check->after, &verdict, error);
    if (status != STATUS_OK)
        return status;
    check->trails++;
    check->flawed += !verdict.is_good;
    if (check->cli->json)
        add_json(check, trail, &verdict);
    else
        print_verdict(trail, &verdict);
    return STATUS_OK;
}

int
run_audit_verify(struct cli *cli, int argc, char **argv)
{
    struct check check = {.cli = cli};
    struct error error = ERROR_INIT;
    const char *after = NULL;
    const struct option_row rows[] = {{"--trail", &check.trail}, {"--after", &after}};
    struct options_line line = {rows, 2, NULL, 0, NULL, 0, 0};
    int code = options_parse("audit", &line, argc, argv);
    if (code != EXIT_OK)
        return code;
    if (after && (!check.trail || values_number("--after", after, 1, UINT64_MAX, &check.after,
                                                &error) != STATUS_OK))
        return command_fail("audit", EXIT_USAGE, "%s",
                            check.trail ? error.message : "--after: expected with --trail NAME");
    buffer_init(&check.json);
    enum status status = paths_join(check.folder, cli->home, AUDIT_FOLDER, &error);
    if (status == STATUS_OK)
        status = audit_each_trail(check.folder, verify_trail, &check, &error);
    if (status == STATUS_OK && check.json.failed)
        status = STATUS_NOMEM;
    if (status != STATUS_OK)
        code = command_fail("audit", EXIT_FAILED, "%s",
                            error.message[0] ? error.message : status_text(status));
    else if (cli->json)
        printf("{\"ok\":%s,\"trails\":[%.*s]}\n", check.flawed == 0 ? "true" : "false",
               TEXT_ARGS(buffer_text(&check.json)));
    else if (check.trails == 0)
        printf("no %s%s yet\n", check.trail ? "trail " : "trail", check.trail ? check.trail : "");
    buffer_clear(&check.json);
    return code == EXIT_OK && check.flawed > 0 ? EXIT_FAILED : code;
}

/* ---- the command */

int
run_audit(struct cli *cli, int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(struct cli *cli, int argc, char **argv);
    } parts[] = {
        {"verify", run_audit_verify}, {"tail", run_audit_tail}, {"search", run_audit_search}};
    for (size_t i = 0; argc > 1 && i < sizeof parts / sizeof parts[0]; i++)
        if (strcmp(argv[1], parts[i].name) == 0)
            return parts[i].run(cli, argc - 1, argv + 1);
    return command_fail("audit", EXIT_USAGE, "expected: sos audit verify, tail or search");
}
