/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/user.h"

#include "actors/identity/agent.h"
#include "actors/identity/guild.h"
#include "actors/identity/sync.h"
#include "contracts/identity.h"
#include "kernel/identity.h"

/* Row: {name, bio, avatar_url, metadata, created_us}; "" where nothing was said. */

/* ---- names */

static enum status
refuse_name(struct text name, struct error *error)
{
    char came[65];
    error_copy_text(came, sizeof came, name);
    error_set_field(error, "name",
                    "came \"%s\", expected letters, digits, spaces and . _ - @, beginning with a "
                    "letter or digit",
                    came);
    return STATUS_VALIDATION;
}

enum status
user_make_id(const char *type, struct text name, bool lower_case,
             char id[static MESSAGE_NAME_MAX + 1], struct error *error)
{
    struct identity identity;
    size_t size = strlen(type);
    if (size + 1 + name.size > MESSAGE_NAME_MAX)
        return refuse_name(name, error);
    memcpy(id, type, size);
    id[size++] = ':';
    for (size_t i = 0; i < name.size; i++) {
        char letter = name.data[i];
        if (letter == ':' || letter == '/')
            return refuse_name(name, error);
        if (lower_case && letter >= 'A' && letter <= 'Z')
            letter = (char)(letter - 'A' + 'a');
        id[size++] = letter == ' ' ? '_' : letter;
    }
    id[size] = '\0';
    return identity_parse((struct text){id, size}, &identity, NULL) == STATUS_OK
               ? STATUS_OK
               : refuse_name(name, error);
}

/* Nobody is made who is somebody already without a row. */
static bool
is_reserved(struct text id)
{
    return text_equal_string(id, "user:operator") || text_equal_string(id, "user:local") ||
           identity_is_anonymous(id);
}

enum status
user_check_member(struct context *context, struct text id, const char *field, struct error *error)
{
    struct identity identity;
    struct buffer row;
    enum status status = identity_parse(id, &identity, NULL);
    if (status != STATUS_OK ||
        (identity.type != IDENTITY_USER && identity.type != IDENTITY_AGENT)) {
        char came[65];
        error_copy_text(came, sizeof came, id);
        error_set_field(error, field, "came \"%s\", expected user:<name> or agent:<name>", came);
        return STATUS_VALIDATION;
    }
    if (identity.type == IDENTITY_AGENT || is_reserved(id))
        return STATUS_OK;
    buffer_init(&row);
    status = context_get(context, SPACE_USER, text_bytes(id), &row, error);
    buffer_clear(&row);
    if (status == STATUS_NOT_FOUND)
        error_set_word(error, "user_not_found", "%s: there is no %.*s", field, TEXT_ARGS(id));
    return status;
}

enum status
user_append_name(struct context *context, struct text id, struct buffer *out, struct error *error)
{
    struct buffer row;
    struct value map;
    struct text name = id;
    buffer_init(&row);
    enum status status = context_get(context, SPACE_USER, text_bytes(id), &row, error);
    if (status == STATUS_NOT_FOUND) {
        const char *colon = memchr(id.data, ':', id.size);
        if (colon)
            name = (struct text){colon + 1, id.size - (size_t)(colon + 1 - id.data)};
        status = STATUS_OK;
    } else if (status == STATUS_OK && value_parse(buffer_bytes(&row), &map)) {
        value_find_text(&map, "name", &name);
    }
    if (status == STATUS_OK)
        pack_text(out, name);
    buffer_clear(&row);
    return status;
}

/* ---- rows */

static void
pack_optional(struct buffer *out, const char *key, const struct value *row)
{
    struct text text;
    if (value_find_text(row, key, &text) && text.size > 0)
        pack_pair_text(out, key, text);
    else
        pack_pair_nil(out, key);
}

/* As contract type user_record. */
static enum status
pack_user(struct context *context, struct buffer *out, struct text id, struct bytes bytes,
          struct error *error)
{
    struct value row, metadata;
    struct text name;
    uint64_t created_us;
    char at[TIMESTAMP_TEXT_SIZE];
    if (!value_parse(bytes, &row) || !value_find_text(&row, "name", &name) ||
        !value_find_uint(&row, "created_us", &created_us) ||
        !value_find(&row, "metadata", &metadata)) {
        error_set(error, "the row of a user cannot be read");
        return STATUS_STORE_FAILED;
    }
    timestamp_format(created_us, at);
    pack_map(out, 14);
    pack_pair_text(out, "id", id);
    pack_pair_string(out, "type", "user");
    pack_pair_text(out, "name", name);
    pack_optional(out, "bio", &row);
    pack_optional(out, "avatar_url", &row);
    pack_pair_uint(out, "level", 1);
    pack_pair_uint(out, "xp", 0);
    pack_string(out, "roles");
    pack_array(out, 0);
    pack_pair_nil(out, "public_key");
    pack_pair_raw(out, "metadata", metadata.raw);
    pack_pair_string(out, "created_at", at);
    pack_pair_string(out, "verification_status", "unverified");
    pack_pair_nil(out, "verified_at");
    pack_string(out, "guilds");
    return guild_pack_of_member(context, id, out, error);
}

enum status
user_check_row(store_space space, struct bytes key, struct bytes value, struct error *error)
{
    struct value row, metadata;
    struct text name;
    uint64_t created_us;
    if (space != SPACE_USER ||
        (key.size <= MESSAGE_NAME_MAX && value_parse(value, &row) &&
         value_find_text(&row, "name", &name) && value_find(&row, "metadata", &metadata) &&
         value_find_uint(&row, "created_us", &created_us)))
        return STATUS_OK;
    error_set(error, "not a row of a user");
    return STATUS_STORE_FAILED;
}

/* ---- handlers */

static void
pack_row(struct buffer *row, const struct request *request, uint64_t now_us)
{
    const struct arguments *arguments = request_arguments(request);
    pack_map(row, 5);
    pack_pair_text(row, "name", request_text(request, IDENTITY_USER_CREATE_NAME));
    pack_pair_text(row, "bio", request_text(request, IDENTITY_USER_CREATE_BIO));
    pack_pair_text(row, "avatar_url", request_text(request, IDENTITY_USER_CREATE_AVATAR_URL));
    pack_string(row, "metadata");
    if (arguments_has(arguments, IDENTITY_USER_CREATE_METADATA))
        pack_raw(row, arguments->values[IDENTITY_USER_CREATE_METADATA].raw);
    else
        pack_map(row, 0);
    pack_pair_uint(row, "created_us", now_us);
}

static enum status
check_new(struct context *context, const struct request *request, struct text id,
          struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct buffer row;
    if (arguments_has(arguments, IDENTITY_USER_CREATE_METADATA) &&
        arguments->values[IDENTITY_USER_CREATE_METADATA].raw.size > CLAIM_METADATA_MAX) {
        error_set_field(error, "metadata", "expected at most %d bytes packed", CLAIM_METADATA_MAX);
        return STATUS_VALIDATION;
    }
    buffer_init(&row);
    enum status status = context_get(context, SPACE_USER, text_bytes(id), &row, error);
    buffer_clear(&row);
    if (status == STATUS_OK || is_reserved(id)) {
        error_set_word(error, "user_exists", "there is a %.*s already", TEXT_ARGS(id));
        return STATUS_ALREADY_EXISTS;
    }
    if (status != STATUS_NOT_FOUND)
        return status;
    const struct identities *identities = context_state(context);
    if (identities->users < USERS_MAX)
        return STATUS_OK;
    error_set_word(error, "too_many_users", "there are %d users, no more are made", USERS_MAX);
    return STATUS_QUOTA_EXCEEDED;
}

enum status
create_user(struct context *context, struct request *request, struct outcome *outcome,
            struct error *error)
{
    struct buffer row;
    char id[MESSAGE_NAME_MAX + 1];
    enum status status =
        user_make_id("user", request_text(request, IDENTITY_USER_CREATE_NAME), false, id, error);
    if (status == STATUS_OK)
        status = check_new(context, request, text_of(id), error);
    if (status != STATUS_OK)
        return status;
    buffer_init(&row);
    pack_row(&row, request, context_now(context).wall_us);
    if (row.failed) {
        status = STATUS_NOMEM;
    } else {
        outcome_expect_absent(outcome, SPACE_USER, text_bytes(text_of(id)));
        outcome_put(outcome, SPACE_USER, text_bytes(text_of(id)), buffer_bytes(&row));
        status = pack_user(context, outcome_reply(outcome), text_of(id), buffer_bytes(&row), error);
    }
    buffer_clear(&row);
    return status;
}

enum status
get_user(struct context *context, struct request *request, struct outcome *outcome,
         struct error *error)
{
    struct buffer row;
    struct text id = request_text(request, IDENTITY_USER_GET_ID);
    buffer_init(&row);
    enum status status = STATUS_NOT_FOUND;
    if (id.size <= MESSAGE_NAME_MAX)
        status = context_get(context, SPACE_USER, text_bytes(id), &row, error);
    if (status == STATUS_NOT_FOUND)
        error_set_word(error, "user_not_found", "there is no user %.*s", TEXT_ARGS(id));
    if (status == STATUS_OK)
        status = pack_user(context, outcome_reply(outcome), id, buffer_bytes(&row), error);
    buffer_clear(&row);
    return status;
}
