/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/grant.h - rights that a session's tokens gave: a token is shown once and holds until
 * it expires or the session ends. */
#ifndef SOS_BROKER_CORE_GRANT_H
#define SOS_BROKER_CORE_GRANT_H

#include "broker/core/state.h"
#include "kernel/authorise.h"
#include "kernel/message.h"

enum { GRANTS_MAX = 64 /* of a session; the one that expires first gives way */ };

/* Both tell in core->ground what the yes rests on. A token that only service:identity can say yes
 * to makes the record wait: PENDING, which answer_refuse() takes for no refusal. */

/* authorise(), but a peer that does not act for others has at most TOKEN_CHECKS_PER_SECOND tokens
 * checked whose signature is not known yet (RATE_LIMITED). */
enum status grant_authorise(struct core *core, struct peer *peer, const struct claim *claim,
                            struct error *error);

/* The same with the rights of the session: none of its own is needed for what an earlier token of
 * this peer, which speaks for itself, covers. */
enum status grant_check(struct core *core, struct peer *peer, const struct claim *claim,
                        struct error *error);

/* Is it a name below that of who says so, and speaks for itself: "agent:kasra:events"? Its channels
 * are free for it. */
bool grant_is_own_channel(const struct message *message, struct text name);

/* Counts one token against the limit above, unless it is known. For operations that check tokens by
 * themselves. */
enum status grant_check_rate(struct core *core, struct peer *peer, struct text token,
                             struct error *error);

/* Takes away the rights that rest on these. */
void grants_drop(struct peer *peer, const struct ground_set *revoked);

#endif
