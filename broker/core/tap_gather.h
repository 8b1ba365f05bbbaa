/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/tap_gather.h - sightings in, chunks of packed records out: filters, redacts, packs.
 *
 * A tap has TAP_CHUNKS chunks, and takes so many records as it was allowed to. When no chunk is
 * free (its reader does not keep up), or it has taken as many as it may, records are dropped and
 * counted, and the next chunk says how many. One thread; no I/O. */
#ifndef SOS_BROKER_CORE_TAP_GATHER_H
#define SOS_BROKER_CORE_TAP_GATHER_H

#include "broker/core/tap_record.h"

enum { TAP_CHUNKS = 8 };

/* Packed records of one tap; travels to the core and back. */
struct tap_chunk {
    struct tap_chunk *next; /* of who holds it */
    uint64_t tap;
    uint64_t dropped; /* records before these */
    uint32_t count;
    struct buffer records; /* maps, one after the other */
};

/* A tap that begins: its number, never used twice, and a slot that none runs in. */
struct tap_opening {
    struct tap_opening *next; /* of who holds it */
    uint64_t tap;
    uint64_t from; /* sightings with a lower number are not its business */
    unsigned slot;
    bool payload;
    struct tap_filter *filter; /* owned */
};
void tap_opening_destroy(struct tap_opening **opening_p);

/* Takes the chunk over; it comes back by tap_gather_return(). */
typedef void tap_emit_fn(void *context, struct tap_chunk **chunk_p);

struct tap_gather;

/* secrets outlives it. NULL when out of memory. */
struct tap_gather *tap_gather_new(const struct tap_secrets *secrets, tap_emit_fn *emit,
                                  void *context);
void tap_gather_destroy(struct tap_gather **gather_p);

/* Takes *opening_p over. What still runs in the slot ends. */
void tap_gather_open(struct tap_gather *gather, struct tap_opening **opening_p);
void tap_gather_close(struct tap_gather *gather, uint64_t tap);
void tap_gather_take(struct tap_gather *gather, const struct tap_sighting *sighting);
/* From now on each tap takes so many records until this is said again. At first there is no limit.
 */
void tap_gather_allow(struct tap_gather *gather, uint32_t records);
/* Those that would take nothing now, as bits of slots. */
uint32_t tap_gather_full(const struct tap_gather *gather);
/* Of these, those that will once they are allowed more. */
uint32_t tap_gather_spent(const struct tap_gather *gather);
/* So many records were not handed over because the tap in this slot was full. */
void tap_gather_missed(struct tap_gather *gather, unsigned slot, uint64_t count);
/* Nothing more comes for now: what was gathered leaves. */
void tap_gather_flush(struct tap_gather *gather);
/* A chunk was sent, or its tap is gone. */
void tap_gather_return(struct tap_gather *gather, struct tap_chunk **chunk_p);

void tap_chunk_destroy(struct tap_chunk **chunk_p);

#endif
