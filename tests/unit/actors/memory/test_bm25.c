/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/bm25.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct bm25_key key = {{1, 2, 3}};

static struct bm25 *
index_of(const char *const *texts)
{
    struct bm25 *bm25 = bm25_new(&key);
    assert_non_null(bm25);
    for (uint32_t slot = 0; texts[slot]; slot++)
        assert_int_equal(bm25_add(bm25, slot, text_of(texts[slot])), STATUS_OK);
    return bm25;
}

static const char *const three[] = {"red fox", "red red hen", "blue sky tonight here", NULL};

static void
scores_are_those_of_the_formula(void **state)
{
    (void)state;
    struct bm25 *bm25 = index_of(three);
    double scores[3] = {0};

    assert_int_equal(bm25_score(bm25, text_of("red fox"), scores, 3), STATUS_OK);

    /* N = 3, average length 3. idf(red) = ln(1 + 1.5/2.5) = 0.4700036, idf(fox) = ln(1 + 2.5/1.5)
     * = 0.9808293. Slot 0, length 2: factor 2.2/(1 + 1.2(0.25 + 0.75·2/3)) = 2.2/1.9. Slot 1,
     * length 3, twice: 4.4/(2 + 1.2). */
    assert_float_equal((float)scores[0], (float)((0.4700036 + 0.9808293) * 2.2 / 1.9), 1e-6f);
    assert_float_equal((float)scores[1], (float)(0.4700036 * 4.4 / 3.2), 1e-6f);
    assert_true(scores[2] == 0);
    bm25_destroy(&bm25);
}

static void
a_word_counts_once_however_often_the_query_says_it(void **state)
{
    (void)state;
    struct bm25 *bm25 = index_of(three);
    double once[3] = {0}, twice[3] = {0};
    assert_int_equal(bm25_score(bm25, text_of("red"), once, 3), STATUS_OK);
    assert_int_equal(bm25_score(bm25, text_of("Red, reds"), twice, 3), STATUS_OK);
    assert_memory_equal(once, twice, sizeof once);
    bm25_destroy(&bm25);
}

static void
common_words_count_only_when_there_are_no_others(void **state)
{
    (void)state;
    static const char *const texts[] = {"what is it", "it is a fox", NULL};
    struct bm25 *bm25 = index_of(texts);
    double scores[2] = {0};
    assert_int_equal(bm25_score(bm25, text_of("what fox is it"), scores, 2), STATUS_OK);
    assert_true(scores[0] == 0 && scores[1] > 0);
    assert_int_equal(bm25_score(bm25, text_of("what is"), scores, 2), STATUS_OK);
    assert_true(scores[0] > 0);
    bm25_destroy(&bm25);
}

static void
what_was_removed_leaves_no_trace(void **state)
{
    (void)state;
    struct bm25 *bm25 = index_of(three), *kept = index_of((const char *const[]){three[0], NULL});
    bm25_remove(bm25, 1);
    bm25_remove(bm25, 2);
    bm25_remove(bm25, 2);
    bm25_remove(bm25, 99);
    double left[1] = {0}, right[1] = {0};

    assert_int_equal(bm25_score(bm25, text_of("red fox hen"), left, 1), STATUS_OK);
    assert_int_equal(bm25_score(kept, text_of("red fox hen"), right, 1), STATUS_OK);

    assert_memory_equal(left, right, sizeof left);
    assert_int_equal(bm25_documents(bm25), 1);
    assert_int_equal(bm25_terms(bm25), 2);
    bm25_destroy(&kept);
    bm25_destroy(&bm25);
}

/* Many words crowd the table, so that gaps are closed over wrapped runs. */
static void
words_are_found_after_many_came_and_went(void **state)
{
    (void)state;
    enum { COUNT = 600 };
    struct bm25 *bm25 = bm25_new(&key);
    char text[32];
    size_t empty_bytes = bm25_bytes(bm25);
    for (uint32_t slot = 0; slot < COUNT; slot++) {
        snprintf(text, sizeof text, "w%u shared", slot);
        assert_int_equal(bm25_add(bm25, slot, text_of(text)), STATUS_OK);
    }
    for (uint32_t slot = 0; slot < COUNT; slot += 1 + slot % 3)
        bm25_remove(bm25, slot);
    for (uint32_t slot = 0; slot < COUNT; slot++) {
        double scores[COUNT] = {0};
        snprintf(text, sizeof text, "w%u", slot);
        assert_int_equal(bm25_score(bm25, text_of(text), scores, COUNT), STATUS_OK);
        bool found = scores[slot] > 0;
        bool expected = true;
        for (uint32_t gone = 0; gone <= slot; gone += 1 + gone % 3)
            expected = expected && gone != slot;
        assert_int_equal(found, expected);
    }
    for (uint32_t slot = 0; slot < COUNT; slot++)
        bm25_remove(bm25, slot);
    assert_int_equal(bm25_terms(bm25), 0);
    assert_int_equal(bm25_documents(bm25), 0);
    assert_true(bm25_bytes(bm25) >= empty_bytes);
    bm25_destroy(&bm25);
}

static void
a_text_without_words_is_a_document_all_the_same(void **state)
{
    (void)state;
    struct bm25 *bm25 = index_of((const char *const[]){"!!!", NULL});
    double scores[1] = {0};
    assert_int_equal(bm25_score(bm25, text_of("!!!"), scores, 1), STATUS_OK);
    assert_int_equal(bm25_documents(bm25), 1);
    bm25_destroy(&bm25);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_of_the_formula),
        cmocka_unit_test(a_word_counts_once_however_often_the_query_says_it),
        cmocka_unit_test(common_words_count_only_when_there_are_no_others),
        cmocka_unit_test(what_was_removed_leaves_no_trace),
        cmocka_unit_test(words_are_found_after_many_came_and_went),
        cmocka_unit_test(a_text_without_words_is_a_document_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
