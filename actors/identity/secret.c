/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/secret.h"

#include "actors/identity/agent.h"
#include "actors/identity/sync.h"
#include "contracts/identity.h"

/* What a row says, as views into it. */
struct secret {
    uint64_t created_us, updated_us;
    struct bytes box;
};

/* ---- rows */

static bool
decode(struct bytes row, struct secret *secret)
{
    struct value map;
    return value_parse(row, &map) && value_find_uint(&map, "created_us", &secret->created_us) &&
           value_find_uint(&map, "updated_us", &secret->updated_us) &&
           value_find_bin(&map, "box", &secret->box) && secret->box.size > SECRET_BOX_OVERHEAD &&
           secret->box.size <= SECRET_VALUE_MAX + SECRET_BOX_OVERHEAD;
}

bool
secret_name_is_valid(struct text name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool good =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
        if (!good)
            return false;
    }
    return name.size > 0 && name.size <= SECRET_NAME_MAX;
}

enum status
secret_check_row(store_space space, struct bytes key, struct bytes value, struct error *error)
{
    struct secret secret;
    if (space == SPACE_KEYRING)
        return keyring_check_row(key, value, error);
    if (space != SPACE_SECRET)
        return STATUS_OK;
    if (secret_name_is_valid((struct text){(const char *)key.data, key.size}) &&
        decode(value, &secret))
        return STATUS_OK;
    error_set(error, "not a row of a secret");
    return STATUS_STORE_FAILED;
}

/* What the box is bound to beside its key. */
static void
append_label(struct buffer *label, struct text name, const struct secret *secret)
{
    pack_array(label, 3);
    pack_text(label, name);
    pack_uint(label, secret->created_us);
    pack_uint(label, secret->updated_us);
}

/* ---- reading */

static enum status
read_name(const struct request *request, unsigned field, struct text *name, struct error *error)
{
    *name = arguments_text(request_arguments(request), field);
    if (secret_name_is_valid(*name))
        return STATUS_OK;
    error_set_field(error, "name", "expected 1 to %d of a-z, 0-9 and . _ -", SECRET_NAME_MAX);
    return STATUS_VALIDATION;
}

/* The secret's views point into row. */
static enum status
find(struct context *context, struct text name, struct buffer *row, struct secret *secret,
     struct error *error)
{
    enum status status = context_get(context, SPACE_SECRET, text_bytes(name), row, error);
    if (status == STATUS_NOT_FOUND) {
        error_set_word(error, "secret_not_found", "there is no secret %.*s", TEXT_ARGS(name));
    } else if (status == STATUS_OK && !decode(buffer_bytes(row), secret)) {
        error_set(error, "the row of the secret %.*s cannot be read", TEXT_ARGS(name));
        status = STATUS_STORE_FAILED;
    }
    return status;
}

static enum status
open_secret(const struct secret_key *key, struct text name, const struct secret *secret,
            struct buffer *value, struct error *error)
{
    struct buffer label;
    buffer_init(&label);
    append_label(&label, name, secret);
    enum status status = STATUS_OK;
    if (label.failed) {
        status = STATUS_NOMEM;
    } else if (!secret_box_open(key, buffer_bytes(&label), secret->box, value)) {
        error_set_word(error, "secret_damaged",
                       "the secret %.*s does not open: its row was altered or is that of another "
                       "one; set it anew",
                       TEXT_ARGS(name));
        status = value->failed ? STATUS_NOMEM : STATUS_UNAVAILABLE;
    }
    buffer_clear(&label);
    return status;
}

static void
tell_audit(struct outcome *outcome, const struct request *request, struct text name)
{
    char resource[SECRET_NAME_MAX + 8] = "secret:";
    memcpy(resource + 7, name.data, name.size);
    outcome_audit(outcome, &(struct audit_entry){.event = "secret.accessed",
                                                 .actor = request_principal(request),
                                                 .subject = request_source(request),
                                                 .action = text_of("secret:read"),
                                                 .resource = {resource, 7 + name.size},
                                                 .outcome = "ok"});
}

enum status
secret_get(struct context *context, struct request *request, struct outcome *outcome,
           struct error *error)
{
    struct identities *identities = context_state(context);
    const struct secret_key *key;
    struct secret secret;
    struct text name;
    struct buffer row, value;
    buffer_init(&row);
    buffer_init(&value);
    enum status status = read_name(request, IDENTITY_SECRET_GET_NAME, &name, error);
    if (status == STATUS_OK)
        status = find(context, name, &row, &secret, error);
    if (status == STATUS_OK)
        status = keyring_open(&identities->keyring, SECRET_FOR_VALUES, context, NULL, &key, error);
    if (status == STATUS_OK)
        status = open_secret(key, name, &secret, &value, error);
    if (status == STATUS_OK) {
        struct buffer *reply = outcome_reply(outcome);
        buffer_reserve(reply, value.size + 512); /* it must not be copied to grow */
        pack_map(reply, 3);
        pack_pair_text(reply, "name", name);
        pack_pair_text(reply, "value", buffer_text(&value));
        pack_pair_timestamp(reply, "updated_at", secret.updated_us);
        tell_audit(outcome, request, name);
    }
    secret_buffer_clear(&value);
    buffer_clear(&row);
    return status;
}

struct listing {
    struct buffer *out;
    uint32_t count;
};

static enum status
count_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct listing *listing = context;
    (void)key;
    (void)value;
    (void)error;
    listing->count++;
    return STATUS_OK;
}

static enum status
list_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct listing *listing = context;
    struct secret secret;
    (void)error;
    if (!decode(value, &secret))
        return STATUS_STORE_FAILED;
    pack_map(listing->out, 3);
    pack_pair_text(listing->out, "name", (struct text){(const char *)key.data, key.size});
    pack_pair_timestamp(listing->out, "created_at", secret.created_us);
    pack_pair_timestamp(listing->out, "updated_at", secret.updated_us);
    listing->count++;
    return STATUS_OK;
}

enum status
secret_list(struct context *context, struct request *request, struct outcome *outcome,
            struct error *error)
{
    struct buffer rows;
    struct listing listing = {.out = &rows};
    (void)request;
    buffer_init(&rows);
    enum status status =
        context_scan(context, SPACE_SECRET, (struct bytes){0}, false, list_row, &listing, error);
    if (status == STATUS_OK) {
        pack_array(outcome_reply(outcome), listing.count);
        pack_raw(outcome_reply(outcome), buffer_bytes(&rows));
        if (rows.failed)
            status = STATUS_NOMEM;
    }
    buffer_clear(&rows);
    return status;
}

/* ---- writing */

static enum status
check_room(struct context *context, struct error *error)
{
    struct listing listing = {0};
    enum status status =
        context_scan(context, SPACE_SECRET, (struct bytes){0}, false, count_row, &listing, error);
    if (status == STATUS_OK && listing.count >= SECRETS_MAX) {
        error_set_word(error, "secrets_full", "there are %d secrets already", SECRETS_MAX);
        status = STATUS_QUOTA_EXCEEDED;
    }
    return status;
}

static void
put(struct outcome *outcome, const struct secret_key *key, struct text name, struct text value,
    const struct secret *secret)
{
    struct buffer label, box, row;
    buffer_init(&label);
    buffer_init(&box);
    buffer_init(&row);
    append_label(&label, name, secret);
    secret_box_seal(key, buffer_bytes(&label), text_bytes(value), &box);
    pack_map(&row, 3);
    pack_pair_uint(&row, "created_us", secret->created_us);
    pack_pair_uint(&row, "updated_us", secret->updated_us);
    pack_string(&row, "box");
    pack_bin(&row, box.data, box.size);
    if (label.failed || box.failed || row.failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_put(outcome, SPACE_SECRET, text_bytes(name), buffer_bytes(&row));
    buffer_clear(&label);
    buffer_clear(&box);
    buffer_clear(&row);
}

enum status
secret_set(struct context *context, struct request *request, struct outcome *outcome,
           struct error *error)
{
    struct identities *identities = context_state(context);
    const struct secret_key *key;
    struct secret secret = {0};
    struct text name;
    struct buffer row;
    buffer_init(&row);
    enum status status = read_name(request, IDENTITY_SECRET_SET_NAME, &name, error);
    if (status == STATUS_OK)
        status = find(context, name, &row, &secret, error);
    bool is_new = status == STATUS_NOT_FOUND;
    if (is_new)
        status = check_room(context, error);
    if (status == STATUS_OK)
        status =
            keyring_open(&identities->keyring, SECRET_FOR_VALUES, context, outcome, &key, error);
    if (status == STATUS_OK) {
        secret.updated_us = context_now(context).wall_us;
        if (is_new)
            secret.created_us = secret.updated_us;
        put(outcome, key, name,
            arguments_text(request_arguments(request), IDENTITY_SECRET_SET_VALUE), &secret);
        pack_map(outcome_reply(outcome), 4);
        pack_pair_text(outcome_reply(outcome), "name", name);
        pack_pair_bool(outcome_reply(outcome), "created", is_new);
        pack_pair_timestamp(outcome_reply(outcome), "created_at", secret.created_us);
        pack_pair_timestamp(outcome_reply(outcome), "updated_at", secret.updated_us);
    }
    buffer_clear(&row);
    return status;
}

enum status
secret_remove(struct context *context, struct request *request, struct outcome *outcome,
              struct error *error)
{
    struct secret secret;
    struct text name;
    struct buffer row;
    buffer_init(&row);
    enum status status = read_name(request, IDENTITY_SECRET_REMOVE_NAME, &name, error);
    if (status == STATUS_OK)
        status = find(context, name, &row, &secret, error);
    if (status == STATUS_OK) {
        outcome_delete(outcome, SPACE_SECRET, text_bytes(name));
        pack_map(outcome_reply(outcome), 1);
        pack_pair_bool(outcome_reply(outcome), "removed", true);
    }
    buffer_clear(&row);
    return status;
}
