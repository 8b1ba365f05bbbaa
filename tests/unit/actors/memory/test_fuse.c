/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/fuse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct uuid ids[8] = {{{0}}, {{1}}, {{2}}, {{3}}, {{4}}, {{5}}, {{6}}, {{7}}};

static struct hit
hit(double score, uint32_t slot)
{
    return (struct hit){score, slot, &ids[slot]};
}

static void
a_ranking_keeps_the_best(void **state)
{
    (void)state;
    static const double scores[] = {0.1, 0.9, 0.5, 0.7, 0.2, 0.8, 0.3, 0.6};
    struct hit hits[3];
    struct ranking ranking = {.hits = hits, .max = 3};
    for (uint32_t slot = 0; slot < 8; slot++)
        ranking_offer(&ranking, hit(scores[slot], slot));
    ranking_sort(&ranking);
    assert_int_equal(ranking.count, 3);
    assert_int_equal(hits[0].slot, 1);
    assert_int_equal(hits[1].slot, 5);
    assert_int_equal(hits[2].slot, 3);
}

static void
equal_scores_are_ordered_newest_first_whatever_order_they_came_in(void **state)
{
    (void)state;
    for (uint32_t turn = 0; turn < 8; turn++) {
        struct hit hits[3];
        struct ranking ranking = {.hits = hits, .max = 3};
        for (uint32_t i = 0; i < 8; i++)
            ranking_offer(&ranking, hit(0.5, (i * 3 + turn) % 8));
        ranking_sort(&ranking);
        for (uint32_t i = 0; i < 3; i++)
            assert_int_equal(hits[i].slot, 7 - i);
    }
}

static void
a_ranking_without_room_takes_nothing(void **state)
{
    (void)state;
    struct ranking ranking = {0};
    ranking_offer(&ranking, hit(1, 1));
    ranking_sort(&ranking);
    assert_int_equal(ranking.count, 0);
}

static void
fused_scores_are_sums_of_reciprocal_ranks(void **state)
{
    (void)state;
    struct hit a[] = {hit(0.9, 1), hit(0.8, 2), hit(0.7, 3)};
    struct hit b[] = {hit(12, 3), hit(11, 1)};
    struct hit out[5];

    size_t count = fuse(&(struct ranking){a, 3, 3}, &(struct ranking){b, 2, 2}, out);

    assert_int_equal(count, 3);
    assert_int_equal(out[0].slot, 1);
    assert_float_equal((float)out[0].score, (float)(1.0 / 61 + 1.0 / 62), 1e-9f);
    assert_int_equal(out[1].slot, 3);
    assert_float_equal((float)out[1].score, (float)(1.0 / 63 + 1.0 / 61), 1e-9f);
    assert_int_equal(out[2].slot, 2);
    assert_float_equal((float)out[2].score, (float)(1.0 / 62), 1e-9f);
}

static void
fusing_nothing_gives_nothing(void **state)
{
    (void)state;
    struct hit out[1];
    assert_int_equal(fuse(&(struct ranking){0}, &(struct ranking){0}, out), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ranking_keeps_the_best),
        cmocka_unit_test(equal_scores_are_ordered_newest_first_whatever_order_they_came_in),
        cmocka_unit_test(a_ranking_without_room_takes_nothing),
        cmocka_unit_test(fused_scores_are_sums_of_reciprocal_ranks),
        cmocka_unit_test(fusing_nothing_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
