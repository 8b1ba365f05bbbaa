/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/peers.h - the sessions: coming, going, liveness, and sending to one. */
#ifndef SOS_BROKER_CORE_PEERS_H
#define SOS_BROKER_CORE_PEERS_H

#include "broker/core/state.h"

enum status peers_add(struct core *core, peer_number number, struct text identity, unsigned rights,
                      struct error *error);
struct peer *peers_find(const struct core *core, peer_number number);

/* Puts one record among those that leave next (outbound.h). CORE_FULL: too much waits for the peer
 * already. A peer that turns out to be gone is doomed. */
enum core_sent peer_send(struct core *core, struct peer *peer, struct bytes record);

/* How often its new session is heard: the more peers, the less often. */
void peer_pace(const struct core *core, struct peer *peer);

/* Sets when its heartbeats and its silence are looked at next. */
void peer_watch(struct core *core, struct peer *peer);

/* Marks the peer to be taken out; nothing is sent to it from here on. cut: close its connection,
 * with the reason; NULL: the connection is gone already. */
void peer_doom(struct core *core, struct peer *peer, const char *cut);

/* From the next record on. Who may only read serves nobody any more; who is not active is cut. */
void peer_set_access(struct core *core, struct peer *peer, enum access access);

/* Ends the session but not the connection: its requests are cancelled, those given to it answered
 * or given on, its service instance and taps taken away. A hello begins the next one. */
void peer_end_session(struct core *core, struct peer *peer);

/* Is it in a session of a service: identity? */
bool peer_is_service(const struct peer *peer);

/* Takes out every doomed peer. Called last in each event. */
void peers_reap(struct core *core);

/* Releases everything without telling anybody. */
void peers_clear(struct core *core);

#endif
