/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { ITEMS = 5000 };

struct item {
    struct timer timer;
    size_t fired;
};

/* What has fired, and the time of the last. */
struct tally {
    struct timers timers;
    uint64_t now_us, last_us;
    size_t count;
};

static struct item items[ITEMS];

static void
take(void *context, void *owner)
{
    struct tally *tally = context;
    struct item *item = owner;
    assert_int_equal(item->timer.place, 0);
    assert_true(item->timer.at_us >= tally->last_us && item->timer.at_us <= tally->now_us);
    tally->last_us = item->timer.at_us;
    tally->count++;
    item->fired++;
}

static void
fire(struct tally *tally, uint64_t now_us)
{
    tally->now_us = now_us;
    timers_fire(&tally->timers, now_us, tally);
}

static uint32_t
random_next(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void
set(struct tally *tally, size_t number, uint64_t at_us)
{
    assert_true(timers_set(&tally->timers, &items[number].timer, at_us));
}

static int
setup(void **state)
{
    static struct tally tally;
    tally = (struct tally){.count = 0};
    for (size_t i = 0; i < ITEMS; i++) {
        items[i].fired = 0;
        timer_init(&items[i].timer, take, &items[i]);
    }
    *state = &tally;
    return 0;
}

static int
teardown(void **state)
{
    struct tally *tally = *state;
    timers_clear(&tally->timers);
    return 0;
}

static void
timers_come_in_order_whatever_is_moved_and_removed(void **state)
{
    struct tally *tally = *state;
    uint32_t seed = 12345;
    for (size_t i = 0; i < ITEMS; i++)
        set(tally, i, random_next(&seed) % 1000);
    for (size_t i = 0; i < ITEMS; i++) {
        if (i % 3 == 0)
            timers_remove(&tally->timers, &items[i].timer);
        else if (i % 3 == 1)
            set(tally, i, random_next(&seed) % 2000);
    }

    if (timers_next(&tally->timers) > 0)
        fire(tally, timers_next(&tally->timers) - 1);
    assert_int_equal(tally->count, 0);
    fire(tally, 5000);

    assert_int_equal(tally->count, ITEMS - (ITEMS + 2) / 3);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(items[i].fired, i % 3 != 0);
    assert_true(timers_next(&tally->timers) == TIMERS_NONE);
}

static void
each_comes_at_its_time_and_a_removed_one_never(void **state)
{
    struct tally *tally = *state;
    uint32_t seed = 7;
    size_t left = ITEMS;
    for (size_t i = 0; i < ITEMS; i++)
        set(tally, i, random_next(&seed) % 100);
    for (size_t i = 0; i < ITEMS; i += 3, left--) {
        timers_remove(&tally->timers, &items[i].timer);
        timers_remove(&tally->timers, &items[i].timer);
    }

    for (uint64_t now_us = 0; now_us < 100; now_us++) {
        fire(tally, now_us);
        assert_true(timers_next(&tally->timers) > now_us);
    }

    assert_int_equal(tally->count, left);
    for (size_t i = 0; i < ITEMS; i++)
        assert_int_equal(items[i].fired, i % 3 != 0);
}

static void
set_again(void *context, void *owner)
{
    struct tally *tally = context;
    struct item *item = owner;
    take(context, owner);
    set(tally, (size_t)(item - items), item->timer.at_us + 10);
    timers_remove(&tally->timers, &items[1].timer);
}

static void
a_timer_that_fires_may_be_set_again_and_remove_others(void **state)
{
    struct tally *tally = *state;
    items[0].timer.fire = set_again;
    set(tally, 0, 5);
    set(tally, 1, 6);

    fire(tally, 40);

    assert_int_equal(items[0].fired, 4); /* 5, 15, 25, 35 */
    assert_int_equal(items[1].fired, 0);
    assert_true(timers_next(&tally->timers) == 45);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(timers_come_in_order_whatever_is_moved_and_removed),
        TEST(each_comes_at_its_time_and_a_removed_one_never),
        TEST(a_timer_that_fires_may_be_set_again_and_remove_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
