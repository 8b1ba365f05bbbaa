/* SPDX-License-Identifier: Apache-2.0 */
/* store/store_room.h - refuses writes before the disk is full; private to the store.
 *
 * RocksDB that runs out of space in the middle of a write, a flush or a compaction fails for good,
 * until it is opened again, and for that it needs space. So a reserve stays free: for its own work,
 * for deletes, and for whatever else must be written to become well again. */
#ifndef SOS_STORE_ROOM_H
#define SOS_STORE_ROOM_H

#include <pthread.h>

#include "store/store.h"

/* Locked by its own functions. */
struct store_room {
    pthread_mutex_t lock;
    bool guarded; /* a reserve was set */
    bool full;
    bool known;      /* the disk was asked, and answered */
    uint64_t wanted; /* the reserve that was set */
    uint64_t free_bytes;
    uint64_t total_bytes;
    uint64_t needed_bytes; /* by the store itself */
    uint64_t written;      /* since the disk was asked */
    uint64_t asked_us;
    uint64_t deleted;   /* rows, since the store was tidied up */
    unsigned tidy_left; /* steps of that */
    uint64_t tidied_us;
};

bool store_room_init(struct store_room *room);
void store_room_clear(struct store_room *room);

/* Asks the disk, once: for a driver that has just opened. */
void store_room_look(struct store *store);

/* May the batch be written? OK, or STORE_FAILED with the word "storage_full". */
enum status store_room_admit(struct store *store, const struct store_batch *batch,
                             struct error *error);

#endif
