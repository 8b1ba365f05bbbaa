/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard.h - what a browser could be tricked into sending, refused before anything else is
 * looked at.
 *
 * - Host: a page of a foreign name that resolves to this machine (DNS rebinding) carries that
 *   name. Allowed are loopback names and addresses, the bound address, hosts of configured origins,
 * and with remote access any numeric address.
 * - Origin: a call that may change state or opens a WebSocket and comes from a foreign origin is
 * refused. Same origin and those that CORS allows pass.
 * - Content-Type: a body must be announced as JSON, which no form and no simple cross-site request
 * can do.
 * - Headers that decide something must not come twice. */
#ifndef SOS_GATEWAY_GUARD_H
#define SOS_GATEWAY_GUARD_H

#include "gateway/cors.h"
#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

struct guard {
    const struct cors *cors;
    const char *bind; /* the bound address */
    bool allow_remote;
};

/* FORBIDDEN, word "host_not_allowed". */
enum status guard_host(const struct guard *guard, struct text host, struct error *error);

/* FORBIDDEN, word "origin_not_allowed". */
enum status guard_origin(const struct guard *guard, struct text method, struct text origin,
                         struct text host, struct error *error);

/* The same for what takes no notice of CORS: a WebSocket's handshake is a GET that any page can
 * make. */
enum status guard_socket_origin(const struct guard *guard, struct text origin, struct text host,
                                struct error *error);

/* Where a body ends must have one meaning, here and for whatever stands in between: INVALID for a
 * Transfer-Encoding other than chunked, or one beside a Content-Length. Absent ones are empty. */
enum status guard_framing(struct text content_length, struct text transfer_encoding,
                          struct error *error);

/* INVALID naming the header. */
enum status guard_content_type(struct text content_type, struct error *error);

/* 1..255 visible ASCII characters? INVALID otherwise. */
enum status guard_idempotency_key(struct text key, struct error *error);

#endif
