/* SPDX-License-Identifier: Apache-2.0 */
/* The own inbox. A message is held from its delivery to its end; what waits to be taken goes back
 * to the broker when the session is lost (it comes again, in order), what was taken stays with whom
 * has it. Ids that were acknowledged here are remembered: their messages may come again until the
 * broker has written the acknowledgement down, and are then acknowledged again, unseen. */
#include <stdlib.h>
#include <string.h>

#include "kernel/pack.h"
#include "sdk/c/sos_internal.h"

enum {
    WINDOW_DEFAULT = 256,
    WINDOW_MAX = 1024,
    LEASE_DEFAULT_MS = 10000,
    LEASE_MIN_MS = 1000,
    LEASE_MAX_MS = 3600000,
    REASON_MAX = 512
};

static void extend_leases(void *context, void *owner);
static void subscribe_again(void *context, void *owner);

void
inbox_init(struct sos *sos, const struct sos_options *options)
{
    struct inbox *inbox = &sos->inbox;
    uint32_t window = options->inbox_window ? options->inbox_window : WINDOW_DEFAULT;
    uint32_t lease_ms = options->lease_ms ? options->lease_ms : LEASE_DEFAULT_MS;
    inbox->window = window > WINDOW_MAX ? WINDOW_MAX : window;
    inbox->lease_ms = lease_ms < LEASE_MIN_MS   ? LEASE_MIN_MS
                      : lease_ms > LEASE_MAX_MS ? LEASE_MAX_MS
                                                : lease_ms;
    link_init(&inbox->held);
    link_init(&inbox->queue);
    id_table_init(&inbox->by_id);
    id_table_init(&inbox->asks);
    acks_init(sos);
    timer_init(&inbox->lease, extend_leases, inbox);
    timer_init(&inbox->again, subscribe_again, inbox);
}

static struct sos_mail *
held_of(struct link *link)
{
    return LINK_ENTRY(link, struct sos_mail, link);
}

/* Out of everything; the mail is its holder's alone. */
static void
let_go(struct sos *sos, struct sos_mail *mail)
{
    if (!mail->held)
        return;
    mail->held = false;
    link_remove(&mail->link);
    link_remove(&mail->queue_link);
    id_table_take(&sos->inbox.by_id, &mail->envelope.message.id);
    sos->inbox.held_count--;
}

void
inbox_forget(struct sos *sos, struct sos_mail *mail)
{
    let_go(sos, mail);
}

/* Forgets those that nobody has taken. */
static void
drop_queue(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    while (!link_is_empty(&inbox->queue)) {
        struct sos_mail *mail = LINK_ENTRY(inbox->queue.next, struct sos_mail, queue_link);
        work_remove(sos, &mail->work);
        let_go(sos, mail);
        mail_free(&mail);
    }
}

void
inbox_clear(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    drop_queue(sos);
    while (!link_is_empty(&inbox->held))
        let_go(sos, held_of(inbox->held.next));
    acks_clear(sos);
    id_table_clear(&inbox->by_id);
    id_table_clear(&inbox->asks);
}

/* ---- opening */

void
inbox_want(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    if (inbox->state != INBOX_CLOSED)
        return;
    inbox->state = INBOX_WANTED;
    inbox->status = STATUS_OK;
    client_stir(sos);
}

static void
subscribe_again(void *context, void *owner)
{
    struct inbox *inbox = owner;
    (void)context;
    if (inbox->state == INBOX_ASKED)
        inbox->state = INBOX_WANTED;
}

static void
say_about_inbox(struct sos *sos, enum kind kind)
{
    struct inbox *inbox = &sos->inbox;
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, kind == KIND_SUBSCRIBE ? 3 : 1);
    pack_pair_string(&payload, "inbox", sos->identity);
    if (kind == KIND_SUBSCRIBE) {
        pack_pair_uint(&payload, "window", inbox->window);
        pack_pair_uint(&payload, "ack_ms", inbox->lease_ms);
    }
    struct message message = {
        .kind = kind, .target = text_of("service:bus"), .payload = buffer_bytes(&payload)};
    bool said =
        !payload.failed && peer_say(sos->peer, &message, &inbox->subscribe_id, NULL) == STATUS_OK;
    buffer_clear(&payload);
    if (kind == KIND_UNSUBSCRIBE)
        inbox->leaving = !said;
    else if (said)
        inbox->state = INBOX_ASKED;
    if (!said || kind == KIND_SUBSCRIBE)
        timers_set(&sos->timers, &inbox->again, client_now_us(sos) + RETRY_US);
}

/* ---- leases */

static void
say_extend(struct sos *sos, struct bytes ids, uint32_t count)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_string(&payload, "ids");
    pack_array(&payload, count);
    pack_raw(&payload, ids);
    pack_pair_uint(&payload, "ms", sos->inbox.lease_ms);
    struct message message = {.kind = KIND_CONTROL,
                              .target = text_of("service:bus"),
                              .type = text_of("extend"),
                              .payload = buffer_bytes(&payload)};
    if (!payload.failed)
        peer_say(sos->peer, &message, NULL, NULL);
    buffer_clear(&payload);
}

/* Long before a lease ends: the broker may be slow too. */
static uint64_t
lease_step_us(const struct inbox *inbox)
{
    return (uint64_t)inbox->lease_ms * 1000 / 4;
}

static void
extend_leases(void *context, void *owner)
{
    struct sos *sos = context;
    struct inbox *inbox = owner;
    uint64_t now_us = client_now_us(sos);
    struct buffer ids;
    buffer_init(&ids);
    uint32_t count = 0;
    if (inbox->state != INBOX_OPEN)
        return;
    for (struct link *at = inbox->held.next; at != &inbox->held; at = at->next) {
        struct sos_mail *mail = held_of(at);
        if (now_us < mail->leased_us + lease_step_us(inbox))
            continue;
        mail->leased_us = now_us;
        pack_bin(&ids, mail->envelope.message.id.bytes, 16);
        if (++count == IDS_PER_RECORD) {
            say_extend(sos, buffer_bytes(&ids), count);
            buffer_reset(&ids);
            count = 0;
        }
    }
    if (count && !ids.failed)
        say_extend(sos, buffer_bytes(&ids), count);
    buffer_clear(&ids);
    if (!link_is_empty(&inbox->held))
        timers_set(&sos->timers, &inbox->lease, now_us + lease_step_us(inbox));
}

/* ---- what the thread does for it */

void
inbox_step(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    if (!client_is_connected(sos))
        return;
    acks_say(sos); /* before subscribing: what was handled need not come again */
    if (inbox->leaving)
        say_about_inbox(sos, KIND_UNSUBSCRIBE);
    if (!inbox->leaving && inbox->state == INBOX_WANTED && inbox->again.place == 0)
        say_about_inbox(sos, KIND_SUBSCRIBE);
}

void
inbox_lost(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    drop_queue(sos);
    inbox->session++;
    acks_lost(sos);
    inbox->leaving = false;
    timers_remove(&sos->timers, &inbox->again);
    if (inbox->state != INBOX_CLOSED)
        inbox->state = INBOX_WANTED;
}

/* ---- what the broker says */

static void
run_mail(struct sos *sos, struct work *work)
{
    struct sos_mail *mail = LINK_ENTRY(work, struct sos_mail, work);
    sos_mail_fn *on_mail = sos->inbox.on_mail;
    void *context = sos->inbox.context;
    if (sos->closing)
        return; /* it is in the queue still */
    link_remove(&mail->queue_link);
    client_unlock(sos);
    on_mail(context, mail);
    client_lock(sos);
}

static void
offer(struct sos *sos, struct sos_mail *mail)
{
    struct ask *ask = id_table_get(&sos->inbox.asks, &mail->envelope.message.correlation);
    if (ask && !ask->answer) {
        ask->answer = mail;
        wait_wake(sos, ask);
        return;
    }
    link_append(&mail->queue_link, &sos->inbox.queue);
    if (sos->inbox.on_mail) {
        mail->work.run = run_mail;
        work_add(sos, &mail->work);
    } else {
        wait_wake(sos, &sos->inbox);
    }
}

static void
deliver(struct sos *sos, const struct message *message)
{
    struct inbox *inbox = &sos->inbox;
    if (inbox->state != INBOX_OPEN && inbox->state != INBOX_ASKED)
        return; /* of a subscription that was ended */
    if (acks_know(sos, &message->id))
        return; /* it is acknowledged again, unseen */
    struct sos_mail *mail = id_table_get(&inbox->by_id, &message->id);
    if (mail) { /* somebody has it; the broker counts anew */
        mail->session = inbox->session;
        mail->leased_us = client_now_us(sos);
        return;
    }
    mail = mail_new(sos, message);
    if (!mail || !id_table_put(&inbox->by_id, &message->id, mail)) {
        mail_free(&mail); /* it comes again */
        return;
    }
    mail->held = true;
    mail->session = inbox->session;
    mail->leased_us = client_now_us(sos);
    link_append(&mail->link, &inbox->held);
    inbox->held_count++;
    if (inbox->lease.place == 0)
        timers_set(&sos->timers, &inbox->lease, mail->leased_us + lease_step_us(inbox));
    offer(sos, mail);
}

static void
hear_subscribed(struct sos *sos, const struct message *message)
{
    struct inbox *inbox = &sos->inbox;
    enum status status = status_from_code(message->status);
    if (inbox->state != INBOX_ASKED)
        return;
    if (message->kind == KIND_ACK) {
        timers_remove(&sos->timers, &inbox->again);
        inbox->state = INBOX_OPEN;
        if (!link_is_empty(&inbox->held))
            extend_leases(sos, inbox);
        return;
    }
    if (basic_is_transient(status))
        return; /* the timer says it again */
    timers_remove(&sos->timers, &inbox->again);
    inbox->state = INBOX_CLOSED;
    inbox->status = status == STATUS_OK ? STATUS_UNKNOWN : status;
    error_unpack(message->payload, &inbox->error);
    error_wrap(&inbox->error, "open the inbox of %s", sos->identity);
    wait_wake_all(sos); /* who receives, and who asked */
}

bool
inbox_receive(struct sos *sos, const struct message *message)
{
    struct inbox *inbox = &sos->inbox;
    if (message->kind == KIND_DELIVER) {
        deliver(sos, message);
        return true;
    }
    if (message->kind != KIND_ACK && message->kind != KIND_ERROR)
        return false;
    if (acks_receive(sos, message))
        return true;
    if (!uuid_equal(&message->correlation, &inbox->subscribe_id))
        return false;
    hear_subscribed(sos, message);
    return true;
}

/* ---- taking and ending */

struct sos_mail *
inbox_take(struct sos *sos)
{
    struct inbox *inbox = &sos->inbox;
    /* As many acknowledgements that the broker did not confirm as can be remembered. */
    if (link_is_empty(&inbox->queue) || acks_are_full(sos))
        return NULL;
    struct sos_mail *mail = LINK_ENTRY(inbox->queue.next, struct sos_mail, queue_link);
    link_remove(&mail->queue_link);
    return mail;
}

static enum status
say_nack(struct sos *sos, const struct sos_mail *mail, enum inbox_end how, const char *reason,
         int delay_ms, struct error *error)
{
    char copy[REASON_MAX + 1];
    error_copy_text(copy, sizeof copy, basic_text(reason)); /* whole characters of UTF-8 */
    struct text words = text_of(copy);
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1u + (words.size ? 1 : 0) + (how == INBOX_REJECT || delay_ms >= 0 ? 1 : 0));
    pack_string(&payload, "ids");
    pack_array(&payload, 1);
    pack_bin(&payload, mail->envelope.message.id.bytes, 16);
    if (words.size)
        pack_pair_text(&payload, "reason", words);
    if (how == INBOX_REJECT)
        pack_pair_bool(&payload, "dead", true);
    else if (delay_ms >= 0)
        pack_pair_uint(&payload, "delay_ms", (uint64_t)delay_ms);
    struct message message = {
        .kind = KIND_NACK, .target = text_of("service:bus"), .payload = buffer_bytes(&payload)};
    enum status status = payload.failed ? STATUS_NOMEM
                                        : outgoing_add(sos, &message, false, SEND_TIMEOUT_MS, NULL,
                                                       NULL, NULL, error);
    buffer_clear(&payload);
    return status;
}

enum status
inbox_end(struct sos *sos, struct sos_mail *mail, enum inbox_end how, const char *reason,
          int delay_ms, struct error *error)
{
    const struct uuid *id = &mail->envelope.message.id;
    enum status status = STATUS_OK;
    if (how == INBOX_ACK) {
        if (!acks_add(sos, id, mail->session != sos->inbox.session)) {
            error_set(error, "out of memory");
            status = STATUS_NOMEM;
        }
    } else {
        status = say_nack(sos, mail, how, reason, delay_ms, error);
    }
    if (status == STATUS_OK)
        let_go(sos, mail);
    return status;
}

static enum status
receive(struct sos *sos, uint64_t deadline_us, struct sos_mail **mail_p, bool *nothing,
        struct error *error)
{
    struct inbox *inbox = &sos->inbox;
    if (inbox->on_mail) {
        error_set(error, "a callback takes the mail");
        return STATUS_CONFLICT;
    }
    enum status status = STATUS_OK;
    inbox_want(sos);
    for (;;) {
        if ((*mail_p = inbox_take(sos)))
            return STATUS_OK;
        if (inbox->status != STATUS_OK) {
            *error = inbox->error;
            return inbox->status;
        }
        if (client_is_refused(sos, &status, error))
            return status;
        status = wait_for(sos, inbox, deadline_us, error);
        if (status == STATUS_TIMEOUT) {
            *nothing = true;
            return STATUS_OK;
        }
        if (status != STATUS_OK)
            return status;
    }
}

int
sos_receive(struct sos *sos, int timeout_ms, struct sos_mail **mail_p, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    struct sos_mail *mail = NULL;
    bool nothing = false;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = receive(sos, client_deadline_us(sos, timeout_ms), &mail, &nothing, &error);
    if (mail)
        *mail_p = mail;
    int result = client_leave(sos, entered, status, &error, told);
    return nothing ? SOS_NOTHING : result;
}

void
inbox_set_handler(struct sos *sos, sos_mail_fn *on_mail, void *context)
{
    struct inbox *inbox = &sos->inbox;
    inbox->on_mail = on_mail;
    inbox->context = context;
    for (struct link *at = inbox->queue.next; at != &inbox->queue; at = at->next) {
        struct sos_mail *mail = LINK_ENTRY(at, struct sos_mail, queue_link);
        mail->work.run = run_mail;
        if (on_mail && !mail->work.queued)
            work_add(sos, &mail->work);
        else if (!on_mail)
            work_remove(sos, &mail->work);
    }
    if (on_mail)
        inbox_want(sos);
}

int
sos_on_mail(struct sos *sos, sos_mail_fn *on_mail, void *context, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        inbox_set_handler(sos, on_mail, context);
    return client_leave(sos, entered, status, &error, told);
}

int
sos_inbox_close(struct sos *sos, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered && sos->inbox.state != INBOX_CLOSED) {
        sos->inbox.leaving = sos->inbox.state != INBOX_WANTED;
        sos->inbox.state = INBOX_CLOSED;
        drop_queue(sos);
        client_stir(sos);
    }
    return client_leave(sos, entered, status, &error, told);
}
