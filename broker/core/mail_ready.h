/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_ready.h - messages of an inbox that are in memory, to be given out in order:
 * rows that were read, and messages that arrived while nobody had room. All of them can be read
 * again. */
#ifndef SOS_BROKER_CORE_MAIL_READY_H
#define SOS_BROKER_CORE_MAIL_READY_H

#include "broker/core/mail_state.h"

/* The next one that has not expired, NULL when none is in memory. The bytes are borrowed until it
 * is passed or dropped. */
const struct mail_row *ready_next(struct core *core, struct inbox *inbox, struct bytes *record);
/* It was given out. */
void ready_pass(struct core *core, struct inbox *inbox);

/* Takes the answer of a MAIL_READ: the rows behind those in memory. */
void ready_add(struct core *core, struct inbox *inbox, struct mail_op **op_p);
/* Takes a message that arrived, the next one behind those in memory, with its record. False, and
 * nothing is taken: out of memory. */
bool ready_keep(struct core *core, struct inbox *inbox, struct mail_op **op_p);

/* Forgets all of them: they are to be read. */
void ready_drop(struct core *core, struct inbox *inbox);

#endif
