/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/answer.h"

#include "kernel/clock.h"
#include "kernel/pack.h"

void
answer_id(struct buffer *out, const struct uuid *id)
{
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    pack_string(out, text);
}

static void
pack_time(struct buffer *out, const char *key, uint64_t wall_us)
{
    char text[TIMESTAMP_TEXT_SIZE];
    timestamp_format(wall_us, text);
    pack_pair_string(out, key, text);
}

static void
pack_embedding(struct buffer *out, const struct embedding *embedding)
{
    pack_string(out, "embedding");
    pack_array(out, EMBEDDING_DIMENSIONS);
    for (size_t i = 0; i < EMBEDDING_DIMENSIONS; i++)
        pack_double(out, (double)embedding->values[i]);
}

void
answer_memory(struct buffer *out, const struct answer_memory *memory,
              const struct embedding *embedding)
{
    const struct record *record = memory->record;
    pack_map(out, embedding ? 11 : 10);
    pack_string(out, "id");
    answer_id(out, memory->id);
    pack_pair_text(out, "content", record->content);
    pack_pair_string(out, "memory_type", memory_type_word(record->type));
    pack_pair_text(out, "agent_id", record->agent_id);
    pack_pair_double(out, "importance", record->importance);
    pack_pair_uint(out, "access_count", memory->access.count);
    pack_time(out, "created_at", record->created_us);
    if (memory->access.count > 0)
        pack_time(out, "accessed_at", memory->access.accessed_us);
    else
        pack_pair_nil(out, "accessed_at");
    pack_pair_raw(out, "metadata", record->metadata);
    pack_string(out, "relations");
    pack_array(out, 0);
    if (embedding)
        pack_embedding(out, embedding);
}

void
answer_result(struct buffer *out, const struct answer_memory *memory, double similarity,
              const struct query_words *words)
{
    struct text pieces[HIGHLIGHTS_MAX];
    size_t count = highlight(words, memory->record->content, pieces);
    pack_map(out, 3);
    pack_string(out, "memory");
    answer_memory(out, memory, NULL);
    pack_pair_double(out, "similarity", similarity);
    pack_string(out, "highlights");
    pack_array(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        pack_text(out, pieces[i]);
}

void
answer_short_result(struct buffer *out, const struct answer_memory *memory, double similarity)
{
    pack_map(out, 4);
    pack_string(out, "id");
    answer_id(out, memory->id);
    pack_pair_text(out, "content", memory->record->content);
    pack_pair_raw(out, "metadata", memory->record->metadata);
    pack_pair_double(out, "score", similarity);
}

void
answer_figures(struct buffer *out, const struct memories_figures *figures,
               const struct text *agent_id, size_t memories_max, uint64_t store_bytes)
{
    pack_map(out, agent_id ? 10 : 11);
    if (agent_id) {
        pack_pair_text(out, "agent_id", *agent_id);
    } else {
        pack_pair_nil(out, "agent_id");
        pack_pair_uint(out, "agents", figures->agents);
    }
    pack_pair_uint(out, "memories", figures->memories);
    pack_string(out, "by_type");
    pack_map(out, MEMORY_TYPES);
    for (unsigned i = 0; i < MEMORY_TYPES; i++)
        pack_pair_uint(out, memory_type_word((enum memory_type)i), figures->by_type[i]);
    pack_pair_uint(out, "bytes", figures->content_bytes);
    pack_pair_uint(out, "vectors", figures->memories);
    pack_pair_uint(out, "dimensions", EMBEDDING_DIMENSIONS);
    pack_pair_uint(out, "terms", figures->terms);
    pack_pair_uint(out, "index_bytes", figures->index_bytes);
    pack_pair_uint(out, "store_bytes", store_bytes);
    pack_pair_uint(out, "memories_max", memories_max);
}
