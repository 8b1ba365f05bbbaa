/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "fixture_mail.h"
#include "kernel/message.h"
#include "kernel/pack.h"

static void
mail_is_kept_and_read_in_order(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(sent(f, "agent:a", "agent:x", 1, "one"), 1);
    assert_int_equal(sent(f, "agent:a", "agent:y", 1, "two"), 2);
    assert_int_equal(sent(f, "agent:b", "agent:x", 2, "three"), 1);

    assert_string_equal(inbox_text(f, "agent:a"), "1:one 2:two");
    assert_string_equal(inbox_text(f, "agent:b"), "1:three");
    assert_string_equal(inbox_text(f, "agent:c"), "");
    assert_string_equal(figures_text(f, "agent:a"), "2 0 0 6");
    reopen(f);
    assert_string_equal(inbox_text(f, "agent:a"), "1:one 2:two");
    assert_string_equal(figures_text(f, "agent:a"), "2 0 0 6");
    assert_int_equal(sent(f, "agent:a", "agent:x", 3, "more"), 3);
}

static void
one_inbox_does_not_show_in_another_that_its_name_begins_with(void **state)
{
    struct fixture *f = *state;
    sent(f, "agent:a", "agent:x", 1, "one");
    sent(f, "agent:ab", "agent:x", 2, "two");
    assert_string_equal(inbox_text(f, "agent:a"), "1:one");
    assert_string_equal(inbox_text(f, "agent:ab"), "1:two");
}

static void
reading_is_bounded_in_number_and_bytes(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 1; i <= 5; i++)
        sent(f, "agent:a", "agent:x", i, "12345");

    struct mail_op *op = numbered(MAIL_READ, "agent:a", 1);
    op->limit = 2;
    run(f, op, NULL);
    assert_int_equal(op->row_count, 2);
    assert_int_equal(op->rows[0].seq, 2);
    assert_true(op->more);
    drop_op(op);

    op = question(MAIL_READ, "agent:a");
    op->bytes_max = 3; /* at least one */
    run(f, op, NULL);
    assert_int_equal(op->row_count, 1);
    assert_true(op->more);
    drop_op(op);

    op = numbered(MAIL_READ, "agent:a", 3);
    op->limit = 2;
    run(f, op, NULL);
    assert_int_equal(op->row_count, 2);
    assert_false(op->more);
    assert_int_equal(op->rows[1].seq, 5);
    assert_int_equal(op->rows[1].kept_us, f->now.wall_us);
    drop_op(op);

    assert_int_equal(ask(f, numbered(MAIL_READ_ONE, "agent:a", 6)), STATUS_NOT_FOUND);
    assert_int_equal(ask(f, numbered(MAIL_READ_ONE, "agent:b", 1)), STATUS_NOT_FOUND);
    op = numbered(MAIL_READ_ONE, "agent:a", 4);
    run(f, op, NULL);
    assert_int_equal(op->row_count, 1);
    assert_int_equal(op->rows[0].seq, 4);
    drop_op(op);
}

static void
reading_sees_the_whole_batch(void **state)
{
    struct fixture *f = *state;
    struct mail_op *read = question(MAIL_READ, "agent:a");
    struct mail_op *send = send_to("agent:a", "agent:x", 1, "one");
    run(f, read, send, NULL);
    assert_int_equal(send->status, STATUS_OK);
    assert_int_equal(send->seq, 1);
    assert_int_equal(read->row_count, 1);
    drop_op(read);
    drop_op(send);
}

static void
a_removed_message_is_gone_and_removing_it_again_is_fine(void **state)
{
    struct fixture *f = *state;
    sent(f, "agent:a", "agent:x", 1, "one");
    sent(f, "agent:a", "agent:x", 2, "two");

    struct mail_op *first = numbered(MAIL_REMOVE, "agent:a", 1);
    struct mail_op *again = numbered(MAIL_REMOVE, "agent:a", 1);
    struct mail_op *tried = numbered(MAIL_TRIED, "agent:a", 1);
    struct mail_op *kill = numbered(MAIL_KILL, "agent:a", 1);
    run(f, first, again, tried, kill, NULL);
    assert_int_equal(first->status, STATUS_OK);
    assert_int_equal(again->status, STATUS_OK);
    assert_int_equal(tried->status, STATUS_NOT_FOUND);
    assert_int_equal(kill->status, STATUS_NOT_FOUND);
    drop_op(first), drop_op(again), drop_op(tried), drop_op(kill);

    assert_string_equal(inbox_text(f, "agent:a"), "2:two");
    assert_string_equal(figures_text(f, "agent:a"), "1 0 0 3");
    assert_int_equal(ask(f, numbered(MAIL_REMOVE, "agent:a", 1)), STATUS_OK);
    assert_int_equal(ask(f, numbered(MAIL_REMOVE, "agent:nobody", 1)), STATUS_OK);
    assert_string_equal(figures_text(f, "agent:a"), "1 0 0 3");
    assert_int_equal(ask(f, numbered(MAIL_REMOVE, "agent:a", 2)), STATUS_OK);
    assert_string_equal(figures_text(f, "agent:a"), "");
    reopen(f);
    assert_string_equal(inbox_text(f, "agent:a"), "");
    assert_int_equal(sent(f, "agent:a", "agent:x", 3, "three"), 3);
}

static void
numbers_are_never_used_again_after_a_hole(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 1; i <= 6; i++)
        sent(f, "agent:a", "agent:x", i, "m");
    done(f, numbered(MAIL_REMOVE, "agent:a", 1));
    done(f, numbered(MAIL_REMOVE, "agent:a", 3));
    done(f, numbered(MAIL_REMOVE, "agent:a", 2));
    assert_string_equal(inbox_text(f, "agent:a"), "4:m 5:m 6:m");
    done(f, numbered(MAIL_REMOVE, "agent:a", 4));
    assert_string_equal(inbox_text(f, "agent:a"), "5:m 6:m");
    reopen(f);
    assert_string_equal(inbox_text(f, "agent:a"), "5:m 6:m");
    done(f, numbered(MAIL_REMOVE, "agent:a", 6));
    done(f, numbered(MAIL_REMOVE, "agent:a", 5));
    assert_int_equal(sent(f, "agent:a", "agent:x", 7, "m"), 7);
    assert_string_equal(inbox_text(f, "agent:a"), "7:m");
}

static void
attempts_are_kept_and_the_last_one_makes_a_dead_letter(void **state)
{
    struct fixture *f = *state;
    sent(f, "agent:a", "agent:x", 1, "one");
    struct mail_op *op = numbered(MAIL_TRIED, "agent:a", 1);
    op->attempts = 3;
    done(f, op);
    reopen(f);
    assert_string_equal(inbox_text(f, "agent:a"), "1:one/3");

    advance(f, SECOND_US);
    op = mail_op_new(MAIL_KILL, text_of("agent:a"), text_of(""), text_of("bad payload"),
                     (struct bytes){NULL, 0});
    op->seq = 1;
    op->attempts = 4;
    done(f, op);
    assert_string_equal(inbox_text(f, "agent:a"), "");
    assert_string_equal(dead_text(f, "agent:a"), "1:one/4(bad payload)");
    assert_string_equal(figures_text(f, "agent:a"), "0 0 1 3");
    reopen(f);
    op = question(MAIL_DEAD_READ, "agent:a");
    run(f, op, NULL);
    assert_int_equal(op->count, 1);
    assert_int_equal(op->rows[0].kept_us, f->now.wall_us);
    drop_op(op);
}

static void
kill(struct fixture *f, const char *inbox, uint64_t number)
{
    struct mail_op *op = numbered(MAIL_KILL, inbox, number);
    op->attempts = 4;
    done(f, op);
}

static void
dead_letters_are_replayed_or_dropped_by_name(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 1; i <= 4; i++)
        sent(f, "agent:a", "agent:x", i, "m");
    for (unsigned i = 1; i <= 4; i++)
        kill(f, "agent:a", i);

    struct mail_op *op = question(MAIL_DEAD_REPLAY, "agent:a");
    op->seqs = calloc(4, sizeof *op->seqs);
    memcpy(op->seqs, (uint64_t[]){9, 2, 3, 2}, 4 * sizeof *op->seqs);
    op->seq_count = 4;
    run(f, op, NULL);
    assert_int_equal(op->status, STATUS_OK);
    assert_int_equal(op->count, 2);
    assert_int_equal(op->left, 2);
    assert_int_equal(op->seq_count, 2);
    assert_int_equal(op->seqs[0], 9);
    assert_int_equal(op->seqs[1], 2);
    assert_int_equal(arrived_count(f), 2);
    assert_int_equal(f->arrived->type, MAIL_ARRIVED);
    assert_int_equal(f->arrived->seq, 5);
    assert_true(text_equal_string(f->arrived->name, "agent:a"));
    drop_op(op);
    assert_string_equal(inbox_text(f, "agent:a"), "5:m 6:m");
    assert_string_equal(dead_text(f, "agent:a"), "1:m/4() 4:m/4()");

    op = question(MAIL_DEAD_DROP, "agent:a");
    op->seqs = calloc(1, sizeof *op->seqs);
    op->seqs[0] = 4;
    op->seq_count = 1;
    assert_int_equal(done(f, op), 1);
    reopen(f);
    assert_string_equal(dead_text(f, "agent:a"), "1:m/4()");
    assert_string_equal(figures_text(f, "agent:a"), "2 0 1 3");
}

static void
all_dead_letters_go_step_by_step(void **state)
{
    struct fixture *f = *state;
    f->limits.inbox_max = 5000;
    f->limits.sender_max = 5000;
    reopen(f);
    for (unsigned i = 1; i <= 1500; i++) {
        sent(f, "agent:a", "agent:x", i, "m");
        kill(f, "agent:a", i);
    }
    struct mail_op *op = question(MAIL_DEAD_DROP, "agent:a");
    run(f, op, NULL);
    assert_int_equal(op->count, 1024);
    assert_int_equal(op->left, 476);
    drop_op(op);
    op = question(MAIL_DEAD_REPLAY, "agent:a");
    run(f, op, NULL);
    assert_int_equal(op->count, 476);
    assert_int_equal(op->left, 0);
    assert_int_equal(arrived_count(f), 476);
    drop_op(op);
    assert_string_equal(figures_text(f, "agent:a"), "476 0 0 476");
    assert_int_equal(done(f, question(MAIL_DEAD_DROP, "agent:a")), 0);
    assert_int_equal(done(f, question(MAIL_DEAD_DROP, "agent:nobody")), 0);
}

static void
the_same_message_is_kept_once(void **state)
{
    struct fixture *f = *state;
    sent(f, "agent:a", "agent:x", 1, "one");
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 1, "one")), 0);
    assert_int_equal(done(f, send_to("agent:b", "agent:x", 1, "one")), 0);
    assert_int_equal(done(f, send_to("agent:a", "agent:y", 1, "other sender")), 1);

    struct mail_op *first = send_to("agent:a", "agent:x", 2, "two");
    struct mail_op *again = send_to("agent:a", "agent:x", 2, "two");
    run(f, first, again, NULL);
    assert_int_equal(first->count, 1);
    assert_int_equal(again->status, STATUS_OK);
    assert_int_equal(again->count, 0);
    drop_op(first), drop_op(again);

    reopen(f);
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 1, "one")), 0);
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 2, "two")), 0);
    assert_string_equal(inbox_text(f, "agent:a"), "1:one 2:other sender 3:two");
    done(f, numbered(MAIL_REMOVE, "agent:a", 1));
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 1, "one")), 0);
}

static void
ids_are_forgotten_with_time_and_number(void **state)
{
    struct fixture *f = *state;
    sent(f, "agent:a", "agent:x", 1, "one");
    advance(f, 119 * (uint64_t)SECOND_US);
    reopen(f);
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 1, "one")), 0);
    advance(f, 2 * SECOND_US);
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 1, "one")), 1);
    advance(f, 119 * (uint64_t)SECOND_US);
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 1, "one")), 0);

    for (unsigned i = 0; i < 1024; i++) {
        done(f, send_to("agent:b", "agent:y", 100 + i, "m"));
        done(f, numbered(MAIL_REMOVE, "agent:b", i + 1));
    }
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 1, "one")), 1);
    reopen(f);
    assert_int_equal(done(f, send_to("agent:b", "agent:y", 1100, "m")), 0);
}

static void
a_clock_that_was_set_back_forgets_nothing(void **state)
{
    struct fixture *f = *state;
    sent(f, "agent:a", "agent:x", 1, "one");
    f->now.wall_us -= 3600 * (uint64_t)SECOND_US;
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 1, "one")), 0);
    reopen(f);
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 1, "one")), 0);
}

static void
rows_of_forgotten_ids_are_deleted_when_nothing_else_happens(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 1; i <= 200; i++)
        sent(f, i % 2 ? "agent:a" : "agent:b", "agent:x", i, "m");
    assert_true(mailbox_due_us(f->mailbox, f->now) > f->now.monotonic_us);
    advance(f, 240 * (uint64_t)SECOND_US);
    uint64_t before = store_size(f->store);
    for (int i = 0; i < 10 && mailbox_due_us(f->mailbox, f->now) <= f->now.monotonic_us; i++)
        assert_int_equal(mailbox_sweep(f->mailbox, &f->arrived, f->now, &f->error), STATUS_OK);
    assert_true(mailbox_due_us(f->mailbox, f->now) == UINT64_MAX);
    assert_int_equal(before - store_size(f->store), 200 * (1 + 8 + 1 + 8 + 16));
    reopen(f);
    assert_string_equal(figures_text(f, "agent:a"), "100 0 0 100");
}

static void
limits_of_an_inbox_count_dead_letters(void **state)
{
    struct fixture *f = *state;
    f->limits.inbox_max = 3;
    reopen(f);
    for (unsigned i = 1; i <= 3; i++)
        sent(f, "agent:a", "agent:x", i, "m");
    kill(f, "agent:a", 1);
    assert_int_equal(ask(f, send_to("agent:a", "agent:x", 9, "m")), STATUS_QUOTA_EXCEEDED);
    assert_string_equal(f->error.word, "inbox_full");
    assert_int_equal(ask(f, send_to("agent:b", "agent:x", 9, "m")), STATUS_OK);
    done(f, question(MAIL_DEAD_DROP, "agent:a"));
    assert_int_equal(ask(f, send_to("agent:a", "agent:x", 10, "m")), STATUS_OK);

    f->limits.inbox_bytes_max = 4;
    reopen(f);
    assert_int_equal(ask(f, send_to("agent:c", "agent:x", 11, "12345")), STATUS_QUOTA_EXCEEDED);
    assert_string_equal(f->error.word, "inbox_full");
    assert_int_equal(ask(f, send_to("agent:c", "agent:x", 12, "1234")), STATUS_OK);
    assert_string_equal(figures_text(f, "agent:c"), "1 0 0 4");
}

static void
limits_of_a_sender_count_all_inboxes(void **state)
{
    struct fixture *f = *state;
    f->limits.sender_max = 2;
    reopen(f);
    sent(f, "agent:a", "agent:x", 1, "m");
    struct mail_op *op = send_to("agent:b", "agent:x", 2, "m");
    op->due_us = f->now.wall_us + SECOND_US;
    done(f, op);
    assert_int_equal(ask(f, send_to("agent:c", "agent:x", 3, "m")), STATUS_QUOTA_EXCEEDED);
    assert_string_equal(f->error.word, "sender_quota");
    assert_int_equal(ask(f, send_to("agent:c", "agent:y", 3, "m")), STATUS_OK);
    done(f, numbered(MAIL_REMOVE, "agent:a", 1));
    reopen(f);
    assert_int_equal(ask(f, send_to("agent:c", "agent:x", 3, "m")), STATUS_OK);
    assert_int_equal(ask(f, send_to("agent:c", "agent:x", 4, "m")), STATUS_QUOTA_EXCEEDED);

    f->limits.sender_bytes_max = 3;
    f->limits.sender_max = 100;
    reopen(f);
    assert_int_equal(ask(f, send_to("agent:c", "agent:x", 5, "12")), STATUS_QUOTA_EXCEEDED);
    assert_int_equal(ask(f, send_to("agent:c", "agent:x", 5, "1")), STATUS_OK);
}

static void
a_refused_message_is_not_known(void **state)
{
    struct fixture *f = *state;
    f->limits.inbox_max = 1;
    reopen(f);
    sent(f, "agent:a", "agent:x", 1, "m");
    assert_int_equal(ask(f, send_to("agent:a", "agent:x", 2, "n")), STATUS_QUOTA_EXCEEDED);
    done(f, numbered(MAIL_REMOVE, "agent:a", 1));
    assert_int_equal(done(f, send_to("agent:a", "agent:x", 2, "n")), 1);
}

static void
what_is_not_well_formed_is_refused(void **state)
{
    struct fixture *f = *state;
    char name[300];
    memset(name, 'a', sizeof name);
    name[256] = '\0';
    assert_int_equal(ask(f, send_to(name, "agent:x", 1, "m")), STATUS_INVALID);
    assert_string_equal(f->error.word, "not_an_inbox");
    assert_int_equal(ask(f, send_to("", "agent:x", 1, "m")), STATUS_INVALID);
    assert_int_equal(ask(f, send_to("agent:a", name, 1, "m")), STATUS_INVALID);
    assert_int_equal(ask(f, send_to("agent:a", "agent:x", 1, "")), STATUS_TOO_LARGE);
    struct mail_op *op = mail_op_new(MAIL_APPEND, (struct text){"a\0b", 3}, text_of("agent:x"),
                                     text_of(""), bytes_of("m"));
    assert_int_equal(ask(f, op), STATUS_INVALID);
    name[255] = '\0';
    assert_int_equal(sent(f, name, name, 1, "m"), 1);
    assert_string_equal(inbox_text(f, name), "1:m");
    done(f, numbered(MAIL_REMOVE, name, 1));

    uint8_t *large = calloc(1, RECORD_SIZE_MAX + 1);
    op = mail_op_new(MAIL_APPEND, text_of("agent:a"), text_of("agent:x"), text_of(""),
                     (struct bytes){large, RECORD_SIZE_MAX + 1});
    assert_int_equal(ask(f, op), STATUS_TOO_LARGE);
    free(large);
    assert_string_equal(figures_text(f, "*"), "");
}

/* ---- squads */

static void
a_squad_gets_a_copy_each_or_none(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(ask(f, send_to_squad("squad:s", "agent:x", 1, "m")), STATUS_NOT_FOUND);
    assert_string_equal(f->error.word, "squad_empty");
    assert_int_equal(done(f, member(MAIL_JOIN, "squad:s", "agent:b")), 1);
    assert_int_equal(done(f, member(MAIL_JOIN, "squad:s", "agent:a")), 2);
    assert_int_equal(done(f, member(MAIL_JOIN, "squad:s", "agent:a")), 2);

    struct mail_op *op = send_to_squad("squad:s", "agent:x", 1, "m");
    run(f, op, NULL);
    assert_int_equal(op->count, 2);
    assert_int_equal(op->seq, 0);
    assert_int_equal(arrived_count(f), 2);
    assert_true(text_equal_string(f->arrived->name, "agent:a"));
    assert_int_equal(f->arrived->seq, 1);
    drop_op(op);
    assert_string_equal(inbox_text(f, "agent:a"), "1:m");
    assert_string_equal(inbox_text(f, "agent:b"), "1:m");
    assert_int_equal(done(f, send_to_squad("squad:s", "agent:x", 1, "m")), 0);

    f->limits.inbox_max = 2;
    reopen(f);
    sent(f, "agent:b", "agent:x", 2, "n");
    assert_int_equal(ask(f, send_to_squad("squad:s", "agent:x", 3, "o")), STATUS_QUOTA_EXCEEDED);
    assert_string_equal(f->error.word, "inbox_full");
    assert_string_equal(inbox_text(f, "agent:a"), "1:m");
    assert_int_equal(arrived_count(f), 0);
    assert_int_equal(done(f, member(MAIL_LEAVE, "squad:s", "agent:b")), 1);
    assert_int_equal(done(f, send_to_squad("squad:s", "agent:x", 3, "o")), 1);
    assert_int_equal(done(f, member(MAIL_LEAVE, "squad:s", "agent:a")), 0);
    assert_int_equal(done(f, member(MAIL_LEAVE, "squad:s", "agent:a")), 0);
    reopen(f);
    assert_int_equal(ask(f, send_to_squad("squad:s", "agent:x", 4, "p")), STATUS_NOT_FOUND);
}

static void
joining_counts_within_the_batch(void **state)
{
    struct fixture *f = *state;
    struct mail_op *join = member(MAIL_JOIN, "squad:s", "agent:a");
    struct mail_op *send = send_to_squad("squad:s", "agent:x", 1, "m");
    struct mail_op *leave = member(MAIL_LEAVE, "squad:s", "agent:a");
    struct mail_op *late = send_to_squad("squad:s", "agent:x", 2, "n");
    struct mail_op *members = question(MAIL_MEMBERS, "squad:s");
    run(f, join, send, leave, late, members, NULL);
    assert_int_equal(join->count, 1);
    assert_int_equal(send->count, 1);
    assert_int_equal(leave->count, 0);
    assert_int_equal(late->status, STATUS_NOT_FOUND);
    assert_int_equal(members->count, 0);
    drop_op(join), drop_op(send), drop_op(leave), drop_op(late), drop_op(members);
    assert_string_equal(inbox_text(f, "agent:a"), "1:m");
}

static void
members_are_listed_and_limited(void **state)
{
    struct fixture *f = *state;
    char name[32];
    for (unsigned i = 0; i < MAIL_SQUAD_MAX; i++) {
        snprintf(name, sizeof name, "agent:%04u", (i * 7919) % MAIL_SQUAD_MAX);
        assert_int_equal(done(f, member(MAIL_JOIN, "squad:s", name)), i + 1);
    }
    assert_int_equal(ask(f, member(MAIL_JOIN, "squad:s", "agent:late")), STATUS_QUOTA_EXCEEDED);
    assert_string_equal(f->error.word, "squad_full");
    reopen(f);
    struct mail_op *op = question(MAIL_MEMBERS, "squad:s");
    run(f, op, NULL);
    assert_int_equal(op->count, MAIL_SQUAD_MAX);
    struct reader reader = reader_of(buffer_bytes(&op->out));
    struct value value;
    assert_true(reader_next(&reader, &value));
    assert_int_equal(value.as.count, MAIL_SQUAD_MAX);
    for (unsigned i = 0; i < MAIL_SQUAD_MAX; i++) {
        snprintf(name, sizeof name, "agent:%04u", i);
        assert_true(reader_next(&reader, &value));
        assert_true(text_equal_string(value.as.text, name));
    }
    drop_op(op);

    for (unsigned i = 0; i < 1024; i++) {
        snprintf(name, sizeof name, "squad:%u", i);
        done(f, member(MAIL_JOIN, name, "agent:eager"));
    }
    assert_int_equal(ask(f, member(MAIL_JOIN, "squad:one-more", "agent:eager")),
                     STATUS_QUOTA_EXCEEDED);
}

/* ---- working memory */

static void
push(struct fixture *f, uint64_t number, uint64_t expected)
{
    struct buffer item;
    buffer_init(&item);
    pack_uint(&item, number);
    struct mail_op *op = mail_op_new(MAIL_MEMORY_PUSH, text_of("agent:a"), text_of(""), text_of(""),
                                     buffer_bytes(&item));
    assert_int_equal(done(f, op), expected);
    buffer_clear(&item);
}

static void
working_memory_keeps_the_last_fifty(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 1; i <= 120; i++) {
        push(f, i, i < 50 ? i : 50);
        if (i % 40 == 0)
            reopen(f);
    }
    struct mail_op *op = question(MAIL_MEMORY_RECALL, "agent:a");
    run(f, op, NULL);
    struct reader reader = reader_of(buffer_bytes(&op->out));
    struct value value;
    assert_true(reader_next(&reader, &value));
    assert_int_equal(value.as.count, 50);
    for (unsigned i = 0; i < 50; i++) {
        struct bytes rest = {reader.at, 0};
        uint64_t item;
        uint64_t at;
        assert_true(reader_skip(&reader));
        rest.size = (size_t)(reader.at - rest.data);
        assert_true(value_parse(rest, &value));
        assert_true(value_find_uint(&value, "item", &item));
        assert_true(value_find_uint(&value, "at", &at));
        assert_int_equal(item, 120 - i);
        assert_int_equal(at, f->now.wall_us);
    }
    drop_op(op);
    op = question(MAIL_MEMORY_RECALL, "agent:a");
    op->limit = 3;
    assert_int_equal(done(f, op), 3);
    assert_int_equal(done(f, question(MAIL_MEMORY_RECALL, "agent:nobody")), 0);
}

static void
an_item_that_is_no_value_or_too_large_is_refused(void **state)
{
    struct fixture *f = *state;
    struct buffer item;
    buffer_init(&item);
    for (int i = 0; i < MAIL_MEMORY_ITEM_MAX; i++)
        buffer_append_byte(&item, 'x');
    struct buffer packed;
    buffer_init(&packed);
    pack_text(&packed, buffer_text(&item));
    struct mail_op *op = mail_op_new(MAIL_MEMORY_PUSH, text_of("agent:a"), text_of(""), text_of(""),
                                     buffer_bytes(&packed));
    assert_int_equal(ask(f, op), STATUS_TOO_LARGE);
    op = mail_op_new(MAIL_MEMORY_PUSH, text_of("agent:a"), text_of(""), text_of(""),
                     bytes_of("\x92\x01"));
    assert_int_equal(ask(f, op), STATUS_INVALID);
    op = question(MAIL_MEMORY_PUSH, "agent:a");
    assert_int_equal(ask(f, op), STATUS_INVALID);
    buffer_clear(&item);
    buffer_clear(&packed);
}

static void
inboxes_are_listed_by_pattern(void **state)
{
    struct fixture *f = *state;
    sent(f, "agent:b", "agent:x", 1, "m");
    sent(f, "agent:a", "agent:x", 2, "m");
    sent(f, "user:c", "agent:x", 3, "m");
    assert_int_equal(done(f, question(MAIL_FIGURES, "*")), 3);
    assert_int_equal(done(f, question(MAIL_FIGURES, "agent:*")), 2);
    assert_int_equal(done(f, question(MAIL_FIGURES, "*c")), 1);
    assert_int_equal(done(f, question(MAIL_FIGURES, "agent:[b]")), 1);
    assert_int_equal(done(f, question(MAIL_FIGURES, "agent:")), 0);
    struct mail_op *op = question(MAIL_FIGURES, "*");
    op->limit = 2;
    run(f, op, NULL);
    assert_int_equal(op->count, 2);
    assert_true(op->more);
    drop_op(op);
}

static void
a_checkpoint_needs_files(void **state)
{
    struct fixture *f = *state;
    struct mail_op *op = mail_op_new(MAIL_CHECKPOINT, text_of(""), text_of(""),
                                     text_of("/nowhere/at/all"), (struct bytes){NULL, 0});
    assert_int_equal(ask(f, op), STATUS_NOT_IMPLEMENTED);
}

static void
names_that_hold_nothing_are_forgotten_but_their_numbers_are_not(void **state)
{
    struct fixture *f = *state;
    char name[32];
    sent(f, "agent:first", "agent:x", 1, "m");
    sent(f, "agent:first", "agent:x", 2, "m");
    done(f, numbered(MAIL_REMOVE, "agent:first", 1));
    done(f, numbered(MAIL_REMOVE, "agent:first", 2));
    for (unsigned i = 0; i < 16384 + 1024; i++) {
        snprintf(name, sizeof name, "agent:%u", i);
        struct mail_op *send = send_to(name, "agent:x", i + 10, "m");
        struct mail_op *drop = numbered(MAIL_REMOVE, name, 1);
        run(f, send, NULL);
        run(f, drop, NULL);
        drop_op(send), drop_op(drop);
    }
    size_t before = mailbox_figures(f->mailbox).inboxes;
    assert_true(mailbox_due_us(f->mailbox, f->now) <= f->now.monotonic_us);
    assert_int_equal(mailbox_sweep(f->mailbox, &f->arrived, f->now, &f->error), STATUS_OK);
    assert_int_equal(mailbox_figures(f->mailbox).inboxes, before - 1024);
    reopen(f);
    assert_int_equal(mailbox_figures(f->mailbox).inboxes, before - 1024);
    assert_int_equal(sent(f, "agent:first", "agent:x", 3, "m"), 4);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(mail_is_kept_and_read_in_order),
        TEST(one_inbox_does_not_show_in_another_that_its_name_begins_with),
        TEST(reading_is_bounded_in_number_and_bytes),
        TEST(reading_sees_the_whole_batch),
        TEST(a_removed_message_is_gone_and_removing_it_again_is_fine),
        TEST(numbers_are_never_used_again_after_a_hole),
        TEST(attempts_are_kept_and_the_last_one_makes_a_dead_letter),
        TEST(dead_letters_are_replayed_or_dropped_by_name),
        TEST(all_dead_letters_go_step_by_step),
        TEST(the_same_message_is_kept_once),
        TEST(ids_are_forgotten_with_time_and_number),
        TEST(a_clock_that_was_set_back_forgets_nothing),
        TEST(rows_of_forgotten_ids_are_deleted_when_nothing_else_happens),
        TEST(limits_of_an_inbox_count_dead_letters),
        TEST(limits_of_a_sender_count_all_inboxes),
        TEST(a_refused_message_is_not_known),
        TEST(what_is_not_well_formed_is_refused),
        TEST(a_squad_gets_a_copy_each_or_none),
        TEST(joining_counts_within_the_batch),
        TEST(members_are_listed_and_limited),
        TEST(working_memory_keeps_the_last_fifty),
        TEST(an_item_that_is_no_value_or_too_large_is_refused),
        TEST(inboxes_are_listed_by_pattern),
        TEST(a_checkpoint_needs_files),
        TEST(names_that_hold_nothing_are_forgotten_but_their_numbers_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
