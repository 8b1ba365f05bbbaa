/* SPDX-License-Identifier: Apache-2.0 */
/* Random questions in random batches, against a model that is plain arrays: with failing stores,
 * with the mailbox opened anew at any time, with and without room on the disk. */
#include <stdio.h>
#include <stdlib.h>

#include "fixture_mail.h"

enum {
    INBOXES = 4,
    SENDERS = 3,
    SQUADS = 2,
    LETTERS = 64,
    KNOWN = 100000,
    BATCH = 12,
    ROUNDS = 4000,
    INBOX_MAX = 12,
    SENDER_MAX = 20
};

static const char *const inbox_names[INBOXES] = {"agent:a", "agent:ab", "agent:b", "user:u"};
static const char *const sender_names[SENDERS] = {"agent:x", "agent:a", "agent:y"};
static const char *const squad_names[SQUADS] = {"squad:s", "squad:t"};

struct model_letter {
    uint64_t number;
    uint64_t expires_us;
    uint64_t due_us; /* of delayed ones */
    unsigned id;
    unsigned sender;
    unsigned attempts;
};

struct model_list {
    struct model_letter letters[LETTERS];
    size_t count;
};

struct model_inbox {
    struct model_list waiting;
    struct model_list delayed;
    struct model_list dead;
    uint64_t next_number;
    uint64_t next_dead;
};

struct model {
    struct model_inbox inboxes[INBOXES];
    bool members[SQUADS][INBOXES];
    bool known[KNOWN][SENDERS];
    unsigned next_id;
    uint64_t expired;
    bool full;   /* there is no room for the batch under way */
    bool faulty; /* the store fails during it */
    unsigned refused;
};

/* ---- the model */

static void
remove_at(struct model_list *list, size_t index)
{
    memmove(&list->letters[index], &list->letters[index + 1],
            (list->count - index - 1) * sizeof list->letters[0]);
    list->count--;
}

static void
append(struct model_list *list, struct model_letter letter)
{
    assert_true(list->count < LETTERS);
    list->letters[list->count++] = letter;
}

static struct model_letter *
find(struct model_list *list, uint64_t number)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->letters[i].number == number)
            return &list->letters[i];
    return NULL;
}

static size_t
held_by(const struct model_inbox *inbox)
{
    return inbox->waiting.count + inbox->delayed.count + inbox->dead.count;
}

static size_t
count_of(const struct model_list *list, unsigned sender)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += list->letters[i].sender == sender;
    return count;
}

static size_t
sent_by(const struct model *model, unsigned sender)
{
    size_t count = 0;
    for (size_t i = 0; i < INBOXES; i++)
        count += count_of(&model->inboxes[i].waiting, sender) +
                 count_of(&model->inboxes[i].delayed, sender) +
                 count_of(&model->inboxes[i].dead, sender);
    return count;
}

static unsigned
index_of(const char *const *names, unsigned count, struct text name)
{
    for (unsigned i = 0; i < count; i++)
        if (text_equal_string(name, names[i]))
            return i;
    fail();
    return 0;
}

/* What an append must be answered; receivers: whom it goes to. */
static enum status
expect_append(const struct model *model, const struct mail_op *op, unsigned sender,
              bool receivers[INBOXES], size_t *copies)
{
    *copies = 0;
    for (unsigned i = 0; i < INBOXES; i++) {
        receivers[i] = op->squad ? model->members[index_of(squad_names, SQUADS, op->name)][i]
                                 : text_equal_string(op->name, inbox_names[i]);
        *copies += receivers[i];
    }
    if (*copies == 0)
        return STATUS_NOT_FOUND;
    if (sent_by(model, sender) + *copies > SENDER_MAX)
        return STATUS_QUOTA_EXCEEDED;
    for (unsigned i = 0; i < INBOXES; i++)
        if (receivers[i] && held_by(&model->inboxes[i]) + 1 > INBOX_MAX)
            return STATUS_QUOTA_EXCEEDED;
    return STATUS_OK;
}

static void
model_append(struct model *model, const struct mail_op *op, uint64_t wall_us)
{
    unsigned id;
    bool receivers[INBOXES];
    size_t copies;
    memcpy(&id, op->id.bytes, sizeof id);
    unsigned sender = index_of(sender_names, SENDERS, op->source);
    if (model->known[id][sender]) {
        assert_int_equal(op->status, STATUS_OK);
        assert_int_equal(op->count, 0);
        return;
    }
    enum status expected = expect_append(model, op, sender, receivers, &copies);
    if (op->status != expected)
        print_error("append of %u: %s\n", id, op->error.message);
    assert_int_equal(op->status, expected);
    if (op->status != STATUS_OK)
        return;
    assert_int_equal(op->count, copies);
    model->known[id][sender] = true;
    for (unsigned i = 0; i < INBOXES; i++) {
        struct model_inbox *inbox = &model->inboxes[i];
        if (!receivers[i])
            continue;
        struct model_letter letter = {inbox->next_number, op->expires_us, 0, id, sender, 0};
        if (op->due_us > wall_us) {
            bool over = op->expires_us && op->expires_us < op->due_us;
            letter.due_us = over ? op->expires_us : op->due_us;
            append(&inbox->delayed, letter);
        } else {
            append(&inbox->waiting, letter);
        }
        inbox->next_number++;
        assert_int_equal(op->seq, op->squad || op->due_us ? 0 : letter.number);
    }
}

static void
move_dead(struct model_inbox *inbox, size_t index, bool replay)
{
    struct model_letter letter = inbox->dead.letters[index];
    remove_at(&inbox->dead, index);
    if (!replay)
        return;
    letter.number = inbox->next_number++;
    letter.attempts = 0;
    letter.expires_us = 0;
    append(&inbox->waiting, letter);
}

static void
model_dead(struct model_inbox *inbox, const struct mail_op *op, uint64_t asked, size_t dead_before)
{
    bool replay = op->type == MAIL_DEAD_REPLAY;
    if (asked == 0) {
        /* All that were on disk before the batch. */
        size_t moved = op->count;
        assert_true(moved <= inbox->dead.count && moved <= dead_before);
        for (size_t i = 0; i < moved; i++)
            move_dead(inbox, 0, replay);
    } else {
        struct model_letter *letter = find(&inbox->dead, asked);
        assert_int_equal(op->count + op->seq_count, 1);
        if (op->count == 1)
            assert_non_null(letter);
        if (op->count == 1)
            move_dead(inbox, (size_t)(letter - inbox->dead.letters), replay);
    }
    assert_int_equal(op->left, inbox->dead.count);
}

static void
model_settle(struct model_inbox *inbox, const struct mail_op *op)
{
    struct model_letter *letter = find(&inbox->waiting, op->seq);
    if (op->type == MAIL_REMOVE) {
        assert_int_equal(op->status, STATUS_OK);
    } else {
        assert_int_equal(op->status, letter ? STATUS_OK : STATUS_NOT_FOUND);
    }
    if (!letter)
        return;
    if (op->type == MAIL_TRIED) {
        letter->attempts = op->attempts;
        return;
    }
    struct model_letter dead = *letter;
    remove_at(&inbox->waiting, (size_t)(letter - inbox->waiting.letters));
    if (op->type == MAIL_REMOVE)
        return;
    dead.number = inbox->next_dead++;
    dead.attempts = op->attempts;
    append(&inbox->dead, dead);
}

static void
model_member(struct model *model, const struct mail_op *op)
{
    bool *members = model->members[index_of(squad_names, SQUADS, op->name)];
    uint64_t count = 0;
    members[index_of(inbox_names, INBOXES, op->source)] = op->type == MAIL_JOIN;
    for (unsigned i = 0; i < INBOXES; i++)
        count += members[i];
    assert_int_equal(op->status, STATUS_OK);
    assert_int_equal(op->count, count);
}

static void
model_sweep(struct model *model, uint64_t wall_us)
{
    for (unsigned i = 0; i < INBOXES; i++) {
        struct model_inbox *inbox = &model->inboxes[i];
        for (size_t at = inbox->waiting.count; at > 0; at--) {
            const struct model_letter *letter = &inbox->waiting.letters[at - 1];
            if (letter->expires_us && letter->expires_us <= wall_us) {
                remove_at(&inbox->waiting, at - 1);
                model->expired++;
            }
        }
        for (;;) {
            size_t first = inbox->delayed.count;
            for (size_t at = 0; at < inbox->delayed.count; at++) {
                const struct model_letter *letter = &inbox->delayed.letters[at];
                if (letter->due_us <= wall_us &&
                    (first == inbox->delayed.count ||
                     letter->due_us < inbox->delayed.letters[first].due_us))
                    first = at;
            }
            if (first == inbox->delayed.count)
                break;
            struct model_letter letter = inbox->delayed.letters[first];
            remove_at(&inbox->delayed, first);
            if (letter.expires_us && letter.expires_us <= wall_us) {
                model->expired++;
                continue;
            }
            letter.number = inbox->next_number++;
            append(&inbox->waiting, letter);
        }
    }
}

/* ---- comparing */

static const char *
list_text(const struct model_list *list, bool dead, uint64_t wall_us)
{
    static char text[LETTERS * 40];
    int size = 0;
    text[0] = '\0';
    for (size_t i = 0; i < list->count; i++) {
        const struct model_letter *letter = &list->letters[i];
        if (!dead && letter->expires_us && letter->expires_us <= wall_us)
            continue;
        size += sprintf(text + size, "%s%llu:m%u", size ? " " : "",
                        (unsigned long long)letter->number, letter->id);
        if (letter->attempts)
            size += sprintf(text + size, "/%u", letter->attempts);
        if (dead)
            size += sprintf(text + size, "()");
    }
    return text;
}

static void
compare(struct fixture *f, const struct model *model)
{
    for (unsigned i = 0; i < INBOXES; i++) {
        const struct model_inbox *inbox = &model->inboxes[i];
        char figures[64] = "";
        uint64_t wall_us = f->now.wall_us;
        assert_string_equal(inbox_text(f, inbox_names[i]),
                            list_text(&inbox->waiting, false, wall_us));
        assert_string_equal(dead_text(f, inbox_names[i]), list_text(&inbox->dead, true, wall_us));
        size_t bytes = held_by(inbox) * 6; /* every record is "mNNNNN" */
        if (held_by(inbox) > 0)
            snprintf(figures, sizeof figures, "%zu %zu %zu %zu", inbox->waiting.count,
                     inbox->delayed.count, inbox->dead.count, bytes);
        assert_string_equal(figures_text(f, inbox_names[i]), figures);
    }
}

/* ---- chance */

static unsigned
chance(unsigned below)
{
    return (unsigned)random() % below;
}

static struct mail_op *
random_append(struct fixture *f, struct model *model)
{
    char record[16];
    bool squad = chance(4) == 0;
    bool again = chance(5) == 0 && model->next_id > 10000;
    unsigned id =
        again ? model->next_id - 1 - chance(5) % (model->next_id - 10000) : model->next_id++;
    snprintf(record, sizeof record, "m%u", id);
    const char *to = squad ? squad_names[chance(SQUADS)] : inbox_names[chance(INBOXES)];
    struct mail_op *op = send_to(to, sender_names[chance(SENDERS)], id, record);
    op->squad = squad;
    if (chance(5) == 0)
        op->expires_us = f->now.wall_us + 1 + chance(4) * SECOND_US;
    if (chance(5) == 0)
        op->due_us = f->now.wall_us - SECOND_US + chance(5) * (uint64_t)SECOND_US + id;
    return op;
}

/* Nobody knows a number before its message was answered: none of the batch under way. */
static uint64_t
random_number(const struct model_list *list, uint64_t next)
{
    return list->count && chance(6) ? list->letters[chance((unsigned)list->count)].number
                                    : chance(2) * 1000000 + chance((unsigned)next);
}

static struct mail_op *
random_settle(const struct model *model, enum mail_op_type type)
{
    unsigned i = chance(INBOXES);
    const struct model_inbox *inbox = &model->inboxes[i];
    struct mail_op *op =
        numbered(type, inbox_names[i], random_number(&inbox->waiting, inbox->next_number));
    op->attempts = 1 + chance(4);
    return op;
}

static struct mail_op *
random_dead(const struct model *model, enum mail_op_type type)
{
    unsigned i = chance(INBOXES);
    const struct model_inbox *inbox = &model->inboxes[i];
    struct mail_op *op = question(type, inbox_names[i]);
    if (chance(2)) {
        op->seqs = calloc(1, sizeof *op->seqs);
        op->seqs[0] = random_number(&inbox->dead, inbox->next_dead);
        op->seqs[0] += op->seqs[0] == 0;
        op->seq_count = 1;
        op->tag = op->seqs[0];
    }
    return op;
}

static struct mail_op *
random_question(struct fixture *f, struct model *model)
{
    switch (chance(12)) {
    case 0:
        return random_settle(model, MAIL_TRIED);
    case 1:
        return random_settle(model, MAIL_KILL);
    case 2:
        return random_dead(model, MAIL_DEAD_REPLAY);
    case 3:
        return random_dead(model, MAIL_DEAD_DROP);
    case 4:
        return member(chance(3) ? MAIL_JOIN : MAIL_LEAVE, squad_names[chance(SQUADS)],
                      inbox_names[chance(INBOXES)]);
    case 5:
    case 6:
    case 7:
        return random_settle(model, MAIL_REMOVE);
    default:
        return random_append(f, model);
    }
}

static void
apply(struct model *model, const struct mail_op *op, uint64_t wall_us,
      const size_t dead_before[INBOXES])
{
    bool shrinks = op->type == MAIL_REMOVE || op->type == MAIL_DEAD_DROP;
    if (op->status == STATUS_STORE_FAILED) {
        assert_true(model->faulty || (model->full && !shrinks));
        assert_string_equal(op->error.word,
                            model->full && !shrinks ? "storage_full" : "storage_failed");
        model->refused++;
        return;
    }
    assert_true(!model->full || shrinks);
    if (op->type == MAIL_APPEND) {
        model_append(model, op, wall_us);
    } else if (op->type == MAIL_JOIN || op->type == MAIL_LEAVE) {
        model_member(model, op);
    } else {
        unsigned i = index_of(inbox_names, INBOXES, op->name);
        if (op->type == MAIL_DEAD_REPLAY || op->type == MAIL_DEAD_DROP) {
            assert_int_equal(op->status, STATUS_OK);
            model_dead(&model->inboxes[i], op, op->tag, dead_before[i]);
        } else {
            model_settle(&model->inboxes[i], op);
        }
    }
}

static void
run_batch(struct fixture *f, struct model *model)
{
    struct mail_op *first = NULL;
    struct mail_op **end = &first;
    size_t dead_before[INBOXES];
    for (unsigned i = 0; i < INBOXES; i++)
        dead_before[i] = model->inboxes[i].dead.count;
    for (unsigned i = chance(BATCH) + 1; i > 0; i--) {
        *end = random_question(f, model);
        end = &(*end)->next;
    }
    model->faulty = chance(4) == 0;
    model->full = chance(8) == 0;
    if (model->faulty)
        store_fault_after(f->store, (int)chance(20));
    store_pretend_room(f->store, model->full ? 60 << 20 : 1 << 30, 2u << 30);
    drop_arrived(f);
    mailbox_run(f->mailbox, first, &f->arrived, f->now);
    store_fault_after(f->store, -1);
    store_pretend_room(f->store, 1 << 30, 2u << 30);
    while (first) {
        struct mail_op *next = first->next;
        apply(model, first, f->now.wall_us, dead_before);
        drop_op(first);
        first = next;
    }
}

static void
sweep(struct fixture *f, struct model *model)
{
    advance(f, chance(3) * (uint64_t)SECOND_US);
    if (chance(3) == 0) {
        store_fault_after(f->store, (int)chance(6));
        mailbox_sweep(f->mailbox, &f->arrived, f->now, NULL);
        store_fault_after(f->store, -1);
    }
    assert_int_equal(mailbox_sweep(f->mailbox, &f->arrived, f->now, &f->error), STATUS_OK);
    model_sweep(model, f->now.wall_us);
}

static void
play(struct fixture *f, int rounds, unsigned reopened)
{
    struct model *model = calloc(1, sizeof *model);
    const char *seed = getenv("SOS_TEST_SEED");
    unsigned number = seed ? (unsigned)strtoul(seed, NULL, 10) : 1;
    srandom(number);
    model->next_id = 10000;
    for (unsigned i = 0; i < INBOXES; i++)
        model->inboxes[i].next_number = model->inboxes[i].next_dead = 1;
    f->limits.inbox_max = INBOX_MAX;
    f->limits.sender_max = SENDER_MAX;
    f->limits.dedup_ms = 1000000000;
    f->limits.dedup_max = KNOWN;
    reopen(f);
    store_set_reserve(f->store, 64 << 20);
    for (int round = 0; round < rounds; round++) {
        run_batch(f, model);
        if (chance(4) == 0)
            sweep(f, model);
        if (chance(reopened) == 0)
            reopen(f);
        compare(f, model);
    }
    assert_true(model->expired > (uint64_t)rounds / 40);
    assert_true(model->refused > (unsigned)rounds / 40);
    assert_true(model->next_id < KNOWN);
    free(model);
}

static void
whatever_happens_the_mailbox_is_as_the_model(void **state)
{
    play(*state, ROUNDS, 20);
}

static void
opened_anew_after_every_step_it_is_too(void **state)
{
    play(*state, ROUNDS / 8, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(whatever_happens_the_mailbox_is_as_the_model),
        TEST(opened_anew_after_every_step_it_is_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
