/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile clients against the HTTP server. */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int
setup_few(void **state)
{
    struct http_options options = fixture_http_options();
    options.connections_max = 4;
    options.connections_peer_max = 3;
    return fixture_setup_with(state, &options);
}

static int
setup_rate(void **state)
{
    struct http_options options = fixture_http_options();
    options.rate = 2;
    return fixture_setup_with(state, &options);
}

static int
setup_small_sum(void **state)
{
    struct http_options options = fixture_http_options();
    options.body_bytes_max = 64 * 1024;
    return fixture_setup_with(state, &options);
}

/* Sends what the server takes; gives what it did not take. */
static size_t
flood(struct fixture *f, int client, size_t bytes)
{
    char data[65536];
    memset(data, 'x', sizeof data);
    for (int idle = 0; bytes > 0 && idle < 50;) {
        size_t size = bytes < sizeof data ? bytes : sizeof data;
        ssize_t sent = send(client, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent > 0) {
            bytes -= (size_t)sent;
            idle = 0;
        } else {
            idle++;
        }
        fixture_pump(f);
    }
    return bytes;
}

static void
an_announced_body_over_the_limit_is_refused_unread(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "POST /store HTTP/1.1\r\n" HOST JSON "Content-Length: 104857600\r\n\r\n");
    fixture_expect(f, client, "HTTP/1.1 413", "\"payload_too_large\"");
    assert_int_equal(http_figures(f->http).held, 0);
    close(client);
    assert_int_equal(f->call_count, 0);
}

static void
the_refusal_reaches_a_client_that_sends_on(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "POST /store HTTP/1.1\r\n" HOST JSON "Content-Length: 104857600\r\n\r\n");
    assert_int_equal(flood(f, client, 20u * 1024 * 1024), 0);
    fixture_expect(f, client, "HTTP/1.1 413", NULL);
    close(client);
}

static void
a_chunked_body_over_the_limit_is_refused_on_the_way(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client,
                 "POST /add HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n100000\r\n");
    flood(f, client, 0x100000);
    fixture_expect(f, client, "HTTP/1.1 413", "expected at most 1000 bytes");
    close(client);
    fixture_pump(f);
    assert_int_equal(http_figures(f->http).held, 0);
    assert_int_equal(http_figures(f->http).connections, 0);
}

static void
a_chunked_body_within_the_limit_is_read(void **state)
{
    struct fixture *f = *state;
    char *answer =
        fixture_request(f, DOOR_MEMORY,
                        "POST /add HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\n"
                        "3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n");
    assert_true(fixture_has(answer, "HTTP/1.1 200"));
    free(answer);
    assert_int_equal(f->call_count, 1);
}

static void
a_header_byte_by_byte_ends_at_its_deadline(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    const char *request = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    fixture_pump(f);
    for (int i = 0; i < 9; i++) {
        char byte[2] = {request[i], 0};
        fixture_send(client, byte);
        fixture_advance(f, 1000);
        assert_int_equal(http_figures(f->http).expired, 0);
    }
    fixture_advance(f, 1100);
    fixture_expect(f, client, "HTTP/1.1 408", "request_timeout");
    assert_true(fixture_is_closed(f, client));
    assert_int_equal(http_figures(f->http).connections, 0);
    close(client);
}

static void
a_later_header_has_its_own_deadline(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /version HTTP/1.1\r\n" HOST "\r\n");
    fixture_expect(f, client, "HTTP/1.1 200", NULL);
    fixture_advance(f, 30000);
    fixture_send(client, "GET /version HTTP/1.1\r\n");
    fixture_pump(f);
    fixture_advance(f, 9000);
    assert_int_equal(http_figures(f->http).expired, 0);
    fixture_send(client, "Host: local");
    fixture_advance(f, 1100);
    fixture_expect(f, client, "HTTP/1.1 408", "request_timeout");
    close(client);
}

static void
a_body_byte_by_byte_ends_at_its_deadline(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "POST /store HTTP/1.1\r\n" HOST JSON "Content-Length: 1000\r\n\r\n");
    fixture_pump(f);
    for (int i = 0; i < 29; i++) {
        fixture_send(client, "x");
        fixture_advance(f, 1000);
        assert_int_equal(http_figures(f->http).expired, 0);
    }
    fixture_advance(f, 1100);
    fixture_expect(f, client, "HTTP/1.1 408", "request_timeout");
    assert_true(fixture_is_closed(f, client));
    assert_int_equal(http_figures(f->http).held, 0);
    close(client);
}

static void
an_idle_connection_leaves_after_its_time(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /version HTTP/1.1\r\n" HOST "\r\n");
    fixture_expect(f, client, "HTTP/1.1 200", NULL);
    fixture_advance(f, 59000);
    assert_int_equal(http_figures(f->http).connections, 1);
    fixture_advance(f, 1100);
    assert_true(fixture_is_closed(f, client));
    close(client);
}

static void
silent_connections_give_way_to_new_ones(void **state)
{
    struct fixture *f = *state;
    int silent[20];
    for (size_t i = 0; i < 20; i++) {
        silent[i] = fixture_connect(f, DOOR_MEMORY);
        fixture_pump(f);
    }
    assert_true(http_figures(f->http).connections <= 4);
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /version HTTP/1.1\r\n" HOST "\r\n");
    fixture_expect(f, client, "HTTP/1.1 200", NULL);
    assert_true(http_figures(f->http).evicted >= 17);
    close(client);
    for (size_t i = 0; i < 20; i++)
        close(silent[i]);
    fixture_pump(f);
    assert_int_equal(http_figures(f->http).connections, 0);
}

static void
busy_connections_do_not_give_way(void **state)
{
    struct fixture *f = *state;
    int busy[3];
    for (size_t i = 0; i < 3; i++) {
        busy[i] = fixture_connect(f, DOOR_MEMORY);
        fixture_send(busy[i], "GET /memories/x HTTP/1.1\r\n" HOST "\r\n");
        fixture_await_calls(f, i + 1);
    }
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_expect(f, client, "HTTP/1.1 503", "service_busy");
    close(client);
    assert_int_equal(http_figures(f->http).refused, 1);
    for (size_t i = 0; i < 3; i++) {
        fixture_reply(&f->calls[i], STATUS_OK, (struct bytes){0});
        fixture_expect(f, busy[i], "HTTP/1.1 200", NULL);
        close(busy[i]);
    }
}

static void
more_requests_than_the_rate_are_429(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    for (int i = 0; i < 2; i++) {
        fixture_send(client, "GET /version HTTP/1.1\r\n" HOST "\r\n");
        fixture_expect(f, client, "HTTP/1.1 200", NULL);
    }
    fixture_send(client, "GET /version HTTP/1.1\r\n" HOST "\r\n");
    fixture_expect(f, client, "HTTP/1.1 429", "Retry-After: 31");
    fixture_advance(f, 31000);
    fixture_send(client, "GET /version HTTP/1.1\r\n" HOST "\r\n");
    fixture_expect(f, client, "HTTP/1.1 200", NULL);
    close(client);
}

static void
the_sum_of_bodies_is_bounded(void **state)
{
    struct fixture *f = *state;
    int first = fixture_connect(f, DOOR_MEMORY);
    fixture_send(first, "POST /store HTTP/1.1\r\n" HOST JSON "Content-Length: 60001\r\n\r\n");
    flood(f, first, 60000);
    assert_int_equal(http_figures(f->http).held, 60000);
    int second = fixture_connect(f, DOOR_MEMORY);
    fixture_send(second, "POST /store HTTP/1.1\r\n" HOST JSON "Content-Length: 60000\r\n\r\n");
    flood(f, second, 60000);
    fixture_expect(f, second, "HTTP/1.1 503", "service_busy");
    close(second);
    close(first);
    fixture_pump(f);
    fixture_pump(f);
    assert_int_equal(http_figures(f->http).held, 0);
}

static void
a_client_that_does_not_read_gets_no_credit_and_no_unbounded_memory(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_ENGINE);
    int small = 4096;
    setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    fixture_send(client, "POST /chat/stream HTTP/1.1\r\n" HOST JSON
                         "Content-Length: 16\r\n\r\n{\"message\":\"hi\"}");
    fixture_await_calls(f, 1);
    char *piece = malloc(60001);
    assert_non_null(piece);
    memset(piece, 'y', 60000);
    piece[60000] = '\0';
    unsigned sent = 0;
    /* A well-behaved service sends only on credit: 32 chunks, then what comes back. */
    for (int i = 0; i < 500 && !f->calls[0].cancelled; i++) {
        if (sent < 32 + f->calls[0].granted) {
            fixture_chunk(&f->calls[0], piece);
            sent++;
        }
        fixture_pump(f);
    }
    assert_true(http_figures(f->http).held <= 4 * 1024 * 1024);
    assert_true(sent < 200);
    fixture_advance(f, 31000);
    assert_true(f->calls[0].cancelled);
    assert_int_equal(http_figures(f->http).held, 0);
    free(piece);
    close(client);
}

static void
requests_in_one_packet_are_answered_in_order(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client,
                 "GET /version HTTP/1.1\r\n" HOST "\r\nGET /nowhere HTTP/1.1\r\n" HOST "\r\n");
    char *answer = fixture_read_until(f, client, "not_found");
    const char *first = strstr(answer, "HTTP/1.1 200");
    const char *second = strstr(answer, "HTTP/1.1 404");
    assert_non_null(first);
    assert_non_null(second);
    assert_true(first < second);
    free(answer);
    close(client);
}

static void
malformed_requests_do_not_stop_the_server(void **state)
{
    struct fixture *f = *state;
    static const char *const requests[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /health\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01garbage\r\n\r\n",
        "GET /health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/9.9\r\nHost: x\r\n\r\n",
        "POST /store HTTP/1.1\r\n" HOST JSON "Content-Length: -5\r\n\r\n",
        "POST /store HTTP/1.1\r\n" HOST JSON "Content-Length: 99999999999999999999\r\n\r\n",
        "POST /store HTTP/1.1\r\n" HOST JSON "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET http://evil.example/ HTTP/1.1\r\n" HOST "\r\n",
        "GET * HTTP/1.1\r\n" HOST "\r\n",
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int client = fixture_connect(f, DOOR_MEMORY);
        fixture_send(client, requests[i]);
        for (int round = 0; round < 5; round++)
            fixture_pump(f);
        close(client);
        fixture_pump(f);
    }
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /version HTTP/1.1\r\n" HOST "\r\n");
    fixture_expect(f, client, "HTTP/1.1 200", NULL);
    close(client);
    assert_int_equal(f->call_count, 0);
}

static void
closing_with_calls_under_way_frees_everything(void **state)
{
    struct fixture *f = *state;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /memories/x HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 1);
    int half = fixture_connect(f, DOOR_MEMORY);
    fixture_send(half, "POST /store HTTP/1.1\r\n" HOST JSON "Content-Length: 100\r\n\r\n{");
    fixture_pump(f);
    http_close(&f->http);
    assert_true(f->calls[0].cancelled);
    close(client);
    close(half);
}

static void
an_answer_leaves_without_waiting_for_the_next_event(void **state)
{
    struct fixture *f = *state;
    struct timespec before;
    struct timespec after;
    int client = fixture_connect(f, DOOR_MEMORY);
    fixture_send(client, "GET /memories/x HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 1);
    fixture_reply(&f->calls[0], STATUS_OK, (struct bytes){0});
    clock_gettime(CLOCK_MONOTONIC, &before);
    http_wait(f->http, 5000);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 4);
    fixture_expect(f, client, "HTTP/1.1 200", NULL);
    close(client);
}

#define TEST(name, open) cmocka_unit_test_setup_teardown(name, open, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_announced_body_over_the_limit_is_refused_unread, fixture_setup),
        TEST(the_refusal_reaches_a_client_that_sends_on, fixture_setup),
        TEST(a_chunked_body_over_the_limit_is_refused_on_the_way, fixture_setup),
        TEST(a_chunked_body_within_the_limit_is_read, fixture_setup),
        TEST(a_header_byte_by_byte_ends_at_its_deadline, fixture_setup),
        TEST(a_later_header_has_its_own_deadline, fixture_setup),
        TEST(a_body_byte_by_byte_ends_at_its_deadline, fixture_setup),
        TEST(an_idle_connection_leaves_after_its_time, fixture_setup),
        TEST(silent_connections_give_way_to_new_ones, setup_few),
        TEST(busy_connections_do_not_give_way, setup_few),
        TEST(more_requests_than_the_rate_are_429, setup_rate),
        TEST(the_sum_of_bodies_is_bounded, setup_small_sum),
        TEST(a_client_that_does_not_read_gets_no_credit_and_no_unbounded_memory, fixture_setup),
        TEST(requests_in_one_packet_are_answered_in_order, fixture_setup),
        TEST(malformed_requests_do_not_stop_the_server, fixture_setup),
        TEST(closing_with_calls_under_way_frees_everything, fixture_setup),
        TEST(an_answer_leaves_without_waiting_for_the_next_event, fixture_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
