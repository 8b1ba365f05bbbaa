/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/net/audit_log.h"
#include "platform/file.h"
#include "platform/system_clock.h"

struct fixture {
    char folder[64];
    char path[96];
    struct clock clock; /* the machine's, and what a test adds */
    atomic_ullong ahead_us;
    struct logger logger;
    struct audit_log *log;
};

static void
discard(void *context, enum log_level level, struct text line)
{
    (void)context, (void)level, (void)line;
}

static struct now
read_clock(void *context)
{
    struct fixture *f = context;
    struct now now = clock_now(&system_clock);
    now.monotonic_us += atomic_load(&f->ahead_us);
    return now;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct error error = ERROR_INIT;
    snprintf(f->folder, sizeof f->folder, "/tmp/sos-auditlog-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/bus.jsonl", f->folder);
    f->logger = (struct logger){.service = "broker", .clock = &f->clock, .sink = discard};
    f->clock = (struct clock){read_clock, f};
    atomic_init(&f->ahead_us, 0);
    assert_int_equal(audit_log_start(&f->log, f->path, &f->clock, &f->logger, &error), STATUS_OK);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    audit_log_stop(&f->log);
    unlink(f->path);
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static bool
tell(struct fixture *f, const char *event, uint64_t ticket)
{
    struct audit_entry entry = {.event = event, .actor = text_of("agent:kasra"), .outcome = "ok"};
    return audit_log_tell(f->log, &entry, ticket);
}

static uint64_t
await_answer(struct fixture *f, bool *written)
{
    uint64_t ticket = 0;
    while (!audit_log_answer(f->log, &ticket, written)) {
        struct pollfd item = {.fd = audit_log_fd(f->log), .events = POLLIN};
        assert_int_equal(poll(&item, 1, 20000), 1);
    }
    return ticket;
}

static int
count_of(const struct fixture *f, const char *text)
{
    struct buffer content;
    int count = 0;
    buffer_init(&content);
    assert_int_equal(file_load(f->path, 1 << 20, true, &content, NULL), STATUS_OK);
    buffer_append_byte(&content, '\0');
    for (const char *at = (char *)content.data; (at = strstr(at, text)); at++)
        count++;
    buffer_clear(&content);
    return count;
}

static void
a_ticket_comes_back_when_its_line_is_on_disk(void **state)
{
    struct fixture *f = *state;
    bool written = false;
    assert_true(tell(f, "tap.started", 42));
    assert_int_equal(await_answer(f, &written), 42);
    assert_true(written);
    assert_int_equal(count_of(f, "\"event\":\"tap.started\""), 1);
}

static void
stopping_writes_what_waits(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5; i++)
        tell(f, "peer.cut", 0);
    audit_log_stop(&f->log);
    assert_int_equal(count_of(f, "peer.cut"), 5);
}

static void
beyond_the_limit_one_line_says_how_many_were_left_out(void **state)
{
    struct fixture *f = *state;
    bool written;
    for (int i = 0; i < 100; i++)
        tell(f, "connection.refused", 0);
    /* Lines that somebody waits for are no part of it. */
    for (uint64_t ticket = 1; ticket <= 20; ticket++)
        assert_true(tell(f, "tap.started", ticket));
    for (int i = 0; i < 20; i++)
        await_answer(f, &written);
    assert_int_equal(count_of(f, "\"event\":\"connection.refused\""), 10);
    atomic_store(&f->ahead_us, 1000000);
    assert_true(tell(f, "tap.started", 21));
    await_answer(f, &written);
    assert_int_equal(count_of(f, "90 lines of connection.refused were left out"), 1);
}

static void
the_end_tells_of_what_was_left_out_in_its_last_second(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 15; i++)
        tell(f, "connection.refused", 0);
    audit_log_stop(&f->log);
    assert_int_equal(count_of(f, "5 lines of connection.refused were left out"), 1);
}

/* A file size limit stands for a full disk. */
static void
what_cannot_be_written_is_answered_so_and_told_later(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, none;
    bool written = true;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    tell(f, "peer.cut", 0);
    assert_true(tell(f, "tap.started", 7));
    assert_int_equal(await_answer(f, &written), 7);
    assert_false(written);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);

    assert_true(tell(f, "tap.started", 8));
    assert_int_equal(await_answer(f, &written), 8);
    assert_true(written);
    assert_true(tell(f, "tap.started", 9));
    await_answer(f, &written);
    assert_int_equal(count_of(f, "2 lines could not be written"), 1);
    assert_int_equal(count_of(f, "peer.cut"), 0);
}

static void *
tell_many(void *argument)
{
    struct fixture *f = argument;
    for (uint64_t i = 0; i < 200; i++)
        tell(f, "tap.started", 1000 + i);
    return NULL;
}

static void
several_threads_may_tell(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[3];
    bool written;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, tell_many, f), 0);
    for (int i = 0; i < 600; i++)
        await_answer(f, &written);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(count_of(f, "tap.started"), 600);
}

static void
no_log_takes_nothing(void **state)
{
    (void)state;
    struct audit_entry entry = {.event = "peer.cut"};
    assert_false(audit_log_tell(NULL, &entry, 0));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_ticket_comes_back_when_its_line_is_on_disk),
        TEST(stopping_writes_what_waits),
        TEST(beyond_the_limit_one_line_says_how_many_were_left_out),
        TEST(the_end_tells_of_what_was_left_out_in_its_last_second),
        TEST(what_cannot_be_written_is_answered_so_and_told_later),
        TEST(several_threads_may_tell),
        TEST(no_log_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
