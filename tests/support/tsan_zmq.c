/* SPDX-License-Identifier: Apache-2.0 */
/* Linked into the tests of a ThreadSanitizer build: what one thread wrote before it sent a message
 * over a PAIR socket, another that received from one may read.
 *
 * These sockets are the pipes between our threads. libzmq is not instrumented, so its own barriers
 * are not seen, and each hand-off of a job and its result would be reported as a race. Stands
 * before the functions of libzmq, for our code and for CZMQ. */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <zmq.h>

void __tsan_acquire(void *address);
void __tsan_release(void *address);

static char handed_over;

static bool
is_pipe(void *socket)
{
    int type = -1;
    size_t size = sizeof type;
    return zmq_getsockopt(socket, ZMQ_TYPE, &type, &size) == 0 && type == ZMQ_PAIR;
}

/* The function of libzmq that the caller stands before. */
#define BEHIND(function, name)                                                                     \
    do {                                                                                           \
        *(void **)(&(function)) = dlsym(RTLD_NEXT, name);                                          \
    } while (0)

static void
hand_over(void *socket)
{
    if (is_pipe(socket))
        __tsan_release(&handed_over);
}

static int
take_over(void *socket, int received)
{
    int cause = errno;
    if (received >= 0 && is_pipe(socket))
        __tsan_acquire(&handed_over);
    errno = cause;
    return received;
}

int
zmq_send(void *socket, const void *data, size_t size, int flags)
{
    int (*send)(void *, const void *, size_t, int);
    BEHIND(send, "zmq_send");
    hand_over(socket);
    return send(socket, data, size, flags);
}

int
zmq_msg_send(zmq_msg_t *message, void *socket, int flags)
{
    int (*send)(zmq_msg_t *, void *, int);
    BEHIND(send, "zmq_msg_send");
    hand_over(socket);
    return send(message, socket, flags);
}

int
zmq_sendmsg(void *socket, zmq_msg_t *message, int flags)
{
    return zmq_msg_send(message, socket, flags);
}

int
zmq_recv(void *socket, void *data, size_t size, int flags)
{
    int (*receive)(void *, void *, size_t, int);
    BEHIND(receive, "zmq_recv");
    return take_over(socket, receive(socket, data, size, flags));
}

int
zmq_msg_recv(zmq_msg_t *message, void *socket, int flags)
{
    int (*receive)(zmq_msg_t *, void *, int);
    BEHIND(receive, "zmq_msg_recv");
    return take_over(socket, receive(message, socket, flags));
}

int
zmq_recvmsg(void *socket, zmq_msg_t *message, int flags)
{
    return zmq_msg_recv(message, socket, flags);
}
