/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/net/keytable.h"
#include "broker/net/keytable_data.h"
#include "kernel/clock.h"
#include "kernel/identity.h"
#include "platform/file.h"

enum { FILE_VERSION = 1, FILE_SIZE_MAX = 64 * 1024 * 1024 };

/* ---- reading */

static bool
read_text(const json_t *object, const char *member, char *out, size_t size, struct error *error)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) >= size || strlen(json_string_value(value)) >= size) {
        error_set_field(error, member, "%s: expected a text of 1 to %zu bytes", member, size - 1);
        return false;
    }
    snprintf(out, size, "%s", json_string_value(value));
    return true;
}

static bool
read_flag(const json_t *object, const char *member, bool *out, struct error *error)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_boolean(value)) {
        error_set_field(error, member, "%s: expected true or false", member);
        return false;
    }
    *out = json_is_true(value);
    return true;
}

/* What this version does not know would be lost when the file is written again. */
static bool
has_only(const json_t *object, const char *const *members, struct error *error)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        size_t i = 0;
        while (members[i] && strcmp(members[i], name) != 0)
            i++;
        if (!members[i]) {
            error_set(error, "unknown member \"%.60s\"", name);
            return false;
        }
    }
    return true;
}

static enum status
read_key(struct keytable *table, const json_t *object, struct error *error)
{
    static const char *const members[] = {"identity",       "curve_public_key", "revoked",
                                          "act_for_others", "added_at",         NULL};
    struct key_entry entry = {0};
    char added_at[TIMESTAMP_TEXT_SIZE + 8];
    if (!json_is_object(object)) {
        error_set(error, "expected an object");
        return STATUS_VALIDATION;
    }
    if (!has_only(object, members, error) ||
        !read_text(object, "identity", entry.identity, sizeof entry.identity, error) ||
        !read_text(object, "curve_public_key", entry.curve_public_key,
                   sizeof entry.curve_public_key, error) ||
        !read_flag(object, "revoked", &entry.revoked, error) ||
        !read_flag(object, "act_for_others", &entry.act_for_others, error) ||
        !read_text(object, "added_at", added_at, sizeof added_at, error))
        return STATUS_VALIDATION;
    if (!timestamp_parse(text_of(added_at), &entry.added_us)) {
        error_set_field(error, "added_at",
                        "added_at: expected a time such as 2026-01-02T03:04:05Z");
        return STATUS_VALIDATION;
    }
    struct key_entry existing;
    if (keytable_find(table, text_of(entry.curve_public_key), &existing)) {
        error_set(error, "the key stands there twice");
        return STATUS_VALIDATION;
    }
    return keytable_add_entry(table, &entry, error);
}

static enum status
read_store(struct keytable *table, const char *service, const json_t *value, struct error *error)
{
    static const char *const members[] = {"uuid", "epoch", NULL};
    struct pin pin;
    char uuid[UUID_TEXT_SIZE];
    if (!json_is_object(value)) {
        error_set(error, "expected an object with uuid and epoch");
        return STATUS_VALIDATION;
    }
    if (!has_only(value, members, error) || !read_text(value, "uuid", uuid, sizeof uuid, error))
        return STATUS_VALIDATION;
    if (!uuid_parse(text_of(uuid), &pin.store)) {
        error_set_field(error, "uuid", "uuid: expected a UUID");
        return STATUS_VALIDATION;
    }
    const json_t *epoch = json_object_get(value, "epoch");
    if (!json_is_integer(epoch) || json_integer_value(epoch) < 0) {
        error_set_field(error, "epoch", "epoch: expected a whole number from 0 on");
        return STATUS_VALIDATION;
    }
    pin.epoch = (uint64_t)json_integer_value(epoch);
    return keytable_set_pin(table, text_of(service), &pin, error);
}

static enum status
read_access(struct keytable *table, const char *id, const json_t *value, struct error *error)
{
    struct identity identity;
    enum access access;
    if (identity_parse(text_of(id), &identity, error) != STATUS_OK)
        return STATUS_VALIDATION;
    if (!json_is_string(value) || !access_parse(text_of(json_string_value(value)), &access)) {
        error_set(error, "expected full, read_only, onboarding or none");
        return STATUS_VALIDATION;
    }
    return keytable_put_access(table, text_of(id), access, error);
}

static enum status
read_document(struct keytable *table, const json_t *root, struct error *error)
{
    static const char *const members[] = {"version", "keys", "access", "stores", NULL};
    const json_t *version = json_object_get(root, "version");
    const json_t *keys = json_object_get(root, "keys");
    json_t *stores = json_object_get(root, "stores");
    json_t *accesses = json_object_get(root, "access"); /* older files have none */
    if (accesses && !json_is_object(accesses)) {
        error_set(error, "access: expected an object");
        return STATUS_VALIDATION;
    }
    if (!json_is_object(root) || !json_is_array(keys) || !json_is_object(stores)) {
        error_set(error, "expected an object with version, keys (a list) and stores (an object)");
        return STATUS_VALIDATION;
    }
    if (!json_is_integer(version) || json_integer_value(version) != FILE_VERSION) {
        error_set(error, "version: expected %d", FILE_VERSION);
        return STATUS_VALIDATION;
    }
    if (!has_only(root, members, error))
        return STATUS_VALIDATION;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < json_array_size(keys) && status == STATUS_OK; i++) {
        status = read_key(table, json_array_get(keys, i), error);
        if (status != STATUS_OK)
            error_wrap(error, "keys[%zu]", i);
    }
    const char *service, *id;
    json_t *value;
    json_object_foreach(accesses, id, value)
    {
        if (status != STATUS_OK)
            break;
        status = read_access(table, id, value, error);
        if (status != STATUS_OK)
            error_wrap(error, "access.%.60s", id);
    }
    json_object_foreach(stores, service, value)
    {
        if (status != STATUS_OK)
            break;
        status = read_store(table, service, value, error);
        if (status != STATUS_OK)
            error_wrap(error, "stores.%.60s", service);
    }
    return status;
}

enum status
keytable_load(struct keytable *table, struct error *error)
{
    struct buffer text;
    struct error cause = ERROR_INIT;
    buffer_init(&text);
    enum status status = file_load(table->path, FILE_SIZE_MAX, true, &text, &cause);
    if (status != STATUS_OK) {
        buffer_clear(&text);
        if (status == STATUS_NOT_FOUND)
            return STATUS_OK;
        error_set(error, "key table: %s", cause.message);
        return status;
    }
    json_error_t json_error;
    json_t *root =
        json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &json_error);
    buffer_clear(&text);
    if (root) {
        status = read_document(table, root, error);
    } else {
        error_set(error, "line %d: %s", json_error.line, json_error.text);
        status = STATUS_VALIDATION;
    }
    if (status != STATUS_OK)
        error_wrap(error, "key table %s", table->path);
    json_decref(root);
    return status;
}

/* ---- writing */

static void
pack_access(void *context, struct text identity, enum access access)
{
    json_t **object_p = context;
    char id[MESSAGE_NAME_MAX + 1];
    if (!*object_p)
        return;
    snprintf(id, sizeof id, "%.*s", TEXT_ARGS(identity));
    if (json_object_set_new(*object_p, id, json_string(access_word(access))) != 0) {
        json_decref(*object_p);
        *object_p = NULL;
    }
}

static json_t *
pack_document(const struct keytable *table)
{
    json_t *keys = json_array();
    json_t *stores = json_object();
    json_t *accesses = json_object();
    access_each(table->accesses, pack_access, &accesses);
    bool failed = !keys || !stores || !accesses;
    for (struct list_node *node = table->keys.next; !failed && node != &table->keys;
         node = node->next) {
        const struct key_entry *entry = &CONTAINER_OF(node, struct key_row, link)->entry;
        char added_at[TIMESTAMP_TEXT_SIZE];
        timestamp_format(entry->added_us, added_at);
        json_t *key =
            json_pack("{s:s, s:s, s:b, s:b, s:s}", "identity", entry->identity, "curve_public_key",
                      entry->curve_public_key, "revoked", (int)entry->revoked, "act_for_others",
                      (int)entry->act_for_others, "added_at", added_at);
        failed = !key || json_array_append_new(keys, key) != 0;
    }
    for (struct list_node *node = table->pins.next; !failed && node != &table->pins;
         node = node->next) {
        const struct pin_row *row = CONTAINER_OF(node, struct pin_row, link);
        char store[UUID_TEXT_SIZE];
        uuid_format(&row->pin.store, store);
        json_t *pin = json_pack("{s:s, s:I}", "uuid", store, "epoch", (json_int_t)row->pin.epoch);
        failed = !pin || json_object_set_new(stores, row->service, pin) != 0;
    }
    if (failed) {
        json_decref(keys);
        json_decref(stores);
        json_decref(accesses);
        return NULL;
    }
    return json_pack("{s:i, s:o, s:o, s:o}", "version", FILE_VERSION, "keys", keys, "access",
                     accesses, "stores", stores);
}

enum status
keytable_save(struct keytable *table, struct error *error)
{
    enum status status = STATUS_NOMEM;
    char *text = NULL;
    pthread_mutex_lock(&table->lock);
    json_t *root = pack_document(table);
    if (root)
        text = json_dumps(root, JSON_INDENT(2));
    if (text) {
        struct bytes content = {(const uint8_t *)text, strlen(text)};
        status = file_save(table->path, content, 0600, error);
        if (status != STATUS_OK) {
            error_wrap(error, "key table");
            status = STATUS_STORE_FAILED;
        }
    }
    pthread_mutex_unlock(&table->lock);
    free(text);
    json_decref(root);
    return status;
}
