/* SPDX-License-Identifier: Apache-2.0 */
/* cli/client.h - run functions of the commands that talk to a running swarm. */
#ifndef SOS_CLI_CLIENT_H
#define SOS_CLI_CLIENT_H

#include "cli/command.h"

int run_call(struct cli *cli, int argc, char **argv);
int run_chat(struct cli *cli, int argc, char **argv);
int run_tap(struct cli *cli, int argc, char **argv);
int run_replay(struct cli *cli, int argc, char **argv);
int run_top(struct cli *cli, int argc, char **argv);
int run_send(struct cli *cli, int argc, char **argv);
int run_inbox(struct cli *cli, int argc, char **argv);
int run_pub(struct cli *cli, int argc, char **argv);
int run_sub(struct cli *cli, int argc, char **argv);
int run_channels(struct cli *cli, int argc, char **argv);
int run_history(struct cli *cli, int argc, char **argv);
int run_peers(struct cli *cli, int argc, char **argv);
int run_cap(struct cli *cli, int argc, char **argv);
int run_dlq(struct cli *cli, int argc, char **argv);
int run_secret(struct cli *cli, int argc, char **argv);
int run_bench(struct cli *cli, int argc, char **argv);

/* `sos call SERVICE.OPERATION --help`: prints the operation's fields. False: argv names none. */
bool explain_call(int argc, char **argv);

#endif
