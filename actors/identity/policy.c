/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/policy.h"

#include <stdio.h>

#include "actors/identity/policy_data.h"
#include "actors/identity/policy_match.h"
#include "kernel/capability.h"
#include "kernel/constraints.h"

static const char UNAPPROVED_QUOTA[] = "ledger_write_unapproved_micros";

const char *
policy_edition(const struct policy *policy)
{
    return policy->edition;
}

bool
policy_feature(const struct policy *policy, const char *name, bool fallback)
{
    for (size_t i = 0; i < policy->feature_count; i++)
        if (text_equal_string(policy->features[i].name, name))
            return policy->features[i].on;
    return fallback;
}

uint64_t
policy_quota(const struct policy *policy, const char *name, uint64_t fallback)
{
    for (size_t i = 0; i < policy->quota_count; i++)
        if (text_equal_string(policy->quotas[i].name, name))
            return policy->quotas[i].limit;
    return fallback;
}

/* ---- what matches */

/* The pattern with {agent_id} replaced by whoever asks. False: out of memory. */
static bool
expand(struct text pattern, struct text subject, struct buffer *out)
{
    static const char mark[] = "{agent_id}";
    buffer_reset(out);
    while (pattern.size > 0) {
        const char *at = memmem(pattern.data, pattern.size, mark, sizeof mark - 1);
        size_t plain = at ? (size_t)(at - pattern.data) : pattern.size;
        buffer_append(out, pattern.data, plain);
        if (at) {
            buffer_append_text(out, subject);
            plain += sizeof mark - 1;
        }
        pattern.data += plain;
        pattern.size -= plain;
    }
    return !out->failed;
}

typedef bool resource_match_fn(struct text pattern, struct text asked);

static bool
matches_resource(struct text pattern, const struct policy_question *question,
                 resource_match_fn *match, struct buffer *room)
{
    return expand(pattern, question->subject, room) && match(buffer_text(room), question->resource);
}

/* An exception to a right holds as soon as it is touched, one to a ban when it takes in all that is
 * asked for. */
static bool
is_excepted(const struct policy_rule *rule, const struct policy_question *question,
            struct buffer *room)
{
    resource_match_fn *match = rule->effect == POLICY_ALLOW ? policy_overlaps : policy_covers;
    for (size_t i = 0; i < rule->unless_count; i++) {
        const struct policy_unless *unless = &rule->unless[i];
        if ((unless->action.size == 0 || glob_match(unless->action, question->action)) &&
            (unless->subject.size == 0 || glob_match(unless->subject, question->subject)) &&
            (unless->resource.size == 0 ||
             matches_resource(unless->resource, question, match, room)))
            return true;
    }
    return false;
}

static bool
matches(const struct policy_rule *rule, const struct policy_question *question, struct buffer *room)
{
    resource_match_fn *match = rule->effect == POLICY_ALLOW ? policy_covers : policy_overlaps;
    return glob_match(rule->action, question->action) &&
           matches_resource(rule->resource, question, match, room) &&
           !is_excepted(rule, question, room);
}

void
policy_evaluate(const struct policy *policy, const struct policy_question *question,
                struct policy_verdict *verdict)
{
    struct buffer room;
    *verdict = (struct policy_verdict){.effect = POLICY_DENY, .reason = "no rule allows it"};
    if (glob_is_pattern(question->subject) || glob_is_pattern(question->action))
        return;
    buffer_init(&room);
    /* Memory for the longest pattern beforehand: running out of it must not pass over a rule. */
    bool reserved = buffer_reserve(&room, POLICY_GLOB_MAX + (POLICY_GLOB_MAX / 10 + 1) *
                                                                (question->subject.size + 1));
    for (size_t i = 0; reserved && i < policy->rule_count; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (!matches(rule, question, &room))
            continue;
        verdict->effect = rule->effect;
        verdict->rule = (int)i + 1;
        verdict->constraints = rule->constraints;
        snprintf(verdict->reason, sizeof verdict->reason, "%.*s", TEXT_ARGS(rule->reason));
        break;
    }
    buffer_clear(&room);
}

/* ---- what is dangerous */

static bool
exceeds_unapproved(const struct policy *policy, struct bytes packed)
{
    struct constraints constraints;
    uint64_t limit = policy_quota(policy, UNAPPROVED_QUOTA, 0);
    return constraints_parse(packed, &constraints, NULL) != STATUS_OK ||
           !(constraints.set & CONSTRAINT_MAX_AMOUNT) || constraints.max_amount < 0 ||
           (uint64_t)constraints.max_amount > limit;
}

bool
policy_is_dangerous(const struct policy *policy, struct text action, struct bytes constraints)
{
    static const char *const always[] = {"agent:terminate", "config:write", "secret:read"};
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (text_equal_string(action, always[i]))
            return true;
    if (text_equal_string(action, "ledger:write"))
        return exceeds_unapproved(policy, constraints);
    return text_starts_with(action, "capability:") &&
           !text_equal_string(action, "capability:request");
}
