/* SPDX-License-Identifier: Apache-2.0 */
/* Mosquitto: MQTT with quality of service 0, a shared subscription for the workers. --keys: the CA,
 * for TLS. A request begins with the number of the client that asks. */
#include <errno.h>
#include <mosquitto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { NAME_SIZE = 64, MESSAGE_MAX = 65536 + 4, WAIT_MS = 100, KEEPALIVE_S = 60 };

struct transport {
    const struct load_options *options;
    struct load *load;
    struct mosquitto *client;
    uint32_t asker;    /* of the request being answered */
    unsigned received; /* messages */
    bool subscribed;
    uint8_t message[MESSAGE_MAX];
};

static void
check(int code, const char *what)
{
    if (code != MOSQ_ERR_SUCCESS)
        load_fail(what, code == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(code));
}

static void
on_message(struct mosquitto *client, void *context, const struct mosquitto_message *message)
{
    (void)client;
    struct transport *transport = context;
    if (message->payloadlen < 4)
        load_fail("receive", "a short message");
    transport->received++;
    const uint8_t *data = message->payload;
    memcpy(&transport->asker, data, sizeof transport->asker);
    load_received(transport->load, data + sizeof transport->asker,
                  (size_t)message->payloadlen - sizeof transport->asker);
}

static void
on_subscribe(struct mosquitto *client, void *context, int id, int count, const int *granted)
{
    (void)client, (void)id, (void)count, (void)granted;
    struct transport *transport = context;
    transport->subscribed = true;
}

static void
listen_to(struct transport *transport)
{
    char name[NAME_SIZE];
    switch (transport->options->role) {
    case ROLE_CLIENT:
        snprintf(name, sizeof name, "bench/client/%u", transport->options->index);
        break;
    case ROLE_WORKER:
        snprintf(name, sizeof name, "$share/workers/bench/work");
        break;
    case ROLE_PUBLISHER:
        snprintf(name, sizeof name, "bench/credit");
        break;
    default:
        snprintf(name, sizeof name, "bench/data");
    }
    check(mosquitto_subscribe(transport->client, NULL, name, 0), "subscribe");
    while (!transport->subscribed)
        check(mosquitto_loop(transport->client, WAIT_MS, 1), "subscribe");
}

struct transport *
transport_open(const struct load_options *options, struct load *load)
{
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        load_fail("start", "out of memory");
    char host[NAME_SIZE];
    const char *colon = strrchr(options->address, ':');
    if (!colon || colon - options->address >= NAME_SIZE)
        load_fail("--address", "expected host:port");
    snprintf(host, sizeof host, "%.*s", (int)(colon - options->address), options->address);
    transport->options = options;
    transport->load = load;
    mosquitto_lib_init();
    transport->client = mosquitto_new(NULL, true, transport);
    if (!transport->client)
        load_fail("start", strerror(errno));
    if (options->keys)
        check(mosquitto_tls_set(transport->client, options->keys, NULL, NULL, NULL, NULL),
              "use TLS");
    check(mosquitto_int_option(transport->client, MOSQ_OPT_TCP_NODELAY, 1), "set an option");
    mosquitto_message_callback_set(transport->client, on_message);
    mosquitto_subscribe_callback_set(transport->client, on_subscribe);
    check(mosquitto_connect(transport->client, host, atoi(colon + 1), KEEPALIVE_S), "connect");
    listen_to(transport);
    return transport;
}

bool
transport_send(struct transport *transport, const uint8_t *data, size_t size)
{
    char name[NAME_SIZE];
    uint32_t asker = transport->options->index;
    switch (transport->options->role) {
    case ROLE_CLIENT:
        snprintf(name, sizeof name, "bench/work");
        break;
    case ROLE_WORKER:
        asker = transport->asker;
        snprintf(name, sizeof name, "bench/client/%u", asker);
        break;
    case ROLE_PUBLISHER:
        snprintf(name, sizeof name, "bench/data");
        break;
    default:
        snprintf(name, sizeof name, "bench/credit");
    }
    memcpy(transport->message, &asker, sizeof asker);
    memcpy(transport->message + sizeof asker, data, size);
    check(mosquitto_publish(transport->client, NULL, name, (int)(sizeof asker + size),
                            transport->message, 0, false),
          "send");
    return true;
}

/* mosquitto_loop() would wait anew for each message. */
void
transport_run(struct transport *transport)
{
    while (!load_ended(transport->load)) {
        load_pump(transport->load);
        short events = mosquitto_want_write(transport->client) ? POLLIN | POLLOUT : POLLIN;
        struct pollfd item = {mosquitto_socket(transport->client), events, 0};
        poll(&item, 1, WAIT_MS);
        unsigned before = transport->received - 1;
        while ((item.revents & POLLIN) && before != transport->received) {
            before = transport->received;
            check(mosquitto_loop_read(transport->client, 1), "run");
        }
        if (mosquitto_want_write(transport->client))
            check(mosquitto_loop_write(transport->client, 1), "run");
        check(mosquitto_loop_misc(transport->client), "run");
    }
    while (mosquitto_want_write(transport->client))
        check(mosquitto_loop_write(transport->client, 1), "run");
}

void
transport_close(struct transport *transport)
{
    mosquitto_disconnect(transport->client);
    mosquitto_destroy(transport->client);
    mosquitto_lib_cleanup();
    free(transport);
}
