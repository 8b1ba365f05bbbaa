/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/zap.h - says who may connect: the ZAP handler (RFC 27) of the broker's context.
 *
 * Its own thread. Only CURVE with a key that the table holds and has not revoked is let in;
 * everything else, and everything that cannot be read, is refused. Where strangers are welcome
 * (zap_welcome_strangers) a key that the table does not know is let in from a loopback address, as
 * the anonymous user of that key (identity_anonymous), STRANGERS_PER_SECOND of them at most: what
 * that may do is the core's to say. What it vouches for comes with
 * each frame of the connection: "User-Id" (the identity), ZAP_SESSION (a number that is never used
 * twice) and ZAP_KEY (the public key as Z85). */
#ifndef SOS_BROKER_NET_ZAP_H
#define SOS_BROKER_NET_ZAP_H

#include "broker/net/audit_log.h"
#include "broker/net/keytable.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/status.h"

#define ZAP_DOMAIN "sos"
#define ZAP_SESSION "X-SOS-Session"
#define ZAP_KEY "X-SOS-Key"

enum { STRANGERS_PER_SECOND = 20 };

struct zap;

/* Bound and running when it returns. keys, audit and logger outlive it. audit: told of each key
 * that is refused; may be NULL. */
enum status zap_start(struct zap **zap_p, void *zmq_context, struct keytable *keys,
                      struct audit_log *audit, const struct logger *logger, struct error *error);
/* Before the socket is bound. */
void zap_welcome_strangers(struct zap *zap);
void zap_stop(struct zap **zap_p);

/* Becomes readable when the thread has ended: nobody can be let in any more. */
void *zap_socket(struct zap *zap);

#endif
