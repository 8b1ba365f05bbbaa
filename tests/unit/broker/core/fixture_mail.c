/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_mail.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- rows */

static bool
is_in(const struct fake_row *row, struct text inbox)
{
    return !row->gone && row->due_us == 0 && text_equal_string(inbox, row->inbox);
}

static void
put_text(char *to, size_t capacity, struct text text)
{
    snprintf(to, capacity, "%.*s", TEXT_ARGS(text));
}

static struct fake_row *
add_row(struct fake_mail *mail, struct text inbox, const struct mail_op *op, uint64_t now_us)
{
    assert_true(mail->row_count < FAKE_ROWS);
    struct fake_row *row = &mail->rows[mail->row_count++];
    uint8_t *copy = malloc(op->record.size);
    memcpy(copy, op->record.data, op->record.size);
    *row = (struct fake_row){.id = op->id,
                             .record = {copy, op->record.size},
                             .kept_us = now_us,
                             .expires_us = op->expires_us,
                             .due_us = op->due_us};
    put_text(row->inbox, sizeof row->inbox, inbox);
    put_text(row->source, sizeof row->source, op->source);
    if (op->due_us == 0)
        row->seq = mail->last_seq += mail->seq_step;
    return row;
}

static void
announce(struct fake_mail *mail, const struct fake_row *row)
{
    struct text none = {NULL, 0};
    struct bytes record = mail->arrivals_carry ? row->record : (struct bytes){NULL, 0};
    struct mail_op *op = mail_op_new(MAIL_ARRIVED, text_of(row->inbox), none, none, record);
    op->seq = row->seq;
    op->expires_us = row->expires_us;
    assert_true(mail->arrived_count < FAKE_QUESTIONS);
    mail->arrived[mail->arrived_count++] = op;
}

static void
append_row(struct mail_op *op, const struct fake_row *row)
{
    op->rows = realloc(op->rows, (op->row_count + 1) * sizeof *op->rows);
    op->rows[op->row_count++] =
        (struct mail_row){.seq = row->seq,
                          .kept_us = row->kept_us,
                          .expires_us = row->expires_us,
                          .attempts = row->attempts,
                          .reason_size = row->dead ? (uint32_t)strlen(row->reason) : 0,
                          .record_size = (uint32_t)row->record.size,
                          .offset = op->out.size};
    if (row->dead)
        buffer_append_string(&op->out, row->reason);
    buffer_append(&op->out, row->record.data, row->record.size);
}

/* By number: replayed messages stand behind newer ones. */
static struct fake_row *
next_row(struct fake_mail *mail, struct text inbox, uint64_t after, bool dead)
{
    struct fake_row *next = NULL;
    for (size_t i = 0; i < mail->row_count; i++) {
        struct fake_row *row = &mail->rows[i];
        if (is_in(row, inbox) && row->dead == dead && row->seq > after &&
            (!next || row->seq < next->seq))
            next = row;
    }
    return next;
}

static struct fake_row *
row_at(struct fake_mail *mail, struct text inbox, uint64_t seq, bool dead)
{
    struct fake_row *row = next_row(mail, inbox, seq - 1, dead);
    return row && row->seq == seq ? row : NULL;
}

/* ---- answers */

static void
answer_append(struct fixture *f, struct mail_op *op)
{
    struct fake_mail *mail = f->mail;
    op->seq = 0;
    for (size_t i = 0; i < mail->row_count; i++) {
        if (uuid_equal(&mail->rows[i].id, &op->id) &&
            text_equal_string(op->source, mail->rows[i].source))
            return;
    }
    if (!op->squad) {
        op->seq = add_row(mail, op->name, op, f->now.wall_us)->seq;
        op->count = 1;
        return;
    }
    for (size_t i = 0; i < mail->member_count; i++) {
        if (!text_equal_string(op->name, mail->members[i].squad))
            continue;
        announce(mail, add_row(mail, text_of(mail->members[i].name), op, f->now.wall_us));
        op->count++;
    }
    if (op->count == 0) {
        op->status = STATUS_NOT_FOUND;
        error_set_word(&op->error, "squad_empty", "nobody is in it");
    }
}

static void
answer_read(struct fixture *f, struct mail_op *op, bool dead)
{
    uint64_t after = op->seq;
    const struct fake_row *row;
    while (f->mail->endless && op->row_count < op->limit) {
        struct fake_row copy = f->mail->rows[0];
        copy.seq = ++after;
        append_row(op, &copy);
        op->more = true;
    }
    while ((row = next_row(f->mail, op->name, after, dead))) {
        after = row->seq;
        if (row->expires_us != 0 && row->expires_us <= f->now.wall_us && !dead)
            continue;
        if (op->row_count == op->limit ||
            (op->row_count > 0 && op->out.size + row->record.size > op->bytes_max)) {
            op->more = true;
            break;
        }
        append_row(op, row);
    }
    for (size_t i = 0; i < f->mail->row_count && dead; i++)
        op->count += is_in(&f->mail->rows[i], op->name) && f->mail->rows[i].dead;
}

static void
answer_one(struct fixture *f, struct mail_op *op)
{
    const struct fake_row *row = row_at(f->mail, op->name, op->seq, false);
    if (row && (row->expires_us == 0 || row->expires_us > f->now.wall_us))
        append_row(op, row);
    else
        op->status = STATUS_NOT_FOUND;
}

static void
answer_end(struct fixture *f, struct mail_op *op)
{
    struct fake_row *row = row_at(f->mail, op->name, op->seq, false);
    if (!row)
        return;
    row->attempts = op->type == MAIL_REMOVE ? row->attempts : op->attempts;
    row->gone = op->type == MAIL_REMOVE;
    if (op->type != MAIL_KILL)
        return;
    row->dead = true;
    row->kept_us = f->now.wall_us;
    row->seq = ++f->mail->last_seq;
    put_text(row->reason, sizeof row->reason, op->text);
}

static void
change_dead(struct fixture *f, struct mail_op *op, struct fake_row *row)
{
    if (op->type == MAIL_DEAD_DROP) {
        row->gone = true;
    } else {
        row->dead = false;
        row->attempts = 0;
        row->seq = ++f->mail->last_seq;
        announce(f->mail, row);
    }
    op->count++;
}

static void
answer_dead_change(struct fixture *f, struct mail_op *op)
{
    struct fake_row *row;
    size_t unknown = 0;
    for (size_t i = 0; i < op->seq_count; i++) {
        row = op->seqs[i] ? row_at(f->mail, op->name, op->seqs[i], true) : NULL;
        if (row)
            change_dead(f, op, row);
        else
            op->seqs[unknown++] = op->seqs[i];
    }
    if (op->seq_count == 0)
        while ((row = next_row(f->mail, op->name, 0, true)))
            change_dead(f, op, row);
    op->seq_count = unknown;
    for (size_t i = 0; i < f->mail->row_count; i++)
        op->left += is_in(&f->mail->rows[i], op->name) && f->mail->rows[i].dead;
}

static void
answer_squad(struct fake_mail *mail, struct mail_op *op)
{
    size_t at = 0;
    for (size_t i = 0; i < mail->member_count; i++) {
        if (text_equal_string(op->name, mail->members[i].squad) &&
            text_equal_string(op->source, mail->members[i].name))
            continue;
        mail->members[at++] = mail->members[i];
    }
    mail->member_count = at;
    if (op->type == MAIL_JOIN) {
        assert_true(mail->member_count < FAKE_MEMBERS);
        put_text(mail->members[at].squad, sizeof mail->members[at].squad, op->name);
        put_text(mail->members[at].name, sizeof mail->members[at].name, op->source);
        mail->member_count++;
    }
    for (size_t i = 0; i < mail->member_count; i++)
        op->count += text_equal_string(op->name, mail->members[i].squad);
}

static void
answer_members(struct fake_mail *mail, struct mail_op *op)
{
    uint32_t count = 0;
    for (size_t i = 0; i < mail->member_count; i++)
        count += text_equal_string(op->name, mail->members[i].squad);
    pack_array(&op->out, count);
    for (size_t i = 0; i < mail->member_count; i++)
        if (text_equal_string(op->name, mail->members[i].squad))
            pack_string(&op->out, mail->members[i].name);
}

static void
answer_memory(struct fixture *f, struct mail_op *op)
{
    struct fake_mail *mail = f->mail;
    if (op->type == MAIL_MEMORY_RECALL) {
        pack_array(&op->out, mail->memory_count);
        pack_raw(&op->out, buffer_bytes(&mail->memory));
        return;
    }
    struct buffer all;
    buffer_init(&all);
    pack_map(&all, 2);
    pack_pair_raw(&all, "item", op->record);
    pack_pair_uint(&all, "at", f->now.wall_us);
    pack_raw(&all, buffer_bytes(&mail->memory));
    buffer_clear(&mail->memory);
    mail->memory = all;
    op->count = ++mail->memory_count;
}

/* Of one inbox, as tests ask for no other pattern. */
static void
answer_figures(struct fixture *f, struct mail_op *op)
{
    uint64_t waiting = 0, delayed = 0, dead = 0, bytes = 0;
    for (size_t i = 0; i < f->mail->row_count; i++) {
        const struct fake_row *row = &f->mail->rows[i];
        if (row->gone || !text_equal_string(op->name, row->inbox))
            continue;
        waiting += !row->dead && row->due_us == 0;
        delayed += row->due_us != 0;
        dead += row->dead;
        bytes += row->record.size;
    }
    pack_array(&op->out, bytes > 0);
    if (bytes == 0)
        return;
    pack_map(&op->out, 5);
    pack_pair_text(&op->out, "agent_id", op->name);
    pack_pair_uint(&op->out, "waiting", waiting);
    pack_pair_uint(&op->out, "delayed", delayed);
    pack_pair_uint(&op->out, "dead", dead);
    pack_pair_uint(&op->out, "bytes", bytes);
}

static void
do_it(struct fixture *f, struct mail_op *op)
{
    switch (op->type) {
    case MAIL_APPEND:
        answer_append(f, op);
        break;
    case MAIL_READ:
        answer_read(f, op, false);
        break;
    case MAIL_READ_ONE:
        answer_one(f, op);
        break;
    case MAIL_REMOVE:
    case MAIL_TRIED:
    case MAIL_KILL:
        answer_end(f, op);
        break;
    case MAIL_DEAD_READ:
        answer_read(f, op, true);
        break;
    case MAIL_DEAD_REPLAY:
    case MAIL_DEAD_DROP:
        answer_dead_change(f, op);
        break;
    case MAIL_JOIN:
    case MAIL_LEAVE:
        answer_squad(f->mail, op);
        break;
    case MAIL_MEMBERS:
        answer_members(f->mail, op);
        break;
    case MAIL_MEMORY_PUSH:
    case MAIL_MEMORY_RECALL:
        answer_memory(f, op);
        break;
    case MAIL_FIGURES:
        answer_figures(f, op);
        break;
    default:
        fail();
    }
}

static void
work_out(struct fixture *f, struct mail_op *op)
{
    enum status fault = f->mail->fails[op->type];
    if (fault == STATUS_OK || fault == STATUS_UNKNOWN_OUTCOME)
        do_it(f, op);
    if (fault == STATUS_OK)
        return;
    op->status = fault;
    op->count = 0;
    op->seq = op->type == MAIL_APPEND ? 0 : op->seq;
    error_set_word(&op->error, "storage_failed", "the disk is broken");
}

/* ---- the queue */

bool
fixture_mail_ask(void *context, struct mail_op **op_p)
{
    struct fixture *f = context;
    struct fake_mail *mail = f->mail;
    if (mail->question_count - mail->answered >= mail->question_max)
        return false;
    if (mail->question_count == FAKE_QUESTIONS) {
        mail->question_count -= mail->answered;
        memmove(mail->questions, mail->questions + mail->answered,
                mail->question_count * sizeof(struct mail_op *));
        mail->answered = 0;
    }
    assert_true(mail->question_count < FAKE_QUESTIONS);
    mail->asked[(*op_p)->type]++;
    mail->questions[mail->question_count++] = *op_p;
    *op_p = NULL;
    return true;
}

size_t
mail_open(const struct fixture *f)
{
    return f->mail->question_count - f->mail->answered;
}

void
mail_answer(struct fixture *f, size_t count)
{
    struct fake_mail *mail = f->mail;
    for (; count > 0 && mail->answered < mail->question_count; count--) {
        struct mail_op *op = mail->questions[mail->answered++];
        work_out(f, op);
        core_mail_done(f->core, &op, f->now);
        assert_null(op);
    }
    for (size_t i = 0; i < mail->arrived_count; i++)
        core_mail_done(f->core, &mail->arrived[i], f->now);
    mail->arrived_count = 0;
    core_flush(f->core, f->now);
}

void
mail_settle(struct fixture *f)
{
    do {
        mail_answer(f, SIZE_MAX);
        core_tick(f->core, f->now);
        core_flush(f->core, f->now);
    } while (mail_open(f) > 0);
}

static void
forget_questions(struct fake_mail *mail)
{
    for (; mail->answered < mail->question_count; mail->answered++)
        mail_op_destroy(&mail->questions[mail->answered]);
    for (size_t i = 0; i < mail->arrived_count; i++)
        mail_op_destroy(&mail->arrived[i]);
    mail->arrived_count = 0;
}

void
mail_crash(struct fixture *f)
{
    forget_questions(f->mail);
    fixture_restart(f);
    assert_int_equal(mail_open(f), 0); /* a core that ends asks nothing more */
    for (size_t peer = 0; peer < PEERS; peer++) {
        struct outbox *outbox = &f->outboxes[peer];
        outbox->read = outbox->count;
        outbox->offset = 0;
    }
}

void
mail_pass(struct fixture *f, uint64_t ms)
{
    for (uint64_t step; ms > 0; ms -= step) {
        step = ms < 100 ? ms : 100;
        for (peer_number peer = 1; peer < PEERS; peer++)
            if (f->identities[peer] && !was_cut(f, peer))
                say(f, peer, (struct message){.kind = KIND_HEARTBEAT});
        advance_ms(f, step);
        mail_settle(f);
    }
}

void
mail_sweep(struct fixture *f)
{
    for (size_t i = 0; i < f->mail->row_count; i++) {
        struct fake_row *row = &f->mail->rows[i];
        if (row->due_us == 0 || row->due_us > f->now.wall_us)
            continue;
        row->due_us = 0;
        row->seq = f->mail->last_seq += f->mail->seq_step;
        announce(f->mail, row);
    }
    mail_answer(f, 0);
}

int
fixture_mail_setup(void **state)
{
    fixture_setup(state);
    struct fixture *f = *state;
    f->mail = calloc(1, sizeof *f->mail);
    assert_non_null(f->mail);
    f->mail->seq_step = 1;
    f->mail->question_max = FAKE_QUESTIONS;
    buffer_init(&f->mail->memory);
    fixture_restart(f);
    return 0;
}

void
fixture_mail_clear(struct fixture *f)
{
    if (!f->mail)
        return;
    forget_questions(f->mail);
    for (size_t i = 0; i < f->mail->row_count; i++)
        free((void *)(uintptr_t)f->mail->rows[i].record.data);
    buffer_clear(&f->mail->memory);
    free(f->mail);
    f->mail = NULL;
}

size_t
mail_rows(const struct fixture *f, const char *inbox)
{
    size_t count = 0;
    for (size_t i = 0; i < f->mail->row_count; i++)
        count += is_in(&f->mail->rows[i], text_of(inbox)) && !f->mail->rows[i].dead;
    return count;
}

size_t
mail_dead_rows(const struct fixture *f, const char *inbox)
{
    size_t count = 0;
    for (size_t i = 0; i < f->mail->row_count; i++)
        count += is_in(&f->mail->rows[i], text_of(inbox)) && f->mail->rows[i].dead;
    return count;
}

struct fake_row *
mail_row_of(struct fixture *f, const char *inbox, const struct uuid *id)
{
    for (size_t i = 0; i < f->mail->row_count; i++) {
        struct fake_row *row = &f->mail->rows[i];
        if (uuid_equal(&row->id, id) && strcmp(row->inbox, inbox) == 0)
            return row;
    }
    fail_msg("no such message in %s", inbox);
    return NULL;
}

/* ---- peers */

struct uuid
mail_send(struct fixture *f, peer_number peer, const char *to, const char *text)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_string(&payload, text);
    struct uuid id = say(f, peer,
                         (struct message){.kind = KIND_SEND,
                                          .target = text_of(to),
                                          .type = text_of("note"),
                                          .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    return id;
}

struct uuid
mail_put(struct fixture *f, peer_number peer, const char *to, const char *text)
{
    struct uuid id = mail_send(f, peer, to, text);
    mail_answer(f, SIZE_MAX);
    const struct message *ack = take_kind(f, peer, KIND_ACK);
    assert_true(uuid_equal(&ack->correlation, &id));
    assert_int_equal(ack->seq, 1);
    return id;
}

struct uuid
mail_subscribe_to(struct fixture *f, peer_number peer, const char *inbox, uint32_t window,
                  uint32_t ack_ms)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 3);
    pack_pair_string(&payload, "inbox", inbox);
    pack_pair_uint(&payload, "window", window);
    pack_pair_uint(&payload, "ack_ms", ack_ms);
    struct uuid id =
        say(f, peer, (struct message){.kind = KIND_SUBSCRIBE, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
    return id;
}

uint64_t
mail_listen(struct fixture *f, peer_number peer, const char *inbox, uint32_t window,
            uint32_t ack_ms)
{
    struct uuid id = mail_subscribe_to(f, peer, inbox, window, ack_ms);
    mail_settle(f);
    const struct message *ack = take_kind(f, peer, KIND_ACK);
    assert_true(uuid_equal(&ack->correlation, &id));
    return ack->seq;
}

struct uuid
mail_ack(struct fixture *f, peer_number peer, const struct uuid *id, bool confirm)
{
    return say(f, peer,
               (struct message){
                   .kind = KIND_ACK, .flags = confirm ? MESSAGE_CONFIRM : 0, .correlation = *id});
}

void
mail_nack(struct fixture *f, peer_number peer, const struct uuid *id, int64_t delay_ms, bool dead)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, delay_ms >= 0 ? 3 : 2);
    pack_pair_string(&payload, "reason", "it is poison");
    pack_pair_bool(&payload, "dead", dead);
    if (delay_ms >= 0)
        pack_pair_uint(&payload, "delay_ms", (uint64_t)delay_ms);
    say(f, peer,
        (struct message){.kind = KIND_NACK, .correlation = *id, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

const struct message *
take_delivery(struct fixture *f, peer_number peer, const struct uuid *id, uint32_t attempt)
{
    const struct message *message = take_kind(f, peer, KIND_DELIVER);
    assert_true(uuid_equal(&message->id, id));
    assert_int_equal(message->attempt, attempt);
    return message;
}

bool
message_says(const struct message *message, const char *text)
{
    struct value value;
    return value_parse(message->payload, &value) && value.type == VALUE_TEXT &&
           text_equal_string(value.as.text, text);
}
