/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/call.h - what an HTTP call is inside the server. Internal to http.c and call.c. */
#ifndef SOS_GATEWAY_CALL_H
#define SOS_GATEWAY_CALL_H

#include "gateway/connections.h"
#include "gateway/http.h"

enum { TARGET_INLINE = 128 };

enum call_state {
    CALL_HEAD,     /* inside on_head */
    CALL_BODY,     /* reading the body */
    CALL_PENDING,  /* with the application */
    CALL_ANSWERED, /* an answer stands, not queued yet */
    CALL_QUEUED,   /* with the library */
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
    unsigned status;
    size_t body_max;
    size_t held; /* counted in http->held */
    struct buffer body;
    struct buffer stream;
    size_t stream_at;
    struct text method;
    char *target;
    size_t target_size;
    char target_inline[TARGET_INLINE];
    struct text fields[HTTP_FIELDS];
    bool repeats[HTTP_FIELDS];
};

/* A header line of the request; those that the gateway does not read are dropped. */
void call_set_field(struct http_call *call, struct text name, struct text value);

/* Content-Length; false when there is none that can be read. */
bool call_announced_size(const struct http_call *call, uint64_t *size);

#endif
