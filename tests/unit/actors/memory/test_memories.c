/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/memories.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct memories_limits plenty = {1000, 1u << 30};
static const uint8_t empty_map[] = {0x80};

static struct uuid
id_of(unsigned number)
{
    return (struct uuid){{(uint8_t)(number >> 8), (uint8_t)number}};
}

static struct memories *
open_memories(const struct memories_limits *limits, uint8_t key)
{
    struct memories *memories = NULL;
    assert_int_equal(memories_new(&memories, limits, &(struct bm25_key){{key}}), STATUS_OK);
    return memories;
}

static void
put(struct memories *memories, unsigned number, const char *agent, const char *content,
    enum memory_type type)
{
    struct uuid id = id_of(number);
    const struct record record = {.agent_id = text_of(agent),
                                  .content = text_of(content),
                                  .type = type,
                                  .metadata = {empty_map, sizeof empty_map}};
    assert_int_equal(memories_put(memories, &id, &record), STATUS_OK);
}

static void
drop(struct memories *memories, unsigned number)
{
    struct uuid id = id_of(number);
    memories_remove(memories, &id);
}

static size_t
search(const struct memories *memories, struct memories_query query, const char *agent,
       const char *text, struct memories_hit hits[static 16])
{
    struct embedding embedding;
    size_t count = 99;
    assert_int_equal(embedding_make(&embedding, text_of(text)), STATUS_OK);
    query.agent_id = text_of(agent);
    query.text = text_of(text);
    query.embedding = &embedding;
    query.limit = query.limit ? query.limit : 16;
    assert_int_equal(memories_search(memories, &query, hits, &count), STATUS_OK);
    return count;
}

static bool
holds(const struct memories_hit *hits, size_t count, unsigned number)
{
    struct uuid id = id_of(number);
    for (size_t i = 0; i < count; i++)
        if (uuid_equal(&hits[i].id, &id))
            return true;
    return false;
}

static void
an_agent_finds_its_own_memories_and_no_others(void **state)
{
    (void)state;
    struct memories *memories = open_memories(&plenty, 1);
    put(memories, 1, "agent:a", "the red door key", MEMORY_ENGRAM);
    put(memories, 2, "agent:b", "the red door key", MEMORY_ENGRAM);
    put(memories, 3, "agent:ab", "the red door key", MEMORY_ENGRAM);
    struct memories_hit hits[16];

    assert_int_equal(search(memories, (struct memories_query){0}, "agent:a", "red door key", hits),
                     1);
    assert_true(holds(hits, 1, 1));
    assert_int_equal(
        search(memories, (struct memories_query){.has_min_similarity = true, .min_similarity = -1},
               "agent:b", "red door key", hits),
        1);
    assert_true(holds(hits, 1, 2));
    assert_int_equal(search(memories, (struct memories_query){0}, "agent:", "red door", hits), 0);
    assert_int_equal(search(memories, (struct memories_query){0}, "", "red door", hits), 0);
    memories_destroy(&memories);
}

static void
types_similarity_and_limit_choose(void **state)
{
    (void)state;
    struct memories *memories = open_memories(&plenty, 1);
    put(memories, 1, "agent:a", "tie a bowline knot", MEMORY_SKILL);
    put(memories, 2, "agent:a", "a knot in the wood", MEMORY_FACT);
    put(memories, 3, "agent:a", "knot", MEMORY_EPISODE);
    struct memories_hit hits[16];

    assert_int_equal(search(memories, (struct memories_query){.types = 1u << MEMORY_SKILL},
                            "agent:a", "knot", hits),
                     1);
    assert_true(holds(hits, 1, 1));
    assert_int_equal(
        search(memories,
               (struct memories_query){.has_min_similarity = true, .min_similarity = 0.99},
               "agent:a", "knot", hits),
        1);
    assert_true(holds(hits, 1, 3));
    assert_true(hits[0].similarity > 0.99);
    assert_int_equal(search(memories, (struct memories_query){.limit = 2}, "agent:a", "knot", hits),
                     2);
    assert_true(holds(hits, 1, 3));
    memories_destroy(&memories);
}

static void
what_was_removed_is_found_no_more_and_its_slot_is_used_again(void **state)
{
    (void)state;
    struct memories *memories = open_memories(&plenty, 1);
    put(memories, 1, "agent:a", "alpha lighthouse", MEMORY_FACT);
    put(memories, 2, "agent:a", "beta lighthouse", MEMORY_FACT);
    struct memories_figures before, after;
    memories_figures(memories, NULL, &before);

    drop(memories, 1);
    drop(memories, 1);
    struct memories_hit hits[16];
    size_t count = search(memories, (struct memories_query){0}, "agent:a", "alpha", hits);
    assert_false(holds(hits, count, 1));
    put(memories, 3, "agent:a", "gamma lighthouse", MEMORY_FACT);

    count = search(memories, (struct memories_query){0}, "agent:a", "alpha lighthouse", hits);
    assert_int_equal(count, 2);
    assert_false(holds(hits, count, 1));
    assert_true(holds(hits, count, 3));
    memories_figures(memories, NULL, &after);
    assert_int_equal(after.index_bytes, before.index_bytes);
    memories_destroy(&memories);
}

static void
an_agent_without_memories_takes_no_memory(void **state)
{
    (void)state;
    struct memories *memories = open_memories(&plenty, 1);
    put(memories, 1, "agent:a", "one", MEMORY_FACT);
    struct memories_figures with_one, with_two, again;
    memories_figures(memories, NULL, &with_one);
    put(memories, 2, "agent:b", "two", MEMORY_SKILL);
    memories_figures(memories, NULL, &with_two);
    drop(memories, 2);
    memories_figures(memories, NULL, &again);

    assert_int_equal(with_two.agents, 2);
    assert_true(with_two.index_bytes > with_one.index_bytes);
    assert_memory_equal(&again, &with_one, sizeof again);
    memories_destroy(&memories);
}

static void
a_memory_put_again_replaces_the_old_one(void **state)
{
    (void)state;
    struct memories *memories = open_memories(&plenty, 1);
    put(memories, 1, "agent:a", "old words", MEMORY_FACT);
    put(memories, 1, "agent:b", "new words", MEMORY_SKILL);
    struct memories_figures figures;
    memories_figures(memories, NULL, &figures);
    assert_int_equal(figures.memories, 1);
    assert_int_equal(figures.agents, 1);
    assert_int_equal(figures.by_type[MEMORY_SKILL], 1);
    assert_int_equal(figures.by_type[MEMORY_FACT], 0);
    memories_destroy(&memories);
}

/* The one lived: put, removed, slots reused. The other is made from the rows that are left, in the
 * order of their keys and with another hash key: the same hits, in the same order, to the last bit.
 */
static void
a_state_made_again_from_its_rows_answers_the_same(void **state)
{
    (void)state;
    enum { COUNT = 120 };
    char contents[COUNT][64];
    struct memories *lived = open_memories(&plenty, 1), *made = open_memories(&plenty, 2);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(contents[i], sizeof contents[i], "memory of the %u. harbour, %s", i % 7,
                 i % 3 ? "ships and rope" : "nets and salt");
        put(lived, (i * 37) % COUNT, "agent:a", contents[i], (enum memory_type)(i % MEMORY_TYPES));
        if (i % 4 == 3)
            drop(lived, ((i - 2) * 37) % COUNT);
    }
    for (unsigned number = 0; number < COUNT; number++)
        for (unsigned i = 0; i < COUNT; i++)
            if ((i * 37) % COUNT == number && i % 4 != 1)
                put(made, number, "agent:a", contents[i], (enum memory_type)(i % MEMORY_TYPES));

    static const char *const queries[] = {"harbour", "ships", "3 nets", "memory of the",
                                          "memry of rop"};
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct memories_hit a[16] = {0}, b[16] = {0};
        size_t count = search(lived, (struct memories_query){0}, "agent:a", queries[i], a);
        assert_int_equal(search(made, (struct memories_query){0}, "agent:a", queries[i], b), count);
        assert_true(count > 0);
        assert_memory_equal(a, b, count * sizeof a[0]);
    }
    memories_destroy(&lived);
    memories_destroy(&made);
}

static void
alike_memories_are_those_above_the_bound(void **state)
{
    (void)state;
    struct memories *memories = open_memories(&plenty, 1);
    put(memories, 1, "agent:a", "the harbour closes at nine", MEMORY_FACT);
    put(memories, 2, "agent:a", "the harbour closes at ten", MEMORY_FACT);
    put(memories, 3, "agent:a", "bread needs flour", MEMORY_FACT);
    put(memories, 4, "agent:b", "the harbour closes at nine", MEMORY_FACT);
    struct embedding embedding;
    assert_int_equal(embedding_make(&embedding, text_of("the harbour closes at nine")), STATUS_OK);
    struct memories_hit hits[3];
    size_t count;

    assert_int_equal(memories_alike(memories, text_of("agent:a"), &embedding, 0.5, hits, 3, &count),
                     STATUS_OK);

    assert_int_equal(count, 2);
    assert_true(holds(hits, 1, 1));
    assert_true(holds(hits, 2, 2));
    memories_destroy(&memories);
}

static void
alike_memories_are_sought_among_the_newest(void **state)
{
    (void)state;
    enum { NEWEST = 2048 };
    struct memories *memories = open_memories(&plenty, 1);
    struct embedding embedding;
    struct memories_hit hits[3];
    size_t count;
    char content[32];
    put(memories, 0, "agent:a", "the harbour closes at nine", MEMORY_FACT);
    for (unsigned number = 1; number < NEWEST; number++) {
        snprintf(content, sizeof content, "word%u other%u", number, number);
        put(memories, number, "agent:a", content, MEMORY_FACT);
    }
    assert_int_equal(embedding_make(&embedding, text_of("the harbour closes at nine")), STATUS_OK);
    assert_int_equal(memories_alike(memories, text_of("agent:a"), &embedding, 0.5, hits, 3, &count),
                     STATUS_OK);
    assert_int_equal(count, 1);

    put(memories, NEWEST, "agent:a", "one more", MEMORY_FACT);

    assert_int_equal(memories_alike(memories, text_of("agent:a"), &embedding, 0.5, hits, 3, &count),
                     STATUS_OK);
    assert_int_equal(count, 0);
    memories_destroy(&memories);
}

static void
limits_are_named_when_they_are_reached(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    struct memories *memories = open_memories(&(struct memories_limits){2, 1u << 30}, 1);
    put(memories, 1, "agent:a", "one", MEMORY_FACT);
    assert_int_equal(memories_check_room(memories, &error), STATUS_OK);
    put(memories, 2, "agent:a", "two", MEMORY_FACT);
    assert_int_equal(memories_check_room(memories, &error), STATUS_MEMORY_FULL);
    assert_non_null(strstr(error.message, "2 memories"));
    drop(memories, 1);
    assert_int_equal(memories_check_room(memories, &error), STATUS_OK);
    memories_destroy(&memories);

    memories = open_memories(&(struct memories_limits){1000, 1u << 20}, 1);
    char content[32];
    unsigned number = 0;
    while (number < 1000 && memories_check_room(memories, &error) == STATUS_OK) {
        snprintf(content, sizeof content, "word%u other%u", number, number);
        put(memories, number++, "agent:a", content, MEMORY_FACT);
    }
    assert_in_range(number, 100, 700);
    assert_non_null(strstr(error.message, "1 MiB"));
    memories_destroy(&memories);

    memories = open_memories(&(struct memories_limits){0, 1}, 1);
    assert_int_equal(memories_check_room(memories, &error), STATUS_FORBIDDEN);
    assert_string_equal(error.word, "memory_disabled");
    memories_destroy(&memories);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_agent_finds_its_own_memories_and_no_others),
        cmocka_unit_test(types_similarity_and_limit_choose),
        cmocka_unit_test(what_was_removed_is_found_no_more_and_its_slot_is_used_again),
        cmocka_unit_test(an_agent_without_memories_takes_no_memory),
        cmocka_unit_test(a_memory_put_again_replaces_the_old_one),
        cmocka_unit_test(a_state_made_again_from_its_rows_answers_the_same),
        cmocka_unit_test(alike_memories_are_those_above_the_bound),
        cmocka_unit_test(alike_memories_are_sought_among_the_newest),
        cmocka_unit_test(limits_are_named_when_they_are_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
