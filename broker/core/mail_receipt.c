/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_receipt.c - what receivers say of messages that they got: handled, not handled,
 * being handled still. As records, and as calls. */
#include "broker/core/answer.h"
#include "broker/core/mail_ask.h"
#include "broker/core/mail_consumer.h"
#include "broker/core/mail_entry.h"
#include "broker/core/mail_inbox.h"
#include "broker/core/peers.h"
#include "kernel/pack.h"

enum said { SAID_ACK, SAID_NACK, SAID_EXTEND };

struct receipt {
    enum said said;
    struct inbox *inbox;   /* NULL: nothing of it is out */
    struct ticket *ticket; /* NULL: nobody wants to know */
    struct text reason;
    uint64_t delay_us;
    uint64_t extend_us;
    uint64_t count; /* of those whose answer need not wait for the disk */
    bool has_delay;
    bool dead;
};

/* ---- one message */

static bool
nack(struct core *core, const struct receipt *receipt, struct entry *entry)
{
    bool out = entry->state == ENTRY_OUT;
    if (receipt->dead) {
        entry->tries += out;
        if (entry_kill(core, entry, receipt->reason, receipt->ticket))
            return true;
        entry->tries -= out;
        return false;
    }
    uint64_t delay_us = receipt->has_delay ? receipt->delay_us : entry_schedule_us(entry);
    if (out)
        entry_tried(core, entry, delay_us, receipt->reason);
    else if (entry->state == ENTRY_ENDING)
        return false;
    else if (receipt->has_delay)
        entry_delay(core, entry, delay_us);
    return true;
}

static bool
extend(struct core *core, const struct receipt *receipt, struct entry *entry)
{
    if (entry->state != ENTRY_OUT)
        return false;
    entry->extended_us = core->now.monotonic_us + receipt->extend_us;
    consumer_extended(core, entry->consumer);
    return true;
}

/* False: it is not out (any more). */
static bool
apply(struct core *core, struct receipt *receipt, const struct uuid *id)
{
    struct entry *entry = receipt->inbox ? entry_find(core, receipt->inbox, id) : NULL;
    bool known = false;
    if (entry && receipt->said == SAID_ACK)
        known = entry_remove(core, entry, receipt->ticket);
    else if (entry && receipt->said == SAID_NACK)
        known = nack(core, receipt, entry);
    else if (entry)
        known = extend(core, receipt, entry);
    if (!known)
        metric_add(core->figures.mail_unknown, 1);
    else if (receipt->said == SAID_EXTEND || (receipt->said == SAID_NACK && !receipt->dead))
        receipt->count++;
    return known;
}

/* ---- records */

static void
record_done(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    (void)op;
    struct peer *peer = peers_find(core, ticket->peer);
    if (peer && peer->greeted && ticket->status == STATUS_OK) {
        answer_ack(core, peer, &ticket->id, ticket->count);
    } else if (peer && peer->greeted) {
        struct message record = {.kind = KIND_ACK, .id = ticket->id};
        struct error error = ERROR_INIT;
        error_set_word(&error, "storage_failed", "the ends of some messages are not on disk yet");
        answer_refuse_late(core, peer, &record, ticket->status, &error);
    }
    ticket_destroy(core, ticket);
}

static struct inbox *
inbox_of_peer(const struct core *core, const struct peer *peer)
{
    const struct consumer *session = consumer_of_session(peer);
    return session ? session->inbox : inbox_find(core, peer->identity);
}

static bool
read_ids(const struct value *list, struct uuid *ids, size_t *count)
{
    if (list->type != VALUE_ARRAY || list->as.count > MAIL_IDS_MAX)
        return false;
    struct entries entries = value_entries(list);
    struct value id;
    for (*count = 0; entries_next(&entries, &id); (*count)++) {
        if (id.type != VALUE_BIN || id.as.bin.size != sizeof ids[0].bytes)
            return false;
        memcpy(ids[*count].bytes, id.as.bin.data, sizeof ids[0].bytes);
    }
    return true;
}

static const char *
refuse(struct core *core, struct peer *peer, const struct message *message, const char *expected)
{
    struct error error = ERROR_INIT;
    error_set(&error, "%s: expected %s", kind_word(message->kind), expected);
    return answer_refuse_error(core, peer, &message->id, STATUS_INVALID, &error);
}

static const char *
take_receipt(struct core *core, struct peer *peer, const struct message *message,
             struct receipt *receipt, const struct uuid *ids, size_t count)
{
    if (!core->sink.mail)
        return answer_refuse_error(core, peer, &message->id, STATUS_NOT_IMPLEMENTED, NULL);
    receipt->inbox = inbox_of_peer(core, peer);
    if (message->flags & MESSAGE_CONFIRM) {
        receipt->ticket = ticket_of_record(core, peer, message, record_done);
        if (!receipt->ticket)
            return answer_refuse_error(core, peer, &message->id, STATUS_NOMEM, NULL);
    }
    for (size_t i = 0; i < count; i++)
        apply(core, receipt, &ids[i]);
    if (receipt->ticket) {
        receipt->ticket->count += receipt->count;
        if (receipt->ticket->left == 0)
            record_done(core, receipt->ticket, NULL);
    }
    if (receipt->inbox)
        inbox_look(core, receipt->inbox);
    return VERDICT_ACCEPTED;
}

const char *
ack_receive(struct core *core, struct peer *peer, const struct message *message)
{
    static const char expected[] =
        "a message's id as correlation, or an array of at most 256 ids (bin 16) as payload";
    struct receipt receipt = {.said = SAID_ACK};
    if (!uuid_is_nil(&message->correlation))
        return take_receipt(core, peer, message, &receipt, &message->correlation, 1);
    struct uuid ids[MAIL_IDS_MAX];
    size_t count;
    struct value list;
    if (!value_parse(message->payload, &list) || !read_ids(&list, ids, &count))
        return refuse(core, peer, message, expected);
    return take_receipt(core, peer, message, &receipt, ids, count);
}

/* Absent and nil leave the fallback. */
static bool
read_uint(const struct value *map, const char *key, uint64_t max, uint64_t *out, bool *has)
{
    struct value value;
    if (!value_find(map, key, &value) || value.type == VALUE_NIL)
        return true;
    if (value.type != VALUE_UINT || value.as.uint > max)
        return false;
    *out = value.as.uint;
    *has = true;
    return true;
}

static bool
read_nack(const struct value *map, struct receipt *receipt)
{
    struct value value;
    uint64_t delay_ms = 0;
    if (!read_uint(map, "delay_ms", MAIL_ACK_MS_MAX, &delay_ms, &receipt->has_delay))
        return false;
    receipt->delay_us = delay_ms * 1000;
    if (value_find(map, "reason", &value) && value.type != VALUE_NIL) {
        if (value.type != VALUE_TEXT || !text_is_utf8(value.as.text))
            return false;
        receipt->reason = value.as.text;
    }
    if (value_find(map, "dead", &value) && value.type != VALUE_NIL) {
        if (value.type != VALUE_BOOL)
            return false;
        receipt->dead = value.as.boolean;
    }
    return true;
}

const char *
nack_receive(struct core *core, struct peer *peer, const struct message *message)
{
    static const char expected[] = "a message's id as correlation or ids (at most 256 of bin 16) "
                                   "in a map {ids, reason, delay_ms, dead}";
    struct receipt receipt = {.said = SAID_NACK};
    struct uuid ids[MAIL_IDS_MAX] = {message->correlation};
    size_t count = uuid_is_nil(&message->correlation) ? 0 : 1;
    if (message->payload.size > 0) {
        struct value map, list;
        if (!value_parse(message->payload, &map) || map.type != VALUE_MAP ||
            !read_nack(&map, &receipt))
            return refuse(core, peer, message, expected);
        if (count == 0 && (!value_find(&map, "ids", &list) || !read_ids(&list, ids, &count)))
            return refuse(core, peer, message, expected);
    } else if (count == 0) {
        return refuse(core, peer, message, expected);
    }
    if (receipt.reason.size == 0)
        receipt.reason = text_of("refused by its receiver");
    return take_receipt(core, peer, message, &receipt, ids, count);
}

const char *
extend_receive(struct core *core, struct peer *peer, const struct message *message)
{
    struct receipt receipt = {.said = SAID_EXTEND};
    struct uuid ids[MAIL_IDS_MAX];
    size_t count;
    struct value map, list;
    uint64_t ms = 0;
    bool has_ms = false;
    if (!value_parse(message->payload, &map) || !value_find(&map, "ids", &list) ||
        !read_ids(&list, ids, &count) || !read_uint(&map, "ms", MAIL_ACK_MS_MAX, &ms, &has_ms) ||
        ms == 0)
        return refuse(core, peer, message,
                      "extend with a map {ids: at most 256 of bin 16, ms: 1 to 3600000}");
    receipt.extend_us = ms * 1000;
    return take_receipt(core, peer, message, &receipt, ids, count);
}

/* ---- calls */

static void
call_done(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    (void)op;
    if (ticket->status != STATUS_OK) {
        struct error error = ERROR_INIT;
        error_set_word(&error, "storage_failed", "the ends of some messages are not on disk yet");
        ticket_fail(core, ticket, ticket->status, &error);
        return;
    }
    struct buffer *out = &core->payload;
    buffer_reset(out);
    pack_map(out, 2);
    pack_pair_uint(out, ticket->word, ticket->count);
    pack_string(out, "unknown");
    pack_array(out, ticket->items);
    pack_raw(out, buffer_bytes(&ticket->out));
    out->failed = out->failed || ticket->out.failed;
    ticket_reply(core, ticket, out);
}

static const char *
call_receipt(struct core *core, const struct bus_call *call, struct receipt *receipt,
             unsigned inbox_field, unsigned ids_field, const char *word)
{
    const char *verdict;
    struct ticket *ticket = ticket_of_call(core, call, call_done, &verdict);
    if (!ticket)
        return verdict;
    ticket->word = word;
    receipt->ticket = ticket;
    receipt->inbox = inbox_find(core, arguments_text(call->arguments, inbox_field));
    struct entries entries = value_entries(&call->arguments->values[ids_field]);
    struct value text;
    while (entries_next(&entries, &text)) {
        struct uuid id;
        if (uuid_parse(text.as.text, &id) && apply(core, receipt, &id))
            continue;
        pack_text(&ticket->out, text.as.text);
        ticket->items++;
    }
    ticket->count += receipt->count;
    if (ticket->left == 0)
        call_done(core, ticket, NULL);
    if (receipt->inbox)
        inbox_look(core, receipt->inbox);
    return verdict;
}

const char *
bus_ack(struct core *core, const struct bus_call *call)
{
    struct receipt receipt = {.said = SAID_ACK};
    return call_receipt(core, call, &receipt, BUS_ACK_AGENT_ID, BUS_ACK_IDS, "acked");
}

const char *
bus_nack(struct core *core, const struct bus_call *call)
{
    const struct arguments *arguments = call->arguments;
    struct receipt receipt = {.said = SAID_NACK,
                              .reason = arguments_text(arguments, BUS_NACK_REASON),
                              .has_delay = arguments_has(arguments, BUS_NACK_DELAY_MS),
                              .delay_us =
                                  (uint64_t)arguments_integer(arguments, BUS_NACK_DELAY_MS) * 1000,
                              .dead = arguments_boolean(arguments, BUS_NACK_DEAD)};
    if (receipt.reason.size == 0)
        receipt.reason = text_of("refused by its receiver");
    return call_receipt(core, call, &receipt, BUS_NACK_AGENT_ID, BUS_NACK_IDS, "nacked");
}

const char *
bus_extend(struct core *core, const struct bus_call *call)
{
    struct receipt receipt = {
        .said = SAID_EXTEND,
        .extend_us = (uint64_t)arguments_integer(call->arguments, BUS_EXTEND_MS) * 1000};
    return call_receipt(core, call, &receipt, BUS_EXTEND_AGENT_ID, BUS_EXTEND_IDS, "extended");
}
