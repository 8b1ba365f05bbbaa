/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/mail_link.h - the mailbox's thread as the router has it: opened by the settings,
 * emptied a bounded amount at a time, its figures shown and its health told to the core. The
 * router's thread. */
#ifndef SOS_BROKER_NET_MAIL_LINK_H
#define SOS_BROKER_NET_MAIL_LINK_H

#include "broker/core/core.h"
#include "broker/mail/mail_thread.h"
#include "broker/net/broker.h"

/* Zero-initialised: there are no inboxes. */
struct mail_link {
    struct mail_thread *thread;
    struct mail_thread_figures shown;
    struct metric *expired;
    struct metric *commits;
    struct metric *inboxes;
    bool more; /* answers were left: take again before waiting */
};

/* Without a folder, or settings that name the limits, there are no inboxes. */
enum status mail_link_open(struct mail_link *link, const struct broker_options *options,
                           struct error *error);
void mail_link_close(struct mail_link *link);
/* False when out of memory. */
bool mail_link_add_figures(struct mail_link *link, struct metrics *metrics);

/* For poll; -1: never. */
int mail_link_fd(const struct mail_link *link);
/* Hands answers and arrivals to the core. */
void mail_link_take(struct mail_link *link, struct core *core, struct now now);

#endif
