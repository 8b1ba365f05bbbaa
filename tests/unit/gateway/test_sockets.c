/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fixture.h"

#define UPGRADE                                                                                    \
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                   \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define NERVOUS "GET /ws/nervous-system/agent%3Aa HTTP/1.1\r\n" HOST

enum { PUMPS_MAX = 300, IN_SIZE = 65536 };

/* A WebSocket client whose server shares its thread. */
struct client {
    struct fixture *f;
    int descriptor;
    uint8_t in[IN_SIZE];
    size_t size;
    bool closed;
};

static void
turn(struct fixture *f)
{
    front_tick(f->front, f->now.monotonic_us);
    fixture_pump(f);
}

static void
take(struct client *client)
{
    while (client->size < IN_SIZE) {
        ssize_t size = recv(client->descriptor, client->in + client->size, IN_SIZE - client->size,
                            MSG_DONTWAIT);
        if (size == 0)
            client->closed = true;
        if (size <= 0)
            return;
        client->size += (size_t)size;
    }
}

/* Opens one whose handshake was answered; its first two calls are the stream and its probe. */
static struct client *
open_client(struct fixture *f, const char *handshake)
{
    struct client *client = calloc(1, sizeof *client);
    size_t calls = f->call_count;
    assert_non_null(client);
    client->f = f;
    client->descriptor = fixture_connect(f, DOOR_ENGINE);
    int on = 1;
    setsockopt(client->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fixture_send(client->descriptor, handshake);
    static const char end[] = "\r\n\r\n";
    for (int i = 0; i < PUMPS_MAX && f->call_count == calls; i++)
        turn(f);
    assert_int_equal(f->call_count, calls + 2);
    take(client);
    uint8_t *rest = memmem(client->in, client->size, end, 4);
    assert_non_null(rest);
    assert_memory_equal(client->in, "HTTP/1.1 101 ", 13);
    assert_non_null(
        memmem(client->in, client->size, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 50));
    size_t used = (size_t)(rest + 4 - client->in);
    client->size -= used;
    memmove(client->in, client->in + used, client->size);
    return client;
}

static struct client *
open_nervous(struct fixture *f)
{
    return open_client(f, NERVOUS UPGRADE "\r\n");
}

static void
end_client(struct client *client)
{
    close(client->descriptor);
    for (int i = 0; i < PUMPS_MAX && http_figures(client->f->http).connections > 0; i++)
        turn(client->f);
    assert_int_equal(http_figures(client->f->http).connections, 0);
    assert_int_equal(http_figures(client->f->http).calls, 0);
    assert_int_equal(http_figures(client->f->http).held, 0);
    free(client);
}

/* A frame with a mask of zeros. */
static void
send_text(struct client *client, const char *text)
{
    uint8_t frame[256] = {0x81, (uint8_t)(0x80 | strlen(text))};
    assert_true(strlen(text) < 126);
    memcpy(frame + 6, text, strlen(text));
    assert_int_equal(send(client->descriptor, frame, 6 + strlen(text), MSG_NOSIGNAL),
                     (ssize_t)(6 + strlen(text)));
}

/* Takes the next frame, which must be short: its payload as text. */
static char *
next_frame(struct client *client, unsigned first)
{
    for (int i = 0; i < PUMPS_MAX && client->size < 2; i++) {
        turn(client->f);
        take(client);
    }
    assert_true(client->size >= 2);
    assert_int_equal(client->in[0], first);
    size_t head = client->in[1] == 126 ? 4 : 2;
    size_t size = head == 4 ? (size_t)client->in[2] << 8 | client->in[3] : client->in[1];
    assert_true(client->size >= head + size);
    char *text = strndup((char *)client->in + head, size);
    if (first == 0x88)
        memmove(text, text + 2, size - 1);
    client->size -= head + size;
    memmove(client->in, client->in + head + size, client->size);
    return text;
}

static void
expect_text(struct client *client, const char *expected)
{
    char *text = next_frame(client, 0x81);
    assert_string_equal(text, expected);
    free(text);
}

static void
expect_close(struct client *client, unsigned code, const char *reason)
{
    for (int i = 0; i < PUMPS_MAX && client->size < 4; i++) {
        turn(client->f);
        take(client);
    }
    assert_int_equal(client->in[2] << 8 | client->in[3], code);
    size_t size = (size_t)client->in[1] - 2;
    assert_int_equal(size, strlen(reason));
    assert_memory_equal(client->in + 4, reason, size);
    for (int i = 0; i < PUMPS_MAX && !client->closed; i++) {
        turn(client->f);
        take(client);
    }
    assert_true(client->closed);
}

static void
await_cancel(struct fixture *f, const struct fixture_call *call)
{
    for (int i = 0; i < PUMPS_MAX && !call->cancelled; i++)
        turn(f);
    assert_true(call->cancelled);
}

static void
send_chunk(struct fixture_call *call, const char *member, const char *text, size_t size)
{
    struct buffer payload = {0};
    pack_map(&payload, 1);
    pack_string(&payload, member);
    pack_array(&payload, 1);
    pack_map(&payload, 1);
    pack_pair_text(&payload, "payload", (struct text){text, size});
    struct message chunk = {.kind = KIND_CHUNK,
                            .correlation = call->id,
                            .seq = call->seq++,
                            .payload = buffer_bytes(&payload)};
    call->on_chunk(call->context, &chunk);
    buffer_clear(&payload);
}

/* ---- the handshake */

static void
refused(struct fixture *f, int door, const char *request, const char *status, const char *word)
{
    int client = fixture_connect(f, door);
    fixture_send(client, request);
    fixture_expect(f, client, status, word);
    close(client);
    assert_int_equal(f->call_count, 0);
}

static void
a_get_that_asks_for_no_websocket_is_told_how(void **state)
{
    struct fixture *f = *state;
    refused(f, DOOR_ENGINE, NERVOUS "\r\n", "HTTP/1.1 426 ", "Sec-WebSocket-Version: 13\r\n");
    refused(f, DOORS, "GET /ws/tap HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 426 ",
            "Upgrade: websocket\r\n");
    refused(f, DOOR_ENGINE,
            NERVOUS "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: short\r\n\r\n",
            "HTTP/1.1 400 ", "Sec-WebSocket-Key");
    refused(f, DOOR_ENGINE, NERVOUS UPGRADE "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            "HTTP/1.1 400 ", "came more than once");
}

static void
websockets_stand_at_the_engine_and_on_the_unified_port_alone(void **state)
{
    struct fixture *f = *state;
    refused(f, DOOR_MEMORY, NERVOUS UPGRADE "\r\n", "HTTP/1.1 404 ", "not_found");
    refused(f, DOOR_ENGINE, "GET /ws/other HTTP/1.1\r\n" HOST UPGRADE "\r\n", "HTTP/1.1 404 ",
            NULL);
    refused(f, DOOR_ENGINE, "GET /ws/nervous-system/ HTTP/1.1\r\n" HOST UPGRADE "\r\n",
            "HTTP/1.1 404 ", NULL);
    refused(f, DOORS, "GET /memory/ws/tap HTTP/1.1\r\n" HOST UPGRADE "\r\n", "HTTP/1.1 404 ", NULL);
    refused(f, DOORS, "GET /engine/ws/tap HTTP/1.1\r\n" HOST "\r\n", "HTTP/1.1 426 ", NULL);
}

static void
a_page_of_a_foreign_origin_opens_none(void **state)
{
    struct fixture *f = *state;
    refused(f, DOOR_ENGINE, NERVOUS UPGRADE "Origin: https://evil.example\r\n\r\n", "HTTP/1.1 403 ",
            "origin_not_allowed");
    refused(f, DOOR_ENGINE, NERVOUS UPGRADE "Origin: null\r\n\r\n", "HTTP/1.1 403 ",
            "origin_not_allowed");
    end_client(open_client(f, NERVOUS UPGRADE "Origin: http://localhost:3000\r\n\r\n"));
}

static void
a_capability_that_cannot_be_read_is_refused_before_the_upgrade(void **state)
{
    refused(*state, DOOR_ENGINE, NERVOUS UPGRADE "X-SOS-Capability: {\"id\":1}\r\n\r\n",
            "HTTP/1.1 400 ", "invalid_capability");
}

static void
without_the_broker_none_is_opened(void **state)
{
    struct fixture *f = *state;
    f->connected = false;
    refused(f, DOOR_ENGINE, NERVOUS UPGRADE "\r\n", "HTTP/1.1 503 ", "service_unavailable");
}

static void
no_more_are_opened_than_are_allowed(void **state)
{
    struct fixture *f = *state;
    struct client *clients[FIXTURE_STREAMS_MAX];
    for (size_t i = 0; i < FIXTURE_STREAMS_MAX; i++)
        clients[i] = open_nervous(f);
    int one_more = fixture_connect(f, DOOR_ENGINE);
    fixture_send(one_more, NERVOUS UPGRADE "\r\n");
    fixture_expect(f, one_more, "HTTP/1.1 503 ", "service_busy");
    fixture_send(one_more, "GET /bus/listen/agent%3Aa HTTP/1.1\r\n" HOST "\r\n");
    fixture_expect(f, one_more, "HTTP/1.1 503 ", "service_busy");
    close(one_more);
    for (size_t i = 1; i < FIXTURE_STREAMS_MAX; i++) {
        close(clients[i]->descriptor);
        await_cancel(f, &f->calls[2 * i]);
        free(clients[i]);
    }
    end_client(clients[0]);
    end_client(open_nervous(f));
}

/* ---- messages */

static void
messages_go_both_ways(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    assert_string_equal(f->calls[0].type, "bus_listen");
    fixture_reply(&f->calls[1], STATUS_OK, (struct bytes){0});
    expect_text(client, "{\"kind\":\"ready\",\"of\":\"listen\"}");
    send_text(client, "{\"ref\":1,\"publish\":{\"channel\":\"agent:a:x\"}}");
    for (int i = 0; i < PUMPS_MAX && f->call_count < 3; i++)
        turn(f);
    assert_string_equal(f->calls[2].type, "bus_publish");
    fixture_reply(&f->calls[2], STATUS_OK, (struct bytes){0});
    expect_text(client, "{\"kind\":\"result\",\"of\":\"publish\",\"ref\":1,\"result\":{}}");
    send_chunk(&f->calls[0], "mail", "hi", 2);
    assert_int_equal(f->calls[0].granted, 0);
    expect_text(client, "{\"kind\":\"mail\",\"payload\":\"hi\"}");
    assert_int_equal(f->calls[0].granted, 1);
    end_client(client);
    assert_true(f->calls[0].cancelled);
}

static void
frames_that_came_with_the_handshake_are_not_lost(void **state)
{
    struct fixture *f = *state;
    struct client *client =
        open_client(f, NERVOUS UPGRADE "\r\n\x81\x82\x01\x01\x01\x01\x7a\x7c"); /* "{}" */
    char *text = next_frame(client, 0x81);
    assert_non_null(strstr(text, "\"of\":\"message\""));
    free(text);
    end_client(client);
}

static void
an_error_is_said_before_the_close(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    fixture_fail(&f->calls[0], STATUS_UNKNOWN_OUTCOME, NULL, "lost");
    char *text = next_frame(client, 0x81);
    assert_non_null(strstr(text, "unknown_outcome"));
    free(text);
    expect_close(client, 1012, "unknown_outcome");
    end_client(client);
}

static void
a_client_whose_calls_are_not_answered_is_not_read(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    for (int i = 0; i < 32; i++)
        send_text(client, "{\"publish\":{\"channel\":\"agent:a:x\"}}");
    for (int i = 0; i < PUMPS_MAX && f->call_count < 34; i++)
        turn(f);
    send_text(client, "{\"publish\":{\"channel\":\"agent:a:y\"}}");
    for (int i = 0; i < 20; i++)
        turn(f);
    assert_int_equal(f->call_count, 34);
    fixture_reply(&f->calls[2], STATUS_OK, (struct bytes){0});
    for (int i = 0; i < PUMPS_MAX && f->call_count < 35; i++)
        turn(f);
    assert_int_equal(f->call_count, 35);
    end_client(client);
}

/* ---- time, space and ends */

static void
a_quiet_client_is_asked_and_then_cut(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    fixture_advance(f, 29900);
    take(client);
    assert_int_equal(client->size, 0);
    fixture_advance(f, 200);
    free(next_frame(client, 0x89));
    assert_int_equal(send(client->descriptor, "\x8a\x80\0\0\0\0", 6, MSG_NOSIGNAL), 6);
    turn(f);
    fixture_advance(f, 29900);
    fixture_advance(f, 200);
    free(next_frame(client, 0x89));
    fixture_advance(f, 29900);
    assert_false(f->calls[0].cancelled);
    fixture_advance(f, 200);
    await_cancel(f, &f->calls[0]);
    end_client(client);
}

static void
a_message_that_drips_is_cut_after_its_time(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    assert_int_equal(send(client->descriptor, "\x81\xfe\x01\x00\0\0\0\0", 8, MSG_NOSIGNAL), 8);
    for (int i = 0; i < 29; i++) {
        assert_int_equal(send(client->descriptor, "x", 1, MSG_NOSIGNAL), 1);
        turn(f);
        fixture_advance(f, 1000);
    }
    assert_false(f->calls[0].cancelled);
    fixture_advance(f, 1500);
    expect_close(client, 1008, "the message did not come in time");
    await_cancel(f, &f->calls[0]);
    end_client(client);
}

static void
a_feed_that_gets_no_capability_is_closed(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    fixture_fail(&f->calls[0], STATUS_CAPABILITY_MISSING, NULL, "needs one");
    free(next_frame(client, 0x81));
    for (int i = 0; i < 31; i++) {
        send_text(client, "{}");
        free(next_frame(client, 0x81));
        if (i < 29)
            fixture_advance(f, 1000);
    }
    fixture_advance(f, 1500);
    expect_close(client, 1008, "no capability came in time");
    end_client(client);
}

static void
a_client_that_never_reads_gets_no_credit_and_is_cut(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    size_t size = 60000;
    char *text = calloc(1, size);
    assert_non_null(text);
    memset(text, 'x', size);
    /* More than the sockets take. */
    for (int i = 0; i < 1000; i++) {
        f->calls[0].granted = 0;
        send_chunk(&f->calls[0], "mail", text, size);
        turn(f);
        if (f->calls[0].granted == 0 && http_figures(f->http).held > 4 * size)
            break;
    }
    free(text);
    assert_false(f->calls[0].cancelled);
    assert_int_equal(f->calls[0].granted, 0);
    assert_true(http_figures(f->http).held > 4 * size);
    fixture_advance(f, 31000);
    await_cancel(f, &f->calls[0]);
    assert_int_equal(http_figures(f->http).held, 0);
    end_client(client);
}

static void
what_cannot_be_held_ends_the_socket(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    size_t size = 1024 * 1024;
    char *text = calloc(1, size);
    assert_non_null(text);
    memset(text, 'x', size);
    for (int i = 0; i < 64 && !f->calls[0].cancelled; i++)
        send_chunk(&f->calls[0], "mail", text, size);
    free(text);
    assert_true(f->calls[0].cancelled);
    assert_true(http_figures(f->http).held <= 4 * 1024 * 1024);
    turn(f);
    end_client(client);
}

static void
a_reset_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    struct linger linger = {1, 0};
    setsockopt(client->descriptor, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    send_text(client, "{\"ref\":1,\"publish\":{\"channel\":\"agent:a:x\"}}");
    for (int i = 0; i < PUMPS_MAX && f->call_count < 3; i++)
        turn(f);
    end_client(client);
    assert_true(f->calls[0].cancelled);
    assert_true(f->calls[1].cancelled);
    assert_true(f->calls[2].cancelled);
}

static void
a_client_that_closes_is_answered(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    assert_int_equal(send(client->descriptor, "\x88\x82\0\0\0\0\x03\xe8", 8, MSG_NOSIGNAL), 8);
    expect_close(client, 1000, "");
    assert_true(f->calls[0].cancelled);
    end_client(client);
}

static void
draining_closes_sockets_and_endless_streams(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    int events = fixture_connect(f, DOORS);
    fixture_send(events, "GET /bus/listen/agent%3Aa HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 4);
    fixture_reply(&f->calls[3], STATUS_OK, (struct bytes){0});
    free(fixture_read_until(f, events, "text/event-stream"));
    front_drain(f->front);
    expect_close(client, 1001, "the gateway is stopping");
    fixture_expect(f, events, "data: {\"error\":{\"code\":1003", NULL);
    assert_true(f->calls[2].cancelled);
    close(events);
    end_client(client);
}

static void
an_endless_stream_begins_at_once_and_is_kept_alive(void **state)
{
    struct fixture *f = *state;
    int events = fixture_connect(f, DOORS);
    fixture_send(events, "GET /bus/listen/agent%3Aa HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 2);
    assert_string_equal(f->calls[1].type, "health_check");
    fixture_reply(&f->calls[1], STATUS_OK, (struct bytes){0});
    free(fixture_read_until(f, events, "text/event-stream"));
    front_tick(f->front, f->now.monotonic_us);
    fixture_advance(f, 15001);
    front_tick(f->front, f->now.monotonic_us);
    free(fixture_read_until(f, events, ":\n\n"));
    close(events);
    await_cancel(f, &f->calls[0]);
}

static void
a_client_that_leaves_before_its_stream_began_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    int events = fixture_connect(f, DOORS);
    fixture_send(events, "GET /bus/listen/agent%3Aa HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 2);
    close(events);
    await_cancel(f, &f->calls[0]);
    await_cancel(f, &f->calls[1]);
}

static void
an_endless_stream_that_is_refused_is_an_ordinary_answer(void **state)
{
    struct fixture *f = *state;
    int events = fixture_connect(f, DOORS);
    fixture_send(events, "GET /bus/listen/agent%3Aa HTTP/1.1\r\n" HOST "\r\n");
    fixture_await_calls(f, 2);
    fixture_fail(&f->calls[0], STATUS_CAPABILITY_MISSING, NULL, "needs one");
    fixture_reply(&f->calls[1], STATUS_OK, (struct bytes){0});
    fixture_expect(f, events, "HTTP/1.1 401", "missing_capability");
    close(events);
}

static void
closing_the_server_with_open_sockets_frees_them(void **state)
{
    struct fixture *f = *state;
    struct client *client = open_nervous(f);
    http_close(&f->http);
    assert_true(f->calls[0].cancelled);
    close(client->descriptor);
    free(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_get_that_asks_for_no_websocket_is_told_how),
        TEST(websockets_stand_at_the_engine_and_on_the_unified_port_alone),
        TEST(a_page_of_a_foreign_origin_opens_none),
        TEST(a_capability_that_cannot_be_read_is_refused_before_the_upgrade),
        TEST(without_the_broker_none_is_opened),
        TEST(no_more_are_opened_than_are_allowed),
        TEST(messages_go_both_ways),
        TEST(frames_that_came_with_the_handshake_are_not_lost),
        TEST(an_error_is_said_before_the_close),
        TEST(a_client_whose_calls_are_not_answered_is_not_read),
        TEST(a_quiet_client_is_asked_and_then_cut),
        TEST(a_message_that_drips_is_cut_after_its_time),
        TEST(a_feed_that_gets_no_capability_is_closed),
        TEST(a_client_that_never_reads_gets_no_credit_and_is_cut),
        TEST(what_cannot_be_held_ends_the_socket),
        TEST(a_reset_leaves_nothing_behind),
        TEST(a_client_that_closes_is_answered),
        TEST(draining_closes_sockets_and_endless_streams),
        TEST(an_endless_stream_begins_at_once_and_is_kept_alive),
        TEST(a_client_that_leaves_before_its_stream_began_leaves_nothing_behind),
        TEST(an_endless_stream_that_is_refused_is_an_ordinary_answer),
        TEST(closing_the_server_with_open_sockets_frees_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
