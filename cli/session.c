/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <zmq.h>

#include "cli/home.h"

enum {
    WELCOME_MS = 5000,     /* a broker that is just being started again gets this long */
    UNSUPERVISED_MS = 1000 /* no `sos up` runs: perhaps a broker of its own does */
};

/* A command says itself what went wrong; the peer's own lines would only double it. */
static void
discard_line(void *context, enum log_level level, struct text line)
{
    (void)context;
    (void)level;
    (void)line;
}

static const struct logger silent = {"cli", LOG_FATAL, NULL, discard_line, NULL};

static enum status
load(struct connection *connection, struct cli *cli, const struct session_options *options,
     struct error *error)
{
    if (options->connection_file)
        return connection_load(connection, NULL, options->connection_file, error);
    const char *key_file = options->key_file ? options->key_file : HOME_OPERATOR_KEY;
    enum status status = home_connection(cli->home, key_file, connection, error);
    if (status == STATUS_NOT_FOUND && !options->key_file)
        error_set(error, "there is no swarm in home %s (start one with: sos up)", cli->home);
    return status;
}

static enum status
await_welcome(struct peer *peer, const struct clock *clock, const char *endpoint, uint32_t wait_ms,
              struct error *error)
{
    uint64_t end = clock_now(clock).monotonic_us + wait_ms * 1000ull;
    while (peer_state(peer) != PEER_READY && peer_state(peer) != PEER_WELCOME) {
        const struct error *refusal = peer_refusal(peer);
        uint64_t now = clock_now(clock).monotonic_us;
        if (refusal->message[0]) {
            error_set(error, "%s: %s", endpoint, refusal->message);
            return STATUS_UNAVAILABLE;
        }
        if (now >= end) {
            error_set(error, "no broker answers at %s (start the swarm with: sos up)", endpoint);
            return STATUS_UNAVAILABLE;
        }
        uint64_t due = peer_deadline_us(peer) < end ? peer_deadline_us(peer) : end;
        zmq_pollitem_t items[] = {{peer_socket(peer), 0, ZMQ_POLLIN, 0},
                                  {peer_monitor(peer), 0, ZMQ_POLLIN, 0}};
        zmq_poll(items, 2, due > now ? (long)((due - now) / 1000 + 1) : 0);
        while (peer_process(peer)) {
        }
    }
    return STATUS_OK;
}

enum status
session_open(struct peer **peer_p, struct cli *cli, const struct session_options *options,
             struct error *error)
{
    struct connection connection;
    struct peer *peer = NULL;
    long pid = 0;
    bool supervised = options->connection_file || home_is_running(cli->home, &pid);
    uint32_t wait_ms = options->wait_ms ? options->wait_ms
                       : supervised     ? WELCOME_MS
                                        : UNSUPERVISED_MS;
    memset(&connection, 0, sizeof connection);
    enum status status = load(&connection, cli, options, error);
    if (status == STATUS_OK && options->identity)
        memcpy(options->identity, connection.identity, sizeof connection.identity);
    if (status == STATUS_OK) {
        struct peer_options peer_options = {
            .connection = &connection, .clock = cli->clock, .logger = &silent};
        status = peer_open(&peer, &peer_options, error);
    }
    if (status == STATUS_OK)
        status = await_welcome(peer, cli->clock, connection.endpoint, wait_ms, error);
    connection_clear(&connection);
    if (status != STATUS_OK) {
        peer_close(&peer);
        return status;
    }
    *peer_p = peer;
    return STATUS_OK;
}
