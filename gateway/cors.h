/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/cors.h - which web origins may call: those of loopback, tauri://localhost, and a
 * configured list. Immutable after building; any thread. */
#ifndef SOS_GATEWAY_CORS_H
#define SOS_GATEWAY_CORS_H

#include "kernel/bytes.h"

struct cors {
    char *list; /* origins by comma, as configured */
};

/* False when out of memory. */
bool cors_init(struct cors *cors, const char *origins);
void cors_clear(struct cors *cors);

bool cors_allows(const struct cors *cors, struct text origin);

/* Is it the host of a configured origin? */
bool cors_names_host(const struct cors *cors, struct text host);

/* What a preflight answers. Static. */
extern const char cors_methods[];
extern const char cors_request_headers[];
extern const char cors_exposed_headers[];

/* Splits "http://localhost:3000" into scheme and authority ("localhost:3000"); false when it is no
 * origin
 * ("null" is none). */
bool origin_split(struct text origin, struct text *scheme, struct text *authority);

/* Splits "[::1]:6060" into host (without brackets) and port (may be empty); false when ill-formed.
 */
bool authority_split(struct text authority, struct text *host, struct text *port);

#endif
