/* SPDX-License-Identifier: Apache-2.0 */
/* cli/supervisor.h - runs the processes of a swarm: starts them in order, restarts what dies (with
 * back-off), gathers their log lines into one stream, stops all on SIGTERM or SIGINT.
 *
 * A child is this same binary with another command. It tells that it is up by writing a byte to the
 * descriptor that --ready-fd names, so nothing is polled for. Children get SIGTERM from the
 * kernel when the supervisor dies in whatever way. */
#ifndef SOS_CLI_SUPERVISOR_H
#define SOS_CLI_SUPERVISOR_H

#include <stdbool.h>

#include "kernel/clock.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/status.h"

struct supervisor_options {
    const char *home;
    const char *const
        *arguments; /* global arguments for every child ("--set", "x=y"), NULL-terminated */
    const struct clock *clock;
    const struct logger *logger;
    bool echo; /* log lines go to stdout and stderr too, not only to logs/sos.log */

    /* Called once when every child is up for the first time. A status other than OK stops the
     * swarm. */
    enum status (*on_up)(void *context, struct error *error);
    void *context;
};

/* Runs until a stop signal (OK), or until a child cannot be started at all the first time. */
enum status supervisor_run(const struct supervisor_options *options, struct error *error);

#endif
