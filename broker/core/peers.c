/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/peers.h"

#include <stdlib.h>

#include "broker/core/answer.h"
#include "broker/core/ask.h"
#include "broker/core/audit.h"
#include "broker/core/channel.h"
#include "broker/core/directory.h"
#include "broker/core/mail.h"
#include "broker/core/outbound.h"
#include "broker/core/pending.h"
#include "broker/core/presence.h"
#include "kernel/assert.h"
#include "kernel/identity.h"

static struct bytes
number_key(const peer_number *number)
{
    return (struct bytes){(const uint8_t *)number, sizeof *number};
}

struct peer *
peers_find(const struct core *core, peer_number number)
{
    uint64_t hash = table_hash(&core->peers, number_key(&number));
    for (struct table_node *node = table_first(&core->peers, hash); node; node = table_next(node)) {
        struct peer *peer = CONTAINER_OF(node, struct peer, node);
        if (peer->number == number)
            return peer;
    }
    return NULL;
}

/* Thousands that say nothing would keep the broker busier than those that work. Who serves or acts
 * for others stays under close watch: requests hang on it. */
void
peer_pace(const struct core *core, struct peer *peer)
{
    uint64_t beats = 1 + core->peers.count / PEERS_PER_BEAT;
    bool close = peer->rights != 0 || text_starts_with(peer->identity, "service:");
    if (close)
        beats = 1;
    else if (beats > CROWD_BEATS_MAX)
        beats = CROWD_BEATS_MAX;
    peer->heartbeat_us = beats * core->options.heartbeat_ms * 1000;
}

void
peer_watch(struct core *core, struct peer *peer)
{
    uint64_t heard_us = peer->heard_us > core->resumed_us ? peer->heard_us : core->resumed_us;
    uint64_t at_us = heard_us + SILENT_BEATS * peer->heartbeat_us;
    if (peer->greeted && peer->sent_us + peer->heartbeat_us < at_us)
        at_us = peer->sent_us + peer->heartbeat_us;
    /* Without memory the peer lives on unwatched until its connection ends. */
    timers_set(&core->timers, &peer->timer, at_us);
}

static void
watch(void *context, void *owner)
{
    struct core *core = context;
    struct peer *peer = owner;
    uint64_t now_us = core->now.monotonic_us;
    uint64_t heard_us = peer->heard_us > core->resumed_us ? peer->heard_us : core->resumed_us;
    if (now_us >= heard_us + SILENT_BEATS * peer->heartbeat_us) {
        peer_doom(core, peer, "silent");
        return;
    }
    if (peer->greeted && now_us >= peer->sent_us + peer->heartbeat_us) {
        struct message beat = {.kind = KIND_HEARTBEAT};
        peer->sent_us = now_us; /* even if its pipe is full: then it has enough to read */
        answer_send(core, peer, &beat);
    }
    if (!peer->doomed)
        peer_watch(core, peer);
}

enum status
peers_add(struct core *core, peer_number number, struct text identity, unsigned rights,
          struct error *error)
{
    ASSERT(!peers_find(core, number));
    if (core->peers.count >= core->options.peers_max) {
        error_set(error, "%zu peers are connected already, no more are allowed (broker.peers_max)",
                  core->peers.count);
        return STATUS_BUSY;
    }
    bool anonymous = identity_is_anonymous(identity);
    if (anonymous && core->anonymous_count >= ANONYMOUS_MAX) {
        error_set(error, "%d peers with unknown keys are connected already", ANONYMOUS_MAX);
        return STATUS_BUSY;
    }
    struct peer *peer = calloc(1, sizeof *peer + identity.size + 1);
    if (!peer)
        return STATUS_NOMEM;
    core->anonymous_count += anonymous;
    memcpy(peer->identity_bytes, identity.data, identity.size);
    peer->identity = (struct text){peer->identity_bytes, identity.size};
    peer->number = number;
    peer->rights = rights;
    peer->access = access_of(core->accesses, peer->identity);
    peer->heard_us = core->now.monotonic_us;
    peer->sent_us = core->now.monotonic_us;
    peer->heartbeat_us = (uint64_t)core->options.heartbeat_ms * 1000;
    peer->refused_since_us = core->now.monotonic_us;
    peer->checked_since_us = core->now.monotonic_us;
    timer_init(&peer->timer, watch, peer);
    outbound_init(&peer->outbound);
    list_init(&peer->requests);
    list_init(&peer->consumers);
    list_append(&core->all_peers, &peer->all);
    table_insert(&core->peers, &peer->node, table_hash(&core->peers, number_key(&number)));
    peer_watch(core, peer);
    metric_set(core->figures.peers, (double)core->peers.count);
    return STATUS_OK;
}

enum core_sent
peer_send(struct core *core, struct peer *peer, struct bytes record)
{
    if (peer->doomed)
        return CORE_GONE;
    enum core_sent sent = outbound_add(core, peer, record);
    if (sent == CORE_SENT)
        peer->sent_us = core->now.monotonic_us;
    return sent;
}

void
peer_doom(struct core *core, struct peer *peer, const char *cut)
{
    if (peer->doomed)
        return;
    if (cut)
        outbound_push(core, peer); /* why it is cut may be among it */
    if (peer->doomed)
        return;
    peer->doomed = true;
    outbound_drop(core, peer);
    list_append(&core->doomed, &peer->doomed_link);
    if (!cut)
        return;
    figures_cut(&core->figures, cut);
    audit_tell_cut(core, peer, cut);
    if (core->options.logger)
        log_warn(core->options.logger, "cutting %.*s: %s", TEXT_ARGS(peer->identity), cut);
    core->sink.cut(core->sink.context, peer->number, cut);
}

void
peer_set_access(struct core *core, struct peer *peer, enum access access)
{
    peer->access = access;
    if (access == ACCESS_FULL)
        return;
    if (access != ACCESS_READ_ONLY) /* what it subscribed to would still come */
        peer_doom(core, peer, "not_active");
    else if (peer->instance)
        directory_leave(core, peer);
}

bool
peer_is_service(const struct peer *peer)
{
    return peer->greeted && !peer->doomed && text_starts_with(peer->identity, "service:");
}

void
peer_end_session(struct core *core, struct peer *peer)
{
    peer->greeted = false;
    mail_peer_gone(core, peer);
    channels_peer_gone(core, peer);
    asks_peer_gone(core, peer);
    free(peer->grants);
    peer->grants = NULL;
    while (!list_is_empty(&peer->requests)) {
        struct list_node *first = peer->requests.next;
        request_abandon(core, CONTAINER_OF(first, struct request, peer_link));
    }
    if (peer->instance)
        directory_leave(core, peer);
    presence_left(core, peer);
}

static void
take_out(struct core *core, struct peer *peer)
{
    peer_end_session(core, peer);
    timers_remove(&core->timers, &peer->timer);
    table_remove(&core->peers, &peer->node);
    list_remove(&peer->all);
    list_remove(&peer->doomed_link);
    core->anonymous_count -= identity_is_anonymous(peer->identity);
    free(peer);
    metric_set(core->figures.peers, (double)core->peers.count);
}

void
peers_reap(struct core *core)
{
    /* Taking one out may doom others, which join the list's end. */
    while (!list_is_empty(&core->doomed))
        take_out(core, CONTAINER_OF(core->doomed.next, struct peer, doomed_link));
}

void
peers_clear(struct core *core)
{
    struct list_node *node = core->all_peers.next;
    for (; node != &core->all_peers; node = node->next)
        peer_doom(core, CONTAINER_OF(node, struct peer, all), NULL);
    peers_reap(core);
}
