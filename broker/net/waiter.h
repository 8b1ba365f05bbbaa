/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/waiter.h - waits for sockets of libzmq and for plain descriptors with one system call.
 *
 * zmq_poll() asks each socket twice, two system calls a time; here a socket is asked when its
 * descriptor says that something has happened to it. That descriptor tells of changes, not of a
 * state: whoever receives from a socket does so until nothing is left, and asks waiter_has_input()
 * after sending through it, before the next wait. One thread. */
#ifndef SOS_BROKER_NET_WAITER_H
#define SOS_BROKER_NET_WAITER_H

#include <poll.h>
#include <stdbool.h>

enum { WAITER_MAX = 8 };

/* Zero-initialised: waits for nothing. */
struct waiter {
    struct pollfd fds[WAITER_MAX];
    void *sockets[WAITER_MAX]; /* NULL: a plain descriptor */
    bool ready[WAITER_MAX];    /* as of the last wait */
    unsigned count;
};

/* What poll() is given for a socket. */
int waiter_socket_fd(void *socket);

/* Each returns the place in ready, which holds from here on for a socket. */
unsigned waiter_add_socket(struct waiter *waiter, void *socket);
/* -1: never ready. */
unsigned waiter_add_fd(struct waiter *waiter, int fd);

/* Something to be received, or that ended. */
bool waiter_has_input(void *socket);

/* timeout_ms: 0 looks only, -1 waits for ever. False: errno says why; never for a signal. */
bool waiter_wait(struct waiter *waiter, long timeout_ms);

#endif
