/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gateway/farewell.h"
#include "gateway/listen.h"
#include "kernel/assert.h"

enum {
    EVENTS_MAX = 256,
    LISTENERS_MAX = 16,
    WATCHES_MAX = 8,
    ACCEPT_BATCH = 64,
    EVICT_SCAN_MAX = 64,
    ACCEPT_PAUSE_MS = 100
};

struct listener {
    struct source source;
    int descriptor;
    unsigned tag;
};

struct watch {
    struct source source;
    void (*ready)(void *context);
    void *context;
};

struct phase_list {
    struct connection *first, *last;
    uint64_t length_us;
};

struct connections {
    struct connections_options options;
    int epoll;
    struct source farewells;
    struct farewell *farewell;
    struct limits *limits;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    struct watch watches[WATCHES_MAX];
    size_t watch_count;
    struct phase_list phases[PHASES];
    struct connections_figures figures;
    uint64_t now_us;
    uint64_t accept_from_us; /* listeners are paused until then; 0: they are not */
};

/* ---- phases */

static void
leave_phase(struct connection *connection)
{
    if (connection->phase == PHASE_NONE)
        return;
    struct phase_list *list = &connection->owner->phases[connection->phase];
    if (connection->before)
        connection->before->after = connection->after;
    else
        list->first = connection->after;
    if (connection->after)
        connection->after->before = connection->before;
    else
        list->last = connection->before;
    connection->before = connection->after = NULL;
    connection->phase = PHASE_NONE;
}

/* Every phase has one length, so that each list is in order of its deadlines. */
void
connection_enter(struct connection *connection, enum phase phase)
{
    leave_phase(connection);
    if (phase == PHASE_NONE)
        return;
    struct phase_list *list = &connection->owner->phases[phase];
    connection->phase = phase;
    connection->deadline_us = connection->owner->now_us + list->length_us;
    connection->before = list->last;
    if (list->last)
        list->last->after = connection;
    else
        list->first = connection;
    list->last = connection;
}

static void
tell_of(struct connection *connection, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    epoll_ctl(connection->owner->epoll, EPOLL_CTL_MOD, connection->descriptor, &event);
    connection->events = events;
}

void
connection_upgrade(struct connection *connection)
{
    connection->upgraded = true;
    tell_of(connection, 0);
}

void
connection_await(struct connection *connection, bool readable, bool writable)
{
    uint32_t events = (readable ? (uint32_t)EPOLLIN : 0) | (writable ? (uint32_t)EPOLLOUT : 0);
    if (events != connection->events)
        tell_of(connection, events);
}

void
connection_cut(struct connection *connection)
{
    leave_phase(connection);
    shutdown(connection->descriptor, SHUT_RDWR);
}

void
connections_cut_idle(struct connections *connections)
{
    while (connections->phases[PHASE_IDLE].first)
        connection_cut(connections->phases[PHASE_IDLE].first);
}

void
connection_closed(struct connection *connection)
{
    struct connections *connections = connection->owner;
    leave_phase(connection);
    epoll_ctl(connections->epoll, EPOLL_CTL_DEL, connection->descriptor, NULL);
    if (connection->farewell)
        farewell_take(connections->farewell, connection->descriptor, connections->now_us);
    if (!connection->evicted)
        connections->figures.open--;
    limits_release(connections->limits, connection->client);
    free(connection);
}

/* ---- accepting */

/* The oldest connection without a request gives way, of this client or of any. */
static bool
evict_one(struct connections *connections, const struct client *client)
{
    static const enum phase order[] = {PHASE_HEADER, PHASE_IDLE};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        unsigned seen = 0;
        for (struct connection *oldest = connections->phases[order[i]].first;
             oldest && seen < EVICT_SCAN_MAX; oldest = oldest->after, seen++) {
            if (client && oldest->client != client)
                continue;
            oldest->evicted = true;
            connections->figures.open--;
            connections->figures.evicted++;
            connection_cut(oldest);
            return true;
        }
    }
    return false;
}

static void
refuse(struct connections *connections, struct connection *connection, struct client *client,
       int descriptor)
{
    connections->figures.refused++;
    connections->options.turn_away(connections->options.context, descriptor);
    close(descriptor);
    if (client)
        limits_release(connections->limits, client);
    free(connection);
}

static void
add_connection(struct connections *connections, const struct listener *listener, int descriptor,
               const struct sockaddr *address, socklen_t address_size)
{
    const struct connections_options *options = &connections->options;
    struct client *client = limits_acquire(connections->limits, address);
    struct connection *connection = client ? calloc(1, sizeof *connection) : NULL;
    if (!connection ||
        (client->connections > options->client_max && !evict_one(connections, client)) ||
        (connections->figures.open >= options->total_max && !evict_one(connections, NULL))) {
        refuse(connections, connection, client, descriptor);
        return;
    }
    *connection = (struct connection){.source = {SOURCE_CONNECTION},
                                      .descriptor = descriptor,
                                      .tag = listener->tag,
                                      .owner = connections,
                                      .client = client,
                                      .phase = PHASE_NONE};
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    if (epoll_ctl(connections->epoll, EPOLL_CTL_ADD, descriptor, &event) < 0) {
        refuse(connections, connection, client, descriptor);
        return;
    }
    connections->figures.accepted++;
    connections->figures.open++;
    connection_enter(connection, PHASE_HEADER);
    if (options->adopt(options->context, connection, address, address_size))
        return;
    connections->figures.open--;
    connections->figures.refused++;
    leave_phase(connection);
    limits_release(connections->limits, client);
    free(connection);
}

static void
pause_accepting(struct connections *connections, bool pause)
{
    connections->accept_from_us = pause ? connections->now_us + ACCEPT_PAUSE_MS * 1000u : 0;
    for (size_t i = 0; i < connections->listener_count; i++) {
        struct listener *listener = &connections->listeners[i];
        struct epoll_event event = {.events = pause ? 0 : EPOLLIN, .data.ptr = listener};
        epoll_ctl(connections->epoll, EPOLL_CTL_MOD, listener->descriptor, &event);
    }
}

static void
accept_some(struct connections *connections, const struct listener *listener)
{
    for (int i = 0; i < ACCEPT_BATCH && !connections->accept_from_us; i++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;
        int descriptor = accept4(listener->descriptor, (struct sockaddr *)&address, &size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor >= 0) {
            add_connection(connections, listener, descriptor, (struct sockaddr *)&address, size);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            log_warn(connections->options.logger, "cannot accept: %s", strerror(errno));
            evict_one(connections, NULL);
            pause_accepting(connections, true);
        }
        return;
    }
}

static enum status
add_source(struct connections *connections, int descriptor, struct source *source,
           struct error *error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = source};
    if (epoll_ctl(connections->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0)
        return STATUS_OK;
    error_set(error, "epoll: %s", strerror(errno));
    return STATUS_INTERNAL;
}

enum status
connections_listen(struct connections *connections, const char *address, uint16_t port,
                   const char *setting, unsigned tag, uint16_t *actual, struct error *error)
{
    ASSERT(connections->listener_count < LISTENERS_MAX);
    struct listener *listener = &connections->listeners[connections->listener_count];
    enum status status = listen_open(address, port, setting, &listener->descriptor, actual, error);
    if (status != STATUS_OK)
        return status;
    listener->source.type = SOURCE_LISTENER;
    listener->tag = tag;
    status = add_source(connections, listener->descriptor, &listener->source, error);
    if (status == STATUS_OK)
        connections->listener_count++;
    else
        close(listener->descriptor);
    return status;
}

void
connections_stop_listening(struct connections *connections)
{
    for (size_t i = 0; i < connections->listener_count; i++)
        close(connections->listeners[i].descriptor);
    connections->listener_count = 0;
    connections->accept_from_us = 0;
}

enum status
connections_watch(struct connections *connections, int descriptor, void (*ready)(void *context),
                  void *context, struct error *error)
{
    ASSERT(connections->watch_count < WATCHES_MAX);
    struct watch *watch = &connections->watches[connections->watch_count];
    *watch = (struct watch){{SOURCE_WATCH}, ready, context};
    enum status status = add_source(connections, descriptor, &watch->source, error);
    if (status == STATUS_OK)
        connections->watch_count++;
    return status;
}

/* ---- the loop */

static void
expire_all(struct connections *connections)
{
    for (int phase = 0; phase < PHASES; phase++) {
        struct phase_list *list = &connections->phases[phase];
        while (list->first && list->first->deadline_us <= connections->now_us) {
            struct connection *connection = list->first;
            if (connections->options.expired(connections->options.context, connection))
                continue;
            connections->figures.expired++;
            connection_cut(connection);
        }
    }
    farewell_expire(connections->farewell, connections->now_us);
    if (connections->accept_from_us && connections->accept_from_us <= connections->now_us)
        pause_accepting(connections, false);
}

static int
wait_time_ms(const struct connections *connections, uint32_t timeout_ms)
{
    uint64_t next_us = connections->now_us + (uint64_t)timeout_ms * 1000u;
    for (int phase = 0; phase < PHASES; phase++) {
        const struct connection *first = connections->phases[phase].first;
        if (first && first->deadline_us < next_us)
            next_us = first->deadline_us;
    }
    uint64_t farewell_us = farewell_deadline_us(connections->farewell);
    if (farewell_us < next_us)
        next_us = farewell_us;
    if (connections->accept_from_us && connections->accept_from_us < next_us)
        next_us = connections->accept_from_us;
    if (next_us <= connections->now_us)
        return 0;
    return (int)((next_us - connections->now_us + 999) / 1000);
}

static void
serve_connection(struct connections *connections, struct connection *connection, uint32_t events)
{
    if (connection->upgraded) {
        connections->options.ready(connections->options.context, connection,
                                   (events & (EPOLLHUP | EPOLLERR)) != 0);
        return;
    }
    connection->left = true;
    connections->options.left(connections->options.context, connection);
}

static void
serve(struct connections *connections, struct source *source, uint32_t events)
{
    switch (source->type) {
    case SOURCE_CONNECTION:
        serve_connection(connections, (struct connection *)source, events);
        break;
    case SOURCE_LISTENER:
        accept_some(connections, (struct listener *)source);
        break;
    case SOURCE_WATCH: {
        struct watch *watch = (struct watch *)source;
        if (watch->ready)
            watch->ready(watch->context);
        break;
    }
    case SOURCE_FAREWELL:
        farewell_process(connections->farewell);
        break;
    }
}

void
connections_wait(struct connections *connections, uint32_t timeout_ms)
{
    struct epoll_event events[EVENTS_MAX];
    connections->now_us = clock_now(connections->options.clock).monotonic_us;
    int count =
        epoll_wait(connections->epoll, events, EVENTS_MAX, wait_time_ms(connections, timeout_ms));
    connections->now_us = clock_now(connections->options.clock).monotonic_us;
    for (int i = 0; i < count; i++)
        serve(connections, events[i].data.ptr, events[i].events);
    expire_all(connections);
}

struct connections_figures
connections_figures(const struct connections *connections)
{
    return connections->figures;
}

bool
connections_admit(struct connections *connections, struct connection *connection,
                  uint32_t *retry_seconds)
{
    return limits_admit(connections->limits, connection->client, connections->now_us,
                        retry_seconds);
}

/* ---- life */

enum status
connections_open(struct connections **connections_p, const struct connections_options *options,
                 struct error *error)
{
    struct connections *connections = calloc(1, sizeof *connections);
    if (!connections)
        return STATUS_NOMEM;
    enum status status = STATUS_OK;
    connections->options = *options;
    connections->farewells.type = SOURCE_FAREWELL;
    for (int phase = 0; phase < PHASES; phase++)
        connections->phases[phase].length_us = (uint64_t)options->length_ms[phase] * 1000u;
    connections->now_us = clock_now(options->clock).monotonic_us;
    connections->limits = limits_new(options->rate);
    connections->farewell = farewell_new();
    connections->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!connections->limits || !connections->farewell || connections->epoll < 0) {
        error_set(error, "cannot watch connections: %s", strerror(errno));
        status = STATUS_INTERNAL;
    }
    if (status == STATUS_OK)
        status = add_source(connections, farewell_descriptor(connections->farewell),
                            &connections->farewells, error);
    if (status != STATUS_OK) {
        connections_close(&connections);
        return status;
    }
    *connections_p = connections;
    return STATUS_OK;
}

void
connections_close(struct connections **connections_p)
{
    struct connections *connections = *connections_p;
    if (!connections)
        return;
    connections_stop_listening(connections);
    farewell_destroy(&connections->farewell);
    limits_destroy(&connections->limits);
    if (connections->epoll >= 0)
        close(connections->epoll);
    free(connections);
    *connections_p = NULL;
}
