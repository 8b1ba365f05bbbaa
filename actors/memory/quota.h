/* SPDX-License-Identifier: Apache-2.0 */
/* actors/memory/quota.h - how much each edition keeps. */
#ifndef SOS_MEMORY_QUOTA_H
#define SOS_MEMORY_QUOTA_H

#include "actors/memory/memories.h"

/* VALIDATION naming the setting: no such edition. */
enum status quota_find(struct text edition, struct memories_limits *limits, struct error *error);

#endif
