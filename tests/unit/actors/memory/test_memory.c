/* SPDX-License-Identifier: Apache-2.0 */
/* The handlers, through the runtime's dispatch. */
#include "fixture_memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/memory/record.h"

#define AGENT "agent:kasra"

static void
says(const struct sent_reply *answer, const char *part)
{
    if (!strstr(reply_json(answer), part))
        fail_msg("%s does not hold %s", reply_json(answer), part);
}

static const struct sent_reply *
call_with_id(struct service_fixture *f, const char *type, const char *id, const char *more)
{
    char json[512];
    snprintf(json, sizeof json, "{\"id\":\"%s\"%s}", id, more);
    return service_ask(f, type, json);
}

static void
a_stored_memory_can_be_read(void **state)
{
    struct service_fixture *f = *state;
    const struct sent_reply *answer = service_ask(
        f, "memory_store",
        "{\"agent_id\":\"agent:kasra\",\"content\":\"The harbour closes at nine\","
        "\"memory_type\":\"fact\",\"importance\":0.9,\"metadata\":{\"place\":\"harbour\"}}");
    assert_int_equal(answer->status, STATUS_OK);
    says(answer, "\"success\":true,\"extracted_facts\":[],\"related_memories\":[]");
    char id[UUID_TEXT_SIZE];
    snprintf(id, sizeof id, "%.*s", TEXT_ARGS(reply_text(answer, "memory_id")));

    answer = call_with_id(f, "memory_get", id, "");

    assert_int_equal(answer->status, STATUS_OK);
    assert_true(text_equal_string(reply_text(answer, "id"), id));
    says(answer, "\"content\":\"The harbour closes at nine\",\"memory_type\":\"fact\","
                 "\"agent_id\":\"agent:kasra\",\"importance\":0.9,\"access_count\":1,"
                 "\"created_at\":\"2026-01-01T00:00:00.000000Z\","
                 "\"accessed_at\":\"2026-01-01T00:00:00.000000Z\","
                 "\"metadata\":{\"place\":\"harbour\"},\"relations\":[]}");
    f->now.wall_us += 1000000;
    says(call_with_id(f, "memory_get", id, ""),
         "\"access_count\":2,\"created_at\":\"2026-01-01T00:00:00.000000Z\","
         "\"accessed_at\":\"2026-01-01T00:00:01.000000Z\"");
    assert_null(strstr(reply_json(&f->replies[0]), "embedding"));
    says(call_with_id(f, "memory_get", id, ",\"embedding\":true"), "\"embedding\":[");
    says(&f->replies[0], "\"access_count\":3");
}

static void
a_search_gives_memory_similarity_and_highlights(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE];
    memory_store(f, AGENT, "It rains. My cat is called Pishi. Bread is good.", id);
    memory_store(f, AGENT, "The train leaves at noon", id);
    memory_search(f, AGENT, "what is my cat called");
    const struct sent_reply *answer = &f->replies[0];
    says(answer, "[{\"memory\":{\"id\":\"");
    says(answer, "\"access_count\":0,");
    says(answer, "\"accessed_at\":null,");
    says(answer, "\"relations\":[]},\"similarity\":0.");
    says(answer, "\"highlights\":[\"My cat is called Pishi.\"]}");
    assert_true(text_equal_string(memory_first(f, AGENT, "when does the train leave"),
                                  "The train leaves at noon"));
}

static void
a_search_counts_as_no_access_but_shows_the_count(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE];
    memory_store(f, AGENT, "lighthouse", id);
    call_with_id(f, "memory_get", id, "");
    memory_search(f, AGENT, "lighthouse");
    memory_search(f, AGENT, "lighthouse");
    says(&f->replies[0], "\"access_count\":1,");
}

static void
agents_are_strictly_apart(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE];
    memory_store(f, "agent:a", "the vault opens with 4711", id);
    memory_store(f, "agent:b", "the vault is closed on Sunday", id);
    service_ask(f, "memory_add", "{\"content\":\"the vault belongs to all\"}");

    memory_search(f, "agent:b", "vault 4711");
    assert_int_equal(memory_result_count(&f->replies[0]), 1);
    assert_null(strstr(reply_json(&f->replies[0]), "4711"));
    assert_string_equal(memory_search(f, "agent:c", "vault 4711"), "[]");
    const struct sent_reply *answer =
        service_ask(f, "memory_query", "{\"query\":\"vault 4711\",\"min_similarity\":-1}");
    assert_null(strstr(reply_json(answer), "4711"));
    answer = service_ask(f, "memory_store",
                         "{\"agent_id\":\"agent:c\",\"content\":\"the vault opens with 4711\"}");
    says(answer, "\"related_memories\":[]");
}

static void
an_agent_reads_and_deletes_its_own_only(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE], shared[UUID_TEXT_SIZE];
    memory_store(f, "agent:a", "mine", id);
    const struct sent_reply *answer = service_ask(f, "memory_add", "{\"content\":\"everybody's\"}");
    snprintf(shared, sizeof shared, "%.*s", TEXT_ARGS(reply_text(answer, "id")));

    f->source = "agent:b";
    assert_int_equal(call_with_id(f, "memory_get", id, "")->status, STATUS_FORBIDDEN);
    assert_null(strstr(reply_json(&f->replies[0]), "mine"));
    assert_int_equal(call_with_id(f, "memory_delete", id, "")->status, STATUS_FORBIDDEN);
    assert_int_equal(call_with_id(f, "memory_get", shared, "")->status, STATUS_OK);
    f->source = "agent:a";
    says(call_with_id(f, "memory_get", id, ""), "\"access_count\":1,");
    says(call_with_id(f, "memory_delete", id, ""), "{\"deleted\":true}");
}

static void
related_memories_are_the_three_most_alike(void **state)
{
    struct service_fixture *f = *state;
    char ids[5][UUID_TEXT_SIZE];
    memory_store(f, AGENT, "the harbour closes at nine", ids[0]);
    memory_store(f, AGENT, "flour makes bread", ids[1]);
    memory_store(f, AGENT, "the harbour closes at ten", ids[2]);
    memory_store(f, AGENT, "the harbour closes at eight", ids[3]);
    memory_store(f, AGENT, "the harbour closes at nine", ids[4]);
    const struct sent_reply *answer = &f->replies[0];

    char expected[64];
    snprintf(expected, sizeof expected, "\"related_memories\":[\"%s\",", ids[0]);
    says(answer, expected);
    says(answer, ids[2]);
    says(answer, ids[3]);
    assert_null(strstr(reply_json(answer), ids[1]));
}

static void
the_short_form_is_about_shared_memories(void **state)
{
    struct service_fixture *f = *state;
    const struct sent_reply *answer = service_ask(
        f, "memory_add", "{\"content\":\"shared lighthouse note\",\"metadata\":{\"n\":1}}");
    assert_int_equal(answer->status, STATUS_OK);
    says(answer, "\"status\":\"stored\"}");
    char id[UUID_TEXT_SIZE], expected[256];
    snprintf(id, sizeof id, "%.*s", TEXT_ARGS(reply_text(answer, "id")));

    answer = service_ask(f, "memory_query", "{\"query\":\"lighthouse note\"}");

    snprintf(expected, sizeof expected,
             "{\"results\":[{\"id\":\"%s\",\"content\":\"shared lighthouse note\","
             "\"metadata\":{\"n\":1},\"score\":0.",
             id);
    says(answer, expected);
    says(call_with_id(f, "memory_get", id, ""), "\"agent_id\":\"shared\"");
}

static void
a_deleted_memory_is_gone_and_deleting_it_again_says_so(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE];
    memory_store(f, AGENT, "harbour", id);
    call_with_id(f, "memory_get", id, "");

    assert_string_equal(reply_json(call_with_id(f, "memory_delete", id, "")), "{\"deleted\":true}");

    assert_string_equal(reply_json(call_with_id(f, "memory_delete", id, "")),
                        "{\"deleted\":false}");
    assert_string_equal(reply_json(call_with_id(f, "memory_delete", "nonsense", "")),
                        "{\"deleted\":false}");
    assert_string_equal(memory_search(f, AGENT, "harbour"), "[]");
    assert_int_equal(call_with_id(f, "memory_get", id, "")->status, STATUS_NOT_FOUND);
    assert_string_equal(reply_error(&f->replies[0]).word, "memory_not_found");
}

static void
unknown_and_foreign_ids_are_not_found(void **state)
{
    struct service_fixture *f = *state;
    static const char *const ids[] = {"nonsense", "..", "0190a000-0000-7000-8000-000000000000"};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_int_equal(call_with_id(f, "memory_get", ids[i], "")->status, STATUS_NOT_FOUND);
        assert_string_equal(reply_error(&f->replies[0]).word, "memory_not_found");
    }
}

static void
requests_of_one_batch_see_each_other(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE], json[128];
    memory_store(f, AGENT, "harbour", id);
    snprintf(json, sizeof json, "{\"id\":\"%s\"}", id);
    service_forget(f);
    struct uuid ids[7];
    ids[0] = service_post(f, "memory_get", json);
    ids[1] = service_post(f, "memory_get", json);
    ids[2] =
        service_post(f, "memory_query", "{\"agent_id\":\"agent:kasra\",\"query\":\"harbour\"}");
    ids[3] = service_post(f, "memory_delete", json);
    ids[4] = service_post(f, "memory_get", json);
    ids[5] = service_post(f, "memory_delete", json);
    ids[6] =
        service_post(f, "memory_query", "{\"agent_id\":\"agent:kasra\",\"query\":\"harbour\"}");
    service_run(f);

    for (size_t i = 0; i < 7; i++)
        assert_int_equal(service_replies_to(f, &ids[i]), 1);
    says(service_find_reply(f, &ids[0]), "\"access_count\":1,");
    says(service_find_reply(f, &ids[1]), "\"access_count\":2,");
    says(service_find_reply(f, &ids[2]), "\"access_count\":2,");
    says(service_find_reply(f, &ids[3]), "true");
    assert_int_equal(service_status(f, &ids[4]), STATUS_NOT_FOUND);
    says(service_find_reply(f, &ids[5]), "false");
    assert_string_equal(reply_json(service_find_reply(f, &ids[6])), "[]");
    assert_null(dispatch_failure(f->dispatch));
    assert_string_equal(f->last_error, "");
}

static void
fields_out_of_bounds_are_refused_and_nothing_is_kept(void **state)
{
    struct service_fixture *f = *state;
    static const char *const rows[][3] = {
        {"memory_store", "{\"agent_id\":\"a\"}", "content"},
        {"memory_store", "{\"agent_id\":\"a\",\"content\":\"\"}", "content"},
        {"memory_store", "{\"content\":\"x\"}", "agent_id"},
        {"memory_store", "{\"agent_id\":\"a\",\"content\":\"x\",\"importance\":1.5}", "importance"},
        {"memory_store", "{\"agent_id\":\"a\",\"content\":\"x\",\"memory_type\":\"dream\"}",
         "memory_type"},
        {"memory_store", "{\"agent_id\":\"a\",\"content\":\"x\",\"metadata\":[]}", "metadata"},
        {"memory_store",
         "{\"agent_id\":\"a\",\"content\":\"x\",\"metadata\":{\"k\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]"
         "]]}}",
         "metadata"},
        {"memory_add", "{}", "content"},
        {"memory_add", "{\"content\":\"x\",\"metadata\":{\"k\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}}",
         "metadata"},
        {"memory_query", "{\"agent_id\":\"a\"}", "query"},
        {"memory_query", "{\"query\":\"x\",\"limit\":0}", "limit"},
        {"memory_query", "{\"query\":\"x\",\"limit\":101}", "limit"},
        {"memory_query", "{\"query\":\"x\",\"min_similarity\":2}", "min_similarity"},
        {"memory_query", "{\"query\":\"x\",\"memory_types\":[\"dream\"]}", "memory_types"},
        {"memory_get", "{}", "id"},
        {"memory_delete", "{}", "id"},
        {"memory_stats", "{\"agent_id\":7}", "agent_id"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct sent_reply *answer = service_ask(f, rows[i][0], rows[i][1]);
        assert_int_equal(answer->status, STATUS_VALIDATION);
        assert_non_null(strstr(reply_error(answer).field, rows[i][2]));
    }
    says(service_ask(f, "memory_stats", "{}"), "\"memories\":0,");
}

static void
stats_count_one_agent_or_all(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE];
    memory_store(f, "agent:a", "red door", id);
    memory_store(f, "agent:b", "red", id);
    service_ask(f, "memory_store",
                "{\"agent_id\":\"agent:b\",\"content\":\"blue\",\"memory_type\":\"skill\"}");

    says(service_ask(f, "memory_stats", "{\"agent_id\":\"agent:b\"}"),
         "{\"agent_id\":\"agent:b\",\"memories\":2,\"by_type\":{\"engram\":1,\"fact\":0,"
         "\"episode\":0,\"skill\":1,\"context\":0},\"bytes\":7,\"vectors\":2,\"dimensions\":384,"
         "\"terms\":2,\"index_bytes\":");
    says(service_ask(f, "memory_stats", "{}"), "{\"agent_id\":null,\"agents\":2,\"memories\":3,");
    says(&f->replies[0], "\"memories_max\":100000}");
    says(service_ask(f, "memory_stats", "{\"agent_id\":\"agent:c\"}"), "\"memories\":0,");
}

static void
results_that_no_reply_could_hold_are_left_out(void **state)
{
    struct service_fixture *f = *state;
    char *json = malloc(70000);
    for (int i = 0; i < 6; i++) {
        int at = snprintf(json, 70000, "{\"agent_id\":\"a\",\"content\":\"harbour %d ", i);
        memset(json + at, 'x', 60000);
        snprintf(json + at + 60000, 70000 - (size_t)at - 60000, "\"}");
        assert_int_equal(service_ask(f, "memory_store", json)->status, STATUS_OK);
    }
    free(json);
    memory_search(f, "a", "harbour");
    assert_int_equal(memory_result_count(&f->replies[0]), 4);
}

/* What can fail is tried at its first, second … access to the store, until it passes: each refusal
 * leaves everything as it was. */
static void
sweep_faults(struct service_fixture *f, const char *type, const char *json, int faults,
             enum status refusal)
{
    struct buffer before;
    buffer_init(&before);
    buffer_append_string(&before, reply_json(service_ask(f, "memory_stats", "{}")));
    buffer_append_byte(&before, 0);
    for (int i = 0; i < faults; i++) {
        store_fault_after(f->store, i);
        const struct sent_reply *answer = service_ask(f, type, json);
        store_fault_after(f->store, -1);
        f->now.monotonic_us += 2000000; /* the runtime lets a store that failed rest */
        if (answer->status != refusal)
            fail_msg("%s, fault %d: %s", type, i, reply_json(answer));
        assert_null(strstr(reply_json(answer), "injected"));
        assert_string_equal(reply_json(service_ask(f, "memory_stats", "{}")),
                            (const char *)before.data);
        memory_search(f, AGENT, "harbour");
        assert_int_equal(memory_result_count(&f->replies[0]), 1);
        says(&f->replies[0], "\"access_count\":0,");
    }
    buffer_clear(&before);
    store_fault_after(f->store, faults);
    assert_int_equal(service_ask(f, type, json)->status, STATUS_OK);
    store_fault_after(f->store, -1);
}

static void
a_failing_store_changes_nothing_and_is_told(void **state)
{
    (void)state;
    const struct {
        const char *type, *json; /* NULL: the id of the memory */
        int faults;              /* accesses to the store */
        enum status refusal;
    } rows[] = {
        {"memory_stats", "{}", 0, STATUS_OK},
        {"memory_query", "{\"agent_id\":\"agent:kasra\",\"query\":\"harbour\"}", 2,
         STATUS_RETRIEVAL_FAILED},
        {"memory_store", "{\"agent_id\":\"agent:kasra\",\"content\":\"x\"}", 1,
         STATUS_STORE_FAILED},
        {"memory_add", "{\"content\":\"x\"}", 1, STATUS_STORE_FAILED},
        {"memory_get", NULL, 3, STATUS_STORE_FAILED},
        {"memory_delete", NULL, 2, STATUS_STORE_FAILED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char id[UUID_TEXT_SIZE], json[64];
        struct service_fixture *f = memory_open("business");
        memory_store(f, AGENT, "the harbour closes at nine", id);
        snprintf(json, sizeof json, "{\"id\":\"%s\"}", id);
        sweep_faults(f, rows[i].type, rows[i].json ? rows[i].json : json, rows[i].faults,
                     rows[i].refusal);
        service_close(&f);
    }
}

static void
a_restart_answers_the_same(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE], content[64];
    for (int i = 0; i < 60; i++) {
        snprintf(content, sizeof content, "note %d about %s", i, i % 2 ? "ships" : "rope");
        memory_store(f, i % 3 ? AGENT : "agent:b", content, id);
        if (i % 4 == 0)
            call_with_id(f, "memory_get", id, "");
        if (i % 5 == 0)
            call_with_id(f, "memory_delete", id, "");
    }
    static const char *const queries[] = {"ships", "note about rope", "7", "shipp"};
    char *before[4];
    for (size_t i = 0; i < 4; i++)
        before[i] = strdup(memory_search(f, AGENT, queries[i]));
    struct error error = ERROR_INIT;

    assert_int_equal(service_start(f, &error), STATUS_OK);

    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(memory_search(f, AGENT, queries[i]), before[i]);
        assert_true(memory_result_count(&f->replies[0]) > 0);
        free(before[i]);
    }
}

static void
write_row(struct service_fixture *f, store_space space, const char *key, size_t key_size,
          struct bytes value)
{
    struct store_batch *batch = store_batch_new();
    assert_int_equal(store_batch_add(batch, STORE_PUT, space,
                                     (struct bytes){(const uint8_t *)key, key_size}, value),
                     STATUS_OK);
    assert_int_equal(store_commit(f->store, batch, NULL), STATUS_OK);
    store_batch_destroy(&batch);
}

static void
a_bad_row_is_named_at_start(void **state)
{
    (void)state;
    static const struct {
        store_space space;
        size_t key_size;
        struct bytes value;
        const char *words;
    } rows[] = {
        {SPACE_MEMORIES, 16, {(const uint8_t *)"\x93\x01", 2}, "row 6161"},
        {SPACE_MEMORIES, 15, {(const uint8_t *)"\xc0", 1}, "a key of 15 bytes"},
        {SPACE_ACCESSES,
         16,
         {(const uint8_t *)"\x93\x01\x01\x01", 4},
         "a memory that is not there"},
        {9, 16, {(const uint8_t *)"\xc0", 1}, "space 9"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct error error = ERROR_INIT;
        struct service_fixture *f = memory_open("business");
        write_row(f, rows[i].space, "aaaaaaaaaaaaaaaa", rows[i].key_size, rows[i].value);
        assert_int_equal(service_start(f, &error), STATUS_INVALID);
        if (!strstr(error.message, rows[i].words))
            fail_msg("%s, expected %s", error.message, rows[i].words);
        service_close(&f);
    }
}

static void
fill(struct service_fixture *f, size_t count)
{
    static const uint8_t empty_map[] = {0x80};
    const struct record record = {.agent_id = text_of("agent:b"),
                                  .content = text_of("x"),
                                  .metadata = {empty_map, sizeof empty_map}};
    struct buffer row;
    buffer_init(&row);
    record_encode(&record, &row);
    struct store_batch *batch = store_batch_new();
    for (size_t i = 0; i < count; i++) {
        const uint8_t key[16] = {[14] = (uint8_t)(i >> 8), [15] = (uint8_t)i};
        store_batch_add(batch, STORE_PUT, SPACE_MEMORIES, (struct bytes){key, 16},
                        buffer_bytes(&row));
    }
    assert_int_equal(store_commit(f->store, batch, NULL), STATUS_OK);
    store_batch_destroy(&batch);
    buffer_clear(&row);
}

static void
an_edition_keeps_as_many_as_it_says(void **state)
{
    (void)state;
    struct error error = ERROR_INIT;
    char id[UUID_TEXT_SIZE];
    struct service_fixture *f = memory_open("education");
    fill(f, 9999);
    assert_int_equal(service_start(f, &error), STATUS_OK);
    memory_store(f, AGENT, "the last one", id);

    const struct sent_reply *answer =
        service_ask(f, "memory_store", "{\"agent_id\":\"agent:a\",\"content\":\"x\"}");
    assert_int_equal(answer->status, STATUS_MEMORY_FULL);
    assert_non_null(strstr(reply_error(answer).message, "10000"));
    assert_int_equal(service_ask(f, "memory_add", "{\"content\":\"x\"}")->status,
                     STATUS_MEMORY_FULL);
    struct buffer checks;
    bool degraded = false;
    buffer_init(&checks);
    assert_int_equal(f->service->health(dispatch_context(f->dispatch), &checks, &degraded), 2);
    assert_true(degraded);
    buffer_clear(&checks);
    call_with_id(f, "memory_delete", id, "");
    memory_store(f, AGENT, "room again", id);
    service_close(&f);
}

static void
kids_have_no_lasting_memory(void **state)
{
    (void)state;
    struct service_fixture *f = memory_open("kids");
    const struct sent_reply *answer =
        service_ask(f, "memory_store", "{\"agent_id\":\"agent:a\",\"content\":\"x\"}");
    assert_int_equal(answer->status, STATUS_FORBIDDEN);
    assert_string_equal(reply_error(answer).word, "memory_disabled");
    assert_string_equal(memory_search(f, AGENT, "x"), "[]");
    service_close(&f);
}

static enum status
store_one(struct service_fixture *f)
{
    return service_ask(f, "memory_store", "{\"agent_id\":\"agent:a\",\"content\":\"x\"}")->status;
}

static void
follow_policy(struct service_fixture *f, const char *features, const char *quotas)
{
    char json[256];
    snprintf(json, sizeof json, "{\"edition\":\"business\",\"features\":{%s},\"quotas\":{%s}}",
             features, quotas);
    service_pass(f, 30 * 1000);
    service_answer(f, service_call(f, "policy"), STATUS_OK, json);
}

static void
the_policy_decides_how_many_are_kept(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE];
    f->has_policy = true;
    f->call_result = STATUS_OK;
    memory_store(f, AGENT, "harbour", id);
    assert_int_equal(store_one(f), STATUS_OK);
    follow_policy(f, "\"persistent_memory\":true", "\"memories_max\":1");
    assert_int_equal(store_one(f), STATUS_MEMORY_FULL);
    assert_contains(memory_search(f, AGENT, "harbour"), "harbour");
    follow_policy(f, "", "\"memories_max\":3");
    assert_int_equal(store_one(f), STATUS_OK);
    assert_int_equal(store_one(f), STATUS_MEMORY_FULL);
    follow_policy(f, "\"persistent_memory\":false", "\"memories_max\":9");
    assert_int_equal(store_one(f), STATUS_FORBIDDEN);
    follow_policy(f, "", "");
    assert_int_equal(store_one(f), STATUS_OK);
}

static void
health_and_metrics_tell_how_it_goes(void **state)
{
    struct service_fixture *f = *state;
    char id[UUID_TEXT_SIZE];
    memory_store(f, AGENT, "harbour", id);
    memory_search(f, AGENT, "harbour");
    struct buffer out;
    buffer_init(&out);
    bool degraded = true;
    assert_int_equal(f->service->health(dispatch_context(f->dispatch), &out, &degraded), 2);
    assert_false(degraded);

    buffer_reset(&out);
    metrics_print(context_metrics(dispatch_context(f->dispatch)), &out);
    buffer_append_byte(&out, 0);
    static const char *const lines[] = {
        "sos_embeddings_total{backend=\"local\"} 2\n", "sos_embedding_duration_seconds_count 2\n",
        "sos_vector_searches_total 1\n", "sos_vector_search_duration_seconds_count 1\n"};
    for (size_t i = 0; i < 4; i++)
        assert_non_null(strstr((const char *)out.data, lines[i]));
    buffer_clear(&out);
}

#define HANDLER_TEST(name) cmocka_unit_test_setup_teardown(name, memory_setup, memory_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        HANDLER_TEST(a_stored_memory_can_be_read),
        HANDLER_TEST(a_search_gives_memory_similarity_and_highlights),
        HANDLER_TEST(a_search_counts_as_no_access_but_shows_the_count),
        HANDLER_TEST(agents_are_strictly_apart),
        HANDLER_TEST(an_agent_reads_and_deletes_its_own_only),
        HANDLER_TEST(related_memories_are_the_three_most_alike),
        HANDLER_TEST(the_short_form_is_about_shared_memories),
        HANDLER_TEST(a_deleted_memory_is_gone_and_deleting_it_again_says_so),
        HANDLER_TEST(unknown_and_foreign_ids_are_not_found),
        HANDLER_TEST(requests_of_one_batch_see_each_other),
        HANDLER_TEST(fields_out_of_bounds_are_refused_and_nothing_is_kept),
        HANDLER_TEST(stats_count_one_agent_or_all),
        HANDLER_TEST(results_that_no_reply_could_hold_are_left_out),
        cmocka_unit_test(a_failing_store_changes_nothing_and_is_told),
        HANDLER_TEST(a_restart_answers_the_same),
        cmocka_unit_test(a_bad_row_is_named_at_start),
        cmocka_unit_test(an_edition_keeps_as_many_as_it_says),
        cmocka_unit_test(kids_have_no_lasting_memory),
        HANDLER_TEST(the_policy_decides_how_many_are_kept),
        HANDLER_TEST(health_and_metrics_tell_how_it_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
