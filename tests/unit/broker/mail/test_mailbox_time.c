/* SPDX-License-Identifier: Apache-2.0 */
/* Delayed mail, mail that expires, and when the mailbox wants to be swept. */
#include "fixture_mail.h"

static struct mail_op *
delayed(struct fixture *f, const char *to, unsigned id, const char *record, uint64_t in_us)
{
    struct mail_op *op = send_to(to, "agent:x", id, record);
    op->due_us = f->now.wall_us + in_us;
    return op;
}

static struct mail_op *
expiring(struct fixture *f, const char *to, unsigned id, const char *record, uint64_t in_us)
{
    struct mail_op *op = send_to(to, "agent:x", id, record);
    op->expires_us = f->now.wall_us + in_us;
    return op;
}

static void
sweep(struct fixture *f)
{
    drop_arrived(f);
    enum status status = mailbox_sweep(f->mailbox, &f->arrived, f->now, &f->error);
    if (status != STATUS_OK)
        print_error("%s\n", f->error.message);
    assert_int_equal(status, STATUS_OK);
}

static bool
is_due(struct fixture *f)
{
    return mailbox_due_us(f->mailbox, f->now) <= f->now.monotonic_us;
}

static void
delayed_mail_arrives_when_it_is_due_and_counts_before(void **state)
{
    struct fixture *f = *state;
    struct mail_op *op = delayed(f, "agent:a", 1, "late", 10 * SECOND_US);
    run(f, op, NULL);
    assert_int_equal(op->count, 1);
    assert_int_equal(op->seq, 0);
    assert_int_equal(arrived_count(f), 0);
    drop_op(op);
    sent(f, "agent:a", "agent:x", 2, "now");
    assert_string_equal(figures_text(f, "agent:a"), "1 1 0 7");
    assert_int_equal(mailbox_due_us(f->mailbox, f->now), f->now.monotonic_us + 10 * SECOND_US);
    reopen(f);
    assert_int_equal(mailbox_due_us(f->mailbox, f->now), f->now.monotonic_us + 10 * SECOND_US);

    advance(f, 10 * SECOND_US - 1);
    assert_false(is_due(f));
    sweep(f);
    assert_int_equal(arrived_count(f), 0);
    advance(f, 1);
    assert_true(is_due(f));
    sweep(f);
    assert_int_equal(arrived_count(f), 1);
    assert_int_equal(f->arrived->seq, 3); /* behind what came meanwhile */
    assert_true(text_equal_string(f->arrived->name, "agent:a"));
    assert_string_equal(inbox_text(f, "agent:a"), "2:now 3:late");
    assert_string_equal(figures_text(f, "agent:a"), "2 0 0 7");
    assert_false(is_due(f));
    reopen(f);
    sweep(f);
    assert_string_equal(inbox_text(f, "agent:a"), "2:now 3:late");
}

static void
what_is_due_already_arrives_at_once_and_is_told(void **state)
{
    struct fixture *f = *state;
    struct mail_op *op = send_to("agent:a", "agent:x", 1, "m");
    op->due_us = f->now.wall_us;
    run(f, op, NULL);
    assert_int_equal(op->seq, 0);
    assert_int_equal(arrived_count(f), 1);
    assert_int_equal(f->arrived->seq, 1);
    drop_op(op);
    assert_string_equal(inbox_text(f, "agent:a"), "1:m");
}

static void
delayed_mail_comes_in_the_order_of_its_time(void **state)
{
    struct fixture *f = *state;
    done(f, delayed(f, "agent:b", 1, "third", 3 * SECOND_US));
    done(f, delayed(f, "agent:a", 2, "first", 1 * SECOND_US));
    done(f, delayed(f, "agent:a", 3, "second", 2 * SECOND_US));
    advance(f, 2 * SECOND_US);
    sweep(f);
    const char *text = inbox_text(f, "agent:a");
    assert_non_null(strstr(text, "first"));
    assert_true(strstr(text, "first") < strstr(text, "second"));
    assert_string_equal(inbox_text(f, "agent:b"), "");
    assert_int_equal(mailbox_due_us(f->mailbox, f->now), f->now.monotonic_us + SECOND_US);
}

static void
a_squad_s_mail_can_be_delayed(void **state)
{
    struct fixture *f = *state;
    done(f, member(MAIL_JOIN, "squad:s", "agent:a"));
    done(f, member(MAIL_JOIN, "squad:s", "agent:b"));
    struct mail_op *op = send_to_squad("squad:s", "agent:x", 1, "m");
    op->due_us = f->now.wall_us + SECOND_US;
    assert_int_equal(done(f, op), 2);
    done(f, member(MAIL_LEAVE, "squad:s", "agent:b"));
    advance(f, SECOND_US);
    sweep(f);
    assert_int_equal(arrived_count(f), 2);
    assert_int_equal(done(f, question(MAIL_FIGURES, "*")), 2);
}

static void
mail_that_nobody_took_in_time_is_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    done(f, expiring(f, "agent:a", 1, "short", SECOND_US));
    done(f, expiring(f, "agent:a", 2, "long", 60 * SECOND_US));
    sent(f, "agent:a", "agent:x", 3, "for ever");
    advance(f, SECOND_US);
    assert_string_equal(inbox_text(f, "agent:a"), "2:long 3:for ever");
    assert_int_equal(ask(f, numbered(MAIL_READ_ONE, "agent:a", 1)), STATUS_NOT_FOUND);
    assert_true(is_due(f));
    sweep(f);
    assert_int_equal(mailbox_figures(f->mailbox).expired, 1);
    assert_string_equal(figures_text(f, "agent:a"), "2 0 0 12");
    assert_int_equal(mailbox_due_us(f->mailbox, f->now), f->now.monotonic_us + 59 * SECOND_US);
    reopen(f);
    advance(f, 60 * SECOND_US);
    sweep(f);
    assert_string_equal(inbox_text(f, "agent:a"), "3:for ever");
    assert_false(is_due(f));
}

static void
what_was_handled_in_time_leaves_no_mark(void **state)
{
    struct fixture *f = *state;
    uint64_t empty = store_size(f->store);
    done(f, expiring(f, "agent:a", 1, "m", SECOND_US));
    done(f, expiring(f, "agent:a", 2, "n", 2 * SECOND_US));
    done(f, numbered(MAIL_REMOVE, "agent:a", 1));
    done(f, numbered(MAIL_KILL, "agent:a", 2));
    advance(f, 500 * (uint64_t)SECOND_US);
    sweep(f);
    sweep(f);
    assert_int_equal(mailbox_figures(f->mailbox).expired, 0);
    assert_string_equal(dead_text(f, "agent:a"), "1:n()");
    done(f, question(MAIL_DEAD_DROP, "agent:a"));
    sweep(f);
    /* Two rows of known ids went, the figures of the inbox stay. */
    assert_int_equal(store_size(f->store) - empty, 1 + 7 + 73);
}

static void
a_dead_letter_does_not_expire_and_comes_back_for_good(void **state)
{
    struct fixture *f = *state;
    done(f, expiring(f, "agent:a", 1, "m", SECOND_US));
    done(f, numbered(MAIL_KILL, "agent:a", 1));
    advance(f, 2 * SECOND_US);
    sweep(f);
    assert_string_equal(dead_text(f, "agent:a"), "1:m()");
    assert_int_equal(done(f, question(MAIL_DEAD_REPLAY, "agent:a")), 1);
    assert_string_equal(inbox_text(f, "agent:a"), "2:m");
    advance(f, 100 * SECOND_US);
    sweep(f);
    assert_string_equal(inbox_text(f, "agent:a"), "2:m");
}

static void
delayed_mail_that_expires_before_it_is_due_goes_then(void **state)
{
    struct fixture *f = *state;
    struct mail_op *op = delayed(f, "agent:a", 1, "m", 1000 * (uint64_t)SECOND_US);
    op->expires_us = f->now.wall_us + SECOND_US;
    done(f, op);
    op = delayed(f, "agent:a", 2, "n", SECOND_US);
    op->expires_us = f->now.wall_us + 2 * SECOND_US;
    done(f, op);
    advance(f, SECOND_US);
    sweep(f);
    assert_int_equal(arrived_count(f), 1);
    assert_int_equal(mailbox_figures(f->mailbox).expired, 1);
    assert_string_equal(figures_text(f, "agent:a"), "1 0 0 1");
    assert_int_equal(mailbox_due_us(f->mailbox, f->now), f->now.monotonic_us + SECOND_US);
    advance(f, SECOND_US);
    sweep(f);
    assert_int_equal(mailbox_figures(f->mailbox).expired, 2);
    assert_string_equal(figures_text(f, "*"), "");
}

static void
one_sweep_does_a_bounded_amount(void **state)
{
    struct fixture *f = *state;
    f->limits.inbox_max = 10000;
    f->limits.sender_max = 10000;
    reopen(f);
    for (unsigned i = 0; i < 3000; i++)
        done(f, i % 2 ? delayed(f, "agent:a", i, "m", SECOND_US)
                      : expiring(f, "agent:a", i, "m", SECOND_US));
    advance(f, SECOND_US);
    sweep(f);
    assert_int_equal(arrived_count(f), 1024);
    assert_int_equal(mailbox_figures(f->mailbox).expired, 1024);
    assert_true(is_due(f));
    sweep(f);
    assert_int_equal(arrived_count(f), 476);
    assert_int_equal(mailbox_figures(f->mailbox).expired, 1500);
    assert_false(is_due(f));
}

static void
a_sweep_that_fails_is_tried_again_a_second_later(void **state)
{
    struct fixture *f = *state;
    done(f, delayed(f, "agent:a", 1, "m", SECOND_US));
    done(f, expiring(f, "agent:a", 2, "n", SECOND_US));
    advance(f, SECOND_US);
    bool passed = false;
    for (int step = 0; step < 20 && !passed; step++) {
        store_fault_after(f->store, step);
        drop_arrived(f);
        passed = mailbox_sweep(f->mailbox, &f->arrived, f->now, &f->error) == STATUS_OK;
        store_fault_after(f->store, -1);
        assert_true(step > 0 || !passed);
        if (passed)
            break;
        assert_int_equal(arrived_count(f), 0);
        assert_string_equal(inbox_text(f, "agent:a"), "");
        assert_int_equal(mailbox_due_us(f->mailbox, f->now), f->now.monotonic_us + SECOND_US);
        advance(f, SECOND_US);
        assert_true(is_due(f));
    }
    assert_true(passed);
    assert_int_equal(arrived_count(f), 1);
    assert_int_equal(mailbox_figures(f->mailbox).expired, 1);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(delayed_mail_arrives_when_it_is_due_and_counts_before),
        TEST(what_is_due_already_arrives_at_once_and_is_told),
        TEST(delayed_mail_comes_in_the_order_of_its_time),
        TEST(a_squad_s_mail_can_be_delayed),
        TEST(mail_that_nobody_took_in_time_is_dropped_and_counted),
        TEST(what_was_handled_in_time_leaves_no_mark),
        TEST(a_dead_letter_does_not_expire_and_comes_back_for_good),
        TEST(delayed_mail_that_expires_before_it_is_due_goes_then),
        TEST(one_sweep_does_a_bounded_amount),
        TEST(a_sweep_that_fails_is_tried_again_a_second_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
