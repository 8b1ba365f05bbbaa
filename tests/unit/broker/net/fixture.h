/* SPDX-License-Identifier: Apache-2.0 */
/* A real broker on a free port with a key table in a temporary folder, and bare DEALER clients. */
#ifndef SOS_TESTS_BROKER_NET_FIXTURE_H
#define SOS_TESTS_BROKER_NET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/net/broker.h"
#include "broker/net/keytable.h"
#include "kernel/message.h"
#include "kernel/pack.h"

struct client {
    void *context; /* its own, so that it has its own connection */
    void *socket;
    const char *identity;
    struct uuid_source ids;
    uint8_t frame[FRAME_SIZE_MAX];
    struct bytes rest; /* of it: records that were not taken yet */
    struct message received;
};

struct fixture {
    char folder[64];
    char key_table[128];
    struct curve_keys broker_keys;
    struct curve_keys kasra_keys, identity_keys, memory_keys;
    struct clock clock;
    struct logger logger;
    struct config *config;
    struct broker *broker;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
struct broker_options fixture_options(struct fixture *f);

struct client *client_open(struct fixture *f, const char *identity, const struct curve_keys *keys);
/* One that buffers at most so many frames of what it gets. */
struct client *client_open_small(struct fixture *f, const char *identity,
                                 const struct curve_keys *keys, int receive_frames);
void client_close(struct client **client_p);
struct uuid client_say(struct client *client, struct message record);
/* The next record that is no heartbeat, within timeout_ms; NULL. */
const struct message *client_take(struct client *client, int timeout_ms);
void client_hello(struct client *client);
/* hello and ready. */
void client_serve(struct client *client, const char *service);
/* Waits for the socket's connection to end (its monitor says so). */
void *client_watch(struct client *client, int events);
bool client_wait_event(void *monitor, int event, int timeout_ms);

#endif
