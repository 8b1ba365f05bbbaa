/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail.h - durable inboxes, the core's half: who takes which message, and what was
 * tried. What is kept, limited and counted is the mailbox's (mail_op.h).
 *
 * A consumer takes messages of one inbox: a session that subscribed to it, a stream (`bus_listen`)
 * or a waiting `bus_inbox`. At most `window` of its messages are unacknowledged. The rules of
 * redelivery stand in docs/PROTOCOL.md. */
#ifndef SOS_BROKER_CORE_MAIL_H
#define SOS_BROKER_CORE_MAIL_H

#include "broker/core/bus.h"
#include "broker/core/mail_op.h"
#include "broker/core/state.h"

struct mail;
struct consumer;

enum { MAIL_WINDOW_MAX = 1024, MAIL_WINDOW_DEFAULT = 256, MAIL_ACK_MS_DEFAULT = 1000 };

struct mail *mail_new(struct core *core);
void mail_destroy(struct mail **mail_p);
/* The core ends: from here on nothing is asked, and what is out counts as not tried. */
void mail_close(struct mail *mail);

/* Takes an answer, or an arrival. */
void mail_done(struct core *core, struct mail_op **op_p);

/* A session or connection ends: its consumers go, what they held comes again. */
void mail_peer_gone(struct core *core, struct peer *peer);

/* ---- consumers */

/* What a consumer gets. message: kind DELIVER, complete; valid during the call. FULL: not now,
 * mail_resume() when there is room. GONE: nothing more comes; its owner releases it, not in here.
 */
typedef enum core_sent mail_deliver_fn(struct core *core, void *context,
                                       const struct message *message);

struct consumer_options {
    struct text inbox; /* checked by the caller: an inbox, allowed */
    uint32_t window;
    uint32_t ack_ms;
    bool watch; /* gets copies of what arrives from now on; takes and acknowledges nothing */
    struct peer *peer;
    mail_deliver_fn *deliver;
    void *context;
};

/* Never calls deliver before it returns. NOMEM, QUOTA_EXCEEDED. */
enum status mail_consume(struct core *core, const struct consumer_options *options,
                         struct consumer **consumer_p, struct error *error);
/* tried: was the oldest message that it holds tried with that (a lost session)? */
void mail_release(struct core *core, struct consumer **consumer_p, bool tried);
/* There is room again. */
void mail_resume(struct core *core, struct consumer *consumer);

/* The request `store_checkpoint`; the verdict. */
const char *mail_checkpoint(struct core *core, struct peer *peer, const struct message *message);

/* "agent:kasra": an identity whose name has no colon. INVALID, word "not_an_inbox". */
enum status mail_check_inbox(struct text name, struct error *error);

/* ---- records; they return the verdict */
const char *send_receive(struct core *core, struct peer *peer, const struct message *message);
const char *ack_receive(struct core *core, struct peer *peer, const struct message *message);
const char *nack_receive(struct core *core, struct peer *peer, const struct message *message);
const char *extend_receive(struct core *core, struct peer *peer, const struct message *message);
/* A subscribe or unsubscribe that names an inbox. */
const char *mail_subscribe(struct core *core, struct peer *peer, const struct message *message,
                           const struct value *payload);
const char *mail_unsubscribe(struct core *core, struct peer *peer, const struct message *message,
                             const struct value *payload);

#endif
