/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/keytable.h"

#include <stdlib.h>

#include "broker/net/keytable_data.h"
#include "kernel/identity.h"

static struct key_row *
find_row(const struct keytable *table, struct text key)
{
    uint64_t hash = table_hash(&table->by_key, (struct bytes){(const uint8_t *)key.data, key.size});
    for (struct table_node *node = table_first(&table->by_key, hash); node;
         node = table_next(node)) {
        struct key_row *row = CONTAINER_OF(node, struct key_row, node);
        if (text_equal_string(key, row->entry.curve_public_key))
            return row;
    }
    return NULL;
}

enum status
keytable_open(struct keytable **table_p, const char *path, struct error *error)
{
    struct keytable *table = calloc(1, sizeof *table);
    if (!table)
        return STATUS_NOMEM;
    if (pthread_mutex_init(&table->lock, NULL) != 0) {
        free(table);
        return STATUS_NOMEM;
    }
    list_init(&table->keys);
    list_init(&table->pins);
    uint8_t hash_key[TABLE_KEY_SIZE];
    enum status status = STATUS_NOMEM;
    table->path = strdup(path);
    if (!table->path || !table_make_key(hash_key) || !table_init(&table->by_key, hash_key))
        goto fail;
    table->accesses = accesses_new(hash_key);
    if (!table->accesses)
        goto fail;
    status = keytable_load(table, error);
    if (status != STATUS_OK)
        goto fail;
    *table_p = table;
    return STATUS_OK;

fail:
    keytable_close(&table);
    return status;
}

void
keytable_close(struct keytable **table_p)
{
    struct keytable *table = *table_p;
    if (!table)
        return;
    while (!list_is_empty(&table->keys)) {
        struct key_row *row = CONTAINER_OF(table->keys.next, struct key_row, link);
        list_remove(&row->link);
        free(row);
    }
    while (!list_is_empty(&table->pins)) {
        struct pin_row *row = CONTAINER_OF(table->pins.next, struct pin_row, link);
        list_remove(&row->link);
        free(row);
    }
    accesses_destroy(&table->accesses);
    table_clear(&table->by_key);
    pthread_mutex_destroy(&table->lock);
    free(table->path);
    free(table);
    *table_p = NULL;
}

enum status
keytable_add_entry(struct keytable *table, const struct key_entry *entry, struct error *error)
{
    struct identity identity;
    enum status status = identity_parse(text_of(entry->identity), &identity, error);
    if (status != STATUS_OK) {
        error_wrap(error, "identity");
        return STATUS_VALIDATION;
    }
    if (!curve_key_is_valid(entry->curve_public_key)) {
        error_set_field(error, "curve_public_key",
                        "curve_public_key of %s is not the Z85 text of 32 bytes", entry->identity);
        return STATUS_VALIDATION;
    }
    struct text key = text_of(entry->curve_public_key);
    struct key_row *row = find_row(table, key);
    if (row && strcmp(row->entry.identity, entry->identity) != 0) {
        error_set_word(error, "key_exists", "this key belongs to another identity");
        return STATUS_ALREADY_EXISTS;
    }
    if (row && row->entry.revoked) {
        error_set_word(error, "key_revoked", "this key of %s was revoked", entry->identity);
        return STATUS_FORBIDDEN;
    }
    if (row) {
        row->entry.act_for_others = row->entry.act_for_others || entry->act_for_others;
        return STATUS_OK;
    }
    if (table->by_key.count >= KEYTABLE_KEYS_MAX) {
        error_set(error, "the key table is full (%d keys)", KEYTABLE_KEYS_MAX);
        return STATUS_QUOTA_EXCEEDED;
    }
    row = calloc(1, sizeof *row);
    if (!row)
        return STATUS_NOMEM;
    row->entry = *entry;
    list_append(&table->keys, &row->link);
    table_insert(&table->by_key, &row->node,
                 table_hash(&table->by_key, (struct bytes){(const uint8_t *)key.data, key.size}));
    return STATUS_OK;
}

enum status
keytable_add(struct keytable *table, struct text identity, struct text public_key,
             bool act_for_others, uint64_t now_us, struct error *error)
{
    struct key_entry entry = {.act_for_others = act_for_others, .added_us = now_us};
    if (identity.size == 0 || identity.size >= sizeof entry.identity) {
        error_set_field(error, "identity", "identity: came %zu bytes, expected 1 to %zu",
                        identity.size, sizeof entry.identity - 1);
        return STATUS_VALIDATION;
    }
    if (public_key.size != CURVE_KEY_TEXT_SIZE - 1) {
        error_set_field(error, "curve_public_key",
                        "curve_public_key: came %zu characters, expected %d", public_key.size,
                        CURVE_KEY_TEXT_SIZE - 1);
        return STATUS_VALIDATION;
    }
    memcpy(entry.identity, identity.data, identity.size);
    memcpy(entry.curve_public_key, public_key.data, public_key.size);
    pthread_mutex_lock(&table->lock);
    enum status status = keytable_add_entry(table, &entry, error);
    if (status == STATUS_OK && access_of(table->accesses, identity) == ACCESS_NONE)
        access_set(table->accesses, identity, ACCESS_FULL);
    pthread_mutex_unlock(&table->lock);
    return status;
}

void
keytable_forget(struct keytable *table, struct text public_key)
{
    pthread_mutex_lock(&table->lock);
    struct key_row *row = find_row(table, public_key);
    if (row) {
        table_remove(&table->by_key, &row->node);
        list_remove(&row->link);
        free(row);
    }
    pthread_mutex_unlock(&table->lock);
}

uint64_t
keytable_revoke(struct keytable *table, struct text identity)
{
    uint64_t count = 0;
    pthread_mutex_lock(&table->lock);
    for (struct list_node *node = table->keys.next; node != &table->keys; node = node->next) {
        struct key_row *row = CONTAINER_OF(node, struct key_row, link);
        if (row->entry.revoked || !text_equal_string(identity, row->entry.identity))
            continue;
        row->entry.revoked = true;
        count++;
    }
    keytable_put_access(table, identity, ACCESS_NONE, NULL); /* its keys are refused anyway */
    pthread_mutex_unlock(&table->lock);
    return count;
}

uint64_t
keytable_revoke_key(struct keytable *table, struct text identity, struct text public_key)
{
    pthread_mutex_lock(&table->lock);
    struct key_row *row = find_row(table, public_key);
    bool revokes = row && !row->entry.revoked && text_equal_string(identity, row->entry.identity);
    if (revokes)
        row->entry.revoked = true;
    pthread_mutex_unlock(&table->lock);
    return revokes;
}

enum access
keytable_access(struct keytable *table, struct text identity)
{
    pthread_mutex_lock(&table->lock);
    enum access access = access_of(table->accesses, identity);
    pthread_mutex_unlock(&table->lock);
    return access;
}

enum status
keytable_put_access(struct keytable *table, struct text identity, enum access access,
                    struct error *error)
{
    if (access != ACCESS_FULL && access_count(table->accesses) >= ACCESS_IDENTITIES_MAX &&
        access_of(table->accesses, identity) == ACCESS_FULL) {
        error_set(error, "%d identities have less than full access, no more are allowed",
                  ACCESS_IDENTITIES_MAX);
        return STATUS_QUOTA_EXCEEDED;
    }
    return access_set(table->accesses, identity, access);
}

enum status
keytable_set_access(struct keytable *table, struct text identity, enum access access,
                    struct error *error)
{
    pthread_mutex_lock(&table->lock);
    enum status status = keytable_put_access(table, identity, access, error);
    pthread_mutex_unlock(&table->lock);
    return status;
}

void
keytable_each_access(struct keytable *table,
                     void (*each)(void *context, struct text identity, enum access access),
                     void *context)
{
    pthread_mutex_lock(&table->lock);
    access_each(table->accesses, each, context);
    pthread_mutex_unlock(&table->lock);
}

bool
keytable_find(struct keytable *table, struct text public_key, struct key_entry *entry)
{
    pthread_mutex_lock(&table->lock);
    const struct key_row *row = find_row(table, public_key);
    if (row)
        *entry = row->entry;
    pthread_mutex_unlock(&table->lock);
    return row != NULL;
}

void
keytable_each(struct keytable *table, void (*each)(void *context, const struct key_entry *),
              void *context)
{
    pthread_mutex_lock(&table->lock);
    for (struct list_node *node = table->keys.next; node != &table->keys; node = node->next)
        each(context, &CONTAINER_OF(node, struct key_row, link)->entry);
    pthread_mutex_unlock(&table->lock);
}

enum status
keytable_page(struct keytable *table, struct text after, size_t limit,
              void (*each)(void *context, const struct key_entry *), void *context, bool *more,
              struct error *error)
{
    pthread_mutex_lock(&table->lock);
    struct list_node *node = table->keys.next;
    if (after.size > 0) {
        struct key_row *row = find_row(table, after);
        node = row ? row->link.next : NULL;
    }
    for (size_t i = 0; node && node != &table->keys && i < limit; i++, node = node->next) {
        struct key_entry entry = CONTAINER_OF(node, struct key_row, link)->entry;
        entry.access = access_of(table->accesses, text_of(entry.identity));
        each(context, &entry);
    }
    *more = node && node != &table->keys;
    pthread_mutex_unlock(&table->lock);
    if (node)
        return STATUS_OK;
    error_set_word(error, "key_unknown", "after: there is no such key in the table");
    return STATUS_NOT_FOUND;
}

size_t
keytable_count(struct keytable *table)
{
    pthread_mutex_lock(&table->lock);
    size_t count = table->by_key.count;
    pthread_mutex_unlock(&table->lock);
    return count;
}

static struct pin_row *
find_pin(const struct keytable *table, struct text service)
{
    for (struct list_node *node = table->pins.next; node != &table->pins; node = node->next) {
        struct pin_row *row = CONTAINER_OF(node, struct pin_row, link);
        if (text_equal_string(service, row->service))
            return row;
    }
    return NULL;
}

bool
keytable_pin_find(struct keytable *table, struct text service, struct pin *pin)
{
    pthread_mutex_lock(&table->lock);
    const struct pin_row *row = find_pin(table, service);
    if (row)
        *pin = row->pin;
    pthread_mutex_unlock(&table->lock);
    return row != NULL;
}

enum status
keytable_set_pin(struct keytable *table, struct text service, const struct pin *pin,
                 struct error *error)
{
    if (pin->epoch > INT64_MAX) { /* no JSON integer of the file's library */
        error_set(error, "the epoch of a store is at most %lld", (long long)INT64_MAX);
        return STATUS_VALIDATION;
    }
    struct pin_row *row = find_pin(table, service);
    if (row) {
        row->pin = *pin;
        return STATUS_OK;
    }
    if (service.size == 0 || service.size > MESSAGE_NAME_MAX) {
        error_set(error, "a service's name has 1 to %d bytes", MESSAGE_NAME_MAX);
        return STATUS_VALIDATION;
    }
    if (table->pin_count >= KEYTABLE_STORES_MAX) {
        error_set(error, "%d stores are pinned, no more are allowed", KEYTABLE_STORES_MAX);
        return STATUS_QUOTA_EXCEEDED;
    }
    row = calloc(1, sizeof *row);
    if (!row)
        return STATUS_NOMEM;
    memcpy(row->service, service.data, service.size);
    row->pin = *pin;
    list_append(&table->pins, &row->link);
    table->pin_count++;
    return STATUS_OK;
}

enum status
keytable_pin_set(struct keytable *table, struct text service, const struct pin *pin,
                 struct error *error)
{
    pthread_mutex_lock(&table->lock);
    enum status status = keytable_set_pin(table, service, pin, error);
    pthread_mutex_unlock(&table->lock);
    return status;
}

void
keytable_pin_forget(struct keytable *table, struct text service)
{
    pthread_mutex_lock(&table->lock);
    struct pin_row *row = find_pin(table, service);
    if (row) {
        list_remove(&row->link);
        table->pin_count--;
        free(row);
    }
    pthread_mutex_unlock(&table->lock);
}
