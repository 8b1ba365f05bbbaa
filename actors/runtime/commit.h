/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/commit.h - the store's thread: one commit or checkpoint at a time beside the
 * actor's loop.
 *
 * A batch (or a folder's name) is handed over, its bytes must not change until the result was
 * taken. */
#ifndef SOS_RUNTIME_COMMIT_H
#define SOS_RUNTIME_COMMIT_H

#include "actors/runtime/audit_trail.h"
#include "store/store.h"

struct committer;

/* Store and trail are borrowed, either may be NULL: entries of a batch are appended to the trail
 * once the batch is in the store. Without a store, a batch succeeds when its entries do. */
enum status committer_open(struct committer **committer_p, struct store *store,
                           struct audit_trail *trail, struct error *error);
/* Waits for the commit under way. */
void committer_close(struct committer **committer_p);

void committer_start(struct committer *committer, const struct store_batch *batch);
void committer_checkpoint(struct committer *committer, const char *folder);

void *
committer_socket(struct committer *committer); /* readable: a result is there (for zmq_poll) */

/* Waits for the result; false when interrupted. One must be under way. */
bool committer_wait(struct committer *committer, enum status *result, struct error *error);

/* What the commit whose result was taken last did to the trail; NULL: nothing. Until the next
 * start. */
const struct audit_report *committer_report(const struct committer *committer);

/* Takes the result; false when there is none yet. */
bool committer_take(struct committer *committer, enum status *result, struct error *error);

#endif
