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
    NOTE(NOTE_COUNT, "count", OPERATION_READ | OPERATION_WRITE),
    NOTE(NOTE_RECORD, "record", OPERATION_WRITE | OPERATION_AUDITED),
    NOTE(NOTE_PEEK, "peek", OPERATION_READ | OPERATION_AUDITED),
};

static const struct contract contract = {.service = "notes",
                                         .summary = "Notes",
                                         .single = true,
                                         .operations = operations,
                                         .operation_count = NOTE_OPERATIONS};

struct notes *
notes_of(const struct service_fixture *f)
{
    return f->own;
}

static struct notes *
own_notes(const struct context *context)
{
    return notes_of(context_logger(context)->context);
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
    own_notes(context)->handler_runs++;
    put_note(request, outcome);
    for (int64_t i = arguments_integer(request_arguments(request), FIELD_COUNT); i > 0; i--)
        outcome_audit(outcome, &(struct audit_entry){.event = "note.counted"});
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
    struct notes *notes;
};

static void
progress_destroy(void *progress)
{
    ((struct progress *)progress)->notes->progress_alive--;
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
    own_notes(context)->resumes++;
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
    struct progress *progress = malloc(sizeof *progress);
    progress->notes = own_notes(context);
    progress->notes->progress_alive++;
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

static enum status
note_record(struct context *context, struct request *request, struct outcome *outcome,
            struct error *error)
{
    struct text how = argument(request, FIELD_HOW);
    own_notes(context)->handler_runs++;
    if (text_equal_string(how, "await")) {
        outcome_call(outcome,
                     &(struct outcome_call){.service = "memory", .type = "memory_query", .tag = 7},
                     note_resume);
        return STATUS_PENDING;
    }
    if (!text_equal_string(how, "plain"))
        put_note(request, outcome);
    outcome_audit(outcome, &(struct audit_entry){.event = "note.written"});
    outcome_audit(outcome, &(struct audit_entry){.event = "note.doubted",
                                                 .actor = text_of("agent:critic"),
                                                 .outcome = "refused: doubtful"});
    if (text_equal_string(how, "spoil")) {
        error_set_word(error, "spoiled", "it is spoiled");
        return STATUS_FORBIDDEN;
    }
    return STATUS_OK;
}

static enum status
note_peek(struct context *context, struct request *request, struct outcome *outcome,
          struct error *error)
{
    (void)request, (void)error;
    own_notes(context)->handler_runs++;
    pack_map(outcome_reply(outcome), 0);
    return STATUS_OK;
}

static const struct handler handlers[NOTE_OPERATIONS] = {
    {NOTE_PUT, note_put},     {NOTE_GET, note_get},     {NOTE_MAKE, note_make},
    {NOTE_SPOIL, note_spoil}, {NOTE_AWAIT, note_await}, {NOTE_STREAM, note_stream},
    {NOTE_PURGE, note_put},   {NOTE_LIST, note_list},   {NOTE_HUGE, note_huge},
    {NOTE_OWNED, note_owned}, {NOTE_COUNT, note_put},   {NOTE_RECORD, note_record},
    {NOTE_PEEK, note_peek},
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

/* ---- life */

static int
setup(void **state, bool enforced)
{
    struct service_fixture *f = service_new(&notes_service);
    struct error error = ERROR_INIT;
    f->own = calloc(1, sizeof(struct notes));
    f->stream_credit = 4;
    f->options.capability_keys = NULL;
    f->options.capability_key_count = 0;
    f->options.require_capabilities = enforced;
    assert_int_equal(service_start(f, &error), STATUS_OK);
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
    struct service_fixture *f = *state;
    struct notes *notes = notes_of(f);
    for (size_t i = 0; i < f->http_count; i++)
        assert_string_equal(f->https[i].headers, "Authorization: Bearer x\n");
    service_close(&f);
    int left = (int)notes->progress_alive;
    free(notes);
    return left;
}

/* ---- driving */

static void
take_message(struct service_fixture *f, const struct sending *sending, const struct uuid *id,
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
runtime_send(struct service_fixture *f, const struct sending *sending, const char *type, ...)
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
runtime_send_again(struct service_fixture *f, const struct sending *sending, const struct uuid *id,
                   const char *type)
{
    take_message(f, sending, id, type, (struct bytes){0});
}

static void
take_control(struct service_fixture *f, enum kind kind, const char *type, const struct uuid *id,
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
runtime_cancel(struct service_fixture *f, const struct uuid *id)
{
    take_control(f, KIND_CANCEL, "", id, 0);
}

void
runtime_credit(struct service_fixture *f, const struct uuid *id, uint64_t chunks)
{
    take_control(f, KIND_CONTROL, "credit", id, chunks);
}

/* ---- looking */

struct text
runtime_text_of(const struct service_fixture *f, const struct uuid *id, const char *key)
{
    const struct sent_reply *reply = service_find_reply(f, id);
    assert_non_null(reply);
    return reply_text(reply, key);
}

const char *
runtime_word_of(const struct service_fixture *f, const struct uuid *id, char word[static 64])
{
    const struct sent_reply *reply = service_find_reply(f, id);
    assert_non_null(reply);
    memcpy(word, reply_error(reply).word, 64);
    return word;
}

bool
runtime_stored(struct service_fixture *f, const char *name, const char *text)
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
runtime_state(struct service_fixture *f)
{
    return context_state(dispatch_context(f->dispatch));
}
