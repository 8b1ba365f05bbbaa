/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/commit.h - the store's thread: one commit or checkpoint at a time beside the
 * actor's loop.
 *
 * A batch (or a folder's name) is handed over, its bytes must not change until the result was
 * taken. */
#ifndef SOS_RUNTIME_COMMIT_H
#define SOS_RUNTIME_COMMIT_H

#include "store/store.h"

struct committer;

/* The store is borrowed. */
enum status committer_open(struct committer **committer_p, struct store *store,
                           struct error *error);
/* Waits for the commit under way. */
void committer_close(struct committer **committer_p);

void committer_start(struct committer *committer, const struct store_batch *batch);
void committer_checkpoint(struct committer *committer, const char *folder);

void *
committer_socket(struct committer *committer); /* readable: a result is there (for zmq_poll) */

/* Waits for the result; false when interrupted. One must be under way. */
bool committer_wait(struct committer *committer, enum status *result, struct error *error);

/* Takes the result; false when there is none yet. */
bool committer_take(struct committer *committer, enum status *result, struct error *error);

#endif
