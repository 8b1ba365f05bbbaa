/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/engine.h"

#include <stdlib.h>

#include "actors/engine/chat.h"
#include "actors/engine/provider_key.h"
#include "contracts/engine.h"

enum { SCHEMA = 1, HISTORY_REPLY_MAX = 200 * 1024 };

/* ---- state */

static void
state_destroy(void **state_p)
{
    struct engine *engine = *state_p;
    if (!engine)
        return;
    provider_close(&engine->provider);
    gate_release(&engine->gate);
    json_parser_destroy(&engine->parser);
    free(engine);
    *state_p = NULL;
}

static enum status
state_new(void **state_p, const struct config *config, struct metrics *metrics, struct error *error)
{
    static const char *const labels[] = {"model", "status", NULL};
    void *state = calloc(1, sizeof(struct engine));
    struct engine *engine = state;
    if (!engine)
        return STATUS_NOMEM;
    engine->gate = gate_new();
    engine->parser = json_parser_new();
    engine->answers = metrics_family(metrics, METRIC_COUNTER, "sos_answers_total",
                                     "Answers of models, by model and how it ended", labels);
    enum status status = engine->gate && engine->parser && engine->answers
                             ? provider_open(&engine->provider, config, error)
                             : STATUS_NOMEM;
    if (status != STATUS_OK) {
        state_destroy(&state);
        return status;
    }
    *state_p = engine;
    return STATUS_OK;
}

static void
follow_policy(struct context *context, const struct edition_policy *policy)
{
    struct engine *engine = context_state(context);
    engine->is_limited =
        value_find_uint(&policy->quotas, "response_length_max", &engine->characters_max);
}

/* Rows are read where they are needed; at start each is looked at, so that a damaged one is named
 * then. */
static enum status
apply(void *state, store_space space, struct bytes key, struct bytes value, bool deleted,
      struct error *error)
{
    (void)state;
    return deleted ? STATUS_OK : conversation_check_row(space, key, value, error);
}

/* ---- models */

static const char *
provider_status(const struct engine *engine, struct now now)
{
    if (provider_key_trouble(&engine->provider, now))
        return "unavailable";
    return breaker_retry_ms(&engine->gate->breaker, now.monotonic_us) > 0 ? "circuit_open"
                                                                          : "available";
}

static void
pack_model(struct buffer *out, const char *id, struct text name, const char *status,
           const char *type)
{
    pack_map(out, 4);
    pack_pair_string(out, "id", id);
    pack_pair_text(out, "name", name);
    pack_pair_string(out, "status", status);
    pack_pair_string(out, "type", type);
}

static enum status
models(struct context *context, struct request *request, struct outcome *outcome,
       struct error *error)
{
    (void)request;
    (void)error;
    const struct engine *engine = context_state(context);
    const struct provider *provider = &engine->provider;
    struct buffer *out = outcome_reply(outcome);
    pack_array(out, provider->is_configured ? 3 : 2);
    if (provider->is_configured) {
        struct buffer name;
        buffer_init(&name);
        buffer_append_format(&name, "%s at %s", provider->model, provider->host);
        pack_model(out, provider->model, buffer_text(&name),
                   provider_status(engine, context_now(context)), "openai");
        if (name.failed)
            out->failed = true;
        buffer_clear(&name);
    }
    pack_model(out, model_local_id, text_of("SOS local: recalls and cites, no language model"),
               "available", "builtin");
    pack_model(out, model_mock_id, text_of("SOS mock: repeats the message"), "available",
               "builtin");
    return STATUS_OK;
}

static uint32_t
health(struct context *context, struct buffer *checks, bool *degraded)
{
    const struct engine *engine = context_state(context);
    if (!engine->provider.is_configured) {
        pack_pair_string(checks, "model", "built in: no language model is configured");
        return 1;
    }
    const char *trouble = provider_key_trouble(&engine->provider, context_now(context));
    if (trouble) { /* a swarm has to come up for the secret to be set */
        pack_pair_string(checks, "model", trouble);
        return 1;
    }
    const char *status = provider_status(engine, context_now(context));
    bool open = strcmp(status, "available") != 0;
    pack_pair_string(checks, "model", open ? "circuit_open: the model's server fails" : "ok");
    *degraded = *degraded || open;
    return 1;
}

/* ---- history */

static void
pack_turn(struct buffer *out, const struct turn *turn)
{
    char at[TIMESTAMP_TEXT_SIZE];
    timestamp_format(turn->at_us, at);
    pack_map(out, 4);
    pack_pair_text(out, "role", turn->role);
    pack_pair_text(out, "content", turn->content);
    if (text_is_empty(turn->model))
        pack_pair_nil(out, "model");
    else
        pack_pair_text(out, "model", turn->model);
    pack_pair_string(out, "created_at", at);
}

static enum status
history(struct context *context, struct request *request, struct outcome *outcome,
        struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    const struct conversation_id id = {arguments_text(arguments, ENGINE_HISTORY_AGENT_ID),
                                       arguments_text(arguments, ENGINE_HISTORY_CONVERSATION_ID)};
    struct conversation conversation;
    enum status status = conversation_get(context, &id, &conversation, error);
    if (status == STATUS_NOT_FOUND)
        error_set_word(error, "conversation_not_found", "%.*s has no such conversation",
                       TEXT_ARGS(id.agent));
    if (status != STATUS_OK)
        return status;

    struct turns *turns = calloc(1, sizeof *turns);
    if (!turns)
        return STATUS_NOMEM;
    status =
        turns_read(turns, context, &id, (size_t)arguments_integer(arguments, ENGINE_HISTORY_LIMIT),
                   HISTORY_REPLY_MAX, error);
    if (status == STATUS_OK) {
        struct buffer *out = outcome_reply(outcome);
        pack_map(out, 3);
        pack_pair_text(out, "conversation_id", id.conversation);
        pack_pair_text(out, "agent_id", id.agent);
        pack_string(out, "turns");
        pack_array(out, (uint32_t)turns->count);
        for (size_t i = 0; i < turns->count; i++) {
            struct turn turn = turns_at(turns, i);
            pack_turn(out, &turn);
        }
    }
    turns_clear(turns);
    free(turns);
    return status;
}

/* ---- the service */

#define ROW(operation, handler) [operation] = {operation, handler},
static const struct handler handlers[OP_ENGINE_COUNT] = {ENGINE_OPERATIONS(ROW)};

const struct service engine_service = {.contract = &engine_contract,
                                       .handlers = handlers,
                                       .handler_count = OP_ENGINE_COUNT,
                                       .has_store = true,
                                       .schema = SCHEMA,
                                       .state_new = state_new,
                                       .state_destroy = state_destroy,
                                       .apply = apply,
                                       .health = health,
                                       .routine = "engine_refresh_key",
                                       .routine_ms = PROVIDER_KEY_ROUTINE_MS,
                                       .policy = follow_policy};
