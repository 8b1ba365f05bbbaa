/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/core/mail_consumer.h"

#include <stdlib.h>

#include "broker/core/mail_entry.h"
#include "broker/core/mail_inbox.h"

enum { ACK_SHIFT_MAX = 2 /* the time for an ack is doubled so often */ };

/* ---- room */

static uint32_t
room_of(const struct consumer *consumer)
{
    if (consumer->watch || consumer->paused || consumer->closed ||
        consumer->window <= consumer->count)
        return 0;
    return consumer->window - consumer->count;
}

void
consumer_settle(struct consumer *consumer)
{
    struct inbox *inbox = consumer->inbox;
    uint32_t room = room_of(consumer);
    if (consumer->watch || room == consumer->offered)
        return;
    if ((room > 0) != (consumer->offered > 0)) {
        list_remove(&consumer->link);
        list_append(room > 0 ? &inbox->takers : &inbox->others, &consumer->link);
    }
    inbox->room = inbox->room - consumer->offered + room;
    consumer->offered = room;
}

void
consumer_pause(struct consumer *consumer)
{
    consumer->paused = true;
    if (consumer->session && !consumer->peer->doomed)
        outbound_watch(consumer->peer, &consumer->room_watch);
    consumer_settle(consumer);
}

void
mail_resume(struct core *core, struct consumer *consumer)
{
    consumer->paused = false;
    consumer_settle(consumer);
    inbox_look(core, consumer->inbox);
}

void
consumers_retry(struct inbox *inbox)
{
    struct list_node *node = inbox->others.next, *next;
    for (; node != &inbox->others; node = next) {
        next = node->next;
        struct consumer *consumer = CONTAINER_OF(node, struct consumer, link);
        if (!consumer->session || consumer->subscribing || consumer->peer->doomed ||
            outbound_is_stuck(consumer->peer))
            continue;
        room_watch_off(&consumer->room_watch);
        consumer->paused = false;
        consumer_settle(consumer);
    }
}

/* ---- the clock of the oldest */

static struct entry *
oldest(const struct consumer *consumer)
{
    if (consumer->count == 0)
        return NULL;
    return CONTAINER_OF(consumer->held.next, struct entry, link);
}

static uint64_t
deadline_of(const struct consumer *consumer, const struct entry *entry)
{
    uint32_t shift = entry->tries < ACK_SHIFT_MAX ? entry->tries : (uint32_t)ACK_SHIFT_MAX;
    uint64_t deadline_us = consumer->since_us + (((uint64_t)consumer->ack_ms * 1000) << shift);
    return deadline_us > entry->extended_us ? deadline_us : entry->extended_us;
}

/* The timer is only ever moved forward: when it fires too early it is set anew. Most messages are
 * acknowledged long before, and cost nothing here. */
static void
wind(struct core *core, struct consumer *consumer)
{
    const struct entry *entry = oldest(consumer);
    uint64_t deadline_us = entry ? deadline_of(consumer, entry) : core->now.monotonic_us;
    if (consumer->timer.place == 0 || deadline_us < consumer->timer.at_us)
        timers_set(&core->timers, &consumer->timer, deadline_us);
}

void
consumer_took(struct core *core, struct consumer *consumer, struct entry *entry)
{
    list_append(&consumer->held, &entry->link);
    consumer->count++;
    if (consumer->count == 1) {
        consumer->since_us = core->now.monotonic_us;
        wind(core, consumer);
    }
    consumer_settle(consumer);
    if (consumer->offered > 0) { /* the next one has its turn */
        list_remove(&consumer->link);
        list_append(&consumer->inbox->takers, &consumer->link);
    }
}

void
consumer_lost(struct core *core, struct consumer *consumer, struct entry *entry)
{
    bool was_oldest = oldest(consumer) == entry;
    list_remove(&entry->link);
    consumer->count--;
    if (was_oldest && consumer->count > 0) {
        consumer->since_us = core->now.monotonic_us;
        wind(core, consumer);
    }
    if (consumer->closed && consumer->count == 0)
        wind(core, consumer); /* frees it: not here, where it may be worked on */
    consumer_settle(consumer);
}

void
consumer_extended(struct core *core, struct consumer *consumer)
{
    wind(core, consumer);
}

/* Who took with a bus_inbox shows no other sign of life than its acks: when none came in time, all
 * that it holds comes again, and the oldest was tried. */
static void
expire_lease(struct core *core, struct consumer *consumer)
{
    struct list_node *node = consumer->held.next->next, *next;
    for (; node != &consumer->held; node = next) {
        next = node->next;
        struct entry *entry = CONTAINER_OF(node, struct entry, link);
        if (entry->extended_us <= core->now.monotonic_us)
            entry_again(core, entry);
    }
    entry_tried(core, oldest(consumer), 0, text_of("not acknowledged in time"));
}

static void
unlink_consumer(struct core *core, struct consumer *consumer)
{
    struct inbox *inbox = consumer->inbox;
    consumer->paused = true;
    consumer_settle(consumer);
    list_remove(&consumer->link);
    list_remove(&consumer->peer_link);
    room_watch_off(&consumer->room_watch);
    timers_remove(&core->timers, &consumer->timer);
    inbox->windows -= consumer->window;
    inbox->consumer_count--;
    inbox->left_us = core->now.monotonic_us;
    free(consumer);
}

static void
fire(void *context, void *owner)
{
    struct core *core = context;
    struct consumer *consumer = owner;
    struct inbox *inbox = consumer->inbox;
    struct entry *entry = oldest(consumer);
    if (!entry) {
        if (consumer->closed)
            unlink_consumer(core, consumer);
    } else if (deadline_of(consumer, entry) > core->now.monotonic_us) {
        wind(core, consumer);
    } else if (consumer->closed) {
        expire_lease(core, consumer);
    } else {
        entry_tried(core, entry, 0, text_of("not acknowledged in time"));
    }
    inbox_look(core, inbox);
}

/* ---- coming and going */

enum status
mail_consume(struct core *core, const struct consumer_options *options,
             struct consumer **consumer_p, struct error *error)
{
    if (!core->sink.mail) {
        error_set(error, "this broker has no inboxes");
        return STATUS_NOT_IMPLEMENTED;
    }
    struct inbox *inbox = inbox_make(core, options->inbox);
    if (!inbox)
        return STATUS_NOMEM;
    enum status status = STATUS_NOMEM;
    struct consumer *consumer = NULL;
    if (inbox->consumer_count >= MAIL_CONSUMERS_MAX) {
        error_set_word(error, "too_many_consumers", "%zu take from inbox %.*s already",
                       inbox->consumer_count, TEXT_ARGS(inbox->name));
        status = STATUS_QUOTA_EXCEEDED;
    } else {
        consumer = calloc(1, sizeof *consumer);
    }
    if (!consumer) {
        inbox_settle(core, inbox); /* it may have been made in vain */
        return status;
    }
    consumer->inbox = inbox;
    consumer->peer = options->peer;
    consumer->deliver = options->deliver;
    consumer->context = options->context;
    consumer->window = options->watch ? 0 : options->window;
    consumer->ack_ms = options->ack_ms;
    consumer->watch = options->watch;
    list_init(&consumer->held);
    timer_init(&consumer->timer, fire, consumer);
    list_append(options->watch ? &inbox->watchers : &inbox->others, &consumer->link);
    list_append(&options->peer->consumers, &consumer->peer_link);
    inbox->windows += consumer->window;
    inbox->consumer_count++;
    inbox->more = true; /* whatever was told or not: who comes sees what is there */
    consumer_settle(consumer);
    inbox_look_soon(core, inbox);
    *consumer_p = consumer;
    return STATUS_OK;
}

void
mail_release(struct core *core, struct consumer **consumer_p, bool tried)
{
    struct consumer *consumer = *consumer_p;
    if (!consumer)
        return;
    *consumer_p = NULL;
    struct inbox *inbox = consumer->inbox;
    struct entry *entry = oldest(consumer);
    if (tried && entry)
        entry_tried(core, entry, entry_schedule_us(entry), text_of("its receiver was lost"));
    while ((entry = oldest(consumer)))
        entry_again(core, entry);
    unlink_consumer(core, consumer);
    inbox_look(core, inbox);
}

void
consumer_close(struct core *core, struct consumer *consumer)
{
    struct inbox *inbox = consumer->inbox;
    inbox->windows = inbox->windows - consumer->window + consumer->count;
    consumer->window = consumer->count;
    consumer->closed = true;
    consumer->peer = NULL;
    list_remove(&consumer->peer_link);
    consumer_settle(consumer);
    if (consumer->count == 0)
        wind(core, consumer);
}

struct consumer *
consumer_of_session(const struct peer *peer)
{
    if (list_is_empty(&peer->consumers))
        return NULL;
    struct consumer *first = CONTAINER_OF(peer->consumers.next, struct consumer, peer_link);
    return first->session ? first : NULL;
}

void
mail_peer_gone(struct core *core, struct peer *peer)
{
    struct consumer *session = consumer_of_session(peer);
    if (session)
        list_remove(&session->peer_link);
    /* The others belong to requests, which end next: they get nothing of what comes back now. */
    while (!list_is_empty(&peer->consumers)) {
        struct consumer *consumer = CONTAINER_OF(peer->consumers.next, struct consumer, peer_link);
        list_remove(&consumer->peer_link);
        consumer->peer = NULL;
        consumer_pause(consumer);
    }
    mail_release(core, &session, true);
}
