/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/pending.h - the requests that await their reply: found by id, ended exactly once. */
#ifndef SOS_BROKER_CORE_PENDING_H
#define SOS_BROKER_CORE_PENDING_H

#include "broker/core/state.h"

/* Handlers of records; they return the verdict. */
const char *request_receive(struct core *core, struct peer *peer, const struct message *message);
const char *reply_receive(struct core *core, struct peer *peer, const struct message *message);
const char *cancel_receive(struct core *core, struct peer *peer, const struct message *message);

struct request *request_find(const struct core *core, const struct uuid *id);

/* May the peer have one more in flight? QUOTA_EXCEEDED word "too_many_pending"; BUSY. */
enum status request_check_limits(const struct core *core, const struct peer *peer,
                                 struct error *error);

/* Makes and registers the request; NULL when out of memory. deadline: 0 for none. */
struct request *request_new(struct core *core, struct peer *peer, const struct message *message);

/* Gives a request to an instance; the record was sent already. */
void request_assign(struct request *request, struct instance *instance);

/* Ends: forgets it. Nobody is told. Then a waiting request may take its place. */
void request_end(struct core *core, struct request *request);
/* Ends and tells the instance. */
void request_abandon(struct core *core, struct request *request);
/* Ends, tells the instance and answers the requester. */
void request_fail(struct core *core, struct request *request, enum status status,
                  const struct error *error);
/* Its instance went away (and is unlinked already): given on when that is safe, else answered. */
void request_orphaned(struct core *core, struct request *request);

#endif
