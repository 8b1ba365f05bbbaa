/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/net/router_state.h"
#include "broker/net/waiter.h"
#include "kernel/message.h"
#include "kernel/pack.h"

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93 /* declared among the drafts, there in the library */
#endif

enum {
    SEND_HWM = 128, /* frames; with what waits in the core, what a stuck peer can hold */
    RECEIVE_HWM = 32,
    BACKLOG = 1024, /* of accept */
    HANDSHAKE_MS = 5000,
    SILENCE_US = 10 * 1000000, /* connected and authenticated, but never said a word */
    SPARE_CONNECTIONS = 256,   /* beyond peers_max, for those in the handshake */
    USED_MAX = 128,            /* memory of frames that left, until the next turn */
    POLL_MAX_MS = 1000,
    INSPECT_US = 100000,
    INSPECT_LINKS = 512,          /* in one turn */
    WIRE_PER_SECOND = 512,        /* ZMTP's heartbeats */
    UNSEEN_MAX = 32 * 1024 * 1024 /* RECEIVE_HWM frames, the kernel's buffer, and as much again */
};

/* ---- the monitor's events */

static void
on_disconnected(void *context, uint64_t session)
{
    struct router *router = context;
    struct link *link = links_find(&router->links, session);
    if (!link)
        return;
    link->ended = true;
    core_disconnected(router->core, session, router->now);
    links_remove(&router->links, link);
}

static void
on_refused(void *context)
{
    struct router *router = context;
    metric_add(router->handshakes_refused, 1);
}

/* ---- opening */

static bool
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value) == 0;
}

static enum status
fail(struct error *error, const char *what)
{
    error_set(error, "%s: %s", what, zmq_strerror(zmq_errno()));
    return STATUS_INTERNAL;
}

static int
io_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    long threads = cores - 1;
    if (threads < 1)
        return 1;
    return threads > 4 ? 4 : (int)threads;
}

static enum status
open_socket(struct router *router, struct error *error)
{
    router->socket = zmq_socket(router->context, ZMQ_ROUTER);
    if (!router->socket)
        return fail(error, "open the ROUTER socket");
    void *socket = router->socket;
    /* libzmq compares what stands on the wire: the frame in its box. */
    int64_t message_max = FRAME_SIZE_MAX + WIRE_OVERHEAD;
    /* No ZMTP heartbeats: libzmq walks all timers of its thread to end one, so with thousands of
     * peers each frame would cost the more, and the core ends sessions that are silent anyway. */
    bool set = set_int(socket, ZMQ_ROUTER_MANDATORY, 1) && set_int(socket, ZMQ_LINGER, 0) &&
               set_int(socket, ZMQ_SNDHWM, SEND_HWM) && set_int(socket, ZMQ_RCVHWM, RECEIVE_HWM) &&
               set_int(socket, ZMQ_BACKLOG, BACKLOG) &&
               set_int(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
               zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) == 0;
    if (!set)
        return fail(error, "set up the ROUTER socket");
    /* Without these two libzmq lets every key in when no handler answers. */
    bool guarded = set_int(socket, ZMQ_CURVE_SERVER, 1) &&
                   zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, router->options->keys->secret_key,
                                  CURVE_KEY_TEXT_SIZE) == 0 &&
                   zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN)) == 0 &&
                   set_int(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
    if (!guarded)
        return fail(error, "make the ROUTER socket authenticate its peers");
    if (strchr(router->options->bind, ':') && !set_int(socket, ZMQ_IPV6, 1))
        return fail(error, "let the ROUTER socket speak IPv6");
    return STATUS_OK;
}

static enum status
bind_socket(struct router *router, struct error *error)
{
    const char *address = router->options->bind;
    const char *form = strchr(address, ':') ? "tcp://[%s]:%u" : "tcp://%s:%u";
    char wanted[ROUTER_ENDPOINT_SIZE];
    char wildcard[ROUTER_ENDPOINT_SIZE];
    snprintf(wanted, sizeof wanted, form, address, (unsigned)router->options->port);
    if (router->options->port == 0) {
        snprintf(wildcard, sizeof wildcard, "%.*s*", (int)strlen(wanted) - 1, wanted);
        snprintf(wanted, sizeof wanted, "%s", wildcard);
    }
    if (zmq_bind(router->socket, wanted) != 0) {
        int cause = zmq_errno();
        error_set(
            error,
            "the broker cannot listen on %s port %u: %s (settings broker.bind and broker.port)",
            address, (unsigned)router->options->port, zmq_strerror(cause));
        return STATUS_UNAVAILABLE;
    }
    size_t size = sizeof router->endpoint;
    if (zmq_getsockopt(router->socket, ZMQ_LAST_ENDPOINT, router->endpoint, &size) != 0)
        return fail(error, "read the ROUTER's endpoint");
    const char *colon = strrchr(router->endpoint, ':');
    monitor_set_port(router->monitor, (uint16_t)(colon ? strtoul(colon + 1, NULL, 10) : 0));
    return STATUS_OK;
}

static struct core *
make_core(struct router *router)
{
    const struct config *config = router->options->config;
    struct core_options options = core_options_default();
    /* Differs with each start; microseconds of a clock that is set back meet the past hardly ever.
     */
    options.epoch = router->now.wall_us;
    if (!table_make_key(options.hash_key))
        return NULL;
    if (config) {
        options.peers_max = config_uint(config, OPTION_BROKER_PEERS_MAX);
        options.pending_max = config_uint(config, OPTION_BROKER_PENDING_MAX);
        options.pending_peer_max = config_uint(config, OPTION_BROKER_PENDING_PEER_MAX);
        options.held_max = config_uint(config, OPTION_BROKER_HELD_MAX);
        options.held_bytes_max = config_uint(config, OPTION_BROKER_HELD_BYTES_MAX);
        options.hold_ms = (uint32_t)config_uint(config, OPTION_BROKER_HOLD_MS);
        options.mail_rate = (uint32_t)config_uint(config, OPTION_MAIL_RATE);
        options.channels_max = config_uint(config, OPTION_CHANNELS_MAX);
        options.channel_history_max = config_uint(config, OPTION_CHANNEL_HISTORY_MAX);
        options.channel_history_bytes_max = config_uint(config, OPTION_CHANNEL_HISTORY_BYTES_MAX);
        options.channel_bytes_max = config_uint(config, OPTION_CHANNEL_BYTES_MAX);
        options.require_capabilities = config_bool(config, OPTION_REQUIRE_CAPABILITIES) ||
                                       strcmp(config_string(config, OPTION_ENV), "production") == 0;
    }
    options.capability_keys = router->options->capability_keys;
    options.capability_key_count = router->options->capability_key_count;
    options.logger = router->options->logger;
    struct core_sink sink = router_sink(router);
    return core_new(&options, &sink, router->now);
}

static bool
add_figures(struct router *router)
{
    static const char *const none[] = {NULL};
    struct metrics *metrics = core_metrics(router->core);
    struct metric_family *refused =
        metrics_family(metrics, METRIC_COUNTER, "sos_bus_handshakes_refused_total",
                       "Connections that failed the handshake or its authentication", NULL);
    struct metric_family *unknown =
        metrics_family(metrics, METRIC_COUNTER, "sos_bus_frames_unknown_total",
                       "Frames of no session that is known", NULL);
    if (!refused || !unknown)
        return false;
    router->handshakes_refused = metric_series(refused, none);
    router->frames_unknown = metric_series(unknown, none);
    return true;
}

static bool
welcomes_strangers(const struct broker_options *options)
{
    return options->config && config_bool(options->config, OPTION_BUS_ANONYMOUS);
}

struct restricting {
    struct core *core;
    bool failed;
};

static void
restrict_identity(void *context, struct text identity, enum access access)
{
    struct restricting *restricting = context;
    if (core_access(restricting->core, identity, access) != STATUS_OK)
        restricting->failed = true;
}

/* Who has less than full has it from the first record on. */
static bool
take_accesses(struct router *router)
{
    struct restricting restricting = {.core = router->core};
    keytable_each_access(router->keys, restrict_identity, &restricting);
    return !restricting.failed;
}

struct seeding {
    struct router *router;
    enum status status;
    struct error *error;
};

static void
revoke_again(void *context, struct text id, uint64_t expires_us)
{
    struct seeding *seeding = context;
    const struct revocation revocation = {id, expires_us};
    if (seeding->status == STATUS_OK)
        seeding->status = core_capabilities_revoked(seeding->router->core, &revocation, 1,
                                                    seeding->router->now, seeding->error);
}

/* What was revoked before is refused from the first record on. */
static enum status
take_revocations(struct router *router, struct error *error)
{
    struct seeding seeding = {router, STATUS_OK, error};
    if (router->revoked)
        revocations_visit(revoked_list(router->revoked), router->now.wall_us, revoke_again,
                          &seeding);
    return seeding.status;
}

static enum status
open_all(struct router *router, struct error *error)
{
    router->now = clock_now(router->options->clock);
    router->context = zmq_ctx_new();
    if (!router->context || zmq_ctx_set(router->context, ZMQ_IO_THREADS, io_threads()) != 0)
        return fail(error, "make the messaging context");
    enum status status = tap_thread_start(&router->tap, TAP_RING_SIZE, error);
    if (status == STATUS_OK && router->options->audit)
        status = audit_log_start(&router->audit, router->options->audit, router->options->clock,
                                 router->options->logger, error);
    /* The handler stands before the first peer can connect. */
    if (status == STATUS_OK)
        status = zap_start(&router->zap, router->context, router->keys, router->audit,
                           router->options->logger, error);
    if (status != STATUS_OK)
        return status;
    if (welcomes_strangers(router->options))
        zap_welcome_strangers(router->zap);
    status = open_socket(router, error);
    if (status != STATUS_OK)
        return status;
    status = mail_link_open(&router->mail, router->options, error);
    if (status != STATUS_OK)
        return status;
    if (router->options->revoked)
        status = revoked_open(&router->revoked, router->options->revoked, router->now,
                              router->options->logger, error);
    if (status != STATUS_OK)
        return status;
    router->core = make_core(router);
    if (!router->core || !take_accesses(router) || !add_figures(router) ||
        !mail_link_add_figures(&router->mail, core_metrics(router->core)) ||
        !links_init(&router->links, router->socket))
        return STATUS_NOMEM;
    status = take_revocations(router, error);
    if (status != STATUS_OK)
        return status;
    size_t peers_max = router->options->config
                           ? config_uint(router->options->config, OPTION_BROKER_PEERS_MAX)
                           : core_options_default().peers_max;
    struct monitor_events events = {router, on_disconnected, on_refused};
    status = monitor_open(&router->monitor, router->context, router->socket,
                          peers_max + SPARE_CONNECTIONS, &events, error);
    if (status != STATUS_OK)
        return status;
    return bind_socket(router, error);
}

enum status
router_open(struct router **router_p, const struct broker_options *options, struct keytable *keys,
            struct error *error)
{
    struct router *router = calloc(1, sizeof *router);
    if (!router)
        return STATUS_NOMEM;
    router->options = options;
    pool_init(&router->used, sizeof(struct parcel), USED_MAX);
    router->keys = keys;
    enum status status = open_all(router, error);
    if (status != STATUS_OK) {
        router_close(&router);
        return status;
    }
    *router_p = router;
    return STATUS_OK;
}

void
router_close(struct router **router_p)
{
    struct router *router = *router_p;
    if (!router)
        return;
    core_destroy(&router->core);
    revoked_close(&router->revoked);
    mail_link_close(&router->mail);
    tap_thread_stop(&router->tap);
    links_clear(&router->links);
    monitor_close(&router->monitor);
    if (router->socket)
        zmq_close(router->socket);
    zap_stop(&router->zap); /* after the ROUTER: until then somebody might ask it */
    audit_log_stop(&router->audit);
    if (router->context)
        zmq_ctx_term(router->context);
    pool_clear(&router->used);
    free(router);
    *router_p = NULL;
}

const char *
router_endpoint(const struct router *router)
{
    return router->endpoint;
}

/* ---- the loop */

static void
close_condemned(struct router *router)
{
    if (list_is_empty(&router->links.condemned))
        return;
    monitor_drain(router->monitor, router->now.monotonic_us); /* may remove some of them */
    while (!list_is_empty(&router->links.condemned)) {
        struct link *link = CONTAINER_OF(router->links.condemned.next, struct link, condemned);
        list_remove(&link->condemned);
        monitor_cut(router->monitor, link->fd, link->session);
    }
}

/* libzmq gathers the frames of one message without a limit until its last one is there, so a peer
 * that never ends a message could fill the memory unseen. What came over the wire and what was seen
 * here must not drift apart by more than the queues between can hold. */
static void
inspect_link(struct router *router, struct link *link)
{
    uint64_t now_us = router->now.monotonic_us;
    uint64_t seen = link->taken + (now_us - link->since_us) / 1000000 * WIRE_PER_SECOND;
    if (monitor_bytes(router->monitor, link->fd, link->session) > seen + UNSEEN_MAX)
        core_misbehaved(router->core, link->session, "unfinished_message", router->now);
}

/* Looks for connections that no event tells of: those that never speak, those that speak without an
 * end, and links whose descriptor went to another session without a word about theirs. */
static void
inspect(struct router *router)
{
    if (router->now.monotonic_us - router->inspected_us < INSPECT_US)
        return;
    router->inspected_us = router->now.monotonic_us;
    monitor_sweep(router->monitor, router->now.monotonic_us, SILENCE_US, UNSEEN_MAX);
    size_t count = router->links.by_session.count;
    for (size_t i = 0; i < count && i < INSPECT_LINKS; i++) {
        struct link *link = CONTAINER_OF(router->links.all.next, struct link, all);
        list_remove(&link->all); /* to the end: each has its turn */
        list_append(&router->links.all, &link->all);
        if (!link->ended) {
            inspect_link(router, link);
        } else if (!monitor_holds(router->monitor, link->fd, link->session)) {
            core_disconnected(router->core, link->session, router->now);
            links_remove(&router->links, link);
        }
    }
}

/* What the other threads have done. */
static void
take_done(struct router *router)
{
    struct tap_chunk *chunk = tap_thread_chunks(router->tap);
    while (chunk) {
        struct tap_chunk *next = chunk->next;
        core_tap_chunk(router->core, &chunk, router->now);
        chunk = next;
    }
    uint64_t ticket;
    bool written;
    while (router->audit && audit_log_answer(router->audit, &ticket, &written))
        core_audited(router->core, ticket, written, router->now);
}

static void
take_back(struct router *router)
{
    struct parcel *parcel;
    while ((parcel = pool_take_idle(&router->used)))
        core_take_back(router->core, &parcel);
}

/* Returns for how long to wait at most, in ms. */
static long
turn(struct router *router)
{
    if (router->mail.more)
        mail_link_take(&router->mail, router->core, router->now);
    take_back(router);
    router_work_off(router);
    bool more = !router_receive_all(router);
    router->now = clock_now(router->options->clock);
    core_tick(router->core, router->now);
    inspect(router);
    close_condemned(router);
    uint64_t next_us = core_flush(router->core, router->now);
    tap_thread_wake(router->tap);
    if (more || router->mail.more || !list_is_empty(&router->links.unfinished) ||
        !list_is_empty(&router->links.condemned) || next_us <= router->now.monotonic_us)
        return 0;
    /* Sending takes in what libzmq has to tell, and its descriptor does not tell of it again. */
    if (router->sent && waiter_has_input(router->socket))
        return 0;
    router->sent = false;
    uint64_t left_ms = (next_us - router->now.monotonic_us + 999) / 1000;
    uint64_t max_ms = monitor_count(router->monitor) == 0 ? POLL_MAX_MS : INSPECT_US / 1000;
    return (long)(left_ms < max_ms ? left_ms : max_ms);
}

enum status
router_run(struct router *router, void *control, struct error *error)
{
    struct waiter waiter = {.count = 0};
    waiter_add_fd(&waiter, waiter_socket_fd(router->socket)); /* each turn receives from it */
    unsigned told = waiter_add_socket(&waiter, monitor_socket(router->monitor));
    unsigned unguarded = waiter_add_socket(&waiter, zap_socket(router->zap));
    unsigned stopped = waiter_add_socket(&waiter, control);
    unsigned tapped = waiter_add_fd(&waiter, tap_thread_fd(router->tap));
    unsigned mailed = waiter_add_fd(&waiter, mail_link_fd(&router->mail));
    unsigned audited = waiter_add_fd(&waiter, router->audit ? audit_log_fd(router->audit) : -1);
    while (!waiter.ready[stopped]) {
        if (waiter.ready[unguarded]) {
            error_set(error, "the authentication thread has ended: nobody can be let in any more");
            return STATUS_INTERNAL;
        }
        router->now = clock_now(router->options->clock);
        if (waiter.ready[told])
            monitor_drain(router->monitor, router->now.monotonic_us);
        if (waiter.ready[mailed])
            mail_link_take(&router->mail, router->core, router->now);
        if (waiter.ready[tapped] || waiter.ready[audited])
            take_done(router);
        if (!waiter_wait(&waiter, turn(router)))
            return fail(error, "wait for messages");
    }
    return STATUS_OK;
}
