/* SPDX-License-Identifier: Apache-2.0 */
/* broker/net/tap_thread.h - the taps' thread: takes sightings from the ring, filters and packs them
 * (broker/core/tap_gather.h), and hands chunks back.
 *
 * All functions are the routing thread's; none waits. While nothing is tapped the thread sleeps. */
#ifndef SOS_BROKER_NET_TAP_THREAD_H
#define SOS_BROKER_NET_TAP_THREAD_H

#include "broker/core/tap_gather.h"

struct tap_thread;

enum { TAP_RING_SIZE = 4 * 1024 * 1024 };

/* ring_size: a power of two. */
enum status tap_thread_start(struct tap_thread **thread_p, size_t ring_size, struct error *error);
/* What is on its way is lost. */
void tap_thread_stop(struct tap_thread **thread_p);

/* Takes *opening_p over; sightings from now on are its business. */
void tap_thread_open(struct tap_thread *thread, struct tap_opening **opening_p);
void tap_thread_close(struct tap_thread *thread, uint64_t tap);
/* False: the ring is full. The thread hears of it at tap_thread_wake(). */
bool tap_thread_put(struct tap_thread *thread, const struct tap_sighting *sighting);
void tap_thread_return(struct tap_thread *thread, struct tap_chunk **chunk_p);
/* At the end of a turn in which something was put or returned; cheap when nothing was. */
void tap_thread_wake(struct tap_thread *thread);

/* Readable while chunks wait. */
int tap_thread_fd(const struct tap_thread *thread);
/* All chunks that are ready, in order, linked by next; NULL. The caller owns them. */
struct tap_chunk *tap_thread_chunks(struct tap_thread *thread);

#endif
