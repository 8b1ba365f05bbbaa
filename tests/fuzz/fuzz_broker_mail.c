/* SPDX-License-Identifier: Apache-2.0 */
/* Reads its input as what happens to a broker's inboxes: agents come and go, send, take, say what
 * became of it; the mailbox is slow, full or broken; time passes; the broker dies and comes again.
 * After each event the core's figures must add up, and what was handled must not be out. In the end
 * everything that was taken on and not handled must come, and nothing may be left. */
#include <stdlib.h>

#include <sodium.h>

#include "broker/core/core.h"
#include "broker/core/mail.h"
#include "broker/core/mail_entry.h"
#include "broker/core/mail_state.h"
#include "broker/core/peers.h"
#include "kernel/assert.h"
#include "kernel/message.h"
#include "kernel/pack.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SLOTS = 5, ROWS = 64, QUESTIONS = 4096, ACKS = 256, SENDS = 64, ENDS = 200 };

static const char *const identities[] = {"agent:a", "agent:ab", "user:c"};
static const char *const targets[] = {"agent:a", "agent:ab", "user:c", "squad:s", "agent:a:b"};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct slot {
    peer_number number; /* 0: nobody */
    size_t identity;
    enum core_sent answer;
};

struct row {
    struct text inbox; /* of identities */
    uint64_t seq;
    struct uuid id;
    struct bytes record; /* owned */
    uint32_t attempts;
    bool dead;
    bool gone;
};

struct world {
    struct core *core;
    struct core_options options;
    struct now now;
    struct slot slots[SLOTS];
    peer_number last_number;
    struct row rows[ROWS];
    size_t row_count;
    uint64_t last_seq;
    struct mail_op *questions[QUESTIONS];
    size_t question_count;
    size_t room;
    enum status fault; /* of questions that write */
    unsigned fault_mask;
    uint8_t last_id;
    bool acks_all; /* receivers handle what they get */
    struct {
        peer_number peer;
        struct uuid id;
    } acks[ACKS];
    size_t ack_count;
    const uint8_t *at, *end;
};

static uint8_t
take(struct world *w)
{
    return w->at < w->end ? *w->at++ : 0;
}

static struct slot *
slot_of(struct world *w, peer_number number)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (number != 0 && w->slots[i].number == number)
            return &w->slots[i];
    return NULL;
}

/* ---- the sink */

static enum core_sent
sink_send(void *context, peer_number peer, struct bytes frame)
{
    struct world *w = context;
    struct slot *slot = slot_of(w, peer);
    ASSERT(slot);
    enum core_sent answer = slot->answer;
    if (answer == CORE_GONE)
        slot->number = 0;
    while (frame.size > 0 && answer == CORE_SENT) {
        struct message message;
        size_t used;
        ASSERT(message_decode(&message, frame, &used, NULL) == STATUS_OK);
        frame = (struct bytes){frame.data + used, frame.size - used};
        ASSERT(message.capability.size == 0 && message.principal.size == 0);
        if (message.kind != KIND_DELIVER)
            continue;
        ASSERT(message.seq > 0 && message.attempt > 0 && message.attempt <= MAIL_ATTEMPTS_MAX);
        if (w->acks_all && w->ack_count < ACKS) {
            w->acks[w->ack_count].peer = peer;
            w->acks[w->ack_count++].id = message.id;
        }
    }
    return answer;
}

static void
sink_cut(void *context, peer_number peer, const char *reason)
{
    struct slot *slot = slot_of(context, peer);
    ASSERT(slot && reason);
    slot->number = 0;
}

static bool
sink_mail(void *context, struct mail_op **op_p)
{
    struct world *w = context;
    if (w->question_count >= w->room)
        return false;
    ASSERT(w->question_count < QUESTIONS);
    w->questions[w->question_count++] = *op_p;
    *op_p = NULL;
    return true;
}

/* ---- the mailbox */

static struct row *
next_row(struct world *w, struct text inbox, uint64_t after, bool dead)
{
    struct row *next = NULL;
    for (size_t i = 0; i < w->row_count; i++) {
        struct row *row = &w->rows[i];
        if (!row->gone && row->dead == dead && row->seq > after && text_equal(row->inbox, inbox) &&
            (!next || row->seq < next->seq))
            next = row;
    }
    return next;
}

static void
add_row(struct world *w, size_t identity, struct mail_op *op)
{
    if (w->row_count == ROWS)
        return;
    struct row *row = &w->rows[w->row_count++];
    uint8_t *copy = malloc(op->record.size);
    ASSERT(copy);
    memcpy(copy, op->record.data, op->record.size);
    *row = (struct row){.inbox = text_of(identities[identity]),
                        .seq = w->last_seq += 1 + (w->last_id % 3 == 0),
                        .id = op->id,
                        .record = {copy, op->record.size}};
    op->count++;
    if (!op->squad)
        op->seq = row->seq;
}

static void
arrive(struct world *w, const struct row *row, struct mail_op **arrived, size_t *count)
{
    struct text none = {NULL, 0};
    struct mail_op *op = mail_op_new(MAIL_ARRIVED, row->inbox, none, none,
                                     w->last_id & 1 ? row->record : (struct bytes){NULL, 0});
    ASSERT(op && *count < ROWS);
    op->seq = row->seq;
    arrived[(*count)++] = op;
}

static void
append(struct world *w, struct mail_op *op, struct mail_op **arrived, size_t *count)
{
    op->seq = 0;
    for (size_t i = 0; i < w->row_count; i++)
        if (uuid_equal(&w->rows[i].id, &op->id))
            return;
    for (size_t i = 0; i < COUNT(identities); i++) {
        size_t before = w->row_count;
        if (op->squad || text_equal_string(op->name, identities[i]))
            add_row(w, i, op);
        if (op->squad && w->row_count > before)
            arrive(w, &w->rows[before], arrived, count);
    }
}

static void
give_row(struct mail_op *op, const struct row *row)
{
    op->rows = realloc(op->rows, (op->row_count + 1) * sizeof *op->rows);
    ASSERT(op->rows);
    op->rows[op->row_count++] = (struct mail_row){.seq = row->seq,
                                                  .attempts = row->attempts,
                                                  .record_size = (uint32_t)row->record.size,
                                                  .offset = op->out.size};
    buffer_append(&op->out, row->record.data, row->record.size);
}

static void
read_rows(struct world *w, struct mail_op *op, uint64_t after, size_t limit, bool dead)
{
    for (struct row *row; (row = next_row(w, op->name, after, dead)); after = row->seq) {
        if (op->row_count == limit) {
            op->more = true;
            return;
        }
        give_row(op, row);
    }
}

static void
end_row(struct world *w, const struct mail_op *op)
{
    struct row *row = next_row(w, op->name, op->seq - 1, false);
    if (!row || row->seq != op->seq)
        return;
    ASSERT(op->type == MAIL_REMOVE || op->attempts >= row->attempts);
    ASSERT(op->attempts <= MAIL_ATTEMPTS_MAX);
    if (op->type == MAIL_REMOVE)
        row->gone = true;
    else
        row->attempts = op->attempts;
    row->dead = op->type == MAIL_KILL;
}

static void
work_out(struct world *w, struct mail_op *op, struct mail_op **arrived, size_t *count)
{
    struct row *row;
    switch (op->type) {
    case MAIL_APPEND:
        append(w, op, arrived, count);
        break;
    case MAIL_READ:
        read_rows(w, op, op->seq, op->limit > 3 ? 3 : op->limit, false);
        break;
    case MAIL_READ_ONE:
        row = next_row(w, op->name, op->seq - 1, false);
        if (row && row->seq == op->seq)
            give_row(op, row);
        else
            op->status = STATUS_NOT_FOUND;
        break;
    case MAIL_REMOVE:
    case MAIL_TRIED:
    case MAIL_KILL:
        end_row(w, op);
        break;
    case MAIL_DEAD_REPLAY:
        while ((row = next_row(w, op->name, 0, true))) {
            row->dead = false;
            row->attempts = 0;
            row->seq = ++w->last_seq;
            arrive(w, row, arrived, count);
            op->count++;
        }
        break;
    default: /* figures: of another form than they should be */
        if (w->last_id & 4)
            pack_nil(&op->out);
    }
}

static void
answer(struct world *w, size_t questions)
{
    struct mail_op *arrived[ROWS];
    size_t count = 0;
    for (; questions > 0 && w->question_count > 0; questions--) {
        struct mail_op *op = w->questions[0];
        memmove(w->questions, w->questions + 1, --w->question_count * sizeof w->questions[0]);
        bool fails = w->fault != STATUS_OK && w->fault_mask & 1u << op->type;
        size_t told = count;
        if (count >= ROWS / 2)
            op->status = STATUS_STORE_FAILED;
        else if (!fails || (w->fault == STATUS_UNKNOWN_OUTCOME && w->last_id & 8))
            work_out(w, op, arrived, &count);
        if (fails) {
            op->status = w->fault;
            op->count = 0;
            op->seq = op->type == MAIL_APPEND ? 0 : op->seq;
            while (count > told)
                mail_op_destroy(&arrived[--count]);
        }
        core_mail_done(w->core, &op, w->now);
        ASSERT(!op);
    }
    for (size_t i = 0; i < count; i++)
        core_mail_done(w->core, &arrived[i], w->now);
}

/* ---- what must hold after each event */

static size_t
count_held(const struct inbox *inbox, const struct list_node *list, uint64_t *room,
           uint64_t *windows)
{
    size_t held = 0;
    for (const struct list_node *node = list->next; node != list; node = node->next) {
        const struct consumer *consumer = CONTAINER_OF(node, struct consumer, link);
        uint32_t count = 0;
        ASSERT(consumer->inbox == inbox);
        ASSERT((consumer->offered > 0) == (list == &inbox->takers));
        for (struct list_node *at = consumer->held.next; at != &consumer->held; at = at->next) {
            const struct entry *entry = CONTAINER_OF(at, struct entry, link);
            ASSERT(entry->state == ENTRY_OUT && entry->consumer == consumer);
            ASSERT(entry->inbox == inbox);
            count++;
        }
        ASSERT(consumer->count == count);
        ASSERT(count == 0 || consumer->timer.place != 0);
        *room += consumer->offered;
        *windows += consumer->window;
        held += count;
    }
    return held;
}

static size_t
count_resting(const struct inbox *inbox, size_t *delayed, size_t *ending)
{
    size_t count = 0;
    for (const struct list_node *node = inbox->rest.next; node != &inbox->rest; node = node->next) {
        const struct entry *entry = CONTAINER_OF(node, struct entry, link);
        *delayed += entry->state == ENTRY_DELAYED;
        *ending += entry->state == ENTRY_ENDING;
        ASSERT(entry->state != ENTRY_DELAYED || entry->timer.place != 0);
        ASSERT(entry->state != ENTRY_OUT && entry->state != ENTRY_AGAIN);
        count++;
    }
    return count;
}

static size_t
length_of(const struct list_node *list)
{
    size_t length = 0;
    for (const struct list_node *node = list->next; node != list; node = node->next)
        length++;
    return length;
}

static void
check_inbox(const struct inbox *inbox)
{
    uint64_t room = 0, windows = 0;
    size_t delayed = 0, ending = 0, out = count_held(inbox, &inbox->takers, &room, &windows);
    out += count_held(inbox, &inbox->others, &room, &windows);
    size_t resting = count_resting(inbox, &delayed, &ending);
    ASSERT(inbox->room == room && inbox->windows == windows && inbox->out_count == out);
    ASSERT(inbox->delayed_count == delayed && inbox->ending_count == ending);
    ASSERT(inbox->entry_count == out + resting + length_of(&inbox->again));
    ASSERT(inbox->consumer_count ==
           length_of(&inbox->takers) + length_of(&inbox->others) + length_of(&inbox->watchers));
    ASSERT(inbox->consumer_count > 0 || (inbox->entry_count > 0 && inbox->timer.place != 0) ||
           ending > 0);
    ASSERT(inbox->failed_count <= ending && inbox->given <= inbox->read && !inbox->busy);
    ASSERT(!inbox->ready == (inbox->ready_rows == 0));
}

static const struct entry *
entry_of(const struct world *w, const struct row *row)
{
    for (size_t i = 0; i < w->core->mail->entries.slot_count; i++) {
        struct table_node *node = w->core->mail->entries.slots[i];
        for (; node; node = node->next) {
            const struct entry *entry = CONTAINER_OF(node, struct entry, node);
            if (entry->seq == row->seq && text_equal(entry->inbox->name, row->inbox))
                return entry;
        }
    }
    return NULL;
}

static void
check(const struct world *w)
{
    const struct mail *mail = w->core->mail;
    size_t entries = 0, inboxes = 0, ready = 0;
    for (size_t i = 0; i < mail->inboxes.slot_count; i++) {
        for (struct table_node *node = mail->inboxes.slots[i]; node; node = node->next) {
            const struct inbox *inbox = CONTAINER_OF(node, struct inbox, node);
            check_inbox(inbox);
            entries += inbox->entry_count;
            ready += inbox->ready_bytes;
            inboxes++;
        }
    }
    ASSERT(mail->entries.count == entries && mail->inboxes.count == inboxes);
    ASSERT(mail->ready_bytes == ready);
    ASSERT(mail->asked == w->question_count);
    for (size_t i = 0; i < w->row_count; i++) {
        const struct entry *entry = w->rows[i].gone ? entry_of(w, &w->rows[i]) : NULL;
        ASSERT(!entry || entry->state == ENTRY_ENDING);
    }
}

/* ---- events */

static void
hand_in(struct world *w, const struct slot *slot, struct message *message)
{
    struct buffer frame;
    buffer_init(&frame);
    message->source = text_of(identities[slot->identity]);
    message->timestamp_us = w->now.wall_us;
    if (slot->number != 0 && message_encode(&frame, message, NULL) == STATUS_OK)
        core_receive(w->core, slot->number, buffer_bytes(&frame), w->now);
    buffer_clear(&frame);
}

static void
connect_peer(struct world *w, struct slot *slot, size_t identity)
{
    struct buffer payload;
    if (slot->number != 0)
        core_disconnected(w->core, slot->number, w->now);
    *slot = (struct slot){.number = ++w->last_number, .identity = identity, .answer = CORE_SENT};
    ASSERT(core_connected(w->core, slot->number, text_of(identities[identity]), 0, w->now, NULL) ==
           STATUS_OK);
    buffer_init(&payload);
    pack_map(&payload, 2);
    pack_pair_uint(&payload, "version_min", 1);
    pack_pair_uint(&payload, "version_max", 1);
    hand_in(w, slot, &(struct message){.kind = KIND_HELLO, .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

/* Few, so that they meet again; mostly of what there is. */
static struct uuid
choose_id(struct world *w)
{
    uint8_t choice = take(w);
    struct uuid id = {{0}};
    if (w->row_count > 0 && choice < 240)
        return w->rows[choice % w->row_count].id;
    id.bytes[15] = choice;
    return id;
}

static void
send_mail(struct world *w, const struct slot *slot, uint8_t form)
{
    struct message message = {.kind = KIND_SEND,
                              .target = text_of(targets[form % COUNT(targets)]),
                              .ttl_ms = form & 128 ? 100000000 : 0};
    if (w->last_id == SENDS && form < 250)
        return;
    message.id.bytes[14] = 1;
    message.id.bytes[15] = form < 250 ? ++w->last_id : w->last_id;
    hand_in(w, slot, &message);
}

static void
subscribe(struct world *w, const struct slot *slot, uint8_t form)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 3);
    pack_pair_string(&payload, "inbox", identities[slot->identity]);
    pack_pair_uint(&payload, "window", form % 5 + (form < 250));
    pack_pair_uint(&payload, "ack_ms", form & 8 ? 10 : 1000);
    hand_in(w, slot,
            &(struct message){.kind = form < 200 ? KIND_SUBSCRIBE : KIND_UNSUBSCRIBE,
                              .payload = buffer_bytes(&payload)});
    buffer_clear(&payload);
}

static void
say_receipt(struct world *w, const struct slot *slot, uint8_t form)
{
    struct buffer payload;
    struct uuid id = choose_id(w);
    struct message message = {.kind = form % 4 < 2    ? KIND_ACK
                                      : form % 4 == 2 ? KIND_NACK
                                                      : KIND_CONTROL,
                              .flags = form & 16 ? MESSAGE_CONFIRM : 0,
                              .type = text_of("extend")};
    message.id.bytes[0] = form;
    buffer_init(&payload);
    if (message.kind == KIND_ACK) {
        message.correlation = id;
    } else {
        pack_map(&payload, 4);
        pack_string(&payload, "ids");
        pack_array(&payload, 1);
        pack_bin(&payload, id.bytes, sizeof id.bytes);
        pack_pair_uint(&payload, "ms", form & 32 ? 100 : 5000);
        pack_pair_bool(&payload, "dead", form >= 240);
        if (form & 64)
            pack_pair_uint(&payload, "delay_ms", form & 32 ? 0 : 7000);
        else
            pack_pair_nil(&payload, "delay_ms");
    }
    message.payload = buffer_bytes(&payload);
    hand_in(w, slot, &message);
    buffer_clear(&payload);
}

static void
call(struct world *w, const struct slot *slot, uint8_t form)
{
    static const char *const types[] = {
        "bus_inbox",  "bus_inbox",       "bus_ack",  "bus_nack",      "bus_extend",
        "bus_listen", "bus_dead_replay", "bus_send", "bus_mailboxes", "bus_dead_list"};
    const char *const type = types[form % COUNT(types)];
    struct uuid id = choose_id(w);
    char text[UUID_TEXT_SIZE];
    struct buffer payload;
    buffer_init(&payload);
    uuid_format(&id, text);
    pack_map(&payload, strcmp(type, "bus_dead_replay") == 0 ? 11 : 12);
    pack_pair_string(&payload, "agent_id", identities[slot->identity]);
    pack_pair_string(&payload, "from", identities[slot->identity]);
    pack_pair_string(&payload, "to", identities[form % COUNT(identities)]);
    pack_pair_string(&payload, "inbox", form & 32 ? "take" : "watch");
    pack_pair_uint(&payload, "window", 1 + form % 4);
    pack_pair_uint(&payload, "limit", 1 + form % 3);
    pack_pair_uint(&payload, "wait_ms", form & 64 ? 2000 : 0);
    pack_pair_uint(&payload, "ack_ms", 1000);
    pack_pair_bool(&payload, "peek", form >= 230);
    pack_pair_uint(&payload, "ms", 3000);
    pack_pair_bool(&payload, "dead", form >= 250);
    if (strcmp(type, "bus_dead_replay") != 0) {
        pack_string(&payload, "ids");
        pack_array(&payload, 1);
        pack_string(&payload, text);
    }
    struct message message = {.kind = KIND_REQUEST,
                              .flags = MESSAGE_STREAM,
                              .target = text_of("service:bus"),
                              .type = text_of(type),
                              .payload = buffer_bytes(&payload)};
    message.id.bytes[0] = 1;
    message.id.bytes[1] = form >= 128 ? take(w) % 4 : take(w);
    if (form >= 220 && form < 230)
        message = (struct message){.kind = KIND_CANCEL, .correlation = message.id};
    hand_in(w, slot, &message);
    buffer_clear(&payload);
}

static void
pass_time(struct world *w, uint64_t ms)
{
    w->now.monotonic_us += ms * 1000;
    w->now.wall_us += ms * 1000;
    core_tick(w->core, w->now);
    uint64_t next_us = core_flush(w->core, w->now);
    ASSERT(next_us > w->now.monotonic_us);
}

static void
start(struct world *w)
{
    struct core_sink sink = {.context = w, .send = sink_send, .cut = sink_cut, .mail = sink_mail};
    w->core = core_new(&w->options, &sink, w->now);
    ASSERT(w->core);
}

static void
crash(struct world *w)
{
    size_t asked = w->question_count;
    core_destroy(&w->core);
    ASSERT(w->question_count == asked); /* a core that ends asks nothing more */
    for (size_t i = 0; i < w->question_count; i++)
        mail_op_destroy(&w->questions[i]);
    w->question_count = 0;
    for (size_t i = 0; i < SLOTS; i++)
        w->slots[i].number = 0;
    start(w);
}

static void
step(struct world *w)
{
    static const uint64_t steps_ms[] = {1, 5, 100, 500, 1000, 2500, 7000, 61000};
    static const enum status faults[] = {STATUS_OK, STATUS_STORE_FAILED, STATUS_UNKNOWN_OUTCOME,
                                         STATUS_NOMEM};
    uint8_t event = take(w), form = take(w);
    struct slot *slot = &w->slots[event / 16 % SLOTS];
    switch (event % 16) {
    case 0:
        connect_peer(w, slot, form % COUNT(identities));
        break;
    case 1:
        core_disconnected(w->core, slot->number, w->now);
        slot->number = 0;
        break;
    case 2:
    case 3:
    case 4:
        send_mail(w, slot, form);
        break;
    case 5:
        subscribe(w, slot, form);
        break;
    case 6:
    case 7:
        say_receipt(w, slot, form);
        break;
    case 8:
        call(w, slot, form);
        break;
    case 9:
    case 10:
        answer(w, form < 128 ? 1u + form % 4 : QUESTIONS);
        break;
    case 11:
        pass_time(w, steps_ms[form % COUNT(steps_ms)]);
        break;
    case 12:
        slot->answer = form < 100 ? CORE_SENT : form < 220 ? CORE_FULL : CORE_GONE;
        break;
    case 13:
        w->room = form < 100 ? QUESTIONS : form % 3;
        break;
    case 14:
        w->fault = faults[form % COUNT(faults)];
        w->fault_mask = take(w);
        break;
    default:
        if (form > 250)
            crash(w);
        else
            core_flush(w->core, w->now);
    }
}

/* ---- the end */

static bool
has_ended(const struct world *w)
{
    for (size_t i = 0; i < w->row_count; i++)
        if (!w->rows[i].gone && !w->rows[i].dead)
            return false;
    return true;
}

static void
handle_everything(struct world *w)
{
    w->fault = STATUS_OK;
    w->room = QUESTIONS;
    w->acks_all = true;
    pass_time(w, 10); /* what waited for room is asked, so that subscribing is not refused */
    answer(w, QUESTIONS);
    for (size_t i = 0; i < COUNT(identities); i++) {
        connect_peer(w, &w->slots[i], i);
        subscribe(w, &w->slots[i], 4);
    }
    for (size_t round = 0; round < ENDS && !has_ended(w); round++) {
        pass_time(w, round % 4 ? 1 : 900);
        answer(w, QUESTIONS);
        core_flush(w->core, w->now);
        for (size_t i = 0; i < w->ack_count; i++)
            if (slot_of(w, w->acks[i].peer))
                hand_in(w, slot_of(w, w->acks[i].peer),
                        &(struct message){.kind = KIND_ACK, .correlation = w->acks[i].id});
        w->ack_count = 0;
        for (size_t i = 0; i < COUNT(identities); i++) {
            ASSERT(w->slots[i].number != 0);
            hand_in(w, &w->slots[i], &(struct message){.kind = KIND_HEARTBEAT});
        }
        check(w);
    }
    ASSERT(has_ended(w));
}

static void
check_that_nothing_is_left(struct world *w)
{
    for (size_t i = 0; i < SLOTS; i++) {
        core_disconnected(w->core, w->slots[i].number, w->now);
        w->slots[i].number = 0;
    }
    for (int i = 0; i < 4; i++) { /* what failed is asked again; then nobody comes */
        answer(w, QUESTIONS);
        pass_time(w, i < 2 ? 1000 : 61000);
    }
    const struct mail *mail = w->core->mail;
    ASSERT(mail->inboxes.count == 0 && mail->entries.count == 0 && mail->tickets.count == 0);
    ASSERT(w->core->requests.count == 0 && !mail->backlog);
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    ASSERT(sodium_init() >= 0);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = calloc(1, sizeof *w);
    if (!w)
        return 0;
    w->now = (struct now){.monotonic_us = 5000000, .wall_us = 1767225600000000};
    w->at = data;
    w->end = data + size;
    w->room = QUESTIONS;
    w->options = core_options_default();
    w->options.epoch = 1;
    w->options.stream_credit = 4;
    start(w);
    for (size_t i = 0; i < SLOTS; i++)
        connect_peer(w, &w->slots[i], i % COUNT(identities));
    while (w->at < w->end) {
        step(w);
        check(w);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        core_disconnected(w->core, w->slots[i].number, w->now);
        w->slots[i].number = 0;
    }
    handle_everything(w);
    check_that_nothing_is_left(w);
    core_destroy(&w->core);
    for (size_t i = 0; i < w->row_count; i++)
        free((void *)(uintptr_t)w->rows[i].record.data);
    free(w);
    return 0;
}
