/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "cli/hosts.h"
#include "cli/session.h"
#include "kernel/json.h"
#include "kernel/pack.h"

enum { HTTP_ANSWER_MAX = 16 * 1024 };

enum status
health_ask(struct peer *peer, const char *service, uint32_t timeout_ms, struct buffer *out,
           struct error *error)
{
    char target[128];
    snprintf(target, sizeof target, "service:%s", service);
    struct peer_request request = {
        .kind = KIND_REQUEST,
        .target = text_of(target),
        .type = text_of("health_check"),
        .flags = MESSAGE_IDEMPOTENT,
        .ttl_ms = timeout_ms,
    };
    enum status status = peer_call_wait(peer, &request, out, error);
    if (status != STATUS_OK)
        error_wrap(error, "health of %s", service);
    return status;
}

static enum status
expect_ok(struct bytes answer, const char *service, struct error *error)
{
    struct value map;
    struct text status = {NULL, 0};
    if (value_parse(answer, &map) && value_find_text(&map, "status", &status) &&
        text_equal_string(status, "ok"))
        return STATUS_OK;
    error_set(error, "%s says it is '%.*s'", service, TEXT_ARGS(status));
    return STATUS_UNAVAILABLE;
}

static enum status
no_answer(struct error *error, const char *what, uint16_t port)
{
    error_set(error, "the gateway's port %u: %s: %s", port, what, strerror(errno));
    return STATUS_UNAVAILABLE;
}

static enum status
fetch(int fd, const struct sockaddr_in *address, uint16_t port, struct buffer *answer,
      struct error *error)
{
    static const char request[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) != 0)
        return no_answer(error, "connect", port);
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)(sizeof request - 1))
        return no_answer(error, "send", port);
    for (;;) {
        char part[1024];
        ssize_t size = recv(fd, part, sizeof part, 0);
        if (size < 0)
            return no_answer(error, "receive", port);
        if (size == 0)
            return STATUS_OK;
        buffer_append(answer, part, (size_t)size);
        if (answer->size > HTTP_ANSWER_MAX) {
            error_set(error, "the gateway's port %u: an answer of more than %d bytes", port,
                      HTTP_ANSWER_MAX);
            return STATUS_TOO_LARGE;
        }
    }
}

/* The JSON body of an HTTP answer as msgpack. */
static enum status
body_of(const struct buffer *answer, uint16_t port, struct buffer *out, struct error *error)
{
    static const char begin[] = "HTTP/1.1 ";
    const char *data = (const char *)answer->data;
    const char *end = answer->size ? memmem(data, answer->size, "\r\n\r\n", 4) : NULL;
    struct json_parser *parser = json_parser_new();
    enum status status = STATUS_NOMEM;
    if (parser && end && text_starts_with(buffer_text(answer), begin)) {
        size_t header = (size_t)(end - data) + 4;
        status = json_to_msgpack(parser, (struct text){data + header, answer->size - header}, out,
                                 error);
    } else if (parser) {
        error_set(error, "the answer is no HTTP");
        status = STATUS_INVALID;
    }
    json_parser_destroy(&parser);
    if (status != STATUS_OK)
        error_wrap(error, "the gateway's port %u", port);
    return status;
}

enum status
health_ask_gateway(const char *home, uint32_t timeout_ms, struct buffer *out, struct error *error)
{
    struct host_ports ports;
    struct buffer answer;
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct timeval timeout = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    enum status status = host_ports_load(&ports, home, error);
    if (status != STATUS_OK)
        return status;
    uint16_t port = host_port(&ports, "unified");
    bool any = strcmp(ports.bind, "0.0.0.0") == 0;
    address.sin_port = htons(port);
    if (inet_pton(AF_INET, any ? "127.0.0.1" : ports.bind, &address.sin_addr) != 1) {
        error_set(error, "gateway.bind %s: only an IPv4 address can be asked", ports.bind);
        return STATUS_NOT_IMPLEMENTED;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return no_answer(error, "socket", port);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    buffer_init(&answer);
    status = fetch(fd, &address, port, &answer, error);
    if (status == STATUS_OK)
        status = body_of(&answer, port, out, error);
    buffer_clear(&answer);
    close(fd);
    return status;
}

enum status
health_await(struct cli *cli, uint32_t timeout_ms, struct error *error)
{
    struct peer *peer = NULL;
    struct buffer answer;
    struct session_options options = {.wait_ms = timeout_ms};
    uint64_t end_us = clock_now(cli->clock).monotonic_us + timeout_ms * 1000ull;

    buffer_init(&answer);
    enum status status = session_open(&peer, cli, &options, error);
    for (size_t i = 0; status == STATUS_OK && hosted_services[i]; i++) {
        const char *service = hosted_services[i]->contract->service;
        do { /* the broker holds a request for a while only; a slow start takes more of them */
            uint64_t now_us = clock_now(cli->clock).monotonic_us;
            if (now_us >= end_us) {
                error_set(error, "%s is not there after %u ms", service, timeout_ms);
                status = STATUS_TIMEOUT;
                break;
            }
            buffer_reset(&answer);
            status =
                health_ask(peer, service, (uint32_t)((end_us - now_us) / 1000 + 1), &answer, error);
        } while (status == STATUS_UNAVAILABLE);
        if (status == STATUS_OK)
            status = expect_ok(buffer_bytes(&answer), service, error);
    }
    buffer_clear(&answer);
    peer_close(&peer);
    return status;
}
