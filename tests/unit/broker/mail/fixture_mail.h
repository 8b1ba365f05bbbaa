/* SPDX-License-Identifier: Apache-2.0 */
/* A mailbox over a store in memory, with a clock that stands still, and short spellings. */
#ifndef SOS_TEST_FIXTURE_MAIL_H
#define SOS_TEST_FIXTURE_MAIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/mail/mailbox.h"

enum { SECOND_US = 1000000 };

struct fixture {
    struct store *store;
    struct mailbox *mailbox;
    struct mailbox_limits limits;
    struct now now;
    struct mail_op *arrived; /* of the last run */
    struct error error;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

void reopen(struct fixture *fixture);
void advance(struct fixture *fixture, uint64_t us);

struct bytes bytes_of(const char *text);

/* ---- questions */
struct mail_op *question(enum mail_op_type type, const char *name);
struct mail_op *send_to(const char *to, const char *from, unsigned id, const char *record);
struct mail_op *send_to_squad(const char *squad, const char *from, unsigned id, const char *record);
struct mail_op *numbered(enum mail_op_type type, const char *name, uint64_t seq);
struct mail_op *member(enum mail_op_type type, const char *squad, const char *who);

/* Runs them as one batch, in this order (NULL ends); they stay the caller's. */
void run(struct fixture *fixture, struct mail_op *first, ...) __attribute__((sentinel));
/* Runs one and destroys it. */
enum status ask(struct fixture *fixture, struct mail_op *op);
/* … which must be OK; returns count. */
uint64_t done(struct fixture *fixture, struct mail_op *op);
/* Sends, must be OK; returns the message's number. */
uint64_t sent(struct fixture *fixture, const char *to, const char *from, unsigned id,
              const char *record);
void drop_op(struct mail_op *op);
void drop_arrived(struct fixture *fixture);
size_t arrived_count(const struct fixture *fixture);

/* ---- what is there: "1:hello 2:world", numbers and records; with attempts "1:hello/2" when tried;
 * of dead letters "1:hello/4(reason)". Static until the next call. */
const char *inbox_text(struct fixture *fixture, const char *inbox);
const char *dead_text(struct fixture *fixture, const char *inbox);
/* "waiting delayed dead bytes" of an inbox; "" when it is not listed. */
const char *figures_text(struct fixture *fixture, const char *inbox);

#endif
