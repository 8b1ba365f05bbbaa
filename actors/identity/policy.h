/* SPDX-License-Identifier: Apache-2.0 */
/* actors/identity/policy.h - what an edition lets its agents have: rules, features and quotas.
 *
 * A policy is a JSON object:
 *   edition      its name, of a-z 0-9 _ -
 *   description  optional
 *   rules        list of {action, resource, effect, constraints?, reason?, unless?}; the first that
 *                matches decides, none means deny. action and resource are globs; {agent_id} in a
 *                resource is whoever asks. effect: allow, deny or approve (an administrator
 * decides). unless: list of {action?, resource?, subject?}, globs: a rule is passed over where all
 * of one entry match features     name -> boolean quotas       name -> whole number Files are
 * anybody's: every member is checked and bounded. Pure; a policy is immutable, any thread.
 */
#ifndef SOS_IDENTITY_POLICY_H
#define SOS_IDENTITY_POLICY_H

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/status.h"

enum {
    POLICY_SIZE_MAX = 64 * 1024,
    POLICY_RULES_MAX = 256,
    POLICY_UNLESS_MAX = 8,
    POLICY_NAMES_MAX = 64, /* features, and quotas */
    POLICY_CONSTRAINTS_MAX = 16,
    POLICY_EDITION_MAX = 32,
    POLICY_GLOB_MAX = 512,
    POLICY_REASON_MAX = 256
};

enum policy_effect { POLICY_DENY, POLICY_ALLOW, POLICY_APPROVE };

struct policy;

/* The errors name source, place and what was expected: "kids.json: rules[3].effect: …". */
enum status policy_parse(struct policy **policy_p, struct text json, const char *source,
                         struct error *error);
void policy_destroy(struct policy **policy_p);

const char *policy_edition(const struct policy *policy);
bool policy_feature(const struct policy *policy, const char *name, bool fallback);
uint64_t policy_quota(const struct policy *policy, const char *name, uint64_t fallback);

struct policy_question {
    struct text subject; /* who asks; a name without glob characters, or nothing is allowed */
    struct text action;
    struct text resource; /* may be a glob */
};

struct policy_verdict {
    enum policy_effect effect;
    int rule;                 /* its place, from 1; 0: no rule matched */
    struct bytes constraints; /* of the rule: a packed map, or empty; borrowed from the policy */
    char reason[POLICY_REASON_MAX + 1];
};

/* The first rule that matches. An allowing rule matches what it covers whole; the others match
 * where they have anything in common with what is asked for. */
void policy_evaluate(const struct policy *policy, const struct policy_question *question,
                     struct policy_verdict *verdict);

/* Is an administrator to decide, whatever the rule says? constraints: those that the right would
 * have. */
bool policy_is_dangerous(const struct policy *policy, struct text action, struct bytes constraints);

/* {edition, description, rules[], features{}, quotas{}}: one value. */
void policy_pack(const struct policy *policy, struct buffer *out);

/* What `now` has beside `before`, for people: "+rule allow memory:read …; feature economy: true ->
 * false". Cut at size_max with "…". */
void policy_diff(const struct policy *before, const struct policy *now, size_t size_max,
                 struct buffer *out);

/* Could this be the name of an edition, and so of a file? */
bool policy_is_name(struct text edition);

#endif
