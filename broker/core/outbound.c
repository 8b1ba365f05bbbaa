/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/outbound.h"

#include <stdlib.h>

#include "broker/core/peers.h"
#include "broker/core/state.h"

enum {
    PARCEL_MIN = 512,       /* a lone record needs little */
    GROWTH = 8,             /* where there is a second, many come */
    SPARES_MAX = 64,        /* kept for the next drain, at most 2 MiB */
    RETRIES_IN_A_TURN = 256 /* many stuck peers must not slow the others: they take turns */
};

void
sending_init(struct sending *sending)
{
    *sending = (struct sending){.retry_us = UINT64_MAX};
    list_init(&sending->dirty);
    list_init(&sending->stuck);
}

void
sending_clear(struct sending *sending)
{
    while (sending->spares) {
        struct parcel *next = sending->spares->next;
        free(sending->spares);
        sending->spares = next;
    }
    sending->spare_count = 0;
}

void
outbound_init(struct outbound *outbound)
{
    *outbound = (struct outbound){.size = 0};
    list_init(&outbound->awaiting);
}

bool
outbound_is_stuck(const struct peer *peer)
{
    return peer->outbound.stuck;
}

void
outbound_watch(struct peer *peer, struct room_watch *watch)
{
    if (!list_is_linked(&watch->link))
        list_append(&peer->outbound.awaiting, &watch->link);
}

/* ---- parcels */

/* A spare one, else one as small as the record allows; NULL without memory. */
static struct parcel *
parcel_new(struct sending *sending, size_t size)
{
    struct parcel *parcel = sending->spares;
    if (parcel && size <= parcel->capacity) {
        sending->spares = parcel->next;
        sending->spare_count--;
    } else {
        size_t capacity = size > PARCEL_MIN ? size : PARCEL_MIN;
        parcel = malloc(sizeof *parcel + capacity);
        if (!parcel)
            return NULL;
        parcel->capacity = capacity;
    }
    parcel->next = NULL;
    parcel->size = 0;
    parcel->records = 0;
    return parcel;
}

static void
parcel_release(struct sending *sending, struct parcel *parcel)
{
    if (parcel->capacity > OUTBOUND_BYTES || sending->spare_count >= SPARES_MAX) {
        free(parcel);
        return;
    }
    parcel->next = sending->spares;
    sending->spares = parcel;
    sending->spare_count++;
}

void
sending_take_back(struct sending *sending, struct parcel **parcel_p)
{
    parcel_release(sending, *parcel_p);
    *parcel_p = NULL;
}

static bool
parcel_is_full(const struct parcel *parcel)
{
    return parcel->records >= OUTBOUND_RECORDS || parcel->size >= OUTBOUND_BYTES;
}

static bool
fits(const struct parcel *parcel, size_t size)
{
    return parcel->records < OUTBOUND_RECORDS && parcel->size + size <= OUTBOUND_BYTES;
}

/* Its last parcel, with room for size bytes; NULL without memory. */
static struct parcel *
room_for(struct sending *sending, struct outbound *outbound, size_t size)
{
    struct parcel *last = outbound->last ? *outbound->last : NULL;
    if (!last || !fits(last, size)) {
        struct parcel *parcel = parcel_new(sending, size);
        if (!parcel)
            return NULL;
        outbound->last = last ? &last->next : &outbound->first;
        *outbound->last = parcel;
        return parcel;
    }
    if (last->size + size <= last->capacity)
        return last;

    size_t capacity = last->capacity * GROWTH;
    if (capacity < last->size + size || capacity > OUTBOUND_BYTES)
        capacity = OUTBOUND_BYTES;
    struct parcel *grown = realloc(last, sizeof *last + capacity);
    if (!grown)
        return NULL;
    grown->capacity = capacity;
    *outbound->last = grown;
    return grown;
}

/* ---- sending */

static void
release_all(struct core *core, struct outbound *outbound)
{
    while (outbound->first) {
        struct parcel *next = outbound->first->next;
        parcel_release(&core->sending, outbound->first);
        outbound->first = next;
    }
    core->sending.size -= outbound->size;
    outbound->size = 0;
    outbound->last = NULL;
    outbound->stuck = false;
    list_remove(&outbound->link);
}

void
outbound_drop(struct core *core, struct peer *peer)
{
    struct outbound *outbound = &peer->outbound;
    release_all(core, outbound);
    while (!list_is_empty(&outbound->awaiting))
        list_remove(outbound->awaiting.next);
}

static void
make_stuck(struct core *core, struct outbound *outbound)
{
    list_remove(&outbound->link);
    if (list_is_empty(&core->sending.stuck))
        core->sending.retry_us = core->now.monotonic_us + OUTBOUND_RETRY_US;
    list_append(&core->sending.stuck, &outbound->link);
    outbound->stuck = true;
}

static void
count_sent(struct core *core, uint32_t records)
{
    metric_add(core->figures.frames_sent, 1);
    metric_add(core->figures.records_sent, records);
}

static enum core_sent
send_first(struct core *core, struct peer *peer)
{
    struct outbound *outbound = &peer->outbound;
    struct parcel *parcel = outbound->first;
    /* What is given away may be gone when the sink returns. */
    struct parcel *next = parcel->next;
    size_t size = parcel->size;
    uint32_t records = parcel->records;
    bool next_is_last = outbound->last == &parcel->next;
    enum core_sent sent;
    if (core->sink.give && size >= OUTBOUND_GIVE_MIN)
        sent = core->sink.give(core->sink.context, peer->number, &parcel);
    else
        sent =
            core->sink.send(core->sink.context, peer->number, (struct bytes){parcel->data, size});
    if (sent != CORE_SENT)
        return sent;
    if (parcel)
        parcel_release(&core->sending, parcel);
    outbound->first = next;
    if (!next)
        outbound->last = NULL;
    else if (next_is_last)
        outbound->last = &outbound->first;
    outbound->size -= size;
    core->sending.size -= size;
    count_sent(core, records);
    return CORE_SENT;
}

/* Frame by frame, until one is not taken. */
static enum core_sent
send_waiting(struct core *core, struct peer *peer)
{
    struct outbound *outbound = &peer->outbound;
    while (outbound->first) {
        enum core_sent sent = send_first(core, peer);
        if (sent == CORE_FULL) {
            make_stuck(core, outbound);
            return sent;
        }
        if (sent == CORE_GONE) {
            for (const struct parcel *lost = outbound->first; lost; lost = lost->next)
                for (uint32_t i = 0; i < lost->records; i++)
                    figures_dropped(&core->figures, "peer_gone");
            release_all(core, outbound);
            peer_doom(core, peer, NULL);
            return sent;
        }
    }
    release_all(core, outbound);
    return CORE_SENT;
}

void
outbound_push(struct core *core, struct peer *peer)
{
    if (!peer->outbound.stuck)
        send_waiting(core, peer);
}

/* In order: only when nothing waits. The bytes go as they came. */
static enum core_sent
send_alone(struct core *core, struct peer *peer, struct bytes record)
{
    enum core_sent sent = core->sink.send(core->sink.context, peer->number, record);
    if (sent == CORE_SENT)
        count_sent(core, 1);
    else if (sent == CORE_GONE)
        peer_doom(core, peer, NULL);
    return sent;
}

/* A stuck peer may hold less when many hold a lot. */
static bool
is_over_limit(const struct core *core, const struct outbound *outbound, size_t size)
{
    size_t limit = outbound->stuck && core->sending.size > OUTBOUND_ALL_MAX
                       ? (size_t)OUTBOUND_SHARE
                       : (size_t)OUTBOUND_PEER_MAX;
    return outbound->size > 0 && outbound->size + size > limit;
}

enum core_sent
outbound_add(struct core *core, struct peer *peer, struct bytes record)
{
    struct outbound *outbound = &peer->outbound;
    if (is_over_limit(core, outbound, record.size))
        return CORE_FULL;
    if (outbound->last && !outbound->stuck && !fits(*outbound->last, record.size) &&
        send_waiting(core, peer) == CORE_GONE)
        return CORE_GONE;
    if (record.size >= OUTBOUND_BYTES && !outbound->first) {
        enum core_sent sent = send_alone(core, peer, record);
        if (sent != CORE_FULL)
            return sent;
        make_stuck(core, outbound);
    }

    struct parcel *parcel = room_for(&core->sending, outbound, record.size);
    if (!parcel) {
        if (!outbound->stuck)
            make_stuck(core, outbound); /* who awaits room hears of it at the next flush */
        return CORE_FULL;
    }
    memcpy(parcel->data + parcel->size, record.data, record.size);
    parcel->size += record.size;
    parcel->records++;
    outbound->size += record.size;
    core->sending.size += record.size;
    core->sending.added += record.size;
    if (!list_is_linked(&outbound->link))
        list_append(&core->sending.dirty, &outbound->link);
    if (parcel_is_full(parcel) && !outbound->stuck && send_waiting(core, peer) == CORE_GONE)
        return CORE_GONE;
    return CORE_SENT;
}

static void
tell_of_room(struct core *core, struct peer *peer)
{
    struct list_node watches;
    list_init(&watches);
    while (!list_is_empty(&peer->outbound.awaiting)) {
        struct list_node *node = peer->outbound.awaiting.next;
        list_remove(node);
        list_append(&watches, node);
    }
    while (!list_is_empty(&watches)) {
        struct room_watch *watch = CONTAINER_OF(watches.next, struct room_watch, link);
        list_remove(&watch->link);
        watch->ready(core, watch);
    }
}

static void
retry(struct core *core)
{
    struct sending *sending = &core->sending;
    if (list_is_empty(&sending->stuck) || core->now.monotonic_us < sending->retry_us)
        return;
    sending->retry_us = core->now.monotonic_us + OUTBOUND_RETRY_US;
    struct list_node tried;
    list_init(&tried);
    for (int i = 0; i < RETRIES_IN_A_TURN && !list_is_empty(&sending->stuck); i++) {
        struct list_node *node = sending->stuck.next;
        list_remove(node);
        list_append(&tried, node);
    }
    while (!list_is_empty(&tried)) {
        struct peer *peer = CONTAINER_OF(tried.next, struct peer, outbound.link);
        /* To the end of the line when it is stuck still. */
        if (send_waiting(core, peer) == CORE_SENT)
            tell_of_room(core, peer);
    }
}

void
outbound_flush(struct core *core)
{
    core->sending.added = 0;
    retry(core);
    while (!list_is_empty(&core->sending.dirty)) {
        struct list_node *first = core->sending.dirty.next;
        send_waiting(core, CONTAINER_OF(first, struct peer, outbound.link));
    }
}

uint64_t
outbound_next_us(const struct core *core)
{
    return list_is_empty(&core->sending.stuck) ? UINT64_MAX : core->sending.retry_us;
}
