/* SPDX-License-Identifier: Apache-2.0 */
/* broker/mail/mail_squads.h - who gets the mail to a squad. One row a squad; those in use are kept
 * in memory, and forgotten when they are many or a batch that changed them failed. One thread. */
#ifndef SOS_BROKER_MAIL_MAIL_SQUADS_H
#define SOS_BROKER_MAIL_MAIL_SQUADS_H

#include "broker/core/list.h"
#include "broker/core/table.h"
#include "broker/mail/mail_rows.h"

struct squad {
    struct table_node node;
    struct list_node link; /* in all, the one used last at the end; or in changed */
    bool changed;
    bool stored;
    struct text *members; /* each its own memory; in byte order */
    size_t count;
    size_t capacity;
    size_t bytes; /* of memory */
    struct text name;
    char name_bytes[];
};

struct squads {
    struct table table;
    struct list_node all;
    struct list_node changed; /* by the batch under way */
    size_t bytes;
};

bool squads_init(struct squads *squads, const uint8_t key[static TABLE_KEY_SIZE]);
void squads_clear(struct squads *squads);

/* Loads it; one without a row has no members. Valid until keep or revert. STORE_FAILED, NOMEM. */
enum status squads_find(struct squads *squads, struct store *store, struct text name,
                        struct squad **squad_p, struct error *error);

bool squad_has(const struct squad *squad, struct text member);
/* NOMEM: as before. The caller has asked squad_has(). */
enum status squads_add(struct squads *squads, struct squad *squad, struct text member);
void squads_remove(struct squads *squads, struct squad *squad, struct text member);

enum status squads_write(struct squads *squads, struct store_batch *batch);
void squads_keep(struct squads *squads);
void squads_revert(struct squads *squads);

#endif
