/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/hold.h - requests wait here for an instance: bounded in number, bytes and time. */
#ifndef SOS_BROKER_CORE_HOLD_H
#define SOS_BROKER_CORE_HOLD_H

#include "broker/core/state.h"

/* Sends the request to an instance now, or lets it wait. record: its bytes, ignored when it has a
 * copy already. BUSY, UNAVAILABLE, NOMEM: neither; the request is as it was. */
enum status hold_route(struct core *core, struct request *request, struct bytes record,
                       struct error *error);

/* Sends what waits as far as instances take it. */
void hold_dispatch(struct core *core, struct service *service);

/* A chunk of the requester that came before an instance took the request. */
enum status hold_chunk(struct core *core, struct request *request, struct bytes record,
                       struct error *error);

/* Takes a waiting request out of its queue. */
void hold_leave(struct request *request);

/* Frees the copies of a request. */
void hold_release(struct core *core, struct request *request);

#endif
