/* SPDX-License-Identifier: Apache-2.0 */
/* cli/client.h - run functions of the commands that talk to a running swarm. */
#ifndef SOS_CLI_CLIENT_H
#define SOS_CLI_CLIENT_H

#include "cli/command.h"

int run_call(struct cli *cli, int argc, char **argv);
int run_chat(struct cli *cli, int argc, char **argv);
int run_tap(struct cli *cli, int argc, char **argv);

/* `sos call SERVICE.OPERATION --help`: prints the operation's fields. False: argv names none. */
bool explain_call(int argc, char **argv);

#endif
