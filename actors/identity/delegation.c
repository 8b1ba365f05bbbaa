/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/delegation.h"

#include "kernel/constraints.h"
#include "kernel/json.h"

/* ---- kinds of constraints */

typedef bool narrows_fn(const struct value *narrow, const struct value *wide);

static bool
read_number(const struct value *value, double *number)
{
    if (value->type == VALUE_UINT && value->as.uint <= UINT64_C(1) << 53)
        *number = (double)value->as.uint;
    else if (value->type == VALUE_DOUBLE)
        *number = value->as.number;
    else
        return false;
    return true;
}

static bool
number_narrows(const struct value *narrow, const struct value *wide)
{
    double less, more;
    if (narrow->type == VALUE_UINT && wide->type == VALUE_UINT)
        return narrow->as.uint <= wide->as.uint;
    return read_number(narrow, &less) && read_number(wide, &more) && less >= 0 && less <= more;
}

static bool
flag_narrows(const struct value *narrow, const struct value *wide)
{
    return narrow->type == VALUE_BOOL && wide->type == VALUE_BOOL &&
           (narrow->as.boolean || !wide->as.boolean);
}

/* Whatever moment the windows begin at: a window of the wider one may meet one narrower window more
 * than fit into it. */
static bool
rate_narrows(const struct value *narrow, const struct value *wide)
{
    uint32_t less, more;
    uint64_t less_us, more_us;
    if (narrow->type != VALUE_TEXT || wide->type != VALUE_TEXT ||
        !rate_parse(narrow->as.text, &less, &less_us) ||
        !rate_parse(wide->as.text, &more, &more_us))
        return false;
    if (less_us >= more_us)
        return less <= more;
    return (more_us / less_us + 1) * less <= more;
}

static int
filter_rank(const struct value *filter)
{
    static const char *const words[] = {"off", "moderate", "strict"};
    for (int i = 0; filter->type == VALUE_TEXT && i < 3; i++)
        if (text_equal_string(filter->as.text, words[i]))
            return i;
    return -1;
}

static bool
filter_narrows(const struct value *narrow, const struct value *wide)
{
    int wide_rank = filter_rank(wide);
    return wide_rank >= 0 && filter_rank(narrow) >= wide_rank;
}

static const struct {
    const char *name;
    narrows_fn *narrows;
} kinds[] = {
    {"max_results", number_narrows},         {"max_amount", number_narrows},
    {"max_response_length", number_narrows}, {"rate_limit", rate_narrows},
    {"requires_witness", flag_narrows},      {"content_filter", filter_narrows},
};

static bool
is_same(const struct value *one, const struct value *other)
{
    struct buffer left, right;
    buffer_init(&left);
    buffer_init(&right);
    bool same = json_canonical(one->raw, &left, NULL) == STATUS_OK &&
                json_canonical(other->raw, &right, NULL) == STATUS_OK && !left.failed &&
                !right.failed && text_equal(buffer_text(&left), buffer_text(&right));
    buffer_clear(&left);
    buffer_clear(&right);
    return same;
}

static bool
narrows(struct text name, const struct value *narrow, const struct value *wide)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (text_equal_string(name, kinds[i].name) && kinds[i].narrows(narrow, wide))
            return true;
    return is_same(narrow, wide);
}

/* ---- maps of them */

static bool
parse_map(struct bytes bytes, struct value *map)
{
    static const uint8_t empty[] = {0x80};
    return value_parse(bytes.size > 0 ? bytes : (struct bytes){empty, sizeof empty}, map) &&
           map->type == VALUE_MAP;
}

static bool
find(const struct value *map, struct text name, struct value *found)
{
    struct entries entries = value_entries(map);
    struct value key;
    while (entries_next_pair(&entries, &key, found))
        if (key.type == VALUE_TEXT && text_equal(key.as.text, name))
            return true;
    return false;
}

static enum status
refuse_map(struct error *error)
{
    error_set(error, "constraints are expected to be a map");
    return STATUS_INVALID;
}

enum status
delegation_check_constraints(struct bytes narrow, struct bytes wide, struct error *error)
{
    struct value narrow_map, wide_map, name, limit, own;
    if (!parse_map(narrow, &narrow_map) || !parse_map(wide, &wide_map))
        return refuse_map(error);
    for (struct entries entries = value_entries(&wide_map);
         entries_next_pair(&entries, &name, &limit);) {
        struct text key = name.type == VALUE_TEXT ? name.as.text : (struct text){0};
        if (find(&narrow_map, key, &own) && narrows(key, &own, &limit))
            continue;
        error_set_word(error, "capability_widened",
                       "the constraint %.*s has to be kept, or be tighter", TEXT_ARGS(key));
        return STATUS_SCOPE_DENIED;
    }
    return STATUS_OK;
}

/* What of `own` goes into the union beside `other`: the tighter one of two. */
static enum status
merge_one(struct text name, const struct value *own, const struct value *other, struct buffer *out,
          struct error *error)
{
    const struct value *tighter = narrows(name, own, other)   ? own
                                  : narrows(name, other, own) ? other
                                                              : NULL;
    if (!tighter) {
        error_set_word(error, "constraints_conflict",
                       "the constraint %.*s is asked for in a way that contradicts the policy",
                       TEXT_ARGS(name));
        return STATUS_CONFLICT;
    }
    pack_text(out, name);
    pack_raw(out, tighter->raw);
    return STATUS_OK;
}

static void
pack_pair(struct buffer *out, const struct value *name, const struct value *value)
{
    pack_raw(out, name->raw);
    pack_raw(out, value->raw);
}

/* What one and the other have: of a name that both have the tighter one, or just the one's. */
static enum status
unite(struct bytes one, struct bytes other, bool tighter, struct buffer *out, struct error *error)
{
    struct value one_map, other_map, name, value, match;
    struct buffer pairs;
    uint32_t count = 0;
    enum status status = STATUS_OK;
    if (!parse_map(one, &one_map) || !parse_map(other, &other_map))
        return refuse_map(error);
    buffer_init(&pairs);
    for (struct entries entries = value_entries(&one_map);
         status == STATUS_OK && entries_next_pair(&entries, &name, &value); count++) {
        if (name.type != VALUE_TEXT)
            status = refuse_map(error);
        else if (tighter && find(&other_map, name.as.text, &match))
            status = merge_one(name.as.text, &value, &match, &pairs, error);
        else
            pack_pair(&pairs, &name, &value);
    }
    for (struct entries entries = value_entries(&other_map);
         status == STATUS_OK && entries_next_pair(&entries, &name, &value);) {
        if (name.type != VALUE_TEXT) {
            status = refuse_map(error);
        } else if (!find(&one_map, name.as.text, &match)) {
            pack_pair(&pairs, &name, &value);
            count++;
        }
    }
    if (status == STATUS_OK) {
        pack_map(out, count);
        pack_raw(out, buffer_bytes(&pairs));
        status = out->failed || pairs.failed ? STATUS_NOMEM : STATUS_OK;
    }
    buffer_clear(&pairs);
    return status;
}

enum status
delegation_inherit(struct bytes asked, struct bytes parent, struct buffer *out, struct error *error)
{
    return unite(asked, parent, false, out, error);
}

enum status
delegation_merge(struct bytes one, struct bytes other, struct buffer *out, struct error *error)
{
    return unite(one, other, true, out, error);
}

/* ---- whole capabilities */

static enum status
widened(struct error *error, const struct capability *child, const char *what)
{
    error_set_word(error, "capability_widened", "capability %s is wider than its parent in %s",
                   capability_id(child), what);
    return STATUS_SCOPE_DENIED;
}

enum status
delegation_check(const struct capability *child, const struct capability *parent,
                 struct error *error)
{
    int64_t uses, parent_uses;
    bool limited = capability_uses_remaining(child, &uses);
    if (strcmp(capability_parent_id(child), capability_id(parent)) != 0) {
        error_set_word(error, "capability_parent_unknown", "capability %s is not delegated from %s",
                       capability_id(child), capability_id(parent));
        return STATUS_TOKEN_INVALID;
    }
    if (strcmp(capability_action(child), capability_action(parent)) != 0)
        return widened(error, child, "its action");
    if (!glob_covers(text_of(capability_resource(parent)), text_of(capability_resource(child))))
        return widened(error, child, "its resource");
    if (capability_expires_us(child) > capability_expires_us(parent))
        return widened(error, child, "its expiry");
    if (capability_uses_remaining(parent, &parent_uses) && (!limited || uses > parent_uses))
        return widened(error, child, "its uses");
    return delegation_check_constraints(capability_constraints(child),
                                        capability_constraints(parent), error);
}
