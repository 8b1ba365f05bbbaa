/* SPDX-License-Identifier: Apache-2.0 */
/* broker/mail/mail_store.h - the mailbox and its store, kept alive: what is wrong with the disk,
 * and opening the store anew when it failed. One thread. */
#ifndef SOS_BROKER_MAIL_MAIL_STORE_H
#define SOS_BROKER_MAIL_MAIL_STORE_H

#include "broker/mail/mail_thread.h"

struct mail_store {
    const struct mail_thread_options *options;
    struct store *store;     /* NULL: closed, to be opened again */
    struct mailbox *mailbox; /* NULL with it */
    struct mailbox *before;  /* as it was when the store was closed */
    enum mail_health health;
    uint64_t expired;  /* of mailboxes that were closed */
    uint64_t retry_us; /* monotonic: when to try again while it failed, to look while it is full */
    uint64_t back_off_us;
    uint64_t opened_us; /* monotonic: when it was opened again */
};

/* options: borrowed. */
enum status mail_store_open(struct mail_store *store, const struct mail_thread_options *options,
                            struct error *error);
void mail_store_close(struct mail_store *store);

void mail_store_run(struct mail_store *store, struct mail_op *questions, struct mail_op **arrived);
/* Sweeps, opens again, looks whether there is room again: whatever is due. */
void mail_store_tick(struct mail_store *store, struct mail_op **arrived);
/* When tick has something to do (monotonic), UINT64_MAX: never. */
uint64_t mail_store_due_us(const struct mail_store *store);
struct mailbox_figures mail_store_figures(const struct mail_store *store);

#endif
