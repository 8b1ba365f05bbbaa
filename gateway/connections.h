/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/connections.h - accepts connections, bounds their number, and measures how long each
 * stays in a phase. Knows no HTTP: http.c says which phase a connection is in and what is said to
 * one that is refused.
 *
 * A phase's deadline counts from its beginning, so a byte now and then gains nothing. Each socket
 * stands in the epoll set for its client's leaving alone (EPOLLRDHUP, edge-triggered: one system
 * call per connection, no wake-up for data). One thread. Internal to http.c. */
#ifndef SOS_GATEWAY_CONNECTIONS_H
#define SOS_GATEWAY_CONNECTIONS_H

#include <sys/socket.h>

#include "gateway/limits.h"
#include "kernel/clock.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/status.h"

struct connections;
struct http_call;

enum phase {
    PHASE_HEADER, /* a request is being read, or a new connection has said nothing */
    PHASE_BODY,
    PHASE_IDLE,   /* between requests */
    PHASE_ANSWER, /* the client takes the answer */
    PHASE_OPEN,   /* upgraded, and nothing is under way */
    PHASE_ASKED,  /* upgraded, and was asked whether it lives */
    PHASES,
    PHASE_NONE = PHASES /* the application works: no deadline */
};

enum source_type { SOURCE_LISTENER, SOURCE_WATCH, SOURCE_FAREWELL, SOURCE_CONNECTION };

/* First member of whatever stands in the epoll set. */
struct source {
    enum source_type type;
};

struct connection {
    struct source source;
    int descriptor;
    unsigned tag; /* of the listening socket */
    struct connections *owner;
    struct client *client;
    struct http_call *call; /* http.c's: under way */
    enum phase phase;
    uint64_t deadline_us;
    struct connection *before, *after; /* in the list of its phase */
    bool left;                         /* the client closed its side */
    bool evicted;                      /* shut down, no longer counted */
    bool farewell;                     /* answered before its body was read */
    bool upgraded;
    uint32_t events; /* upgraded: what the epoll set tells of */
};

struct connections_options {
    const struct clock *clock;
    const struct logger *logger;
    uint32_t total_max;
    uint32_t client_max; /* of one address */
    uint64_t rate;       /* as limits_new() */
    uint32_t length_ms[PHASES];
    /* Takes over a new connection and its descriptor. False: the descriptor is closed. */
    bool (*adopt)(void *context, struct connection *connection, const struct sockaddr *address,
                  socklen_t address_size);
    /* Says why a connection that is not taken is closed. */
    void (*turn_away)(void *context, int descriptor);
    void (*left)(void *context, struct connection *connection);
    /* Of an upgraded one: it can be read or written; broken: nothing can be done with it any more.
     */
    void (*ready)(void *context, struct connection *connection, bool broken);
    /* Its phase is over. True: it has entered another one. False: it is cut. */
    bool (*expired)(void *context, struct connection *connection);
    void *context;
};

struct connections_figures {
    uint64_t accepted, refused, evicted, expired;
    size_t open;
};

enum status connections_open(struct connections **connections_p,
                             const struct connections_options *options, struct error *error);
/* Every connection was closed before. */
void connections_close(struct connections **connections_p);

enum status connections_listen(struct connections *connections, const char *address, uint16_t port,
                               const char *setting, unsigned tag, uint16_t *actual,
                               struct error *error);
void connections_stop_listening(struct connections *connections);

/* Calls ready whenever the descriptor is readable; NULL: only wakes connections_wait(). */
enum status connections_watch(struct connections *connections, int descriptor,
                              void (*ready)(void *context), void *context, struct error *error);

/* Waits at most timeout_ms, then serves what there is. Frees no connection. */
void connections_wait(struct connections *connections, uint32_t timeout_ms);

struct connections_figures connections_figures(const struct connections *connections);

/* In requests a minute; see limits_admit(). */
bool connections_admit(struct connections *connections, struct connection *connection,
                       uint32_t *retry_seconds);

void connection_enter(struct connection *connection, enum phase phase);
/* From now on ready() tells of it, not left(). */
void connection_upgrade(struct connection *connection);
/* What ready() is called for; at first nothing. */
void connection_await(struct connection *connection, bool readable, bool writable);
/* Shuts the socket down: its owner sees the end and closes it. */
void connection_cut(struct connection *connection);
void connections_cut_idle(struct connections *connections);
/* The owner is about to close the descriptor: frees the connection. */
void connection_closed(struct connection *connection);

#endif
