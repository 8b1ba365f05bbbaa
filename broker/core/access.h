/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/access.h - what an identity may do on the bus at all, before any capability.
 *
 * Full is the rule; only those who have less are kept in mind. It is the identity's, not a
 * session's: a change holds in running sessions from the next record on, and for whoever speaks
 * for that identity (a gateway) too. */
#ifndef SOS_BROKER_CORE_ACCESS_H
#define SOS_BROKER_CORE_ACCESS_H

#include <stdbool.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/message.h"
#include "kernel/status.h"

struct core;
struct peer;

/*    id          word */
#define ACCESS_MAP(X)                                                                              \
    X(FULL, "full")                                                                                \
    X(READ_ONLY, "read_only")   /* suspended: may receive and read */                              \
    X(ONBOARDING, "onboarding") /* may say who it is and prove it */                               \
    X(NONE, "none")             /* its keys are revoked */

enum access {
#define ACCESS_ENUM(id, word) ACCESS_##id,
    ACCESS_MAP(ACCESS_ENUM)
#undef ACCESS_ENUM
        ACCESSES
};

enum { ACCESS_IDENTITIES_MAX = 100000, ANONYMOUS_MAX = 64 /* sessions of unknown keys at once */ };

const char *access_word(enum access access);
bool access_parse(struct text word, enum access *access);

struct accesses;
/* hash_key: secret. NULL when out of memory. */
struct accesses *accesses_new(const uint8_t hash_key[static 16]);
void accesses_destroy(struct accesses **accesses_p);

/* From now on. NOMEM: what it had stays. */
enum status access_set(struct accesses *accesses, struct text identity, enum access access);
/* Onboarding for who came with an unknown key. */
enum access access_of(const struct accesses *accesses, struct text identity);
/* Of everybody who has less than full; each must not change it. */
void access_each(const struct accesses *accesses,
                 void (*each)(void *context, struct text identity, enum access access),
                 void *context);
size_t access_count(const struct accesses *accesses);

/* May this peer say this record? FORBIDDEN with the words "not_active" or "suspended", which name
 * what is allowed. */
enum status access_check(struct core *core, const struct peer *peer, const struct message *message,
                         struct error *error);

#endif
