/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_take.h - `bus_inbox`: takes what there is, or waits for the first message. */
#ifndef SOS_BROKER_CORE_MAIL_TAKE_H
#define SOS_BROKER_CORE_MAIL_TAKE_H

#include "broker/core/mail_state.h"

/* Answers those that got as much as there is, and those that need not wait when there is nothing.
 * The inbox is marked busy. */
void takes_look(struct core *core, struct inbox *inbox);
/* The inbox cannot be read. The same. */
void takes_fail(struct core *core, struct inbox *inbox, enum status status,
                const struct error *error);

#endif
