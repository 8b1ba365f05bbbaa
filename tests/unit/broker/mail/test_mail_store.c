/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that is full, and one that fails: what is refused, what goes on, and how it becomes well
 * again. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "broker/mail/mail_store.h"
#include "fixture_mail.h"

enum { MIB = 1 << 20, LINES = 4096 };

static const uint64_t DISK = 1ull << 30;

struct bench {
    struct mail_thread_options options;
    struct mail_store store;
    struct mail_op *arrived;
    struct now now;
    struct clock clock;
    struct logger logger;
    char lines[LINES];
    char folder[64];
};

static struct now
read_clock(void *context)
{
    return *(struct now *)context;
}

static void
take_line(void *context, enum log_level level, struct text line)
{
    struct bench *b = context;
    size_t used = strlen(b->lines);
    (void)level;
    snprintf(b->lines + used, LINES - used, "%.*s", TEXT_ARGS(line));
}

static struct bench *
make(bool on_disk)
{
    struct bench *b = calloc(1, sizeof *b);
    b->now = (struct now){1000u * SECOND_US, 1700000000ull * SECOND_US};
    b->clock = (struct clock){read_clock, &b->now};
    b->logger = (struct logger){"bus", LOG_INFO, &b->clock, take_line, b};
    b->options = (struct mail_thread_options){.limits = {100, MIB, 100, MIB, 120000, 1024},
                                              .disk_reserve = 64 * MIB,
                                              .ops_max = 100,
                                              .bytes_max = MIB,
                                              .clock = &b->clock,
                                              .logger = &b->logger};
    if (on_disk) {
        snprintf(b->folder, sizeof b->folder, "/tmp/sos-mail-XXXXXX");
        assert_non_null(mkdtemp(b->folder));
        b->options.folder = b->folder;
    }
    struct error error = ERROR_INIT;
    enum status status = mail_store_open(&b->store, &b->options, &error);
    if (status != STATUS_OK)
        print_error("%s\n", error.message);
    assert_int_equal(status, STATUS_OK);
    return b;
}

static void
drop_arrivals(struct bench *b)
{
    while (b->arrived) {
        struct mail_op *next = b->arrived->next;
        mail_op_destroy(&b->arrived);
        b->arrived = next;
    }
}

static void
unmake(struct bench *b)
{
    drop_arrivals(b);
    mail_store_close(&b->store);
    if (b->folder[0]) {
        char command[96];
        snprintf(command, sizeof command, "rm -r %s", b->folder);
        assert_int_equal(system(command), 0);
    }
    free(b);
}

static enum status
ask_store(struct bench *b, struct mail_op *op, struct error *error)
{
    mail_store_run(&b->store, op, &b->arrived);
    enum status status = op->status;
    if (error)
        *error = op->error;
    drop_op(op);
    return status;
}

static size_t
count_rows(struct bench *b, const char *inbox)
{
    struct mail_op *op = question(MAIL_READ, inbox);
    mail_store_run(&b->store, op, &b->arrived);
    assert_int_equal(op->status, STATUS_OK);
    size_t count = op->row_count;
    drop_op(op);
    return count;
}

static void
a_full_disk_is_told_and_so_is_its_end(void **state)
{
    (void)state;
    struct error error;
    struct bench *b = make(false);
    assert_int_equal(ask_store(b, send_to("agent:a", "agent:x", 1, "m"), NULL), STATUS_OK);
    assert_int_equal(ask_store(b, send_to("agent:a", "agent:x", 2, "n"), NULL), STATUS_OK);
    store_pretend_room(b->store.store, MIB, DISK);
    assert_int_equal(ask_store(b, send_to("agent:a", "agent:x", 3, "o"), &error),
                     STATUS_STORE_FAILED);
    assert_string_equal(error.word, "storage_full");
    assert_int_equal(b->store.health, MAIL_HEALTH_FULL);
    assert_non_null(strstr(b->lines, "take no more mail"));

    assert_int_equal(count_rows(b, "agent:a"), 2);
    store_pretend_room(b->store.store, 20 * MIB, DISK);
    assert_int_equal(ask_store(b, numbered(MAIL_REMOVE, "agent:a", 1), NULL), STATUS_OK);
    assert_int_equal(count_rows(b, "agent:a"), 1);
    assert_int_equal(b->store.health, MAIL_HEALTH_FULL);

    store_pretend_room(b->store.store, DISK / 2, DISK);
    uint64_t due_us = mail_store_due_us(&b->store);
    assert_true(due_us > b->now.monotonic_us && due_us < b->now.monotonic_us + SECOND_US);
    b->now.monotonic_us = due_us;
    mail_store_tick(&b->store, &b->arrived);
    assert_int_equal(b->store.health, MAIL_HEALTH_OK);
    assert_non_null(strstr(b->lines, "take mail again"));
    assert_int_equal(ask_store(b, send_to("agent:a", "agent:x", 3, "o"), NULL), STATUS_OK);
    assert_int_equal(count_rows(b, "agent:a"), 2);
    unmake(b);
}

static void
delayed_mail_waits_for_room(void **state)
{
    (void)state;
    struct bench *b = make(false);
    struct mail_op *op = send_to("agent:a", "agent:x", 1, "m");
    op->due_us = b->now.wall_us + SECOND_US;
    assert_int_equal(ask_store(b, op, NULL), STATUS_OK);
    store_pretend_room(b->store.store, MIB, DISK);
    b->now.wall_us += SECOND_US;
    b->now.monotonic_us += SECOND_US;
    mail_store_tick(&b->store, &b->arrived);
    assert_null(b->arrived);
    assert_true(mail_store_due_us(&b->store) > b->now.monotonic_us);
    store_pretend_room(b->store.store, DISK / 2, DISK);
    b->now.monotonic_us += SECOND_US;
    mail_store_tick(&b->store, &b->arrived);
    assert_non_null(b->arrived);
    assert_int_equal(b->store.health, MAIL_HEALTH_OK);
    unmake(b);
}

/* ---- a disk that fails */

static void
limit_files(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Sends until the store fails; returns how many were acknowledged. */
static unsigned
send_until_it_fails(struct bench *b)
{
    struct error error;
    char text[512];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    for (unsigned i = 1; i <= 90; i++) {
        enum status status = ask_store(b, send_to("agent:a", "agent:x", i, text), &error);
        if (status == STATUS_OK)
            continue;
        assert_int_equal(status, STATUS_UNKNOWN_OUTCOME);
        assert_string_equal(error.word, "storage_failed");
        return i - 1;
    }
    fail_msg("the store did not fail");
    return 0;
}

static void
a_store_that_failed_is_read_and_opened_again_when_the_disk_works(void **state)
{
    (void)state;
    struct error error;
    struct bench *b = make(true);
    signal(SIGXFSZ, SIG_IGN);
    limit_files(16 * 1024);
    unsigned acked = send_until_it_fails(b);
    assert_int_equal(b->store.health, MAIL_HEALTH_FAILED);
    assert_non_null(strstr(b->lines, "can only be read"));
    assert_int_equal(count_rows(b, "agent:a"), acked);
    assert_int_equal(ask_store(b, send_to("agent:b", "agent:x", 91, "m"), &error),
                     STATUS_STORE_FAILED);
    assert_string_equal(error.word, "storage_failed");
    assert_int_equal(ask_store(b, numbered(MAIL_REMOVE, "agent:a", 1), &error),
                     STATUS_STORE_FAILED);

    /* As long as the probe cannot be written the old handle is kept. */
    uint64_t wait_us = mail_store_due_us(&b->store) - b->now.monotonic_us;
    b->now.monotonic_us += wait_us;
    mail_store_tick(&b->store, &b->arrived);
    assert_int_equal(b->store.health, MAIL_HEALTH_FAILED);
    assert_true(mail_store_due_us(&b->store) - b->now.monotonic_us == 2 * wait_us);
    assert_int_equal(count_rows(b, "agent:a"), acked);

    limit_files(RLIM_INFINITY);
    b->now.monotonic_us = mail_store_due_us(&b->store);
    mail_store_tick(&b->store, &b->arrived);
    assert_int_equal(b->store.health, MAIL_HEALTH_OK);
    size_t there = count_rows(b, "agent:a");
    assert_true(there == acked || there == acked + 1);
    /* The one whose outcome was unknown is told of when it is there. */
    assert_int_equal(b->arrived != NULL, there == acked + 1);
    assert_int_equal(ask_store(b, send_to("agent:b", "agent:x", 91, "m"), NULL), STATUS_OK);
    assert_int_equal(count_rows(b, "agent:b"), 1);
    unmake(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_told_and_so_is_its_end),
        cmocka_unit_test(delayed_mail_waits_for_room),
        cmocka_unit_test(a_store_that_failed_is_read_and_opened_again_when_the_disk_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
