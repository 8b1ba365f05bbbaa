/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/monitor.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

#define MONITOR_ADDRESS "inproc://sos-monitor"

enum {
    DESCRIPTOR_MAX = 4 * 1024 * 1024,
    FAILED_HANDSHAKES = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct slot {
    uint64_t session; /* 0: none has spoken yet */
    uint64_t ended;   /* the latest that spoke here before; what still comes of it is late */
    uint64_t accepted_us;
    union address peer;
    bool open;
    bool accepted; /* the monitor told of it; a frame can be quicker */
    bool cut;
};

struct monitor {
    void *router;
    void *socket;
    struct slot *slots; /* by descriptor */
    size_t slot_count;
    size_t open_count;
    size_t connections_max;
    struct monitor_events events;
    uint16_t port;
};

enum status
monitor_open(struct monitor **monitor_p, void *zmq_context, void *router, size_t connections_max,
             const struct monitor_events *events, struct error *error)
{
    struct monitor *monitor = calloc(1, sizeof *monitor);
    if (!monitor)
        return STATUS_NOMEM;
    monitor->router = router;
    monitor->connections_max = connections_max;
    monitor->events = *events;
    int told = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | FAILED_HANDSHAKES;
    /* No limit: an I/O thread must never wait for this queue, and it is drained in each turn. */
    int unlimited = 0, linger = 0;
    monitor->socket = zmq_socket(zmq_context, ZMQ_PAIR);
    if (!monitor->socket || zmq_socket_monitor(router, MONITOR_ADDRESS, told) != 0 ||
        zmq_setsockopt(monitor->socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited) != 0 ||
        zmq_setsockopt(monitor->socket, ZMQ_LINGER, &linger, sizeof linger) != 0 ||
        zmq_connect(monitor->socket, MONITOR_ADDRESS) != 0) {
        error_set(error, "open the socket monitor: %s", zmq_strerror(zmq_errno()));
        monitor_close(&monitor);
        return STATUS_INTERNAL;
    }
    *monitor_p = monitor;
    return STATUS_OK;
}

void
monitor_close(struct monitor **monitor_p)
{
    struct monitor *monitor = *monitor_p;
    if (!monitor)
        return;
    zmq_socket_monitor(monitor->router, NULL, 0);
    if (monitor->socket)
        zmq_close(monitor->socket);
    free(monitor->slots);
    free(monitor);
    *monitor_p = NULL;
}

void
monitor_set_port(struct monitor *monitor, uint16_t port)
{
    monitor->port = port;
}

void *
monitor_socket(struct monitor *monitor)
{
    return monitor->socket;
}

size_t
monitor_count(const struct monitor *monitor)
{
    return monitor->open_count;
}

/* NULL: no such descriptor can be, or no memory. */
static struct slot *
slot_at(struct monitor *monitor, int64_t fd)
{
    if (fd < 0 || fd > DESCRIPTOR_MAX)
        return NULL;
    size_t place = (size_t)fd;
    if (place >= monitor->slot_count) {
        size_t count = monitor->slot_count ? monitor->slot_count : 64;
        while (count <= place)
            count *= 2;
        struct slot *slots = realloc(monitor->slots, count * sizeof *slots);
        if (!slots)
            return NULL;
        memset(slots + monitor->slot_count, 0, (count - monitor->slot_count) * sizeof *slots);
        monitor->slots = slots;
        monitor->slot_count = count;
    }
    return &monitor->slots[place];
}

static uint16_t
port_of(const union address *address)
{
    if (address->any.sa_family == AF_INET)
        return ntohs(address->v4.sin_port);
    if (address->any.sa_family == AF_INET6)
        return ntohs(address->v6.sin6_port);
    return 0;
}

static bool
is_ours(const struct monitor *monitor, int fd)
{
    union address local = {{0}};
    socklen_t size = sizeof local;
    return getsockname(fd, &local.any, &size) == 0 && port_of(&local) == monitor->port;
}

static void
read_peer(int fd, union address *peer)
{
    socklen_t size = sizeof *peer;
    memset(peer, 0, sizeof *peer);
    if (getpeername(fd, &peer->any, &size) != 0)
        memset(peer, 0, sizeof *peer);
}

static void
close_slot(struct monitor *monitor, struct slot *slot)
{
    if (!slot->open)
        return;
    uint64_t session = slot->session;
    uint64_t ended = session > slot->ended ? session : slot->ended;
    *slot = (struct slot){.ended = ended};
    monitor->open_count--;
    if (session)
        monitor->events.disconnected(monitor->events.context, session);
}

static void
shut(struct monitor *monitor, struct slot *slot, int fd)
{
    union address peer;
    if (slot->cut || !is_ours(monitor, fd))
        return;
    read_peer(fd, &peer);
    if (memcmp(&peer, &slot->peer, sizeof peer) != 0)
        return; /* the number is another connection's already, of which we shall be told */
    slot->cut = true;
    shutdown(fd, SHUT_RDWR);
}

static void
open_slot(struct monitor *monitor, int fd, uint64_t now_us, bool accepted)
{
    struct slot *slot = slot_at(monitor, fd);
    if (!slot)
        return;
    if (slot->open && !slot->accepted && accepted) {
        slot->accepted = true; /* its first frame was quicker */
        return;
    }
    close_slot(monitor, slot); /* one that is still open was closed unseen */
    slot->open = true;
    slot->accepted = accepted;
    slot->accepted_us = now_us;
    read_peer(fd, &slot->peer);
    monitor->open_count++;
    if (monitor->open_count > monitor->connections_max)
        shut(monitor, slot, fd);
}

static void
take_event(struct monitor *monitor, uint16_t event, int32_t value, uint64_t now_us)
{
    if (event == ZMQ_EVENT_ACCEPTED) {
        open_slot(monitor, value, now_us, true);
    } else if (event == ZMQ_EVENT_DISCONNECTED) {
        struct slot *slot = slot_at(monitor, value);
        if (slot)
            close_slot(monitor, slot);
    } else if (event & FAILED_HANDSHAKES) {
        monitor->events.refused(monitor->events.context);
    }
}

void
monitor_drain(struct monitor *monitor, uint64_t now_us)
{
    for (;;) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, monitor->socket, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(&frame);
            return;
        }
        uint16_t event = 0;
        int32_t value = -1;
        if (zmq_msg_size(&frame) == sizeof event + sizeof value) {
            memcpy(&event, zmq_msg_data(&frame), sizeof event);
            memcpy(&value, (const char *)zmq_msg_data(&frame) + sizeof event, sizeof value);
        }
        while (zmq_msg_more(&frame)) { /* the endpoint's text */
            if (zmq_msg_recv(&frame, monitor->socket, 0) < 0)
                break;
        }
        zmq_msg_close(&frame);
        take_event(monitor, event, value, now_us);
    }
}

bool
monitor_claim(struct monitor *monitor, int fd, uint64_t session)
{
    struct slot *slot = slot_at(monitor, fd);
    if (!slot || session <= slot->ended)
        return false;
    if (!slot->open)
        open_slot(monitor, fd, 0, false);
    if (slot->session == session)
        return true;
    if (slot->session > session)
        return false;
    uint64_t earlier = slot->session;
    slot->session = session;
    read_peer(fd, &slot->peer);
    if (earlier)
        monitor->events.disconnected(monitor->events.context, earlier);
    return true;
}

bool
monitor_holds(const struct monitor *monitor, int fd, uint64_t session)
{
    return fd >= 0 && (size_t)fd < monitor->slot_count && monitor->slots[fd].open &&
           monitor->slots[fd].session == session;
}

static uint64_t
received_bytes(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
        size < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received)
        return 0;
    return info.tcpi_bytes_received;
}

uint64_t
monitor_bytes(const struct monitor *monitor, int fd, uint64_t session)
{
    return monitor_holds(monitor, fd, session) ? received_bytes(fd) : 0;
}

void
monitor_cut(struct monitor *monitor, int fd, uint64_t session)
{
    if (monitor_holds(monitor, fd, session))
        shut(monitor, &monitor->slots[fd], fd);
}

void
monitor_sweep(struct monitor *monitor, uint64_t now_us, uint64_t silence_us, uint64_t bytes_max)
{
    for (size_t fd = 0; fd < monitor->slot_count; fd++) {
        struct slot *slot = &monitor->slots[fd];
        if (slot->open && slot->accepted && slot->session == 0 &&
            (now_us - slot->accepted_us > silence_us || received_bytes((int)fd) > bytes_max))
            shut(monitor, slot, (int)fd);
    }
}
