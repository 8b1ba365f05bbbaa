/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wait.h"

#include <czmq.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "kernel/assert.h"

enum { PIPES_MAX = 32 };

int
wait_signals(void)
{
    sigset_t signals;
    zsys_handler_set(NULL); /* signals are this file's, not CZMQ's */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0)
        return -1;
    signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error code, not the end */
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

int
wait_for_end(int signal_fd, void *const *pipes, size_t count)
{
    zmq_pollitem_t items[PIPES_MAX + 1];
    ASSERT(count <= PIPES_MAX);
    items[0] = (zmq_pollitem_t){NULL, signal_fd, ZMQ_POLLIN, 0};
    for (size_t i = 0; i < count; i++)
        items[i + 1] = (zmq_pollitem_t){zsock_resolve(pipes[i]), 0, ZMQ_POLLIN, 0};
    for (;;) {
        if (zmq_poll(items, (int)count + 1, -1) < 0 && zmq_errno() != EINTR)
            return -1;
        struct signalfd_siginfo info;
        if ((items[0].revents & ZMQ_POLLIN) && read(signal_fd, &info, sizeof info) > 0)
            return -1;
        for (size_t i = 0; i < count; i++)
            if (items[i + 1].revents & ZMQ_POLLIN)
                return (int)i;
    }
}
