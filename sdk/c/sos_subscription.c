/* SPDX-License-Identifier: Apache-2.0 */
/* A subscription as the program sees it: a queue, or a callback. */
#include "sdk/c/sos_subscription.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/capability.h"

enum { QUEUE_DEFAULT = 1024, QUEUE_MAX = 1024 * 1024, SUBSCRIBE_TIMEOUT_MS = 10000 };

/* ---- the queue of one */

static void
free_queue(struct sos_subscription *sub)
{
    while (!link_is_empty(&sub->queue)) {
        struct sos_event *event = LINK_ENTRY(sub->queue.next, struct sos_event, link);
        link_remove(&event->link);
        sos_event_free(&event);
    }
}

static void
subscription_free(struct sos_subscription **sub_p)
{
    struct sos_subscription *sub = *sub_p;
    *sub_p = NULL;
    free_queue(sub);
    free(sub->capability);
    client_release(sub->sos);
    free(sub);
}

static struct sos_event *
take(struct sos *sos, struct sos_subscription *sub)
{
    struct sos_event *event = LINK_ENTRY(sub->queue.next, struct sos_event, link);
    link_remove(&event->link);
    sub->queued--;
    if (sub->overflowed && sub->queued <= sub->queue_max / 2) {
        sub->overflowed = false;
        if (sub->state == SUB_LIVE)
            channels_read_again(sos, sub);
    }
    return event;
}

/* Callbacks of one subscription follow each other, also when several threads run them. */
static void
run_event(struct sos *sos, struct work *work)
{
    struct sos_subscription *sub = LINK_ENTRY(work, struct sos_subscription, work);
    if (sos->closing)
        return;
    struct sos_event *event = take(sos, sub);
    sub->running = true;
    client_unlock(sos);
    sub->on_event(sub->context, event);
    client_lock(sos);
    sub->running = false;
    if (sub->dead)
        subscription_free(&sub);
    else if (!link_is_empty(&sub->queue))
        work_add(sos, &sub->work);
}

bool
subscription_give(struct sos *sos, struct sos_subscription *sub, const struct message *message,
                  uint64_t missed)
{
    struct sos_event *event = sub->queued < sub->queue_max ? event_new(message) : NULL;
    if (!event)
        return false;
    event->missed = missed + sub->lost;
    sub->lost = 0;
    link_append(&event->link, &sub->queue);
    sub->queued++;
    if (!sub->on_event) {
        wait_wake(sos, sub);
    } else if (!sub->running && !sub->work.queued) {
        sub->work.run = run_event;
        work_add(sos, &sub->work);
    }
    return true;
}

/* ---- the public side */

static enum status
new_subscription(struct sos *sos, const struct sos_subscribe_options *options,
                 struct sos_subscription **sub_p, struct error *error)
{
    struct text channel = basic_text(options->channel);
    if (channel.size == 0 || channel.size > MESSAGE_NAME_MAX) {
        error_set_field(error, "channel", "expected 1 to %d bytes", MESSAGE_NAME_MAX);
        return STATUS_INVALID;
    }
    bool pattern = glob_is_pattern(channel);
    if (pattern && options->history) {
        error_set_field(error, "history", "a pattern has no history; name one channel");
        return STATUS_INVALID;
    }
    struct sos_subscription *sub = calloc(1, sizeof *sub + channel.size + 1);
    char *capability = text_copy(basic_text(options->capability));
    if (!sub || !capability) {
        free(sub);
        free(capability);
        return STATUS_NOMEM;
    }
    memcpy(sub->name, channel.data, channel.size);
    sub->channel = (struct text){sub->name, channel.size};
    sub->sos = sos;
    sub->pattern = pattern;
    sub->rereads = options->history;
    sub->last_seq = options->history ? options->after : 0;
    sub->queue_max = options->queue_max ? options->queue_max : QUEUE_DEFAULT;
    if (sub->queue_max > QUEUE_MAX)
        sub->queue_max = QUEUE_MAX;
    sub->on_event = options->on_event;
    sub->context = options->context;
    sub->capability = capability;
    link_init(&sub->link);
    link_init(&sub->queue);
    client_retain(sos);
    *sub_p = sub;
    return STATUS_OK;
}

static enum status
await_agreement(struct sos *sos, struct sos_subscription *sub, uint32_t timeout_ms,
                struct error *error)
{
    enum status status = STATUS_OK;
    uint64_t deadline_us =
        client_now_us(sos) + (uint64_t)(timeout_ms ? timeout_ms : SUBSCRIBE_TIMEOUT_MS) * 1000;
    while (status == STATUS_OK && !sub->begun && sub->state != SUB_FAILED) {
        if (client_is_refused(sos, &status, error))
            return status;
        status = wait_for(sos, sub, deadline_us, error);
    }
    if (status == STATUS_TIMEOUT && client_is_connected(sos))
        error_set(error, "subscribe to %s: no answer in time", sub->name);
    else if (status == STATUS_TIMEOUT)
        client_absent(sos, error);
    if (status == STATUS_OK && sub->state == SUB_FAILED) {
        *error = sub->error;
        status = sub->status;
    }
    return status;
}

/* Out of everything; freed now, or when its callback has ended. */
static void
leave(struct sos *sos, struct sos_subscription *sub)
{
    bool was_said = sub->state == SUB_ASKED || sub->state == SUB_LIVE;
    work_remove(sos, &sub->work);
    link_remove(&sub->link);
    if (sos->channels)
        channels_left(sos, sub, was_said);
    if (sub->running)
        sub->dead = true;
}

int
sos_subscribe_with(struct sos *sos, const struct sos_subscribe_options *options,
                   struct sos_subscription **subscription_p, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct sos_subscription *sub = NULL;
    bool dead = false;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = new_subscription(sos, options, &sub, &error);
    if (status == STATUS_OK) {
        link_append(&sub->link, &sos->channels->all);
        client_stir(sos);
        status = await_agreement(sos, sub, options->timeout_ms, &error);
        if (status != STATUS_OK) {
            leave(sos, sub);
            dead = sub->dead;
        }
    }
    int result = client_leave(sos, entered, status, &error, told);
    if (result == SOS_OK)
        *subscription_p = sub;
    else if (sub && !dead)
        subscription_free(&sub);
    return result;
}

int
sos_subscribe(struct sos *sos, const char *channel, struct sos_subscription **subscription_p,
              struct sos_error *told)
{
    struct sos_subscribe_options options = {.channel = channel};
    return sos_subscribe_with(sos, &options, subscription_p, told);
}

void
sos_unsubscribe(struct sos_subscription **subscription_p)
{
    struct sos_subscription *sub = *subscription_p;
    *subscription_p = NULL;
    if (!sub || !client_lock(sub->sos))
        return;
    struct sos *sos = sub->sos;
    leave(sos, sub);
    bool dead = sub->dead;
    client_unlock(sos);
    if (!dead)
        subscription_free(&sub);
}

static enum status
next_event(struct sos *sos, struct sos_subscription *sub, uint64_t deadline_us,
           struct sos_event **event_p, bool *nothing, struct error *error)
{
    enum status status = STATUS_OK;
    if (sub->on_event) {
        error_set(error, "a callback takes the events of %s", sub->name);
        return STATUS_CONFLICT;
    }
    while (link_is_empty(&sub->queue)) {
        if (sub->state == SUB_FAILED) {
            *error = sub->error;
            return sub->status;
        }
        if (client_is_refused(sos, &status, error))
            return status;
        status = wait_for(sos, sub, deadline_us, error);
        if (status == STATUS_TIMEOUT) {
            *nothing = true;
            return STATUS_OK;
        }
        if (status != STATUS_OK)
            return status;
    }
    *event_p = take(sos, sub);
    return STATUS_OK;
}

int
sos_next_event(struct sos_subscription *sub, int timeout_ms, struct sos_event **event_p,
               struct sos_error *told)
{
    struct sos *sos = sub->sos;
    struct error error = ERROR_INIT;
    bool nothing = false;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status =
            next_event(sos, sub, client_deadline_us(sos, timeout_ms), event_p, &nothing, &error);
    int result = client_leave(sos, entered, status, &error, told);
    return nothing ? SOS_NOTHING : result;
}
