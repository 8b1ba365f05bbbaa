/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/audit_trail.h - the file of an actor's audit entries,
 * <home>/data/audit/<service>.jsonl, as the store's thread writes it.
 *
 * It is opened with the first write and, after a failure, with the next. Of a service without a
 * store several may run: the second one writes <service>-2.jsonl, and so on. Calls block; one
 * thread at a time. */
#ifndef SOS_RUNTIME_AUDIT_TRAIL_H
#define SOS_RUNTIME_AUDIT_TRAIL_H

#include "kernel/audit.h"
#include "kernel/clock.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "store/store.h"

struct audit_trail;

enum { AUDIT_INSTANCES_MAX = 8 };

struct audit_report {
    bool is_open;           /* last is known */
    struct audit_link last; /* of the file; what has a lower number or the same is on disk */
    enum status status;     /* did all that waits get there? */
    struct error error;     /* word "not_audited" */
};

/* home, service, clock and logger outlive it. NULL when out of memory. */
struct audit_trail *audit_trail_new(const char *home, const char *service,
                                    const struct clock *clock, const struct logger *logger);
void audit_trail_destroy(struct audit_trail **trail_p);

/* Has the batch an entry, or is it empty, which asks for what waits? */
bool audit_trail_is_asked(const struct store_batch *batch);

/* Appends every entry that the file does not have yet, of the store, or without one of the batch;
 * syncs. */
void audit_trail_write(struct audit_trail *trail, struct store *store,
                       const struct store_batch *batch, struct audit_report *report);

#endif
