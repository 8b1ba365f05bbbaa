/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_calls.c - sending, squads, working memory and figures, as calls. */
#include "broker/core/form.h"
#include "broker/core/mail_ask.h"
#include "broker/core/mail_form.h"
#include "broker/core/mail_inbox.h"
#include "broker/core/mail_send.h"
#include "kernel/pack.h"

/* ---- send */

static void
sent(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    struct buffer *out = &core->payload;
    buffer_reset(out);
    pack_map(out, 3);
    form_uuid(out, "message_id", &ticket->id);
    pack_pair_bool(out, "duplicate", op->count == 0);
    pack_pair_uint(out, "copies", op->count);
    ticket_reply(core, ticket, out);
}

/* An id in words; absent: the fallback. */
static enum status
read_id(const struct arguments *arguments, unsigned field, const char *name, struct uuid fallback,
        struct uuid *id, struct error *error)
{
    *id = fallback;
    if (!arguments_has(arguments, field))
        return STATUS_OK;
    if (uuid_parse(arguments_text(arguments, field), id) && !uuid_is_nil(id))
        return STATUS_OK;
    error_set_field(error, name, "expected a UUID that is not all zero");
    return STATUS_VALIDATION;
}

static struct bytes
raw_of(const struct arguments *arguments, unsigned field)
{
    return arguments_has(arguments, field) ? arguments->values[field].raw : (struct bytes){NULL, 0};
}

static enum status
form_message(struct core *core, const struct bus_call *call, struct message *message,
             uint64_t *due_us, struct error *error)
{
    const struct arguments *arguments = call->arguments;
    *message = (struct message){.kind = KIND_SEND,
                                .source = arguments_text(arguments, BUS_SEND_FROM),
                                .target = arguments_text(arguments, BUS_SEND_TO),
                                .type = arguments_text(arguments, BUS_SEND_TYPE),
                                .timestamp_us = core->now.wall_us,
                                .ttl_ms = (uint32_t)arguments_integer(arguments, BUS_SEND_TTL_MS),
                                .trace = call->message->trace,
                                .metadata = raw_of(arguments, BUS_SEND_METADATA),
                                .payload = raw_of(arguments, BUS_SEND_PAYLOAD)};
    enum status status = bus_check_speaker(call, message->source, "from", error);
    /* Without an id of its own the message has the request's: when that is sent again after a lost
     * connection, it is the same message. */
    if (status == STATUS_OK)
        status = read_id(arguments, BUS_SEND_MESSAGE_ID, "message_id", call->message->id,
                         &message->id, error);
    if (status == STATUS_OK)
        status = read_id(arguments, BUS_SEND_IN_REPLY_TO, "in_reply_to", (struct uuid){{0}},
                         &message->correlation, error);
    *due_us = 0;
    if (status == STATUS_OK && arguments_has(arguments, BUS_SEND_DELIVER_AT) &&
        !timestamp_parse(arguments_text(arguments, BUS_SEND_DELIVER_AT), due_us)) {
        error_set_field(error, "deliver_at", "expected an ISO 8601 time after 1970");
        status = STATUS_VALIDATION;
    }
    return status;
}

const char *
bus_send(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    struct message message;
    uint64_t due_us;
    const char *verdict;
    enum status status = form_message(core, call, &message, &due_us, &error);
    if (status == STATUS_OK) {
        buffer_reset(&core->record);
        status = message_encode(&core->record, &message, &error);
    }
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);
    struct ticket *ticket = ticket_of_call(core, call, sent, &verdict);
    if (!ticket)
        return verdict;
    ticket->id = message.id;
    status = mail_append(core, call->peer, &message, buffer_bytes(&core->record), due_us,
                         MAIL_TICKET_TAG | ticket->number, &error);
    if (status == STATUS_OK)
        return VERDICT_HELD;
    send_count(core, status, 0, &error);
    ticket_fail(core, ticket, status, &error);
    return VERDICT_ANSWERED;
}

/* ---- one question, one answer */

static const char *
ask(struct core *core, const struct bus_call *call, ticket_fn *answered, enum mail_op_type type,
    struct text name, struct text source, struct bytes record, uint32_t limit)
{
    const char *verdict;
    struct ticket *ticket = ticket_of_call(core, call, answered, &verdict);
    if (!ticket)
        return verdict;
    struct mail_op *op = mail_op_new(type, name, source, (struct text){NULL, 0}, record);
    if (op)
        op->limit = limit;
    return ticket_ask_now(core, ticket, &op);
}

static void
reply_count(struct core *core, struct ticket *ticket, const char *key, uint64_t count)
{
    struct buffer *out = &core->payload;
    buffer_reset(out);
    pack_map(out, 1);
    pack_pair_uint(out, key, count);
    ticket_reply(core, ticket, out);
}

/* Items of a list, as many as an answer has room for. */
static void
reply_list(struct core *core, struct ticket *ticket, const char *key)
{
    struct buffer *out = &core->payload;
    buffer_reset(out);
    pack_map(out, 1);
    pack_string(out, key);
    pack_array(out, ticket->items);
    pack_raw(out, buffer_bytes(&ticket->out));
    out->failed = out->failed || ticket->out.failed;
    ticket_reply(core, ticket, out);
}

/* ---- how full inboxes are */

static uint64_t
number_of(const struct value *map, const char *key)
{
    uint64_t number = 0;
    value_find_uint(map, key, &number);
    return number;
}

static void
pack_figures(const struct core *core, const struct value *kept, struct buffer *out)
{
    struct text name = {NULL, 0};
    value_find_text(kept, "agent_id", &name);
    const struct inbox *inbox = inbox_find(core, name);
    uint64_t unacked = inbox ? inbox->out_count : 0;
    uint64_t waiting = number_of(kept, "waiting");
    pack_map(out, 6);
    pack_pair_text(out, "agent_id", name);
    pack_pair_uint(out, "waiting", waiting > unacked ? waiting - unacked : 0);
    pack_pair_uint(out, "delayed", number_of(kept, "delayed"));
    pack_pair_uint(out, "unacked", unacked);
    pack_pair_uint(out, "dead", number_of(kept, "dead"));
    pack_pair_uint(out, "bytes", number_of(kept, "bytes"));
}

static void
measured(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    struct value list, kept;
    if (op->status != STATUS_OK) {
        ticket_fail(core, ticket, op->status, &op->error);
        return;
    }
    if (value_parse(buffer_bytes(&op->out), &list) && list.type == VALUE_ARRAY) {
        struct entries entries = value_entries(&list);
        while (entries_next(&entries, &kept)) {
            size_t before = ticket->out.size;
            pack_figures(core, &kept, &ticket->out);
            if (ticket->out.size > MAIL_ANSWER_MAX) {
                ticket->out.size = before;
                break;
            }
            ticket->items++;
        }
    }
    reply_list(core, ticket, "mailboxes");
}

const char *
bus_mailboxes(struct core *core, const struct bus_call *call)
{
    return ask(core, call, measured, MAIL_FIGURES,
               arguments_text(call->arguments, BUS_MAILBOXES_PATTERN), (struct text){NULL, 0},
               (struct bytes){NULL, 0},
               (uint32_t)arguments_integer(call->arguments, BUS_MAILBOXES_LIMIT));
}

/* ---- squads */

static void
joined(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    reply_count(core, ticket, "members", op->count);
}

static const char *
change_squad(struct core *core, const struct bus_call *call, enum mail_op_type type,
             struct text squad, struct text member)
{
    struct error error = ERROR_INIT;
    enum status status = mail_check_squad(squad, &error);
    if (status == STATUS_OK)
        status = mail_check_inbox(member, &error);
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);
    return ask(core, call, joined, type, squad, member, (struct bytes){NULL, 0}, 0);
}

const char *
bus_join(struct core *core, const struct bus_call *call)
{
    return change_squad(core, call, MAIL_JOIN, arguments_text(call->arguments, BUS_JOIN_SQUAD),
                        arguments_text(call->arguments, BUS_JOIN_AGENT_ID));
}

const char *
bus_leave(struct core *core, const struct bus_call *call)
{
    return change_squad(core, call, MAIL_LEAVE, arguments_text(call->arguments, BUS_LEAVE_SQUAD),
                        arguments_text(call->arguments, BUS_LEAVE_AGENT_ID));
}

static void
counted_members(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    struct value list, member;
    if (value_parse(buffer_bytes(&op->out), &list) && list.type == VALUE_ARRAY) {
        struct entries entries = value_entries(&list);
        while (entries_next(&entries, &member) &&
               ticket->out.size + member.raw.size <= MAIL_ANSWER_MAX) {
            pack_raw(&ticket->out, member.raw);
            ticket->items++;
        }
    }
    reply_list(core, ticket, "members");
}

const char *
bus_members(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    struct text squad = arguments_text(call->arguments, BUS_MEMBERS_SQUAD);
    enum status status = mail_check_squad(squad, &error);
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);
    return ask(core, call, counted_members, MAIL_MEMBERS, squad, (struct text){NULL, 0},
               (struct bytes){NULL, 0}, 0);
}

/* ---- working memory */

static void
pushed(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    reply_count(core, ticket, "count", op->count);
}

const char *
bus_memory_push(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    struct text owner = arguments_text(call->arguments, BUS_MEMORY_PUSH_AGENT_ID);
    struct bytes item = raw_of(call->arguments, BUS_MEMORY_PUSH_ITEM);
    enum status status = mail_check_inbox(owner, &error);
    if (status == STATUS_OK && item.size > MAIL_MEMORY_ITEM_MAX) {
        error_set_field(&error, "item", "came %zu bytes, expected at most %d", item.size,
                        MAIL_MEMORY_ITEM_MAX);
        status = STATUS_TOO_LARGE;
    }
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);
    return ask(core, call, pushed, MAIL_MEMORY_PUSH, owner, (struct text){NULL, 0}, item, 0);
}

static void
pack_item(const struct value *kept, struct buffer *out)
{
    struct value item;
    pack_map(out, 2);
    if (value_find(kept, "item", &item))
        pack_pair_raw(out, "item", item.raw);
    else
        pack_pair_nil(out, "item");
    form_time(out, "at", number_of(kept, "at"));
}

static void
recalled(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    struct value list, kept;
    if (value_parse(buffer_bytes(&op->out), &list) && list.type == VALUE_ARRAY) {
        struct entries entries = value_entries(&list);
        while (entries_next(&entries, &kept)) {
            size_t before = ticket->out.size;
            pack_item(&kept, &ticket->out);
            if (ticket->out.size > MAIL_ANSWER_MAX) {
                ticket->out.size = before;
                break;
            }
            ticket->items++;
        }
    }
    reply_list(core, ticket, "items");
}

const char *
bus_memory_recall(struct core *core, const struct bus_call *call)
{
    struct error error = ERROR_INIT;
    struct text owner = arguments_text(call->arguments, BUS_MEMORY_RECALL_AGENT_ID);
    enum status status = mail_check_inbox(owner, &error);
    if (status != STATUS_OK)
        return bus_refuse(core, call, status, &error);
    return ask(core, call, recalled, MAIL_MEMORY_RECALL, owner, (struct text){NULL, 0},
               (struct bytes){NULL, 0},
               (uint32_t)arguments_integer(call->arguments, BUS_MEMORY_RECALL_LIMIT));
}
