/* SPDX-License-Identifier: Apache-2.0 */
/* broker/core/mail_dead.c - the dead letters of an inbox, listed, shown, sent again, dropped. */
#include <stdio.h>
#include <stdlib.h>

#include "broker/core/mail_ask.h"
#include "broker/core/mail_form.h"
#include "kernel/pack.h"

enum { DEAD_BYTES_MAX = 1 << 20 /* of records that are looked at for one list */ };

/* A dead_id is a number in decimal digits, from 1. */
static bool
read_number(struct text text, uint64_t *number)
{
    uint64_t value = 0;
    if (text.size == 0 || text.size > 19)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
    }
    *number = value;
    return value > 0;
}

static struct mail_op *
question(enum mail_op_type type, const struct bus_call *call, unsigned inbox_field)
{
    return mail_op_new(type, arguments_text(call->arguments, inbox_field), (struct text){NULL, 0},
                       (struct text){NULL, 0}, (struct bytes){NULL, 0});
}

/* ---- reading */

static void
listed(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    struct buffer *out = &ticket->out;
    for (size_t i = 0; i < op->row_count; i++) {
        size_t before = out->size;
        if (!mail_form_pack_dead(out, &op->rows[i], buffer_bytes(&op->out), false))
            continue;
        if (out->size > MAIL_ANSWER_MAX) {
            out->size = before;
            break;
        }
        ticket->items++;
    }
    struct buffer *payload = &core->payload;
    buffer_reset(payload);
    pack_map(payload, 2);
    pack_string(payload, "dead_letters");
    pack_array(payload, ticket->items);
    pack_raw(payload, buffer_bytes(out));
    pack_pair_uint(payload, "count", op->count);
    payload->failed = payload->failed || out->failed;
    ticket_reply(core, ticket, payload);
}

const char *
bus_dead_list(struct core *core, const struct bus_call *call)
{
    uint64_t after = 0;
    struct text text = arguments_text(call->arguments, BUS_DEAD_LIST_AFTER);
    if (text.size > 0 && !read_number(text, &after)) {
        struct error error = ERROR_INIT;
        error_set_field(&error, "after", "expected a dead_id");
        return bus_refuse(core, call, STATUS_VALIDATION, &error);
    }
    const char *verdict;
    struct ticket *ticket = ticket_of_call(core, call, listed, &verdict);
    if (!ticket)
        return verdict;
    struct mail_op *op = question(MAIL_DEAD_READ, call, BUS_DEAD_LIST_AGENT_ID);
    if (op) {
        op->seq = after;
        op->limit = (uint32_t)arguments_integer(call->arguments, BUS_DEAD_LIST_LIMIT);
        op->bytes_max = DEAD_BYTES_MAX;
    }
    return ticket_ask_now(core, ticket, &op);
}

static void
refuse_unknown(struct error *error)
{
    error_set_word(error, "dead_letter_not_found", "this inbox has no such dead letter");
}

static void
got(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    struct buffer *payload = &core->payload;
    buffer_reset(payload);
    if (op->row_count > 0 && op->rows[0].seq == op->seq + 1 &&
        mail_form_pack_dead(payload, &op->rows[0], buffer_bytes(&op->out), true)) {
        ticket_reply(core, ticket, payload);
        return;
    }
    struct error error = ERROR_INIT;
    refuse_unknown(&error);
    ticket_fail(core, ticket, STATUS_NOT_FOUND, &error);
}

const char *
bus_dead_get(struct core *core, const struct bus_call *call)
{
    uint64_t number;
    if (!read_number(arguments_text(call->arguments, BUS_DEAD_GET_DEAD_ID), &number)) {
        struct error error = ERROR_INIT;
        refuse_unknown(&error);
        return bus_refuse(core, call, STATUS_NOT_FOUND, &error);
    }
    const char *verdict;
    struct ticket *ticket = ticket_of_call(core, call, got, &verdict);
    if (!ticket)
        return verdict;
    struct mail_op *op = question(MAIL_DEAD_READ, call, BUS_DEAD_GET_AGENT_ID);
    if (op) {
        op->seq = number - 1;
        op->limit = 1;
        op->bytes_max = RECORD_SIZE_MAX;
    }
    return ticket_ask_now(core, ticket, &op);
}

/* ---- replay, drop */

static void
changed(struct core *core, struct ticket *ticket, struct mail_op *op)
{
    for (size_t i = 0; i < op->seq_count && op->seqs; i++) {
        char text[24];
        if (op->seqs[i] == 0)
            continue;
        snprintf(text, sizeof text, "%llu", (unsigned long long)op->seqs[i]);
        pack_string(&ticket->out, text);
        ticket->items++;
    }
    struct buffer *payload = &core->payload;
    buffer_reset(payload);
    pack_map(payload, 3);
    pack_pair_uint(payload, ticket->word, op->count);
    pack_string(payload, "unknown");
    pack_array(payload, ticket->items);
    pack_raw(payload, buffer_bytes(&ticket->out));
    pack_pair_uint(payload, "left", op->left);
    payload->failed = payload->failed || ticket->out.failed;
    ticket_reply(core, ticket, payload);
}

/* What is no dead_id is unknown at once. A number 0, which none has, stands in for an empty list:
 * no numbers at all would be all dead letters. */
static bool
read_numbers(const struct value *list, struct mail_op *op, struct ticket *ticket)
{
    op->seqs = calloc((size_t)list->as.count + 1, sizeof *op->seqs);
    if (!op->seqs)
        return false;
    struct entries entries = value_entries(list);
    struct value text;
    while (entries_next(&entries, &text)) {
        if (read_number(text.as.text, &op->seqs[op->seq_count])) {
            op->seq_count++;
            continue;
        }
        pack_text(&ticket->out, text.as.text);
        ticket->items++;
    }
    if (op->seq_count == 0)
        op->seqs[op->seq_count++] = 0;
    return true;
}

static const char *
change(struct core *core, const struct bus_call *call, enum mail_op_type type, unsigned inbox_field,
       unsigned ids_field, const char *word)
{
    const char *verdict;
    struct ticket *ticket = ticket_of_call(core, call, changed, &verdict);
    if (!ticket)
        return verdict;
    ticket->word = word;
    struct mail_op *op = question(type, call, inbox_field);
    if (op && arguments_has(call->arguments, ids_field) &&
        !read_numbers(&call->arguments->values[ids_field], op, ticket))
        mail_op_destroy(&op);
    return ticket_ask_now(core, ticket, &op);
}

const char *
bus_dead_replay(struct core *core, const struct bus_call *call)
{
    return change(core, call, MAIL_DEAD_REPLAY, BUS_DEAD_REPLAY_AGENT_ID, BUS_DEAD_REPLAY_IDS,
                  "replayed");
}

const char *
bus_dead_drop(struct core *core, const struct bus_call *call)
{
    return change(core, call, MAIL_DEAD_DROP, BUS_DEAD_DROP_AGENT_ID, BUS_DEAD_DROP_IDS, "dropped");
}
