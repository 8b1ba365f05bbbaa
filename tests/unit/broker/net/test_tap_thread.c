/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "broker/net/tap_thread.h"

enum { RING = 1 << 18, WAIT_MS = 20000 };

struct fixture {
    struct tap_thread *thread;
    struct tap_chunk *chunks; /* taken, not returned */
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_int_equal(tap_thread_start(&f->thread, RING, NULL), STATUS_OK);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    while (f->chunks) {
        struct tap_chunk *chunk = f->chunks;
        f->chunks = chunk->next;
        tap_chunk_destroy(&chunk);
    }
    tap_thread_stop(&f->thread);
    free(f);
    return 0;
}

static void
open_tap(struct fixture *f, uint64_t tap, unsigned slot)
{
    struct tap_opening *opening = calloc(1, sizeof *opening);
    struct tap_query query = {.source = text_of("agent:*")};
    assert_int_equal(tap_filter_new(&opening->filter, &query, NULL), STATUS_OK);
    opening->tap = tap;
    opening->slot = slot;
    tap_thread_open(f->thread, &opening);
    assert_null(opening);
}

static bool
put(struct fixture *f, uint32_t slots, const char *source)
{
    struct tap_sighting sighting = {.slots = slots,
                                    .kind = KIND_REQUEST,
                                    .source = text_of(source),
                                    .verdict = text_of("forwarded")};
    return tap_thread_put(f->thread, &sighting);
}

/* Records of the tap in the chunks that come, until there are `wanted`, dropped ones included. */
static uint64_t
collect(struct fixture *f, uint64_t tap, uint64_t wanted, bool give_back)
{
    uint64_t count = 0;
    while (count < wanted) {
        struct pollfd item = {.fd = tap_thread_fd(f->thread), .events = POLLIN};
        assert_int_equal(poll(&item, 1, WAIT_MS), 1);
        struct tap_chunk *chunk = tap_thread_chunks(f->thread);
        while (chunk) {
            struct tap_chunk *next = chunk->next;
            if (chunk->tap == tap)
                count += chunk->count + chunk->dropped;
            if (give_back) {
                tap_thread_return(f->thread, &chunk);
            } else {
                chunk->next = f->chunks;
                f->chunks = chunk;
            }
            chunk = next;
        }
        tap_thread_wake(f->thread);
    }
    return count;
}

static void
what_is_put_comes_back_packed_for_whom_it_matches(void **state)
{
    struct fixture *f = *state;
    open_tap(f, 7, 2);
    assert_true(put(f, 4, "agent:kasra"));
    assert_true(put(f, 4, "service:memory"));
    assert_true(put(f, 4, "agent:river"));
    tap_thread_wake(f->thread);
    assert_int_equal(collect(f, 7, 2, true), 2);
}

static void
a_thread_that_sleeps_wakes_for_each_burst(void **state)
{
    struct fixture *f = *state;
    open_tap(f, 1, 0);
    for (int i = 0; i < 30; i++) {
        /* Now and then long enough for it to find nothing more to do; it may not need to be. */
        if (i % 8 == 0)
            poll(NULL, 0, 50);
        assert_true(put(f, 1, "agent:kasra"));
        tap_thread_wake(f->thread);
        assert_int_equal(collect(f, 1, 1, true), 1);
    }
}

static void
every_record_is_shown_or_counted(void **state)
{
    struct fixture *f = *state;
    uint64_t missed = 0;
    uint64_t seen = 0;
    open_tap(f, 1, 0);
    for (int round = 0; round < 200; round++) {
        for (int i = 0; i < 500; i++)
            missed += !put(f, 1, "agent:kasra");
        tap_thread_wake(f->thread);
        struct tap_chunk *chunk = tap_thread_chunks(f->thread);
        while (chunk) {
            struct tap_chunk *next = chunk->next;
            seen += chunk->count + chunk->dropped;
            tap_thread_return(f->thread, &chunk);
            chunk = next;
        }
    }
    tap_thread_wake(f->thread);
    uint64_t left = 200 * 500 - missed - seen;
    assert_int_equal(collect(f, 1, left, true), left);
}

static void
a_reader_that_gives_nothing_back_holds_no_more_than_its_chunks(void **state)
{
    struct fixture *f = *state;
    size_t chunks = 0;
    open_tap(f, 1, 0);
    for (int i = 0; i < 40; i++) {
        for (int j = 0; j < 400; j++)
            put(f, 1, "agent:kasra");
        tap_thread_wake(f->thread);
        struct pollfd item = {.fd = tap_thread_fd(f->thread), .events = POLLIN};
        poll(&item, 1, 20);
        struct tap_chunk *chunk = tap_thread_chunks(f->thread);
        while (chunk) {
            struct tap_chunk *next = chunk->next;
            chunk->next = f->chunks;
            f->chunks = chunk;
            chunk = next;
            chunks++;
        }
    }
    assert_true(chunks <= TAP_CHUNKS);
}

static void
a_tap_that_ended_takes_nothing_from_the_next_in_its_slot(void **state)
{
    struct fixture *f = *state;
    for (uint64_t tap = 1; tap <= 50; tap++) {
        open_tap(f, tap, 0);
        put(f, 1, "agent:kasra");
        tap_thread_wake(f->thread);
        tap_thread_close(f->thread, tap);
    }
    open_tap(f, 99, 0);
    for (int i = 0; i < 5; i++)
        put(f, 1, "agent:kasra");
    tap_thread_wake(f->thread);
    assert_int_equal(collect(f, 99, 5, false), 5);
}

static void
stopping_frees_what_is_under_way(void **state)
{
    struct fixture *f = *state;
    open_tap(f, 1, 0);
    for (int i = 0; i < 2000; i++)
        put(f, 1, "agent:kasra");
    open_tap(f, 2, 1);
    tap_thread_wake(f->thread);
    open_tap(f, 3, 2); /* never woken for */
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_comes_back_packed_for_whom_it_matches),
        TEST(a_thread_that_sleeps_wakes_for_each_burst),
        TEST(every_record_is_shown_or_counted),
        TEST(a_reader_that_gives_nothing_back_holds_no_more_than_its_chunks),
        TEST(a_tap_that_ended_takes_nothing_from_the_next_in_its_slot),
        TEST(stopping_frees_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
