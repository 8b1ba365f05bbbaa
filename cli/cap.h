/* SPDX-License-Identifier: Apache-2.0 */
/* cli/cap.h - parts of `sos cap`. */
#ifndef SOS_CLI_CAP_H
#define SOS_CLI_CAP_H

#include "cli/command.h"

/* `sos cap inspect FILE`: what a token says and whether the home's River key has signed it, without
 * a swarm. Returns an exit code. */
int cap_inspect(struct cli *cli, const char *path);

#endif
