/* SPDX-License-Identifier: Apache-2.0 */
/* actors/runtime/overlay.h - the writes of the running batch, readable before they are stored.
 *
 * A store_batch with an index over it: reads look here first and then in the store. Writes carry
 * the number of the step that made them, and each step remembers the steps whose uncommitted writes
 * it saw, so that a step which must be refused at the commit takes along exactly those that built
 * on it. */
#ifndef SOS_RUNTIME_OVERLAY_H
#define SOS_RUNTIME_OVERLAY_H

#include "store/store.h"

enum {
    OVERLAY_STEPS_MAX = 256 /* handlers in one batch */
};

/* The steps that a step has read from. */
struct step_set {
    uint64_t bits[OVERLAY_STEPS_MAX / 64];
};

bool step_set_has(const struct step_set *set, size_t step);
bool step_set_intersects(const struct step_set *a, const struct step_set *b);
void step_set_add(struct step_set *set, size_t step);

struct overlay;

struct overlay *overlay_new(void); /* NULL when out of memory */
void overlay_destroy(struct overlay **overlay_p);

/* Empties it for the next batch. */
void overlay_reset(struct overlay *overlay);

/* From here on writes and reads belong to this step; *seen collects, may be NULL. */
void overlay_begin_step(struct overlay *overlay, size_t step, struct step_set *seen);

/* NOMEM. */
enum status overlay_write(struct overlay *overlay, enum store_write_type type, store_space space,
                          struct bytes key, struct bytes value);
void overlay_truncate(struct overlay *overlay, size_t count); /* back to a savepoint */
size_t overlay_count(const struct overlay *overlay);
const struct store_batch *overlay_batch(const struct overlay *overlay);

/* The latest PUT or DELETE of this key in the batch; NULL: only the store knows. */
const struct store_write *overlay_find(struct overlay *overlay, store_space space,
                                       struct bytes key);

/* As store_get and store_scan with the batch's writes merged in. */
enum status overlay_get(struct overlay *overlay, struct store *store, store_space space,
                        struct bytes key, struct buffer *out, struct error *error);
enum status overlay_scan(struct overlay *overlay, struct store *store, store_space space,
                         struct bytes prefix, bool reverse, store_row_fn *row, void *context,
                         struct error *error);

#endif
