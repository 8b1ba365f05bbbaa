/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/waiter.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <zmq.h>

#include "kernel/assert.h"

static unsigned
add(struct waiter *waiter, void *socket, int fd)
{
    unsigned place = waiter->count++;
    ASSERT(place < WAITER_MAX);
    waiter->fds[place] = (struct pollfd){fd, POLLIN, 0};
    waiter->sockets[place] = socket;
    waiter->ready[place] = false;
    return place;
}

int
waiter_socket_fd(void *socket)
{
    int fd = -1;
    size_t size = sizeof fd;
    zmq_getsockopt(socket, ZMQ_FD, &fd, &size);
    return fd;
}

unsigned
waiter_add_socket(struct waiter *waiter, void *socket)
{
    unsigned place = add(waiter, socket, waiter_socket_fd(socket));
    waiter->ready[place] = waiter_has_input(socket);
    return place;
}

unsigned
waiter_add_fd(struct waiter *waiter, int fd)
{
    return add(waiter, NULL, fd);
}

bool
waiter_has_input(void *socket)
{
    int events = 0;
    size_t size = sizeof events;
    return zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) != 0 || (events & ZMQ_POLLIN) != 0;
}

bool
waiter_wait(struct waiter *waiter, long timeout_ms)
{
    int timeout = timeout_ms > INT_MAX ? INT_MAX : (int)timeout_ms;
    int count = poll(waiter->fds, waiter->count, timeout);
    if (count < 0 && errno != EINTR)
        return false;
    for (unsigned i = 0; i < waiter->count; i++) {
        bool fired = count > 0 && waiter->fds[i].revents != 0;
        waiter->ready[i] = fired && (!waiter->sockets[i] || waiter_has_input(waiter->sockets[i]));
    }
    return true;
}
