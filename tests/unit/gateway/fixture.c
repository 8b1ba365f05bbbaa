/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "contracts/bus.h"
#include "kernel/message.h"

enum {
    PUMPS_MAX = 400 /* times at most 5 ms: what never comes fails the test */
};

/* ---- contracts */

static const struct field store_fields[] = {
    {.name = "content", .type = FIELD_STRING, .flags = FIELD_REQUIRED},
    {.name = "agent_id", .type = FIELD_IDENTITY},
};
static const struct field get_fields[] = {
    {.name = "id", .type = FIELD_UUID, .place = PLACE_PATH},
    {.name = "embedding", .type = FIELD_BOOLEAN, .place = PLACE_QUERY},
    {.name = "limit", .type = FIELD_INTEGER, .place = PLACE_QUERY},
    {.name = "weight", .type = FIELD_NUMBER, .place = PLACE_QUERY},
    {.name = "types", .type = FIELD_LIST, .item = FIELD_STRING, .place = PLACE_QUERY},
};
static const struct field chat_fields[] = {
    {.name = "message", .type = FIELD_STRING, .flags = FIELD_REQUIRED},
    {.name = "stream", .type = FIELD_BOOLEAN},
};
static const struct route store_routes[] = {{DOOR_MEMORY, "POST", "/store"}};
static const struct route recent_routes[] = {{DOOR_MEMORY, "POST", "/memories/recent"}};
static const struct route get_routes[] = {{DOOR_MEMORY, "GET", "/memories/{id}"}};
static const struct route remove_routes[] = {{DOOR_MEMORY, "DELETE", "/memories/{id}"}};
static const struct route add_routes[] = {{DOOR_MEMORY, "POST", "/add"}};
static const struct route chat_routes[] = {{DOOR_ENGINE, "POST", "/chat"}};
static const struct route chat_stream_routes[] = {{DOOR_ENGINE, "POST", "/chat/stream"}};

#define FIELDS(array) .fields = (array), .field_count = sizeof(array) / sizeof(array)[0]
#define ROUTES(array) .routes = (array), .route_count = sizeof(array) / sizeof(array)[0]

static const struct operation memory_operations[] = {
    {.service = "memory",
     .name = "store",
     .type = "memory_store",
     .flags = OPERATION_WRITE,
     .timeout_ms = 30000,
     ROUTES(store_routes),
     FIELDS(store_fields)},
    {.service = "memory",
     .name = "recent",
     .type = "memory_recent",
     .flags = OPERATION_READ,
     .timeout_ms = 5000,
     ROUTES(recent_routes)},
    {.service = "memory",
     .name = "get",
     .type = "memory_get",
     .flags = OPERATION_READ | OPERATION_IDEMPOTENT,
     .timeout_ms = 5000,
     ROUTES(get_routes),
     FIELDS(get_fields)},
    {.service = "memory",
     .name = "remove",
     .type = "memory_remove",
     .flags = OPERATION_WRITE,
     .timeout_ms = 5000,
     ROUTES(remove_routes),
     FIELDS(get_fields)},
    {.service = "memory",
     .name = "add",
     .type = "memory_add",
     .flags = OPERATION_WRITE,
     .timeout_ms = 5000,
     .body_max = 1000,
     ROUTES(add_routes)},
};
static const struct operation engine_operations[] = {
    {.service = "engine",
     .name = "chat",
     .type = "chat",
     .flags = OPERATION_WRITE | OPERATION_STREAM,
     .timeout_ms = 60000,
     ROUTES(chat_routes),
     FIELDS(chat_fields)},
    {.service = "engine",
     .name = "chat_stream",
     .type = "chat_stream",
     .flags = OPERATION_WRITE | OPERATION_STREAM_ALWAYS,
     .timeout_ms = 60000,
     ROUTES(chat_stream_routes),
     FIELDS(chat_fields)},
};
static const struct contract memory_contract = {.service = "memory",
                                                .single = true,
                                                .operations = memory_operations,
                                                .operation_count = sizeof memory_operations /
                                                                   sizeof memory_operations[0]};
static const struct contract engine_contract = {.service = "engine",
                                                .single = true,
                                                .operations = engine_operations,
                                                .operation_count = sizeof engine_operations /
                                                                   sizeof engine_operations[0]};
const struct contract *const fixture_contracts[] = {&memory_contract, &engine_contract,
                                                    &bus_contract, NULL};

/* ---- the bus that the test plays */

static void
keep(struct buffer *buffer, const void *data, size_t size)
{
    buffer_reset(buffer);
    buffer_append(buffer, data ? data : "", size);
    buffer_append_byte(buffer, 0);
    buffer->size--;
}

static void
keep_text(char *out, size_t size, struct text text)
{
    assert_true(text.size < size);
    memcpy(out, text.data ? text.data : "", text.size);
    out[text.size] = '\0';
}

static enum status
bus_call(void *context, const struct peer_request *request, struct uuid *id, struct error *error)
{
    struct fixture *fixture = context;
    bool health = text_equal_string(request->type, "health_check") &&
                  !text_equal_string(request->target, "service:bus");
    (void)error;
    struct fixture_call *call;
    if (health) {
        assert_true(fixture->health_count < sizeof fixture->health / sizeof fixture->health[0]);
        call = &fixture->health[fixture->health_count++];
    } else {
        if (fixture->call_count == FIXTURE_CALLS_MAX) {
            return STATUS_BUSY;
        }
        call = &fixture->calls[fixture->call_count++];
    }
    keep_text(call->target, sizeof call->target, request->target);
    keep_text(call->type, sizeof call->type, request->type);
    keep_text(call->principal, sizeof call->principal, request->principal);
    keep(&call->payload, request->payload.data, request->payload.size);
    keep(&call->capability, request->capability.data, request->capability.size);
    keep(&call->metadata, request->metadata.data, request->metadata.size);
    if (request->trace)
        call->trace = *request->trace;
    call->flags = request->flags;
    call->ttl_ms = request->ttl_ms;
    call->on_reply = request->on_reply;
    call->on_chunk = request->on_chunk;
    call->context = request->context;
    call->cancelled = call->answered = false;
    call->granted = 0;
    call->seq = 0;
    memset(&call->id, 0, sizeof call->id);
    call->id.bytes[0] = health ? 2 : 1;
    call->id.bytes[1] = (uint8_t)(health ? fixture->health_count : fixture->call_count);
    *id = call->id;
    return STATUS_OK;
}

static struct fixture_call *
find_call(struct fixture *fixture, const struct uuid *id)
{
    for (size_t i = 0; i < fixture->call_count; i++)
        if (uuid_equal(&fixture->calls[i].id, id))
            return &fixture->calls[i];
    return NULL;
}

static void
bus_cancel(void *context, const struct uuid *id)
{
    struct fixture_call *call = find_call(context, id);
    if (call)
        call->cancelled = true;
}

static void
bus_grant(void *context, const struct uuid *id, uint32_t chunks)
{
    struct fixture_call *call = find_call(context, id);
    if (call)
        call->granted += chunks;
}

static bool
bus_connected(void *context)
{
    struct fixture *fixture = context;
    return fixture->connected;
}

void
fixture_reply(struct fixture_call *call, enum status status, struct bytes payload)
{
    assert_false(call->cancelled);
    assert_false(call->answered);
    call->answered = true;
    call->on_reply(call->context, &(struct peer_answer){.status = status, .payload = payload});
}

void
fixture_fail(struct fixture_call *call, enum status status, const char *word, const char *message)
{
    struct error error = ERROR_INIT;
    struct buffer payload = {0};
    if (word)
        error_set_word(&error, word, "%s", message);
    else
        error_set(&error, "%s", message);
    error_pack(&payload, status, &error);
    fixture_reply(call, status, buffer_bytes(&payload));
    buffer_clear(&payload);
}

void
fixture_chunk(struct fixture_call *call, const char *text)
{
    struct buffer payload = {0};
    pack_map(&payload, 1);
    pack_pair_string(&payload, "chunk", text);
    struct message chunk = {.kind = KIND_CHUNK,
                            .correlation = call->id,
                            .seq = call->seq++,
                            .payload = buffer_bytes(&payload)};
    call->on_chunk(call->context, &chunk);
    buffer_clear(&payload);
}

/* ---- life */

static struct now
read_clock(void *context)
{
    return *(struct now *)context;
}

static void
swallow(void *context, enum log_level level, struct text line)
{
    (void)context;
    (void)level;
    (void)line;
}

struct http_options
fixture_http_options(void)
{
    return (struct http_options){
        .connections_max = 200,
        .connections_peer_max = 100,
        .body_bytes_max = 4 * 1024 * 1024,
        .header_ms = 10000,
        .body_ms = 30000,
        .idle_ms = 60000,
    };
}

void
fixture_open(struct fixture *fixture, const struct http_options *options)
{
    struct error error = ERROR_INIT;
    memset(fixture, 0, sizeof *fixture);
    fixture->now = (struct now){1000000000, 1700000000000000};
    fixture->clock = (struct clock){read_clock, &fixture->now};
    fixture->logger = (struct logger){"gateway", LOG_DEBUG, &fixture->clock, swallow, NULL};
    fixture->bus = (struct bus){bus_call, bus_cancel, bus_grant, bus_connected, fixture};
    fixture->connected = true;
    struct front_options front = {
        .contracts = fixture_contracts,
        .bus = &fixture->bus,
        .clock = &fixture->clock,
        .logger = &fixture->logger,
        .cors_origins = "https://app.example.org",
        .bind = "127.0.0.1",
        .streams_max = FIXTURE_STREAMS_MAX,
    };
    assert_int_equal(front_new(&fixture->front, &front, &error), STATUS_OK);
    struct http_options http = options ? *options : fixture_http_options();
    http.callbacks = front_callbacks(fixture->front);
    http.clock = &fixture->clock;
    http.logger = &fixture->logger;
    assert_int_equal(http_open(&fixture->http, &http, &error), STATUS_OK);
    front_attach(fixture->front, fixture->http);
    for (unsigned door = 0; door <= DOORS; door++)
        assert_int_equal(
            http_listen(fixture->http, "127.0.0.1", 0, "test", door, &fixture->ports[door], &error),
            STATUS_OK);
}

static void
clear_call(struct fixture_call *call)
{
    buffer_clear(&call->payload);
    buffer_clear(&call->capability);
    buffer_clear(&call->metadata);
}

void
fixture_close(struct fixture *fixture)
{
    http_close(&fixture->http);
    front_destroy(&fixture->front);
    for (size_t i = 0; i < FIXTURE_CALLS_MAX; i++)
        clear_call(&fixture->calls[i]);
    for (size_t i = 0; i < sizeof fixture->health / sizeof fixture->health[0]; i++)
        clear_call(&fixture->health[i]);
}

int
fixture_setup_with(void **state, const struct http_options *options)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture_open(fixture, options);
    *state = fixture;
    return 0;
}

int
fixture_setup(void **state)
{
    return fixture_setup_with(state, NULL);
}

int
fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    free(fixture);
    return 0;
}

void
fixture_pump(struct fixture *fixture)
{
    for (int i = 0; i < 4; i++)
        http_wait(fixture->http, 0);
    http_wait(fixture->http, 2);
    http_wait(fixture->http, 0);
}

void
fixture_advance(struct fixture *fixture, uint64_t ms)
{
    fixture->now.monotonic_us += ms * 1000;
    fixture->now.wall_us += ms * 1000;
    fixture_pump(fixture);
}

/* ---- clients */

int
fixture_connect(struct fixture *fixture, int door)
{
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(fixture->ports[door]),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_true(client >= 0);
    assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

void
fixture_send(int client, const char *text)
{
    size_t size = strlen(text);
    assert_int_equal(send(client, text, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* False: the server closed. */
static bool
take(int client, struct buffer *in)
{
    char data[16384];
    for (;;) {
        ssize_t size = recv(client, data, sizeof data, MSG_DONTWAIT);
        if (size > 0)
            buffer_append(in, data, (size_t)size);
        else
            return size < 0 && (errno == EAGAIN || errno == EINTR);
    }
}

static bool
is_whole(const struct buffer *in)
{
    const char *text = (const char *)in->data;
    const char *end = in->size > 0 ? strstr(text, "\r\n\r\n") : NULL;
    if (!end)
        return false;
    const char *length = strcasestr(text, "\r\nContent-Length: ");
    if (length && length < end)
        return in->size >= (size_t)(end + 4 - text) + (size_t)atol(length + 18);
    if (strcasestr(text, "\r\nTransfer-Encoding: chunked"))
        return strstr(end, "\r\n0\r\n") != NULL || strncmp(end + 4, "0\r\n", 3) == 0;
    return strstr(text, " 204 ") != NULL;
}

static char *
read_while(struct fixture *fixture, int client, const char *wanted)
{
    struct buffer in = {0};
    for (int i = 0; i < PUMPS_MAX; i++) {
        bool open = take(client, &in);
        buffer_append_byte(&in, 0);
        in.size--;
        bool done = wanted ? strstr((const char *)in.data, wanted) != NULL : is_whole(&in);
        if (done || !open)
            break;
        fixture_pump(fixture);
    }
    return (char *)in.data;
}

char *
fixture_read(struct fixture *fixture, int client)
{
    return read_while(fixture, client, NULL);
}

void
fixture_expect(struct fixture *fixture, int client, const char *first, const char *second)
{
    char *answer = fixture_read(fixture, client);
    assert_true(fixture_has(answer, first));
    if (second)
        assert_true(fixture_has(answer, second));
    free(answer);
}

char *
fixture_read_until(struct fixture *fixture, int client, const char *wanted)
{
    return read_while(fixture, client, wanted);
}

bool
fixture_is_closed(struct fixture *fixture, int client)
{
    struct buffer in = {0};
    bool open = true;
    for (int i = 0; i < PUMPS_MAX && open; i++) {
        fixture_pump(fixture);
        open = take(client, &in);
    }
    buffer_clear(&in);
    return !open;
}

void
fixture_await_calls(struct fixture *fixture, size_t count)
{
    for (int i = 0; i < PUMPS_MAX && fixture->call_count < count; i++)
        fixture_pump(fixture);
    assert_int_equal(fixture->call_count, count);
}

char *
fixture_request(struct fixture *fixture, int door, const char *request)
{
    size_t before = fixture->call_count;
    int client = fixture_connect(fixture, door);
    fixture_send(client, request);
    char *answer = NULL;
    struct buffer in = {0};
    for (int i = 0; i < PUMPS_MAX; i++) {
        bool open = take(client, &in);
        buffer_append_byte(&in, 0);
        in.size--;
        if (is_whole(&in) || !open)
            break;
        fixture_pump(fixture);
        for (; before < fixture->call_count; before++)
            fixture_reply(&fixture->calls[before], STATUS_OK, (struct bytes){0});
    }
    answer = (char *)in.data;
    close(client);
    fixture_pump(fixture);
    return answer;
}

bool
fixture_has(const char *answer, const char *part)
{
    if (strcasestr(answer, part))
        return true;
    print_error("expected %s in:\n%s\n", part, answer);
    return false;
}
