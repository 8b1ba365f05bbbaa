/* SPDX-License-Identifier: Apache-2.0 */
/* cli/key.h - the parts of `sos key`. */
#ifndef SOS_CLI_KEY_H
#define SOS_CLI_KEY_H

#include "cli/command.h"

/* argv[0] is "rotate". Returns an exit code. */
int key_rotate(struct cli *cli, int argc, char **argv);

#endif
