/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/gateway/fixture.h - a front behind a real HTTP server on a free port, with a bus that
 * the test plays and a clock that the test moves. Server and clients share the test's thread. */
#ifndef SOS_TESTS_GATEWAY_FIXTURE_H
#define SOS_TESTS_GATEWAY_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/front.h"
#include "gateway/http.h"
#include "kernel/bytes.h"
#include "kernel/contract.h"
#include "kernel/pack.h"

/* Headers of the requests that tests write out. */
#define HOST "Host: localhost\r\n"
#define JSON "Content-Type: application/json\r\n"

enum { FIXTURE_CALLS_MAX = 64, FIXTURE_STREAMS_MAX = 4 };

/* One call that the gateway made; health checks of services other than the bus are kept apart. */
struct fixture_call {
    char target[64];
    char type[64];
    struct buffer payload;
    struct buffer capability;
    struct buffer metadata;
    struct trace trace;
    uint32_t flags;
    uint32_t ttl_ms;
    char principal[64];
    peer_reply_fn *on_reply;
    peer_chunk_fn *on_chunk;
    void *context;
    struct uuid id;
    bool cancelled;
    bool answered;
    uint32_t granted;
    uint64_t seq;
};

struct fixture {
    struct now now;
    struct clock clock;
    struct logger logger;
    struct bus bus;
    bool connected;
    struct front *front;
    struct http *http;
    uint16_t ports[DOORS + 1];
    struct fixture_call calls[FIXTURE_CALLS_MAX];
    size_t call_count;
    struct fixture_call health[DOORS + 4];
    size_t health_count;
};

/* Three contracts: memory (store, search, get, remove, add with a small body), engine (chat,
 * chat_stream, models), and the bus's own. */
extern const struct contract *const fixture_contracts[];

/* options: NULL for the defaults. */
void fixture_open(struct fixture *fixture, const struct http_options *options);
void fixture_close(struct fixture *fixture);
struct http_options fixture_http_options(void);
/* The same for cmocka. */
int fixture_setup(void **state);
int fixture_setup_with(void **state, const struct http_options *options);
int fixture_teardown(void **state);

/* Moves the clock and lets the server see it. */
void fixture_advance(struct fixture *fixture, uint64_t ms);
/* Serves what there is. */
void fixture_pump(struct fixture *fixture);

int fixture_connect(struct fixture *fixture, int door); /* DOORS: unified */
void fixture_send(int client, const char *text);

/* Serves until one whole answer has come or the server closed: a NUL-terminated text that the
 * caller frees. A stream is whole at its end, a test that wants a part of it uses
 * fixture_read_some. */
char *fixture_read(struct fixture *fixture, int client);
/* Reads one whole answer, which must hold first and (unless NULL) second. */
void fixture_expect(struct fixture *fixture, int client, const char *first, const char *second);
/* Serves until `wanted` has come. */
char *fixture_read_until(struct fixture *fixture, int client, const char *wanted);
/* Serves until the server has closed the connection; false when it does not. */
bool fixture_is_closed(struct fixture *fixture, int client);
/* Serves until the gateway has made this many calls. */
void fixture_await_calls(struct fixture *fixture, size_t count);

/* Connect, send, await one call (when calls), answer it with JSON-like msgpack `payload` (empty:
 * {}), read. */
char *fixture_request(struct fixture *fixture, int door, const char *request);

void fixture_reply(struct fixture_call *call, enum status status, struct bytes payload);
void fixture_fail(struct fixture_call *call, enum status status, const char *word,
                  const char *message);
void fixture_chunk(struct fixture_call *call, const char *text);
/* {"chunk":text} */

bool fixture_has(const char *answer, const char *part);

#endif
