/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/tap_ring.h - sightings from the routing thread to the tap's: bounded, without locks.
 *
 * A ring of bytes with one producer and one consumer. An entry is the struct and the bytes of its
 * texts behind it, in one piece; what does not fit before the end begins anew at the start. When
 * it is full the sighting is not taken: the producer never waits. */
#ifndef SOS_BROKER_NET_TAP_RING_H
#define SOS_BROKER_NET_TAP_RING_H

#include "broker/core/tap_record.h"

struct tap_ring;

/* size: a power of two. NULL when out of memory. */
struct tap_ring *tap_ring_new(size_t size);
void tap_ring_destroy(struct tap_ring **ring_p);

/* ---- the producer's */

/* False: full. Gives the sighting its number. */
bool tap_ring_put(struct tap_ring *ring, const struct tap_sighting *sighting);
/* The number that the next one gets. */
uint64_t tap_ring_next(const struct tap_ring *ring);
/* Bytes in it, as the producer can know. */
size_t tap_ring_used(const struct tap_ring *ring);

/* ---- the consumer's */

/* All that was put up to now may be taken; false: that is nothing. */
bool tap_ring_look(struct tap_ring *ring);
/* The next of those; its views are valid until tap_ring_release(). False: none is left. */
bool tap_ring_take(struct tap_ring *ring, struct tap_sighting *sighting);
/* Gives the room of all that was taken back. */
void tap_ring_release(struct tap_ring *ring);

#endif
