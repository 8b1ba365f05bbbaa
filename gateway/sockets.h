/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/sockets.h - WebSockets: which paths are theirs, the handshake, and what joins the bytes
 * of an upgraded connection (http.h), its frames (websocket.h) and what passes over it
 * (session/feed.h).
 *
 * /ws/nervous-system/{agent_id} and /ws/tap stand at the engine's door and on the unified port.
 * Internal to the front. */
#ifndef SOS_GATEWAY_SOCKETS_H
#define SOS_GATEWAY_SOCKETS_H

#include "gateway/visit.h"

/* False: the path is not one of a WebSocket. True: the handshake was answered, in either way. */
bool sockets_try_path(struct visit *visit, enum door door, const struct text *segments,
                      size_t count);

/* What http.h tells of the visit's connection. */
void sockets_ready(struct visit *visit);
void sockets_late(struct visit *visit, enum http_deadline deadline);
void sockets_gone(struct visit *visit);
/* The visit ends: frees its socket. */
void sockets_forget(struct visit *visit);

/* Writes what was said since. */
void sockets_flush(struct front *front);
/* Closes all with 1001. */
void sockets_drain(struct front *front);

#endif
