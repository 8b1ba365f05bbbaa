/* SPDX-License-Identifier: Apache-2.0 */
/* cli/invoke.h - one call of a command: ends at its reply, its ttl, or when the user has enough. */
#ifndef SOS_CLI_INVOKE_H
#define SOS_CLI_INVOKE_H

#include "sdk/c/peer.h"

/* One chunk of the answer. False: that was enough, the call is cancelled. */
typedef bool invoke_chunk_fn(void *context, struct bytes payload);

/* Called at least every tick_ms. False: that was enough. */
typedef bool invoke_tick_fn(void *context);

struct invoke {
    struct peer *peer;
    int signal_fd; /* of wait_signals() */
    const struct clock *clock;
    invoke_chunk_fn *on_chunk; /* NULL: the call takes no chunks */
    invoke_tick_fn *on_tick;   /* may be NULL */
    long tick_ms;
    void *context;
    int signal_number; /* out: what ended it; 0 = none */
};

/* Sends the request (its callbacks and context are set here) and waits. The reply is appended.
 * CANCELLED when a signal came or on_chunk or on_tick had enough; otherwise as peer_call_wait(). */
enum status invoke_run(struct invoke *invoke, const struct peer_request *request,
                       struct buffer *reply, struct error *error);

/* Takes the signal that waits; 0 when none does. */
int invoke_take_signal(int signal_fd);

/* For zmq_poll: milliseconds until the peer wants to be processed. */
long invoke_timeout_ms(const struct peer *peer, const struct clock *clock);

/* Reads a capability token from a file, without the white space around it. */
enum status invoke_read_capability(const char *path, struct buffer *token, struct error *error);

#endif
