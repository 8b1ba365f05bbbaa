/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/table.h - a hash table for keys that hostile peers choose.
 *
 * Keyed by SipHash-2-4 with a secret, so that nobody can make keys collide. Nodes stand in their
 * owners and are never freed here. One thread. */
#ifndef SOS_BROKER_CORE_TABLE_H
#define SOS_BROKER_CORE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/bytes.h"

enum { TABLE_KEY_SIZE = 16 };

struct table_node {
    struct table_node *next;
    uint64_t hash;
};

struct table {
    struct table_node **slots;
    size_t slot_count; /* a power of two */
    size_t count;
    uint8_t key[TABLE_KEY_SIZE];
};

/* Random. False: no source of randomness. */
bool table_make_key(uint8_t key[static TABLE_KEY_SIZE]);

/* False when out of memory. */
bool table_init(struct table *table, const uint8_t key[static TABLE_KEY_SIZE]);
void table_clear(struct table *table);

uint64_t table_hash(const struct table *table, struct bytes key);

/* Grows when it can; without memory it only gets slower. */
void table_insert(struct table *table, struct table_node *node, uint64_t hash);
void table_remove(struct table *table, struct table_node *node);

/* The nodes with this hash, one after the other; the caller compares keys. */
struct table_node *table_first(const struct table *table, uint64_t hash);
struct table_node *table_next(const struct table_node *node);

#endif
