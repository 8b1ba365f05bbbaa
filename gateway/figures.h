/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/figures.h - what GET /metrics prints: the gateway's own figures of a port's service, and
 * the text of that service itself. One thread. */
#ifndef SOS_GATEWAY_FIGURES_H
#define SOS_GATEWAY_FIGURES_H

#include "gateway/http.h"
#include "kernel/bytes.h"
#include "kernel/contract.h"

struct figures;

struct figures *figures_new(uint64_t now_us); /* NULL when out of memory */
void figures_destroy(struct figures **figures_p);

/* The short name of the port asked: "engine" … "voice", or "gateway" for the unified one (DOORS).
 * Static. */
const char *figures_service(enum door door);

/* One request was answered at this port. */
void figures_count(struct figures *figures, enum door door, unsigned http_status, double seconds);

/* Appends the text. foreign: of the service, may be empty; what waits in it joins what
 * waits in the gateway; of other families that both have it is left out. */
void figures_print(struct figures *figures, enum door door, const struct http_figures *http,
                   size_t exchanges, size_t streams, uint64_t now_us, struct text foreign,
                   struct buffer *out);

#endif
