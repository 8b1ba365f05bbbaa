/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_memory.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/memory/memory.h"

void
memory_open(struct service_fixture *f, const char *edition)
{
    struct error error = ERROR_INIT;
    char assignment[64];
    service_fixture_open(f, &memory_service);
    snprintf(assignment, sizeof assignment, "edition=%s", edition);
    assert_int_equal(config_apply_argument(f->config, assignment, &error), STATUS_OK);
    if (service_restart(f, &error) != STATUS_OK)
        fail_msg("%s", error.message);
}

int
memory_setup(void **state)
{
    struct service_fixture *f = malloc(sizeof *f);
    memory_open(f, "business");
    *state = f;
    return 0;
}

int
memory_teardown(void **state)
{
    service_fixture_close(*state);
    free(*state);
    return 0;
}

const char *
memory_store(struct service_fixture *f, const char *agent, const char *content,
             char id[static UUID_TEXT_SIZE])
{
    char json[1024];
    snprintf(json, sizeof json, "{\"agent_id\":\"%s\",\"content\":\"%s\"}", agent, content);
    const struct service_answer *answer = service_call(f, "memory_store", json);
    if (answer->status != STATUS_OK)
        fail_msg("%s", answer_json(answer));
    snprintf(id, UUID_TEXT_SIZE, "%.*s", TEXT_ARGS(answer_text(answer, "memory_id")));
    return id;
}

const char *
memory_search(struct service_fixture *f, const char *agent, const char *query)
{
    char json[1024];
    snprintf(json, sizeof json, "{\"agent_id\":\"%s\",\"query\":\"%s\"}", agent, query);
    const struct service_answer *answer = service_call(f, "memory_query", json);
    if (answer->status != STATUS_OK)
        fail_msg("%s", answer_json(answer));
    return answer_json(answer);
}

size_t
memory_result_count(const struct service_answer *answer)
{
    struct value list;
    assert_true(value_parse(buffer_bytes(&answer->payload), &list));
    assert_int_equal(list.type, VALUE_ARRAY);
    return list.as.count;
}

struct text
memory_first(struct service_fixture *f, const char *agent, const char *query)
{
    struct value list, result, memory;
    struct text content = {"", 0};
    memory_search(f, agent, query);
    assert_true(value_parse(buffer_bytes(&f->answers[0].payload), &list));
    struct entries entries = value_entries(&list);
    if (entries_next(&entries, &result) && value_find(&result, "memory", &memory))
        value_find_text(&memory, "content", &content);
    return content;
}
