/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/answer.h - the records that the broker itself says. */
#ifndef SOS_BROKER_CORE_ANSWER_H
#define SOS_BROKER_CORE_ANSWER_H

#include "broker/core/state.h"

#define BUS_IDENTITY "service:bus"
#define BUS_SERVICE "bus"

/* Completes the record (id, source, timestamp) and sends it. What meets a full peer is counted and
 * dropped. */
enum core_sent answer_send(struct core *core, struct peer *peer, struct message *record);

/* A reply of the broker with a result. type may be empty. */
void answer_reply(struct core *core, struct peer *peer, const struct uuid *request,
                  struct text type, struct bytes payload);

/* A reply of the broker with a failure. */
void answer_failure(struct core *core, struct peer *peer, const struct uuid *request,
                    struct text type, enum status status, const struct error *error);

/* An `ack` for a record, as its correlation. */
void answer_ack(struct core *core, struct peer *peer, const struct uuid *id, uint64_t seq);

/* Refuses a record: a failed `reply` to a request, an `error` to anything else. Counts it, also
 * against the peer unless the status speaks of load or the request is one that it passes on for
 * others, and returns the verdict. PENDING is no refusal:
 * the record waits (ask.h). */
const char *answer_refuse(struct core *core, struct peer *peer, const struct message *record,
                          enum status status, const struct error *error);

/* The same without blame: the record may have crossed the end of what it belongs to. */
const char *answer_refuse_late(struct core *core, struct peer *peer, const struct message *record,
                               enum status status, const struct error *error);

/* The same as answer_refuse, always as `error`: where a reply would be taken for the answer to
 * something else. */
const char *answer_refuse_error(struct core *core, struct peer *peer, const struct uuid *id,
                                enum status status, const struct error *error);

/* Counts a refusal against the peer, which is cut when there are too many. */
void answer_count_refusal(struct core *core, struct peer *peer);

/* Counts what could not be delivered and returns VERDICT_DROPPED. */
const char *answer_dropped(struct core *core, const char *reason);

#endif
