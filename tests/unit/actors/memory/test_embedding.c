/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/embedding.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct embedding
embed(const char *text)
{
    struct embedding embedding;
    assert_int_equal(embedding_make(&embedding, text_of(text)), STATUS_OK);
    return embedding;
}

static double
cosine(const char *a, const char *b)
{
    struct embedding left = embed(a), right = embed(b);
    double sum = 0;
    for (size_t i = 0; i < EMBEDDING_DIMENSIONS; i++)
        sum += (double)left.values[i] * (double)right.values[i];
    return sum;
}

/* Of the rounded values, so that the last bit of a machine's log() does not count. */
static uint64_t
fingerprint(const struct embedding *embedding)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < EMBEDDING_DIMENSIONS; i++)
        hash = (hash ^ (uint64_t)lrint((double)embedding->values[i] * 10000)) *
               UINT64_C(0x100000001b3);
    return hash;
}

static void
a_text_gives_the_same_vector_in_every_run(void **state)
{
    (void)state;
    struct embedding embedding =
        embed("My cat is called Pishi, and my cat sleeps. Größe, Ωμέγα, Привет!");

    assert_int_equal(fingerprint(&embedding), UINT64_C(0xa7b023cba3a7a8c3));
}

static void
a_vector_has_length_one(void **state)
{
    (void)state;
    static const char *const texts[] = {"a", "!!!", "the", "猫はピシです", "two words"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_float_equal((float)cosine(texts[i], texts[i]), 1.0f, 1e-5f);
}

static void
texts_about_the_same_are_closer_than_others(void **state)
{
    (void)state;
    static const char *const triples[][3] = {
        {"My cat is called Pishi", "What is my cat called?", "What is the price of copper?"},
        {"The harbour closes at nine", "when does the harbour close", "when does the film begin"},
        {"She moved to Lisbon in 2019", "moving to Lisbon", "a recipe for bread"},
        {"The server's password was rotated", "rotating server passwords", "the cat is asleep"},
        {"restaurant recommendations", "a restarant recomendation", "train departures"},
        {"Моя кошка спит", "кошка", "поезд"},
        {"Η γάτα μου", "ΓΆΤΑ", "ένα τρένο"},
        {"گربه من پیشی است", "گربه", "قطار"},
        {"私の猫はピシです", "猫", "電車"},
    };
    for (size_t i = 0; i < sizeof triples / sizeof triples[0]; i++) {
        double near = cosine(triples[i][0], triples[i][1]);
        double far = cosine(triples[i][0], triples[i][2]);
        if (near < far + 0.1)
            fail_msg("%s: %s %.3f, %s %.3f", triples[i][0], triples[i][1], near, triples[i][2],
                     far);
    }
}

static void
case_and_punctuation_do_not_count(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"ÀÉÎÕÜ Žena ŁÓDŹ", "àéîõü žena łódź"},
        {"ΟΔΌΣ Ϊ", "οδός ϊ"},
        {"ЁЖИК Ґ", "ёжик ґ"},
        {"Hello, world!", "hello world"},
        {"(a-b)", "a b"},
        {"Ｆｕｌｌ", "full"},
        {"كتابي", "کتابی"},
        {"۱۲۳", "123"},
        {"don’t", "DON'T"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (cosine(pairs[i][0], pairs[i][1]) < 0.9999)
            fail_msg("%s and %s: %.4f", pairs[i][0], pairs[i][1], cosine(pairs[i][0], pairs[i][1]));
}

static void
any_bytes_are_safe(void **state)
{
    (void)state;
    static const char *const texts[] = {"\xff\xfe", "\xc3", "a\xe2\x82", "\xf0\x9f\x98",
                                        "\xc0\x80"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_float_equal((float)cosine(texts[i], texts[i]), 1.0f, 1e-5f);
    struct embedding embedding;
    assert_int_equal(embedding_make(&embedding, text_of("")), STATUS_OK);
}

static void
what_lies_beyond_the_bound_is_not_looked_at(void **state)
{
    (void)state;
    size_t size = 65536;
    char *text = malloc(size);
    memset(text, 'x', size);
    for (size_t i = 0; i < size; i += 7)
        text[i] = ' ';
    struct embedding whole, beginning;
    assert_int_equal(embedding_make(&whole, (struct text){text, size}), STATUS_OK);
    assert_int_equal(embedding_make(&beginning, (struct text){text, EMBEDDING_TEXT_MAX}),
                     STATUS_OK);
    assert_memory_equal(&whole, &beginning, sizeof whole);
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_gives_the_same_vector_in_every_run),
        cmocka_unit_test(a_vector_has_length_one),
        cmocka_unit_test(texts_about_the_same_are_closer_than_others),
        cmocka_unit_test(case_and_punctuation_do_not_count),
        cmocka_unit_test(any_bytes_are_safe),
        cmocka_unit_test(what_lies_beyond_the_bound_is_not_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
