/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/tap_gather.h"

#include <stdlib.h>

struct worker {
    struct tap_opening *tap; /* NULL: free */
    struct tap_chunk *chunk; /* under way; NULL when none is free */
    struct tap_chunk *free_chunks;
    size_t chunk_count; /* made so far */
    uint32_t taken;     /* records, since some were allowed */
    uint64_t dropped;
};

struct tap_gather {
    const struct tap_secrets *secrets;
    tap_emit_fn *emit;
    void *context;
    struct worker workers[TAPS_MAX];
    uint32_t allowed;
    struct buffer record;
};

void
tap_opening_destroy(struct tap_opening **opening_p)
{
    struct tap_opening *opening = *opening_p;
    if (!opening)
        return;
    tap_filter_destroy(&opening->filter);
    free(opening);
    *opening_p = NULL;
}

void
tap_chunk_destroy(struct tap_chunk **chunk_p)
{
    struct tap_chunk *chunk = *chunk_p;
    if (!chunk)
        return;
    buffer_clear(&chunk->records);
    free(chunk);
    *chunk_p = NULL;
}

struct tap_gather *
tap_gather_new(const struct tap_secrets *secrets, tap_emit_fn *emit, void *context)
{
    struct tap_gather *gather = calloc(1, sizeof *gather);
    if (!gather)
        return NULL;
    gather->secrets = secrets;
    gather->emit = emit;
    gather->context = context;
    gather->allowed = UINT32_MAX;
    buffer_init(&gather->record);
    return gather;
}

static void
end_worker(struct worker *worker)
{
    tap_opening_destroy(&worker->tap);
    tap_chunk_destroy(&worker->chunk);
    while (worker->free_chunks) {
        struct tap_chunk *chunk = worker->free_chunks;
        worker->free_chunks = chunk->next;
        tap_chunk_destroy(&chunk);
    }
    *worker = (struct worker){.tap = NULL};
}

void
tap_gather_destroy(struct tap_gather **gather_p)
{
    struct tap_gather *gather = *gather_p;
    if (!gather)
        return;
    for (size_t i = 0; i < TAPS_MAX; i++)
        end_worker(&gather->workers[i]);
    buffer_clear(&gather->record);
    free(gather);
    *gather_p = NULL;
}

void
tap_gather_open(struct tap_gather *gather, struct tap_opening **opening_p)
{
    struct worker *worker = &gather->workers[(*opening_p)->slot % TAPS_MAX];
    end_worker(worker);
    worker->tap = *opening_p;
    *opening_p = NULL;
}

void
tap_gather_close(struct tap_gather *gather, uint64_t tap)
{
    for (size_t i = 0; i < TAPS_MAX; i++)
        if (gather->workers[i].tap && gather->workers[i].tap->tap == tap)
            end_worker(&gather->workers[i]);
}

/* ---- room */

static bool
has_chunk(const struct worker *worker)
{
    return worker->chunk || worker->free_chunks || worker->chunk_count < TAP_CHUNKS;
}

static bool
is_spent(const struct tap_gather *gather, const struct worker *worker)
{
    return worker->taken >= gather->allowed;
}

void
tap_gather_allow(struct tap_gather *gather, uint32_t records)
{
    gather->allowed = records;
    for (size_t i = 0; i < TAPS_MAX; i++)
        gather->workers[i].taken = 0;
}

uint32_t
tap_gather_full(const struct tap_gather *gather)
{
    uint32_t slots = tap_gather_spent(gather);
    for (size_t i = 0; i < TAPS_MAX; i++)
        if (gather->workers[i].tap && !has_chunk(&gather->workers[i]))
            slots |= UINT32_C(1) << i;
    return slots;
}

uint32_t
tap_gather_spent(const struct tap_gather *gather)
{
    uint32_t slots = 0;
    for (size_t i = 0; i < TAPS_MAX; i++)
        if (gather->workers[i].tap && is_spent(gather, &gather->workers[i]))
            slots |= UINT32_C(1) << i;
    return slots;
}

void
tap_gather_missed(struct tap_gather *gather, unsigned slot, uint64_t count)
{
    if (gather->workers[slot % TAPS_MAX].tap)
        gather->workers[slot % TAPS_MAX].dropped += count;
}

/* ---- records */

/* A chunk to fill; NULL when all are on their way. */
static struct tap_chunk *
chunk_of(struct worker *worker)
{
    if (worker->chunk)
        return worker->chunk;
    struct tap_chunk *chunk = worker->free_chunks;
    if (chunk) {
        worker->free_chunks = chunk->next;
        chunk->next = NULL;
    } else if (worker->chunk_count < TAP_CHUNKS) {
        chunk = calloc(1, sizeof *chunk);
        if (!chunk)
            return NULL;
        buffer_init(&chunk->records);
        chunk->tap = worker->tap->tap;
        worker->chunk_count++;
    }
    worker->chunk = chunk;
    return chunk;
}

static void
begin_chunk(struct worker *worker, struct tap_chunk *chunk)
{
    chunk->dropped = worker->dropped;
    worker->dropped = 0;
}

static void
emit_chunk(struct tap_gather *gather, struct worker *worker)
{
    struct tap_chunk *chunk = worker->chunk;
    worker->chunk = NULL;
    gather->emit(gather->context, &chunk);
}

static void
add_record(struct tap_gather *gather, struct worker *worker, struct bytes record)
{
    struct tap_chunk *chunk = chunk_of(worker);
    if (chunk && chunk->count > 0 && chunk->records.size + record.size > TAP_CHUNK_SIZE) {
        emit_chunk(gather, worker);
        chunk = chunk_of(worker);
    }
    if (!chunk) {
        worker->dropped++;
        return;
    }
    if (chunk->count == 0)
        begin_chunk(worker, chunk);
    buffer_append(&chunk->records, record.data, record.size);
    chunk->count++;
    worker->taken++;
    if (chunk->records.failed) { /* half a record may stand there */
        worker->dropped += chunk->count + chunk->dropped;
        chunk->count = 0;
        buffer_reset(&chunk->records);
    }
}

void
tap_gather_take(struct tap_gather *gather, const struct tap_sighting *sighting)
{
    struct tap_header header = tap_sighting_header(sighting);
    enum { NOT_PACKED, HEADER_PACKED, PAYLOAD_PACKED } packed = NOT_PACKED;
    for (size_t i = 0; i < TAPS_MAX; i++) {
        struct worker *worker = &gather->workers[i];
        if (!(sighting->slots >> i & 1) || !worker->tap || sighting->number < worker->tap->from ||
            !tap_filter_matches(worker->tap->filter, &header))
            continue;
        if (is_spent(gather, worker) || !has_chunk(worker)) {
            worker->dropped++;
            continue;
        }
        if (packed != (worker->tap->payload ? PAYLOAD_PACKED : HEADER_PACKED)) {
            buffer_reset(&gather->record);
            tap_record_pack(sighting, worker->tap->payload, gather->secrets, &gather->record);
            packed = worker->tap->payload ? PAYLOAD_PACKED : HEADER_PACKED;
        }
        if (gather->record.failed)
            worker->dropped++;
        else
            add_record(gather, worker, buffer_bytes(&gather->record));
    }
}

void
tap_gather_flush(struct tap_gather *gather)
{
    for (size_t i = 0; i < TAPS_MAX; i++) {
        struct worker *worker = &gather->workers[i];
        if (!worker->tap)
            continue;
        if (worker->chunk && worker->chunk->count > 0) {
            emit_chunk(gather, worker);
        } else if (worker->dropped > 0 && chunk_of(worker)) {
            begin_chunk(worker, worker->chunk);
            emit_chunk(gather, worker);
        }
    }
}

void
tap_gather_return(struct tap_gather *gather, struct tap_chunk **chunk_p)
{
    struct tap_chunk *chunk = *chunk_p;
    *chunk_p = NULL;
    for (size_t i = 0; i < TAPS_MAX; i++) {
        struct worker *worker = &gather->workers[i];
        if (worker->tap && worker->tap->tap == chunk->tap) {
            chunk->count = 0;
            chunk->dropped = 0;
            buffer_reset(&chunk->records);
            chunk->next = worker->free_chunks;
            worker->free_chunks = chunk;
            return;
        }
    }
    tap_chunk_destroy(&chunk);
}
