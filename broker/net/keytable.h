/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/keytable.h - which CURVE keys may speak as whom, and which store each service is
 * pinned to: the broker's own file, data/broker/keys.json.
 *
 *     {"version": 1,
 *      "keys": [{"identity", "curve_public_key", "revoked", "act_for_others", "added_at"}],
 *      "access": {"agent:kasra": "read_only"},
 *      "stores": {"memory": {"uuid", "epoch"}}}
 *
 * access names those who have less than full (broker/core/access.h); a file without it, from an
 * older version, restricts nobody.
 *
 * Changes are made in memory; keytable_save() replaces the file as a whole. Any thread may call any
 * function but open and close. The cli uses it too, to seed the keys of a home whose broker is
 * down. */
#ifndef SOS_BROKER_NET_KEYTABLE_H
#define SOS_BROKER_NET_KEYTABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/access.h"
#include "broker/core/pin.h"
#include "kernel/bytes.h"
#include "kernel/curve.h"
#include "kernel/error.h"
#include "kernel/message.h"
#include "kernel/status.h"

enum { KEYTABLE_KEYS_MAX = 100000, KEYTABLE_STORES_MAX = 1024 };

struct keytable;

struct key_entry {
    char identity[MESSAGE_NAME_MAX + 1];
    char curve_public_key[CURVE_KEY_TEXT_SIZE];
    bool revoked;
    bool act_for_others;
    uint64_t added_us;  /* wall clock */
    enum access access; /* of the identity; filled by keytable_page() alone */
};

/* Reads the file; one that does not exist is an empty table (nobody may connect). VALIDATION names
 * the file and the entry that is wrong; FORBIDDEN: others than its owner may read or write it. */
enum status keytable_open(struct keytable **table_p, const char *path, struct error *error);
void keytable_close(struct keytable **table_p);

/* A key that is there with the same identity stays as it is, but gains act_for_others. A new key
 * of an identity whose keys were all revoked gives it full access again.
 * ALREADY_EXISTS, word "key_exists": it is another identity's. FORBIDDEN, word "key_revoked": it
 * was revoked. VALIDATION: identity or key ill-formed. QUOTA_EXCEEDED: KEYTABLE_KEYS_MAX. */
enum status keytable_add(struct keytable *table, struct text identity, struct text public_key,
                         bool act_for_others, uint64_t now_us, struct error *error);

/* Takes a key out as if it had never been added (an add that could not be saved). */
void keytable_forget(struct keytable *table, struct text public_key);

/* Revokes every key of the identity, which may do nothing any more; how many that were. A revoked
 * key stays, and stays refused. */
uint64_t keytable_revoke(struct keytable *table, struct text identity);
/* The same for one of its keys: what the identity may do stays as it is. */
uint64_t keytable_revoke_key(struct keytable *table, struct text identity, struct text public_key);

/* What an identity may do. set: NOMEM, QUOTA_EXCEEDED (ACCESS_IDENTITIES_MAX have less than full):
 * nothing was changed. */
enum access keytable_access(struct keytable *table, struct text identity);
enum status keytable_set_access(struct keytable *table, struct text identity, enum access access,
                                struct error *error);
/* Of everybody who has less than full; each must not call the table. */
void keytable_each_access(struct keytable *table,
                          void (*each)(void *context, struct text identity, enum access access),
                          void *context);

/* Copies the entry of a key, revoked or not; false when there is none. */
bool keytable_find(struct keytable *table, struct text public_key, struct key_entry *entry);

/* In the order they were added. each must not call the table. */
void keytable_each(struct keytable *table, void (*each)(void *context, const struct key_entry *),
                   void *context);
/* The same for at most limit keys from the one behind `after` on (empty: from the first); *more:
 * others follow. NOT_FOUND, word "key_unknown": there is no key `after`. */
enum status keytable_page(struct keytable *table, struct text after, size_t limit,
                          void (*each)(void *context, const struct key_entry *), void *context,
                          bool *more, struct error *error);
size_t keytable_count(struct keytable *table);

bool keytable_pin_find(struct keytable *table, struct text service, struct pin *pin);
/* VALIDATION, QUOTA_EXCEEDED, NOMEM. A pin that is there is replaced. */
enum status keytable_pin_set(struct keytable *table, struct text service, const struct pin *pin,
                             struct error *error);
/* Takes a pin out as if it had never been set (one that could not be saved). */
void keytable_pin_forget(struct keytable *table, struct text service);

/* On disk when it returns OK: written beside, synced, renamed, folder synced; mode 0600.
 * STORE_FAILED names file and cause; the old file is then whole. */
enum status keytable_save(struct keytable *table, struct error *error);

#endif
