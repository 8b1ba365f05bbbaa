/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "actors/runtime/fetch.h"

/* ---- a server on a free port: one connection after the other, the path says what it does */

struct server {
    pthread_t thread;
    int listener;
    uint16_t port;
    char request[4096]; /* the last one; read after its answer has come */
};

static const char *
body_of(const char *path)
{
    if (strcmp(path, "/ok") == 0)
        return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    if (strcmp(path, "/missing") == 0)
        return "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope";
    if (strcmp(path, "/moved") == 0)
        return "HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\nConnection: "
               "close\r\n\r\n";
    if (strcmp(path, "/half") == 0)
        return "HTTP/1.1 200 OK\r\nContent-Length: 50\r\nConnection: close\r\n\r\nhalf";
    return "this is not HTTP\r\n\r\n";
}

static void
say(int client, const char *text)
{
    send(client, text, strlen(text), MSG_NOSIGNAL);
}

static void
serve(struct server *server, int client)
{
    size_t size = 0;
    server->request[0] = '\0';
    while (!strstr(server->request, "\r\n\r\n") && size < sizeof server->request - 1) {
        ssize_t got = recv(client, server->request + size, sizeof server->request - 1 - size, 0);
        if (got <= 0)
            return;
        size += (size_t)got;
        server->request[size] = '\0';
    }
    char path[64] = "", method[16] = "", byte;
    sscanf(server->request, "%15s %63s", method, path);
    if (strcmp(path, "/stream") == 0) {
        say(client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        recv(client, &byte, 1, MSG_DONTWAIT);
        say(client, "3\r\ntwo\r\n");
        say(client, "0\r\n\r\n");
    } else if (strcmp(path, "/silent") == 0) {
        while (recv(client, &byte, 1, 0) > 0) /* until the client goes */
            ;
    } else if (strcmp(path, "/begun") == 0) {
        say(client, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
        while (recv(client, &byte, 1, 0) > 0)
            ;
    } else {
        say(client, body_of(path));
    }
}

static void *
run_server(void *context)
{
    struct server *server = context;
    int client;
    while ((client = accept(server->listener, NULL, NULL)) >= 0) {
        serve(server, client);
        close(client);
    }
    return NULL;
}

/* ---- the fixture */

struct fixture {
    struct server server;
    struct fetcher *fetcher;
    struct transfer *transfer;
    char url[128];
    char pieces[256];
    char body[256];
    size_t piece_count;
    int done;
    enum status status;
    long http_status;
    struct error error;
    bool abort_at_piece;
};

static void
on_data(void *context, void *handle, long http_status, struct bytes piece)
{
    struct fixture *f = context;
    assert_ptr_equal(handle, f);
    assert_int_equal(http_status, 200);
    f->piece_count++;
    strncat(f->pieces, (const char *)piece.data, piece.size);
    if (f->abort_at_piece) {
        fetch_abort(f->fetcher, f->transfer);
        f->done = -1;
    }
}

static void
on_done(void *context, void *handle, enum status status, const struct error *error,
        long http_status, struct bytes body)
{
    struct fixture *f = context;
    assert_ptr_equal(handle, f);
    f->done++;
    f->status = status;
    f->error = *error;
    f->http_status = http_status;
    snprintf(f->body, sizeof f->body, "%.*s", (int)body.size, (const char *)body.data);
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct error error = ERROR_INIT;
    f->server.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(f->server.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(f->server.listener, 16), 0);
    getsockname(f->server.listener, (struct sockaddr *)&address, &size);
    f->server.port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&f->server.thread, NULL, run_server, &f->server), 0);
    const struct fetch_callbacks callbacks = {on_data, on_done, f};
    assert_int_equal(fetch_open(&f->fetcher, &callbacks, &error), STATUS_OK);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    fetch_close(&f->fetcher);
    shutdown(f->server.listener, SHUT_RDWR);
    pthread_join(f->server.thread, NULL);
    close(f->server.listener);
    free(f);
    return 0;
}

static uint64_t
monotonic_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_nsec / 1000;
}

static struct outcome_http
request_for(struct fixture *f, const char *path)
{
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u%s", f->server.port, path);
    return (struct outcome_http){
        .method = "GET", .url = f->url, .timeout_ms = 10000, .answer_max = 1000};
}

static void
start(struct fixture *f, const struct outcome_http *request)
{
    struct error error = ERROR_INIT;
    assert_int_equal(fetch_start(f->fetcher, request, f, &f->transfer, &error), STATUS_OK);
}

static void
finish(struct fixture *f)
{
    while (!f->done) {
        zmq_pollitem_t items[FETCH_POLL_ITEMS_MAX];
        size_t count = fetch_poll_items(f->fetcher, items);
        uint64_t now_us = monotonic_us(), due_us = fetch_deadline_us(f->fetcher);
        long wait_ms = due_us == UINT64_MAX ? -1
                       : due_us <= now_us   ? 0
                                            : (long)((due_us - now_us + 999) / 1000);
        zmq_poll(items, (int)count, wait_ms);
        fetch_process(f->fetcher, items, count, monotonic_us());
    }
}

static void
get(struct fixture *f, const char *path)
{
    struct outcome_http request = request_for(f, path);
    start(f, &request);
    finish(f);
}

/* ---- tests */

static void
an_answer_comes_whole(void **state)
{
    struct fixture *f = *state;
    get(f, "/ok");
    assert_int_equal(f->status, STATUS_OK);
    assert_int_equal(f->http_status, 200);
    assert_string_equal(f->body, "hello");
    assert_int_equal(f->piece_count, 0);
}

static void
method_headers_and_body_are_sent_as_given(void **state)
{
    struct fixture *f = *state;
    static const char *const headers[] = {"Authorization: Bearer key", "X-A: b", NULL};
    struct outcome_http request = request_for(f, "/ok");
    request.method = "POST";
    request.headers = headers;
    request.body = (struct bytes){(const uint8_t *)"a\0b", 3};
    start(f, &request);
    finish(f);
    assert_int_equal(f->status, STATUS_OK);
    assert_int_equal(strncmp(f->server.request, "POST /ok ", 9), 0);
    assert_non_null(strstr(f->server.request, "Authorization: Bearer key\r\n"));
    assert_non_null(strstr(f->server.request, "X-A: b\r\n"));
    assert_non_null(strstr(f->server.request, "Content-Length: 3\r\n"));
    assert_null(strstr(f->server.request, "Expect"));
}

static void
pieces_come_as_they_arrive(void **state)
{
    struct fixture *f = *state;
    struct outcome_http request = request_for(f, "/stream");
    request.stream = true;
    start(f, &request);
    finish(f);
    assert_int_equal(f->status, STATUS_OK);
    assert_string_equal(f->pieces, "onetwo");
    assert_string_equal(f->body, "");
}

static void
the_body_of_a_refusal_is_not_streamed(void **state)
{
    struct fixture *f = *state;
    struct outcome_http request = request_for(f, "/missing");
    request.stream = true;
    start(f, &request);
    finish(f);
    assert_int_equal(f->status, STATUS_OK);
    assert_int_equal(f->http_status, 404);
    assert_string_equal(f->body, "nope");
    assert_int_equal(f->piece_count, 0);
}

static void
a_redirect_is_an_answer(void **state)
{
    struct fixture *f = *state;
    get(f, "/moved");
    assert_int_equal(f->status, STATUS_OK);
    assert_int_equal(f->http_status, 302);
}

static void
an_answer_beyond_its_bound_is_cut(void **state)
{
    struct fixture *f = *state;
    struct outcome_http request = request_for(f, "/ok");
    request.answer_max = 4;
    start(f, &request);
    finish(f);
    assert_int_equal(f->status, STATUS_TOO_LARGE);
}

static void
a_server_that_breaks_off_is_a_bad_gateway(void **state)
{
    struct fixture *f = *state;
    get(f, "/half");
    assert_int_equal(f->status, STATUS_BAD_GATEWAY);
    f->done = 0;
    get(f, "/nonsense");
    assert_int_equal(f->status, STATUS_BAD_GATEWAY);
    assert_true(f->error.message[0] != '\0');
}

static void
a_silent_server_times_out(void **state)
{
    struct fixture *f = *state;
    struct outcome_http request = request_for(f, "/silent");
    request.timeout_ms = 50;
    start(f, &request);
    finish(f);
    assert_int_equal(f->status, STATUS_TIMEOUT);
}

static void
a_port_where_nobody_listens_is_unavailable(void **state)
{
    struct fixture *f = *state;
    struct outcome_http request = request_for(f, "/ok");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int bound = socket(AF_INET, SOCK_STREAM, 0); /* bound, not listening: refused for sure */
    assert_int_equal(bind(bound, (struct sockaddr *)&address, sizeof address), 0);
    getsockname(bound, (struct sockaddr *)&address, &size);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
    start(f, &request);
    finish(f);
    assert_int_equal(f->status, STATUS_UNAVAILABLE);
    close(bound);
}

static void
other_schemes_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const urls[] = {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://x/", ""};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct outcome_http request = request_for(f, "/ok");
        struct error error = ERROR_INIT;
        request.url = urls[i];
        assert_int_equal(fetch_start(f->fetcher, &request, f, &f->transfer, &error),
                         STATUS_INVALID);
    }
}

static void
transfers_at_once_are_bounded_and_an_abort_makes_room(void **state)
{
    struct fixture *f = *state;
    struct outcome_http request = request_for(f, "/silent");
    struct error error = ERROR_INIT;
    struct transfer *first = NULL;
    for (int i = 0; i < FETCH_TRANSFERS_MAX; i++) {
        start(f, &request);
        if (!first)
            first = f->transfer;
    }
    assert_int_equal(fetch_start(f->fetcher, &request, f, &f->transfer, &error), STATUS_BUSY);
    fetch_abort(f->fetcher, first);
    start(f, &request);
    assert_int_equal(f->done, 0);
}

static void
a_transfer_may_be_aborted_from_its_own_piece(void **state)
{
    struct fixture *f = *state;
    f->abort_at_piece = true;
    struct outcome_http request = request_for(f, "/begun");
    request.stream = true;
    start(f, &request);
    finish(f);
    assert_int_equal(f->done, -1);
    assert_string_equal(f->pieces, "one");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_whole),
        TEST(method_headers_and_body_are_sent_as_given),
        TEST(pieces_come_as_they_arrive),
        TEST(the_body_of_a_refusal_is_not_streamed),
        TEST(a_redirect_is_an_answer),
        TEST(an_answer_beyond_its_bound_is_cut),
        TEST(a_server_that_breaks_off_is_a_bad_gateway),
        TEST(a_silent_server_times_out),
        TEST(a_port_where_nobody_listens_is_unavailable),
        TEST(other_schemes_are_refused),
        TEST(transfers_at_once_are_bounded_and_an_abort_makes_room),
        TEST(a_transfer_may_be_aborted_from_its_own_piece),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
