/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/own.h - the paths that the gateway answers itself: /health, /metrics and /version of
 * every port, /openapi.json and /docs. Internal to front.c. */
#ifndef SOS_GATEWAY_OWN_H
#define SOS_GATEWAY_OWN_H

#include "gateway/visit.h"

/* /health, /metrics, /version of a door (DOORS: of the gateway). True: answered, or VISIT_METRICS
 * stands. */
bool own_try_path(struct visit *visit, enum door door, const struct text *segments, size_t count);

/* The documents, and `/` of the unified port. True: answered. */
bool own_try_document(struct visit *visit);

/* Answers a VISIT_METRICS with what the service says, or without it when it says nothing. */
void own_ask_metrics(struct visit *visit);

#endif
