/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "platform/pool.h"

enum { BLOCK = 64, IDLE_MAX = 4, ROUNDS = 3000, IN_HAND = 16 };

static void
a_block_that_was_given_back_is_taken_again(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool, BLOCK, IDLE_MAX);
    void *first = pool_take(&pool);
    assert_non_null(first);
    pool_give(&pool, first);
    assert_ptr_equal(pool_take(&pool), first);
    pool_give(&pool, first);
    pool_clear(&pool);
}

static void
no_more_are_kept_than_allowed(void **state)
{
    (void)state;
    struct pool pool;
    void *blocks[IDLE_MAX * 2];
    pool_init(&pool, BLOCK, IDLE_MAX);
    for (size_t i = 0; i < IDLE_MAX * 2; i++)
        blocks[i] = pool_take(&pool);
    for (size_t i = 0; i < IDLE_MAX * 2; i++)
        pool_give(&pool, blocks[i]); /* a leak or a double free shows in the sanitizer */
    assert_int_equal(atomic_load(&pool.idle), IDLE_MAX);
    pool_clear(&pool);
    assert_int_equal(atomic_load(&pool.idle), 0);
}

static void
a_block_may_be_freed_instead(void **state)
{
    (void)state;
    struct pool pool;
    pool_init(&pool, BLOCK, IDLE_MAX);
    free(pool_take(&pool));
    pool_clear(&pool);
}

struct handing_over {
    struct pool pool;
    _Atomic(uint8_t *) under_way;
};

static void *
give_all(void *argument)
{
    struct handing_over *over = argument;
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t *block;
        while (!(block = atomic_exchange(&over->under_way, NULL)))
            sched_yield();
        for (size_t at = 1; at < BLOCK; at++)
            assert_int_equal(block[at], block[0]);
        pool_give(&over->pool, block);
    }
    return NULL;
}

static void
another_thread_gives_while_the_owner_takes(void **state)
{
    (void)state;
    struct handing_over *over = calloc(1, sizeof *over);
    pthread_t thread;
    pool_init(&over->pool, BLOCK, IN_HAND);
    assert_int_equal(pthread_create(&thread, NULL, give_all, over), 0);
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t *block = pool_take(&over->pool);
        uint8_t *none = NULL;
        assert_non_null(block);
        memset(block, i & 0xFF, BLOCK);
        while (!atomic_compare_exchange_weak(&over->under_way, &none, block)) {
            none = NULL;
            sched_yield();
        }
    }
    pthread_join(thread, NULL);
    pool_clear(&over->pool);
    free(over);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_that_was_given_back_is_taken_again),
        cmocka_unit_test(no_more_are_kept_than_allowed),
        cmocka_unit_test(a_block_may_be_freed_instead),
        cmocka_unit_test(another_thread_gives_while_the_owner_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
