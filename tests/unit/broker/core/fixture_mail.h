/* SPDX-License-Identifier: Apache-2.0 */
/* A mailbox in memory behind a fixture's core, which answers when the test says so: in between the
 * disk may be slow, full or broken, and the broker may die. */
#ifndef SOS_TESTS_BROKER_CORE_FIXTURE_MAIL_H
#define SOS_TESTS_BROKER_CORE_FIXTURE_MAIL_H

#include "fixture.h"

enum {
    FAKE_ROWS = 4096,
    FAKE_QUESTIONS = 8192,
    FAKE_MEMBERS = 16,
    FAKE_TYPES = MAIL_CHECKPOINT + 1
};

struct fake_row {
    char inbox[64];
    char source[64];
    uint64_t seq;
    struct uuid id;
    struct bytes record; /* owned */
    uint64_t kept_us;
    uint64_t expires_us;
    uint64_t due_us; /* 0: it is there */
    uint32_t attempts;
    bool dead;
    bool gone; /* handled, or never for this inbox: known ids only */
    char reason[64];
};

struct fake_mail {
    struct fake_row rows[FAKE_ROWS];
    size_t row_count;
    uint64_t last_seq;
    uint64_t seq_step; /* 1; more: numbers have gaps */
    struct mail_op *questions[FAKE_QUESTIONS];
    size_t question_count;
    size_t question_max; /* no room beyond */
    size_t answered;     /* of `questions` */
    struct mail_op *arrived[FAKE_QUESTIONS];
    size_t arrived_count;
    bool arrivals_carry; /* the record */
    bool endless;        /* the first message stands under every number */
    /* What questions of a type are answered with; OK: as they are. UNKNOWN_OUTCOME: they are done
     * all the same. */
    enum status fails[FAKE_TYPES];
    size_t asked[FAKE_TYPES];
    struct {
        char squad[64];
        char name[64];
    } members[FAKE_MEMBERS];
    size_t member_count;
    struct buffer memory; /* packed items, the newest first */
    uint32_t memory_count;
};

/* fixture_setup with a mailbox. */
int fixture_mail_setup(void **state);

/* Answers the next `count` questions, or all there are; what arrived is told behind them. */
void mail_answer(struct fixture *f, size_t count);
/* Until no question is left. */
void mail_settle(struct fixture *f);
/* Time passes, the mailbox answers at once and nobody is silent. */
void mail_pass(struct fixture *f, uint64_t ms);
/* The broker dies and comes again: what was not answered never happened, sessions are gone. */
void mail_crash(struct fixture *f);
/* Delayed messages that are due go into their inboxes. */
void mail_sweep(struct fixture *f);
/* Messages in an inbox. */
size_t mail_rows(const struct fixture *f, const char *inbox);
size_t mail_dead_rows(const struct fixture *f, const char *inbox);
/* The one that has this id, gone or not; fails the test when there is none. */
struct fake_row *mail_row_of(struct fixture *f, const char *inbox, const struct uuid *id);
/* Questions that are not answered yet. */
size_t mail_open(const struct fixture *f);

/* ---- what peers say */
struct uuid mail_send(struct fixture *f, peer_number peer, const char *to, const char *text);
/* Sends, answers, and takes the ack. */
struct uuid mail_put(struct fixture *f, peer_number peer, const char *to, const char *text);
struct uuid mail_subscribe_to(struct fixture *f, peer_number peer, const char *inbox,
                              uint32_t window, uint32_t ack_ms);
/* The same, settled; returns how many were said to wait. */
uint64_t mail_listen(struct fixture *f, peer_number peer, const char *inbox, uint32_t window,
                     uint32_t ack_ms);
struct uuid mail_ack(struct fixture *f, peer_number peer, const struct uuid *id, bool confirm);
void mail_nack(struct fixture *f, peer_number peer, const struct uuid *id, int64_t delay_ms,
               bool dead);
/* The next record is this message, in this delivery. */
const struct message *take_delivery(struct fixture *f, peer_number peer, const struct uuid *id,
                                    uint32_t attempt);
bool message_says(const struct message *message, const char *text);

#endif
