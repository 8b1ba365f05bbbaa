/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves in order: durable messages and publications. A message stays until the broker has
 * acknowledged it: after a lost session, and when the answer is overdue, it leaves again under its
 * id, before what came later. A confirmed publication that was under way cannot be said again: the
 * broker would pass it on twice. */
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "platform/system_clock.h"
#include "sdk/c/sos_internal.h"

enum {
    WINDOW = 1024, /* on the wire, unanswered */
    WINDOW_BYTES = 4 * 1024 * 1024,
    OVERDUE_US = 5 * 1000 * 1000,
    PAUSE_US = 50 * 1000 /* after the broker said that it is busy */
};

static struct outgoing *
entry_of(struct link *link)
{
    return LINK_ENTRY(link, struct outgoing, link);
}

static void look_for_overdue(void *context, void *owner);

void
outgoing_init(struct sos *sos)
{
    struct outbound *outbound = &sos->outbound;
    link_init(&outbound->waiting);
    link_init(&outbound->sent);
    id_table_init(&outbound->by_id);
    timer_init(&outbound->resend, look_for_overdue, outbound);
}

void
outgoing_clear(struct sos *sos)
{
    id_table_clear(&sos->outbound.by_id);
}

/* ---- ending */

static void
set_sent(struct sos *sos, struct outgoing *outgoing, bool sent)
{
    struct outbound *outbound = &sos->outbound;
    if (outgoing->sent == sent)
        return;
    outgoing->sent = sent;
    outbound->sent_count = sent ? outbound->sent_count + 1 : outbound->sent_count - 1;
    outbound->sent_bytes =
        sent ? outbound->sent_bytes + outgoing->size : outbound->sent_bytes - outgoing->size;
}

static void
end(struct sos *sos, struct outgoing *outgoing, enum status status, const struct error *error)
{
    struct outbound *outbound = &sos->outbound;
    set_sent(sos, outgoing, false);
    link_remove(&outgoing->link);
    timers_remove(&sos->timers, &outgoing->deadline);
    if (outgoing->confirmed)
        id_table_take(&outbound->by_id, &outgoing->id);
    outbound->bytes -= outgoing->size;
    outgoing->status = status;
    if (error)
        outgoing->error = *error;
    outgoing->done = true;
    if (outgoing->on_done)
        outgoing->on_done(sos, outgoing);
    else
        outgoing_end(sos, &outgoing);
}

void
outgoing_end(struct sos *sos, struct outgoing **outgoing_p)
{
    struct outgoing *outgoing = *outgoing_p;
    *outgoing_p = NULL;
    sos->outbound.count--;
    free(outgoing);
}

static void
expire(void *context, void *owner)
{
    struct sos *sos = context;
    struct outgoing *outgoing = owner;
    struct error error = ERROR_INIT;
    enum status status = STATUS_TIMEOUT;
    if (outgoing->tried) {
        error_set(&error, "the broker did not say that it has it; it may or may not");
        status = STATUS_UNKNOWN_OUTCOME;
    } else if (client_is_connected(sos)) {
        error_set(&error, "too much waits to be sent");
    } else {
        client_absent(sos, &error);
    }
    end(sos, outgoing, status, &error);
}

/* ---- beginning */

static enum status
check_room(const struct sos *sos, size_t size, struct error *error)
{
    const struct outbound *outbound = &sos->outbound;
    if (outbound->count >= sos->sends_max) {
        error_set(error, "%u messages are on their way out already", sos->sends_max);
        return STATUS_BUSY;
    }
    if (outbound->bytes + size > sos->send_bytes_max) {
        error_set(error, "messages of %zu bytes are on their way out already", outbound->bytes);
        return STATUS_BUSY;
    }
    return STATUS_OK;
}

enum status
outgoing_add(struct sos *sos, struct message *message, bool confirmed, uint32_t timeout_ms,
             outgoing_fn *on_done, void *owner, struct outgoing **outgoing_p, struct error *error)
{
    struct outbound *outbound = &sos->outbound;
    message->source = text_of(sos->identity);
    message->timestamp_us = clock_now(&system_clock).wall_us;
    if (uuid_is_nil(&message->id))
        message->id = client_new_id(sos);
    buffer_reset(&sos->scratch);
    enum status status = message_encode(&sos->scratch, message, error);
    if (status == STATUS_OK)
        status = check_room(sos, sos->scratch.size, error);
    if (status != STATUS_OK)
        return status;
    if (confirmed && id_table_get(&outbound->by_id, &message->id)) {
        error_set(error, "a message with this id is on its way already");
        return STATUS_ALREADY_EXISTS;
    }
    struct outgoing *outgoing = malloc(sizeof *outgoing + sos->scratch.size);
    if (!outgoing)
        return STATUS_NOMEM;
    *outgoing = (struct outgoing){.id = message->id,
                                  .number = ++outbound->last_number,
                                  .kind = message->kind,
                                  .confirmed = confirmed,
                                  .on_done = on_done,
                                  .owner = owner,
                                  .size = sos->scratch.size};
    memcpy(outgoing->record, sos->scratch.data, outgoing->size);
    timer_init(&outgoing->deadline, expire, outgoing);
    uint64_t deadline_us = client_now_us(sos) + (uint64_t)timeout_ms * 1000;
    if (!timers_set(&sos->timers, &outgoing->deadline, deadline_us) ||
        (confirmed && !id_table_put(&outbound->by_id, &outgoing->id, outgoing))) {
        timers_remove(&sos->timers, &outgoing->deadline);
        free(outgoing);
        return STATUS_NOMEM;
    }
    outbound->count++;
    outbound->bytes += outgoing->size;
    link_append(&outgoing->link, &outbound->waiting);
    client_stir(sos);
    if (outgoing_p)
        *outgoing_p = outgoing;
    return STATUS_OK;
}

/* ---- leaving */

static bool
may_leave(const struct sos *sos)
{
    const struct outbound *outbound = &sos->outbound;
    return client_is_connected(sos) && !link_is_empty(&outbound->waiting) &&
           outbound->sent_count < WINDOW && outbound->sent_bytes < WINDOW_BYTES &&
           client_now_us(sos) >= outbound->pause_us;
}

void
outgoing_step(struct sos *sos)
{
    struct outbound *outbound = &sos->outbound;
    while (may_leave(sos)) {
        struct outgoing *outgoing = entry_of(outbound->waiting.next);
        struct error error = ERROR_INIT;
        enum status status =
            peer_say_record(sos->peer, (struct bytes){outgoing->record, outgoing->size}, &error);
        if (status == STATUS_BUSY || status == STATUS_NOMEM || status == STATUS_UNAVAILABLE)
            return;
        if (status != STATUS_OK || !outgoing->confirmed) {
            end(sos, outgoing, status, &error);
            continue;
        }
        outgoing->tried = true;
        outgoing->sent_us = client_now_us(sos);
        link_remove(&outgoing->link);
        link_append(&outgoing->link, &outbound->sent);
        set_sent(sos, outgoing, true);
        if (outbound->resend.place == 0)
            timers_set(&sos->timers, &outbound->resend, outgoing->sent_us + OVERDUE_US);
    }
}

/* Where it stood among those that wait: before all that came later. */
static void
send_again(struct sos *sos, struct outgoing *outgoing)
{
    struct link *place = &sos->outbound.waiting;
    set_sent(sos, outgoing, false);
    link_remove(&outgoing->link);
    while (place->next != &sos->outbound.waiting &&
           entry_of(place->next)->number < outgoing->number)
        place = place->next;
    link_after(&outgoing->link, place);
}

/* An answer can only be lost while this process did not read; the broker knows the id. */
static void
look_for_overdue(void *context, void *owner)
{
    struct sos *sos = context;
    struct outbound *outbound = owner;
    uint64_t now_us = client_now_us(sos);
    struct link *at = outbound->sent.previous;
    while (at != &outbound->sent) {
        struct outgoing *outgoing = entry_of(at);
        at = at->previous;
        if (outgoing->kind == KIND_SEND && now_us >= outgoing->sent_us + OVERDUE_US)
            send_again(sos, outgoing);
    }
    if (!link_is_empty(&outbound->sent))
        timers_set(&sos->timers, &outbound->resend, now_us + OVERDUE_US / 4);
}

void
outgoing_lost(struct sos *sos)
{
    struct outbound *outbound = &sos->outbound;
    struct error error;
    error_set(&error, "the connection was lost while the event was under way");
    struct link *at = outbound->sent.previous;
    while (at != &outbound->sent) {
        struct outgoing *outgoing = entry_of(at);
        at = at->previous;
        if (outgoing->kind == KIND_SEND)
            send_again(sos, outgoing);
        else
            end(sos, outgoing, STATUS_UNKNOWN_OUTCOME, &error);
    }
    outbound->pause_us = 0;
}

bool
outgoing_receive(struct sos *sos, const struct message *message)
{
    if (message->kind != KIND_ACK && message->kind != KIND_ERROR)
        return false;
    struct outbound *outbound = &sos->outbound;
    struct outgoing *outgoing = id_table_get(&outbound->by_id, &message->correlation);
    if (!outgoing)
        return false;
    if (message->kind == KIND_ACK) {
        outgoing->seq = message->seq;
        end(sos, outgoing, STATUS_OK, NULL);
        return true;
    }
    enum status status = status_from_code(message->status);
    if (status == STATUS_BUSY && outgoing->kind == KIND_SEND) {
        if (outgoing->sent)
            send_again(sos, outgoing);
        outbound->pause_us = client_now_us(sos) + PAUSE_US;
        timers_set(&sos->timers, &outbound->resend, outbound->pause_us);
        return true;
    }
    struct error error = ERROR_INIT;
    error_unpack(message->payload, &error);
    end(sos, outgoing, status == STATUS_OK ? STATUS_UNKNOWN : status, &error);
    return true;
}

bool
outgoing_is_quiet(const struct sos *sos)
{
    return link_is_empty(&sos->outbound.waiting) && link_is_empty(&sos->outbound.sent);
}

void
outgoing_end_all(struct sos *sos, enum status status, const struct error *error)
{
    struct link *lists[] = {&sos->outbound.waiting, &sos->outbound.sent};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        while (!link_is_empty(lists[i])) {
            struct outgoing *outgoing = entry_of(lists[i]->next);
            end(sos, outgoing, outgoing->tried ? STATUS_UNKNOWN_OUTCOME : status, error);
        }
}

/* ---- a thread that waits */

void
outgoing_wake(struct sos *sos, struct outgoing *outgoing)
{
    wait_wake(sos, outgoing);
}

enum status
outgoing_wait(struct sos *sos, struct outgoing *outgoing, uint64_t *seq, struct error *error)
{
    enum { SLACK_US = 5 * 1000 * 1000 };
    enum status status = STATUS_OK;
    uint64_t deadline_us = outgoing->deadline.at_us + SLACK_US;
    while (status == STATUS_OK && !outgoing->done)
        status = wait_for(sos, outgoing, deadline_us, error);
    if (!outgoing->done) { /* it goes on; nobody hears of it */
        outgoing->on_done = NULL;
        return outgoing->tried ? STATUS_UNKNOWN_OUTCOME : status;
    }
    status = outgoing->status;
    *error = outgoing->error;
    if (status == STATUS_OK && seq)
        *seq = outgoing->seq;
    outgoing_end(sos, &outgoing);
    return status;
}
