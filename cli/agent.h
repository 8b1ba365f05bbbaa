/* SPDX-License-Identifier: Apache-2.0 */
/* cli/agent.h - the parts of `sos agent`. */
#ifndef SOS_CLI_AGENT_H
#define SOS_CLI_AGENT_H

#include "cli/command.h"
#include "kernel/message.h"

struct agent_name {
    char identity[MESSAGE_NAME_MAX + 1]; /* "agent:kasra" */
    char path[PATH_SIZE];                /* of its connection file */
};

/* NAME without "agent:". Returns an exit code. */
int agent_name(struct cli *cli, const char *name, struct agent_name *agent);

/* argv[0] is "list", "rm". */
int agent_list(struct cli *cli, int argc, char **argv);
int agent_remove(struct cli *cli, int argc, char **argv);

/* argv[0] is a word that agent_is_step(): "suspend", "terminate", … */
bool agent_is_step(const char *word);
int agent_take_step(struct cli *cli, int argc, char **argv);

/* Asks on the terminal whether its keys may go for good. */
bool agent_confirms(const char *identity);

#endif
