/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/router.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "broker/core/core.h"
#include "broker/net/links.h"
#include "broker/net/monitor.h"
#include "broker/net/zap.h"
#include "kernel/message.h"
#include "kernel/pack.h"

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93 /* declared among the drafts, there in the library */
#endif

enum {
    BATCH = 256,    /* frames in a turn */
    SEND_HWM = 128, /* frames; with the backlog, what a stuck peer can hold */
    RECEIVE_HWM = 32,
    BACKLOG = 1024, /* of accept */
    HEARTBEAT_MS = 1000,
    HEARTBEAT_TIMEOUT_MS = 3000,
    HANDSHAKE_MS = 5000,
    RETRY_MS = 2,              /* a full pipe is tried again */
    SILENCE_US = 10 * 1000000, /* connected and authenticated, but never said a word */
    SPARE_CONNECTIONS = 256,   /* beyond peers_max, for those in the handshake */
    POLL_MAX_MS = 1000,
    INSPECT_US = 100000,
    INSPECT_LINKS = 512,          /* in one turn */
    WIRE_OVERHEAD = 64,           /* of a frame: ZMTP and CURVE */
    WIRE_PER_SECOND = 512,        /* ZMTP's heartbeats */
    UNSEEN_MAX = 32 * 1024 * 1024 /* RECEIVE_HWM frames, the kernel's buffer, and as much again */
};

struct router {
    const struct broker_options *options;
    struct keytable *keys;
    void *context;
    void *socket;
    struct zap *zap;
    struct monitor *monitor;
    struct core *core;
    struct links links;
    struct metric *handshakes_refused;
    struct metric *frames_unknown;
    struct now now;
    uint64_t inspected_us;
    char endpoint[ROUTER_ENDPOINT_SIZE];
};

/* ---- the core's sink */

static enum core_sent
sink_send(void *context, peer_number peer, struct bytes frame)
{
    struct router *router = context;
    struct link *link = links_find(&router->links, peer);
    return link ? link_send(&router->links, link, frame) : CORE_GONE;
}

static void
sink_cut(void *context, peer_number peer, const char *reason)
{
    (void)reason; /* the core has logged it */
    struct router *router = context;
    struct link *link = links_find(&router->links, peer);
    if (link)
        link_condemn(&router->links, link);
}

static enum status
sink_key_add(void *context, struct text identity, struct text public_key, struct error *error)
{
    struct router *router = context;
    struct key_entry existing;
    bool known = keytable_find(router->keys, public_key, &existing);
    enum status status =
        keytable_add(router->keys, identity, public_key, false, router->now.wall_us, error);
    if (status != STATUS_OK || known)
        return status;
    status = keytable_save(router->keys, error);
    if (status != STATUS_OK)
        keytable_forget(router->keys, public_key);
    return status;
}

static enum status
sink_key_revoke(void *context, struct text identity, uint64_t *count, struct error *error)
{
    struct router *router = context;
    *count = keytable_revoke(router->keys, identity);
    return *count ? keytable_save(router->keys, error) : STATUS_OK;
}

struct key_listing {
    struct buffer entries;
    uint32_t count;
};

static void
list_key(void *context, const struct key_entry *entry)
{
    struct key_listing *listing = context;
    listing->count++;
    pack_map(&listing->entries, 4);
    pack_pair_string(&listing->entries, "identity", entry->identity);
    pack_pair_string(&listing->entries, "curve_public_key", entry->curve_public_key);
    pack_pair_bool(&listing->entries, "revoked", entry->revoked);
    pack_pair_bool(&listing->entries, "act_for_others", entry->act_for_others);
}

static enum status
sink_key_list(void *context, struct text after, uint32_t limit, struct buffer *out, bool *more,
              struct error *error)
{
    struct router *router = context;
    struct key_listing listing = {.count = 0};
    buffer_init(&listing.entries);
    enum status status = keytable_page(router->keys, after, limit, list_key, &listing, more, error);
    pack_array(out, listing.count);
    buffer_append(out, listing.entries.data, listing.entries.size);
    if (status == STATUS_OK && (listing.entries.failed || out->failed))
        status = STATUS_NOMEM;
    buffer_clear(&listing.entries);
    return status;
}

static bool
sink_pin_find(void *context, struct text service, struct pin *pin)
{
    struct router *router = context;
    return keytable_pin_find(router->keys, service, pin);
}

static enum status
sink_pin_set(void *context, struct text service, const struct pin *pin, struct error *error)
{
    struct router *router = context;
    struct pin before;
    bool replaces = keytable_pin_find(router->keys, service, &before);
    enum status status = keytable_pin_set(router->keys, service, pin, error);
    if (status != STATUS_OK)
        return status;
    status = keytable_save(router->keys, error);
    if (status != STATUS_OK && replaces)
        keytable_pin_set(router->keys, service, &before, NULL);
    else if (status != STATUS_OK)
        keytable_pin_forget(router->keys, service);
    return status;
}

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
    bool set = set_int(socket, ZMQ_ROUTER_MANDATORY, 1) && set_int(socket, ZMQ_LINGER, 0) &&
               set_int(socket, ZMQ_SNDHWM, SEND_HWM) && set_int(socket, ZMQ_RCVHWM, RECEIVE_HWM) &&
               set_int(socket, ZMQ_BACKLOG, BACKLOG) &&
               set_int(socket, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS) &&
               set_int(socket, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS) &&
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
    }
    options.capability_keys = router->options->capability_keys;
    options.capability_key_count = router->options->capability_key_count;
    options.logger = router->options->logger;
    struct core_sink sink = {.context = router,
                             .send = sink_send,
                             .cut = sink_cut,
                             .key_add = sink_key_add,
                             .key_revoke = sink_key_revoke,
                             .key_list = sink_key_list,
                             .pin_find = sink_pin_find,
                             .pin_set = sink_pin_set};
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

static enum status
open_all(struct router *router, struct error *error)
{
    router->now = clock_now(router->options->clock);
    router->context = zmq_ctx_new();
    if (!router->context || zmq_ctx_set(router->context, ZMQ_IO_THREADS, io_threads()) != 0)
        return fail(error, "make the messaging context");
    /* The handler stands before the first peer can connect. */
    enum status status =
        zap_start(&router->zap, router->context, router->keys, router->options->logger, error);
    if (status != STATUS_OK)
        return status;
    status = open_socket(router, error);
    if (status != STATUS_OK)
        return status;
    router->core = make_core(router);
    if (!router->core || !add_figures(router) || !links_init(&router->links, router->socket))
        return STATUS_NOMEM;
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
    links_clear(&router->links);
    monitor_close(&router->monitor);
    if (router->socket)
        zmq_close(router->socket);
    zap_stop(&router->zap); /* after the ROUTER: until then somebody might ask it */
    if (router->context)
        zmq_ctx_term(router->context);
    free(router);
    *router_p = NULL;
}

const char *
router_endpoint(const struct router *router)
{
    return router->endpoint;
}

/* ---- receiving */

static uint64_t
session_of(zmq_msg_t *frame)
{
    const char *text = zmq_msg_gets(frame, ZAP_SESSION);
    return text ? strtoull(text, NULL, 10) : 0;
}

static unsigned
rights_of(const struct key_entry *entry)
{
    unsigned rights = 0;
    if (entry->act_for_others)
        rights |= CORE_ACT_FOR_OTHERS;
    if (strcmp(entry->identity, "user:operator") == 0)
        rights |= CORE_OPERATOR;
    return rights;
}

/* The key table has the last word: the key may have been revoked since the handshake. */
static bool
is_still_allowed(struct router *router, zmq_msg_t *frame, struct key_entry *entry)
{
    const char *key = zmq_msg_gets(frame, ZAP_KEY);
    const char *identity = zmq_msg_gets(frame, "User-Id");
    return key && identity && keytable_find(router->keys, text_of(key), entry) && !entry->revoked &&
           strcmp(entry->identity, identity) == 0;
}

/* The first frame of a session. NULL: it is not heard. */
static struct link *
admit_link(struct router *router, uint64_t session, zmq_msg_t *routing_id, zmq_msg_t *frame)
{
    int fd = zmq_msg_get(frame, ZMQ_SRCFD);
    const uint8_t *id = zmq_msg_data(routing_id);
    size_t id_size = zmq_msg_size(routing_id);

    monitor_drain(router->monitor, router->now.monotonic_us);
    if (fd < 0 || !monitor_claim(router->monitor, fd, session))
        return NULL;
    /* A peer that names itself could take over a name that answers are still sent to. */
    bool is_made_here = id_size == ROUTING_ID_SIZE && id[0] == 0;
    struct key_entry entry;
    if (!is_made_here || !is_still_allowed(router, frame, &entry)) {
        monitor_cut(router->monitor, fd, session);
        return NULL;
    }
    struct link *link = links_add(&router->links, session, fd, (struct bytes){id, id_size});
    if (!link)
        return NULL;
    link->since_us = router->now.monotonic_us;
    struct error error = ERROR_INIT;
    enum status status = core_connected(router->core, session, text_of(entry.identity),
                                        rights_of(&entry), router->now, &error);
    if (status != STATUS_OK) {
        log_warn(router->options->logger, "%s is not let in: %s", entry.identity, error.message);
        link_condemn(&router->links, link);
    }
    return link;
}

static void
take_frame(struct router *router, zmq_msg_t *routing_id, zmq_msg_t *frame, bool whole)
{
    uint64_t session = session_of(frame);
    struct link *link = session ? links_find(&router->links, session) : NULL;
    if (!link && session)
        link = admit_link(router, session, routing_id, frame);
    if (!link || link->ended) {
        metric_add(router->frames_unknown, 1);
        return;
    }
    link->taken += zmq_msg_size(frame) + WIRE_OVERHEAD;
    if (whole)
        core_receive(router->core, session,
                     (struct bytes){zmq_msg_data(frame), zmq_msg_size(frame)}, router->now);
    else
        core_misbehaved(router->core, session, "several_frames", router->now);
}

/* False: nothing is waiting. */
static bool
receive(struct router *router)
{
    zmq_msg_t routing_id, frame, rest;
    zmq_msg_init(&routing_id);
    if (zmq_msg_recv(&routing_id, router->socket, ZMQ_DONTWAIT) < 0) {
        zmq_msg_close(&routing_id);
        return false;
    }
    zmq_msg_init(&frame);
    bool whole = zmq_msg_more(&routing_id) && zmq_msg_recv(&frame, router->socket, 0) >= 0;
    bool more = whole && zmq_msg_more(&frame);
    whole = whole && !more;
    while (more) {
        zmq_msg_init(&rest);
        more = zmq_msg_recv(&rest, router->socket, 0) >= 0 && zmq_msg_more(&rest);
        zmq_msg_close(&rest);
    }
    take_frame(router, &routing_id, &frame, whole);
    zmq_msg_close(&frame);
    zmq_msg_close(&routing_id);
    return true;
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

static long
turn(struct router *router)
{
    router->now = clock_now(router->options->clock);
    monitor_drain(router->monitor, router->now.monotonic_us);
    int count = 0;
    while (count < BATCH && receive(router))
        count++;
    router->now = clock_now(router->options->clock);
    uint64_t next_us = core_tick(router->core, router->now);
    core_flush(router->core, router->now);
    inspect(router);
    close_condemned(router);
    if (count == BATCH)
        return 0;
    if (links_flush(&router->links))
        return RETRY_MS;
    if (next_us <= router->now.monotonic_us)
        return 0;
    uint64_t left_ms = (next_us - router->now.monotonic_us + 999) / 1000;
    uint64_t max_ms = monitor_count(router->monitor) == 0 ? POLL_MAX_MS : INSPECT_US / 1000;
    return (long)(left_ms < max_ms ? left_ms : max_ms);
}

enum status
router_run(struct router *router, void *control, struct error *error)
{
    zmq_pollitem_t items[] = {
        {router->socket, 0, ZMQ_POLLIN, 0},
        {monitor_socket(router->monitor), 0, ZMQ_POLLIN, 0},
        {zap_socket(router->zap), 0, ZMQ_POLLIN, 0},
        {control, 0, ZMQ_POLLIN, 0},
    };
    for (;;) {
        long timeout_ms = turn(router);
        if (zmq_poll(items, (int)(sizeof items / sizeof items[0]), timeout_ms) < 0 &&
            errno != EINTR)
            return fail(error, "wait for messages");
        if (items[2].revents) {
            error_set(error, "the authentication thread has ended: nobody can be let in any more");
            return STATUS_INTERNAL;
        }
        if (items[3].revents)
            return STATUS_OK;
    }
}
