/* SPDX-License-Identifier: Apache-2.0 */
/* cli/audit_show.c - `sos audit tail` and `sos audit search`: what the trails say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cli/audit.h"
#include "cli/audit_lines.h"
#include "cli/bus_values.h"
#include "cli/options.h"
#include "platform/audit_read.h"

enum { TRAILS_MAX = 128, TAIL_DEFAULT = 50, SEARCH_DEFAULT = 1000, LINES_MAX = 1000000 };

#define LONG_AGO_MS (UINT64_C(36525) * 86400000)

struct trail {
    char name[256];
    char path[PATH_SIZE + 264];
    struct audit_follower *follower;
};

struct show {
    const struct cli *cli;
    char folder[PATH_SIZE];
    struct audit_lines *lines;
    struct trail trails[TRAILS_MAX];
    size_t count;
    const struct trail *current; /* the one that is read */
};

static int
say(enum status status, const struct error *error)
{
    return command_fail("audit", EXIT_FAILED, "%s",
                        error->message[0] ? error->message : status_text(status));
}

static enum status
add_trail(void *context, const char *name, struct error *error)
{
    struct show *show = context;
    for (size_t i = 0; i < show->count; i++)
        if (strcmp(show->trails[i].name, name) == 0)
            return STATUS_OK;
    if (show->count == TRAILS_MAX) {
        error_set(error, "%s: more than %d trails", show->folder, TRAILS_MAX);
        return STATUS_TOO_LARGE;
    }
    struct trail *trail = &show->trails[show->count++];
    snprintf(trail->name, sizeof trail->name, "%s", name);
    snprintf(trail->path, sizeof trail->path, "%s/%s.jsonl", show->folder, name);
    return STATUS_OK;
}

static enum status
add_line(void *context, const struct audit_place *place, struct text line, struct error *error)
{
    struct show *show = context;
    (void)error;
    return place->is_whole ? audit_lines_add(show->lines, show->current->name, line) : STATUS_OK;
}

static enum status
begin(struct show *show, const struct cli *cli, const struct audit_filter *filter, size_t max,
      struct error *error)
{
    show->cli = cli;
    show->lines = audit_lines_new(filter, max);
    if (!show->lines)
        return STATUS_NOMEM;
    enum status status = paths_join(show->folder, cli->home, AUDIT_FOLDER, error);
    return status == STATUS_OK ? audit_each_trail(show->folder, add_trail, show, error) : status;
}

static void
end(struct show **show_p)
{
    struct show *show = *show_p;
    for (size_t i = 0; show && i < show->count; i++)
        audit_follower_destroy(&show->trails[i].follower);
    if (show)
        audit_lines_destroy(&show->lines);
    free(show);
    *show_p = NULL;
}

static enum status
read_all(struct show *show, struct error *error)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < show->count && status == STATUS_OK; i++) {
        show->current = &show->trails[i];
        status = audit_read(show->current->path, false, add_line, show, NULL, error);
    }
    return status;
}

static int
print(struct show *show)
{
    if (audit_lines_print(show->lines, show->cli->json))
        return EXIT_OK;
    return command_fail("audit", EXIT_FAILED, "standard output cannot be written");
}

/* ---- following */

static enum status
read_new(struct show *show, struct error *error)
{
    enum status status = audit_each_trail(show->folder, add_trail, show, error);
    for (size_t i = 0; i < show->count && status == STATUS_OK; i++) {
        struct trail *trail = &show->trails[i];
        show->current = trail;
        if (!trail->follower)
            trail->follower = audit_follower_new(trail->path);
        status =
            trail->follower ? audit_follow(trail->follower, add_line, show, error) : STATUS_NOMEM;
    }
    return status;
}

/* Begins with the newest lines of the newest files. */
static int
follow(struct show *show, struct error *error)
{
    char events[4096] __attribute__((aligned(8)));
    int code = EXIT_OK;
    int watch = inotify_init1(IN_CLOEXEC);
    if (watch < 0 ||
        inotify_add_watch(watch, show->folder, IN_MODIFY | IN_CREATE | IN_MOVED_TO) < 0)
        code = command_fail("audit", EXIT_FAILED, "watch %s: %s", show->folder, strerror(errno));
    while (code == EXIT_OK) {
        enum status status = read_new(show, error);
        code = status == STATUS_OK ? print(show) : say(status, error);
        if (code == EXIT_OK && read(watch, events, sizeof events) < 0 && errno != EINTR)
            code =
                command_fail("audit", EXIT_FAILED, "watch %s: %s", show->folder, strerror(errno));
    }
    if (watch >= 0)
        close(watch);
    return code;
}

int
run_audit_tail(struct cli *cli, int argc, char **argv)
{
    const char *count_text = NULL, *short_text = NULL;
    bool follows = false;
    uint64_t count = TAIL_DEFAULT;
    struct error error = ERROR_INIT;
    const struct audit_filter filter = {0};
    const struct option_row rows[] = {{"--lines", &count_text}, {"-n", &short_text}};
    const struct flag_row flags[] = {{"--follow", &follows}, {"-f", &follows}};
    struct options_line line = {rows, 2, flags, 2, NULL, 0, 0};
    int code = options_parse("audit", &line, argc, argv);
    if (code != EXIT_OK)
        return code;
    if (!count_text)
        count_text = short_text;
    if (count_text && values_number("-n", count_text, 1, LINES_MAX, &count, &error) != STATUS_OK)
        return command_fail("audit", EXIT_USAGE, "%s", error.message);

    struct show *show = calloc(1, sizeof *show);
    enum status status = show ? begin(show, cli, &filter, count, &error) : STATUS_NOMEM;
    if (status == STATUS_OK && follows) {
        code = follow(show, &error);
    } else {
        if (status == STATUS_OK)
            status = read_all(show, &error);
        code = status == STATUS_OK ? print(show) : say(status, &error);
    }
    end(&show);
    return code;
}

/* ---- search */

/* "2h" ago, or a moment. */
static enum status
read_moment(const char *option, const char *text, uint64_t now_us, uint64_t *at_us,
            struct error *error)
{
    uint64_t ms;
    if (!text || timestamp_parse(text_of(text), at_us))
        return STATUS_OK;
    if (values_duration(option, text, LONG_AGO_MS, &ms, error) == STATUS_OK) {
        *at_us = now_us > ms * 1000 ? now_us - ms * 1000 : 0;
        return STATUS_OK;
    }
    error_set(error, "%s: came '%.32s', expected such as 30m, 2h, 7d or 2026-01-31T12:00:00Z",
              option, text);
    return STATUS_VALIDATION;
}

int
run_audit_search(struct cli *cli, int argc, char **argv)
{
    const char *since = NULL, *until = NULL, *limit_text = NULL;
    uint64_t limit = SEARCH_DEFAULT;
    struct audit_filter filter = {0};
    struct error error = ERROR_INIT;
    const struct option_row rows[] = {{"--event", &filter.event},
                                      {"--actor", &filter.actor},
                                      {"--outcome", &filter.outcome},
                                      {"--resource", &filter.resource},
                                      {"--trail", &filter.trail},
                                      {"--since", &since},
                                      {"--until", &until},
                                      {"--limit", &limit_text}};
    struct options_line line = {rows, sizeof rows / sizeof rows[0], NULL, 0, NULL, 0, 0};
    int code = options_parse("audit", &line, argc, argv);
    if (code != EXIT_OK)
        return code;
    uint64_t now_us = clock_now(cli->clock).wall_us;
    enum status status = read_moment("--since", since, now_us, &filter.since_us, &error);
    if (status == STATUS_OK)
        status = read_moment("--until", until, now_us, &filter.until_us, &error);
    if (status == STATUS_OK && limit_text)
        status = values_number("--limit", limit_text, 1, LINES_MAX, &limit, &error);
    if (status != STATUS_OK)
        return command_fail("audit", EXIT_USAGE, "%s", error.message);

    struct show *show = calloc(1, sizeof *show);
    status = show ? begin(show, cli, &filter, limit, &error) : STATUS_NOMEM;
    if (status == STATUS_OK)
        status = read_all(show, &error);
    size_t left_off = status == STATUS_OK ? audit_lines_left_off(show->lines) : 0;
    code = status == STATUS_OK ? print(show) : say(status, &error);
    if (left_off > 0)
        fprintf(stderr, "sos audit: %zu older lines match too; --limit N shows more\n", left_off);
    end(&show);
    return code;
}
