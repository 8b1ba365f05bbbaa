/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/session/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#include "kernel/assert.h"
#include "kernel/contract.h"

enum { SLOT_BITS = 20, SLOTS_MAX = 1 << SLOT_BITS, PROBE_TTL_MS = 5000 };

struct exchange {
    struct exchanges *owner;
    uint32_t slot;
    uint64_t generation;
    bool active;
    uint32_t taken; /* chunks whose credit is still with us */
    struct uuid id;
    const struct exchange_sink *sink;
    void *context;
    struct exchange *next_free;
};

struct exchanges {
    struct bus bus;
    struct exchange **slots;
    uint32_t slot_count;
    uint32_t slot_capacity;
    struct exchange *free_slots;
    size_t active;
    struct buffer metadata;
};

struct exchanges *
exchanges_new(const struct bus *bus)
{
    struct exchanges *exchanges = calloc(1, sizeof *exchanges);
    if (exchanges)
        exchanges->bus = *bus;
    return exchanges;
}

void
exchanges_destroy(struct exchanges **exchanges_p)
{
    struct exchanges *exchanges = *exchanges_p;
    if (!exchanges)
        return;
    for (uint32_t i = 0; i < exchanges->slot_count; i++) {
        struct exchange *exchange = exchanges->slots[i];
        if (exchange->active)
            exchanges->bus.cancel(exchanges->bus.context, &exchange->id);
        free(exchange);
    }
    free(exchanges->slots);
    buffer_clear(&exchanges->metadata);
    free(exchanges);
    *exchanges_p = NULL;
}

/* ---- slots */

static struct exchange *
take_slot(struct exchanges *exchanges)
{
    struct exchange *exchange = exchanges->free_slots;
    if (exchange) {
        exchanges->free_slots = exchange->next_free;
        return exchange;
    }
    if (exchanges->slot_count == SLOTS_MAX)
        return NULL;
    if (exchanges->slot_count == exchanges->slot_capacity) {
        uint32_t capacity = exchanges->slot_capacity ? exchanges->slot_capacity * 2 : 64;
        struct exchange **slots = realloc(exchanges->slots, capacity * sizeof *slots);
        if (!slots)
            return NULL;
        exchanges->slots = slots;
        exchanges->slot_capacity = capacity;
    }
    exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    exchange->owner = exchanges;
    exchange->slot = exchanges->slot_count;
    exchanges->slots[exchanges->slot_count++] = exchange;
    return exchange;
}

static void
give_slot(struct exchange *exchange)
{
    struct exchanges *exchanges = exchange->owner;
    if (exchange->active)
        exchanges->active--;
    exchange->active = false;
    exchange->next_free = exchanges->free_slots;
    exchanges->free_slots = exchange;
}

static struct exchange *
find_slot(const struct exchanges *exchanges, exchange_handle handle)
{
    uint32_t slot = (uint32_t)(handle & (SLOTS_MAX - 1));
    if (handle == 0 || slot >= exchanges->slot_count)
        return NULL;
    struct exchange *exchange = exchanges->slots[slot];
    return exchange->active && exchange->generation == handle >> SLOT_BITS ? exchange : NULL;
}

/* ---- what the bus says */

static void
refuse_with(struct exchange *exchange, enum status status, const char *message)
{
    struct error error = ERROR_INIT;
    struct buffer payload;
    buffer_init(&payload);
    error_set(&error, "%s", message);
    error_pack(&payload, status, &error);
    exchange->sink->refuse(exchange->context, status, buffer_bytes(&payload));
    buffer_clear(&payload);
}

/* The sink may begin another exchange, or abandon this one: its slot is taken until the sink
 * returns. */
static void
stop(struct exchange *exchange)
{
    exchange->active = false;
    exchange->owner->active--;
}

static void
on_reply(void *context, const struct peer_answer *answer)
{
    struct exchange *exchange = context;
    if (!exchange->active)
        return;
    stop(exchange);
    if (answer->status == STATUS_OK)
        exchange->sink->reply(exchange->context, answer->payload);
    else
        exchange->sink->refuse(exchange->context, answer->status, answer->payload);
    give_slot(exchange);
}

static void
on_chunk(void *context, const struct message *chunk)
{
    struct exchange *exchange = context;
    if (!exchange->active)
        return;
    exchange->taken++;
    enum status status = exchange->sink->chunk(exchange->context, chunk->payload);
    if (status == STATUS_OK)
        return;
    exchange->owner->bus.cancel(exchange->owner->bus.context, &exchange->id);
    stop(exchange);
    refuse_with(exchange, status,
                status == STATUS_BUSY ? "the client is too slow for what is left of memory"
                                      : "the service's answer cannot be read");
    give_slot(exchange);
}

/* ---- what HTTP says */

static struct bytes
pack_metadata(struct exchanges *exchanges, struct text idempotency_key)
{
    if (idempotency_key.size == 0)
        return (struct bytes){0};
    buffer_reset(&exchanges->metadata);
    pack_map(&exchanges->metadata, 1);
    pack_pair_text(&exchanges->metadata, "idempotency_key", idempotency_key);
    return buffer_bytes(&exchanges->metadata);
}

static uint32_t
message_flags(const struct exchange_request *request)
{
    uint32_t flags = 0;
    if (request->stream)
        flags |= MESSAGE_STREAM;
    if (request->flags & OPERATION_WRITE)
        flags |= MESSAGE_WRITE;
    if (request->flags & OPERATION_IDEMPOTENT)
        flags |= MESSAGE_IDEMPOTENT;
    return flags;
}

enum status
exchange_begin(struct exchanges *exchanges, const struct exchange_request *request,
               exchange_handle *handle, struct error *error)
{
    char target[MESSAGE_NAME_MAX + 1];
    int target_size = snprintf(target, sizeof target, "service:%s", request->service);
    ASSERT(target_size > 0 && (size_t)target_size < sizeof target);
    struct exchange *exchange = take_slot(exchanges);
    if (!exchange) {
        error_set(error, "too many calls under way");
        return STATUS_BUSY;
    }
    struct peer_request call = {
        .kind = KIND_REQUEST,
        .target = {target, (size_t)target_size},
        .type = text_of(request->type),
        .payload = request->payload,
        .flags = message_flags(request),
        .ttl_ms = request->ttl_ms,
        .trace = request->trace,
        .capability = request->capability,
        .principal = request->principal,
        .metadata = pack_metadata(exchanges, request->idempotency_key),
        .on_reply = on_reply,
        .on_chunk = request->stream ? on_chunk : NULL,
        .context = exchange,
    };
    enum status status = exchanges->metadata.failed ? STATUS_NOMEM : STATUS_OK;
    if (status == STATUS_OK)
        status = exchanges->bus.call(exchanges->bus.context, &call, &exchange->id, error);
    if (status != STATUS_OK) {
        give_slot(exchange);
        return status;
    }
    exchange->generation++;
    exchange->active = true;
    exchange->taken = 0;
    exchange->sink = request->sink;
    exchange->context = request->context;
    exchanges->active++;
    *handle = exchange->generation << SLOT_BITS | exchange->slot;
    return STATUS_OK;
}

enum status
exchange_probe(struct exchanges *exchanges, const char *service, const struct trace *trace,
               const struct exchange_sink *sink, void *context, exchange_handle *handle)
{
    struct exchange_request request = {
        .service = service,
        .type = "health_check",
        .flags = OPERATION_READ | OPERATION_IDEMPOTENT,
        .ttl_ms = PROBE_TTL_MS,
        .trace = trace,
        .sink = sink,
        .context = context,
    };
    return exchange_begin(exchanges, &request, handle, NULL);
}

void
exchange_abandon(struct exchanges *exchanges, exchange_handle handle)
{
    struct exchange *exchange = find_slot(exchanges, handle);
    if (!exchange)
        return;
    exchanges->bus.cancel(exchanges->bus.context, &exchange->id);
    give_slot(exchange);
}

void
exchange_drained(struct exchanges *exchanges, exchange_handle handle)
{
    struct exchange *exchange = find_slot(exchanges, handle);
    if (!exchange || exchange->taken == 0)
        return;
    uint32_t chunks = exchange->taken;
    exchange->taken = 0;
    exchanges->bus.grant(exchanges->bus.context, &exchange->id, chunks);
}

void
exchanges_end(struct exchanges *exchanges, enum status status, const struct error *error)
{
    struct buffer payload;
    buffer_init(&payload);
    error_pack(&payload, status, error);
    for (uint32_t i = 0; i < exchanges->slot_count; i++) {
        struct exchange *exchange = exchanges->slots[i];
        if (!exchange->active)
            continue;
        exchanges->bus.cancel(exchanges->bus.context, &exchange->id);
        stop(exchange);
        exchange->sink->refuse(exchange->context, status, buffer_bytes(&payload));
        give_slot(exchange);
    }
    buffer_clear(&payload);
}

size_t
exchanges_count(const struct exchanges *exchanges)
{
    return exchanges->active;
}
