/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/tap_thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "broker/net/tap_ring.h"
#include "kernel/contract.h"

enum {
    /* So long sightings gather before the thread works on them: a wake-up and a chunk for many
     * records instead of for each. No eye sees the difference. */
    GATHER_MS = 10,
    /* Where every core is busy the tap gives way and drops, rather than take time from who routes
     * and from who is routed for. */
    NICENESS = 10,
    /* Records that one tap takes of that time: 50,000 a second, far more than anybody reads. Each
     * costs time of the cores that others need, of its reader as well. */
    TAKEN_MAX = 500,
    RELEASE_EVERY = 64, /* sightings, until their room in the ring is given back */
    URGENT_SHARE = 4    /* with a quarter of the ring in use there is nothing to wait for */
};

/* What the thread is told; one of the three. */
struct order {
    struct order *next;
    struct tap_opening *opening;
    struct tap_chunk *chunk; /* comes back */
    uint64_t closed;
};

struct tap_thread {
    struct tap_ring *ring;
    size_t ring_size;
    struct tap_secrets *secrets;
    struct tap_gather *gather; /* the thread's */
    uint64_t allowed_ms;       /* the thread's: when the taps were last allowed to take more */
    bool put;                  /* the routing thread's: something to wake it for */
    atomic_bool asleep;        /* it has nothing to do and waits to be woken */
    atomic_bool hurried;       /* it was told that the ring fills */
    atomic_uint full;          /* slots of taps that take nothing now: nothing is put for them */
    atomic_ullong missed[TAPS_MAX]; /* sightings that were not put for them */
    int wake_fd;
    int ready_fd;
    pthread_mutex_t mutex; /* of all that follows; held for a few instructions */
    struct order *orders;
    struct order **last_order;
    struct tap_chunk *ready;
    struct tap_chunk **last_ready;
    bool stopping;
    pthread_t thread;
    bool running;
};

/* ---- the thread */

static void
emit(void *context, struct tap_chunk **chunk_p)
{
    struct tap_thread *thread = context;
    struct tap_chunk *chunk = *chunk_p;
    *chunk_p = NULL;
    chunk->next = NULL;
    pthread_mutex_lock(&thread->mutex);
    bool first = !thread->ready;
    *thread->last_ready = chunk;
    thread->last_ready = &chunk->next;
    pthread_mutex_unlock(&thread->mutex);
    if (first)
        eventfd_write(thread->ready_fd, 1);
}

static void
follow(struct tap_thread *thread, struct order *order)
{
    if (order->opening)
        tap_gather_open(thread->gather, &order->opening);
    else if (order->chunk)
        tap_gather_return(thread->gather, &order->chunk);
    else
        tap_gather_close(thread->gather, order->closed);
}

/* False: stop. */
static bool
follow_orders(struct tap_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    struct order *order = thread->orders;
    bool goes_on = !thread->stopping;
    thread->orders = NULL;
    thread->last_order = &thread->orders;
    pthread_mutex_unlock(&thread->mutex);
    while (order) {
        struct order *next = order->next;
        follow(thread, order);
        free(order);
        order = next;
    }
    return goes_on;
}

static bool
has_orders(struct tap_thread *thread)
{
    pthread_mutex_lock(&thread->mutex);
    bool has = thread->orders != NULL;
    pthread_mutex_unlock(&thread->mutex);
    return has;
}

static void
work_off(struct tap_thread *thread)
{
    struct tap_sighting sighting;
    for (int count = 1; tap_ring_take(thread->ring, &sighting); count++) {
        tap_gather_take(thread->gather, &sighting);
        if (count % RELEASE_EVERY == 0)
            tap_ring_release(thread->ring);
    }
    tap_ring_release(thread->ring);
    tap_gather_flush(thread->gather);
}

/* What the taps were spared counts as dropped. */
static void
count_missed(struct tap_thread *thread)
{
    for (unsigned slot = 0; slot < TAPS_MAX; slot++)
        tap_gather_missed(thread->gather, slot, atomic_exchange(&thread->missed[slot], 0));
}

static void
await(struct tap_thread *thread, int timeout_ms)
{
    struct pollfd item = {.fd = thread->wake_fd, .events = POLLIN};
    eventfd_t count;
    if (poll(&item, 1, timeout_ms) > 0)
        eventfd_read(thread->wake_fd, &count);
}

/* When GATHER_MS have passed: the thread may have been woken before. */
static void
allow_more(struct tap_thread *thread)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (now_ms - thread->allowed_ms < GATHER_MS)
        return;
    thread->allowed_ms = now_ms;
    tap_gather_allow(thread->gather, TAKEN_MAX);
}

static void *
run(void *argument)
{
    struct tap_thread *thread = argument;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); /* of this thread alone, on Linux */
    bool spent = false;
    for (;;) {
        /* What was put before an order was given is seen before the order is followed. */
        bool any = tap_ring_look(thread->ring);
        if (!follow_orders(thread))
            return NULL;
        count_missed(thread);
        work_off(thread);
        atomic_store(&thread->full, tap_gather_full(thread->gather));
        atomic_store(&thread->hurried, false);
        /* Once more after a tap was let take again: to count what it missed until it was. */
        bool was_spent = spent;
        spent = tap_gather_spent(thread->gather) != 0;
        if (any || spent || was_spent) {
            await(thread, GATHER_MS);
            allow_more(thread);
            continue;
        }
        /* Either this exchange comes after the routing thread's, and then sees what was put and
         * ordered before that, or before it, and then it wakes us. */
        atomic_exchange(&thread->asleep, true);
        if (!tap_ring_look(thread->ring) && !has_orders(thread))
            await(thread, -1);
        atomic_exchange(&thread->asleep, false);
    }
}

/* ---- the routing thread */

static void
give_order(struct tap_thread *thread, struct order order)
{
    struct order *copy = malloc(sizeof *copy);
    if (!copy) { /* a tap without end or a lost chunk: no harm but memory that is short anyway */
        tap_opening_destroy(&order.opening);
        tap_chunk_destroy(&order.chunk);
        return;
    }
    *copy = order;
    copy->next = NULL;
    pthread_mutex_lock(&thread->mutex);
    *thread->last_order = copy;
    thread->last_order = &copy->next;
    pthread_mutex_unlock(&thread->mutex);
    thread->put = true;
}

void
tap_thread_open(struct tap_thread *thread, struct tap_opening **opening_p)
{
    unsigned slot = (*opening_p)->slot % TAPS_MAX;
    (*opening_p)->from = tap_ring_next(thread->ring);
    atomic_store(&thread->missed[slot], 0);
    atomic_fetch_and(&thread->full, ~(1u << slot));
    give_order(thread, (struct order){.opening = *opening_p});
    *opening_p = NULL;
}

void
tap_thread_close(struct tap_thread *thread, uint64_t tap)
{
    give_order(thread, (struct order){.closed = tap});
}

void
tap_thread_return(struct tap_thread *thread, struct tap_chunk **chunk_p)
{
    give_order(thread, (struct order){.chunk = *chunk_p});
    *chunk_p = NULL;
}

bool
tap_thread_put(struct tap_thread *thread, const struct tap_sighting *sighting)
{
    uint32_t full = sighting->slots & atomic_load_explicit(&thread->full, memory_order_relaxed);
    for (unsigned slot = 0; full >> slot; slot++)
        if (full >> slot & 1)
            atomic_fetch_add_explicit(&thread->missed[slot], 1, memory_order_relaxed);
    if (full == sighting->slots)
        return true;
    thread->put = true;
    struct tap_sighting wanted = *sighting;
    wanted.slots &= ~full;
    return tap_ring_put(thread->ring, &wanted);
}

void
tap_thread_wake(struct tap_thread *thread)
{
    if (!thread->put)
        return;
    thread->put = false;
    bool urgent = tap_ring_used(thread->ring) > thread->ring_size / URGENT_SHARE &&
                  !atomic_exchange(&thread->hurried, true);
    if (atomic_exchange(&thread->asleep, false) || urgent)
        eventfd_write(thread->wake_fd, 1);
}

int
tap_thread_fd(const struct tap_thread *thread)
{
    return thread->ready_fd;
}

struct tap_chunk *
tap_thread_chunks(struct tap_thread *thread)
{
    eventfd_t count;
    eventfd_read(thread->ready_fd, &count);
    pthread_mutex_lock(&thread->mutex);
    struct tap_chunk *chunks = thread->ready;
    thread->ready = NULL;
    thread->last_ready = &thread->ready;
    pthread_mutex_unlock(&thread->mutex);
    return chunks;
}

/* ---- its life */

enum status
tap_thread_start(struct tap_thread **thread_p, size_t ring_size, struct error *error)
{
    struct tap_thread *thread = calloc(1, sizeof *thread);
    if (!thread)
        return STATUS_NOMEM;
    thread->last_order = &thread->orders;
    thread->last_ready = &thread->ready;
    atomic_init(&thread->asleep, false);
    atomic_init(&thread->hurried, false);
    atomic_init(&thread->full, 0);
    for (size_t i = 0; i < TAPS_MAX; i++)
        atomic_init(&thread->missed[i], 0);
    pthread_mutex_init(&thread->mutex, NULL);
    thread->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    thread->ready_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    thread->ring = tap_ring_new(ring_size);
    thread->ring_size = ring_size;
    thread->secrets = tap_secrets_new(contracts);
    if (thread->secrets)
        thread->gather = tap_gather_new(thread->secrets, emit, thread);
    enum status status = STATUS_OK;
    if (thread->wake_fd < 0 || thread->ready_fd < 0) {
        error_set(error, "make the tap's descriptors: %s", strerror(errno));
        status = STATUS_INTERNAL;
    } else if (!thread->ring || !thread->gather) {
        status = STATUS_NOMEM;
    } else {
        int failed = pthread_create(&thread->thread, NULL, run, thread);
        thread->running = failed == 0;
        if (failed) {
            error_set(error, "start the tap's thread: %s", strerror(failed));
            status = STATUS_INTERNAL;
        }
    }
    if (status != STATUS_OK) {
        tap_thread_stop(&thread);
        return status;
    }
    *thread_p = thread;
    return STATUS_OK;
}

void
tap_thread_stop(struct tap_thread **thread_p)
{
    struct tap_thread *thread = *thread_p;
    if (!thread)
        return;
    if (thread->running) {
        pthread_mutex_lock(&thread->mutex);
        thread->stopping = true;
        pthread_mutex_unlock(&thread->mutex);
        eventfd_write(thread->wake_fd, 1);
        pthread_join(thread->thread, NULL);
    }
    if (thread->gather)
        follow_orders(thread);
    for (struct tap_chunk *chunk = thread->ready, *next; chunk; chunk = next) {
        next = chunk->next;
        tap_chunk_destroy(&chunk);
    }
    tap_gather_destroy(&thread->gather);
    tap_secrets_destroy(&thread->secrets);
    tap_ring_destroy(&thread->ring);
    if (thread->wake_fd >= 0)
        close(thread->wake_fd);
    if (thread->ready_fd >= 0)
        close(thread->ready_fd);
    pthread_mutex_destroy(&thread->mutex);
    free(thread);
    *thread_p = NULL;
}
