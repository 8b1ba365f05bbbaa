/* SPDX-License-Identifier: Apache-2.0 */
/* Subscriptions. The broker gives a session one copy of an event; here it goes to every
 * subscription that it matches.
 *
 * A subscription to one channel remembers the last event that it took. After a lost session, after
 * events that the broker had to leave out, and after a queue that was full, it asks for what came
 * behind that one, and passes over everything until the broker has agreed: then nothing is missing
 * and nothing comes twice.
 *
 * A pattern cannot be read back. So the channels that were heard through patterns are remembered
 * (the last HEARD_MAX of them); after a loss each is subscribed to by its name, behind the last
 * event, until what it kept has come. */
#include <stdlib.h>
#include <string.h>

#include "kernel/capability.h"
#include "kernel/pack.h"
#include "sdk/c/sos_subscription.h"

enum {
    HEARD_MAX = 128,
    ANSWER_US = 5 * 1000 * 1000, /* then it is asked again */
    REREAD_US = 2 * 1000 * 1000  /* what a channel kept came by then */
};

/* A channel that was heard through a pattern; subscribed to by name for a while after a loss. */
struct heard {
    struct link link; /* the one heard last first */
    uint64_t last_seq;
    bool known; /* last_seq is the event before the next one */
    enum { HEARD_PLAIN, HEARD_WANTED, HEARD_ASKED, HEARD_REREAD } state;
    struct uuid subscribe_id;
    uint64_t until_seq;
    uint64_t until_us;
    struct text channel;
    char name[];
};

/* An unsubscribe that is still to be said. */
struct farewell {
    struct link link;
    char name[];
};

static struct heard *
heard_of(struct link *link)
{
    return LINK_ENTRY(link, struct heard, link);
}

static void look_again(void *context, void *owner);

enum status
channels_init(struct sos *sos)
{
    struct channels *channels = calloc(1, sizeof *channels);
    if (!channels)
        return STATUS_NOMEM;
    link_init(&channels->all);
    link_init(&channels->heard);
    link_init(&channels->farewells);
    timer_init(&channels->again, look_again, channels);
    sos->channels = channels;
    return STATUS_OK;
}

static void
forget_heard(struct channels *channels, struct heard *heard)
{
    link_remove(&heard->link);
    channels->heard_count--;
    free(heard);
}

static void
drop_farewells(struct channels *channels)
{
    while (!link_is_empty(&channels->farewells)) {
        struct farewell *farewell = LINK_ENTRY(channels->farewells.next, struct farewell, link);
        link_remove(&farewell->link);
        free(farewell);
    }
}

void
channels_clear(struct sos *sos)
{
    struct channels *channels = sos->channels;
    if (!channels)
        return;
    while (!link_is_empty(&channels->all))
        link_remove(channels->all.next); /* their holders free them */
    while (!link_is_empty(&channels->heard))
        forget_heard(channels, heard_of(channels->heard.next));
    drop_farewells(channels);
    free(channels);
    sos->channels = NULL;
}

void
channels_end_all(struct sos *sos)
{
    struct link *all = &sos->channels->all;
    for (struct link *at = all->next; at != all; at = at->next)
        work_remove(sos, &subscription_of(at)->work);
}

/* ---- what is said */

static bool
say(struct sos *sos, enum kind kind, struct text channel, const uint64_t *after,
    const char *capability, struct uuid *id)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, after ? 2 : 1);
    pack_pair_text(&payload, "channel", channel);
    if (after)
        pack_pair_uint(&payload, "after", *after);
    struct message message = {.kind = kind,
                              .target = text_of("service:bus"),
                              .capability = basic_text(capability),
                              .payload = buffer_bytes(&payload)};
    bool said = !payload.failed && peer_say(sos->peer, &message, id, NULL) == STATUS_OK;
    buffer_clear(&payload);
    return said;
}

static bool
is_subscribed_by_name(const struct channels *channels, struct text channel)
{
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next)
        if (text_equal(subscription_of(at)->channel, channel))
            return true;
    return false;
}

static void
bid_farewell(struct sos *sos, struct text channel)
{
    struct farewell *farewell = malloc(sizeof *farewell + channel.size + 1);
    if (!farewell)
        return; /* the broker goes on sending what nobody takes */
    memcpy(farewell->name, channel.data, channel.size);
    farewell->name[channel.size] = '\0';
    link_append(&farewell->link, &sos->channels->farewells);
    client_stir(sos);
}

static void
say_farewells(struct sos *sos)
{
    struct channels *channels = sos->channels;
    while (!link_is_empty(&channels->farewells)) {
        struct farewell *farewell = LINK_ENTRY(channels->farewells.next, struct farewell, link);
        struct text channel = text_of(farewell->name);
        struct uuid id;
        if (!is_subscribed_by_name(channels, channel) &&
            !say(sos, KIND_UNSUBSCRIBE, channel, NULL, NULL, &id))
            return;
        link_remove(&farewell->link);
        free(farewell);
    }
}

/* By name first: what a pattern brings live would otherwise overtake what is read back. */
static void
ask_heard(struct sos *sos)
{
    struct link *list = &sos->channels->heard;
    for (struct link *at = list->next; at != list; at = at->next) {
        struct heard *heard = heard_of(at);
        if (heard->state != HEARD_WANTED)
            continue;
        if (!say(sos, KIND_SUBSCRIBE, heard->channel, &heard->last_seq, NULL, &heard->subscribe_id))
            return;
        heard->state = HEARD_ASKED;
    }
}

static void
ask(struct sos *sos, struct sos_subscription *sub)
{
    if (!say(sos, KIND_SUBSCRIBE, sub->channel, sub->rereads ? &sub->last_seq : NULL,
             sub->capability, &sub->subscribe_id))
        return;
    sub->state = SUB_ASKED;
    sub->asked_us = client_now_us(sos);
    if (sos->channels->again.place == 0)
        timers_set(&sos->timers, &sos->channels->again, sub->asked_us + RETRY_US);
}

void
channels_step(struct sos *sos)
{
    struct channels *channels = sos->channels;
    if (!client_is_connected(sos))
        return;
    say_farewells(sos);
    ask_heard(sos);
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next)
        if (subscription_of(at)->state == SUB_WANTED)
            ask(sos, subscription_of(at));
}

void
channels_lost(struct sos *sos)
{
    struct channels *channels = sos->channels;
    drop_farewells(channels);
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next) {
        struct sos_subscription *sub = subscription_of(at);
        if (sub->state == SUB_FAILED)
            continue;
        sub->state = SUB_WANTED;
        sub->rereads = sub->rereads || (sub->begun && !sub->pattern);
    }
    for (struct link *at = channels->heard.next; at != &channels->heard; at = at->next)
        heard_of(at)->state = HEARD_WANTED;
}

void
channels_new_epoch(struct sos *sos)
{
    struct channels *channels = sos->channels;
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next)
        subscription_of(at)->known = false;
    for (struct link *at = channels->heard.next; at != &channels->heard; at = at->next)
        heard_of(at)->known = false;
}

/* The pattern must have taken over before the name goes. */
static void
end_reread(struct sos *sos, struct heard *heard)
{
    struct channels *channels = sos->channels;
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next)
        if (subscription_of(at)->pattern && (subscription_of(at)->state == SUB_WANTED))
            return;
    heard->state = HEARD_PLAIN;
    bid_farewell(sos, heard->channel);
}

/* Answers that never came, and rereads that are over. */
static void
look_again(void *context, void *owner)
{
    struct sos *sos = context;
    struct channels *channels = owner;
    uint64_t now_us = client_now_us(sos);
    bool more = false;
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next) {
        struct sos_subscription *sub = subscription_of(at);
        if (sub->state == SUB_ASKED && now_us >= sub->asked_us + ANSWER_US)
            sub->state = SUB_WANTED;
        more = more || sub->state == SUB_ASKED;
    }
    for (struct link *at = channels->heard.next; at != &channels->heard; at = at->next) {
        struct heard *heard = heard_of(at);
        if (heard->state == HEARD_REREAD && now_us >= heard->until_us)
            end_reread(sos, heard);
        more = more || heard->state == HEARD_REREAD || heard->state == HEARD_ASKED;
    }
    if (more)
        timers_set(&sos->timers, &channels->again, now_us + RETRY_US);
}

/* ---- what was heard through patterns */

static struct heard *
find_heard(struct channels *channels, struct text channel)
{
    for (struct link *at = channels->heard.next; at != &channels->heard; at = at->next)
        if (text_equal(heard_of(at)->channel, channel))
            return heard_of(at);
    return NULL;
}

/* NULL without memory: then it cannot be read back. */
static struct heard *
remember_heard(struct sos *sos, struct text channel, uint64_t seq)
{
    struct channels *channels = sos->channels;
    struct heard *heard = malloc(sizeof *heard + channel.size);
    if (!heard)
        return NULL;
    *heard = (struct heard){.last_seq = seq, .known = true};
    memcpy(heard->name, channel.data, channel.size);
    heard->channel = (struct text){heard->name, channel.size};
    link_after(&heard->link, &channels->heard);
    if (++channels->heard_count > HEARD_MAX) {
        struct heard *oldest = heard_of(channels->heard.previous);
        if (oldest->state != HEARD_PLAIN)
            bid_farewell(sos, oldest->channel);
        forget_heard(channels, oldest);
    }
    return heard;
}

static bool
is_matched_by_pattern(const struct channels *channels, struct text channel)
{
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next)
        if (subscription_of(at)->pattern && glob_match(subscription_of(at)->channel, channel))
            return true;
    return false;
}

/* Only what a pattern still matches is worth reading back. */
static void
forget_unmatched(struct sos *sos)
{
    struct channels *channels = sos->channels;
    struct link *at = channels->heard.next;
    while (at != &channels->heard) {
        struct heard *heard = heard_of(at);
        at = at->next;
        if (is_matched_by_pattern(channels, heard->channel))
            continue;
        if (heard->state != HEARD_PLAIN)
            bid_farewell(sos, heard->channel);
        forget_heard(channels, heard);
    }
}

void
channels_read_again(struct sos *sos, struct sos_subscription *sub)
{
    sub->state = SUB_WANTED;
    sub->rereads = true;
    client_stir(sos);
}

/* ---- events */

static void
give_by_name(struct sos *sos, struct sos_subscription *sub, const struct message *message)
{
    if (sub->state != SUB_LIVE || sub->overflowed || message->seq <= sub->last_seq)
        return;
    uint64_t missed = sub->known ? message->seq - sub->last_seq - 1 : 0;
    if (missed && !(sub->reread && sub->reread_at == sub->last_seq)) {
        channels_read_again(sos, sub);
        return;
    }
    if (!subscription_give(sos, sub, message, missed)) {
        sub->overflowed = true;
        return;
    }
    sub->last_seq = message->seq;
    sub->known = true;
}

static void
give_by_pattern(struct sos *sos, const struct message *message)
{
    struct channels *channels = sos->channels;
    if (!is_matched_by_pattern(channels, message->target))
        return;
    struct heard *heard = find_heard(channels, message->target);
    if (heard && message->seq <= heard->last_seq)
        return;
    uint64_t missed = heard && heard->known ? message->seq - heard->last_seq - 1 : 0;
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next) {
        struct sos_subscription *sub = subscription_of(at);
        if (sub->pattern && sub->begun && sub->state != SUB_FAILED &&
            glob_match(sub->channel, message->target) &&
            !subscription_give(sos, sub, message, missed))
            sub->lost += missed + 1;
    }
    if (!heard) {
        remember_heard(sos, message->target, message->seq);
        return;
    }
    heard->last_seq = message->seq;
    heard->known = true;
    link_remove(&heard->link);
    link_after(&heard->link, &channels->heard);
    if (heard->state == HEARD_REREAD && heard->last_seq >= heard->until_seq)
        end_reread(sos, heard);
}

static void
hear_event(struct sos *sos, const struct message *message)
{
    struct channels *channels = sos->channels;
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next)
        if (text_equal(subscription_of(at)->channel, message->target))
            give_by_name(sos, subscription_of(at), message);
    give_by_pattern(sos, message);
}

/* The broker left events out. Whatever they were: what was kept is read back. */
static void
hear_dropped(struct sos *sos)
{
    struct channels *channels = sos->channels;
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next)
        if (subscription_of(at)->state == SUB_LIVE && !subscription_of(at)->pattern)
            channels_read_again(sos, subscription_of(at));
    for (struct link *at = channels->heard.next; at != &channels->heard; at = at->next)
        heard_of(at)->state = HEARD_WANTED;
    client_stir(sos);
}

/* ---- answers */

static void
hear_agreed(struct sos *sos, struct sos_subscription *sub, uint64_t seq)
{
    struct channels *channels = sos->channels;
    bool first = !sub->begun;
    sub->begun = true;
    sub->state = SUB_LIVE;
    wait_wake(sos, sub);
    if (sub->pattern)
        return;
    if (first && !sub->rereads)
        sub->last_seq = seq;
    if (sub->last_seq > seq)
        sub->last_seq = seq;
    if (first)
        sub->known = sub->last_seq > 0 || !sub->rereads;
    sub->reread = sub->rereads;
    sub->reread_at = sub->last_seq;
    sub->rereads = false;
    /* What it reads back now is old to the patterns. */
    if (is_matched_by_pattern(channels, sub->channel) && !find_heard(channels, sub->channel))
        remember_heard(sos, sub->channel, seq);
}

static void
hear_refused(struct sos *sos, struct sos_subscription *sub, const struct message *message)
{
    enum status status = status_from_code(message->status);
    if (basic_is_transient(status)) {
        sub->asked_us = client_now_us(sos) - ANSWER_US + RETRY_US;
        return;
    }
    sub->state = SUB_FAILED;
    sub->status = status == STATUS_OK ? STATUS_UNKNOWN : status;
    error_unpack(message->payload, &sub->error);
    error_wrap(&sub->error, "subscribe to %s", sub->name);
    wait_wake(sos, sub);
}

static bool
hear_about_heard(struct sos *sos, const struct message *message)
{
    struct channels *channels = sos->channels;
    for (struct link *at = channels->heard.next; at != &channels->heard; at = at->next) {
        struct heard *heard = heard_of(at);
        if (heard->state != HEARD_ASKED || !uuid_equal(&heard->subscribe_id, &message->correlation))
            continue;
        if (message->kind == KIND_ERROR) {
            forget_heard(channels, heard);
            return true;
        }
        heard->state = HEARD_REREAD;
        heard->until_seq = message->seq;
        heard->until_us = client_now_us(sos) + REREAD_US;
        if (heard->last_seq > message->seq)
            heard->last_seq = message->seq;
        timers_set(&sos->timers, &channels->again, heard->until_us);
        if (heard->last_seq == message->seq)
            end_reread(sos, heard);
        return true;
    }
    return false;
}

static bool
hear_answer(struct sos *sos, const struct message *message)
{
    struct channels *channels = sos->channels;
    for (struct link *at = channels->all.next; at != &channels->all; at = at->next) {
        struct sos_subscription *sub = subscription_of(at);
        if (sub->state != SUB_ASKED || !uuid_equal(&sub->subscribe_id, &message->correlation))
            continue;
        if (message->kind == KIND_ACK)
            hear_agreed(sos, sub, message->seq);
        else
            hear_refused(sos, sub, message);
        return true;
    }
    return hear_about_heard(sos, message);
}

bool
channels_receive(struct sos *sos, const struct message *message)
{
    switch (message->kind) {
    case KIND_EVENT:
        hear_event(sos, message);
        return true;
    case KIND_CONTROL:
        if (!text_equal_string(message->type, "events_dropped"))
            return false;
        hear_dropped(sos);
        return true;
    case KIND_ACK:
    case KIND_ERROR:
        return hear_answer(sos, message);
    default:
        return false;
    }
}

void
channels_left(struct sos *sos, const struct sos_subscription *sub, bool was_said)
{
    if (was_said)
        bid_farewell(sos, sub->channel);
    if (sub->pattern)
        forget_unmatched(sos);
}
