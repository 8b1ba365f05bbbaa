/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_service.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- the port */

static enum status
port_reply(void *context, const struct peer_origin *origin, enum status status,
           struct bytes payload, struct error *error)
{
    (void)error;
    struct service_fixture *f = context;
    for (size_t i = 0; i < f->answer_count; i++) {
        struct service_answer *answer = &f->answers[i];
        if (!uuid_equal(&answer->id, &origin->request_id))
            continue;
        assert_int_equal(answer->status, STATUS_PENDING); /* one answer only */
        answer->status = status;
        buffer_append(&answer->payload, payload.data, payload.size);
        assert_int_equal(msgpack_to_json(payload, &answer->json, NULL), STATUS_OK);
        buffer_append_byte(&answer->json, 0);
    }
    return STATUS_OK;
}

static enum status
port_chunk(void *context, const struct peer_origin *origin, uint64_t seq, struct bytes payload,
           struct error *error)
{
    (void)context;
    (void)origin;
    (void)seq;
    (void)payload;
    (void)error;
    return STATUS_OK;
}

static uint32_t
port_stream_credit(void *context)
{
    (void)context;
    return 4;
}

static enum status
port_call(void *context, const struct dispatch_call *call, struct continuation *handle,
          struct uuid *id, struct error *error)
{
    (void)context;
    (void)call;
    (void)handle;
    (void)id;
    error_set(error, "this service calls nobody");
    return STATUS_UNAVAILABLE;
}

static void
port_cancel_call(void *context, struct continuation *handle)
{
    (void)context;
    (void)handle;
}

static enum status
port_http(void *context, const struct outcome_http *http, struct continuation *handle,
          struct transfer **transfer, struct error *error)
{
    (void)context;
    (void)http;
    (void)handle;
    (void)transfer;
    error_set(error, "this service calls nobody");
    return STATUS_UNAVAILABLE;
}

static void
port_abort_http(void *context, struct transfer *transfer)
{
    (void)context;
    (void)transfer;
}

static void
port_commit(void *context, const struct store_batch *batch)
{
    ((struct service_fixture *)context)->commit = batch;
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
    if (level >= LOG_ERROR)
        snprintf(f->last_line, sizeof f->last_line, "%.*s", TEXT_ARGS(line));
}

void
service_fixture_open(struct service_fixture *f, const struct service *service)
{
    *f = (struct service_fixture){.service = service, .source = "user:ana"};
    f->now = (struct now){UINT64_C(1000000000), UINT64_C(1767225600000000)};
    f->clock = (struct clock){read_clock, &f->now};
    f->logger = (struct logger){service->contract->service, LOG_INFO, &f->clock, take_line, f};
    f->config = config_new();
    f->parser = json_parser_new();
    assert_int_equal(store_open_memory(&f->store, service->schema), STATUS_OK);
    f->options = (struct dispatch_options){.service = service,
                                           .store = f->store,
                                           .config = f->config,
                                           .clock = &f->clock,
                                           .logger = &f->logger,
                                           .port = {.context = f,
                                                    .reply = port_reply,
                                                    .chunk = port_chunk,
                                                    .stream_credit = port_stream_credit,
                                                    .call = port_call,
                                                    .cancel_call = port_cancel_call,
                                                    .http = port_http,
                                                    .abort_http = port_abort_http,
                                                    .commit = port_commit}};
}

enum status
service_restart(struct service_fixture *f, struct error *error)
{
    dispatch_destroy(&f->dispatch);
    return dispatch_new(&f->dispatch, &f->options, error);
}

void
service_fixture_close(struct service_fixture *f)
{
    service_forget(f);
    dispatch_destroy(&f->dispatch);
    store_close(&f->store);
    json_parser_destroy(&f->parser);
    config_destroy(&f->config);
}

/* ---- driving */

void
service_forget(struct service_fixture *f)
{
    for (size_t i = 0; i < f->answer_count; i++) {
        buffer_clear(&f->answers[i].payload);
        buffer_clear(&f->answers[i].json);
    }
    f->answer_count = 0;
}

void
service_send(struct service_fixture *f, const char *type, const char *json)
{
    struct buffer payload;
    struct error error = ERROR_INIT;
    buffer_init(&payload);
    if (json_to_msgpack(f->parser, text_of(json), &payload, &error) != STATUS_OK)
        fail_msg("%s: %s", json, error.message);
    assert_true(f->answer_count < ANSWERS_MAX);
    struct service_answer *answer = &f->answers[f->answer_count++];
    *answer = (struct service_answer){.status = STATUS_PENDING};
    uint64_t number = ++f->next_id;
    memcpy(answer->id.bytes, &number, sizeof number);
    const struct message message = {.version = MESSAGE_VERSION,
                                    .kind = KIND_REQUEST,
                                    .id = answer->id,
                                    .source = text_of(f->source),
                                    .target = text_of("service:memory"),
                                    .type = text_of(type),
                                    .payload = buffer_bytes(&payload)};
    dispatch_message(f->dispatch, &message);
    buffer_clear(&payload);
}

void
service_run(struct service_fixture *f)
{
    do {
        if (f->commit) {
            struct error error = ERROR_INIT;
            const struct store_batch *batch = f->commit;
            f->commit = NULL;
            dispatch_committed(f->dispatch, store_commit(f->store, batch, &error), &error);
        }
    } while (dispatch_run(f->dispatch) || f->commit);
}

const struct service_answer *
service_call(struct service_fixture *f, const char *type, const char *json)
{
    service_forget(f);
    service_send(f, type, json);
    service_run(f);
    assert_int_not_equal(f->answers[0].status, STATUS_PENDING);
    return &f->answers[0];
}

/* ---- looking */

const char *
answer_json(const struct service_answer *answer)
{
    return (const char *)answer->json.data;
}

struct text
answer_text(const struct service_answer *answer, const char *key)
{
    struct value map;
    struct text text = {"", 0};
    assert_true(value_parse(buffer_bytes(&answer->payload), &map));
    value_find_text(&map, key, &text);
    return text;
}

struct error
answer_error(const struct service_answer *answer)
{
    struct error error = ERROR_INIT;
    error_unpack(buffer_bytes(&answer->payload), &error);
    return error;
}
