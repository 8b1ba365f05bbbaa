/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/guild.h"

#include "actors/identity/agent.h"
#include "actors/identity/sync.h"
#include "actors/identity/user.h"
#include "contracts/identity.h"

/* ---- keys: two ids and a zero between them */

static void
append_pair(struct buffer *key, struct text first, struct text second)
{
    buffer_append_text(key, first);
    buffer_append_byte(key, 0);
    buffer_append_text(key, second);
}

/* The id behind the zero. */
static struct text
second_of(struct bytes key)
{
    const uint8_t *zero = key.size > 0 ? memchr(key.data, 0, key.size) : NULL;
    if (!zero)
        return (struct text){NULL, 0};
    size_t first = (size_t)(zero - key.data) + 1;
    return (struct text){(const char *)key.data + first, key.size - first};
}

static enum status
scan_pairs(struct context *context, store_space space, struct text first, store_row_fn *row,
           void *row_context, struct error *error)
{
    struct buffer prefix;
    buffer_init(&prefix);
    append_pair(&prefix, first, (struct text){NULL, 0});
    enum status status = prefix.failed ? STATUS_NOMEM
                                       : context_scan(context, space, buffer_bytes(&prefix), false,
                                                      row, row_context, error);
    buffer_clear(&prefix);
    return status;
}

enum status
guild_check_row(store_space space, struct bytes key, struct bytes value, struct error *error)
{
    struct value row;
    struct text text;
    bool good = true;
    if (space == SPACE_GUILD)
        good = key.size <= MESSAGE_NAME_MAX && value_parse(value, &row) &&
               value_find_text(&row, "name", &text) && value_find_text(&row, "owner_id", &text);
    else if (space == SPACE_MEMBER)
        good = second_of(key).size > 0 && value_parse(value, &row) &&
               value_find_text(&row, "role", &text);
    else if (space == SPACE_MEMBERSHIP)
        good = second_of(key).size > 0;
    if (good)
        return STATUS_OK;
    error_set(error, "not a row of a guild");
    return STATUS_STORE_FAILED;
}

/* ---- counting */

static const enum status FULL = STATUS_PENDING;

struct count {
    uint32_t found, most;
};

static enum status
count_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct count *count = context;
    (void)key, (void)value, (void)error;
    return ++count->found >= count->most ? FULL : STATUS_OK;
}

static enum status
refuse_full(enum status status, const char *word, const char *what, uint32_t most,
            struct error *error)
{
    if (status != FULL)
        return status;
    error_set_word(error, word, "%s: %u are as many as there may be", what, (unsigned)most);
    return STATUS_QUOTA_EXCEEDED;
}

static enum status
check_room(struct context *context, struct text guild, struct text member, struct error *error)
{
    struct count members = {0, GUILD_MEMBERS_MAX}, guilds = {0, MEMBER_GUILDS_MAX};
    enum status status = scan_pairs(context, SPACE_MEMBER, guild, count_row, &members, error);
    status = refuse_full(status, "guild_full", "members of this guild", members.most, error);
    if (status != STATUS_OK)
        return status;
    status = scan_pairs(context, SPACE_MEMBERSHIP, member, count_row, &guilds, error);
    return refuse_full(status, "too_many_guilds", "guilds of this member", guilds.most, error);
}

/* ---- reading */

static enum status
find_guild(struct context *context, struct text id, struct buffer *row, struct error *error)
{
    enum status status = STATUS_NOT_FOUND;
    if (id.size <= MESSAGE_NAME_MAX)
        status = context_get(context, SPACE_GUILD, text_bytes(id), row, error);
    if (status == STATUS_NOT_FOUND)
        error_set_word(error, "guild_not_found", "there is no guild %.*s", TEXT_ARGS(id));
    return status;
}

struct members {
    struct context *context;
    int64_t skip, left;
    uint32_t count;
    struct buffer ids;     /* packed */
    struct buffer roles;   /* packed pairs */
    struct buffer entries; /* {id, name, role} each; only where wanted */
    bool wants_entries;
};

static enum status
take_member(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct members *members = context;
    struct value row;
    struct text id = second_of(key), role;
    if (members->skip > 0) {
        members->skip--;
        return STATUS_OK;
    }
    if (members->left == 0)
        return FULL;
    if (!value_parse(value, &row) || !value_find_text(&row, "role", &role)) {
        error_set(error, "the row of a member cannot be read");
        return STATUS_STORE_FAILED;
    }
    members->left--;
    members->count++;
    if (!members->wants_entries) {
        pack_text(&members->ids, id);
        pack_text(&members->roles, id);
        pack_text(&members->roles, role);
        return STATUS_OK;
    }
    pack_map(&members->entries, 3);
    pack_pair_text(&members->entries, "id", id);
    pack_string(&members->entries, "name");
    enum status status = user_append_name(members->context, id, &members->entries, error);
    pack_pair_text(&members->entries, "role", role);
    return status;
}

static enum status
read_members(struct context *context, struct text guild, struct members *members,
             struct error *error)
{
    members->context = context;
    enum status status = scan_pairs(context, SPACE_MEMBER, guild, take_member, members, error);
    if (status == FULL)
        status = STATUS_OK;
    if (status == STATUS_OK &&
        (members->ids.failed || members->roles.failed || members->entries.failed))
        status = STATUS_NOMEM;
    return status;
}

static void
clear_members(struct members *members)
{
    buffer_clear(&members->ids);
    buffer_clear(&members->roles);
    buffer_clear(&members->entries);
}

/* As contract type guild_record. */
static enum status
pack_guild(struct context *context, struct buffer *out, struct text id, struct bytes bytes,
           struct error *error)
{
    struct members members = {.left = GUILD_MEMBERS_SHOWN};
    struct value row;
    struct text name, owner, description = {NULL, 0};
    uint64_t created_us;
    char at[TIMESTAMP_TEXT_SIZE];
    if (!value_parse(bytes, &row) || !value_find_text(&row, "name", &name) ||
        !value_find_text(&row, "owner_id", &owner) ||
        !value_find_uint(&row, "created_us", &created_us)) {
        error_set(error, "the row of a guild cannot be read");
        return STATUS_STORE_FAILED;
    }
    value_find_text(&row, "description", &description);
    enum status status = read_members(context, id, &members, error);
    if (status == STATUS_OK) {
        timestamp_format(created_us, at);
        pack_map(out, 9);
        pack_pair_text(out, "id", id);
        pack_pair_string(out, "type", "guild");
        pack_pair_text(out, "name", name);
        pack_pair_text(out, "owner_id", owner);
        pack_pair_text(out, "description", description);
        pack_string(out, "members");
        pack_array(out, members.count);
        pack_raw(out, buffer_bytes(&members.ids));
        pack_string(out, "member_roles");
        pack_map(out, members.count);
        pack_raw(out, buffer_bytes(&members.roles));
        pack_string(out, "channels");
        pack_array(out, 2);
        pack_string(out, "general");
        pack_string(out, "announcements");
        pack_pair_string(out, "created_at", at);
    }
    clear_members(&members);
    return status;
}

static enum status
take_guild(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct members *guilds = context;
    (void)value, (void)error;
    pack_text(&guilds->ids, second_of(key));
    guilds->count++;
    return STATUS_OK;
}

enum status
guild_pack_of_member(struct context *context, struct text member, struct buffer *out,
                     struct error *error)
{
    struct members guilds = {.count = 0};
    enum status status = scan_pairs(context, SPACE_MEMBERSHIP, member, take_guild, &guilds, error);
    if (status == STATUS_OK && guilds.ids.failed)
        status = STATUS_NOMEM;
    if (status == STATUS_OK) {
        pack_array(out, guilds.count);
        pack_raw(out, buffer_bytes(&guilds.ids));
    }
    clear_members(&guilds);
    return status;
}

/* ---- writing */

static void
add_member(struct outcome *outcome, struct text guild, struct text member, const char *role,
           uint64_t now_us)
{
    struct buffer key, back, row;
    buffer_init(&key);
    buffer_init(&back);
    buffer_init(&row);
    append_pair(&key, guild, member);
    append_pair(&back, member, guild);
    pack_map(&row, 2);
    pack_pair_string(&row, "role", role);
    pack_pair_uint(&row, "joined_us", now_us);
    if (key.failed || back.failed || row.failed) {
        outcome_reply(outcome)->failed = true;
    } else {
        outcome_put(outcome, SPACE_MEMBER, buffer_bytes(&key), buffer_bytes(&row));
        outcome_put(outcome, SPACE_MEMBERSHIP, buffer_bytes(&back), (struct bytes){0});
    }
    buffer_clear(&key);
    buffer_clear(&back);
    buffer_clear(&row);
}

static enum status
check_new(struct context *context, struct text id, struct text owner, struct error *error)
{
    struct buffer row;
    buffer_init(&row);
    enum status status = context_get(context, SPACE_GUILD, text_bytes(id), &row, error);
    buffer_clear(&row);
    if (status == STATUS_OK) {
        error_set_word(error, "guild_exists", "there is a %.*s already", TEXT_ARGS(id));
        return STATUS_ALREADY_EXISTS;
    }
    if (status != STATUS_NOT_FOUND)
        return status;
    const struct identities *identities = context_state(context);
    status = refuse_full(identities->guilds < GUILDS_MAX ? STATUS_OK : FULL, "too_many_guilds",
                         "guilds", GUILDS_MAX, error);
    return status == STATUS_OK ? check_room(context, id, owner, error) : status;
}

enum status
create_guild(struct context *context, struct request *request, struct outcome *outcome,
             struct error *error)
{
    struct buffer row;
    char id[MESSAGE_NAME_MAX + 1];
    struct text name = request_text(request, IDENTITY_GUILD_CREATE_NAME);
    struct text owner = request_text(request, IDENTITY_GUILD_CREATE_OWNER_ID);
    enum status status = user_make_id("guild", name, true, id, error);
    if (status == STATUS_OK)
        status = user_check_member(context, owner, "owner_id", error);
    if (status == STATUS_OK)
        status = check_new(context, text_of(id), owner, error);
    if (status != STATUS_OK)
        return status;
    uint64_t now_us = context_now(context).wall_us;
    buffer_init(&row);
    pack_map(&row, 4);
    pack_pair_text(&row, "name", name);
    pack_pair_text(&row, "owner_id", owner);
    pack_pair_text(&row, "description", request_text(request, IDENTITY_GUILD_CREATE_DESCRIPTION));
    pack_pair_uint(&row, "created_us", now_us);
    if (row.failed) {
        status = STATUS_NOMEM;
    } else {
        outcome_expect_absent(outcome, SPACE_GUILD, text_bytes(text_of(id)));
        outcome_put(outcome, SPACE_GUILD, text_bytes(text_of(id)), buffer_bytes(&row));
        add_member(outcome, text_of(id), owner, "leader", now_us);
        status =
            pack_guild(context, outcome_reply(outcome), text_of(id), buffer_bytes(&row), error);
    }
    buffer_clear(&row);
    return status;
}

static enum status
check_absent(struct context *context, struct text guild, struct text member, struct error *error)
{
    struct buffer key, row;
    buffer_init(&key);
    buffer_init(&row);
    append_pair(&key, guild, member);
    enum status status = key.failed
                             ? STATUS_NOMEM
                             : context_get(context, SPACE_MEMBER, buffer_bytes(&key), &row, error);
    buffer_clear(&key);
    buffer_clear(&row);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status == STATUS_OK) {
        error_set_word(error, "already_a_member", "%.*s is a member of %.*s already",
                       TEXT_ARGS(member), TEXT_ARGS(guild));
        status = STATUS_INVALID;
    }
    return status;
}

enum status
join_guild(struct context *context, struct request *request, struct outcome *outcome,
           struct error *error)
{
    struct buffer row;
    struct text guild = request_text(request, IDENTITY_GUILD_JOIN_GUILD_ID);
    struct text member = request_text(request, IDENTITY_GUILD_JOIN_USER_ID);
    enum status status = user_check_member(context, member, "user_id", error);
    buffer_init(&row);
    if (status == STATUS_OK)
        status = find_guild(context, guild, &row, error);
    buffer_clear(&row);
    if (status == STATUS_OK)
        status = check_absent(context, guild, member, error);
    if (status == STATUS_OK)
        status = check_room(context, guild, member, error);
    if (status != STATUS_OK)
        return status;
    add_member(outcome, guild, member, "member", context_now(context).wall_us);
    pack_map(outcome_reply(outcome), 2);
    pack_pair_string(outcome_reply(outcome), "status", "joined");
    pack_pair_text(outcome_reply(outcome), "guild_id", guild);
    return STATUS_OK;
}

/* ---- looking */

enum status
get_guild(struct context *context, struct request *request, struct outcome *outcome,
          struct error *error)
{
    struct buffer row;
    struct text id = request_text(request, IDENTITY_GUILD_GET_ID);
    buffer_init(&row);
    enum status status = find_guild(context, id, &row, error);
    if (status == STATUS_OK)
        status = pack_guild(context, outcome_reply(outcome), id, buffer_bytes(&row), error);
    buffer_clear(&row);
    return status;
}

enum status
list_guild_members(struct context *context, struct request *request, struct outcome *outcome,
                   struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct members members = {.skip = arguments_integer(arguments, IDENTITY_GUILD_MEMBERS_OFFSET),
                              .left = arguments_integer(arguments, IDENTITY_GUILD_MEMBERS_LIMIT),
                              .wants_entries = true};
    struct buffer row;
    struct text id = request_text(request, IDENTITY_GUILD_MEMBERS_ID);
    if (members.left > GUILD_MEMBERS_SHOWN)
        members.left = GUILD_MEMBERS_SHOWN;
    buffer_init(&row);
    enum status status = find_guild(context, id, &row, error);
    if (status == STATUS_OK)
        status = read_members(context, id, &members, error);
    if (status == STATUS_OK) {
        pack_array(outcome_reply(outcome), members.count);
        pack_raw(outcome_reply(outcome), buffer_bytes(&members.entries));
    }
    clear_members(&members);
    buffer_clear(&row);
    return status;
}
