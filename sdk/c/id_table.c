/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk/c/id_table.h"

#include <stdlib.h>

#include "kernel/assert.h"

enum { CAPACITY_MIN = 16 };

void
id_table_init(struct id_table *table)
{
    *table = (struct id_table){0};
}

void
id_table_clear(struct id_table *table)
{
    free(table->slots);
    id_table_init(table);
}

static size_t
home_of(const struct id_table *table, const struct uuid *id)
{
    return (size_t)uuid_hash(id) & (table->capacity - 1);
}

/* The slot that holds id, or the free one where it belongs. */
static size_t
slot_of(const struct id_table *table, const struct uuid *id)
{
    size_t at = home_of(table, id);
    while (table->slots[at].value && !uuid_equal(&table->slots[at].id, id))
        at = (at + 1) & (table->capacity - 1);
    return at;
}

static bool
grow(struct id_table *table)
{
    struct id_table larger = {0};
    larger.capacity = table->capacity ? table->capacity * 2 : CAPACITY_MIN;
    larger.slots = calloc(larger.capacity, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < table->capacity; i++)
        if (table->slots[i].value)
            larger.slots[slot_of(&larger, &table->slots[i].id)] = table->slots[i];
    larger.count = table->count;
    free(table->slots);
    *table = larger;
    return true;
}

bool
id_table_put(struct id_table *table, const struct uuid *id, void *value)
{
    ASSERT(value);
    if ((table->count + 1) * 4 > table->capacity * 3 && !grow(table))
        return false;
    struct id_slot *slot = &table->slots[slot_of(table, id)];
    ASSERT(!slot->value);
    *slot = (struct id_slot){*id, value};
    table->count++;
    return true;
}

void *
id_table_get(const struct id_table *table, const struct uuid *id)
{
    return table->count ? table->slots[slot_of(table, id)].value : NULL;
}

void *
id_table_take(struct id_table *table, const struct uuid *id)
{
    if (!table->count)
        return NULL;
    size_t hole = slot_of(table, id);
    void *value = table->slots[hole].value;
    if (!value)
        return NULL;

    /* Entries behind the hole that were pushed past it move back, so that no search ends early. */
    size_t mask = table->capacity - 1;
    for (size_t at = (hole + 1) & mask; table->slots[at].value; at = (at + 1) & mask) {
        size_t home = home_of(table, &table->slots[at].id);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole].value = NULL;
    table->count--;
    return value;
}
