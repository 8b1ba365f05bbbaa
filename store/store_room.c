/* SPDX-License-Identifier: Apache-2.0 */
#include "store/store_room.h"

#include <inttypes.h>
#include <time.h>

#include "store/store_driver.h"

enum {
    ASK_US = 50000,
    ASK_BYTES = 4 << 20,
    TIDY_US = 1000000,
    TIDY_STEPS = 6 /* deleted rows sink from level to level until they meet what they delete */
};

bool
store_room_init(struct store_room *room)
{
    *room = (struct store_room){.guarded = false};
    return pthread_mutex_init(&room->lock, NULL) == 0;
}

void
store_room_clear(struct store_room *room)
{
    pthread_mutex_destroy(&room->lock);
}

static uint64_t
monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
ask(struct store *store)
{
    struct store_room *room = &store->room;
    uint64_t now_us = monotonic_us();
    if (room->known && now_us - room->asked_us < ASK_US && room->written < ASK_BYTES)
        return;
    room->known =
        store->driver->room(store, &room->free_bytes, &room->total_bytes, &room->needed_bytes);
    room->asked_us = now_us;
    room->written = 0;
}

void
store_room_look(struct store *store)
{
    pthread_mutex_lock(&store->room.lock);
    ask(store);
    pthread_mutex_unlock(&store->room.lock);
}

static uint64_t
reserve_of(const struct store_room *room)
{
    uint64_t most = room->total_bytes / 8;
    uint64_t reserve = room->wanted < most ? room->wanted : most;
    return reserve < STORE_RESERVE_MIN ? STORE_RESERVE_MIN : reserve;
}

/* What puts leave alone. */
static uint64_t
kept_free(const struct store_room *room)
{
    return reserve_of(room) + room->needed_bytes;
}

/* What can be relied on: as the disk said, less what was written since. */
static uint64_t
left_of(const struct store_room *room)
{
    return room->free_bytes > room->written ? room->free_bytes - room->written : 0;
}

static bool
has_room(struct store_room *room, uint64_t more)
{
    uint64_t reserve = kept_free(room);
    uint64_t left = left_of(room);
    uint64_t spare = left > reserve ? left - reserve : 0;
    if (spare >= STORE_RESERVE_SLACK)
        room->full = false;
    else if (left < reserve || spare < more)
        room->full = true;
    return !room->full && spare >= more;
}

static void
say_full(const struct store_room *room, struct error *error)
{
    error_set_word(error, "storage_full",
                   "the disk is full: %" PRIu64 " bytes are free, %" PRIu64 " are kept in reserve",
                   left_of(room), kept_free(room));
}

/* Bytes of all puts; *deletes: how many rows go. */
static uint64_t
count_puts(const struct store_batch *batch, uint64_t *deletes)
{
    uint64_t bytes = 0;
    *deletes = 0;
    for (size_t i = 0; i < store_batch_count(batch); i++) {
        const struct store_write *write = store_batch_at(batch, i);
        if (write->type == STORE_PUT)
            bytes += write->key.size + write->value.size;
        else if (write->type == STORE_DELETE)
            (*deletes)++;
    }
    return bytes;
}

static bool
only_shrinks(const struct store_room *room, uint64_t puts, uint64_t deletes)
{
    return puts <= deletes * STORE_SHRINK_BYTES && left_of(room) >= reserve_of(room) / 4;
}

/* Without writes nothing moves in a store, and rows that were deleted would keep their room for
 * ever. But tidying up writes first, and a store whose files cannot be written is lost to its
 * process: it waits until there is room for that. */
static bool
tidy_is_due(struct store_room *room, bool *flush)
{
    uint64_t now_us = monotonic_us();
    if (!room->full || left_of(room) < room->needed_bytes || now_us - room->tidied_us < TIDY_US)
        return false;
    *flush = room->deleted > 0;
    if (*flush)
        room->tidy_left = TIDY_STEPS;
    if (room->tidy_left == 0)
        return false;
    room->tidy_left--;
    room->deleted = 0;
    room->tidied_us = now_us;
    return true;
}

static void
leave(struct store *store)
{
    bool flush;
    bool tidies = tidy_is_due(&store->room, &flush);
    pthread_mutex_unlock(&store->room.lock);
    if (tidies)
        store->driver->tidy(store, flush);
}

enum status
store_room_admit(struct store *store, const struct store_batch *batch, struct error *error)
{
    struct store_room *room = &store->room;
    enum status status = STATUS_OK;
    pthread_mutex_lock(&room->lock);
    uint64_t deletes;
    uint64_t puts = count_puts(batch, &deletes);
    ask(store);
    if (room->guarded && room->known && puts > 0 && !has_room(room, puts) &&
        !only_shrinks(room, puts, deletes)) {
        say_full(room, error);
        status = STATUS_STORE_FAILED;
    } else {
        room->written += puts;
        room->deleted += deletes;
    }
    leave(store);
    return status;
}

void
store_set_reserve(struct store *store, uint64_t bytes)
{
    pthread_mutex_lock(&store->room.lock);
    store->room.guarded = true;
    store->room.wanted = bytes;
    pthread_mutex_unlock(&store->room.lock);
}

bool
store_is_full(struct store *store, uint64_t more, struct error *error)
{
    struct store_room *room = &store->room;
    bool full = false;
    pthread_mutex_lock(&room->lock);
    if (room->guarded) {
        ask(store);
        full = room->known && !has_room(room, more);
        if (full)
            say_full(room, error);
    }
    leave(store);
    return full;
}

void
store_pretend_room(struct store *store, uint64_t free_bytes, uint64_t total_bytes)
{
    pthread_mutex_lock(&store->room.lock);
    store->driver->pretend_room(store, free_bytes, total_bytes);
    store->room.known = false; /* so that it is asked */
    pthread_mutex_unlock(&store->room.lock);
}
