/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/quota.h - how much each edition keeps: what its policy says, and until that is
 * known the built-in table of the configured edition. */
#ifndef SOS_MEMORY_QUOTA_H
#define SOS_MEMORY_QUOTA_H

#include "actors/memory/memories.h"
#include "actors/runtime/service.h"

/* VALIDATION naming the setting: no such edition. */
enum status quota_find(struct text edition, struct memories_limits *limits, struct error *error);

/* The limits with the policy's quota memories_max; 0 of them without its feature persistent_memory.
 * Each that the policy does not name is as the built-in table has it. */
struct memories_limits quota_apply(const struct memories_limits *built_in,
                                   const struct edition_policy *policy);

#endif
