/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/c/id_table.h - finds a value by UUID: open addressing, grows by doubling.
 *
 * Private to the peer. Keys come from this process or from the broker, which the peer trusts:
 * no defence against chosen collisions. One thread. */
#ifndef SOS_SDK_ID_TABLE_H
#define SOS_SDK_ID_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "kernel/id.h"

struct id_table {
    struct id_slot {
        struct uuid id;
        void *value; /* NULL: free */
    } * slots;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

void id_table_init(struct id_table *table);
void id_table_clear(struct id_table *table); /* frees; values are the caller's; usable again */

/* value must not be NULL, id not be there yet. False: out of memory. */
bool id_table_put(struct id_table *table, const struct uuid *id, void *value);
void *id_table_get(const struct id_table *table, const struct uuid *id); /* NULL: not there */
/* Takes the entry out and returns its value; NULL: not there. */
void *id_table_take(struct id_table *table, const struct uuid *id);

#endif
