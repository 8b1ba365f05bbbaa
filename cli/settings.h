/* SPDX-License-Identifier: Apache-2.0 */
/* cli/settings.h - the process edge of kernel/config: reads the files and the environment into its
 * layers. */
#ifndef SOS_CLI_SETTINGS_H
#define SOS_CLI_SETTINGS_H

#include "cli/command.h"

#define SETTINGS_SYSTEM_FILE "/etc/sos/config.json"

/* Fills cli->config from defaults, /etc/sos/config.json, <home>/config/sos.json, the environment
 * and the --set arguments of cli, checks what no single row can (log level, env, ports), and sets
 * the logger's level. Warnings go to the logger. */
enum status settings_load(struct cli *cli, struct error *error);

#endif
