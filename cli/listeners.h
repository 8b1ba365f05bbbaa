/* SPDX-License-Identifier: Apache-2.0 */
/* cli/listeners.h - who listens at a TCP port of this host, from /proc below `root` ("" is the
 * system's own). Other users' processes have no pid here, only a user. */
#ifndef SOS_CLI_LISTENERS_H
#define SOS_CLI_LISTENERS_H

#include <stdbool.h>
#include <stdint.h>

struct listener {
    bool found;
    unsigned user;
    long pid; /* 0: not to be seen */
    char program[32];
};

void listener_find(const char *root, uint16_t port, struct listener *listener);

/* Is it this process or one that it started? */
bool listener_is_of(const char *root, const struct listener *listener, long pid);

#endif
