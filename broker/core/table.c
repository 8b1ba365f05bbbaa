/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/table.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

enum { SLOTS_MIN = 64 };

bool
table_make_key(uint8_t key[static TABLE_KEY_SIZE])
{
    if (sodium_init() < 0)
        return false;
    randombytes_buf(key, TABLE_KEY_SIZE);
    return true;
}

bool
table_init(struct table *table, const uint8_t key[static TABLE_KEY_SIZE])
{
    table->slots = calloc(SLOTS_MIN, sizeof *table->slots);
    if (!table->slots)
        return false;
    table->slot_count = SLOTS_MIN;
    table->count = 0;
    memcpy(table->key, key, TABLE_KEY_SIZE);
    return true;
}

void
table_clear(struct table *table)
{
    free(table->slots);
    table->slots = NULL;
    table->slot_count = 0;
    table->count = 0;
}

uint64_t
table_hash(const struct table *table, struct bytes key)
{
    static_assert(crypto_shorthash_KEYBYTES == TABLE_KEY_SIZE, "SipHash key");
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t hash;
    crypto_shorthash(out, key.data, key.size, table->key);
    memcpy(&hash, out, sizeof hash);
    return hash;
}

static struct table_node **
slot_of(const struct table *table, uint64_t hash)
{
    return &table->slots[hash & (table->slot_count - 1)];
}

static void
grow(struct table *table)
{
    size_t slot_count = table->slot_count * 2;
    struct table_node **old = table->slots;
    struct table_node **slots = calloc(slot_count, sizeof *slots);
    if (!slots)
        return;
    size_t old_count = table->slot_count;
    table->slots = slots;
    table->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++) {
        struct table_node *node = old[i];
        while (node) {
            struct table_node *next = node->next;
            struct table_node **slot = slot_of(table, node->hash);
            node->next = *slot;
            *slot = node;
            node = next;
        }
    }
    free(old);
}

void
table_insert(struct table *table, struct table_node *node, uint64_t hash)
{
    if (table->count >= table->slot_count)
        grow(table);
    struct table_node **slot = slot_of(table, hash);
    node->hash = hash;
    node->next = *slot;
    *slot = node;
    table->count++;
}

void
table_remove(struct table *table, struct table_node *node)
{
    struct table_node **at = slot_of(table, node->hash);
    while (*at && *at != node)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = node->next;
    node->next = NULL;
    table->count--;
}

struct table_node *
table_first(const struct table *table, uint64_t hash)
{
    struct table_node *node = *slot_of(table, hash);
    while (node && node->hash != hash)
        node = node->next;
    return node;
}

struct table_node *
table_next(const struct table_node *node)
{
    struct table_node *next = node->next;
    while (next && next->hash != node->hash)
        next = next->next;
    return next;
}
