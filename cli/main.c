/* SPDX-License-Identifier: Apache-2.0 */
/* cli/main.c - the sos binary: global options, then one command of cli/commands.c. */
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/lifecycle.h"
#include "cli/log_sink.h"
#include "cli/settings.h"
#include "platform/system_clock.h"

static void
print_usage(FILE *out)
{
    fprintf(out, "sos " SOS_VERSION " - an operating system for swarms of AI agents\n\n"
                 "usage: sos [--home DIR] [--json] [--set KEY=VALUE]... COMMAND [ARGUMENTS]\n\n");
    for (const struct command *command = commands; command->name; command++)
        fprintf(out, "  %-9s %s\n", command->name, command->summary);
    fprintf(out, "\n  sos COMMAND --help     what a command does, its arguments\n\n"
                 "  --home DIR             the swarm's folder (default: $SOS_HOME, else ~/.sos)\n"
                 "  --json                 data for programs instead of text for people\n"
                 "  --set KEY=VALUE        a setting, over files and environment\n\n"
                 "exit codes: 0 done, 1 failed, 2 wrong usage, 3 no swarm answers\n");
}

static void
print_help(const struct command *command)
{
    printf("usage: sos %s %s\n\n%s\n\n%s", command->name, command->arguments, command->summary,
           command->help);
}

static const struct command *
find(const char *name)
{
    for (const struct command *command = commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

/* Edit distance (Levenshtein), for "did you mean"; names are short. */
static size_t
distance(const char *a, const char *b)
{
    enum { NAME_MAX_SIZE = 32 };
    size_t row[NAME_MAX_SIZE + 1];
    size_t b_size = strlen(b);
    if (b_size > NAME_MAX_SIZE)
        return NAME_MAX_SIZE;
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; *a; a++, i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t above = row[j];
            size_t best = diagonal + (*a != b[j - 1]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            diagonal = above;
        }
    }
    return row[b_size];
}

static int
unknown_command(const char *name)
{
    const struct command *nearest = NULL;
    size_t least = 3;
    for (const struct command *command = commands; command->name; command++)
        if (distance(name, command->name) < least) {
            least = distance(name, command->name);
            nearest = command;
        }
    fprintf(stderr, "sos: unknown command '%.32s'%s%s%s; sos --help lists them\n", name,
            nearest ? " (did you mean '" : "", nearest ? nearest->name : "", nearest ? "'?)" : "");
    return EXIT_USAGE;
}

int
command_fail(const char *name, enum exit_code code, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "sos %s: ", name);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return (int)code;
}

bool
command_option(int argc, char **argv, int *index, const char *name, const char **value)
{
    size_t size = strlen(name);
    const char *argument = argv[*index];
    if (strncmp(argument, name, size) != 0)
        return false;
    if (argument[size] == '=') {
        *value = argument + size + 1;
        return true;
    }
    if (argument[size] != '\0')
        return false;
    *value = *index + 1 < argc ? argv[++*index] : NULL;
    return true;
}

struct globals {
    const char *home;
    bool json;
    bool help;
    bool version;
    size_t assignments;
};

enum taken { TAKEN, NOT_GLOBAL, TAKEN_WRONG };

/* One of --json, --home and --set, which may stand before the command and behind it. Moves *index
 * past a value; complains when it is wrong. */
static enum taken
take_global(struct cli *cli, struct globals *globals, int argc, char **argv, int *index)
{
    const char *value = NULL;
    if (strcmp(argv[*index], "--json") == 0) {
        globals->json = true;
        return TAKEN;
    }
    if (command_option(argc, argv, index, "--home", &value)) {
        globals->home = value;
        if (value)
            return TAKEN;
        command_fail("--home", EXIT_USAGE, "expected a folder");
        return TAKEN_WRONG;
    }
    if (!command_option(argc, argv, index, "--set", &value))
        return NOT_GLOBAL;
    if (!value || !strchr(value, '=')) {
        command_fail("--set", EXIT_USAGE, "expected KEY=VALUE");
        return TAKEN_WRONG;
    }
    if (globals->assignments == CLI_ASSIGNMENTS_MAX) {
        command_fail("--set", EXIT_USAGE, "more than %d settings", CLI_ASSIGNMENTS_MAX);
        return TAKEN_WRONG;
    }
    cli->set_arguments[globals->assignments * 2] = "--set";
    cli->set_arguments[globals->assignments * 2 + 1] = value;
    globals->assignments++;
    return TAKEN;
}

/* Reads options up to the command's name; returns its index, or -1 after a complaint. */
static int
parse_globals(struct cli *cli, struct globals *globals, int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        enum taken taken = take_global(cli, globals, argc, argv, &i);
        if (taken == TAKEN_WRONG)
            return -1;
        if (taken == TAKEN)
            continue;
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            globals->help = true;
        } else if (strcmp(argv[i], "--version") == 0) {
            globals->version = true;
        } else {
            fprintf(stderr, "sos: unknown option '%.64s'; sos --help lists them\n", argv[i]);
            return -1;
        }
    }
    return i;
}

static bool
asks_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
            return true;
    return false;
}

/* Takes the global options that stand behind the command out of its arguments, whose count is
 * returned; -1 after a complaint. */
static int
take_globals_behind(struct cli *cli, struct globals *globals, int argc, char **argv)
{
    int kept = 1;
    for (int i = 1; i < argc; i++) {
        int first = i;
        enum taken taken = take_global(cli, globals, argc, argv, &i);
        if (taken == TAKEN_WRONG)
            return -1;
        if (taken == NOT_GLOBAL)
            argv[kept++] = argv[first];
    }
    argv[kept] = NULL;
    return kept;
}

static int
absolute_home(struct cli *cli, const char *home)
{
    struct error error = ERROR_INIT;
    char folder[PATH_SIZE];
    char absolute[2 * PATH_SIZE];
    if (home && home[0] != '/') {
        if (!getcwd(folder, sizeof folder))
            return command_fail("--home", EXIT_FAILED, "the working folder cannot be read");
        snprintf(absolute, sizeof absolute, "%s/%s", folder, home);
        home = absolute;
    }
    if (paths_home(cli->home, home ? home : getenv("SOS_HOME"), getenv("HOME"), &error) !=
        STATUS_OK)
        return command_fail("--home", EXIT_USAGE, "%s", error.message);
    return EXIT_OK;
}

/* Their log is what they print; that of the others would stand between their results. */
static bool
runs_services(const struct command *command)
{
    return command->run == run_up || command->run == run_broker || command->run == run_gateway ||
           command->run == run_actor;
}

static int
run(struct cli *cli, const struct command *command, const struct globals *globals, int argc,
    char **argv)
{
    struct error error = ERROR_INIT;
    int code = absolute_home(cli, globals->home);
    if (code != EXIT_OK)
        return code;
    cli->json = globals->json;
    cli->clock = &system_clock;
    cli->logger =
        (struct logger){"cli", LOG_INFO, &system_clock,
                        runs_services(command) ? log_sink_write : log_sink_write_aside, NULL};
    cli->config = config_new();
    if (!cli->config || sodium_init() < 0)
        return command_fail(command->name, EXIT_FAILED, "out of memory or randomness");
    signal(SIGPIPE, SIG_IGN);
    bool loaded = settings_load(cli, &error) == STATUS_OK;
    if (!loaded)
        cli->settings_error = error.message;
    if (loaded || command->run == run_doctor)
        code = command->run(cli, argc, argv);
    else
        code = command_fail(command->name, EXIT_USAGE, "%s", error.message);
    config_destroy(&cli->config);
    return code;
}

int
main(int argc, char **argv)
{
    struct cli cli;
    struct globals globals = {0};
    memset(&cli, 0, sizeof cli);
    int first = parse_globals(&cli, &globals, argc, argv);
    if (first < 0)
        return EXIT_USAGE;
    if (globals.version) {
        printf("sos " SOS_VERSION "\n");
        return EXIT_OK;
    }
    if (globals.help || first == argc) {
        print_usage(globals.help ? stdout : stderr);
        return globals.help ? EXIT_OK : EXIT_USAGE;
    }
    const struct command *command = find(argv[first]);
    if (!command)
        return unknown_command(argv[first]);
    if (asks_help(argc - first, argv + first)) {
        if (!command->explain || !command->explain(argc - first, argv + first))
            print_help(command);
        return EXIT_OK;
    }
    int count = take_globals_behind(&cli, &globals, argc - first, argv + first);
    if (count < 0)
        return EXIT_USAGE;
    return run(&cli, command, &globals, count, argv + first);
}
