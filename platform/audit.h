/* SPDX-License-Identifier: Apache-2.0 */
/* platform/audit.h - an append-only audit trail on disk: one JSON line per event, each chained to
 * the one before (kernel/audit.h).
 *
 * Mode 0600, O_APPEND, one write per line, locked against a second writer. The file holds whole
 * lines only: one that could not be written is taken back, one that a crash left unfinished is
 * taken back when the file is opened. It is bounded by rotation: before it would pass its size it
 * becomes FILE.1, FILE.1 becomes FILE.2 and so on; the chain goes on from file to file.
 *
 * What the trail writes about itself, between the entries: audit.rotated (the oldest file goes; the
 * resource is the hash of its last line, which the oldest line that is left names), audit.recovered
 * (an unfinished line was taken back), audit.damaged (the file is not as this writer left it).
 *
 * Calls block; one thread at a time. */
#ifndef SOS_PLATFORM_AUDIT_H
#define SOS_PLATFORM_AUDIT_H

#include <stdint.h>

#include "kernel/audit.h"
#include "kernel/error.h"
#include "kernel/status.h"

struct audit;

enum { AUDIT_FILES_KEPT = 15 /* FILE.1 … FILE.15 */ };

#define AUDIT_SIZE_MAX UINT64_C(67108864)

/* Makes the file when there is none, goes on behind its last line otherwise. size_max: 0 for
 * AUDIT_SIZE_MAX. CONFLICT when somebody writes it already. Errors name the path. */
enum status audit_open(struct audit **audit_p, const char *path, uint64_t size_max,
                       uint64_t wall_us, struct error *error);
void audit_close(struct audit **audit_p);

/* The last line; all zero: there is none. */
struct audit_link audit_last(const struct audit *audit);

/* Appends the line of these members (audit_format); seq is not below the last one's. Not lasting
 * before audit_sync(). STORE_FAILED: nothing of it was written. */
enum status audit_append(struct audit *audit, uint64_t seq, struct text members, uint64_t wall_us,
                         struct error *error);
/* A line about the trail itself. */
enum status audit_remark(struct audit *audit, const char *event, const char *detail,
                         uint64_t wall_us, struct error *error);
/* Takes back the lines since the last sync, as far as no rotation came between. */
void audit_revert(struct audit *audit);
/* All lines are on disk when it returns OK. Otherwise those since the last sync are taken back. */
enum status audit_sync(struct audit *audit, struct error *error);

#endif
