/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/runtime/outcome.h"

#include <stdlib.h>

#include "kernel/assert.h"

void
outcome_init(struct outcome *outcome, struct context *context, struct request *request,
             bool may_write)
{
    *outcome = (struct outcome){.context = context,
                                .request = request,
                                .may_write = may_write && context->store != NULL,
                                .savepoint = overlay_count(context->overlay)};
    if (request)
        outcome->chunk_savepoint = request->chunk_count;
    TAILQ_INIT(&outcome->effects);
    TAILQ_INIT(&outcome->notes);
}

static void
drop_effects(struct outcome *outcome)
{
    struct continuation *effect;
    while ((effect = TAILQ_FIRST(&outcome->effects)) != NULL) {
        TAILQ_REMOVE(&outcome->effects, effect, link);
        continuation_destroy(&effect);
    }
    outcome->effect_count = 0;
}

void
outcome_clear(struct outcome *outcome)
{
    drop_effects(outcome);
    audit_notes_clear(&outcome->notes);
    outcome->note_count = 0;
    buffer_clear(&outcome->reply);
}

void
outcome_roll_back(struct outcome *outcome)
{
    /* A step that may not write has written nothing, and the batch is the store's just now. */
    if (outcome->may_write)
        overlay_truncate(outcome->context->overlay, outcome->savepoint);
    if (outcome->request)
        request_drop_chunks(outcome->request, outcome->chunk_savepoint);
    drop_effects(outcome);
    buffer_clear(&outcome->reply);
}

static void
fail(struct outcome *outcome, enum status status, const struct error *error)
{
    if (outcome->status != STATUS_OK)
        return;
    outcome->status = status;
    if (error)
        outcome->error = *error;
    else
        error_set(&outcome->error, "%s", status_text(status));
}

void
outcome_fail(struct outcome *outcome, enum status status, const char *words)
{
    struct error error = ERROR_INIT;
    error_set(&error, "%s", words);
    fail(outcome, status, &error);
}

enum status
outcome_settle(struct outcome *outcome, enum status status, struct error *error)
{
    if (status != STATUS_OK && status != STATUS_PENDING)
        return status;
    if (outcome->reply.failed)
        fail(outcome, STATUS_NOMEM, NULL);
    if (outcome->status == STATUS_OK)
        return status;
    if (error)
        *error = outcome->error;
    return outcome->status;
}

struct buffer *
outcome_reply(struct outcome *outcome)
{
    return &outcome->reply;
}

static void
write_row(struct outcome *outcome, enum store_write_type type, store_space space, struct bytes key,
          struct bytes value)
{
    if (!outcome->may_write) {
        outcome_fail(
            outcome, STATUS_INTERNAL,
            "a write was recorded where none is allowed: without a store, or in HTTP_DATA");
        return;
    }
    if (space >= STORE_SPACE_RUNTIME) {
        outcome_fail(outcome, STATUS_INTERNAL,
                     "a write to a key space of the runtime was recorded");
        return;
    }
    enum status status = overlay_write(outcome->context->overlay, type, space, key, value);
    if (status != STATUS_OK)
        fail(outcome, status, NULL);
}

void
outcome_put(struct outcome *outcome, store_space space, struct bytes key, struct bytes value)
{
    write_row(outcome, STORE_PUT, space, key, value);
}

void
outcome_delete(struct outcome *outcome, store_space space, struct bytes key)
{
    write_row(outcome, STORE_DELETE, space, key, (struct bytes){0});
}

/* This actor alone writes its store and no commit is under way, so the answer is known now: the
 * guilty step alone is refused. The store checks again at the commit, for keys that the batch has
 * not written itself: there only a foreign writer can make it fail. */
void
outcome_expect_absent(struct outcome *outcome, store_space space, struct bytes key)
{
    if (!outcome->may_write) {
        write_row(outcome, STORE_EXPECT_ABSENT, space, key, (struct bytes){0});
        return;
    }
    struct error error = ERROR_INIT;
    const struct store_write *write = overlay_find(outcome->context->overlay, space, key);
    bool present;
    if (write) {
        present = write->type == STORE_PUT;
    } else {
        struct buffer value;
        buffer_init(&value);
        enum status status = store_get(outcome->context->store, space, key, &value, &error);
        buffer_clear(&value);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            fail(outcome, status, &error);
            return;
        }
        present = status == STATUS_OK;
        if (!present)
            write_row(outcome, STORE_EXPECT_ABSENT, space, key, (struct bytes){0});
    }
    if (present)
        outcome_fail(outcome, STATUS_CONFLICT, "what was to be made is there already");
}

void
outcome_chunk(struct outcome *outcome, struct bytes payload)
{
    if (!outcome->request || !outcome->request->streams)
        return;
    struct error error = ERROR_INIT;
    enum status status = request_add_chunk(outcome->request, payload, &error);
    if (status == STATUS_NOMEM)
        fail(outcome, status, NULL);
    else if (status != STATUS_OK)
        fail(outcome, status, &error);
}

/* ---- what resumes the request later */

static struct continuation *
add_effect(struct outcome *outcome, enum continuation_type type, unsigned tag, resume_fn *resume,
           size_t copies)
{
    if (!outcome->request) {
        outcome_fail(outcome, STATUS_INTERNAL, "there is no request that could be resumed");
        return NULL;
    }
    if (outcome->effect_count >= OUTCOME_EFFECTS_MAX) {
        outcome_fail(outcome, STATUS_INTERNAL, "one step recorded too many calls");
        return NULL;
    }
    struct continuation *effect = calloc(1, sizeof *effect);
    if (!effect || (copies > 0 && !(effect->copies = malloc(copies)))) {
        free(effect);
        fail(outcome, STATUS_NOMEM, NULL);
        return NULL;
    }
    effect->copies_size = copies;
    effect->type = type;
    effect->request = outcome->request;
    effect->resume = resume;
    effect->tag = tag;
    TAILQ_INSERT_TAIL(&outcome->effects, effect, link);
    outcome->effect_count++;
    return effect;
}

static size_t
string_size(const char *string)
{
    return string ? strlen(string) + 1 : 0;
}

static const char *
copy_string(uint8_t **at, const char *string)
{
    if (!string)
        return NULL;
    size_t size = strlen(string) + 1;
    char *copy = memcpy(*at, string, size);
    *at += size;
    return copy;
}

static struct bytes
copy_bytes(uint8_t **at, struct bytes bytes)
{
    struct bytes copy = {*at, bytes.size};
    if (bytes.size > 0)
        memcpy(*at, bytes.data, bytes.size);
    *at += bytes.size;
    return copy;
}

void
outcome_call(struct outcome *outcome, const struct outcome_call *call, resume_fn *resume)
{
    ASSERT(call->service && call->type);
    size_t copies = string_size(call->service) + string_size(call->type) + call->payload.size +
                    string_size(call->idempotency_key) + call->capability.size;
    struct continuation *effect = add_effect(outcome, CONTINUATION_CALL, call->tag, resume, copies);
    if (!effect)
        return;
    uint8_t *at = effect->copies;
    effect->call = *call;
    effect->call.service = copy_string(&at, call->service);
    effect->call.type = copy_string(&at, call->type);
    effect->call.payload = copy_bytes(&at, call->payload);
    effect->call.idempotency_key = copy_string(&at, call->idempotency_key);
    struct text token = call->capability;
    effect->call.capability.data =
        (const char *)copy_bytes(&at, (struct bytes){(const uint8_t *)token.data, token.size}).data;
}

void
outcome_http(struct outcome *outcome, const struct outcome_http *http, resume_fn *resume)
{
    ASSERT(http->method && http->url);
    size_t header_count = 0;
    size_t copies = string_size(http->method) + string_size(http->url) + http->body.size;
    while (http->headers && http->headers[header_count])
        copies += string_size(http->headers[header_count++]);
    copies += (header_count + 1) * sizeof(char *);

    struct continuation *effect = add_effect(outcome, CONTINUATION_HTTP, http->tag, resume, copies);
    if (!effect)
        return;
    effect->http = *http;
    const char **headers = effect->copies; /* first: malloc aligned it */
    uint8_t *at = (uint8_t *)(headers + header_count + 1);
    for (size_t i = 0; i < header_count; i++)
        headers[i] = copy_string(&at, http->headers[i]);
    headers[header_count] = NULL;
    effect->http.headers = headers;
    effect->http.method = copy_string(&at, http->method);
    effect->http.url = copy_string(&at, http->url);
    effect->http.body = copy_bytes(&at, http->body);
}

void
outcome_timer(struct outcome *outcome, uint32_t delay_ms, unsigned tag, resume_fn *resume)
{
    struct continuation *effect = add_effect(outcome, CONTINUATION_TIMER, tag, resume, 0);
    if (effect)
        effect->delay_ms = delay_ms;
}
