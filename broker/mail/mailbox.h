/* SPDX-License-Identifier: Apache-2.0 */
/* broker/mail/mailbox.h - durable inboxes as rows of a store: numbers, limits, duplicates, dead
 * letters, delayed mail, squads, working memory.
 *
 * Takes questions (broker/core/mail_op.h) in batches: one batch, one commit, one fsync. No thread,
 * socket or clock inside; one thread at a time. When it returns, everything that the answers say is
 * on disk, or the answers say why not. Questions that read are answered from the state behind the
 * whole batch. */
#ifndef SOS_BROKER_MAIL_MAILBOX_H
#define SOS_BROKER_MAIL_MAILBOX_H

#include "broker/core/mail_op.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "store/store.h"

struct mailbox;

struct mailbox_limits {
    uint64_t inbox_max; /* messages, dead letters included; the same for bytes */
    uint64_t inbox_bytes_max;
    uint64_t sender_max;
    uint64_t sender_bytes_max;
    uint64_t dedup_ms;
    uint64_t dedup_max;
};

enum { MAILBOX_SCHEMA = 1 };

/* Reads what it needs to have in memory: figures of inboxes and senders, known ids. The store is
 * borrowed. STORE_FAILED, NOMEM, VALIDATION (a row cannot be read; the error names it). */
enum status mailbox_open(struct mailbox **mailbox_p, struct store *store,
                         const struct mailbox_limits *limits, struct now now, struct error *error);
void mailbox_close(struct mailbox **mailbox_p);

/* Answers the list of questions in place, and appends MAIL_ARRIVED ops (from mail_op_new) to
 * *arrived, in order. A commit that fails answers all that wrote with its status. */
void mailbox_run(struct mailbox *mailbox, struct mail_op *questions, struct mail_op **arrived,
                 struct now now);

/* After a store failed and was opened again: `mailbox` is what stands in it, `before` what was
 * known until then. A commit whose outcome was unknown may have made messages that nobody was told
 * of: appends their MAIL_ARRIVED. Only `before`'s figures are looked at; its store may be closed.
 */
enum status mailbox_recover(struct mailbox *mailbox, const struct mailbox *before,
                            struct mail_op **arrived, struct error *error);

/* Moves delayed mail that is due into its inboxes, drops what has expired, forgets old ids; at most
 * a bounded amount. */
enum status mailbox_sweep(struct mailbox *mailbox, struct mail_op **arrived, struct now now,
                          struct error *error);
struct mailbox_figures {
    size_t inboxes;   /* that are remembered */
    uint64_t expired; /* messages that nobody took in time, since it was opened */
};
struct mailbox_figures mailbox_figures(const struct mailbox *mailbox);

/* When sweep has something to do next (monotonic), UINT64_MAX: never. */
uint64_t mailbox_due_us(const struct mailbox *mailbox, struct now now);

#endif
