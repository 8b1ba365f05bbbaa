/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_consumer.h - who takes from an inbox: windows, and the clock of the oldest
 * message that each holds. What others call stands in mail.h. */
#ifndef SOS_BROKER_CORE_MAIL_CONSUMER_H
#define SOS_BROKER_CORE_MAIL_CONSUMER_H

#include "broker/core/mail_state.h"

/* Its room changed: enters it among those with room, or without. */
void consumer_settle(struct consumer *consumer);

/* The entry is its newest one now; or is none of its any more. */
void consumer_took(struct core *core, struct consumer *consumer, struct entry *entry);
void consumer_lost(struct core *core, struct consumer *consumer, struct entry *entry);
/* The oldest one's time was extended. */
void consumer_extended(struct core *core, struct consumer *consumer);

/* It answered FULL or GONE: gets nothing until it is resumed. */
void consumer_pause(struct consumer *consumer);
/* Those that nothing else resumes. */
void consumers_retry(struct inbox *inbox);

/* What a bus_inbox took stays with it; it takes no more and ends when nothing is held. */
void consumer_close(struct core *core, struct consumer *consumer);

/* The subscription of this session; NULL. */
struct consumer *consumer_of_session(const struct peer *peer);

#endif
