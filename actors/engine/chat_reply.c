/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/chat_core.h"
#include "contracts/engine.h"

const char model_local_id[] = "sos-local";
const char model_mock_id[] = "sos-mock-v1";

const char chat_notice[] =
    "No language model is configured, so I answer only from what you have told me. To use one, set "
    "SOS_OPENAI_BASE_URL and SOS_OPENAI_MODEL to any OpenAI-compatible server, its key in "
    "SOS_OPENAI_API_KEY or in "
    "the file that openai.api_key_file names, and start SOS again.";

const char *
chat_model_id(const struct engine *engine, enum model model)
{
    switch (model) {
    case MODEL_LOCAL:
        return model_local_id;
    case MODEL_MOCK:
        return model_mock_id;
    default:
        return engine->provider.model;
    }
}

bool
chat_says_notice(const struct engine *engine, const struct chat *chat)
{
    return chat->model == MODEL_LOCAL && !engine->provider.is_configured;
}

static const char *
memory_word(const struct chat *chat)
{
    if (!chat->remembers)
        return "off";
    if (chat->recall_lapse.word[0])
        return "unavailable";
    return chat->store_lapse.word[0] ? "not stored" : "ok";
}

static void
pack_recalled(struct buffer *out, const struct chat *chat)
{
    uint32_t count = 0;
    for (size_t i = 0; i < chat->recall.count; i++)
        count += !chat->recall.items[i].is_cited;
    pack_string(out, "recalled");
    pack_array(out, count);
    for (size_t i = 0; i < chat->recall.count; i++)
        if (!chat->recall.items[i].is_cited)
            pack_text(out, chat->recall.items[i].id);
}

static void
pack_failover(struct buffer *out, const struct engine *engine, const struct chat *chat)
{
    pack_string(out, "failed_over");
    pack_map(out, 2);
    pack_pair_string(out, "from", engine->provider.model);
    pack_pair_string(out, "reason", chat->failover.message);
}

static void
pack_metadata(struct buffer *out, const struct engine *engine, const struct request *request,
              const struct chat *chat)
{
    struct buffer pairs;
    uint32_t count = 3;
    buffer_init(&pairs);
    pack_recalled(&pairs, chat);
    pack_pair_string(&pairs, "memory", memory_word(chat));
    pack_pair_bool(&pairs, "tokens_estimated", chat->tokens_estimated);
    const struct {
        bool is_there;
        const char *key, *value;
    } texts[] = {
        {chat->memory_id[0], "memory_id", chat->memory_id},
        {chat->recall_lapse.word[0], "recall_error", chat->recall_lapse.word},
        {chat->store_lapse.word[0], "store_error", chat->store_lapse.word},
        {chat->completion.finish_reason[0], "finish_reason", chat->completion.finish_reason},
        {chat_says_notice(engine, chat), "notice", chat_notice},
        {chat_flag(request, ENGINE_CHAT_TOOLS_ENABLED), "tools", "none"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (!texts[i].is_there)
            continue;
        pack_pair_string(&pairs, texts[i].key, texts[i].value);
        count++;
    }
    if (chat->citation_count > 0) {
        pack_string(&pairs, "cited");
        recall_pack_citations(&pairs, chat->citations, chat->citation_count);
        count++;
    }
    if (chat_flag(request, ENGINE_CHAT_WITNESS_ENABLED)) {
        pack_pair_bool(&pairs, "witnessed", false);
        count++;
    }
    if (chat->failed_over) {
        pack_failover(&pairs, engine, chat);
        count++;
    }
    if (arguments_has(request_arguments(request), ENGINE_CHAT_METADATA)) {
        pack_pair_raw(&pairs, "request",
                      request_arguments(request)->values[ENGINE_CHAT_METADATA].raw);
        count++;
    }
    pack_map(out, count);
    pack_raw(out, buffer_bytes(&pairs));
    if (pairs.failed)
        out->failed = true;
    buffer_clear(&pairs);
}

void
chat_pack_reply(struct buffer *out, const struct engine *engine, const struct request *request,
                const struct chat *chat, struct text said)
{
    pack_map(out, chat->streams ? 6 : 7);
    if (!chat->streams)
        pack_pair_text(out, "content", said);
    pack_pair_text(out, "agent_id", chat_text(request, ENGINE_CHAT_AGENT_ID));
    pack_pair_string(out, "model_used", chat_model_id(engine, chat->model));
    pack_pair_string(out, "conversation_id", chat->conversation);
    pack_string(out, "tool_calls");
    pack_array(out, 0);
    pack_pair_uint(out, "tokens_used", chat->tokens);
    pack_string(out, "metadata");
    pack_metadata(out, engine, request, chat);
}
