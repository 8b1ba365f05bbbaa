/* SPDX-License-Identifier: Apache-2.0 */
/* platform/audit.h - an append-only audit trail on disk: one JSON line per event (kernel/audit.h).
 *
 * Mode 0600, O_APPEND, one write per line; a line that could not be written whole is taken back, so
 * the file holds whole lines only. It is bounded by rotation: before it would pass its size it
 * becomes FILE.1, FILE.1 becomes FILE.2 and so on; when the oldest goes a line says so. Calls
 * block; one thread at a time. */
#ifndef SOS_PLATFORM_AUDIT_H
#define SOS_PLATFORM_AUDIT_H

#include <stdint.h>

#include "kernel/audit.h"
#include "kernel/error.h"
#include "kernel/status.h"

struct audit;

enum { AUDIT_FILES_KEPT = 15 /* FILE.1 … FILE.15 */ };

#define AUDIT_SIZE_MAX UINT64_C(67108864)

/* Makes the file when there is none. size_max: 0 for AUDIT_SIZE_MAX. Errors name the path. */
enum status audit_open(struct audit **audit_p, const char *path, uint64_t size_max,
                       struct error *error);
void audit_close(struct audit **audit_p);

/* Appends one line; not lasting before audit_sync(). STORE_FAILED: nothing of it was written. */
enum status audit_append(struct audit *audit, struct text line, uint64_t wall_us,
                         struct error *error);
/* All lines are on disk when it returns OK. */
enum status audit_sync(struct audit *audit, struct error *error);

#endif
