/* SPDX-License-Identifier: Apache-2.0 */
/* cli/single.h - `sos up --single`: the whole swarm in this one process, for small devices. */
#ifndef SOS_CLI_SINGLE_H
#define SOS_CLI_SINGLE_H

#include "cli/command.h"

struct single_options {
    struct cli *cli;
    bool echo; /* log lines go to stdout and stderr too, not only to logs/sos.log */
    enum status (*on_up)(void *context, struct error *error);
    void *context;
};

/* Runs until a stop signal (OK). When a part ends by itself all is stopped and its
 * reason returned: an init system restarts the process. */
enum status single_run(const struct single_options *options, struct error *error);

#endif
