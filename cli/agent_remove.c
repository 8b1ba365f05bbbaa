/* SPDX-License-Identifier: Apache-2.0 */
/* cli/agent_remove.c - `sos agent rm NAME`: takes an agent's keys off the bus, for good. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/agent.h"
#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "contracts/identity.h"

struct removal {
    struct agent_name agent;
    const char *reason;
};

static enum status
pack(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct removal *removal = context;
    (void)caller;
    (void)error;
    pack_map(out, removal->reason ? 2 : 1);
    pack_pair_string(out, "agent_id", removal->agent.identity);
    if (removal->reason)
        pack_pair_string(out, "reason", removal->reason);
    return STATUS_OK;
}

static int
show(void *context, const struct bus_caller *caller, struct bytes answer)
{
    const struct removal *removal = context;
    bool had_file = unlink(removal->agent.path) == 0;
    if (!had_file && errno != ENOENT)
        return command_fail("agent", EXIT_FAILED,
                            "%s is refused from now on, but its connection file %s stays: %s",
                            removal->agent.identity, removal->agent.path, strerror(errno));
    if (caller->cli->json)
        return show_json(caller, answer);
    printf("%s is refused from now on%s\n", removal->agent.identity,
           had_file ? "; its connection file is gone" : "");
    return EXIT_OK;
}

bool
agent_confirms(const char *identity)
{
    char answer[16];
    fprintf(stderr, "Take %s off the bus? Its keys never work again. [y/N] ", identity);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

int
agent_remove(struct cli *cli, int argc, char **argv)
{
    struct bus_caller caller = {0};
    struct removal removal = {0};
    const char *name = NULL;
    bool yes = false;
    const struct option_row rows[] = {{"--reason", &removal.reason}};
    const struct flag_row flags[] = {{"--yes", &yes}};
    struct options_line line = {rows, 1, flags, 1, &name, 1, 0};
    int code = options_parse("agent", &line, argc, argv);
    if (code == EXIT_OK && !name)
        code = command_fail("agent", EXIT_USAGE, "expected: sos agent rm NAME");
    if (code == EXIT_OK)
        code = agent_name(cli, name, &removal.agent);
    if (code != EXIT_OK)
        return code;
    if (!yes && !isatty(STDIN_FILENO))
        return command_fail("agent", EXIT_USAGE, "rm %s: say --yes where nobody can be asked",
                            name);
    if (!yes && !agent_confirms(removal.agent.identity))
        return command_fail("agent", EXIT_FAILED, "nothing was done");
    return bus_caller_run(&caller, cli, "agent",
                          &(struct bus_task){&identity_contract.operations[OP_IDENTITY_REVOKE],
                                             pack, show, &removal});
}
