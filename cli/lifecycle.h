/* SPDX-License-Identifier: Apache-2.0 */
/* cli/lifecycle.h - run functions of the commands that start, stop and look after a swarm. */
#ifndef SOS_CLI_LIFECYCLE_H
#define SOS_CLI_LIFECYCLE_H

#include "cli/command.h"

int run_up(struct cli *cli, int argc, char **argv);
int run_down(struct cli *cli, int argc, char **argv);
int run_status(struct cli *cli, int argc, char **argv);
int run_doctor(struct cli *cli, int argc, char **argv);
int run_audit(struct cli *cli, int argc, char **argv);
int run_logs(struct cli *cli, int argc, char **argv);
int run_broker(struct cli *cli, int argc, char **argv);
int run_gateway(struct cli *cli, int argc, char **argv);
int run_actor(struct cli *cli, int argc, char **argv);
int run_key(struct cli *cli, int argc, char **argv);
int run_agent(struct cli *cli, int argc, char **argv);
int run_backup(struct cli *cli, int argc, char **argv);
int run_restore(struct cli *cli, int argc, char **argv);

#endif
