/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_ask.h - questions to the mailbox, and who waits for their answers. */
#ifndef SOS_BROKER_CORE_MAIL_ASK_H
#define SOS_BROKER_CORE_MAIL_ASK_H

#include "broker/core/mail_state.h"

/* Asks when the mailbox has room. False: it has none, or earlier questions wait; the op stays the
 * caller's. */
bool mail_try(struct core *core, struct mail_op **op_p);
/* Asks now or as soon as there is room, in order. What waits is bounded: while it does, no message
 * is read or taken on, so each entry and each call is in it once. */
void mail_ask(struct core *core, struct mail_op **op_p);
/* Asks what waited. */
void mail_ask_backlog(struct core *core);
void mail_ask_clear(struct mail *mail);

/* ---- tickets */

/* For a record flagged confirm: its sender is told. NULL when out of memory. */
struct ticket *ticket_of_record(struct core *core, struct peer *peer, const struct message *message,
                                ticket_fn *answered);
/* For a call, whose request is kept. On NULL the call was refused and *verdict says so. */
struct ticket *ticket_of_call(struct core *core, const struct bus_call *call, ticket_fn *answered,
                              const char **verdict);
struct ticket *ticket_find(const struct core *core, uint64_t number);
void ticket_destroy(struct core *core, struct ticket *ticket);

/* Asks for a ticket, by mail_ask(). */
void ticket_ask(struct core *core, struct ticket *ticket, struct mail_op **op_p);
/* Asks for a call; the verdict. NULL as op: no memory for it. Refused when the mailbox has no
 * room. */
const char *ticket_ask_now(struct core *core, struct ticket *ticket, struct mail_op **op_p);

/* They answer the request, which ends the ticket. */
void ticket_reply(struct core *core, struct ticket *ticket, const struct buffer *payload);
void ticket_fail(struct core *core, struct ticket *ticket, enum status status,
                 const struct error *error);

#endif
