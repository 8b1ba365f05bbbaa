/* SPDX-License-Identifier: Apache-2.0 */
/* cli/audit.h - the parts of `sos audit`. */
#ifndef SOS_CLI_AUDIT_H
#define SOS_CLI_AUDIT_H

#include "cli/command.h"

/* argv[0] is the part's name. */
int run_audit_verify(struct cli *cli, int argc, char **argv);
int run_audit_tail(struct cli *cli, int argc, char **argv);
int run_audit_search(struct cli *cli, int argc, char **argv);

#define AUDIT_FOLDER "data/audit"

#endif
