/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture_memory.h"

#include <stdio.h>

#include "actors/memory/memory.h"

struct service_fixture *
memory_open(const char *edition)
{
    struct service_fixture *f = service_new(&memory_service);
    struct error error = ERROR_INIT;
    char assignment[64];
    f->call_result = STATUS_UNAVAILABLE; /* it calls nobody */
    snprintf(assignment, sizeof assignment, "edition=%s", edition);
    assert_int_equal(config_apply_argument(f->config, assignment, &error), STATUS_OK);
    if (service_start(f, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return f;
}

int
memory_setup(void **state)
{
    *state = memory_open("business");
    return 0;
}

int
memory_teardown(void **state)
{
    struct service_fixture *f = *state;
    service_close(&f);
    return 0;
}

const char *
memory_store(struct service_fixture *f, const char *agent, const char *content,
             char id[static UUID_TEXT_SIZE])
{
    char json[1024];
    snprintf(json, sizeof json, "{\"agent_id\":\"%s\",\"content\":\"%s\"}", agent, content);
    const struct sent_reply *answer = service_ask(f, "memory_store", json);
    if (answer->status != STATUS_OK)
        fail_msg("%s", reply_json(answer));
    snprintf(id, UUID_TEXT_SIZE, "%.*s", TEXT_ARGS(reply_text(answer, "memory_id")));
    return id;
}

const char *
memory_search(struct service_fixture *f, const char *agent, const char *query)
{
    char json[1024];
    snprintf(json, sizeof json, "{\"agent_id\":\"%s\",\"query\":\"%s\"}", agent, query);
    const struct sent_reply *answer = service_ask(f, "memory_query", json);
    if (answer->status != STATUS_OK)
        fail_msg("%s", reply_json(answer));
    return reply_json(answer);
}

size_t
memory_result_count(const struct sent_reply *answer)
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
    assert_true(value_parse(buffer_bytes(&f->replies[0].payload), &list));
    struct entries entries = value_entries(&list);
    if (entries_next(&entries, &result) && value_find(&result, "memory", &memory))
        value_find_text(&memory, "content", &content);
    return content;
}
