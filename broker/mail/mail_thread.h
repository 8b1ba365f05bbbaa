/* SPDX-License-Identifier: Apache-2.0 */
/* broker/mail/mail_thread.h - the mailbox on a thread of its own: questions go in, answers come
 * back, in order, group-committed: what waits while one commit runs becomes the next.
 *
 * Bounded: at most `ops_max` questions and `bytes_max` bytes are between give and take. When the
 * disk fails, questions that write are answered STORE_FAILED, those that read are answered from
 * what was committed, and the store is opened anew until it works again. */
#ifndef SOS_BROKER_MAIL_MAIL_THREAD_H
#define SOS_BROKER_MAIL_MAIL_THREAD_H

#include "broker/mail/mailbox.h"

struct mail_thread;

struct mail_thread_options {
    const char *folder; /* of the store; made when missing; NULL: in memory, for tests */
    struct mailbox_limits limits;
    uint64_t disk_reserve;
    uint32_t ops_max;
    size_t bytes_max;
    const struct clock *clock;
    const struct logger *logger;
};

/* Opens the store and starts the thread. */
enum status mail_thread_start(struct mail_thread **thread_p,
                              const struct mail_thread_options *options, struct error *error);
/* Finishes what it was given; answers that were not taken are dropped. */
void mail_thread_stop(struct mail_thread **thread_p);

enum mail_health {
    MAIL_HEALTH_OK,
    MAIL_HEALTH_FULL,  /* nothing new is kept until the disk has room again */
    MAIL_HEALTH_FAILED /* nothing is written until the store could be opened again */
};

struct mail_thread_figures {
    enum mail_health health;
    uint64_t waiting; /* questions and answers between give and take */
    uint64_t inboxes;
    uint64_t expired; /* messages that nobody took in time, since the start */
    uint64_t commits; /* batches, since the start */
};

/* Any thread. */
struct mail_thread_figures mail_thread_figures(struct mail_thread *thread);

/* The other functions belong to one thread, the router's. */
bool mail_thread_give(struct mail_thread *thread, struct mail_op **op_p); /* false: full */
/* An answer or arrival; NULL when there is none now. The caller destroys it. */
struct mail_op *mail_thread_take(struct mail_thread *thread);
/* Readable (for poll) when something is to be taken, or the health is another one than before; take
 * until NULL. */
int mail_thread_fd(struct mail_thread *thread);

#endif
