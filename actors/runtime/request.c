/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/request.h"

#include <stdlib.h>

#include "kernel/assert.h"

/* The key of the metadata map; other members are for others. */
static enum status
read_idempotency_key(struct bytes metadata, struct text *key, struct error *error)
{
    struct value map, value;
    *key = (struct text){0};
    if (metadata.size == 0 || !value_parse(metadata, &map) ||
        !value_find(&map, "idempotency_key", &value) || value.type == VALUE_NIL)
        return STATUS_OK;
    if (value.type != VALUE_TEXT || value.as.text.size == 0 ||
        value.as.text.size > IDEMPOTENCY_KEY_MAX) {
        error_set_field(error, "idempotency_key",
                        "idempotency_key: expected a text of 1 to %d bytes", IDEMPOTENCY_KEY_MAX);
        return STATUS_VALIDATION;
    }
    *key = value.as.text;
    return STATUS_OK;
}

static struct text
copy_text(uint8_t **at, struct text text)
{
    struct text copy = {(const char *)*at, text.size};
    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return copy;
}

enum status
request_make(struct request **request_p, const struct message *message,
             const struct operation *operation, struct error *error)
{
    struct text key;
    enum status status = read_idempotency_key(message->metadata, &key, error);
    if (status != STATUS_OK)
        return status;

    size_t copies =
        message->payload.size + message->principal.size + message->capability.size + key.size;
    struct request *request = calloc(1, sizeof *request + copies);
    if (!request)
        return STATUS_NOMEM;
    request->bytes = sizeof *request + copies;
    request->operation = operation;
    peer_origin_of(&request->origin, message);
    request->trace =
        trace_is_set(&request->origin.trace) ? trace_child(&request->origin.trace) : trace_new();

    uint8_t *at = request->copies;
    struct text payload =
        copy_text(&at, (struct text){(const char *)message->payload.data, message->payload.size});
    request->payload = (struct bytes){(const uint8_t *)payload.data, payload.size};
    request->principal = copy_text(&at, message->principal);
    request->capability = copy_text(&at, message->capability);
    request->idempotency_key = copy_text(&at, key);
    if (request->principal.size == 0)
        request->principal = text_of(request->origin.source);

    request->streams = (message->flags & MESSAGE_STREAM) != 0;
    TAILQ_INIT(&request->continuations);
    TAILQ_INIT(&request->chunks);
    *request_p = request;
    return STATUS_OK;
}

void
request_destroy(struct request **request_p)
{
    struct request *request = *request_p;
    if (!request)
        return;
    ASSERT(TAILQ_EMPTY(&request->continuations) && request->deadline.place == 0);
    if (request->progress && request->progress_destroy)
        request->progress_destroy(request->progress);
    request_drop_chunks(request, 0);
    buffer_clear(&request->reply);
    /* A token must not linger in freed memory. */
    explicit_bzero(request->copies, request->bytes - sizeof *request);
    free(request);
    *request_p = NULL;
}

static void
remove_chunk(struct request *request, struct chunk *chunk)
{
    TAILQ_REMOVE(&request->chunks, chunk, link);
    request->chunk_count--;
    request->chunk_bytes -= sizeof *chunk + chunk->size;
    free(chunk);
}

void
request_drop_chunks(struct request *request, size_t keep)
{
    while (request->chunk_count > keep)
        remove_chunk(request, TAILQ_LAST(&request->chunks, chunks));
}

void
request_take_chunk(struct request *request)
{
    ASSERT(request->chunk_count > 0);
    remove_chunk(request, TAILQ_FIRST(&request->chunks));
}

enum status
request_add_chunk(struct request *request, struct bytes payload, struct error *error)
{
    if (payload.size > CHUNK_SIZE_MAX) {
        error_set(error, "a chunk of %zu bytes is larger than %d", payload.size, CHUNK_SIZE_MAX);
        return STATUS_TOO_LARGE;
    }
    if (request->chunk_bytes + sizeof(struct chunk) + payload.size > REQUEST_CHUNK_BYTES_MAX) {
        error_set_word(error, "stream_overrun",
                       "the reader of the stream is too slow: %d bytes are waiting for it",
                       REQUEST_CHUNK_BYTES_MAX);
        return STATUS_QUOTA_EXCEEDED;
    }
    struct chunk *chunk = malloc(sizeof *chunk + payload.size);
    if (!chunk)
        return STATUS_NOMEM;
    chunk->size = payload.size;
    if (payload.size > 0)
        memcpy(chunk->data, payload.data, payload.size);
    TAILQ_INSERT_TAIL(&request->chunks, chunk, link);
    request->chunk_count++;
    request->chunk_bytes += sizeof *chunk + payload.size;
    return STATUS_OK;
}

void
continuation_destroy(struct continuation **continuation_p)
{
    struct continuation *continuation = *continuation_p;
    if (!continuation)
        return;
    ASSERT(!continuation->transfer && continuation->timer.place == 0);
    if (continuation->copies)
        explicit_bzero(continuation->copies, continuation->copies_size);
    free(continuation->copies);
    if (continuation->payload.data)
        explicit_bzero(continuation->payload.data, continuation->payload.capacity);
    buffer_clear(&continuation->payload);
    free(continuation);
    *continuation_p = NULL;
}

/* ---- what handlers see (service.h) */

const struct arguments *
request_arguments(const struct request *request)
{
    return &request->arguments;
}

struct text
request_source(const struct request *request)
{
    return text_of(request->origin.source);
}

struct text
request_principal(const struct request *request)
{
    return request->principal;
}

const struct uuid *
request_id(const struct request *request)
{
    return &request->origin.request_id;
}

const struct trace *
request_trace(const struct request *request)
{
    return &request->trace;
}

struct text
request_capability(const struct request *request)
{
    return request->capability;
}

bool
request_wants_stream(const struct request *request)
{
    return request->streams;
}

void
request_set_progress(struct request *request, void *progress, void (*destroy)(void *progress))
{
    if (request->progress && request->progress != progress && request->progress_destroy)
        request->progress_destroy(request->progress);
    request->progress = progress;
    request->progress_destroy = destroy;
}

void *
request_progress(const struct request *request)
{
    return request->progress;
}
