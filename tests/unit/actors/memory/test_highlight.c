/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/highlight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static size_t
find(const char *query, const char *content, struct text pieces[static HIGHLIGHTS_MAX])
{
    struct query_words words;
    query_words_init(&words, text_of(query));
    return highlight(&words, text_of(content), pieces);
}

static void
sentences_with_most_words_come_first(void **state)
{
    (void)state;
    struct text pieces[HIGHLIGHTS_MAX];

    size_t count = find("what is my cat called",
                        "I have a cat. It rains.\nMy cat is called Pishi! "
                        "Cats eat 3.5 fish. A dog? One more cat",
                        pieces);

    assert_int_equal(count, 3);
    assert_true(text_equal_string(pieces[0], "My cat is called Pishi!"));
    assert_true(text_equal_string(pieces[1], "I have a cat."));
    assert_true(text_equal_string(pieces[2], "Cats eat 3.5 fish."));
}

static void
nothing_found_gives_nothing(void **state)
{
    (void)state;
    struct text pieces[HIGHLIGHTS_MAX];
    assert_int_equal(find("cat", "No pets here. What is it?", pieces), 0);
    assert_int_equal(find("cat", "", pieces), 0);
    assert_int_equal(find("what is", "What is it?", pieces), 1);
}

static void
a_long_sentence_is_cut_around_the_word(void **state)
{
    (void)state;
    char content[2000] = "";
    for (size_t i = 0; i < 200; i++)
        snprintf(content + strlen(content), sizeof content - strlen(content),
                 i == 150 ? "katze " : "größe ");
    struct text pieces[HIGHLIGHTS_MAX];

    assert_int_equal(find("Katze", content, pieces), 1);

    assert_in_range(pieces[0].size, HIGHLIGHT_SIZE_MAX - 8, HIGHLIGHT_SIZE_MAX);
    assert_true(text_is_utf8(pieces[0]));
    char copy[HIGHLIGHT_SIZE_MAX + 1];
    snprintf(copy, sizeof copy, "%.*s", TEXT_ARGS(pieces[0]));
    assert_non_null(strstr(copy, "katze"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sentences_with_most_words_come_first),
        cmocka_unit_test(nothing_found_gives_nothing),
        cmocka_unit_test(a_long_sentence_is_cut_around_the_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
