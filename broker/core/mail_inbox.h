/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_inbox.h - an inbox in memory: reads ahead, and gives out what it can.
 *
 * Messages are given out in the order of their numbers. One that has just arrived and is the next
 * goes out from the bytes that came back with its answer, at once or when somebody has room; all
 * others are read. */
#ifndef SOS_BROKER_CORE_MAIL_INBOX_H
#define SOS_BROKER_CORE_MAIL_INBOX_H

#include "broker/core/mail_state.h"

struct inbox *inbox_find(const struct core *core, struct text name);
/* Finds it, or makes it; NULL when out of memory. */
struct inbox *inbox_make(struct core *core, struct text name);

/* Something changed: gives out what can be given, reads what should be, and frees the inbox when
 * nobody needs it: it may be gone afterwards. */
void inbox_look(struct core *core, struct inbox *inbox);
/* The same, later. */
void inbox_look_soon(struct core *core, struct inbox *inbox);
void inbox_look_later(struct core *core, struct inbox *inbox, uint64_t delay_us);
/* Only frees it when nobody needs it. */
void inbox_settle(struct core *core, struct inbox *inbox);
/* Nothing is there for those who wait, and nothing is on its way to them. */
bool inbox_is_empty(const struct inbox *inbox);
/* As many messages are out as may be. */
bool inbox_is_full(const struct inbox *inbox);

/* A message is in this inbox; the answered MAIL_APPEND, or the MAIL_ARRIVED. It may be taken. */
void inbox_arrived(struct core *core, struct mail_op **op_p);
/* There may be a message in it that nobody was told of. */
void inbox_doubt(struct core *core, struct text name);
/* Answers. Rows are taken. */
void inbox_rows(struct core *core, struct mail_op **op_p);
void inbox_row(struct core *core, const struct mail_op *op);

void inbox_free(struct core *core, struct inbox *inbox);

#endif
