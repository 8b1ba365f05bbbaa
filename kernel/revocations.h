/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/revocations.h - the capabilities that were taken back and would still be good otherwise.
 *
 * A capability is named by its id until it expires; then it is refused for that reason, and
 * forgotten here. Bounded: docs/SECURITY.md says what happens when it is full. One thread. */
#ifndef SOS_KERNEL_REVOCATIONS_H
#define SOS_KERNEL_REVOCATIONS_H

#include "kernel/capability.h"
#include "kernel/error.h"
#include "kernel/expiring.h"

enum {
    REVOCATIONS_MAX = 65536,
    REVOCATION_BATCH_MAX = 1000 /* named in one record */
};

_Static_assert((int)CAPABILITY_ID_MAX <= (int)EXPIRING_NAME_MAX, "an id has room as a name");

struct revocation {
    struct text id;
    uint64_t expires_us; /* wall clock: of the capability */
};

struct revocations;

/* NULL when out of memory. */
struct revocations *revocations_new(void);
void revocations_destroy(struct revocations **revocations_p);

/* Takes all of them or none (but for NOMEM: then some); those known and those expired change
 * nothing. VALIDATION: an id of 0 or more than CAPABILITY_ID_MAX bytes; QUOTA_EXCEEDED word
 * "too_many_revocations"; NOMEM. */
enum status revocations_add(struct revocations *revocations, const struct revocation *list,
                            size_t count, uint64_t now_us, struct error *error);
bool revocations_has(const struct revocations *revocations, struct text id, uint64_t now_us);
size_t revocations_count(const struct revocations *revocations);
void revocations_forget(struct revocations *revocations, uint64_t now_us);
void revocations_visit(const struct revocations *revocations, uint64_t now_us,
                       expiring_visit_fn *visit, void *context);

#endif
