/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/audit_log.h - the broker's audit trail, written by a thread of its own: nobody who
 * routes or authenticates waits for the disk.
 *
 * Lines that gather during one fsync go together into the next. What cannot be written (a full
 * disk, a full queue) is counted, and the first line that can be says how many were lost. Any
 * thread may tell; one thread, the owner, takes the answers. */
#ifndef SOS_BROKER_NET_AUDIT_LOG_H
#define SOS_BROKER_NET_AUDIT_LOG_H

#include "kernel/audit.h"
#include "kernel/clock.h"
#include "kernel/error.h"
#include "kernel/log.h"
#include "kernel/status.h"

struct audit_log;

/* clock and logger outlive it. Errors name the file. */
enum status audit_log_start(struct audit_log **log_p, const char *path, const struct clock *clock,
                            const struct logger *logger, struct error *error);
/* Writes what waits. */
void audit_log_stop(struct audit_log **log_p);

/* ticket 0: nobody waits, and the line counts against its event's limit (audit_limit.h). Otherwise
 * the ticket comes back through audit_log_answer(). False: too much waits for the disk; a line
 * without a ticket is then counted as lost. A NULL log takes nothing. */
bool audit_log_tell(struct audit_log *log, const struct audit_entry *entry, uint64_t ticket);

/* Readable while answers wait. */
int audit_log_fd(const struct audit_log *log);
/* The next answer; false: none waits. */
bool audit_log_answer(struct audit_log *log, uint64_t *ticket, bool *written);

#endif
