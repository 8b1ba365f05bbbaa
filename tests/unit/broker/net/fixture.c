/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

static struct now
read_clock(void *context)
{
    (void)context;
    struct timespec monotonic, wall;
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    clock_gettime(CLOCK_REALTIME, &wall);
    return (struct now){
        (uint64_t)monotonic.tv_sec * 1000000 + (uint64_t)monotonic.tv_nsec / 1000,
        (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000,
    };
}

static void
sink_line(void *context, enum log_level level, struct text line)
{
    (void)context, (void)level, (void)line;
}

struct broker_options
fixture_options(struct fixture *f)
{
    return (struct broker_options){.bind = "127.0.0.1",
                                   .port = 0,
                                   .keys = &f->broker_keys,
                                   .key_table = f->key_table,
                                   .config = f->config,
                                   .clock = &f->clock,
                                   .logger = &f->logger};
}

static void
seed(struct keytable *table, const char *identity, struct curve_keys *keys)
{
    struct error error = ERROR_INIT;
    curve_keys_make(keys);
    assert_int_equal(keytable_add(table, text_of(identity), text_of(keys->public_key), false,
                                  1767225600000000, &error),
                     STATUS_OK);
}

int
fixture_setup(void **state)
{
    assert_true(sodium_init() >= 0);
    struct fixture *f = calloc(1, sizeof *f);
    struct keytable *table = NULL;
    struct error error = ERROR_INIT;
    snprintf(f->folder, sizeof f->folder, "/tmp/sos-broker-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->key_table, sizeof f->key_table, "%s/keys.json", f->folder);
    f->clock = (struct clock){read_clock, NULL};
    f->logger = (struct logger){.service = "broker", .clock = &f->clock, .sink = sink_line};
    f->config = config_new();
    assert_non_null(f->config);
    curve_keys_make(&f->broker_keys);
    assert_int_equal(keytable_open(&table, f->key_table, &error), STATUS_OK);
    seed(table, "agent:kasra", &f->kasra_keys);
    seed(table, "service:identity", &f->identity_keys);
    seed(table, "service:memory", &f->memory_keys);
    assert_int_equal(keytable_save(table, &error), STATUS_OK);
    keytable_close(&table);
    struct broker_options options = fixture_options(f);
    enum status status = broker_start(&f->broker, &options, &error);
    assert_string_equal(error.message, "");
    assert_int_equal(status, STATUS_OK);
    *state = f;
    return 0;
}

int
fixture_teardown(void **state)
{
    struct fixture *f = *state;
    broker_stop(&f->broker);
    config_destroy(&f->config);
    unlink(f->key_table);
    assert_int_equal(rmdir(f->folder), 0); /* nothing else was left there */
    free(f);
    return 0;
}

struct client *
client_open(struct fixture *f, const char *identity, const struct curve_keys *keys)
{
    return client_open_small(f, identity, keys, 1000);
}

struct client *
client_open_small(struct fixture *f, const char *identity, const struct curve_keys *keys,
                  int receive_frames)
{
    struct client *client = calloc(1, sizeof *client);
    int zero = 0;
    client->identity = identity;
    client->context = zmq_ctx_new();
    client->socket = zmq_socket(client->context, ZMQ_DEALER);
    assert_int_equal(zmq_setsockopt(client->socket, ZMQ_LINGER, &zero, sizeof zero), 0);
    zmq_setsockopt(client->socket, ZMQ_RCVHWM, &receive_frames, sizeof receive_frames);
    if (keys) {
        zmq_setsockopt(client->socket, ZMQ_CURVE_SERVERKEY, f->broker_keys.public_key, 41);
        zmq_setsockopt(client->socket, ZMQ_CURVE_PUBLICKEY, keys->public_key, 41);
        zmq_setsockopt(client->socket, ZMQ_CURVE_SECRETKEY, keys->secret_key, 41);
    }
    assert_int_equal(zmq_connect(client->socket, broker_endpoint(f->broker)), 0);
    return client;
}

void
client_close(struct client **client_p)
{
    struct client *client = *client_p;
    zmq_close(client->socket);
    zmq_ctx_term(client->context);
    free(client);
    *client_p = NULL;
}

struct uuid
client_say(struct client *client, struct message record)
{
    struct buffer frame;
    struct error error = ERROR_INIT;
    buffer_init(&frame);
    record.version = MESSAGE_VERSION;
    record.id = uuid_next(&client->ids, read_clock(NULL).wall_us);
    if (!record.source.data)
        record.source = text_of(client->identity);
    assert_int_equal(message_encode(&frame, &record, &error), STATUS_OK);
    assert_true(zmq_send(client->socket, frame.data, frame.size, 0) >= 0);
    buffer_clear(&frame);
    return record.id;
}

const struct message *
client_take(struct client *client, int timeout_ms)
{
    uint64_t until_us = read_clock(NULL).monotonic_us + (uint64_t)timeout_ms * 1000;
    for (;;) {
        uint64_t now_us = read_clock(NULL).monotonic_us;
        zmq_pollitem_t item = {client->socket, 0, ZMQ_POLLIN, 0};
        size_t used;
        struct error error = ERROR_INIT;
        if (client->rest.size == 0) {
            if (now_us > until_us || zmq_poll(&item, 1, (long)((until_us - now_us) / 1000)) <= 0)
                return NULL;
            int size = zmq_recv(client->socket, client->frame, sizeof client->frame, 0);
            assert_true(size > 0);
            client->rest = (struct bytes){client->frame, (size_t)size};
        }
        assert_int_equal(message_decode(&client->received, client->rest, &used, &error), STATUS_OK);
        client->rest.data += used;
        client->rest.size -= used;
        if (client->received.kind != KIND_HEARTBEAT)
            return &client->received;
    }
}

void
client_hello(struct client *client)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_uint(&payload, "version_min", 1);
    pack_pair_uint(&payload, "version_max", 1);
    client_say(client, (struct message){.kind = KIND_HELLO, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    const struct message *welcome = client_take(client, 5000);
    assert_non_null(welcome);
    assert_int_equal(welcome->kind, KIND_HELLO);
}

void
client_serve(struct client *client, const char *service)
{
    struct buffer payload;
    client_hello(client);
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_string(&payload, "service", service);
    pack_pair_bool(&payload, "single", true);
    client_say(client, (struct message){.kind = KIND_READY, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    const struct message *ready = client_take(client, 5000);
    assert_non_null(ready);
    assert_int_equal(ready->kind, KIND_CONTROL);
}

void *
client_watch(struct client *client, int events)
{
    char address[64];
    snprintf(address, sizeof address, "inproc://watch-%p", (void *)client);
    assert_int_equal(zmq_socket_monitor(client->socket, address, events), 0);
    void *monitor = zmq_socket(client->context, ZMQ_PAIR);
    int zero = 0;
    zmq_setsockopt(monitor, ZMQ_LINGER, &zero, sizeof zero);
    assert_int_equal(zmq_connect(monitor, address), 0);
    return monitor;
}

bool
client_wait_event(void *monitor, int event, int timeout_ms)
{
    for (;;) {
        zmq_pollitem_t item = {monitor, 0, ZMQ_POLLIN, 0};
        if (zmq_poll(&item, 1, timeout_ms) <= 0)
            return false;
        uint8_t bytes[6];
        uint16_t told;
        char endpoint[256];
        assert_int_equal(zmq_recv(monitor, bytes, sizeof bytes, 0), 6);
        zmq_recv(monitor, endpoint, sizeof endpoint, 0);
        memcpy(&told, bytes, sizeof told);
        if (told == event)
            return true;
    }
}
