/* SPDX-License-Identifier: Apache-2.0 */
/* Many idle peers in one process: --keys is a connection file, --count how many sessions of that
 * identity. Each says hello, then heartbeats as often as the broker wants, and reads what comes.
 * Prints `ready` when all are welcome, and on SIGTERM how many records they got and how many
 * sessions had to be begun again. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

#include "kernel/message.h"
#include "kernel/pack.h"
#include "platform/system_clock.h"
#include "sdk/c/connection.h"

enum {
    COUNT_MAX = 100000,
    TURNS = 100, /* of a round: in each, so many of the peers have their turn */
    TURN_MS = 9, /* a round is less than a second: a peer must not be silent for longer */
    WELCOME_S = 60,
    HELLO_TURNS = 5 /* without an answer it is said again: the connection was lost under it */
};

struct idle {
    void *socket;
    bool welcome;
    unsigned turns; /* since it said hello, or its last heartbeat */
    unsigned every; /* so many turns a heartbeat */
};

struct crowd {
    struct connection connection;
    struct uuid_source ids;
    void *context;
    struct idle *peers;
    size_t count;
    size_t welcome;
    unsigned long long received;
    unsigned long long begun; /* sessions */
    struct buffer record;
    struct buffer payload;
};

static volatile sig_atomic_t stopped;

static void
stop(int number)
{
    (void)number;
    stopped = 1;
}

_Noreturn static void
fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static void
check(bool done, const char *what)
{
    if (!done)
        fail(what, zmq_strerror(errno));
}

static void
say(struct crowd *crowd, struct idle *idle, enum kind kind, struct bytes payload)
{
    struct error error = ERROR_INIT;
    struct now now = clock_now(&system_clock);
    struct message message = {.kind = kind,
                              .source = text_of(crowd->connection.identity),
                              .id = uuid_next(&crowd->ids, now.wall_us),
                              .timestamp_us = now.wall_us,
                              .payload = payload};
    buffer_reset(&crowd->record);
    if (message_encode(&crowd->record, &message, &error) != STATUS_OK)
        fail("encode", error.message);
    int sent = zmq_send(idle->socket, crowd->record.data, crowd->record.size, ZMQ_DONTWAIT);
    check(sent >= 0 || errno == EAGAIN, "send");
}

static void
say_hello(struct crowd *crowd, struct idle *idle)
{
    crowd->welcome -= idle->welcome;
    idle->welcome = false;
    idle->turns = 0;
    say(crowd, idle, KIND_HELLO, buffer_bytes(&crowd->payload));
}

static void
open_peer(struct crowd *crowd, struct idle *idle)
{
    static const int none = 0;
    struct connection *connection = &crowd->connection;
    idle->socket = zmq_socket(crowd->context, ZMQ_DEALER);
    check(idle->socket, "make a socket");
    zmq_setsockopt(idle->socket, ZMQ_LINGER, &none, sizeof none);
    check(zmq_setsockopt(idle->socket, ZMQ_CURVE_SERVERKEY, connection->broker_public_key,
                         CURVE_KEY_TEXT_SIZE) == 0 &&
              zmq_setsockopt(idle->socket, ZMQ_CURVE_PUBLICKEY, connection->keys.public_key,
                             CURVE_KEY_TEXT_SIZE) == 0 &&
              zmq_setsockopt(idle->socket, ZMQ_CURVE_SECRETKEY, connection->keys.secret_key,
                             CURVE_KEY_TEXT_SIZE) == 0,
          "set the keys");
    check(zmq_connect(idle->socket, connection->endpoint) == 0, "connect");
    say_hello(crowd, idle);
}

static void
receive(struct crowd *crowd, struct idle *idle)
{
    uint8_t frame[4096];
    struct message message;
    struct error error = ERROR_INIT;
    int size;
    while ((size = zmq_recv(idle->socket, frame, sizeof frame, ZMQ_DONTWAIT)) >= 0) {
        size_t used, length = (size_t)size < sizeof frame ? (size_t)size : sizeof frame;
        if (message_decode(&message, (struct bytes){frame, length}, &used, &error) != STATUS_OK)
            fail("decode", error.message);
        crowd->received++;
        if (message.kind == KIND_CONTROL) { /* hello_required: it is another connection */
            say_hello(crowd, idle);
        } else if (message.kind == KIND_HELLO && !idle->welcome) {
            struct value welcome;
            uint64_t beat_ms = 1000;
            if (value_parse(message.payload, &welcome))
                value_find_uint(&welcome, "heartbeat_ms", &beat_ms);
            idle->every = (unsigned)(beat_ms / 1000);
            idle->turns = 0;
            idle->welcome = true;
            crowd->welcome++;
            crowd->begun++;
        }
    }
    check(errno == EAGAIN || errno == EINTR, "receive");
}

static void
turn(struct crowd *crowd, size_t number)
{
    static const struct timespec pause = {0, TURN_MS * 1000000};
    for (size_t i = number % TURNS; i < crowd->count; i += TURNS) {
        struct idle *idle = &crowd->peers[i];
        receive(crowd, idle);
        idle->turns++;
        if (!idle->welcome && idle->turns > HELLO_TURNS) {
            say_hello(crowd, idle);
        } else if (idle->welcome && idle->turns >= idle->every) {
            idle->turns = 0;
            say(crowd, idle, KIND_HEARTBEAT, (struct bytes){NULL, 0});
        }
    }
    nanosleep(&pause, NULL);
}

static void
pack_hello(struct buffer *out)
{
    pack_map(out, 4);
    pack_pair_uint(out, "version_min", MESSAGE_VERSION);
    pack_pair_uint(out, "version_max", MESSAGE_VERSION);
    pack_string(out, "features");
    pack_array(out, 0);
    pack_pair_string(out, "agent", "idle");
}

int
main(int argc, char **argv)
{
    static struct crowd crowd;
    struct error error = ERROR_INIT;
    if (argc != 5 || strcmp(argv[1], "--keys") != 0 || strcmp(argv[3], "--count") != 0)
        fail("usage", "--keys FILE --count N");
    crowd.count = strtoul(argv[4], NULL, 10);
    if (crowd.count < 1 || crowd.count > COUNT_MAX)
        fail("--count", "expected 1 to 100000");
    if (connection_load(&crowd.connection, NULL, argv[2], &error) != STATUS_OK)
        fail("read the connection", error.message);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    crowd.peers = calloc(crowd.count, sizeof *crowd.peers);
    crowd.context = zmq_ctx_new();
    check(crowd.peers && crowd.context, "start");
    zmq_ctx_set(crowd.context, ZMQ_MAX_SOCKETS, (int)crowd.count + 1);
    buffer_init(&crowd.record);
    buffer_init(&crowd.payload);
    pack_hello(&crowd.payload);
    for (size_t i = 0; i < crowd.count; i++)
        open_peer(&crowd, &crowd.peers[i]);
    uint64_t late_us = clock_now(&system_clock).monotonic_us + (uint64_t)WELCOME_S * 1000000;
    size_t number = 0;
    while (crowd.welcome < crowd.count && !stopped) {
        turn(&crowd, number++);
        if (clock_now(&system_clock).monotonic_us > late_us)
            fail("connect", "not all are welcome");
    }
    printf("ready\n");
    fflush(stdout);
    while (!stopped)
        turn(&crowd, number++);
    printf("{\"received\": %llu, \"again\": %llu}\n", crowd.received, crowd.begun - crowd.count);
    for (size_t i = 0; i < crowd.count; i++)
        zmq_close(crowd.peers[i].socket);
    zmq_ctx_term(crowd.context);
    buffer_clear(&crowd.record);
    buffer_clear(&crowd.payload);
    connection_clear(&crowd.connection);
    free(crowd.peers);
    return EXIT_SUCCESS;
}
