/* SPDX-License-Identifier: Apache-2.0 */
/* cli/wait.h - a process that hosts parts of a swarm waits here for its end. */
#ifndef SOS_CLI_WAIT_H
#define SOS_CLI_WAIT_H

#include <stdbool.h>
#include <stddef.h>

/* Blocks SIGTERM, SIGINT and SIGHUP for this and every later thread: call before any is started.
 * Returns the descriptor that they can be read from, -1 with errno set on failure. */
int wait_signals(void);

/* Sleeps until a stop signal comes (returns -1) or one of the pipes (CZMQ or ZMQ sockets) becomes
 * readable (returns its index). */
int wait_for_end(int signal_fd, void *const *pipes, size_t count);

#endif
