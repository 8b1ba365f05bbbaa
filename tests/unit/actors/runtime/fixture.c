/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the service */

enum { FIELD_AGENT, FIELD_NAME, FIELD_TEXT, FIELD_HOW, FIELD_COUNT, FIELD_SIZE, FIELDS };

static const struct field fields[FIELDS] = {
    [FIELD_AGENT] = {.name = "agent_id", .type = FIELD_IDENTITY, .size_max = 255},
    [FIELD_NAME] = {.name = "name",
                    .type = FIELD_STRING,
                    .flags = FIELD_REQUIRED,
                    .size_min = 1,
                    .size_max = 64},
    [FIELD_TEXT] = {.name = "text", .type = FIELD_STRING, .size_max = 1024},
    [FIELD_HOW] = {.name = "how", .type = FIELD_STRING, .size_max = 16},
    [FIELD_COUNT] = {.name = "count", .type = FIELD_INTEGER, .max = 100000},
    [FIELD_SIZE] = {.name = "size", .type = FIELD_INTEGER, .max = 100000},
};

#define NOTE(index_, name_, flags_)                                                                \
    [index_] = {.service = "notes",                                                                \
                .name = name_,                                                                     \
                .type = "notes_" name_,                                                            \
                .summary = name_,                                                                  \
                .index = index_,                                                                   \
                .flags = flags_,                                                                   \
                .timeout_ms = 30000,                                                               \
                .fields = fields,                                                                  \
                .field_count = FIELDS,                                                             \
                .capability_action = "memory:write",                                               \
                .capability_resource = "notes:{agent_id}/{name}",                                  \
                .capability_subject = "agent_id"}

static const struct operation operations[NOTE_OPERATIONS] = {
    NOTE(NOTE_PUT, "put", OPERATION_WRITE),
    NOTE(NOTE_GET, "get", OPERATION_READ),
    NOTE(NOTE_MAKE, "make", OPERATION_WRITE),
    NOTE(NOTE_SPOIL, "spoil", OPERATION_WRITE),
    NOTE(NOTE_AWAIT, "await", OPERATION_WRITE),
    NOTE(NOTE_STREAM, "stream", OPERATION_READ | OPERATION_STREAM),
    NOTE(NOTE_PURGE, "purge", OPERATION_WRITE | OPERATION_DANGEROUS | OPERATION_AUDITED),
    NOTE(NOTE_LIST, "list", OPERATION_READ),
    NOTE(NOTE_HUGE, "huge", OPERATION_WRITE),
    NOTE(NOTE_OWNED, "owned", OPERATION_READ | OPERATION_RESOLVES_RESOURCE),
};

static const struct contract contract = {.service = "notes",
                                         .summary = "Notes",
                                         .single = true,
                                         .operations = operations,
                                         .operation_count = NOTE_OPERATIONS};

static struct runtime_fixture *
fixture_of(const struct context *context)
{
    return context_logger(context)->context;
}

static struct bytes
bytes_of(struct text text)
{
    return (struct bytes){(const uint8_t *)text.data, text.size};
}

static struct text
argument(const struct request *request, unsigned field)
{
    return arguments_text(request_arguments(request), field);
}

static void
put_note(const struct request *request, struct outcome *outcome)
{
    outcome_put(outcome, NOTE_SPACE, bytes_of(argument(request, FIELD_NAME)),
                bytes_of(argument(request, FIELD_TEXT)));
}

static enum status
note_put(struct context *context, struct request *request, struct outcome *outcome,
         struct error *error)
{
    (void)error;
    fixture_of(context)->handler_runs++;
    put_note(request, outcome);
    pack_map(outcome_reply(outcome), 1);
    pack_pair_text(outcome_reply(outcome), "name", argument(request, FIELD_NAME));
    return STATUS_OK;
}

static enum status
note_get(struct context *context, struct request *request, struct outcome *outcome,
         struct error *error)
{
    struct buffer value;
    buffer_init(&value);
    enum status status =
        context_get(context, NOTE_SPACE, bytes_of(argument(request, FIELD_NAME)), &value, error);
    if (status == STATUS_OK) {
        pack_map(outcome_reply(outcome), 1);
        pack_pair_text(outcome_reply(outcome), "text", buffer_text(&value));
    } else if (status == STATUS_NOT_FOUND) {
        error_set_word(error, "note_not_found", "no such note");
    }
    buffer_clear(&value);
    return status;
}

static enum status
note_make(struct context *context, struct request *request, struct outcome *outcome,
          struct error *error)
{
    (void)context;
    (void)error;
    outcome_expect_absent(outcome, NOTE_SPACE, bytes_of(argument(request, FIELD_NAME)));
    put_note(request, outcome);
    return STATUS_OK;
}

static enum status
note_spoil(struct context *context, struct request *request, struct outcome *outcome,
           struct error *error)
{
    (void)context;
    put_note(request, outcome);
    error_set(error, "secret path /var/lib/x");
    return STATUS_INTERNAL;
}

struct progress {
    struct runtime_fixture *fixture;
};

static void
progress_destroy(void *progress)
{
    ((struct progress *)progress)->fixture->progress_alive--;
    free(progress);
}

static enum status
note_resume(struct context *context, struct request *request, const struct event *event,
            struct outcome *outcome, struct error *error)
{
    if (event->type == EVENT_HTTP_DATA) {
        if (event->payload.size == 3) /* "bad" */
            outcome_put(outcome, NOTE_SPACE, event->payload, event->payload);
        outcome_chunk(outcome, (struct bytes){(const uint8_t *)"\xc0", 1});
        return STATUS_PENDING;
    }
    fixture_of(context)->resumes++;
    if (event->status != STATUS_OK) {
        *error = event->error;
        return event->status;
    }
    outcome_put(outcome, NOTE_SPACE, (struct bytes){(const uint8_t *)"resumed", 7},
                bytes_of(argument(request, FIELD_NAME)));
    pack_map(outcome_reply(outcome), 2);
    pack_pair_text(outcome_reply(outcome), "came",
                   (struct text){(const char *)event->payload.data, event->payload.size});
    pack_pair_int(outcome_reply(outcome), "tag", (int64_t)event->tag);
    return STATUS_OK;
}

static enum status
note_await(struct context *context, struct request *request, struct outcome *outcome,
           struct error *error)
{
    (void)error;
    struct runtime_fixture *f = fixture_of(context);
    struct progress *progress = malloc(sizeof *progress);
    progress->fixture = f;
    f->progress_alive++;
    request_set_progress(request, progress, progress_destroy);
    put_note(request, outcome);
    struct text how = argument(request, FIELD_HOW);
    static const char *const headers[] = {"Authorization: Bearer x", NULL};
    if (text_equal_string(how, "call"))
        outcome_call(outcome,
                     &(struct outcome_call){.service = "memory", .type = "memory_query", .tag = 7},
                     note_resume);
    if (text_equal_string(how, "http") || text_equal_string(how, "stream"))
        outcome_http(outcome,
                     &(struct outcome_http){.method = "GET",
                                            .url = "http://localhost/",
                                            .headers = headers,
                                            .answer_max = 1000,
                                            .stream = text_equal_string(how, "stream"),
                                            .tag = 8},
                     note_resume);
    if (text_equal_string(how, "timer") || text_equal_string(how, "both"))
        outcome_timer(outcome, 500, 9, note_resume);
    if (text_equal_string(how, "both"))
        outcome_call(outcome,
                     &(struct outcome_call){.service = "memory", .type = "memory_query", .tag = 7},
                     note_resume);
    return STATUS_PENDING;
}

static enum status
note_stream(struct context *context, struct request *request, struct outcome *outcome,
            struct error *error)
{
    (void)context;
    (void)error;
    int64_t count = arguments_integer(request_arguments(request), FIELD_COUNT);
    size_t size = (size_t)arguments_integer(request_arguments(request), FIELD_SIZE);
    uint8_t *data = calloc(1, size + 1);
    for (int64_t i = 0; i < count; i++)
        outcome_chunk(outcome, (struct bytes){data, size});
    free(data);
    return STATUS_OK;
}

static enum status
list_row(void *context, struct bytes key, struct bytes value, struct error *error)
{
    (void)error;
    struct buffer *names = context;
    if (names->size > 0)
        buffer_append_string(names, " ");
    buffer_append(names, key.data, key.size);
    buffer_append_string(names, "=");
    buffer_append(names, value.data, value.size);
    return STATUS_OK;
}

static enum status
note_list(struct context *context, struct request *request, struct outcome *outcome,
          struct error *error)
{
    struct buffer names;
    buffer_init(&names);
    bool reverse = text_equal_string(argument(request, FIELD_HOW), "reverse");
    enum status status =
        context_scan(context, NOTE_SPACE, (struct bytes){0}, reverse, list_row, &names, error);
    pack_map(outcome_reply(outcome), 1);
    pack_pair_text(outcome_reply(outcome), "names", buffer_text(&names));
    buffer_clear(&names);
    return status;
}

static enum status
note_huge(struct context *context, struct request *request, struct outcome *outcome,
          struct error *error)
{
    (void)context;
    (void)error;
    put_note(request, outcome);
    uint8_t *data = calloc(1, RECORD_SIZE_MAX);
    pack_bin(outcome_reply(outcome), data, RECORD_SIZE_MAX);
    free(data);
    return STATUS_OK;
}

static enum status
note_owned(struct context *context, struct request *request, struct outcome *outcome,
           struct error *error)
{
    enum status status = request_authorise_resource(
        context, request, text_of("notes:agent:kasra/1"), text_of("agent:kasra"), error);
    if (status != STATUS_OK)
        return status;
    pack_map(outcome_reply(outcome), 0);
    return STATUS_OK;
}

static const struct handler handlers[NOTE_OPERATIONS] = {
    {NOTE_PUT, note_put},     {NOTE_GET, note_get},     {NOTE_MAKE, note_make},
    {NOTE_SPOIL, note_spoil}, {NOTE_AWAIT, note_await}, {NOTE_STREAM, note_stream},
    {NOTE_PURGE, note_put},   {NOTE_LIST, note_list},   {NOTE_HUGE, note_huge},
    {NOTE_OWNED, note_owned},
};

static enum status
state_new(void **state_p, const struct config *config, struct metrics *metrics, struct error *error)
{
    (void)config;
    (void)metrics;
    (void)error;
    *state_p = calloc(1, sizeof(struct note_state));
    return *state_p ? STATUS_OK : STATUS_NOMEM;
}

static void
state_destroy(void **state_p)
{
    free(*state_p);
    *state_p = NULL;
}

static enum status
apply(void *state, store_space space, struct bytes key, struct bytes value, bool deleted,
      struct error *error)
{
    (void)space;
    (void)value;
    struct note_state *notes = state;
    if (key.size == 6 && memcmp(key.data, "poison", 6) == 0) {
        error_set(error, "poison cannot be read");
        return STATUS_STORE_FAILED;
    }
    notes->rows_applied++;
    notes->rows_live += deleted ? (size_t)-1 : 1;
    return STATUS_OK;
}

const struct service notes_service = {.contract = &contract,
                                      .handlers = handlers,
                                      .handler_count = NOTE_OPERATIONS,
                                      .has_store = true,
                                      .schema = 1,
                                      .state_new = state_new,
                                      .state_destroy = state_destroy,
                                      .apply = apply};

/* ---- the port */

static enum status
port_reply(void *context, const struct peer_origin *origin, enum status status,
           struct bytes payload, struct error *error)
{
    (void)error;
    struct runtime_fixture *f = context;
    assert_true(f->reply_count < SENT_MAX);
    struct sent_reply *reply = &f->replies[f->reply_count++];
    *reply = (struct sent_reply){.id = origin->request_id, .status = status};
    buffer_append(&reply->payload, payload.data, payload.size);
    return STATUS_OK;
}

static enum status
port_chunk(void *context, const struct peer_origin *origin, uint64_t seq, struct bytes payload,
           struct error *error)
{
    (void)payload;
    (void)error;
    struct runtime_fixture *f = context;
    assert_true(f->chunk_count < SENT_MAX);
    f->chunks[f->chunk_count++] = (struct sent_chunk){origin->request_id, seq};
    return STATUS_OK;
}

static uint32_t
port_stream_credit(void *context)
{
    return ((struct runtime_fixture *)context)->stream_credit;
}

static enum status
port_call(void *context, const struct dispatch_call *call, struct continuation *handle,
          struct uuid *id, struct error *error)
{
    struct runtime_fixture *f = context;
    if (f->call_result != STATUS_OK) {
        error_set(error, "the port says no");
        return f->call_result;
    }
    assert_true(f->call_count < SENT_MAX);
    struct sent_call *sent = &f->calls[f->call_count++];
    *sent = (struct sent_call){.handle = handle, .ttl_ms = call->ttl_ms};
    snprintf(sent->type, sizeof sent->type, "%s", call->type);
    snprintf(sent->principal, sizeof sent->principal, "%.*s", TEXT_ARGS(call->principal));
    *id = (struct uuid){{(uint8_t)f->call_count}};
    return STATUS_OK;
}

static void
port_cancel_call(void *context, struct continuation *handle)
{
    struct runtime_fixture *f = context;
    f->cancelled_calls++;
    for (size_t i = 0; i < f->call_count; i++)
        if (f->calls[i].handle == handle)
            f->calls[i].handle = NULL;
}

static enum status
port_http(void *context, const struct outcome_http *http, struct continuation *handle,
          struct transfer **transfer, struct error *error)
{
    (void)error;
    struct runtime_fixture *f = context;
    assert_string_equal(http->headers[0], "Authorization: Bearer x");
    f->https[f->http_count++] = (struct sent_call){.handle = handle, .ttl_ms = http->timeout_ms};
    *transfer = (struct transfer *)handle;
    return STATUS_OK;
}

static void
port_abort_http(void *context, struct transfer *transfer)
{
    struct runtime_fixture *f = context;
    f->aborted_https++;
    for (size_t i = 0; i < f->http_count; i++)
        if (f->https[i].handle == (struct continuation *)transfer)
            f->https[i].handle = NULL;
}

static void
port_commit(void *context, const struct store_batch *batch)
{
    struct runtime_fixture *f = context;
    assert_null(f->commit);
    f->commit = batch;
}

static void
port_checkpoint(void *context, const char *folder)
{
    struct runtime_fixture *f = context;
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
    struct runtime_fixture *f = context;
    if (level >= LOG_ERROR)
        f->error_lines++;
    snprintf(f->last_line, sizeof f->last_line, "%.*s", TEXT_ARGS(line));
}

static int
setup(void **state, bool enforced)
{
    static const struct dispatch_port port = {.reply = port_reply,
                                              .chunk = port_chunk,
                                              .stream_credit = port_stream_credit,
                                              .call = port_call,
                                              .cancel_call = port_cancel_call,
                                              .http = port_http,
                                              .abort_http = port_abort_http,
                                              .commit = port_commit,
                                              .checkpoint = port_checkpoint};
    struct runtime_fixture *f = calloc(1, sizeof *f);
    struct error error = ERROR_INIT;
    f->now = (struct now){UINT64_C(1000000000), UINT64_C(1767225600000000)};
    f->clock = (struct clock){read_clock, &f->now};
    f->logger = (struct logger){"notes", LOG_INFO, &f->clock, take_line, f};
    f->stream_credit = 4;
    f->config = config_new();
    assert_int_equal(store_open_memory(&f->store, 1), STATUS_OK);
    f->options = (struct dispatch_options){.service = &notes_service,
                                           .store = f->store,
                                           .config = f->config,
                                           .clock = &f->clock,
                                           .logger = &f->logger,
                                           .require_capabilities = enforced,
                                           .port = port};
    f->options.port.context = f;
    assert_int_equal(dispatch_new(&f->dispatch, &f->options, &error), STATUS_OK);
    *state = f;
    return 0;
}

int
runtime_setup(void **state)
{
    return setup(state, false);
}

int
runtime_setup_enforced(void **state)
{
    return setup(state, true);
}

int
runtime_teardown(void **state)
{
    struct runtime_fixture *f = *state;
    f->hold_commits = false;
    if (dispatch_is_committing(f->dispatch))
        runtime_commit(f);
    dispatch_destroy(&f->dispatch);
    int left = (int)f->progress_alive;
    for (size_t i = 0; i < f->reply_count; i++)
        buffer_clear(&f->replies[i].payload);
    store_close(&f->store);
    config_destroy(&f->config);
    free(f);
    return left;
}

void
runtime_reopen(struct runtime_fixture *f)
{
    struct error error = ERROR_INIT;
    dispatch_destroy(&f->dispatch);
    assert_int_equal(dispatch_new(&f->dispatch, &f->options, &error), STATUS_OK);
}

/* ---- driving */

static void
take_message(struct runtime_fixture *f, const struct sending *sending, const struct uuid *id,
             const char *type, struct bytes payload)
{
    struct buffer metadata;
    buffer_init(&metadata);
    if (sending->key) {
        pack_map(&metadata, 1);
        pack_pair_string(&metadata, "idempotency_key", sending->key);
    }
    const struct message message = {.version = MESSAGE_VERSION,
                                    .kind = KIND_REQUEST,
                                    .flags = sending->flags,
                                    .id = *id,
                                    .source =
                                        text_of(sending->source ? sending->source : "user:ana"),
                                    .target = text_of("service:notes"),
                                    .type = text_of(type),
                                    .ttl_ms = sending->ttl_ms,
                                    .capability = text_of(sending->capability),
                                    .principal = text_of(sending->principal),
                                    .metadata = buffer_bytes(&metadata),
                                    .payload = payload};
    dispatch_message(f->dispatch, &message);
    buffer_clear(&metadata);
}

struct uuid
runtime_send(struct runtime_fixture *f, const struct sending *sending, const char *type, ...)
{
    static const struct sending plain = {0};
    struct uuid id = {{0}};
    uint64_t number = ++f->next_id;
    memcpy(id.bytes, &number, sizeof number);

    va_list arguments;
    uint32_t count = 0;
    va_start(arguments, type);
    while (va_arg(arguments, const char *))
        count++;
    va_end(arguments);
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, count / 2);
    va_start(arguments, type);
    for (uint32_t i = 0; i < count / 2; i++) {
        pack_string(&payload, va_arg(arguments, const char *));
        const char *value = va_arg(arguments, const char *);
        if (value[0] && strspn(value, "0123456789") == strlen(value))
            pack_uint(&payload, strtoull(value, NULL, 10));
        else
            pack_string(&payload, value);
    }
    va_end(arguments);
    take_message(f, sending ? sending : &plain, &id, type, buffer_bytes(&payload));
    buffer_clear(&payload);
    return id;
}

void
runtime_send_again(struct runtime_fixture *f, const struct sending *sending, const struct uuid *id,
                   const char *type)
{
    take_message(f, sending, id, type, (struct bytes){0});
}

static void
take_control(struct runtime_fixture *f, enum kind kind, const char *type, const struct uuid *id,
             uint64_t seq)
{
    const struct message message = {.version = MESSAGE_VERSION,
                                    .kind = kind,
                                    .correlation = *id,
                                    .source = text_of("user:ana"),
                                    .target = text_of("service:notes"),
                                    .type = text_of(type),
                                    .seq = seq};
    dispatch_message(f->dispatch, &message);
}

void
runtime_cancel(struct runtime_fixture *f, const struct uuid *id)
{
    take_control(f, KIND_CANCEL, "", id, 0);
}

void
runtime_credit(struct runtime_fixture *f, const struct uuid *id, uint64_t chunks)
{
    take_control(f, KIND_CONTROL, "credit", id, chunks);
}

void
runtime_commit(struct runtime_fixture *f)
{
    struct error error = ERROR_INIT;
    const struct store_batch *batch = f->commit;
    assert_non_null(batch);
    f->commit = NULL;
    f->commits++;
    enum status status = store_commit(f->store, batch, &error);
    dispatch_committed(f->dispatch, status, &error);
}

void
runtime_run(struct runtime_fixture *f)
{
    do {
        while (f->commit && !f->hold_commits)
            runtime_commit(f);
    } while (dispatch_run(f->dispatch) || (f->commit && !f->hold_commits));
}

void
runtime_pass(struct runtime_fixture *f, uint64_t ms)
{
    f->now.monotonic_us += ms * 1000;
    f->now.wall_us += ms * 1000;
    runtime_run(f);
}

/* ---- looking */

static const struct sent_reply *
reply_to(const struct runtime_fixture *f, const struct uuid *id)
{
    for (size_t i = 0; i < f->reply_count; i++)
        if (uuid_equal(&f->replies[i].id, id))
            return &f->replies[i];
    return NULL;
}

size_t
runtime_replies_to(const struct runtime_fixture *f, const struct uuid *id)
{
    size_t count = 0;
    for (size_t i = 0; i < f->reply_count; i++)
        count += uuid_equal(&f->replies[i].id, id);
    return count;
}

enum status
runtime_status_of(const struct runtime_fixture *f, const struct uuid *id)
{
    const struct sent_reply *reply = reply_to(f, id);
    assert_non_null(reply);
    return reply->status;
}

struct text
runtime_text_of(const struct runtime_fixture *f, const struct uuid *id, const char *key)
{
    const struct sent_reply *reply = reply_to(f, id);
    struct value map;
    struct text text = {0};
    assert_non_null(reply);
    assert_true(value_parse(buffer_bytes(&reply->payload), &map));
    value_find_text(&map, key, &text);
    return text;
}

const char *
runtime_word_of(const struct runtime_fixture *f, const struct uuid *id, char word[static 64])
{
    struct error error = ERROR_INIT;
    error_unpack(buffer_bytes(&reply_to(f, id)->payload), &error);
    memcpy(word, error.word, 64);
    return word;
}

bool
runtime_stored(struct runtime_fixture *f, const char *name, const char *text)
{
    struct buffer value;
    struct error error = ERROR_INIT;
    buffer_init(&value);
    enum status status = store_get(f->store, NOTE_SPACE, bytes_of(text_of(name)), &value, &error);
    bool same = status == STATUS_OK && text_equal_string(buffer_text(&value), text);
    buffer_clear(&value);
    return same;
}

struct note_state *
runtime_state(struct runtime_fixture *f)
{
    return context_state(dispatch_context(f->dispatch));
}
