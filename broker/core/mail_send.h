/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_send.h - taking messages on. */
#ifndef SOS_BROKER_CORE_MAIL_SEND_H
#define SOS_BROKER_CORE_MAIL_SEND_H

#include "broker/core/mail_state.h"

/* Checks a message (id, target, size, rate of the peer) and hands it to the mailbox; its answer
 * carries `tag`. record: as it is to be kept. due_us: wall clock, 0 at once. The words of
 * docs/PROTOCOL.md. */
enum status mail_append(struct core *core, struct peer *peer, const struct message *message,
                        struct bytes record, uint64_t due_us, uint64_t tag, struct error *error);

/* "squad:engineering", "guild:…". INVALID, word "not_a_squad". */
enum status mail_check_squad(struct text name, struct error *error);

/* The answer to a MAIL_APPEND that was made for a send record: tells its sender. */
void send_answered(struct core *core, const struct mail_op *op);
/* Counts a message that was taken on, or why it was not. */
void send_count(struct core *core, enum status status, uint64_t copies, const struct error *error);

#endif
