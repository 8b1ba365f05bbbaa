/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/farewell.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DROP_ROUNDS = 16, DROP_SIZE = 256 * 1024, EVENTS_MAX = 64 };

struct entry {
    int descriptor; /* -1: free */
    uint64_t deadline_us;
};

struct farewell {
    int epoll;
    unsigned count;
    struct entry entries[FAREWELL_MAX];
};

struct farewell *
farewell_new(void)
{
    struct farewell *farewell = calloc(1, sizeof *farewell);
    if (!farewell)
        return NULL;
    farewell->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (farewell->epoll < 0) {
        free(farewell);
        return NULL;
    }
    for (unsigned i = 0; i < FAREWELL_MAX; i++)
        farewell->entries[i].descriptor = -1;
    return farewell;
}

static void
drop(struct farewell *farewell, unsigned index)
{
    close(farewell->entries[index].descriptor);
    farewell->entries[index].descriptor = -1;
    farewell->count--;
}

void
farewell_destroy(struct farewell **farewell_p)
{
    struct farewell *farewell = *farewell_p;
    if (!farewell)
        return;
    for (unsigned i = 0; i < FAREWELL_MAX; i++)
        if (farewell->entries[i].descriptor >= 0)
            drop(farewell, i);
    close(farewell->epoll);
    free(farewell);
    *farewell_p = NULL;
}

void
farewell_take(struct farewell *farewell, int descriptor, uint64_t now_us)
{
    unsigned index = 0;
    while (index < FAREWELL_MAX && farewell->entries[index].descriptor >= 0)
        index++;
    if (index == FAREWELL_MAX)
        return;
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return;
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = index};
    if (shutdown(copy, SHUT_WR) < 0 ||
        epoll_ctl(farewell->epoll, EPOLL_CTL_ADD, copy, &event) < 0) {
        close(copy);
        return;
    }
    farewell->entries[index] = (struct entry){copy, now_us + FAREWELL_MS * UINT64_C(1000)};
    farewell->count++;
}

int
farewell_descriptor(const struct farewell *farewell)
{
    return farewell->epoll;
}

static void
read_away(struct farewell *farewell, unsigned index)
{
    for (int round = 0; round < DROP_ROUNDS; round++) {
        /* MSG_TRUNC: TCP drops the bytes without copying them. */
        ssize_t size =
            recv(farewell->entries[index].descriptor, NULL, DROP_SIZE, MSG_TRUNC | MSG_DONTWAIT);
        if (size > 0)
            continue;
        if (size == 0 || (errno != EAGAIN && errno != EINTR))
            drop(farewell, index);
        return;
    }
}

void
farewell_process(struct farewell *farewell)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(farewell->epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++)
        if (farewell->entries[events[i].data.u32].descriptor >= 0)
            read_away(farewell, events[i].data.u32);
}

uint64_t
farewell_deadline_us(const struct farewell *farewell)
{
    uint64_t deadline_us = UINT64_MAX;
    if (farewell->count == 0)
        return deadline_us;
    for (unsigned i = 0; i < FAREWELL_MAX; i++)
        if (farewell->entries[i].descriptor >= 0 && farewell->entries[i].deadline_us < deadline_us)
            deadline_us = farewell->entries[i].deadline_us;
    return deadline_us;
}

void
farewell_expire(struct farewell *farewell, uint64_t now_us)
{
    if (farewell->count == 0)
        return;
    for (unsigned i = 0; i < FAREWELL_MAX; i++)
        if (farewell->entries[i].descriptor >= 0 && farewell->entries[i].deadline_us <= now_us)
            drop(farewell, i);
}
