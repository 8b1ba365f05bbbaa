/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/keytable_data.h - the key table's members, for keytable.c and keytable_file.c. */
#ifndef SOS_BROKER_NET_KEYTABLE_DATA_H
#define SOS_BROKER_NET_KEYTABLE_DATA_H

#include <pthread.h>

#include "broker/core/list.h"
#include "broker/core/table.h"
#include "broker/net/keytable.h"

struct key_row {
    struct table_node node;
    struct list_node link;
    struct key_entry entry;
};

struct pin_row {
    struct list_node link;
    struct pin pin;
    char service[MESSAGE_NAME_MAX + 1];
};

struct keytable {
    pthread_mutex_t lock;
    struct table by_key;
    struct accesses *accesses;
    struct list_node keys;
    struct list_node pins;
    size_t pin_count;
    char *path;
};

/* These are called with the lock held, or before anybody else has the table. */
enum status keytable_add_entry(struct keytable *table, const struct key_entry *entry,
                               struct error *error);
enum status keytable_put_access(struct keytable *table, struct text identity, enum access access,
                                struct error *error);
enum status keytable_set_pin(struct keytable *table, struct text service, const struct pin *pin,
                             struct error *error);

/* keytable_file.c: fills an empty table. */
enum status keytable_load(struct keytable *table, struct error *error);

#endif
