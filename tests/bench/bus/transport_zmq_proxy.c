/* SPDX-License-Identifier: Apache-2.0 */
/* What libzmq offers by itself: zmq_proxy() between a ROUTER and a DEALER, messages of two frames
 * (what a broker has to read, and the content), CURVE on both sides. Role `system` is the proxy.
 *
 * --address: two endpoints, for clients and for workers, with a comma between. --keys: a file with
 * the server's public and secret key, and the peers' public and secret key, a line each. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "load.h"

enum {
    KEYS = 4,
    KEY_SIZE = 41,
    ENDPOINT_SIZE = 128,
    ENVELOPE_SIZE = 96,
    WAIT_MS = 100,
    HWM = 10000
};

struct transport {
    const struct load_options *options;
    struct load *load;
    char keys[KEYS][KEY_SIZE];
    char endpoints[2][ENDPOINT_SIZE];
    void *context;
    void *socket;
    zmq_msg_t routing; /* worker: of the request being answered */
};

static void
check(bool done, const char *what)
{
    if (!done)
        load_fail(what, zmq_strerror(errno));
}

static void
read_keys(struct transport *transport)
{
    FILE *file = fopen(transport->options->keys ? transport->options->keys : "", "r");
    check(file, "open the keys");
    for (int i = 0; i < KEYS; i++)
        if (fscanf(file, "%40s", transport->keys[i]) != 1)
            load_fail("read the keys", "expected four lines");
    fclose(file);
}

static void
read_address(struct transport *transport)
{
    const char *comma = strchr(transport->options->address, ',');
    if (!comma)
        load_fail("--address", "expected two endpoints");
    snprintf(transport->endpoints[0], ENDPOINT_SIZE, "%.*s",
             (int)(comma - transport->options->address), transport->options->address);
    snprintf(transport->endpoints[1], ENDPOINT_SIZE, "%s", comma + 1);
}

static void *
make_socket(struct transport *transport, int type, bool server)
{
    void *socket = zmq_socket(transport->context, type);
    int yes = 1, none = 0, hwm = HWM;
    check(socket && zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none) == 0 &&
              zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof hwm) == 0 &&
              zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof hwm) == 0,
          "make a socket");
    if (server)
        check(zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &yes, sizeof yes) == 0 &&
                  zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, transport->keys[1], KEY_SIZE) == 0,
              "set the keys");
    else
        check(zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, transport->keys[0], KEY_SIZE) == 0 &&
                  zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, transport->keys[2], KEY_SIZE) == 0 &&
                  zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, transport->keys[3], KEY_SIZE) == 0,
              "set the keys");
    return socket;
}

static void
run_proxy(struct transport *transport)
{
    void *front = make_socket(transport, ZMQ_ROUTER, true);
    void *back = make_socket(transport, ZMQ_DEALER, true);
    check(zmq_bind(front, transport->endpoints[0]) == 0 &&
              zmq_bind(back, transport->endpoints[1]) == 0,
          "bind");
    printf("ready\n");
    fflush(stdout);
    zmq_proxy(front, back, NULL); /* until a signal */
    zmq_close(front);
    zmq_close(back);
    zmq_ctx_term(transport->context);
    exit(EXIT_SUCCESS);
}

struct transport *
transport_open(const struct load_options *options, struct load *load)
{
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        load_fail("start", "out of memory");
    transport->options = options;
    transport->load = load;
    read_keys(transport);
    read_address(transport);
    transport->context = zmq_ctx_new();
    zmq_msg_init(&transport->routing);
    if (options->role == ROLE_SYSTEM)
        run_proxy(transport);
    if (options->role != ROLE_CLIENT && options->role != ROLE_WORKER)
        load_fail("zmq_proxy", "clients and workers only");
    transport->socket = make_socket(transport, ZMQ_DEALER, false);
    check(zmq_connect(transport->socket,
                      transport->endpoints[options->role == ROLE_WORKER ? 1 : 0]) == 0,
          "connect");
    return transport;
}

bool
transport_send(struct transport *transport, const uint8_t *data, size_t size)
{
    static const uint8_t envelope[ENVELOPE_SIZE];
    if (transport->options->role == ROLE_WORKER)
        check(zmq_msg_send(&transport->routing, transport->socket, ZMQ_SNDMORE) >= 0, "send");
    if (zmq_send(transport->socket, envelope, sizeof envelope, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        return false;
    check(zmq_send(transport->socket, data, size, 0) >= 0, "send");
    return true;
}

/* False: nothing is waiting. */
static bool
receive(struct transport *transport)
{
    zmq_msg_t envelope, data;
    bool worker = transport->options->role == ROLE_WORKER;
    zmq_msg_init(&envelope);
    zmq_msg_init(&data);
    bool came = zmq_msg_recv(worker ? &transport->routing : &envelope, transport->socket,
                             ZMQ_DONTWAIT) >= 0;
    if (came) {
        if (worker)
            check(zmq_msg_recv(&envelope, transport->socket, 0) >= 0, "receive");
        check(zmq_msg_recv(&data, transport->socket, 0) >= 0, "receive");
        load_received(transport->load, zmq_msg_data(&data), zmq_msg_size(&data));
    }
    zmq_msg_close(&envelope);
    zmq_msg_close(&data);
    return came;
}

void
transport_run(struct transport *transport)
{
    while (!load_ended(transport->load)) {
        load_pump(transport->load);
        if (receive(transport))
            continue;
        zmq_pollitem_t item = {transport->socket, 0, ZMQ_POLLIN, 0};
        zmq_poll(&item, 1, WAIT_MS);
    }
}

void
transport_close(struct transport *transport)
{
    zmq_msg_close(&transport->routing);
    zmq_close(transport->socket);
    zmq_ctx_term(transport->context);
    free(transport);
}
