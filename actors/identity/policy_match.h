/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/policy_match.h - globs against what is asked for, which may be a glob itself. */
#ifndef SOS_IDENTITY_POLICY_MATCH_H
#define SOS_IDENTITY_POLICY_MATCH_H

#include "kernel/bytes.h"

/* Does the pattern match all that is asked for? Never true when it does not. */
bool policy_covers(struct text pattern, struct text asked);

/* Is there anything that both match? Never false when there is. */
bool policy_overlaps(struct text pattern, struct text asked);

#endif
