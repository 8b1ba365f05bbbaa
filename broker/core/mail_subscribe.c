/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_subscribe.c - a session takes the mail of its own inbox. */
#include "broker/core/answer.h"
#include "broker/core/mail_ask.h"
#include "broker/core/mail_consumer.h"
#include "broker/core/mail_form.h"
#include "broker/core/mail_inbox.h"
#include "broker/core/peers.h"
#include "broker/core/tap.h"
#include "kernel/pack.h"

/* A peer that is behind already has its mail wait where it lies. */
static enum core_sent
deliver(struct core *core, void *context, const struct message *message)
{
    struct peer *peer = context;
    if (peer->doomed)
        return CORE_GONE;
    if (outbound_is_stuck(peer))
        return CORE_FULL;
    buffer_reset(&core->record);
    if (message_encode(&core->record, message, NULL) != STATUS_OK)
        return CORE_FULL;
    enum core_sent sent = peer_send(core, peer, buffer_bytes(&core->record));
    if (sent == CORE_SENT)
        tap_record(core, TAP_OUT, message, core->record.size, VERDICT_FORWARDED);
    return sent;
}

static void
room_again(struct core *core, struct room_watch *watch)
{
    struct consumer *consumer = CONTAINER_OF(watch, struct consumer, room_watch);
    if (!consumer->subscribing)
        mail_resume(core, consumer);
}

/* ---- reading what was asked for */

struct wish {
    struct text inbox;
    uint64_t window;
    uint64_t ack_ms;
};

static bool
read_number(const struct value *map, const char *key, uint64_t max, uint64_t *out)
{
    struct value value;
    if (!value_find(map, key, &value) || value.type == VALUE_NIL)
        return true;
    if (value.type != VALUE_UINT || value.as.uint < 1 || value.as.uint > max)
        return false;
    *out = value.as.uint;
    return true;
}

static enum status
read_wish(const struct peer *peer, const struct value *payload, struct wish *wish,
          struct error *error)
{
    *wish = (struct wish){.window = MAIL_WINDOW_DEFAULT, .ack_ms = MAIL_ACK_MS_DEFAULT};
    if (!value_find_text(payload, "inbox", &wish->inbox) ||
        !read_number(payload, "window", MAIL_WINDOW_MAX, &wish->window) ||
        !read_number(payload, "ack_ms", MAIL_ACK_MS_MAX, &wish->ack_ms)) {
        error_set(error,
                  "expected a map with inbox (text), window (1 to %d) and ack_ms (1 to %llu)",
                  MAIL_WINDOW_MAX, (unsigned long long)MAIL_ACK_MS_MAX);
        return STATUS_INVALID;
    }
    enum status status = mail_check_inbox(wish->inbox, error);
    if (status != STATUS_OK || text_equal(wish->inbox, peer->identity))
        return status;
    error_set_word(error, "not_your_inbox", "this peer is %.*s: it takes the mail of its own inbox",
                   TEXT_ARGS(peer->identity));
    return STATUS_FORBIDDEN;
}

/* ---- subscribe */

static void
end_unheard(struct core *core, struct consumer *consumer)
{
    if (consumer && consumer->subscribing)
        mail_release(core, &consumer, false);
}

static void
subscribed(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    struct peer *peer = peers_find(core, ticket->peer);
    struct consumer *consumer = peer && peer->greeted ? consumer_of_session(peer) : NULL;
    if (consumer && op->status != STATUS_OK) {
        struct message record = {.kind = KIND_SUBSCRIBE, .id = ticket->id};
        answer_refuse_late(core, peer, &record, op->status, &op->error);
        end_unheard(core, consumer);
    } else if (consumer) {
        uint64_t waiting = mail_form_waiting(buffer_bytes(&op->out));
        uint64_t out = consumer->inbox->out_count;
        answer_ack(core, peer, &ticket->id, waiting > out ? waiting - out : 0);
        if (consumer->subscribing) {
            consumer->subscribing = false;
            mail_resume(core, consumer);
        }
    }
    ticket_destroy(core, ticket);
}

/* The answer says how many wait, and comes before the first of them. */
static enum status
ask_how_many(struct core *core, struct peer *peer, const struct message *message, struct text inbox,
             struct error *error)
{
    struct ticket *ticket = ticket_of_record(core, peer, message, subscribed);
    struct mail_op *op = mail_op_new(MAIL_FIGURES, inbox, (struct text){NULL, 0},
                                     (struct text){NULL, 0}, (struct bytes){NULL, 0});
    enum status status = STATUS_NOMEM;
    if (ticket && op) {
        op->tag = MAIL_TICKET_TAG | ticket->number;
        op->limit = 1;
        status = mail_try(core, &op) ? STATUS_OK : STATUS_BUSY;
    }
    if (status == STATUS_BUSY)
        error_set(error, "too much waits for the mailbox");
    mail_op_destroy(&op);
    if (ticket && status != STATUS_OK)
        ticket_destroy(core, ticket);
    return status;
}

static void
change(struct core *core, struct consumer *consumer, const struct wish *wish)
{
    struct inbox *inbox = consumer->inbox;
    inbox->windows = inbox->windows - consumer->window + wish->window;
    consumer->window = (uint32_t)wish->window;
    consumer->ack_ms = (uint32_t)wish->ack_ms;
    consumer_settle(consumer);
    inbox_look_soon(core, inbox);
}

static enum status
subscribe(struct core *core, struct peer *peer, const struct message *message,
          const struct value *payload, struct error *error)
{
    struct wish wish;
    enum status status = read_wish(peer, payload, &wish, error);
    if (status != STATUS_OK)
        return status;
    struct consumer *consumer = consumer_of_session(peer);
    if (consumer) {
        change(core, consumer, &wish);
        return ask_how_many(core, peer, message, wish.inbox, error);
    }
    struct consumer_options options = {.inbox = wish.inbox,
                                       .window = (uint32_t)wish.window,
                                       .ack_ms = (uint32_t)wish.ack_ms,
                                       .peer = peer,
                                       .deliver = deliver,
                                       .context = peer};
    status = mail_consume(core, &options, &consumer, error);
    if (status != STATUS_OK)
        return status;
    list_remove(&consumer->peer_link);
    list_append(peer->consumers.next, &consumer->peer_link); /* before all others */
    consumer->session = true;
    consumer->room_watch.ready = room_again;
    consumer->subscribing = true;
    consumer->paused = true;
    consumer_settle(consumer);
    status = ask_how_many(core, peer, message, wish.inbox, error);
    if (status != STATUS_OK)
        end_unheard(core, consumer);
    return status;
}

const char *
mail_subscribe(struct core *core, struct peer *peer, const struct message *message,
               const struct value *payload)
{
    struct error error = ERROR_INIT;
    enum status status = subscribe(core, peer, message, payload, &error);
    if (status != STATUS_OK)
        return answer_refuse_error(core, peer, &message->id, status, &error);
    return VERDICT_ACCEPTED;
}

const char *
mail_unsubscribe(struct core *core, struct peer *peer, const struct message *message,
                 const struct value *payload)
{
    struct error error = ERROR_INIT;
    struct wish wish;
    enum status status = read_wish(peer, payload, &wish, &error);
    if (status != STATUS_OK)
        return answer_refuse_error(core, peer, &message->id, status, &error);
    struct consumer *consumer = consumer_of_session(peer);
    mail_release(core, &consumer, false);
    answer_ack(core, peer, &message->id, 0);
    return VERDICT_ANSWERED;
}
