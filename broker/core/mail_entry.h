/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_entry.h - messages that are out: what was tried, and how they end.
 *
 * No function here gives anything out: call inbox_look() when all is in its new state. */
#ifndef SOS_BROKER_CORE_MAIL_ENTRY_H
#define SOS_BROKER_CORE_MAIL_ENTRY_H

#include "broker/core/mail_state.h"

/* Registered, in no state yet: entry_out() or entry_free() follows. NULL when out of memory. */
struct entry *entry_new(struct core *core, struct inbox *inbox, const struct uuid *id, uint64_t seq,
                        uint32_t tries);
/* Frees it as well when it is in a state. */
void entry_free(struct core *core, struct entry *entry);

/* The one that an ack of this id speaks of. Senders choose ids, so two messages may have the same:
 * then one that is out, and of those the oldest. */
struct entry *entry_find(const struct core *core, const struct inbox *inbox, const struct uuid *id);
struct entry *entry_find_number(const struct core *core, uint64_t inbox, const struct uuid *id,
                                uint64_t seq);

/* How many count against the inbox's limit. */
static inline size_t
inbox_held(const struct inbox *inbox)
{
    return inbox->entry_count - inbox->ending_count + inbox->failed_count;
}

/* A consumer has it. */
void entry_out(struct core *core, struct entry *entry, struct consumer *consumer);
/* Comes again as soon as somebody has room; nothing was tried. */
void entry_again(struct core *core, struct entry *entry);
/* It is being read. */
void entry_reading(struct core *core, struct entry *entry);
/* Comes again after a while; nothing was tried. */
void entry_delay(struct core *core, struct entry *entry, uint64_t delay_us);
/* This delivery came to nothing: comes again after the delay, or becomes a dead letter. */
void entry_tried(struct core *core, struct entry *entry, uint64_t delay_us, struct text reason);
/* 1, 2, 4 s: what its next redelivery waits for. */
uint64_t entry_schedule_us(const struct entry *entry);

/* It was handled. ticket: hears of the end, may be NULL. False: out of memory, all is as it was; or
 * it is ending already and nobody else can wait for that. */
bool entry_remove(struct core *core, struct entry *entry, struct ticket *ticket);
/* It becomes a dead letter. The same. */
bool entry_kill(struct core *core, struct entry *entry, struct text reason, struct ticket *ticket);
/* An answer to either; the op is taken when it has to be asked again. The entry's inbox, or NULL.
 */
struct inbox *entry_answered(struct core *core, struct mail_op **op_p);

#endif
