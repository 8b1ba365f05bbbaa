/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/policy_data.h"

/* ---- as the answer of the operation `policy` */

static void
pack_unless(struct buffer *out, const struct policy_unless *unless)
{
    const struct {
        const char *name;
        struct text glob;
    } members[] = {
        {"action", unless->action}, {"resource", unless->resource}, {"subject", unless->subject}};
    uint32_t count = 0;
    for (size_t i = 0; i < 3; i++)
        count += members[i].glob.size > 0;
    pack_map(out, count);
    for (size_t i = 0; i < 3; i++)
        if (members[i].glob.size > 0)
            pack_pair_text(out, members[i].name, members[i].glob);
}

static void
pack_rule(struct buffer *out, const struct policy_rule *rule)
{
    pack_map(out, 6);
    pack_pair_text(out, "action", rule->action);
    pack_pair_text(out, "resource", rule->resource);
    pack_pair_string(out, "effect", policy_effect_words[rule->effect]);
    pack_string(out, "constraints");
    if (rule->constraints.size > 0)
        pack_raw(out, rule->constraints);
    else
        pack_map(out, 0);
    if (rule->reason.size > 0)
        pack_pair_text(out, "reason", rule->reason);
    else
        pack_pair_nil(out, "reason");
    pack_string(out, "unless");
    pack_array(out, (uint32_t)rule->unless_count);
    for (size_t i = 0; i < rule->unless_count; i++)
        pack_unless(out, &rule->unless[i]);
}

void
policy_pack(const struct policy *policy, struct buffer *out)
{
    pack_map(out, 5);
    pack_pair_string(out, "edition", policy->edition);
    pack_pair_text(out, "description", policy->description);
    pack_string(out, "rules");
    pack_array(out, (uint32_t)policy->rule_count);
    for (size_t i = 0; i < policy->rule_count; i++)
        pack_rule(out, &policy->rules[i]);
    pack_string(out, "features");
    pack_map(out, (uint32_t)policy->feature_count);
    for (size_t i = 0; i < policy->feature_count; i++) {
        pack_text(out, policy->features[i].name);
        pack_bool(out, policy->features[i].on);
    }
    pack_string(out, "quotas");
    pack_map(out, (uint32_t)policy->quota_count);
    for (size_t i = 0; i < policy->quota_count; i++) {
        pack_text(out, policy->quotas[i].name);
        pack_uint(out, policy->quotas[i].limit);
    }
}

/* ---- what has changed */

static bool
is_same_rule(const struct policy_rule *one, const struct policy_rule *other)
{
    struct buffer left, right;
    buffer_init(&left);
    buffer_init(&right);
    pack_rule(&left, one);
    pack_rule(&right, other);
    bool same =
        !left.failed && !right.failed && text_equal(buffer_text(&left), buffer_text(&right));
    buffer_clear(&left);
    buffer_clear(&right);
    return same;
}

static bool
has_rule(const struct policy *policy, const struct policy_rule *wanted)
{
    for (size_t i = 0; i < policy->rule_count; i++)
        if (is_same_rule(&policy->rules[i], wanted))
            return true;
    return false;
}

static void
list_rules(const struct policy *of, const struct policy *lacking, char sign, struct buffer *out)
{
    for (size_t i = 0; i < of->rule_count; i++) {
        const struct policy_rule *rule = &of->rules[i];
        if (!has_rule(lacking, rule))
            buffer_append_format(out, "%crule %zu: %s %.*s on %.*s; ", sign, i + 1,
                                 policy_effect_words[rule->effect], TEXT_ARGS(rule->action),
                                 TEXT_ARGS(rule->resource));
    }
}

/* The rules that both have, in another order: the first match decides, so that is a change. */
static bool
is_reordered(const struct policy *before, const struct policy *now)
{
    size_t at = 0;
    for (size_t i = 0; i < before->rule_count; i++) {
        if (!has_rule(now, &before->rules[i]))
            continue;
        while (at < now->rule_count && !has_rule(before, &now->rules[at]))
            at++;
        if (at == now->rule_count || !is_same_rule(&before->rules[i], &now->rules[at]))
            return true;
        at++;
    }
    return false;
}

static const struct policy_feature *
find_feature(const struct policy *policy, struct text name)
{
    for (size_t i = 0; i < policy->feature_count; i++)
        if (text_equal(policy->features[i].name, name))
            return &policy->features[i];
    return NULL;
}

static const struct policy_quota *
find_quota(const struct policy *policy, struct text name)
{
    for (size_t i = 0; i < policy->quota_count; i++)
        if (text_equal(policy->quotas[i].name, name))
            return &policy->quotas[i];
    return NULL;
}

static const char *
feature_word(const struct policy_feature *feature)
{
    return !feature ? "unset" : feature->on ? "true" : "false";
}

static void
append_limit(struct buffer *out, const struct policy_quota *quota)
{
    if (quota)
        buffer_append_format(out, "%llu", (unsigned long long)quota->limit);
    else
        buffer_append_string(out, "unset");
}

static void
tell_feature(const struct policy *before, const struct policy *now, struct text name,
             struct buffer *out)
{
    const char *was = feature_word(find_feature(before, name));
    const char *is = feature_word(find_feature(now, name));
    if (strcmp(was, is) != 0)
        buffer_append_format(out, "feature %.*s: %s -> %s; ", TEXT_ARGS(name), was, is);
}

static void
tell_quota(const struct policy *before, const struct policy *now, struct text name,
           struct buffer *out)
{
    const struct policy_quota *was = find_quota(before, name), *is = find_quota(now, name);
    if (was && is && was->limit == is->limit)
        return;
    buffer_append_format(out, "quota %.*s: ", TEXT_ARGS(name));
    append_limit(out, was);
    buffer_append_string(out, " -> ");
    append_limit(out, is);
    buffer_append_string(out, "; ");
}

static void
tell_names(const struct policy *before, const struct policy *now, struct buffer *out)
{
    for (size_t i = 0; i < now->feature_count; i++)
        tell_feature(before, now, now->features[i].name, out);
    for (size_t i = 0; i < before->feature_count; i++)
        if (!find_feature(now, before->features[i].name))
            tell_feature(before, now, before->features[i].name, out);
    for (size_t i = 0; i < now->quota_count; i++)
        tell_quota(before, now, now->quotas[i].name, out);
    for (size_t i = 0; i < before->quota_count; i++)
        if (!find_quota(now, before->quotas[i].name))
            tell_quota(before, now, before->quotas[i].name, out);
}

void
policy_diff(const struct policy *before, const struct policy *now, size_t size_max,
            struct buffer *out)
{
    static const char cut[] = "…";
    size_t begin = out->size;
    if (strcmp(before->edition, now->edition) != 0)
        buffer_append_format(out, "edition: %s -> %s; ", before->edition, now->edition);
    list_rules(before, now, '-', out);
    list_rules(now, before, '+', out);
    if (is_reordered(before, now))
        buffer_append_string(out, "rules in another order; ");
    tell_names(before, now, out);
    if (out->size - begin <= size_max)
        return;
    size_t end = begin + size_max - (sizeof cut - 1);
    while (end > begin && (out->data[end] & 0xc0) == 0x80)
        end--;
    out->size = end;
    buffer_append_string(out, cut);
}
