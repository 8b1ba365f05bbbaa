/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/constraints.h - what a capability says beyond action and resource: how much, how often,
 * for whom.
 *
 * The map comes with a signed token, but its members are anybody's: a name that is not known here
 * is carried and not looked at, a known one of another form makes the whole token unusable, because
 * a limit that cannot be read must not be taken for none. Pure. */
#ifndef SOS_KERNEL_CONSTRAINTS_H
#define SOS_KERNEL_CONSTRAINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum {
    CONSTRAINTS_MEMBERS_MAX = 64,
    CONSTRAINT_AGENT_MAX = 255,
    CONSTRAINT_FILTER_MAX = 32,
    CONSTRAINT_RATE_MAX = 1000000
};

enum constraint {
    CONSTRAINT_MAX_RESULTS = 1u << 0,
    CONSTRAINT_RATE_LIMIT = 1u << 1,
    CONSTRAINT_MAX_AMOUNT = 1u << 2,
    CONSTRAINT_AGENT_ID = 1u << 3,
    CONSTRAINT_CONTENT_FILTER = 1u << 4,
    CONSTRAINT_MAX_RESPONSE_LENGTH = 1u << 5
};

/* Data; {0} constrains nothing. */
struct constraints {
    unsigned set; /* enum constraint: which of the members below count */
    int64_t max_results;
    uint32_t rate_count; /* uses … */
    uint64_t rate_us;    /* … in so much time: 10 in a minute */
    int64_t max_amount;  /* micros, as amounts are everywhere */
    bool requires_witness;
    char agent_id[CONSTRAINT_AGENT_MAX + 1];
    char content_filter[CONSTRAINT_FILTER_MAX + 1]; /* "strict" */
    int64_t max_response_length;                    /* characters */
};

/* packed: one msgpack map, or nothing. A member that is null counts as absent. INVALID word
 * "invalid_capability_payload" names the member, what came and what was expected. */
enum status constraints_parse(struct bytes packed, struct constraints *constraints,
                              struct error *error);

/* "10/minute": 1 to CONSTRAINT_RATE_MAX in a second, minute, hour or day. */
bool rate_parse(struct text text, uint32_t *count, uint64_t *period_us);

#endif
