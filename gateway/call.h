/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/call.h - what the server and an HTTP call are inside. Internal to http.c, call.c and
 * socket.c. */
#ifndef SOS_GATEWAY_CALL_H
#define SOS_GATEWAY_CALL_H

#include "gateway/connections.h"
#include "gateway/http.h"

struct http {
    struct http_options options;
    struct MHD_Daemon *daemon;
    struct connections *connections;
    struct http_call *first_call;
    struct http_call *spare;
    size_t spare_count;
    size_t calls;                 /* whose on_head was called and on_end was not */
    size_t held;                  /* bytes */
    struct connection *accepting; /* inside MHD_add_connection */
    bool resumed;                 /* since the last MHD_run: nothing in the epoll set tells of it */
    bool draining;
};

enum { TARGET_INLINE = 128 };

enum call_state {
    CALL_HEAD,     /* inside on_head */
    CALL_BODY,     /* reading the body */
    CALL_PENDING,  /* with the application */
    CALL_ANSWERED, /* an answer stands, not queued yet */
    CALL_QUEUED,   /* with the library */
    CALL_UPGRADED, /* another protocol's */
    CALL_CUT       /* answered by hand, or gone: the connection ends */
};

struct http_call {
    struct http *http;
    struct connection *connection;
    struct MHD_Connection *library;
    struct MHD_Response *response;
    struct http_call *before, *after; /* all calls */
    void *user;
    enum call_state state;
    bool headed; /* on_head was called */
    bool suspended;
    bool gone;      /* on_gone was called */
    bool announced; /* a body */
    bool discard;
    bool streaming;
    bool finished; /* stream: nothing more comes */
    bool http_11;
    void *upgrade; /* the library's handle of an upgraded connection, until it is given back */
    unsigned status;
    size_t body_max;
    size_t held;        /* counted in http->held */
    struct buffer body; /* upgraded: what came behind the request's header */
    struct buffer stream;
    size_t stream_at; /* in stream; upgraded: in body */
    struct text method;
    char *target;
    size_t target_size;
    char target_inline[TARGET_INLINE];
    struct text fields[HTTP_FIELDS];
    bool repeats[HTTP_FIELDS];
};

/* NULL when out of memory. */
struct http_call *call_new(struct http *http, struct connection *connection,
                           struct MHD_Connection *library, const char *uri);
/* Tells the application, and keeps the memory for another one. The response is the library's. */
void call_end(struct http_call *call);
void call_tell_gone(struct http_call *call);
/* Frees what call_end() kept. */
void call_clear_spare(struct http *http);

/* An upgraded connection, as connections_options.ready and expired. */
void socket_ready(void *context, struct connection *connection, bool broken);
bool socket_expired(struct http_call *call);

/* A header line of the request; those that the gateway does not read are dropped. */
void call_set_field(struct http_call *call, struct text name, struct text value);

/* Content-Length; false when there is none that can be read. */
bool call_announced_size(const struct http_call *call, uint64_t *size);

#endif
