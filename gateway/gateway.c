/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/gateway.h"

#include <czmq.h>
#include <stdlib.h>

#include "gateway/front.h"
#include "gateway/http.h"
#include "gateway/listen.h"
#include "sdk/c/peer.h"

enum {
    WAIT_MS_MAX = 1000,
    PEER_ROUNDS_MAX = 16,       /* of peer_process before HTTP gets its turn */
    DESCRIPTORS_RESERVED = 256, /* for everything that is not an HTTP connection */
    CONNECTIONS_MIN = 8,
    FAREWELL_MS = 500 /* for the last answers to leave after the drain time is over */
};

struct gateway {
    struct gateway_options options;
    struct connection connection;
    struct http *http;
    struct front *front;
    struct peer *peer; /* of the gateway's thread */
    zactor_t *actor;
    struct gateway_port ports[GATEWAY_PORTS_MAX];
    size_t port_count;
    bool dirty;    /* something was sent or arrived: the peer must be processed */
    bool stopping; /* $TERM came */
    bool started;
    zsock_t *pipe;
    struct error failure;
};

static const struct {
    const char *name;
    enum option_id option;
    enum door door;
} doors[] = {
    {"engine", OPTION_GATEWAY_ENGINE_PORT, DOOR_ENGINE},
    {"memory", OPTION_GATEWAY_MEMORY_PORT, DOOR_MEMORY},
    {"memory2", OPTION_GATEWAY_MEMORY_PORT2, DOOR_MEMORY},
    {"economy", OPTION_GATEWAY_ECONOMY_PORT, DOOR_ECONOMY},
    {"tools", OPTION_GATEWAY_TOOLS_PORT, DOOR_TOOLS},
    {"tools2", OPTION_GATEWAY_TOOLS_PORT2, DOOR_TOOLS},
    {"identity", OPTION_GATEWAY_IDENTITY_PORT, DOOR_IDENTITY},
    {"voice", OPTION_GATEWAY_VOICE_PORT, DOOR_VOICE},
    {"unified", OPTION_GATEWAY_PORT, DOORS},
};

/* ---- the bus, by the peer */

static enum status
bus_call(void *context, const struct peer_request *request, struct uuid *id, struct error *error)
{
    struct gateway *gateway = context;
    gateway->dirty = true;
    return peer_call(gateway->peer, request, id, error);
}

static void
bus_cancel(void *context, const struct uuid *id)
{
    struct gateway *gateway = context;
    gateway->dirty = true;
    if (gateway->peer)
        peer_cancel(gateway->peer, id);
}

static void
bus_grant(void *context, const struct uuid *id, uint32_t chunks)
{
    struct gateway *gateway = context;
    gateway->dirty = true;
    peer_grant(gateway->peer, id, chunks);
}

static bool
bus_connected(void *context)
{
    struct gateway *gateway = context;
    enum peer_state state = peer_state(gateway->peer);
    return state == PEER_WELCOME || state == PEER_READY;
}

/* ---- the thread */

static void
on_peer_message(void *context, const struct message *message)
{
    /* The gateway offers no operations of its own on the bus. */
    (void)context;
    (void)message;
}

static void
on_peer_state(void *context, enum peer_state state)
{
    struct gateway *gateway = context;
    static const char *const words[] = {"connecting", "connected", "connected", "refused"};
    log_info(gateway->options.logger, "broker: %s", words[state]);
}

static void
on_peer_readable(void *context)
{
    struct gateway *gateway = context;
    gateway->dirty = true;
}

static void
on_pipe_readable(void *context)
{
    struct gateway *gateway = context;
    while (zsock_events(gateway->pipe) & ZMQ_POLLIN) {
        char *command = zstr_recv(gateway->pipe);
        if (!command || strcmp(command, "$TERM") == 0)
            gateway->stopping = true;
        zstr_free(&command);
    }
}

static uint32_t
until_ms(uint64_t deadline_us, uint64_t now_us)
{
    if (deadline_us <= now_us)
        return 0;
    uint64_t ms = (deadline_us - now_us + 999) / 1000;
    return ms > WAIT_MS_MAX ? WAIT_MS_MAX : (uint32_t)ms;
}

/* One turn: HTTP, then the bus. */
static void
turn(struct gateway *gateway)
{
    const struct clock *clock = gateway->options.clock;
    uint64_t now_us = clock_now(clock).monotonic_us;
    uint64_t next_us = front_tick(gateway->front, now_us);
    uint64_t peer_us = peer_deadline_us(gateway->peer);
    if (peer_us < next_us)
        next_us = peer_us;
    http_wait(gateway->http, gateway->dirty ? 0 : until_ms(next_us, now_us));

    now_us = clock_now(clock).monotonic_us;
    if (!gateway->dirty && now_us < peer_deadline_us(gateway->peer))
        return;
    for (int round = 0; round < PEER_ROUNDS_MAX; round++) {
        gateway->dirty = false;
        if (peer_process(gateway->peer))
            gateway->dirty = true;
        else if (!gateway->dirty)
            break;
    }
}

/* Until no call is left or the time is over. */
static void
run_out(struct gateway *gateway, uint64_t time_ms)
{
    const struct clock *clock = gateway->options.clock;
    uint64_t end_us = clock_now(clock).monotonic_us + time_ms * 1000;
    while (http_figures(gateway->http).calls > 0 && clock_now(clock).monotonic_us < end_us)
        turn(gateway);
}

static void
drain(struct gateway *gateway)
{
    http_stop_listening(gateway->http);
    http_drain(gateway->http);
    front_drain(gateway->front);
    run_out(gateway, config_uint(gateway->options.config, OPTION_GATEWAY_DRAIN_MS));
    front_end(gateway->front);
    run_out(gateway, FAREWELL_MS);
}

static enum status
open_in_thread(struct gateway *gateway)
{
    struct peer_options options = {
        .connection = &gateway->connection,
        .callbacks = {.on_message = on_peer_message, .on_state = on_peer_state, .context = gateway},
        .clock = gateway->options.clock,
        .logger = gateway->options.logger,
        /* As many calls as connections, each service's health, and room for cancelled ones. */
        .calls_max =
            (uint32_t)config_uint(gateway->options.config, OPTION_GATEWAY_CONNECTIONS_MAX) + 1024,
    };
    enum status status = peer_open(&gateway->peer, &options, &gateway->failure);
    if (status == STATUS_OK)
        status = http_watch(gateway->http, peer_fd(gateway->peer), on_peer_readable, gateway,
                            &gateway->failure);
    if (status == STATUS_OK)
        status = http_watch(gateway->http, zsock_fd(gateway->pipe), on_pipe_readable, gateway,
                            &gateway->failure);
    return status;
}

static void
run(zsock_t *pipe, void *argument)
{
    struct gateway *gateway = argument;
    gateway->pipe = pipe;
    enum status status = open_in_thread(gateway);
    gateway->started = status == STATUS_OK;
    gateway->dirty = true;
    zsock_signal(pipe, gateway->started ? 0 : 1);
    on_pipe_readable(gateway);

    while (gateway->started && !gateway->stopping) {
        turn(gateway);
        if (peer_state(gateway->peer) != PEER_REFUSED)
            continue;
        gateway->failure = *peer_refusal(gateway->peer);
        error_wrap(&gateway->failure, "the broker refused the gateway");
        log_error(gateway->options.logger, "%s", gateway->failure.message);
        break;
    }
    if (gateway->started)
        drain(gateway);
    http_close(&gateway->http);
    front_destroy(&gateway->front);
    peer_close(&gateway->peer);
}

/* ---- starting and stopping */

static enum status
check_bind(const struct config *config, struct error *error)
{
    const char *bind = config_string(config, OPTION_GATEWAY_BIND);
    if (address_is_loopback(text_of(bind)) || config_bool(config, OPTION_GATEWAY_ALLOW_REMOTE))
        return STATUS_OK;
    error_set(error,
              "gateway.bind: came \"%s\", expected a loopback address unless gateway.allow_remote "
              "is set",
              bind);
    return STATUS_FORBIDDEN;
}

static enum status
open_http(struct gateway *gateway, struct error *error)
{
    const struct config *config = gateway->options.config;
    uint64_t descriptors = listen_raise_descriptor_limit();
    uint64_t connections = config_uint(config, OPTION_GATEWAY_CONNECTIONS_MAX);
    uint64_t room = descriptors > DESCRIPTORS_RESERVED + CONNECTIONS_MIN
                        ? descriptors - DESCRIPTORS_RESERVED
                        : CONNECTIONS_MIN;
    if (connections > room) {
        log_warn(gateway->options.logger,
                 "gateway.connections_max: %llu, but only %llu files may be open; taking %llu",
                 (unsigned long long)connections, (unsigned long long)descriptors,
                 (unsigned long long)room);
        connections = room;
    }
    struct http_options options = {
        .callbacks = front_callbacks(gateway->front),
        .clock = gateway->options.clock,
        .logger = gateway->options.logger,
        .connections_max = (uint32_t)connections,
        .connections_peer_max = (uint32_t)config_uint(config, OPTION_GATEWAY_CONNECTIONS_PEER_MAX),
        .rate = config_uint(config, OPTION_HTTP_RATE_LIMIT),
        .body_bytes_max = (size_t)config_uint(config, OPTION_GATEWAY_BODY_BYTES_MAX),
        .header_ms = (uint32_t)config_uint(config, OPTION_GATEWAY_HEADER_MS),
        .body_ms = (uint32_t)config_uint(config, OPTION_GATEWAY_BODY_MS),
        .idle_ms = (uint32_t)config_uint(config, OPTION_GATEWAY_IDLE_MS),
    };
    return http_open(&gateway->http, &options, error);
}

static enum status
listen_all(struct gateway *gateway, struct error *error)
{
    const struct config *config = gateway->options.config;
    const char *bind = config_string(config, OPTION_GATEWAY_BIND);
    for (size_t i = 0; i < sizeof doors / sizeof doors[0]; i++) {
        uint16_t port = 0;
        enum status status =
            http_listen(gateway->http, bind, (uint16_t)config_uint(config, doors[i].option),
                        option_key(doors[i].option), doors[i].door, &port, error);
        if (status != STATUS_OK)
            return status;
        gateway->ports[gateway->port_count++] = (struct gateway_port){doors[i].name, port};
    }
    return STATUS_OK;
}

enum status
gateway_start(struct gateway **gateway_p, const struct gateway_options *options,
              struct error *error)
{
    enum status status = check_bind(options->config, error);
    if (status != STATUS_OK)
        return status;
    struct gateway *gateway = calloc(1, sizeof *gateway);
    if (!gateway)
        return STATUS_NOMEM;
    gateway->options = *options;
    gateway->connection = *options->connection;
    gateway->options.connection = &gateway->connection;

    struct bus bus = {bus_call, bus_cancel, bus_grant, bus_connected, gateway};
    struct front_options front_options = {
        .contracts = contracts,
        .bus = &bus,
        .clock = options->clock,
        .logger = options->logger,
        .cors_origins = config_string(options->config, OPTION_CORS_ORIGINS),
        .bind = config_string(options->config, OPTION_GATEWAY_BIND),
        .allow_remote = config_bool(options->config, OPTION_GATEWAY_ALLOW_REMOTE),
        .streams_max = (size_t)config_uint(options->config, OPTION_GATEWAY_STREAMS_MAX),
    };
    status = front_new(&gateway->front, &front_options, error);
    if (status == STATUS_OK)
        status = open_http(gateway, error);
    if (status == STATUS_OK) {
        front_attach(gateway->front, gateway->http);
        status = listen_all(gateway, error);
    }
    if (status != STATUS_OK)
        goto fail;

    gateway->actor = zactor_new(run, gateway);
    if (!gateway->actor || !gateway->started) {
        status = STATUS_INTERNAL;
        if (gateway->failure.message[0] && error)
            *error = gateway->failure;
        else
            error_set(error, "cannot start the gateway's thread");
        goto fail;
    }
    *gateway_p = gateway;
    return STATUS_OK;

fail:
    gateway_stop(&gateway);
    return status;
}

void
gateway_stop(struct gateway **gateway_p)
{
    struct gateway *gateway = *gateway_p;
    if (!gateway)
        return;
    /* Waits for the thread, which closes what it used. */
    zactor_destroy(&gateway->actor);
    http_close(&gateway->http);
    front_destroy(&gateway->front);
    connection_clear(&gateway->connection);
    free(gateway);
    *gateway_p = NULL;
}

size_t
gateway_ports(const struct gateway *gateway, struct gateway_port ports[static GATEWAY_PORTS_MAX])
{
    memcpy(ports, gateway->ports, gateway->port_count * sizeof *ports);
    return gateway->port_count;
}

void *
gateway_pipe(struct gateway *gateway)
{
    return zactor_sock(gateway->actor);
}

const struct error *
gateway_failure(const struct gateway *gateway)
{
    return &gateway->failure;
}
