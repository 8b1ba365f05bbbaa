/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/audit.h - the audit entries of an actor, from the step that records them to the
 * file.
 *
 * An entry is a row in its step's part of the batch: number -> its line's members. So it is there
 * exactly when the writes are that it tells of. After the commit, the store's thread appends it to
 * the file (audit_trail.h); a later commit deletes the row. A row whose number the file's last line
 * has passed was appended already: a crash between the two neither loses nor doubles an entry.
 *
 * A service without a store has no rows: the store's thread gets them all the same and appends
 * them, and answers leave after that. */
#ifndef SOS_RUNTIME_AUDIT_H
#define SOS_RUNTIME_AUDIT_H

#include <sys/queue.h>

#include "actors/runtime/idempotency.h"
#include "kernel/audit.h"
#include "store/store.h"

/* number, 8 bytes big-endian -> members. The empty key -> the number of an entry that was appended,
 * 8 bytes big-endian, and its line's hash. */
enum { STORE_SPACE_AUDIT = STORE_SPACE_RUNTIME + 2, AUDIT_KEY_SIZE = 8 };

enum {
    AUDIT_BACKLOG_MAX = 4096, /* entries that wait for the file; more are refused */
    AUDIT_STEP_MAX = 2048     /* entries of one step */
};

#define AUDIT_WORD "not_audited"

struct audit_key {
    uint8_t bytes[AUDIT_KEY_SIZE];
};

struct audit_key audit_key_of(uint64_t number);
/* False: the row is not an entry. */
bool audit_key_read(struct bytes key, uint64_t *number);

struct audit_note {
    TAILQ_ENTRY(audit_note) link;
    bool tells_success; /* does not outlive a step that is refused */
    struct buffer members;
};

TAILQ_HEAD(audit_notes, audit_note);

void audit_notes_clear(struct audit_notes *notes);

/* What dispatch knows of rows and file. */
struct audit_book {
    bool has_trail;
    bool is_open;             /* the file's end is known */
    bool is_failing;          /* the last time something could not be appended */
    bool is_flushing;         /* the store's thread appends what waits, without a batch */
    uint64_t retry_us;        /* no further try by itself before that */
    struct audit_link last;   /* of the file */
    uint64_t oldest, newest;  /* rows in the store; newest 0: none */
    uint64_t noted;           /* in the store: appended up to here */
    uint64_t next;            /* the number of the next entry */
    struct audit_notes ended; /* of requests that ended outside of any step */
    size_t ended_count;
    size_t lost; /* of them, for want of room or memory */
};

#endif
