/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/message.h"

static void
post(char *out, size_t size, const char *path, const char *headers, const char *body)
{
    int length = snprintf(out, size,
                          "POST %s HTTP/1.1\r\n" HOST
                          "Content-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n%s",
                          path, headers, strlen(body), body);
    assert_true(length > 0 && (size_t)length < size);
}

static void
expect(struct fixture *fixture, int door, const char *request, const char *first,
       const char *second)
{
    char *answer = fixture_request(fixture, door, request);
    assert_true(fixture_has(answer, first));
    if (second)
        assert_true(fixture_has(answer, second));
    free(answer);
}

static void
a_body_becomes_a_request_and_its_reply_json(void **state)
{
    struct fixture *f = *state;
    char request[1024];
    post(request, sizeof request, "/store", "X-SOS-Trace-ID: 0123456789abcdef0123456789abcdef\r\n",
         "{\"content\":\"Pishi\",\"n\":1}");
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, request);
    fixture_await_calls(f, 1);

    struct fixture_call *call = &f->calls[0];
    assert_string_equal(call->target, "service:memory");
    assert_string_equal(call->type, "memory_store");
    assert_string_equal(call->principal, "user:local");
    assert_int_equal(call->ttl_ms, 30000);
    assert_int_equal(call->flags, MESSAGE_WRITE);
    struct value map;
    struct text content;
    assert_true(value_parse(buffer_bytes(&call->payload), &map));
    assert_true(value_find_text(&map, "content", &content));
    assert_true(text_equal_string(content, "Pishi"));

    struct buffer reply = {0};
    pack_map(&reply, 1);
    pack_pair_string(&reply, "memory_id", "m1");
    fixture_reply(call, STATUS_OK, buffer_bytes(&reply));
    char *answer = fixture_read(f, client);
    assert_true(fixture_has(answer, "HTTP/1.1 200"));
    assert_true(fixture_has(answer, "{\"memory_id\":\"m1\"}"));
    assert_true(fixture_has(answer, "X-SOS-Trace-ID: 0123456789abcdef0123456789abcdef"));
    assert_true(fixture_has(answer, "X-SOS-Span-ID: "));
    assert_true(fixture_has(answer, "traceparent: 00-0123456789abcdef0123456789abcdef-"));
    assert_int_equal(memcmp(call->trace.trace_id, "\x01\x23\x45\x67", 4), 0);
    free(answer);

    fixture_send(client, request);
    fixture_await_calls(f, 2);
    fixture_reply(&f->calls[1], STATUS_OK, buffer_bytes(&reply));
    answer = fixture_read(f, client);
    assert_true(fixture_has(answer, "HTTP/1.1 200"));
    free(answer);
    buffer_clear(&reply);
    close(client);
}

static void
refusals_of_a_service_keep_status_word_and_context(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /memories/x HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 1);
    fixture_fail(&f->calls[0], STATUS_NOT_FOUND, "memory_not_found", "no memory x");
    fixture_expect(f, client, "HTTP/1.1 404",
                   "{\"ok\":false,\"detail\":\"memory_not_found\",\"error\":{\"code\":3001,"
                   "\"message\":\"no memory x\",\"detail\":\"memory_not_found\",\"context\":{}}}");
    close(client);
}

static void
unavailable_services_are_503_with_retry_after(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /memories/x HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 1);
    fixture_fail(&f->calls[0], STATUS_UNAVAILABLE, NULL, "gone");
    fixture_expect(f, client, "HTTP/1.1 503", "Retry-After: 1");
    close(client);

    f->connected = false;
    expect(f, DOOR_MEMORY, "GET /memories/x HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 503",
           "Retry-After");
    assert_int_equal(f->call_count, 1);
}

static void
paths_and_methods_that_no_contract_has_are_refused(void **state)
{
    struct fixture *f = *state;
    expect(f, DOOR_MEMORY, "GET /nowhere HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 404",
           "\"not_found\"");
    expect(f, DOOR_MEMORY, "GET /store HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405",
           "Allow: POST, OPTIONS");
    expect(f, DOOR_MEMORY, "PATCH /memories/x HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 405",
           "Allow: GET, HEAD, DELETE, OPTIONS");
    expect(f, DOOR_MEMORY, "POST /health HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n",
           "HTTP/1.1 405", "Allow: GET, HEAD, OPTIONS");
    expect(f, DOOR_MEMORY, "OPTIONS /store HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 204",
           "Allow: POST, OPTIONS");
    assert_int_equal(f->call_count, 0);
}

static void
the_unified_port_takes_door_and_service_first(void **state)
{
    struct fixture *f = *state;
    expect(f, DOORS, "GET /memory/memories/a%2Fb?limit=10 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200",
           NULL);
    struct value map;
    struct text id;
    uint64_t limit = 0;
    assert_true(value_parse(buffer_bytes(&f->calls[0].payload), &map));
    assert_true(value_find_text(&map, "id", &id));
    assert_true(text_equal_string(id, "a/b"));
    assert_true(value_find_uint(&map, "limit", &limit));
    assert_int_equal(limit, 10);
    expect(f, DOORS, "GET /store HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 404", NULL);
    expect(f, DOORS, "GET / HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 302", "Location: /docs");
    expect(f, DOORS, "GET /economy/balance/x HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 503",
           "Retry-After");
}

static void
a_door_without_contract_answers_only_health_metrics_and_version(void **state)
{
    struct fixture *f = *state;
    expect(f, DOOR_VOICE, "GET /voices HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 503", "Retry-After");
    expect(f, DOOR_VOICE, "GET /health HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200",
           "\"voice\":\"not installed\"");
    expect(f, DOOR_VOICE, "GET /metrics HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200",
           "sos_requests_total{service=\"voice\",status=\"error\"} 1");
    expect(f, DOOR_VOICE, "GET /version HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200",
           "\"service\":\"voice\"");
}

static void
bodies_that_cannot_be_read_are_400(void **state)
{
    struct fixture *f = *state;
    char request[4096];
    post(request, sizeof request, "/store", "", "{\"content\":");
    expect(f, DOOR_MEMORY, request, "HTTP/1.1 400", "\"invalid_request\"");
    post(request, sizeof request, "/store", "", "[1,2]");
    expect(f, DOOR_MEMORY, request, "HTTP/1.1 400", "expected a JSON object");
    char deep[1024];
    memset(deep, '[', 500);
    memset(deep + 500, ']', 500);
    deep[1000] = '\0';
    post(request, sizeof request, "/store", "", deep);
    expect(f, DOOR_MEMORY, request, "HTTP/1.1 400", "\"invalid_request\"");
    expect(f, DOOR_MEMORY,
           "POST /store HTTP/1.1\r\n" HOST
           "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
           "HTTP/1.1 400", "Content-Type: came");
    post(request, sizeof request, "/store", "Idempotency-Key: a b\r\n", "{}");
    expect(f, DOOR_MEMORY, request, "HTTP/1.1 400", "Idempotency-Key");
    expect(f, DOOR_MEMORY, "GET /memories/%zz HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400", NULL);
    expect(f, DOOR_MEMORY, "GET /memories/%00 HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 400", "NUL");
    assert_int_equal(f->call_count, 0);
}

static void
foreign_hosts_and_origins_are_refused(void **state)
{
    struct fixture *f = *state;
    char request[1024];
    expect(f, DOOR_MEMORY, "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n", "HTTP/1.1 403",
           "host_not_allowed");
    post(request, sizeof request, "/store", "Origin: https://evil.example\r\n",
         "{\"content\":\"x\"}");
    expect(f, DOOR_MEMORY, request, "HTTP/1.1 403", "origin_not_allowed");
    assert_int_equal(f->call_count, 0);
    post(request, sizeof request, "/store", "Origin: http://localhost:3000\r\n",
         "{\"content\":\"x\"}");
    expect(f, DOOR_MEMORY, request, "HTTP/1.1 200",
           "Access-Control-Allow-Origin: http://localhost:3000");
    expect(f, DOOR_MEMORY, "GET /health HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
           "HTTP/1.1 400", NULL);
}

static void
preflights_answer_204(void **state)
{
    struct fixture *f = *state;
    char *answer =
        fixture_request(f, DOOR_MEMORY,
                        "OPTIONS /store HTTP/1.1\r\n" HOST "Origin: tauri://localhost\r\n"
                        "Access-Control-Request-Method: POST\r\n\r\n");
    assert_true(fixture_has(answer, "HTTP/1.1 204"));
    assert_true(fixture_has(answer, "Access-Control-Allow-Origin: tauri://localhost"));
    assert_true(fixture_has(answer, "Access-Control-Allow-Methods: "));
    assert_true(fixture_has(answer, "Vary: Origin"));
    free(answer);
    answer = fixture_request(f, DOOR_MEMORY,
                             "OPTIONS /store HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n"
                             "Access-Control-Request-Method: POST\r\n\r\n");
    assert_true(fixture_has(answer, "HTTP/1.1 204"));
    assert_null(strstr(answer, "Access-Control-Allow"));
    free(answer);
}

static void
a_stream_leaves_chunk_by_chunk_and_gives_credit_back(void **state)
{
    struct fixture *f = *state;
    char request[1024];
    post(request, sizeof request, "/chat", "", "{\"message\":\"hi\",\"stream\":true}");
    int client = fixture_connect(f, DOOR_ENGINE);
    fixture_send(client, request);
    fixture_await_calls(f, 1);
    struct fixture_call *call = &f->calls[0];
    assert_int_equal(call->flags, MESSAGE_WRITE | MESSAGE_STREAM);

    fixture_chunk(call, "one");
    char *answer = fixture_read_until(f, client, "data: {\"chunk\":\"one\"}\n\n");
    assert_true(fixture_has(answer, "Content-Type: text/event-stream"));
    assert_true(fixture_has(answer, "data: {\"chunk\":\"one\"}\n\n"));
    assert_int_equal(call->granted, 1);
    free(answer);

    fixture_chunk(call, "two");
    fixture_chunk(call, "three");
    struct buffer reply = {0};
    pack_map(&reply, 1);
    pack_pair_string(&reply, "model_used", "m");
    answer = fixture_read_until(f, client, "three");
    free(answer);
    assert_int_equal(call->granted, 3);
    fixture_reply(call, STATUS_OK, buffer_bytes(&reply));
    answer = fixture_read_until(f, client, "\r\n0\r\n");
    assert_true(fixture_has(answer, "data: {\"done\":true,\"model_used\":\"m\"}\n\n"));
    free(answer);

    post(request, sizeof request, "/chat/stream", "", "{\"message\":\"hi\"}");
    fixture_send(client, request);
    fixture_await_calls(f, 2);
    fixture_chunk(&f->calls[1], "more");
    fixture_fail(&f->calls[1], STATUS_GENERATION_FAILED, NULL, "the model died");
    answer = fixture_read(f, client);
    assert_true(
        fixture_has(answer, "data: {\"error\":{\"code\":5004,\"message\":\"the model died\""));
    free(answer);
    buffer_clear(&reply);
    close(client);
}

static void
a_stream_that_fails_before_its_first_chunk_is_a_plain_error(void **state)
{
    struct fixture *f = *state;
    char request[1024];
    post(request, sizeof request, "/chat/stream", "", "{\"message\":\"hi\"}");
    int client = fixture_connect(f, DOOR_ENGINE);
    fixture_send(client, request);
    fixture_await_calls(f, 1);
    fixture_fail(&f->calls[0], STATUS_NO_MODELS, NULL, "no model");
    fixture_expect(f, client, "HTTP/1.1 503", "Content-Type: application/json");
    close(client);
}

static void
await_cancel(struct fixture *f, struct fixture_call *call)
{
    for (int i = 0; i < 200 && !call->cancelled; i++)
        fixture_pump(f);
    assert_true(call->cancelled);
}

static void
a_client_that_leaves_cancels_its_call(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /memories/x HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 1);
    close(client);
    await_cancel(f, &f->calls[0]);

    char request[1024];
    post(request, sizeof request, "/chat/stream", "", "{\"message\":\"hi\"}");
    client = fixture_connect(f, DOOR_ENGINE);
    fixture_send(client, request);
    fixture_await_calls(f, 2);
    fixture_chunk(&f->calls[1], "one");
    free(fixture_read_until(f, client, "one"));
    close(client);
    await_cancel(f, &f->calls[1]);
    fixture_pump(f);
    assert_int_equal(http_figures(f->http).connections, 0);
    assert_int_equal(http_figures(f->http).calls, 0);
    assert_int_equal(http_figures(f->http).held, 0);
}

static void
metrics_hold_the_gateways_and_the_services_text(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /metrics HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 1);
    assert_string_equal(f->calls[0].target, "service:memory");
    assert_string_equal(f->calls[0].type, "metrics");
    struct buffer reply = {0};
    pack_map(&reply, 1);
    pack_pair_string(&reply, "text",
                     "# HELP sos_requests_total x\n# TYPE sos_requests_total "
                     "counter\nsos_requests_total{a=\"1\"} 7\n"
                     "# HELP sos_memories x\n# TYPE sos_memories gauge\nsos_memories 3\n");
    fixture_reply(&f->calls[0], STATUS_OK, buffer_bytes(&reply));
    char *answer = fixture_read(f, client);
    assert_true(fixture_has(answer, "sos_requests_total{service=\"memory\",status=\"success\"} 0"));
    assert_true(fixture_has(answer, "sos_memories 3"));
    assert_null(strstr(answer, "a=\"1\""));
    free(answer);
    buffer_clear(&reply);
    close(client);
}

static void
health_follows_the_service(void **state)
{
    struct fixture *f = *state;
    expect(f, DOOR_MEMORY, "GET /health HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 503",
           "\"memory\":\"not started\"");
    front_tick(f->front, f->now.monotonic_us);
    assert_int_equal(f->health_count, 2);
    struct buffer reply = {0};
    pack_map(&reply, 3);
    pack_pair_string(&reply, "status", "ok");
    pack_pair_double(&reply, "uptime_seconds", 12.5);
    pack_text(&reply, text_of("checks"));
    pack_map(&reply, 1);
    pack_pair_string(&reply, "store", "ok");
    fixture_reply(&f->health[0], STATUS_OK, buffer_bytes(&reply));
    char *answer = fixture_request(f, DOOR_MEMORY, "GET /health HTTP/1.1\r\n" HOST "\r\n");
    assert_true(fixture_has(answer, "HTTP/1.1 200"));
    assert_true(fixture_has(answer, "\"status\":\"ok\""));
    assert_true(fixture_has(answer, "\"service\":\"memory\""));
    assert_true(fixture_has(answer, "\"uptime_seconds\":12.5"));
    assert_true(fixture_has(answer, "\"store\":\"ok\""));
    free(answer);
    expect(f, DOORS, "GET /health HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200",
           "\"status\":\"degraded\"");

    fixture_advance(f, 1000);
    front_tick(f->front, f->now.monotonic_us);
    assert_int_equal(f->health_count, 3);
    fixture_fail(&f->health[2], STATUS_TIMEOUT, NULL, "no answer in time");
    expect(f, DOOR_MEMORY, "GET /health HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 503",
           "\"status\":\"unhealthy\"");
    buffer_clear(&reply);
}

static void
head_is_get_without_a_body(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "HEAD /version HTTP/1.1\r\n" HOST "\r\n");
    char *answer = fixture_read_until(f, client, "\r\n\r\n");
    assert_true(fixture_has(answer, "HTTP/1.1 200"));
    assert_null(strstr(answer, "\"version\""));
    free(answer);
    close(client);
}

static void
documents_come_from_the_binary(void **state)
{
    struct fixture *f = *state;
    expect(f, DOORS, "GET /docs HTTP/1.1\r\n" HOST "\r\n",
           "Content-Security-Policy: ", "swagger-ui-bundle.js");
    expect(f, DOORS, "GET /openapi.json HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 200", "\"openapi\"");
    expect(f, DOORS, "GET /docs/swagger-ui.css HTTP/1.1\r\n" HOST "\r\n", "text/css", NULL);
}

static void
draining_refuses_new_work_and_ends_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /memories/x HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 1);
    int stream = fixture_connect(f, DOOR_ENGINE);
    char request[1024];
    post(request, sizeof request, "/chat/stream", "", "{\"message\":\"hi\"}");
    fixture_send(stream, request);
    fixture_await_calls(f, 2);
    fixture_chunk(&f->calls[1], "one");
    free(fixture_read_until(f, stream, "one"));

    http_stop_listening(f->http);
    http_drain(f->http);
    front_drain(f->front);
    front_end(f->front);
    char *answer = fixture_read(f, client);
    assert_true(fixture_has(answer, "HTTP/1.1 503"));
    assert_true(fixture_has(answer, "Connection: close"));
    free(answer);
    answer = fixture_read_until(f, stream, "\r\n0\r\n");
    assert_true(fixture_has(answer, "data: {\"error\":{\"code\":1003"));
    free(answer);
    assert_true(f->calls[0].cancelled && f->calls[1].cancelled);
    assert_true(fixture_is_closed(f, client));
    assert_true(fixture_is_closed(f, stream));
    close(client);
    close(stream);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_body_becomes_a_request_and_its_reply_json),
        TEST(refusals_of_a_service_keep_status_word_and_context),
        TEST(unavailable_services_are_503_with_retry_after),
        TEST(paths_and_methods_that_no_contract_has_are_refused),
        TEST(the_unified_port_takes_door_and_service_first),
        TEST(a_door_without_contract_answers_only_health_metrics_and_version),
        TEST(bodies_that_cannot_be_read_are_400),
        TEST(foreign_hosts_and_origins_are_refused),
        TEST(preflights_answer_204),
        TEST(a_stream_leaves_chunk_by_chunk_and_gives_credit_back),
        TEST(a_stream_that_fails_before_its_first_chunk_is_a_plain_error),
        TEST(a_client_that_leaves_cancels_its_call),
        TEST(metrics_hold_the_gateways_and_the_services_text),
        TEST(health_follows_the_service),
        TEST(head_is_get_without_a_body),
        TEST(documents_come_from_the_binary),
        TEST(draining_refuses_new_work_and_ends_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
