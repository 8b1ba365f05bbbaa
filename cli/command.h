/* SPDX-License-Identifier: Apache-2.0 */
/* cli/command.h - what every command of the sos binary gets and gives.
 *
 * A command is a row in cli/commands.c and a run function in a file of its own. Commands block and
 * run on the main thread. Results go to stdout, everything else to stderr. */
#ifndef SOS_CLI_COMMAND_H
#define SOS_CLI_COMMAND_H

#include <stdbool.h>

#include "kernel/clock.h"
#include "kernel/config.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/paths.h"
#include "kernel/status.h"

/* Exit codes, the same for every command. */
enum exit_code {
    EXIT_OK = 0,
    EXIT_FAILED = 1,     /* it was tried and went wrong; the reason is on stderr */
    EXIT_USAGE = 2,      /* the command line is wrong */
    EXIT_UNREACHABLE = 3 /* no swarm answers */
};

enum {
    CLI_ASSIGNMENTS_MAX = 48 /* --set key=value */
};

struct cli {
    char home[PATH_SIZE];
    struct config *config;
    bool json; /* --json: data for programs */
    const struct clock *clock;
    struct logger logger;
    const char *settings_error; /* why they could not be loaded: only sos doctor runs then */
    /* "--set", "key=value", … as they came, for child processes; NULL-terminated. */
    const char *set_arguments[CLI_ASSIGNMENTS_MAX * 2 + 1];
};

struct command {
    const char *name;
    const char *summary;   /* one line */
    const char *arguments; /* "SERVICE.OPERATION [key=value…]" */
    const char *help;      /* options and examples, printed by --help */
    int (*run)(struct cli *cli, int argc, char **argv); /* argv[0] is the command's name */
    /* Help that is narrower than the command's, for what argv names; false: print help. May be
     * NULL. */
    bool (*explain)(int argc, char **argv);
};

/* Ends with a row whose name is NULL. */
extern const struct command commands[];

/* "sos NAME: message" on stderr; returns the code that it is given. */
int command_fail(const char *name, enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Option of the form --name VALUE or --name=VALUE at argv[*index]: moves *index past it. True when
 * it was this one; *value is NULL when the value is missing. */
bool command_option(int argc, char **argv, int *index, const char *name, const char **value);

#endif
