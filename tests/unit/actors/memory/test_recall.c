/* SPDX-License-Identifier: Apache-2.0 */
/* Is what was told found again among much that is unrelated? Through the whole service. */
#include "fixture_memory.h"

#include <stdio.h>

#define AGENT "agent:kasra"

/* 10 × 20 sentences, none about what is asked below. */
static void
store_unrelated(struct service_fixture *f)
{
    static const char *const who[] = {"The minister", "A gardener",  "Our neighbour", "The crew",
                                      "My teacher",   "The council", "A violinist",   "The baker",
                                      "His brother",  "The museum"};
    static const char *const what[] = {
        "is planning a bridge over the river",
        "said what the weather will be tomorrow",
        "bought copper pipes for the kitchen",
        "is reading a book about glaciers",
        "wants to know when the film begins",
        "has painted the fence green again",
        "lost a wallet on the tram",
        "is what people call a perfectionist",
        "cooks soup with ginger and lime",
        "is my favourite subject of gossip",
        "repaired the engine of an old tractor",
        "asked what my opinion of jazz is",
        "moved the piano to the second floor",
        "was called to the office at noon",
        "collects stamps from Mongolia",
        "signed the contract on Tuesday",
        "measured the depth of the well",
        "is allergic to peanuts and pollen",
        "planted tulips along the road",
        "won the chess match in forty moves",
    };
    char sentence[256], id[UUID_TEXT_SIZE];
    for (size_t i = 0; i < 200; i++) {
        snprintf(sentence, sizeof sentence, "%s %s", who[i % 10], what[i / 10]);
        memory_store(f, AGENT, sentence, id);
    }
}

static void
what_was_told_comes_first_among_two_hundred_others(void **state)
{
    struct service_fixture *f = *state;
    static const char *const pairs[][2] = {
        {"My cat is called Pishi", "What is my cat called?"},
        {"The harbour closes at nine", "When does the harbour close?"},
        {"I live in Lisbon, near the castle", "where do I live"},
        {"Sara's birthday is on the 3rd of May", "When is Sara's birthday?"},
        {"I prefer tea without sugar", "Do I like sugar in my tea?"},
        {"The wifi password of the cabin is moonlight-42", "what's the cabin wifi pasword"},
        {"My sister works as a cardiologist in Oslo", "What does my sister do for work?"},
        {"Deploys happen every Thursday at 16:00", "when do we deploy"},
        {"Meine Katze heißt Minka", "Wie heißt meine Katze?"},
        {"Мою собаку зовут Рекс", "Как зовут мою собаку?"},
        {"اسم گربه من پیشی است", "اسم گربه من چیست؟"},
        {"私の犬の名前はポチです", "犬の名前は何ですか"},
    };
    enum { PAIRS = sizeof pairs / sizeof pairs[0] };
    char id[UUID_TEXT_SIZE];
    for (size_t i = 0; i < PAIRS / 2; i++)
        memory_store(f, AGENT, pairs[i][0], id);
    store_unrelated(f);
    for (size_t i = PAIRS / 2; i < PAIRS; i++)
        memory_store(f, AGENT, pairs[i][0], id);

    for (size_t i = 0; i < PAIRS; i++) {
        struct text first = memory_first(f, AGENT, pairs[i][1]);
        if (!text_equal_string(first, pairs[i][0]))
            fail_msg("%s: found %.*s", pairs[i][1], TEXT_ARGS(first));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_told_comes_first_among_two_hundred_others,
                                        memory_setup, memory_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
