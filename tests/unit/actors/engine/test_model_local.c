/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/model_local.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "actors/engine/keywords.h"

enum { NOTES_MAX = 8 };

/* Notes are newest last; "#" before a note: it is a memory. */
struct dialog {
    const char *told[NOTES_MAX];
    const char *asked;
    const char *expected; /* stands in the answer */
    const char *never;    /* does not; NULL: nothing */
};

static char *
answer(const char *const *told, const char *asked, bool remembers)
{
    struct local_note notes[NOTES_MAX];
    struct local_citation citations[LOCAL_CITATIONS_MAX];
    struct buffer content;
    size_t count = 0;
    for (; count < NOTES_MAX && told[count]; count++) {
        bool is_memory = told[count][0] == '#';
        notes[count] = (struct local_note){text_of(told[count] + is_memory),
                                           text_of(is_memory ? "id-1" : ""), 1000 + count};
    }
    const struct local_question question = {text_of(asked), notes, count, remembers};
    buffer_init(&content);
    size_t cited = model_local_answer(&question, &content, citations);
    assert_true(cited <= LOCAL_CITATIONS_MAX);
    buffer_append_byte(&content, '\0');
    assert_false(content.failed);
    return (char *)content.data;
}

static void
questions_are_answered_from_what_was_told(void **state)
{
    static const struct dialog dialogs[] = {
        {{"My cat is called Pishi"},
         "What is my cat called?",
         "You told me: \"My cat is called Pishi\"",
         NULL},
        {{"#My cat is called Pishi"}, "what is my cat called", "[memory id-1]", NULL},
        {{"My cat is called Pishi"}, "What's the name of my cat?", "Pishi", NULL},
        {{"The meeting is on Thursday"}, "When is the meeting?", "Thursday", NULL},
        {{"The meetings are on Thursday"}, "When do we meet?", "Thursday", NULL},
        {{"My cat is called Pishi", "My dog is called Rex"},
         "What is my dog called?",
         "Rex",
         "Pishi"},
        {{"My dog is called Rex"}, "What is my boat called?", "I know nothing", "Rex"},
        {{"My cat is called Pishi"}, "What is my secret word?", "I know nothing", "Pishi"},
        {{"My name is Ana"}, "What is my name?", "Ana", NULL},
        {{"What is my cat called?"}, "What is my cat called?", "I know nothing", NULL},
        {{"What is my cat called?", "what is my cat called", "My cat is called Pishi"},
         "What is my cat called?",
         "Pishi",
         NULL},
        {{"I live in Paris", "I lived in Rome"},
         "Where do I live?",
         "\n- \"I lived in Rome\"",
         NULL},
        {{"It rains. My cat is called Pishi. Is it cold?"},
         "What is my cat called?",
         "\"My cat is called Pishi.\"",
         "cold"},
        {{"The code is 3.14 today"}, "What is the code?", "3.14 today", NULL},
        {{"My cat is called Pishi"}, "Hello. Tell me what my cat is called", "Pishi", NULL},
        {{"Le café est ouvert"}, "Le CAFÉ est ouvert ?", "café", NULL},
        {{"اسم گربه من پیشی است"}, "اسم گربه من چیست؟", "پیشی", NULL},
        {{"My cat is called Pishi"}, "What do you know?", "Pishi", NULL},
        {{"My cat is called Pishi"}, "How are you?", "I know nothing", "Pishi"},
        {{NULL}, "What is my cat called?", "I know nothing", NULL},
        {{NULL},
         "My cat is called Pishi",
         "I will remember that: \"My cat is called Pishi\"",
         NULL},
        {{NULL}, "When I was young, I lived in Rome.", "I will remember", NULL},
        {{NULL}, "Hello", "Hello. Tell me something", NULL},
        {{NULL}, "?", "I know nothing", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof dialogs / sizeof *dialogs; i++) {
        char *said = answer(dialogs[i].told, dialogs[i].asked, true);
        if (!strstr(said, dialogs[i].expected))
            fail_msg("\"%s\" was answered by: %s", dialogs[i].asked, said);
        if (dialogs[i].never && strstr(said, dialogs[i].never))
            fail_msg("\"%s\" was answered by: %s", dialogs[i].asked, said);
        free(said);
    }
}

static void
the_newest_of_equals_stands_first(void **state)
{
    (void)state;
    const char *const told[] = {"My phone is red", "My phone is blue", "My phone is green",
                                "My phone is white", NULL};
    char *said = answer(told, "Which color is my phone?", true);
    const char *white = strstr(said, "white"), *green = strstr(said, "green");
    assert_non_null(white);
    assert_true(white < green);
    assert_null(strstr(said, "red"));
    free(said);
}

static void
a_statement_of_one_conversation_is_not_promised_for_longer(void **state)
{
    (void)state;
    const char *const nothing[] = {NULL};
    char *said = answer(nothing, "The meeting is on Thursday", false);
    assert_non_null(strstr(said, "for this conversation"));
    free(said);
}

static void
the_same_statement_is_cited_once(void **state)
{
    (void)state;
    const char *const told[] = {"#My cat is called Pishi", "My cat is called Pishi", NULL};
    char *said = answer(told, "What is my cat called?", true);
    assert_null(strstr(strstr(said, "Pishi") + 1, "Pishi"));
    free(said);
}

static void
long_and_broken_texts_are_cut_between_characters(void **state)
{
    (void)state;
    struct buffer text;
    buffer_init(&text);
    buffer_append_string(&text, "My cat ");
    for (int i = 0; i < 20000; i++)
        buffer_append_string(&text, "é");
    buffer_append_byte(&text, '\0');
    const char *const told[] = {(const char *)text.data, "\xff\xfe\xf0 cat", NULL};
    char *said = answer(told, "My cat?", true);
    assert_true(strlen(said) < 1000);
    char *echoed = answer(told + 2, (const char *)text.data, true);
    assert_true(text_is_utf8(text_of(echoed)));
    free(echoed);
    free(said);
    buffer_clear(&text);
}

static void
a_text_is_cut_at_a_character(void **state)
{
    (void)state;
    assert_int_equal(text_cut(text_of("aé"), 2).size, 1);
    assert_int_equal(text_cut(text_of("aé"), 3).size, 3);
    assert_int_equal(text_cut(text_of(""), 3).size, 0);
}

static void
words_that_mean_the_same_meet(void **state)
{
    static const char *const pairs[][2] = {
        {"called", "calls"}, {"meeting", "meetings"}, {"live", "living"}, {"cities", "city"},
        {"running", "run"},  {"Cats", "cat"},         {"boxes", "boxe"},  {"names", "named"}};
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct keywords a, b;
        keywords_of(&a, text_of(pairs[i][0]));
        keywords_of(&b, text_of(pairs[i][1]));
        if (a.count != 1 || b.count != 1 || a.stems[0] != b.stems[0])
            fail_msg("%s and %s do not meet", pairs[i][0], pairs[i][1]);
    }
}

static void
words_that_say_nothing_are_left_out(void **state)
{
    (void)state;
    static const char *const empty[] = {"a",  "am",  "any",   "anything", "what",     "is",
                                        "my", "the", "hello", "hi",       "remember", "recall",
                                        "re", "s",   "yours", "your",     "who's",    "thanks"};
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        struct keywords words;
        keywords_of(&words, text_of(empty[i]));
        if (words.count != 0)
            fail_msg("%s counts", empty[i]);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_are_answered_from_what_was_told),
        cmocka_unit_test(the_newest_of_equals_stands_first),
        cmocka_unit_test(a_statement_of_one_conversation_is_not_promised_for_longer),
        cmocka_unit_test(the_same_statement_is_cited_once),
        cmocka_unit_test(long_and_broken_texts_are_cut_between_characters),
        cmocka_unit_test(a_text_is_cut_at_a_character),
        cmocka_unit_test(words_that_mean_the_same_meet),
        cmocka_unit_test(words_that_say_nothing_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
