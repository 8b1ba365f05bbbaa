/* SPDX-License-Identifier: Apache-2.0 */
/* Acknowledgements: said in batches, each confirmed by the broker. The ids are remembered, because
 * a message may come again until its acknowledgement is on disk. */
#include <stdlib.h>

#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"

enum { HANDLED_MAX = 16384, UNSURE_US = 3 * 1000 * 1000 };

static void ack_again(void *context, void *owner);
static void be_sure(void *context, void *owner);

static struct ack_batch *
batch_of(struct link *link)
{
    return LINK_ENTRY(link, struct ack_batch, link);
}

void
acks_init(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    link_init(&inbox->acks);
    id_table_init(&inbox->handled);
    id_table_init(&inbox->acks_by_id);
    timer_init(&inbox->ack_retry, ack_again, inbox);
    timer_init(&inbox->unsure, be_sure, inbox);
}

static void
free_batch(struct sos *sos, struct ack_batch *batch)
{
    struct inbox *inbox = &sos->inbox;
    link_remove(&batch->link);
    if (!uuid_is_nil(&batch->id))
        id_table_take(&inbox->acks_by_id, &batch->id);
    inbox->ack_count -= batch->count;
    free(batch);
}

void
acks_clear(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    while (!link_is_empty(&inbox->acks))
        free_batch(sos, batch_of(inbox->acks.next));
    id_table_clear(&inbox->handled);
    id_table_clear(&inbox->acks_by_id);
    free(inbox->handled_ring);
    inbox->handled_ring = NULL;
}

/* Remembers that it was handled; the oldest such memory goes. */
static bool
remember(struct sos *sos, const struct uuid *id)
{
    struct inbox *inbox = &sos->inbox;
    if (id_table_get(&inbox->handled, id))
        return true;
    if (!inbox->handled_ring)
        inbox->handled_ring = calloc(HANDLED_MAX, sizeof *inbox->handled_ring);
    if (!inbox->handled_ring || !id_table_put(&inbox->handled, id, inbox))
        return false;
    struct uuid *place = &inbox->handled_ring[inbox->handled_next];
    id_table_take(&inbox->handled, place);
    *place = *id;
    inbox->handled_next = (inbox->handled_next + 1) % HANDLED_MAX;
    return true;
}

/* The last batch takes what is acknowledged until it is said. */
static bool
add(struct sos *sos, const struct uuid *id, bool again)
{
    struct inbox *inbox = &sos->inbox;
    struct ack_batch *batch = link_is_empty(&inbox->acks) ? NULL : batch_of(inbox->acks.previous);
    if (!batch || batch->count == IDS_PER_RECORD || !uuid_is_nil(&batch->id)) {
        batch = malloc(sizeof *batch);
        if (!batch)
            return false;
        *batch = (struct ack_batch){.count = 0};
        link_append(&batch->link, &inbox->acks);
    }
    batch->ids[batch->count++] = *id;
    batch->again = batch->again || again;
    inbox->ack_count++;
    client_stir(sos);
    return true;
}

static bool
say_batch(struct sos *sos, struct ack_batch *batch)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_array(&payload, (uint32_t)batch->count);
    for (size_t i = 0; i < batch->count; i++)
        pack_bin(&payload, batch->ids[i].bytes, sizeof batch->ids[i].bytes);
    struct message message = {.kind = KIND_ACK,
                              .flags = MESSAGE_CONFIRM,
                              .id = client_new_id(sos),
                              .target = text_of("service:bus"),
                              .payload = buffer_bytes(&payload)};
    bool said = !payload.failed && id_table_put(&sos->inbox.acks_by_id, &message.id, batch);
    if (said && peer_say(sos->peer, &message, NULL, NULL) != STATUS_OK) {
        id_table_take(&sos->inbox.acks_by_id, &message.id);
        said = false;
    }
    if (said)
        batch->id = message.id;
    buffer_clear(&payload);
    return said;
}

/* Batches that were said stand before those that were not. */
void
acks_say(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    if (inbox->ack_count == 0 || inbox->ack_retry.place != 0)
        return;
    struct link *at = inbox->acks.previous;
    while (at != &inbox->acks && uuid_is_nil(&batch_of(at)->id))
        at = at->previous;
    for (at = at->next; at != &inbox->acks; at = at->next)
        if (!say_batch(sos, batch_of(at)))
            return;
}

static void
unsay(struct sos *sos, struct ack_batch *batch)
{
    id_table_take(&sos->inbox.acks_by_id, &batch->id);
    batch->id = (struct uuid){{0}};
    link_remove(&batch->link);
    link_append(&batch->link, &sos->inbox.acks);
}

static void
ack_again(void *context, void *owner)
{
    (void)context;
    (void)owner; /* the turn that fired it says them */
}

/* A broker that was started anew does not know what was out before: it takes the acknowledgement,
 * and delivers the message again. Until it has, or does not, nothing is confirmed. */
static void
stay_unsure(struct sos *sos, struct ack_batch *batch)
{
    struct inbox *inbox = &sos->inbox;
    batch->unsure_us = client_now_us(sos) + UNSURE_US;
    if (inbox->unsure.place == 0)
        timers_set(&sos->timers, &inbox->unsure, batch->unsure_us);
}

/* It did come again: another acknowledgement speaks for it now. */
static void
forget_unsure(struct sos *sos, const struct uuid *id)
{
    struct inbox *inbox = &sos->inbox;
    for (struct link *at = inbox->acks.next; at != &inbox->acks; at = at->next) {
        struct ack_batch *batch = batch_of(at);
        for (size_t i = 0; batch->unsure_us && i < batch->count; i++) {
            if (!uuid_equal(&batch->ids[i], id))
                continue;
            batch->ids[i] = batch->ids[--batch->count];
            inbox->ack_count--;
            if (batch->count == 0)
                free_batch(sos, batch);
            return;
        }
    }
}

static void
be_sure(void *context, void *owner)
{
    struct sos *sos = context;
    struct inbox *inbox = owner;
    uint64_t now_us = client_now_us(sos);
    uint64_t next_us = NEVER_US;
    struct link *at = inbox->acks.next;
    while (at != &inbox->acks) {
        struct ack_batch *batch = batch_of(at);
        at = at->next;
        if (batch->unsure_us && batch->unsure_us <= now_us)
            free_batch(sos, batch);
        else if (batch->unsure_us && batch->unsure_us < next_us)
            next_us = batch->unsure_us;
    }
    if (next_us != NEVER_US)
        timers_set(&sos->timers, &inbox->unsure, next_us);
    wait_wake(sos, inbox);
}

bool
acks_are_quiet(const struct sos *sos)
{
    return sos->inbox.ack_count == 0;
}

bool
acks_are_full(const struct sos *sos)
{
    return sos->inbox.ack_count >= HANDLED_MAX;
}

bool
acks_add(struct sos *sos, const struct uuid *id, bool again)
{
    return remember(sos, id) && add(sos, id, again);
}

bool
acks_know(struct sos *sos, const struct uuid *id)
{
    if (!id_table_get(&sos->inbox.handled, id))
        return false;
    forget_unsure(sos, id);
    add(sos, id, false);
    return true;
}

void
acks_lost(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    for (struct link *at = inbox->acks.next; at != &inbox->acks; at = at->next) {
        struct ack_batch *batch = batch_of(at);
        batch->again = true;
        batch->id = (struct uuid){{0}};
        batch->unsure_us = 0;
    }
    id_table_clear(&inbox->acks_by_id);
    timers_remove(&sos->timers, &inbox->unsure);
    timers_remove(&sos->timers, &inbox->ack_retry);
}

static void
hear_acked(struct sos *sos, struct ack_batch *batch, const struct message *message)
{
    enum status status = status_from_code(message->status);
    if (message->kind == KIND_ACK && batch->again && message->seq < batch->count &&
        sos->inbox.state != INBOX_CLOSED) {
        id_table_take(&sos->inbox.acks_by_id, &batch->id);
        stay_unsure(sos, batch);
        return;
    }
    if (message->kind == KIND_ACK || !basic_is_transient(status)) {
        free_batch(sos, batch);
        wait_wake(sos, &sos->inbox);
        return;
    }
    unsay(sos, batch);
    timers_set(&sos->timers, &sos->inbox.ack_retry, client_now_us(sos) + RETRY_US);
}

bool
acks_receive(struct sos *sos, const struct message *message)
{
    struct ack_batch *batch = id_table_get(&sos->inbox.acks_by_id, &message->correlation);
    if (batch)
        hear_acked(sos, batch, message);
    return batch != NULL;
}
