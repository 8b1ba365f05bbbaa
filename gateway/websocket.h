/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/websocket.h - the server's end of a WebSocket (RFC 6455) between bytes and messages.
 * websocket.c is the only file that knows wslay.
 *
 * Text messages of at most message_max bytes, no extensions. Unmasked frames, reserved bits, bytes
 * that are not UTF-8, binary and too long messages close the connection with the code that says so.
 * Pings are answered. Knows no sockets: bytes come and go by two functions. One thread. */
#ifndef SOS_GATEWAY_WEBSOCKET_H
#define SOS_GATEWAY_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "kernel/bytes.h"

struct websocket;

enum websocket_code {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_UNSUPPORTED = 1003,
    WEBSOCKET_POLICY = 1008,
    WEBSOCKET_TOO_BIG = 1009,
    WEBSOCKET_INTERNAL = 1011,
    WEBSOCKET_RESTART = 1012,
    WEBSOCKET_TRY_LATER = 1013
};

struct websocket_options {
    /* As http_socket_read() and http_socket_write(). */
    ssize_t (*read)(void *context, void *out, size_t room);
    ssize_t (*write)(void *context, const void *data, size_t size);
    /* One message. It may send and close, and must not receive, flush or destroy. */
    void (*on_message)(void *context, struct text message);
    void *context;
    size_t message_max;
};

/* NULL when out of memory. */
struct websocket *websocket_new(const struct websocket_options *options);
void websocket_destroy(struct websocket **websocket_p);

/* Reads what there is, but no more than a bounded amount at once, and not while many answers to
 * pings wait. False: the connection is broken. */
bool websocket_receive(struct websocket *websocket);

/* In on_message(): what is left of the bytes that were read already is the last in this call. */
void websocket_pause(struct websocket *websocket);

/* Queues a text message. False: out of memory, or the closing has begun. */
bool websocket_send(struct websocket *websocket, struct text message);
void websocket_ping(struct websocket *websocket);
/* Begins the closing; reason is ASCII of at most 123 bytes. Nothing is read any more. */
void websocket_close(struct websocket *websocket, unsigned code, const char *reason);

/* Writes what is queued, as far as it goes. False: the connection is broken. */
bool websocket_flush(struct websocket *websocket);

/* Would it read, or write, if it could? */
bool websocket_wants_read(const struct websocket *websocket);
bool websocket_wants_write(const struct websocket *websocket);
/* The close frame has left: nothing remains to be done. */
bool websocket_is_over(const struct websocket *websocket);
/* The begin of a message, or of a frame, has come and its end has not. */
bool websocket_is_receiving(const struct websocket *websocket);
/* Bytes of messages that it holds, in both directions. */
size_t websocket_held(const struct websocket *websocket);

#endif
