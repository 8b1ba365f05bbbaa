/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/hold.h"

#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/directory.h"
#include "broker/core/peers.h"
#include "broker/core/pending.h"
#include "kernel/assert.h"

enum {
    SHARE = 4, /* of the waiting rooms that one peer may fill: a quarter of what one holds */
    SHARE_COUNT_MIN = 16
};

static void
show_depth(struct service *service)
{
    metric_set(service->depth, (double)service->waiting_count);
}

void
hold_release(struct core *core, struct request *request)
{
    if (request->kept)
        core->kept_bytes -= request->copy_size;
    request->kept = false;
    free(request->copy);
    request->copy = NULL;
    request->copy_size = 0;
    while (request->chunks) {
        struct held_chunk *next = request->chunks->next;
        free(request->chunks);
        request->chunks = next;
    }
    request->chunk_bytes = 0;
}

/* Into the waiting room behind `before`, with its copy. */
static void
enter(struct request *request, struct list_node *before)
{
    struct service *service = request->service;
    list_append(before, &request->link);
    request->waiting = true;
    service->waiting_count++;
    service->waiting_bytes += request->copy_size + request->chunk_bytes;
    request->requester->waiting_count++;
    request->requester->waiting_bytes += request->copy_size;
    show_depth(service);
}

/* Out of the waiting room's figures, with its copy still there. */
void
hold_leave(struct request *request)
{
    ASSERT(request->waiting);
    struct service *service = request->service;
    list_remove(&request->link);
    request->waiting = false;
    service->waiting_count--;
    service->waiting_bytes -= request->copy_size + request->chunk_bytes;
    request->requester->waiting_count--;
    request->requester->waiting_bytes -= request->copy_size;
    show_depth(service);
}

static size_t
at_least(size_t value, size_t least)
{
    return value > least ? value : least;
}

/* No single agent may fill the room for the others. Peers that act for many, such as the gateway,
 * have the whole of it. */
static bool
share_is_used_up(const struct core *core, const struct peer *peer, size_t size)
{
    if (peer->rights & CORE_ACT_FOR_OTHERS)
        return false;
    size_t count = at_least(core->options.held_max / SHARE, SHARE_COUNT_MIN);
    size_t bytes = at_least(core->options.held_bytes_max / SHARE, RECORD_SIZE_MAX);
    return peer->waiting_count >= count || peer->waiting_bytes + size > bytes;
}

static bool
take_copy(struct request *request, struct bytes record)
{
    if (request->copy)
        return true;
    request->copy = malloc(record.size);
    if (!request->copy)
        return false;
    memcpy(request->copy, record.data, record.size);
    request->copy_size = record.size;
    return true;
}

/* An idempotent request may be given to another instance later, for which its record is kept while
 * there is room; without room it is answered when its instance goes. */
static void
keep_or_drop_copy(struct core *core, struct request *request, struct bytes record)
{
    if (request->kept)
        return;
    if (request->idempotent && core->kept_bytes + record.size <= core->options.held_bytes_max &&
        take_copy(request, record)) {
        request->kept = true;
        core->kept_bytes += request->copy_size;
        return;
    }
    free(request->copy);
    request->copy = NULL;
    request->copy_size = 0;
}

/* The receiver measures the ttl from its arrival there: time spent waiting here has to come off. */
static struct bytes
refresh(struct core *core, struct request *request)
{
    struct bytes record = {request->copy, request->copy_size};
    struct message message;
    size_t used;
    if (message_decode(&message, record, &used, NULL) != STATUS_OK)
        return record;
    uint64_t now_us = core->now.monotonic_us;
    uint64_t left_ms = request->deadline_us > now_us ? (request->deadline_us - now_us) / 1000 : 0;
    message.ttl_ms = left_ms ? (uint32_t)left_ms : 1;
    buffer_reset(&core->record);
    if (message_encode(&core->record, &message, NULL) != STATUS_OK)
        return record; /* grown past the limit by the ttl's bytes: goes as it came */
    return buffer_bytes(&core->record);
}

static void
send_held_chunks(struct core *core, struct request *request)
{
    while (request->chunks && request->instance && !request->instance->peer->doomed) {
        struct held_chunk *chunk = request->chunks;
        request->chunks = chunk->next;
        request->chunk_bytes -= chunk->size;
        enum core_sent sent =
            peer_send(core, request->instance->peer, (struct bytes){chunk->bytes, chunk->size});
        free(chunk);
        if (sent == CORE_FULL) {
            struct error error = ERROR_INIT;
            error_set_word(&error, "stream_overrun",
                           "the service does not keep up with the stream");
            request_fail(core, request, STATUS_QUOTA_EXCEEDED, &error);
            return;
        }
        request->chunk_passed = true;
    }
}

/* True when an instance has it. */
static bool
try_send(struct core *core, struct request *request, struct bytes record)
{
    struct instance *instance;
    while ((instance = directory_choose(request->service))) {
        enum core_sent sent = peer_send(core, instance->peer, record);
        if (sent == CORE_SENT) {
            request_assign(request, instance);
            timers_set(&core->timers, &request->timer, request->deadline_us);
            return true;
        }
        if (sent == CORE_FULL)
            directory_block(instance);
    }
    return false;
}

static enum status
wait(struct core *core, struct request *request, struct bytes record, struct error *error)
{
    struct service *service = request->service;
    size_t size = request->copy ? request->copy_size : record.size;
    if (service->waiting_count >= core->options.held_max || size > core->options.held_bytes_max ||
        service->waiting_bytes > core->options.held_bytes_max - size) {
        error_set(error, "%zu requests (%zu bytes) wait for service:%.*s already",
                  service->waiting_count, service->waiting_bytes, TEXT_ARGS(service->name));
        return STATUS_BUSY;
    }
    if (share_is_used_up(core, request->requester, size)) {
        error_set(error, "%zu requests (%zu bytes) of this peer wait already, its share",
                  request->requester->waiting_count, request->requester->waiting_bytes);
        return STATUS_BUSY;
    }
    if (request->kept) {
        core->kept_bytes -= request->copy_size;
        request->kept = false;
    }
    if (!take_copy(request, record))
        return STATUS_NOMEM;
    uint64_t until_us = core->now.monotonic_us + (uint64_t)core->options.hold_ms * 1000;
    timers_set(&core->timers, &request->timer,
               until_us < request->deadline_us ? until_us : request->deadline_us);
    enter(request, &service->waiting);
    return STATUS_OK;
}

enum status
hold_route(struct core *core, struct request *request, struct bytes record, struct error *error)
{
    if (request->copy)
        record = refresh(core, request);
    /* Those that wait already go first. */
    if (request->service->waiting_count == 0 && try_send(core, request, record)) {
        keep_or_drop_copy(core, request, record);
        return STATUS_OK;
    }
    return wait(core, request, record, error);
}

void
hold_dispatch(struct core *core, struct service *service)
{
    while (!list_is_empty(&service->waiting) && directory_choose(service)) {
        struct request *request = CONTAINER_OF(service->waiting.next, struct request, link);
        struct bytes record = refresh(core, request);
        hold_leave(request);
        if (!try_send(core, request, record)) {
            /* Its turn comes again: back to the head, where it was. */
            enter(request, service->waiting.next);
            return;
        }
        keep_or_drop_copy(core, request, (struct bytes){request->copy, request->copy_size});
        send_held_chunks(core, request);
    }
}

enum status
hold_chunk(struct core *core, struct request *request, struct bytes record, struct error *error)
{
    struct service *service = request->service;
    if (service->waiting_bytes + record.size > core->options.held_bytes_max) {
        error_set(error, "%zu bytes wait for service:%.*s already", service->waiting_bytes,
                  TEXT_ARGS(service->name));
        return STATUS_BUSY;
    }
    struct held_chunk *chunk = malloc(sizeof *chunk + record.size);
    if (!chunk)
        return STATUS_NOMEM;
    chunk->next = NULL;
    chunk->size = record.size;
    memcpy(chunk->bytes, record.data, record.size);
    struct held_chunk **end = &request->chunks;
    while (*end)
        end = &(*end)->next;
    *end = chunk;
    request->chunk_bytes += record.size;
    service->waiting_bytes += record.size;
    return STATUS_OK;
}
