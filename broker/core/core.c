/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/core.h"

#include <stdio.h>
#include <stdlib.h>

#include "broker/core/admit.h"
#include "broker/core/ask.h"
#include "broker/core/channel.h"
#include "broker/core/directory.h"
#include "broker/core/listen.h"
#include "broker/core/mail.h"
#include "broker/core/peers.h"
#include "broker/core/presence.h"
#include "broker/core/revoke.h"
#include "broker/core/state.h"
#include "broker/core/tap.h"
#include "kernel/authorise.h"

enum {
    STALL_US = 1000000, /* this late, and peers had no chance to be heard */
    /* More is not taken in before what came of it has left: bounds delay and memory. */
    TURN_RECORDS_MAX = 1024,
    TURN_BYTES_MAX = 4 * 1024 * 1024
};

struct core_options
core_options_default(void)
{
    return (struct core_options){
        .heartbeat_ms = 1000,
        .stream_credit = 32,
        .peers_max = 16384,
        .pending_max = 65536,
        .pending_peer_max = 4096,
        .held_max = 1024,
        .held_bytes_max = 16 * 1024 * 1024,
        .hold_ms = 5000,
        .mail_rate = 100000,
        .channels_max = 10000,
        .channel_history_max = 1000,
        .channel_history_bytes_max = 1024 * 1024,
        .channel_bytes_max = 64 * 1024 * 1024,
    };
}

static bool
copy_keys(struct core *core, const struct core_options *options)
{
    size_t count = options->capability_key_count;
    if (count == 0)
        return true;
    core->capability_keys = calloc(count, sizeof *core->capability_keys);
    if (!core->capability_keys)
        return false;
    memcpy(core->capability_keys, options->capability_keys, count * sizeof *core->capability_keys);
    return true;
}

static bool
open_parts(struct core *core)
{
    core->authoriser = authoriser_new(core->capability_keys, core->options.capability_key_count,
                                      core->options.require_capabilities);
    core->channels = channels_new(core);
    core->presence = presence_new(core);
    core->mail = mail_new(core);
    core->accesses = accesses_new(core->options.hash_key);
    return core->authoriser && core->channels && core->presence && core->mail && core->accesses;
}

struct core *
core_new(const struct core_options *options, const struct core_sink *sink, struct now now)
{
    struct core *core = calloc(1, sizeof *core);
    if (!core)
        return NULL;
    core->options = *options;
    core->options.capability_keys = NULL;
    core->sink = *sink;
    core->now = now;
    core->started_us = now.monotonic_us;
    core->resumed_us = now.monotonic_us;
    list_init(&core->all_peers);
    list_init(&core->all_services);
    list_init(&core->doomed);
    list_init(&core->taps);
    list_init(&core->listens);
    list_init(&core->asks);
    revoke_init(core);
    sending_init(&core->sending);
    buffer_init(&core->record);
    buffer_init(&core->payload);
    core->metrics = metrics_new();
    if (!core->metrics || !figures_init(&core->figures, core->metrics) ||
        !table_init(&core->peers, options->hash_key) ||
        !table_init(&core->requests, options->hash_key) ||
        !table_init(&core->services, options->hash_key) || !copy_keys(core, options) ||
        !open_parts(core))
        core_destroy(&core);
    return core;
}

void
core_destroy(struct core **core_p)
{
    struct core *core = *core_p;
    if (!core)
        return;
    asks_clear(core);
    if (core->mail) {
        mail_close(core->mail);
        peers_clear(core);
    }
    mail_destroy(&core->mail);
    channels_destroy(&core->channels);
    presence_destroy(&core->presence);
    authoriser_destroy(&core->authoriser);
    accesses_destroy(&core->accesses);
    directory_clear(core);
    sending_clear(&core->sending);
    table_clear(&core->peers);
    table_clear(&core->requests);
    table_clear(&core->services);
    timers_clear(&core->timers);
    metrics_destroy(&core->metrics);
    buffer_clear(&core->record);
    buffer_clear(&core->payload);
    free(core->capability_keys);
    free(core);
    *core_p = NULL;
}

static void
enter(struct core *core, struct now now)
{
    uint64_t due_us = timers_next(&core->timers);
    if (now.monotonic_us > STALL_US && due_us < now.monotonic_us - STALL_US)
        core->resumed_us = now.monotonic_us;
    core->now = now;
}

enum status
core_connected(struct core *core, peer_number peer, struct text identity, unsigned rights,
               struct now now, struct error *error)
{
    enter(core, now);
    return peers_add(core, peer, identity, rights, error);
}

void
core_key(struct core *core, peer_number number, struct text public_key)
{
    struct peer *peer = peers_find(core, number);
    if (peer && public_key.size < sizeof peer->key)
        memcpy(peer->key, public_key.data, public_key.size); /* zeroes behind it */
}

enum status
core_access(struct core *core, struct text identity, enum access access)
{
    return access_set(core->accesses, identity, access);
}

void
core_disconnected(struct core *core, peer_number number, struct now now)
{
    enter(core, now);
    struct peer *peer = peers_find(core, number);
    if (peer)
        peer_doom(core, peer, NULL);
    peers_reap(core);
}

size_t
core_receive(struct core *core, peer_number number, struct bytes frame, struct now now)
{
    enter(core, now);
    struct peer *peer = peers_find(core, number);
    if (!peer)
        return frame.size;
    peer->heard_us = now.monotonic_us;
    size_t taken = admit_frame(core, peer, frame);
    peers_reap(core);
    return taken;
}

bool
core_wants_flush(const struct core *core)
{
    return core->taken >= TURN_RECORDS_MAX || core->sending.added >= TURN_BYTES_MAX;
}

void
core_misbehaved(struct core *core, peer_number number, const char *what, struct now now)
{
    enter(core, now);
    struct peer *peer = peers_find(core, number);
    if (!peer)
        return;
    figures_refused(&core->figures, what);
    snprintf(core->verdict, sizeof core->verdict, "refused: %s", what);
    tap_record(core, TAP_IN, &(struct message){.source = peer->identity}, 0, core->verdict);
    peer_doom(core, peer, what);
    peers_reap(core);
}

void
core_mail_done(struct core *core, struct mail_op **op_p, struct now now)
{
    enter(core, now);
    mail_done(core, op_p);
    peers_reap(core);
}

void
core_mail_is(struct core *core, enum core_mail_health health, struct now now)
{
    enter(core, now);
    core->mail_health = health;
    event_storage(core, health != CORE_MAIL_OK);
}

void
core_tap_chunk(struct core *core, struct tap_chunk **chunk_p, struct now now)
{
    enter(core, now);
    tap_chunk_ready(core, chunk_p);
}

void
core_audited(struct core *core, uint64_t ticket, bool written, struct now now)
{
    enter(core, now);
    tap_audited(core, ticket, written);
    peers_reap(core);
}

static uint64_t
next_due_us(const struct core *core)
{
    uint64_t timers_us = timers_next(&core->timers);
    uint64_t outbound_us = outbound_next_us(core);
    return timers_us < outbound_us ? timers_us : outbound_us;
}

void
core_take_back(struct core *core, struct parcel **parcel_p)
{
    sending_take_back(&core->sending, parcel_p);
}

uint64_t
core_flush(struct core *core, struct now now)
{
    enter(core, now);
    core->taken = 0;
    listen_flush(core);
    if (core->tap_count > 0)
        tap_flush(core);
    do {
        outbound_flush(core);
        peers_reap(core); /* those found gone leave others something to be told */
    } while (!list_is_empty(&core->sending.dirty));
    return next_due_us(core);
}

uint64_t
core_tick(struct core *core, struct now now)
{
    enter(core, now);
    timers_fire(&core->timers, now.monotonic_us, core);
    peers_reap(core);
    return next_due_us(core);
}

size_t
core_peer_count(const struct core *core)
{
    return core->peers.count;
}

struct metrics *
core_metrics(struct core *core)
{
    return core->metrics;
}
