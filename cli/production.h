/* SPDX-License-Identifier: Apache-2.0 */
/* cli/production.h - what may not stay as it is where env is production.
 *
 * There a swarm, or a part of one, does not start while any of these is found, and all are said at
 * once; elsewhere they are warnings. Nothing is changed. */
#ifndef SOS_CLI_PRODUCTION_H
#define SOS_CLI_PRODUCTION_H

#include <stdbool.h>
#include <sys/types.h>

#include "cli/command.h"
#include "cli/findings.h"

struct production {
    const struct config *config;
    const char *home;
    const char *system_settings; /* SETTINGS_SYSTEM_FILE */
    uid_t user;                  /* the effective one */
};

bool production_is_on(const struct config *config);

/* FINDING_ERROR where env is production, else FINDING_WARNING; adds nothing where all is safe. */
void production_check(const struct production *production, struct findings *findings);
/* The same for the settings alone, without looking at files. */
void production_check_settings(const struct production *production, struct findings *findings);

/* Before a command starts anything. EXIT_OK: go on; warnings were logged unless quiet. EXIT_USAGE:
 * refused, with the whole list on stderr. */
int production_gate(struct cli *cli, const char *command, bool quiet);

#endif
