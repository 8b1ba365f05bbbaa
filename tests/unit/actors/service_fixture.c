/* SPDX-License-Identifier: Apache-2.0 */
#include "service_fixture.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void
to_json(struct bytes payload, struct buffer *json)
{
    if (payload.size > 0)
        assert_int_equal(msgpack_to_json(payload, json, NULL), STATUS_OK);
    buffer_append_byte(json, '\0');
}

/* ---- the port */

static enum status
port_reply(void *context, const struct peer_origin *origin, enum status status,
           struct bytes payload, struct error *error)
{
    (void)error;
    struct service_fixture *f = context;
    assert_true(f->reply_count < SENT_MAX);
    struct sent_reply *reply = &f->replies[f->reply_count++];
    *reply = (struct sent_reply){.id = origin->request_id, .status = status};
    buffer_append(&reply->payload, payload.data, payload.size);
    to_json(payload, &reply->json);
    return STATUS_OK;
}

static enum status
port_chunk(void *context, const struct peer_origin *origin, uint64_t seq, struct bytes payload,
           struct error *error)
{
    (void)error;
    struct service_fixture *f = context;
    assert_true(f->chunk_count < SENT_MAX);
    struct sent_chunk *chunk = &f->chunks[f->chunk_count++];
    *chunk = (struct sent_chunk){.id = origin->request_id, .seq = seq};
    buffer_append(&chunk->payload, payload.data, payload.size);
    return STATUS_OK;
}

static uint32_t
port_stream_credit(void *context)
{
    return ((struct service_fixture *)context)->stream_credit;
}

static enum status
port_call(void *context, const struct dispatch_call *call, struct continuation *handle,
          struct uuid *id, struct error *error)
{
    struct service_fixture *f = context;
    if (f->call_result != STATUS_OK) {
        error_set(error, "the port says no");
        return f->call_result;
    }
    if (!f->has_policy && strcmp(call->type, "policy") == 0)
        return STATUS_UNAVAILABLE;
    assert_true(f->call_count < SENT_MAX);
    struct sent_call *sent = &f->calls[f->call_count++];
    *sent = (struct sent_call){.handle = handle, .ttl_ms = call->ttl_ms};
    snprintf(sent->service, sizeof sent->service, "%s", call->service);
    snprintf(sent->type, sizeof sent->type, "%s", call->type);
    snprintf(sent->key, sizeof sent->key, "%s", call->idempotency_key ? call->idempotency_key : "");
    snprintf(sent->principal, sizeof sent->principal, "%.*s", TEXT_ARGS(call->principal));
    to_json(call->payload, &sent->json);
    *id = (struct uuid){{(uint8_t)(f->call_count >> 8), (uint8_t)f->call_count}};
    return STATUS_OK;
}

static void
port_cancel_call(void *context, struct continuation *handle)
{
    struct service_fixture *f = context;
    f->cancelled_calls++;
    for (size_t i = 0; i < f->call_count; i++)
        if (f->calls[i].handle == handle)
            f->calls[i].handle = NULL;
}

static enum status
port_http(void *context, const struct outcome_http *http, struct continuation *handle,
          struct transfer **transfer, struct error *error)
{
    struct service_fixture *f = context;
    if (f->call_result != STATUS_OK) {
        error_set(error, "the port says no");
        return f->call_result;
    }
    assert_true(f->http_count < SENT_MAX);
    struct sent_http *sent = &f->https[f->http_count++];
    *sent = (struct sent_http){.handle = handle, .timeout_ms = http->timeout_ms};
    snprintf(sent->url, sizeof sent->url, "%s", http->url);
    size_t size = 0;
    for (size_t i = 0; http->headers[i]; i++)
        size += (size_t)snprintf(sent->headers + size, sizeof sent->headers - size, "%s\n",
                                 http->headers[i]);
    buffer_append(&sent->body, http->body.data, http->body.size);
    buffer_append_byte(&sent->body, '\0');
    *transfer = (struct transfer *)handle;
    return STATUS_OK;
}

static void
port_abort_http(void *context, struct transfer *transfer)
{
    struct service_fixture *f = context;
    f->aborted_https++;
    for (size_t i = 0; i < f->http_count; i++)
        if (f->https[i].handle == (struct continuation *)transfer)
            f->https[i].handle = NULL;
}

static void
port_commit(void *context, const struct store_batch *batch)
{
    struct service_fixture *f = context;
    assert_null(f->commit);
    f->commit = batch;
}

static void
port_checkpoint(void *context, const char *folder)
{
    struct service_fixture *f = context;
    assert_null(f->commit);
    assert_null(f->checkpoint);
    f->checkpoint = folder;
}

/* ---- life */

static struct now
read_clock(void *context)
{
    return *(struct now *)context;
}

static void
take_line(void *context, enum log_level level, struct text line)
{
    struct service_fixture *f = context;
    if (f->log.size > 0)
        f->log.size--;
    buffer_append_text(&f->log, line);
    buffer_append_byte(&f->log, '\0');
    if (level < LOG_ERROR)
        return;
    f->error_lines++;
    snprintf(f->last_error, sizeof f->last_error, "%.*s", TEXT_ARGS(line));
}

struct service_fixture *
service_new(const struct service *service)
{
    struct service_fixture *f = calloc(1, sizeof *f);
    assert_true(sodium_init() >= 0);
    crypto_sign_keypair(f->river.bytes, f->river_secret.bytes);
    f->service = service;
    f->source = "user:ana";
    f->stream_credit = 1000;
    f->now = (struct now){UINT64_C(1000000000), UINT64_C(1767225600000000)};
    f->clock = (struct clock){read_clock, &f->now};
    f->logger = (struct logger){service->contract->service, LOG_DEBUG, &f->clock, take_line, f};
    f->config = config_new();
    f->parser = json_parser_new();
    assert_int_equal(store_open_memory(&f->store, service->schema), STATUS_OK);
    f->options = (struct dispatch_options){.service = service,
                                           .store = f->store,
                                           .config = f->config,
                                           .clock = &f->clock,
                                           .logger = &f->logger,
                                           .capability_keys = &f->river,
                                           .capability_key_count = 1,
                                           .port = {.context = f,
                                                    .reply = port_reply,
                                                    .chunk = port_chunk,
                                                    .stream_credit = port_stream_credit,
                                                    .call = port_call,
                                                    .cancel_call = port_cancel_call,
                                                    .http = port_http,
                                                    .abort_http = port_abort_http,
                                                    .commit = port_commit,
                                                    .checkpoint = port_checkpoint}};
    return f;
}

enum status
service_start(struct service_fixture *f, struct error *error)
{
    dispatch_destroy(&f->dispatch);
    f->commit = NULL; /* was the dispatch's */
    return dispatch_new(&f->dispatch, &f->options, error);
}

struct service_fixture *
service_open(const struct service *service, const char *const *environment, struct error *error)
{
    struct service_fixture *f = service_new(service);
    if (environment)
        assert_int_equal(config_apply_environment(f->config, environment, NULL, NULL, error),
                         STATUS_OK);
    if (service_start(f, error) != STATUS_OK)
        service_close(&f);
    return f;
}

void
service_close(struct service_fixture **fixture_p)
{
    struct service_fixture *f = *fixture_p;
    if (f->commit)
        service_commit(f);
    dispatch_destroy(&f->dispatch);
    service_forget(f);
    for (size_t i = 0; i < f->chunk_count; i++)
        buffer_clear(&f->chunks[i].payload);
    for (size_t i = 0; i < f->call_count; i++)
        buffer_clear(&f->calls[i].json);
    for (size_t i = 0; i < f->http_count; i++)
        buffer_clear(&f->https[i].body);
    buffer_clear(&f->streamed);
    buffer_clear(&f->log);
    store_close(&f->store);
    config_destroy(&f->config);
    json_parser_destroy(&f->parser);
    free(f);
    *fixture_p = NULL;
}

void
service_reopen(struct service_fixture *f)
{
    struct error error = ERROR_INIT;
    assert_int_equal(service_start(f, &error), STATUS_OK);
}

/* ---- driving */

static struct uuid
post_message(struct service_fixture *f, const char *type, const char *json, uint32_t flags,
             struct text capability)
{
    struct uuid id = {{0x77}};
    struct error error = ERROR_INIT;
    struct buffer payload;
    uint64_t number = ++f->next_id;
    memcpy(id.bytes + 8, &number, sizeof number);
    buffer_init(&payload);
    if (json_to_msgpack(f->parser, text_of(json), &payload, &error) != STATUS_OK)
        fail_msg("%s: %s", error.message, json);
    const struct message message = {.version = MESSAGE_VERSION,
                                    .kind = KIND_REQUEST,
                                    .flags = flags,
                                    .id = id,
                                    .source = text_of(f->source),
                                    .target = text_of("service:x"),
                                    .type = text_of(type),
                                    .ttl_ms = 120000,
                                    .capability = capability,
                                    .payload = buffer_bytes(&payload)};
    dispatch_message(f->dispatch, &message);
    buffer_clear(&payload);
    return id;
}

struct uuid
service_post(struct service_fixture *f, const char *type, const char *json)
{
    return post_message(f, type, json, 0, (struct text){0});
}

struct uuid
service_send(struct service_fixture *f, const char *type, const char *json)
{
    struct uuid id = service_post(f, type, json);
    service_run(f);
    return id;
}

struct uuid
service_stream(struct service_fixture *f, const char *type, const char *json)
{
    struct uuid id = post_message(f, type, json, MESSAGE_STREAM, (struct text){0});
    service_run(f);
    return id;
}

struct uuid
service_send_granted(struct service_fixture *f, const char *type, const char *json,
                     const char *action, const char *resource)
{
    struct buffer token;
    struct error error = ERROR_INIT;
    const struct capability_grant grant = {.subject = "agent:any",
                                           .action = action,
                                           .resource = resource,
                                           .issued_us = f->now.wall_us,
                                           .expires_us = f->now.wall_us + 60000000};
    buffer_init(&token);
    assert_int_equal(capability_issue(&token, &grant, &f->river_secret, &error), STATUS_OK);
    struct uuid id = post_message(f, type, json, 0, buffer_text(&token));
    buffer_clear(&token);
    service_run(f);
    return id;
}

struct uuid
service_send_with(struct service_fixture *f, const char *type, const char *json, struct text token)
{
    struct uuid id = post_message(f, type, json, 0, token);
    service_run(f);
    return id;
}

const struct sent_reply *
service_ask(struct service_fixture *f, const char *type, const char *json)
{
    service_forget(f);
    struct uuid id = service_send(f, type, json);
    assert_int_equal(f->reply_count, 1);
    assert_true(uuid_equal(&f->replies[0].id, &id));
    assert_true(f->replies[0].payload.size > 0);
    return &f->replies[0];
}

void
service_forget(struct service_fixture *f)
{
    for (size_t i = 0; i < f->reply_count; i++) {
        buffer_clear(&f->replies[i].payload);
        buffer_clear(&f->replies[i].json);
    }
    f->reply_count = 0;
}

void
service_cancel(struct service_fixture *f, const struct uuid *id)
{
    const struct message message = {.version = MESSAGE_VERSION,
                                    .kind = KIND_CANCEL,
                                    .correlation = *id,
                                    .source = text_of("user:ana"),
                                    .target = text_of("service:x")};
    dispatch_message(f->dispatch, &message);
    service_run(f);
}

void
service_commit(struct service_fixture *f)
{
    struct error error = ERROR_INIT;
    const struct store_batch *batch = f->commit;
    assert_non_null(batch);
    f->commit = NULL;
    f->commits++;
    struct store *store = f->options.store;
    enum status status = store ? store_commit(store, batch, &error) : STATUS_OK;
    if (f->trail && status == STATUS_OK && audit_trail_is_asked(batch)) {
        struct audit_report report;
        audit_trail_write(f->trail, store, batch, &report);
        dispatch_audited(f->dispatch, &report);
        if (!store && report.status != STATUS_OK) {
            status = report.status;
            error = report.error;
        }
    }
    dispatch_committed(f->dispatch, status, &error);
}

void
service_run(struct service_fixture *f)
{
    do {
        while (f->commit && !f->hold_commits)
            service_commit(f);
    } while (dispatch_run(f->dispatch) || (f->commit && !f->hold_commits));
}

void
service_pass(struct service_fixture *f, uint64_t ms)
{
    f->now.monotonic_us += ms * 1000;
    f->now.wall_us += ms * 1000;
    service_run(f);
}

struct sent_call *
service_call(struct service_fixture *f, const char *type)
{
    for (size_t i = f->call_count; i > 0; i--)
        if (f->calls[i - 1].handle && strcmp(f->calls[i - 1].type, type) == 0)
            return &f->calls[i - 1];
    fail_msg("no call of %s waits", type);
    return NULL;
}

size_t
service_calls_waiting(const struct service_fixture *f)
{
    size_t count = 0;
    for (size_t i = 0; i < f->call_count; i++)
        count += f->calls[i].handle != NULL;
    return count;
}

void
service_answer(struct service_fixture *f, struct sent_call *call, enum status status,
               const char *json)
{
    struct buffer payload;
    struct error error = ERROR_INIT;
    struct continuation *handle = call->handle;
    assert_non_null(handle);
    call->handle = NULL;
    buffer_init(&payload);
    if (status == STATUS_OK) {
        assert_int_equal(json_to_msgpack(f->parser, text_of(json), &payload, &error), STATUS_OK);
    } else {
        error_set(&error, "%s", json);
        error_pack(&payload, status, &error);
    }
    dispatch_answer(f->dispatch, handle, status, buffer_bytes(&payload));
    buffer_clear(&payload);
    service_run(f);
}

struct sent_http *
service_http(struct service_fixture *f)
{
    for (size_t i = f->http_count; i > 0; i--)
        if (f->https[i - 1].handle)
            return &f->https[i - 1];
    fail_msg("no HTTP request waits");
    return NULL;
}

static struct bytes
bytes_of(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

void
service_http_data(struct service_fixture *f, struct sent_http *http, const char *text)
{
    dispatch_http_data(f->dispatch, http->handle, 200, bytes_of(text));
    service_run(f);
}

void
service_http_done(struct service_fixture *f, struct sent_http *http, enum status status,
                  long http_status, const char *body)
{
    struct error error = ERROR_INIT;
    struct continuation *handle = http->handle;
    http->handle = NULL;
    if (status != STATUS_OK)
        error_set(&error, "%s", body);
    dispatch_http_done(f->dispatch, handle, status, &error, http_status,
                       status == STATUS_OK ? bytes_of(body) : (struct bytes){0});
    service_run(f);
}

/* ---- looking */

const struct sent_reply *
service_find_reply(const struct service_fixture *f, const struct uuid *id)
{
    for (size_t i = 0; i < f->reply_count; i++)
        if (uuid_equal(&f->replies[i].id, id))
            return &f->replies[i];
    return NULL;
}

size_t
service_replies_to(const struct service_fixture *f, const struct uuid *id)
{
    size_t count = 0;
    for (size_t i = 0; i < f->reply_count; i++)
        count += uuid_equal(&f->replies[i].id, id);
    return count;
}

bool
service_has_reply(const struct service_fixture *f, const struct uuid *id)
{
    return service_find_reply(f, id) != NULL;
}

enum status
service_status(const struct service_fixture *f, const struct uuid *id)
{
    const struct sent_reply *reply = service_find_reply(f, id);
    assert_non_null(reply);
    return reply->status;
}

const char *
service_reply(const struct service_fixture *f, const struct uuid *id)
{
    const struct sent_reply *reply = service_find_reply(f, id);
    assert_non_null(reply);
    return reply_json(reply);
}

const char *
service_streamed(struct service_fixture *f)
{
    buffer_reset(&f->streamed);
    for (size_t i = 0; i < f->chunk_count; i++) {
        struct value value;
        struct text piece;
        assert_true(value_parse(buffer_bytes(&f->chunks[i].payload), &value));
        assert_true(value_find_text(&value, "chunk", &piece));
        buffer_append_text(&f->streamed, piece);
    }
    buffer_append_byte(&f->streamed, '\0');
    return service_text(&f->streamed);
}

const char *
service_text(const struct buffer *buffer)
{
    return buffer->size ? (const char *)buffer->data : "";
}

const char *
reply_json(const struct sent_reply *reply)
{
    return service_text(&reply->json);
}

struct text
reply_text(const struct sent_reply *reply, const char *key)
{
    struct value map;
    struct text text = {"", 0};
    assert_true(value_parse(buffer_bytes(&reply->payload), &map));
    value_find_text(&map, key, &text);
    return text;
}

struct error
reply_error(const struct sent_reply *reply)
{
    struct error error = ERROR_INIT;
    error_unpack(buffer_bytes(&reply->payload), &error);
    return error;
}
