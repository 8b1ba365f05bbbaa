/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/operation.h - an HTTP call of a contract's operation: over the bus as a request, back as
 * JSON or, when chunks come, as a stream of events. Internal to the front.
 *
 * A stream that only reads lasts until its client leaves. Its head leaves when nothing speaks
 * against it, not with the first event, which may be long in coming. */
#ifndef SOS_GATEWAY_OPERATION_H
#define SOS_GATEWAY_OPERATION_H

#include "gateway/visit.h"

/* visit->match is the operation. OK: the visit is answered later. */
enum status operation_begin(struct visit *visit, struct error *error);

/* The visit ends. */
void operation_forget(struct visit *visit);

/* Says something on streams that last, so that nobody on the way takes them for dead; returns when
 * to call again. */
uint64_t operations_tick(struct front *front, uint64_t now_us);

/* Ends what lasts until its client leaves. */
void operations_drain(struct front *front);

#endif
