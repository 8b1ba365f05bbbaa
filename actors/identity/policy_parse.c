/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "actors/identity/policy_data.h"
#include "kernel/constraints.h"
#include "kernel/json.h"

const char *const policy_effect_words[] = {
    [POLICY_DENY] = "deny", [POLICY_ALLOW] = "allow", [POLICY_APPROVE] = "approve", NULL};

enum { PLACE_SIZE = 96, EXPECTED_SIZE = 160 };

struct reading {
    const char *source;
    struct error *error;
};

static enum status refuse(const struct reading *reading, const char *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum status
refuse(const struct reading *reading, const char *place, const char *format, ...)
{
    char expected[EXPECTED_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(expected, sizeof expected, format, arguments);
    va_end(arguments);
    error_set(reading->error, "%s: %s: expected %s", reading->source, place, expected);
    return STATUS_VALIDATION;
}

/* ---- members */

static enum status
check_members(const struct reading *reading, const struct value *map, const char *place,
              const char *const *known)
{
    struct value key, value;
    for (struct entries entries = value_entries(map); entries_next_pair(&entries, &key, &value);) {
        size_t i = 0;
        while (known[i] && !text_equal_string(key.as.text, known[i]))
            i++;
        if (!known[i])
            return refuse(reading, place, "no member \"%.*s\"",
                          (int)(key.as.text.size < 64 ? key.as.text.size : 64), key.as.text.data);
    }
    return STATUS_OK;
}

static enum status
read_text(const struct reading *reading, const struct value *map, const char *place,
          const char *name, bool required, size_t size_max, struct text *text)
{
    struct value value;
    char where[PLACE_SIZE + 32];
    snprintf(where, sizeof where, "%s%s%s", place, place[0] ? "." : "", name);
    if (!value_find(map, name, &value)) {
        if (required)
            return refuse(reading, where, "a text, and none is there");
        *text = (struct text){"", 0};
        return STATUS_OK;
    }
    if (value.type != VALUE_TEXT || value.as.text.size == 0 || value.as.text.size > size_max ||
        memchr(value.as.text.data, '\0', value.as.text.size))
        return refuse(reading, where, "a text of 1 to %zu bytes", size_max);
    *text = value.as.text;
    return STATUS_OK;
}

static enum status
find_typed(const struct reading *reading, const struct value *map, const char *place,
           const char *name, enum value_type type, uint32_t count_max, struct value *found)
{
    char where[PLACE_SIZE + 32];
    snprintf(where, sizeof where, "%s%s%s", place, place[0] ? "." : "", name);
    if (!value_find(map, name, found)) {
        *found = (struct value){.type = type};
        return STATUS_NOT_FOUND;
    }
    if (found->type != type || found->as.count > count_max)
        return refuse(reading, where, "%s of at most %u entries",
                      type == VALUE_MAP ? "an object" : "a list", count_max);
    return STATUS_OK;
}

/* ---- rules */

static enum status
read_effect(const struct reading *reading, const struct value *map, const char *place,
            enum policy_effect *effect)
{
    struct text word;
    enum status status = read_text(reading, map, place, "effect", true, 16, &word);
    if (status != STATUS_OK)
        return status;
    for (int i = 0; policy_effect_words[i]; i++) {
        if (text_equal_string(word, policy_effect_words[i])) {
            *effect = (enum policy_effect)i;
            return STATUS_OK;
        }
    }
    char where[PLACE_SIZE + 32];
    snprintf(where, sizeof where, "%s.effect", place);
    return refuse(reading, where, "allow, deny or approve");
}

static enum status
read_constraints(const struct reading *reading, const struct value *map, const char *place,
                 struct bytes *constraints)
{
    struct value found;
    struct constraints parsed;
    struct error cause = ERROR_INIT;
    enum status status =
        find_typed(reading, map, place, "constraints", VALUE_MAP, POLICY_CONSTRAINTS_MAX, &found);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    if (constraints_parse(found.raw, &parsed, &cause) != STATUS_OK)
        return refuse(reading, place, "constraints that can be read: %s", cause.message);
    *constraints = found.raw;
    return STATUS_OK;
}

static enum status
read_unless(const struct reading *reading, const struct value *map, const char *place,
            struct policy_rule *rule)
{
    static const char *const known[] = {"action", "resource", "subject", NULL};
    struct value list, entry;
    char where[PLACE_SIZE];
    enum status status =
        find_typed(reading, map, place, "unless", VALUE_ARRAY, POLICY_UNLESS_MAX, &list);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    for (struct entries entries = value_entries(&list); entries_next(&entries, &entry);) {
        struct policy_unless *unless = &rule->unless[rule->unless_count];
        snprintf(where, sizeof where, "%.60s.unless[%zu]", place, rule->unless_count);
        if (entry.type != VALUE_MAP || entry.as.count == 0)
            return refuse(reading, where, "an object with action, resource or subject");
        status = check_members(reading, &entry, where, known);
        if (status == STATUS_OK)
            status = read_text(reading, &entry, where, "action", false, POLICY_GLOB_MAX,
                               &unless->action);
        if (status == STATUS_OK)
            status = read_text(reading, &entry, where, "resource", false, POLICY_GLOB_MAX,
                               &unless->resource);
        if (status == STATUS_OK)
            status = read_text(reading, &entry, where, "subject", false, POLICY_GLOB_MAX,
                               &unless->subject);
        if (status != STATUS_OK)
            return status;
        rule->unless_count++;
    }
    return STATUS_OK;
}

static enum status
read_rule(const struct reading *reading, const struct value *map, const char *place,
          struct policy_rule *rule)
{
    static const char *const known[] = {"action", "resource", "effect", "constraints",
                                        "reason", "unless",   NULL};
    if (map->type != VALUE_MAP)
        return refuse(reading, place, "an object");
    enum status status = check_members(reading, map, place, known);
    if (status == STATUS_OK)
        status = read_text(reading, map, place, "action", true, POLICY_GLOB_MAX, &rule->action);
    if (status == STATUS_OK)
        status = read_text(reading, map, place, "resource", true, POLICY_GLOB_MAX, &rule->resource);
    if (status == STATUS_OK)
        status = read_text(reading, map, place, "reason", false, POLICY_REASON_MAX, &rule->reason);
    if (status == STATUS_OK)
        status = read_effect(reading, map, place, &rule->effect);
    if (status == STATUS_OK)
        status = read_constraints(reading, map, place, &rule->constraints);
    if (status == STATUS_OK)
        status = read_unless(reading, map, place, rule);
    return status;
}

static enum status
read_rules(const struct reading *reading, const struct value *root, struct policy *policy)
{
    struct value list, entry;
    char place[PLACE_SIZE];
    enum status status =
        find_typed(reading, root, "", "rules", VALUE_ARRAY, POLICY_RULES_MAX, &list);
    if (status == STATUS_NOT_FOUND)
        return refuse(reading, "rules", "a list of rules");
    if (status != STATUS_OK)
        return status;
    policy->rules = calloc(list.as.count ? list.as.count : 1, sizeof *policy->rules);
    if (!policy->rules)
        return STATUS_NOMEM;
    for (struct entries entries = value_entries(&list); entries_next(&entries, &entry);) {
        snprintf(place, sizeof place, "rules[%zu]", policy->rule_count);
        status = read_rule(reading, &entry, place, &policy->rules[policy->rule_count]);
        if (status != STATUS_OK)
            return status;
        policy->rule_count++;
    }
    return STATUS_OK;
}

/* ---- features and quotas */

static bool
is_name(struct text name, size_t size_max)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
            return false;
    }
    return name.size > 0 && name.size <= size_max;
}

bool
policy_is_name(struct text edition)
{
    return is_name(edition, POLICY_EDITION_MAX);
}

static enum status
read_names(const struct reading *reading, const struct value *root, const char *member,
           struct policy *policy)
{
    struct value map, key, value;
    bool features = strcmp(member, "features") == 0;
    enum status status = find_typed(reading, root, "", member, VALUE_MAP, POLICY_NAMES_MAX, &map);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return status;
    for (struct entries entries = value_entries(&map); entries_next_pair(&entries, &key, &value);) {
        if (!is_name(key.as.text, 64))
            return refuse(reading, member, "names of a-z 0-9 _ -, 1 to 64 bytes");
        if (features && value.type == VALUE_BOOL)
            policy->features[policy->feature_count++] =
                (struct policy_feature){key.as.text, value.as.boolean};
        else if (!features && value.type == VALUE_UINT && value.as.uint <= INT64_MAX)
            policy->quotas[policy->quota_count++] =
                (struct policy_quota){key.as.text, value.as.uint};
        else
            return refuse(reading, member, "%s for %.*s",
                          features ? "true or false" : "a whole number, 0 or more",
                          TEXT_ARGS(key.as.text));
    }
    return STATUS_OK;
}

/* ---- the whole */

static enum status
read_root(const struct reading *reading, const struct value *root, struct policy *policy)
{
    static const char *const known[] = {"edition",  "description", "rules",
                                        "features", "quotas",      NULL};
    struct text edition;
    if (root->type != VALUE_MAP)
        return refuse(reading, "the file", "a JSON object");
    enum status status = check_members(reading, root, "the file", known);
    if (status == STATUS_OK)
        status = read_text(reading, root, "", "edition", true, POLICY_EDITION_MAX, &edition);
    if (status == STATUS_OK && !policy_is_name(edition))
        status = refuse(reading, "edition", "a name of a-z 0-9 _ -");
    if (status == STATUS_OK) {
        memcpy(policy->edition, edition.data, edition.size);
        status = read_text(reading, root, "", "description", false, POLICY_GLOB_MAX,
                           &policy->description);
    }
    if (status == STATUS_OK)
        status = read_rules(reading, root, policy);
    if (status == STATUS_OK)
        status = read_names(reading, root, "features", policy);
    if (status == STATUS_OK)
        status = read_names(reading, root, "quotas", policy);
    return status;
}

static enum status
pack_json(const struct reading *reading, struct text json, struct buffer *out)
{
    struct error cause = ERROR_INIT;
    if (json.size > POLICY_SIZE_MAX)
        return refuse(reading, "the file", "at most %d bytes", POLICY_SIZE_MAX);
    struct json_parser *parser = json_parser_new();
    if (!parser)
        return STATUS_NOMEM;
    enum status status = json_to_msgpack(parser, json, out, &cause);
    json_parser_destroy(&parser);
    if (status == STATUS_INVALID)
        return refuse(reading, "the file", "JSON: %s", cause.message);
    return status;
}

enum status
policy_parse(struct policy **policy_p, struct text json, const char *source, struct error *error)
{
    const struct reading reading = {source, error};
    struct value root;
    struct policy *policy = calloc(1, sizeof *policy);
    if (!policy)
        return STATUS_NOMEM;
    buffer_init(&policy->packed);
    enum status status = pack_json(&reading, json, &policy->packed);
    if (status == STATUS_OK && !value_parse(buffer_bytes(&policy->packed), &root))
        status = refuse(&reading, "the file", "JSON");
    if (status == STATUS_OK)
        status = read_root(&reading, &root, policy);
    if (status != STATUS_OK) {
        policy_destroy(&policy);
        return status;
    }
    *policy_p = policy;
    return STATUS_OK;
}

void
policy_destroy(struct policy **policy_p)
{
    struct policy *policy = *policy_p;
    if (!policy)
        return;
    buffer_clear(&policy->packed);
    free(policy->rules);
    free(policy);
    *policy_p = NULL;
}
