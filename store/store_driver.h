/* SPDX-License-Identifier: Apache-2.0 */
/* store/store_driver.h - what a driver of store.h fills in; private to the store.
 *
 * A driver's struct begins with struct store. It checks nothing itself that all drivers share:
 * expectations, the meta row and its protection are store_driver.c's. */
#ifndef SOS_STORE_DRIVER_H
#define SOS_STORE_DRIVER_H

#include "store/store_room.h"

/* The functions of store.h that differ between drivers, with the same contracts; commit never
 * gets an empty batch. */
struct store_driver {
    void (*close)(struct store *store);
    enum status (*get_head)(struct store *store, store_space space, struct bytes key, size_t max,
                            struct buffer *out, size_t *size, struct error *error);
    /* from: the first key of interest, "" for all with the prefix; not with reverse. */
    enum status (*scan)(struct store *store, store_space space, struct bytes prefix,
                        struct bytes from, bool reverse, store_row_fn *row, void *context,
                        struct error *error);
    enum status (*commit)(struct store *store, const struct store_batch *batch,
                          struct error *error);
    enum status (*checkpoint)(struct store *store, const char *folder, struct error *error);
    enum status (*verify)(struct store *store, struct error *error);
    uint64_t (*size)(struct store *store);
    bool (*has_failed)(struct store *store);
    void (*fault_after)(struct store *store, int calls);
    /* Of its disk, and what the store itself may need for a while at any time, beside the rows that
     * are put; false when it cannot be told. */
    bool (*room)(struct store *store, uint64_t *free_bytes, uint64_t *total_bytes,
                 uint64_t *needed_bytes);
    /* Makes the room of deleted rows free, in the background. flush: rows were deleted since. */
    void (*tidy)(struct store *store, bool flush);
    void (*pretend_room)(struct store *store, uint64_t free_bytes, uint64_t total_bytes);
};

struct store {
    const struct store_driver *driver;
    struct uuid uuid;
    uint64_t epoch;
    struct store_room room;
};

/* Reads or makes the meta row of a store whose driver works already, raises the epoch and commits
 * it. is_new: a store without a meta row may be given one; otherwise it is refused.
 * CONFLICT: another schema, naming both. */
enum status store_begin(struct store *store, uint32_t schema, bool is_new, struct error *error);

/* How a driver looks a committed key up while it holds its commit lock: OK and the value is
 * appended to out, or NOT_FOUND, or what went wrong. */
typedef enum status store_lookup_fn(struct store *store, store_space space, struct bytes key,
                                    struct buffer *out, struct error *error);

/* Does every expectation of the batch hold? Each sees the writes before it in the batch. OK,
 * CONFLICT, or what lookup answered. Called under the driver's commit lock. */
enum status store_check(struct store *store, const struct store_batch *batch,
                        store_lookup_fn *lookup, struct error *error);

#endif
