/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/net/tap_ring.h"

enum { SIZE = 4096, MANY = 200000 };

/* A sighting whose every part says `number`. */
static struct tap_sighting
make(uint64_t number, char text[static 24], uint8_t *payload, size_t payload_size)
{
    snprintf(text, 24, "agent:%llu", (unsigned long long)number);
    for (size_t i = 0; i < payload_size; i++)
        payload[i] = (uint8_t)(number + i);
    return (struct tap_sighting){.at_us = number,
                                 .source = text_of(text),
                                 .verdict = text_of("forwarded"),
                                 .payload = {payload, payload_size}};
}

static void
check(const struct tap_sighting *sighting, uint64_t number, size_t payload_size)
{
    char text[24];
    uint8_t payload[1024];
    make(number, text, payload, payload_size);
    assert_int_equal(sighting->at_us, number);
    assert_true(text_equal_string(sighting->source, text));
    assert_int_equal(sighting->target.size, 0);
    assert_true(text_equal_string(sighting->verdict, "forwarded"));
    assert_int_equal(sighting->payload.size, payload_size);
    assert_memory_equal(sighting->payload.data, payload, payload_size);
}

static bool
put(struct tap_ring *ring, uint64_t number, size_t payload_size)
{
    char text[24];
    uint8_t payload[1024];
    struct tap_sighting sighting = make(number, text, payload, payload_size);
    return tap_ring_put(ring, &sighting);
}

static void
what_is_put_is_taken_in_order_and_whole(void **state)
{
    (void)state;
    struct tap_ring *ring = tap_ring_new(SIZE);
    struct tap_sighting sighting;
    uint64_t taken = 0;
    assert_false(tap_ring_look(ring));
    for (uint64_t i = 0; i < 1000; i++) {
        assert_true(put(ring, i, i % 700));
        assert_int_equal(tap_ring_next(ring), i + 1);
        if (i % 3)
            continue;
        assert_true(tap_ring_look(ring));
        while (tap_ring_take(ring, &sighting)) {
            assert_int_equal(sighting.number, taken);
            check(&sighting, taken, taken % 700);
            taken++;
        }
        tap_ring_release(ring);
        assert_int_equal(tap_ring_used(ring), 0);
    }
    assert_int_equal(taken, 1000);
    tap_ring_destroy(&ring);
}

static void
a_full_ring_takes_nothing_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct tap_ring *ring = tap_ring_new(SIZE);
    struct tap_sighting sighting;
    uint64_t count = 0;
    while (put(ring, count, 100))
        count++;
    assert_true(count >= 8);
    assert_int_equal(tap_ring_next(ring), count);
    assert_false(put(ring, 99, 0) && put(ring, 99, 100));

    assert_true(tap_ring_look(ring));
    assert_true(tap_ring_take(ring, &sighting));
    check(&sighting, 0, 100);
    while (tap_ring_take(ring, &sighting))
        continue;
    assert_false(put(ring, count, 100)); /* its room is not given back yet */
    tap_ring_release(ring);
    assert_true(put(ring, count, 100));
    tap_ring_destroy(&ring);
}

static void
what_could_never_fit_is_not_taken(void **state)
{
    (void)state;
    static const uint8_t much[SIZE];
    struct tap_ring *ring = tap_ring_new(SIZE);
    struct tap_sighting sighting = {.payload = {much, sizeof much}};
    assert_false(tap_ring_put(ring, &sighting));
    assert_true(put(ring, 1, 10));
    tap_ring_destroy(&ring);
}

static void *
produce(void *argument)
{
    struct tap_ring *ring = argument;
    for (uint64_t i = 0; i < MANY;) {
        if (put(ring, i, i % 300))
            i++;
        else
            sched_yield();
    }
    return NULL;
}

static void
two_threads_pass_many_without_losing_one(void **state)
{
    (void)state;
    struct tap_ring *ring = tap_ring_new(1 << 16);
    struct tap_sighting sighting;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, produce, ring), 0);
    uint64_t taken = 0;
    while (taken < MANY) {
        if (!tap_ring_look(ring))
            sched_yield();
        while (tap_ring_take(ring, &sighting)) {
            check(&sighting, taken, taken % 300);
            taken++;
        }
        tap_ring_release(ring);
    }
    pthread_join(thread, NULL);
    assert_false(tap_ring_look(ring));
    tap_ring_destroy(&ring);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_taken_in_order_and_whole),
        cmocka_unit_test(a_full_ring_takes_nothing_and_keeps_what_it_has),
        cmocka_unit_test(what_could_never_fit_is_not_taken),
        cmocka_unit_test(two_threads_pass_many_without_losing_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
