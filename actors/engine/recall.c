/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/recall.h"

#include "actors/engine/keywords.h"
#include "kernel/clock.h"

static const char source_chat[] = "chat";

void
recall_clear(struct recall *recall)
{
    buffer_clear(&recall->payload);
    recall->count = 0;
}

void
recall_pack_query(struct buffer *out, struct text agent, struct text message)
{
    pack_map(out, 3);
    pack_pair_text(out, "query", text_cut(message, RECALL_QUERY_MAX));
    pack_pair_text(out, "agent_id", agent);
    pack_pair_uint(out, "limit", RECALL_LIMIT);
}

/* ---- reading */

static uint64_t
time_of(const struct value *map, const char *key)
{
    struct text text;
    uint64_t at_us;
    return value_find_text(map, key, &text) && timestamp_parse(text, &at_us) ? at_us : 0;
}

static void
add(struct recall *recall, const struct recalled *item)
{
    for (size_t i = 0; i < recall->count; i++)
        if (item->is_cited && text_equal(recall->items[i].words, item->words))
            return;
    if (recall->count < RECALL_MAX)
        recall->items[recall->count++] = *item;
}

static void
take_citations(struct recall *recall, const struct value *metadata, struct text episode)
{
    struct value cited, entry;
    if (!value_find(metadata, "cited", &cited) || cited.type != VALUE_ARRAY)
        return;
    struct entries entries = value_entries(&cited);
    for (size_t i = 0; i < LOCAL_CITATIONS_MAX && entries_next(&entries, &entry); i++) {
        struct recalled item = {.at_us = time_of(&entry, "at"), .is_cited = true};
        if (!value_find_text(&entry, "id", &item.id) ||
            !value_find_text(&entry, "text", &item.words))
            continue;
        if (text_is_empty(
                item.id)) /* said in the episode's conversation, which need not be this one */
            item.id = episode;
        item.words = text_cut(item.words, RECALL_CONTENT_MAX);
        item.content = item.words;
        add(recall, &item);
    }
}

static void
take_memory(struct recall *recall, const struct value *memory)
{
    struct recalled item = {.at_us = time_of(memory, "created_at")};
    struct value metadata;
    struct text source, user;
    if (!value_find_text(memory, "id", &item.id) ||
        !value_find_text(memory, "content", &item.content))
        return;
    item.content = text_cut(item.content, RECALL_CONTENT_MAX);
    item.words = item.content;
    bool has_metadata = value_find(memory, "metadata", &metadata) && metadata.type == VALUE_MAP;
    bool is_chat = has_metadata && value_find_text(&metadata, "source", &source) &&
                   text_equal_string(source, source_chat) &&
                   value_find_text(&metadata, "user", &user);
    if (is_chat)
        item.words = text_cut(user, RECALL_CONTENT_MAX);
    add(recall, &item);
    if (is_chat)
        take_citations(recall, &metadata, item.id);
}

enum status
recall_read(struct recall *recall, struct bytes answer, struct error *error)
{
    struct value list, entry, memory;
    recall_clear(recall);
    buffer_append(&recall->payload, answer.data, answer.size);
    if (recall->payload.failed) {
        recall_clear(recall);
        return STATUS_NOMEM;
    }
    if (!value_parse(buffer_bytes(&recall->payload), &list) || list.type != VALUE_ARRAY) {
        recall_clear(recall);
        error_set(error, "the memory service gave an answer that is no list of memories");
        return STATUS_RETRIEVAL_FAILED;
    }
    struct entries entries = value_entries(&list);
    for (size_t i = 0; i < RECALL_LIMIT && entries_next(&entries, &entry); i++)
        if (value_find(&entry, "memory", &memory) && memory.type == VALUE_MAP)
            take_memory(recall, &memory);
    return STATUS_OK;
}

/* ---- keeping */

void
recall_pack_citations(struct buffer *out, const struct local_citation *citations, size_t count)
{
    pack_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        char at[TIMESTAMP_TEXT_SIZE];
        timestamp_format(citations[i].at_us, at);
        pack_map(out, 3);
        pack_pair_text(out, "id", citations[i].memory_id);
        pack_pair_text(out, "text", citations[i].words);
        pack_pair_string(out, "at", at);
    }
}

void
recall_pack_episode(struct buffer *out, const struct exchange *exchange)
{
    struct text user = text_cut(exchange->question, RECALL_CONTENT_MAX);
    struct buffer content;
    buffer_init(&content);
    buffer_append_string(&content, "User: ");
    buffer_append_text(&content, user);
    buffer_append_string(&content, "\nAgent: ");
    buffer_append_text(&content, text_cut(exchange->answer, RECALL_CONTENT_MAX));

    pack_map(out, 4);
    pack_pair_text(out, "content", buffer_text(&content));
    pack_pair_text(out, "agent_id", exchange->agent);
    pack_pair_string(out, "memory_type", "episode");
    pack_string(out, "metadata");
    pack_map(out, 4);
    pack_pair_text(out, "conversation_id", exchange->conversation);
    pack_pair_text(out, "user", user);
    pack_pair_string(out, "source", source_chat);
    pack_string(out, "cited");
    recall_pack_citations(out, exchange->citations, exchange->citation_count);
    if (content.failed)
        out->failed = true;
    buffer_clear(&content);
}
