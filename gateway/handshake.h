/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/handshake.h - the opening handshake of a WebSocket (RFC 6455 section 4.2): what the
 * request must say, and the key that answers it. Pure. */
#ifndef SOS_GATEWAY_HANDSHAKE_H
#define SOS_GATEWAY_HANDSHAKE_H

#include <stdbool.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum { HANDSHAKE_ACCEPT_SIZE = 29 };

/* Header values; empty ones did not come. */
struct handshake {
    struct text method;
    bool http_11;
    struct text connection;
    struct text upgrade;
    struct text version;
    struct text key;
};

/* INVALID with the HTTP status that says it best: 426 for what asks for no WebSocket, or for one of
 * another version than 13, else 400. */
enum status handshake_check(const struct handshake *handshake, unsigned *http_status,
                            struct error *error);

/* Sec-WebSocket-Accept for a key. False when out of memory. */
bool handshake_accept(struct text key, char accept[static HANDSHAKE_ACCEPT_SIZE]);

#endif
