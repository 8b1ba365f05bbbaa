/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/health.h"

#include <stdio.h>

#include "cli/hosts.h"
#include "cli/session.h"
#include "kernel/pack.h"

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

enum status
health_await(struct cli *cli, uint32_t timeout_ms, struct error *error)
{
    struct peer *peer = NULL;
    struct buffer answer;
    struct session_options options = {NULL, timeout_ms};
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
