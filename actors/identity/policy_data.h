/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/policy_data.h - a policy's inside, for the files that make and read it. */
#ifndef SOS_IDENTITY_POLICY_DATA_H
#define SOS_IDENTITY_POLICY_DATA_H

#include "actors/identity/policy.h"
#include "kernel/pack.h"

struct policy_unless {
    struct text action, resource, subject; /* globs; empty: any */
};

struct policy_rule {
    struct text action, resource;
    enum policy_effect effect;
    struct bytes constraints; /* a packed map, or empty */
    struct text reason;
    struct policy_unless unless[POLICY_UNLESS_MAX];
    size_t unless_count;
};

struct policy_feature {
    struct text name;
    bool on;
};

struct policy_quota {
    struct text name;
    uint64_t limit;
};

struct policy {
    struct buffer packed; /* the file as msgpack; all views borrow from it */
    char edition[POLICY_EDITION_MAX + 1];
    struct text description;
    struct policy_rule *rules;
    size_t rule_count;
    struct policy_feature features[POLICY_NAMES_MAX];
    size_t feature_count;
    struct policy_quota quotas[POLICY_NAMES_MAX];
    size_t quota_count;
};

extern const char *const policy_effect_words[]; /* by enum policy_effect; ends with NULL */

#endif
