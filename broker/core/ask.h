/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/ask.h - records that wait until service:identity has said whether their token, which
 * was delegated or has counted uses, may be used.
 *
 * The record is kept as it came and taken in once more with the yes; later records of the same peer
 * do not wait for it. Without an answer within ASK_MS it is refused. Bounded. */
#ifndef SOS_BROKER_CORE_ASK_H
#define SOS_BROKER_CORE_ASK_H

#include "broker/core/state.h"
#include "kernel/authorise.h"

enum {
    ASK_MS = 3000,
    ASKS_MAX = 1024,
    ASKS_PEER_MAX = 16, /* of one that does not act for others */
    ASK_BYTES_MAX = 16 * 1024 * 1024
};

struct ask;

/* The record under work. PENDING: it waits. UNAVAILABLE, BUSY, NOMEM. */
enum status ask_identity(struct core *core, struct peer *peer, const struct claim *claim,
                         struct error *error);

/* Is this reply an answer to one? Then it is dealt with. */
bool ask_answered(struct core *core, struct peer *peer, const struct message *reply);
/* Nobody waits for this request any more. True: it was one of those. */
bool ask_cancel(struct core *core, struct peer *peer, const struct uuid *request);

/* Forgets those of a session that ended. */
void asks_peer_gone(struct core *core, struct peer *peer);
void asks_clear(struct core *core);

#endif
