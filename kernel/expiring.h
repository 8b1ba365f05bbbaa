/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/expiring.h - a bounded table of short names, each with the time until which it counts.
 *
 * What is over is forgotten. Names come from outside: places are chosen by a keyed hash, and each
 * name is bounded. One thread. */
#ifndef SOS_KERNEL_EXPIRING_H
#define SOS_KERNEL_EXPIRING_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/status.h"

enum { EXPIRING_NAME_MAX = 64 };

struct expiring;

/* count_max: names that count at once. NULL when out of memory. */
struct expiring *expiring_new(size_t count_max);
void expiring_destroy(struct expiring **expiring_p);

/* Sets the time of a name that may be there. INVALID: the name is empty or too long;
 * QUOTA_EXCEEDED: count_max others count at now_us; NOMEM. */
enum status expiring_set(struct expiring *expiring, struct text name, uint64_t until_us,
                         uint64_t now_us);
/* 0: not there, or over at now_us. */
uint64_t expiring_get(const struct expiring *expiring, struct text name, uint64_t now_us);

/* Forgets what is over at now_us. */
void expiring_forget(struct expiring *expiring, uint64_t now_us);
/* What is over but not forgotten yet counts too. */
size_t expiring_count(const struct expiring *expiring);

/* Every name that counts at now_us, in no order; the table must not change meanwhile. */
typedef void expiring_visit_fn(void *context, struct text name, uint64_t until_us);
void expiring_visit(const struct expiring *expiring, uint64_t now_us, expiring_visit_fn *visit,
                    void *context);

#endif
