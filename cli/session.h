/* SPDX-License-Identifier: Apache-2.0 */
/* cli/session.h - connects a command to the running swarm. */
#ifndef SOS_CLI_SESSION_H
#define SOS_CLI_SESSION_H

#include "cli/command.h"
#include "sdk/c/peer.h"

struct session_options {
    const char *connection_file; /* NULL: one of the home's */
    const char *key_file;        /* which, below the home; NULL: the operator's */
    char *identity;              /* who that is, MESSAGE_NAME_MAX + 1 bytes; may be NULL */
    uint32_t wait_ms;            /* for the welcome; 0 = 5000 */
};

/* Opens a peer and waits until the broker has welcomed it. UNAVAILABLE when there is no swarm, it
 * does not answer, or the broker refused the key: the error says which. */
enum status session_open(struct peer **peer_p, struct cli *cli,
                         const struct session_options *options, struct error *error);

#endif
