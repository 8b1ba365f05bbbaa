/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http.h - the HTTP server: sockets, limits and deadlines around libmicrohttpd. http.c is
 * the only file that knows the library.
 *
 * One thread: its owner calls http_wait() in a loop; every callback runs inside it. The server
 * keeps its promises against hostile clients by itself:
 * - a header must be there in header_ms, a body in body_ms, an answer must be taken in body_ms of
 *   standstill, an idle connection leaves after idle_ms: all measured from their beginning, not
 *   from the last byte;
 * - connections are bounded in all and per address; beyond that the oldest one that has not
 *   sent a request gives way, and if there is none the new one gets a 503;
 * - bodies are bounded each (the application says) and in sum;
 * - a body that is refused is not read into memory.
 *
 * A call lives from on_head to on_end. The application answers it exactly once, inside a callback
 * or later, with http_answer() or with http_stream() … http_finish(). */
#ifndef SOS_GATEWAY_HTTP_H
#define SOS_GATEWAY_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/bytes.h"
#include "kernel/clock.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/status.h"

struct http;
struct http_call;

/* Request headers that the gateway reads; all others are passed over. */
#define HTTP_FIELD_MAP(X)                                                                          \
    X(HOST, "Host")                                                                                \
    X(ORIGIN, "Origin")                                                                            \
    X(CONTENT_TYPE, "Content-Type")                                                                \
    X(CONTENT_LENGTH, "Content-Length")                                                            \
    X(TRANSFER_ENCODING, "Transfer-Encoding")                                                      \
    X(CAPABILITY, "X-SOS-Capability")                                                              \
    X(AUTHORIZATION, "Authorization")                                                              \
    X(TRACE_ID, "X-SOS-Trace-ID")                                                                  \
    X(SPAN_ID, "X-SOS-Span-ID")                                                                    \
    X(TRACEPARENT, "traceparent")                                                                  \
    X(IDEMPOTENCY_KEY, "Idempotency-Key")                                                          \
    X(CONNECTION, "Connection")                                                                    \
    X(UPGRADE, "Upgrade")                                                                          \
    X(WEBSOCKET_KEY, "Sec-WebSocket-Key")                                                          \
    X(WEBSOCKET_VERSION, "Sec-WebSocket-Version")                                                  \
    X(REQUEST_METHOD, "Access-Control-Request-Method")

enum http_field {
#define HTTP_FIELD_ENUM(id, name) HTTP_##id,
    HTTP_FIELD_MAP(HTTP_FIELD_ENUM)
#undef HTTP_FIELD_ENUM
        HTTP_FIELDS
};

/* What is waited for on an upgraded connection, and therefore how long. */
enum http_deadline {
    HTTP_QUIET,     /* anything, for idle_ms */
    HTTP_RECEIVING, /* the rest of a message, for body_ms from its beginning */
    HTTP_SENDING    /* that the client takes bytes, for body_ms of standstill */
};

struct http_callbacks {
    /* The header has arrived. May answer at once: a body is then not kept. */
    void (*on_head)(void *context, struct http_call *call);
    /* The whole request is there. */
    void (*on_request)(void *context, struct http_call *call);
    /* The server cannot go on reading the body: TOO_LARGE, BUSY (sum of bodies) or TIMEOUT. Must
     * answer at once; the connection ends with that answer. */
    void (*on_refuse)(void *context, struct http_call *call, enum status status);
    /* The client left before its answer was complete: forget what works for it. Answering
     * is no longer needed and does nothing. */
    void (*on_gone)(void *context, struct http_call *call);
    /* A stream's buffer has gone out to the client. */
    void (*on_drained)(void *context, struct http_call *call);
    /* The call is over, also after on_gone. Not called when on_head was not. */
    void (*on_end)(void *context, struct http_call *call);
    /* Upgraded: bytes can be read or written, as http_socket_await() asked. */
    void (*on_socket)(void *context, struct http_call *call);
    /* Upgraded: QUIET: half of the time is over, ask for a sign of life. Others: the time is over,
     * the connection is cut after these last words. */
    void (*on_late)(void *context, struct http_call *call, enum http_deadline deadline);
    void *context;
};

struct http_options {
    struct http_callbacks callbacks;
    const struct clock *clock;
    const struct logger *logger;
    uint32_t connections_max;
    uint32_t connections_peer_max;
    uint64_t rate; /* as limits_new() */
    size_t body_bytes_max;
    uint32_t header_ms;
    uint32_t body_ms;
    uint32_t idle_ms;
};

struct http_figures {
    uint64_t accepted;
    uint64_t refused; /* over a limit: answered 503 or dropped */
    uint64_t evicted; /* gave way to another */
    uint64_t expired; /* ran into a deadline */
    size_t connections;
    size_t calls; /* not yet answered in full */
    size_t held;  /* bytes of bodies and streams */
};

enum status http_open(struct http **http_p, const struct http_options *options,
                      struct error *error);

/* Calls under way end without their answer; on_end is called for each. */
void http_close(struct http **http_p);

/* One more door. tag: what http_call_tag() gives for its calls. See listen_open(). */
enum status http_listen(struct http *http, const char *address, uint16_t port, const char *setting,
                        unsigned tag, uint16_t *actual, struct error *error);
void http_stop_listening(struct http *http);
/* Answers carry Connection: close from now on, idle connections leave. */
void http_drain(struct http *http);

/* Calls ready(context) whenever the descriptor is readable (level-triggered). */
enum status http_watch(struct http *http, int descriptor, void (*ready)(void *context),
                       void *context, struct error *error);

/* Waits at most timeout_ms for anything, then serves what there is. */
void http_wait(struct http *http, uint32_t timeout_ms);

struct http_figures http_figures(const struct http *http);

/* ---- the request: views are valid until on_end */
struct text http_call_method(const struct http_call *call);
struct text http_call_target(const struct http_call *call); /* path and query as they came */
struct text http_call_field(const struct http_call *call, enum http_field field);
bool http_call_repeats(const struct http_call *call, enum http_field field);
const char *http_field_name(enum http_field field);
struct text http_call_body(const struct http_call *call);
bool http_call_has_body(const struct http_call *call); /* announced; may be empty */
unsigned http_call_tag(const struct http_call *call);
/* False: over the rate limit of its address. */
bool http_call_admit(struct http_call *call, uint32_t *retry_seconds);

void http_call_set_body_max(struct http_call *call, size_t bytes); /* in on_head; default 0 */
void http_call_set_user(struct http_call *call, void *user);
void *http_call_user(const struct http_call *call);

/* ---- the answer */
struct http_header {
    const char *name;
    const char *value;
};

enum http_body {
    HTTP_BODY_COPY,   /* copied */
    HTTP_BODY_STATIC, /* lives as long as the program */
    HTTP_BODY_GIVEN   /* from malloc; the server frees it, also on failure */
};

struct http_answer {
    unsigned status;
    const struct http_header *headers; /* copied */
    size_t header_count;
    enum http_body body_type;
    struct text body;
};

void http_answer(struct http_call *call, const struct http_answer *answer);

/* Begins an answer of unknown length: body is not used. */
void http_stream(struct http_call *call, const struct http_answer *head);
/* Adds to the stream. False: out of memory or over the sum of bodies held; nothing was added. */
bool http_write(struct http_call *call, struct text data);
void http_finish(struct http_call *call);

unsigned http_call_status(const struct http_call *call); /* of the answer; 0 before */

/* ---- another protocol on the connection (Upgrade), spoken by the application */

bool http_call_is_http_11(const struct http_call *call);
/* Answers 101; on_socket() is called once that has left. */
void http_upgrade(struct http_call *call, const struct http_answer *head);
/* Bytes that were read or written; 0: none for now; -1: nothing more can be. */
ssize_t http_socket_read(struct http_call *call, void *out, size_t room);
ssize_t http_socket_write(struct http_call *call, const void *data, size_t size);
void http_socket_await(struct http_call *call, bool readable, bool writable);
/* Begins that wait, or begins it anew. At first it is QUIET. */
void http_socket_enter(struct http_call *call, enum http_deadline deadline);
/* So many bytes are held for it. False: over the sum of what may be held; nothing changed. */
bool http_socket_hold(struct http_call *call, size_t bytes);
/* What was written still leaves to a client that takes it. on_end follows. */
void http_socket_close(struct http_call *call);

#endif
