/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/mail/mail_thread.h"
#include "fixture_mail.h"
#include "platform/system_clock.h"

enum { WAIT_MS = 20000, MIB = 1 << 20 };

struct bench {
    struct mail_thread_options options;
    struct mail_thread *thread;
    struct clock clock;
    struct logger logger;
    char folder[64];
};

static void
no_line(void *context, enum log_level level, struct text line)
{
    (void)context, (void)level, (void)line;
}

static void
start(struct bench *b)
{
    struct error error = ERROR_INIT;
    enum status status = mail_thread_start(&b->thread, &b->options, &error);
    if (status != STATUS_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, STATUS_OK);
}

static int
setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    b->clock = system_clock;
    b->logger = (struct logger){"bus", LOG_INFO, &b->clock, no_line, NULL};
    snprintf(b->folder, sizeof b->folder, "/tmp/sos-mail-XXXXXX");
    if (!mkdtemp(b->folder))
        return -1;
    b->options = (struct mail_thread_options){
        .folder = b->folder,
        .limits = {100000, 256 * MIB, 100000, 256 * MIB, 120000, 65536},
        .ops_max = 10000,
        .bytes_max = 64 * MIB,
        .clock = &b->clock,
        .logger = &b->logger};
    *state = b;
    start(b);
    return 0;
}

static int
teardown(void **state)
{
    struct bench *b = *state;
    char command[96];
    mail_thread_stop(&b->thread);
    assert_null(b->thread);
    mail_thread_stop(&b->thread);
    snprintf(command, sizeof command, "rm -r %s", b->folder);
    int left = system(command);
    free(b);
    return left;
}

/* The next answer or arrival, as soon as it is there. */
static struct mail_op *
take(struct bench *b)
{
    struct mail_op *op;
    while (!(op = mail_thread_take(b->thread))) {
        struct pollfd item = {.fd = mail_thread_fd(b->thread), .events = POLLIN};
        assert_int_equal(poll(&item, 1, WAIT_MS), 1);
    }
    return op;
}

static void
give(struct bench *b, struct mail_op *op)
{
    assert_true(mail_thread_give(b->thread, &op));
    assert_null(op);
}

static void
answers_come_in_the_order_of_their_questions(void **state)
{
    struct bench *b = *state;
    unsigned taken = 0;
    for (unsigned i = 0; i < 5000; i++) {
        struct mail_op *op = i % 10 == 9 ? question(MAIL_READ_ONE, "agent:a")
                                         : send_to("agent:a", "agent:x", i, "m");
        op->tag = i;
        give(b, op);
    }
    for (; taken < 5000; taken++) {
        struct mail_op *op = take(b);
        assert_int_equal(op->tag, taken);
        assert_int_equal(op->status, op->type == MAIL_APPEND ? STATUS_OK : STATUS_NOT_FOUND);
        drop_op(op);
    }
    assert_null(mail_thread_take(b->thread));
    struct mail_thread_figures figures = mail_thread_figures(b->thread);
    assert_int_equal(figures.waiting, 0);
    assert_int_equal(figures.inboxes, 1);
    assert_true(figures.commits < 2500); /* what gathers is committed together */
}

static void
what_was_given_is_done_before_it_stops(void **state)
{
    struct bench *b = *state;
    for (unsigned i = 1; i <= 1000; i++)
        give(b, send_to("agent:a", "agent:x", i, "m"));
    mail_thread_stop(&b->thread);
    start(b);
    struct mail_op *op = question(MAIL_READ, "agent:a");
    op->limit = 2000;
    give(b, op);
    op = take(b);
    assert_int_equal(op->row_count, 1000);
    drop_op(op);
}

static void
it_takes_no_more_than_it_may(void **state)
{
    struct bench *b = *state;
    mail_thread_stop(&b->thread);
    b->options.ops_max = 10;
    start(b);
    unsigned given = 0;
    for (unsigned i = 1; i <= 20; i++) {
        struct mail_op *op = send_to("agent:a", "agent:x", i, "m");
        if (mail_thread_give(b->thread, &op))
            given++;
        else
            drop_op(op);
    }
    assert_int_equal(given, 10); /* answers that were not taken count */
    for (unsigned i = 0; i < given; i++)
        drop_op(take(b));
    struct mail_op *op = send_to("agent:a", "agent:x", 99, "m");
    give(b, op);
    drop_op(take(b));

    mail_thread_stop(&b->thread);
    b->options.bytes_max = 100 * 1000;
    start(b);
    char *record = calloc(1, 200 * 1000 + 1);
    memset(record, 'r', 200 * 1000);
    struct mail_op *large = send_to("agent:a", "agent:x", 100, record); /* alone it passes */
    free(record);
    give(b, large);
    op = send_to("agent:a", "agent:x", 101, "m");
    assert_false(mail_thread_give(b->thread, &op));
    drop_op(take(b));
    give(b, op);
    drop_op(take(b));
}

static void
answers_that_nobody_takes_hold_it_up_and_no_more(void **state)
{
    struct bench *b = *state;
    char *record = calloc(1, 100 * 1000 + 1);
    memset(record, 'r', 100 * 1000);
    give(b, send_to("agent:a", "agent:x", 1, record));
    free(record);
    drop_op(take(b));
    mail_thread_stop(&b->thread);
    b->options.bytes_max = 4 * MIB;
    start(b);
    unsigned given = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct mail_op *op = numbered(MAIL_READ_ONE, "agent:a", 1);
        if (mail_thread_give(b->thread, &op))
            given++;
        else
            drop_op(op);
    }
    assert_in_range(given, 30, 130);
    for (unsigned i = 0; i < given; i++) {
        struct mail_op *op = take(b);
        assert_int_equal(op->row_count, 1);
        drop_op(op);
    }
    assert_int_equal(mail_thread_figures(b->thread).waiting, 0);
}

static void
delayed_mail_arrives_by_itself(void **state)
{
    struct bench *b = *state;
    struct mail_op *op = send_to("agent:a", "agent:x", 1, "m");
    op->due_us = clock_now(&b->clock).wall_us + 50000;
    uint64_t due_us = op->due_us;
    give(b, op);
    op = take(b);
    assert_int_equal(op->type, MAIL_APPEND);
    assert_int_equal(op->seq, 0);
    drop_op(op);
    op = take(b);
    assert_int_equal(op->type, MAIL_ARRIVED);
    assert_int_equal(op->seq, 2);
    assert_true(text_equal_string(op->name, "agent:a"));
    assert_true(clock_now(&b->clock).wall_us >= due_us);
    drop_op(op);
}

static void
a_squad_s_arrivals_follow_their_answer(void **state)
{
    struct bench *b = *state;
    static const char *const names[] = {"agent:a", "agent:b", "agent:c"};
    for (size_t i = 0; i < 3; i++)
        give(b, member(MAIL_JOIN, "squad:s", names[i]));
    give(b, send_to_squad("squad:s", "agent:x", 1, "m"));
    for (size_t i = 0; i < 4; i++) {
        struct mail_op *op = take(b);
        assert_int_equal(op->status, STATUS_OK);
        assert_int_equal(op->type, i < 3 ? MAIL_JOIN : MAIL_APPEND);
        drop_op(op);
    }
    for (size_t i = 0; i < 3; i++) {
        struct mail_op *op = take(b);
        assert_int_equal(op->type, MAIL_ARRIVED);
        assert_true(text_equal_string(op->name, names[i]));
        drop_op(op);
    }
    assert_int_equal(mail_thread_figures(b->thread).waiting, 0);
}

static void
a_checkpoint_is_a_mailbox_again(void **state)
{
    struct bench *b = *state;
    char copy[96];
    snprintf(copy, sizeof copy, "%s/copy", b->folder);
    give(b, send_to("agent:a", "agent:x", 1, "m"));
    give(b, mail_op_new(MAIL_CHECKPOINT, text_of(""), text_of(""), text_of(copy),
                        (struct bytes){NULL, 0}));
    drop_op(take(b));
    struct mail_op *op = take(b);
    assert_int_equal(op->status, STATUS_OK);
    drop_op(op);
    mail_thread_stop(&b->thread);
    b->options.folder = copy;
    start(b);
    give(b, numbered(MAIL_READ_ONE, "agent:a", 1));
    op = take(b);
    assert_int_equal(op->status, STATUS_OK);
    drop_op(op);
    mail_thread_stop(&b->thread);
    b->options.folder = b->folder;
    start(b);
}

static void
a_folder_that_is_open_already_is_refused(void **state)
{
    struct bench *b = *state;
    struct mail_thread *second = NULL;
    struct error error = ERROR_INIT;
    assert_int_equal(mail_thread_start(&second, &b->options, &error), STATUS_CONFLICT);
    assert_null(second);
    assert_non_null(strstr(error.message, b->folder));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(answers_come_in_the_order_of_their_questions),
        TEST(what_was_given_is_done_before_it_stops),
        TEST(it_takes_no_more_than_it_may),
        TEST(answers_that_nobody_takes_hold_it_up_and_no_more),
        TEST(delayed_mail_arrives_by_itself),
        TEST(a_squad_s_arrivals_follow_their_answer),
        TEST(a_checkpoint_is_a_mailbox_again),
        TEST(a_folder_that_is_open_already_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
