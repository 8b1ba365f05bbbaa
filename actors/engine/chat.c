/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/chat.h"

#include <stdio.h>
#include <stdlib.h>

#include "actors/engine/chat_core.h"
#include "actors/engine/keywords.h"
#include "actors/engine/provider_key.h"
#include "contracts/engine.h"
#include "kernel/assert.h"

_Static_assert((int)ENGINE_CHAT_MESSAGE == (int)ENGINE_CHAT_STREAM_MESSAGE &&
                   (int)ENGINE_CHAT_METADATA == (int)ENGINE_CHAT_STREAM_METADATA,
               "chat_stream has the fields of chat");

enum {
    SEARCH_TTL_MS = 6000, /* a memory service that is away is waited for, for a while */
    STORE_TTL_MS = 10000,
    HISTORY_TURNS = 60,
    HISTORY_BYTES = 48 * 1024,
    HISTORY_TURNS_LOCAL = 400, /* sos-local reads statements, which are short */
    HISTORY_BYTES_LOCAL = 256 * 1024,
    PIECE_SIZE = 24, /* of a built-in model's streamed answer */
    CHUNK_TEXT_MAX = 32 * 1024,
    METADATA_SIZE_MAX = 16 * 1024,
    ANSWER_BYTES_MAX = 16 << 20 /* of events; the text in them is bounded by completion */
};

static void
chat_destroy(void *progress)
{
    struct chat *chat = progress;
    if (chat->tried)
        breaker_abandon(chat->tried);
    chat->gate->running--;
    gate_release(&chat->gate);
    recall_clear(&chat->recall);
    completion_clear(&chat->completion);
    buffer_clear(&chat->answer);
    if (chat->history)
        turns_clear(chat->history);
    free(chat->history);
    free(chat);
}

/* ---- the request */

static struct conversation_id
id_of(const struct request *request, const struct chat *chat)
{
    return (struct conversation_id){chat_text(request, ENGINE_CHAT_AGENT_ID),
                                    text_of(chat->conversation)};
}

static enum status
choose_model(const struct engine *engine, struct text name, enum model *model, struct error *error)
{
    const struct provider *provider = &engine->provider;
    if (text_is_empty(name))
        *model = provider->is_configured ? MODEL_OPENAI : MODEL_LOCAL;
    else if (text_equal_string(name, model_local_id))
        *model = MODEL_LOCAL;
    else if (text_equal_string(name, model_mock_id))
        *model = MODEL_MOCK;
    else if (provider->is_configured && text_equal_string(name, provider->model))
        *model = MODEL_OPENAI;
    else {
        error_set(error, "there is no model %.*s; there are %s, %s%s%s", TEXT_ARGS(name),
                  model_local_id, model_mock_id, provider->is_configured ? ", " : "",
                  provider->is_configured ? provider->model : "");
        return STATUS_MODEL_UNAVAILABLE;
    }
    return STATUS_OK;
}

/* ---- the last step: on disk, then out */

static void
count_answer(const struct engine *engine, enum model model, const char *status)
{
    if (!engine->answers)
        return;
    const char *const labels[] = {chat_model_id(engine, model), status, NULL};
    metric_add(metric_series(engine->answers, labels), 1);
}

/* As much of it as policy and the caller's capability allow: a streamed answer only grows, so what
 * left before is always a part of that. */
static struct text
allowed(const struct chat *chat, struct text answer)
{
    int64_t characters = 0;
    size_t size = 0;
    if (!chat->is_limited)
        return answer;
    for (; size < answer.size; size++) {
        bool begins = ((uint8_t)answer.data[size] & 0xc0) != 0x80;
        if (begins && characters++ == chat->characters_max)
            break;
    }
    return (struct text){answer.data, size};
}

/* An answer that may have only so many characters leaves it to its metadata. */
static bool
says_notice(const struct engine *engine, const struct chat *chat)
{
    return chat->is_first && !chat->is_limited && chat_says_notice(engine, chat);
}

static enum status
keep(struct context *context, struct request *request, struct outcome *outcome, struct error *error)
{
    const struct engine *engine = context_state(context);
    struct chat *chat = request_progress(request);
    struct conversation_id id = id_of(request, chat);
    uint64_t now_us = context_now(context).wall_us;
    struct buffer said;
    buffer_init(&said);
    buffer_append_text(&said, buffer_text(&chat->answer));
    if (says_notice(engine, chat))
        buffer_append_format(&said, "\n\n%s", chat_notice);

    const struct turn question = {
        text_of("user"), chat_text(request, ENGINE_CHAT_MESSAGE), {0}, now_us};
    const struct turn answer = {text_of("assistant"), buffer_text(&said),
                                text_of(chat_model_id(engine, chat->model)), now_us};
    enum status status =
        said.failed ? STATUS_NOMEM
                    : conversation_append(context, outcome, &id, &question, &answer, error);
    if (status == STATUS_OK) {
        chat_pack_reply(outcome_reply(outcome), engine, request, chat, buffer_text(&said));
        count_answer(engine, chat->model, "success");
    }
    buffer_clear(&said);
    return status;
}

static void
note_lapse(struct context *context, const struct request *request, const struct event *event,
           const char *what, struct lapse *lapse)
{
    const char *word = event->error.word[0] ? event->error.word : status_word(event->status);
    snprintf(lapse->word, sizeof lapse->word, "%s", word);
    const struct log_fields fields = {.trace = request_trace(request),
                                      .error = event->error.message};
    log_event(context_logger(context), LOG_WARN, &fields, "the chat goes on without memory: %s",
              what);
}

static enum status
on_stored(struct context *context, struct request *request, const struct event *event,
          struct outcome *outcome, struct error *error)
{
    struct chat *chat = request_progress(request);
    struct value map;
    struct text id;
    if (event->status != STATUS_OK)
        note_lapse(context, request, event, "the exchange was not stored", &chat->store_lapse);
    else if (value_parse(event->payload, &map) && value_find_text(&map, "memory_id", &id) &&
             id.size < sizeof chat->memory_id)
        memcpy(chat->memory_id, id.data, id.size);
    return keep(context, request, outcome, error);
}

static enum status
remember(struct context *context, struct request *request, struct outcome *outcome,
         struct error *error)
{
    struct chat *chat = request_progress(request);
    chat->answer.size = allowed(chat, buffer_text(&chat->answer)).size;
    if (!chat->remembers)
        return keep(context, request, outcome, error);

    char id[UUID_TEXT_SIZE], key[UUID_TEXT_SIZE + 8];
    uuid_format(request_id(request), id);
    snprintf(key, sizeof key, "chat-%s", id);
    const struct exchange exchange = {.agent = chat_text(request, ENGINE_CHAT_AGENT_ID),
                                      .conversation = text_of(chat->conversation),
                                      .question = chat_text(request, ENGINE_CHAT_MESSAGE),
                                      .answer = buffer_text(&chat->answer),
                                      .citations = chat->citations,
                                      .citation_count = chat->citation_count};
    struct buffer payload;
    buffer_init(&payload);
    recall_pack_episode(&payload, &exchange);
    if (!payload.failed)
        outcome_call(outcome,
                     &(struct outcome_call){.service = "memory",
                                            .type = "memory_store",
                                            .payload = buffer_bytes(&payload),
                                            .ttl_ms = STORE_TTL_MS,
                                            .idempotency_key = key},
                     on_stored);
    enum status status = payload.failed ? STATUS_NOMEM : STATUS_PENDING;
    buffer_clear(&payload);
    return status;
}

/* ---- the answer */

static void
send_piece(struct outcome *outcome, struct text piece)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_text(&payload, "chunk", piece);
    if (!payload.failed)
        outcome_chunk(outcome, buffer_bytes(&payload));
    buffer_clear(&payload);
}

/* What has come of the answer and has not left yet. */
static void
send_rest(struct outcome *outcome, struct chat *chat, struct text answer)
{
    answer = allowed(chat, answer);
    while (chat->streams && chat->sent < answer.size) {
        struct text piece = text_cut(
            (struct text){answer.data + chat->sent, answer.size - chat->sent}, CHUNK_TEXT_MAX);
        send_piece(outcome, piece);
        chat->sent += piece.size;
    }
}

/* A built-in answer in pieces that end after a word. */
static void
send_words(struct outcome *outcome, struct chat *chat, struct text answer)
{
    answer = allowed(chat, answer);
    while (chat->streams && answer.size > 0) {
        struct text piece = text_cut(answer, PIECE_SIZE);
        size_t size = piece.size;
        while (size > 0 && size < answer.size && piece.data[size - 1] != ' ')
            size--;
        if (size == 0)
            size = piece.size > 0 ? piece.size : answer.size;
        /* Long answers in fewer, larger pieces: what waits for the reader is bounded. */
        if (answer.size > 64 * PIECE_SIZE)
            size = text_cut(answer, CHUNK_TEXT_MAX).size;
        send_piece(outcome, (struct text){answer.data, size});
        chat->sent += size;
        answer.data += size;
        answer.size -= size;
    }
}

static uint64_t
estimate_tokens(size_t bytes)
{
    return (bytes + 3) / 4;
}

static enum status
read_history(struct context *context, const struct request *request, struct chat *chat, bool local,
             struct error *error)
{
    struct conversation_id id = id_of(request, chat);
    struct conversation conversation;
    if (!chat->history && !(chat->history = calloc(1, sizeof *chat->history)))
        return STATUS_NOMEM;
    turns_clear(chat->history);
    enum status status = conversation_get(context, &id, &conversation, error);
    chat->is_first = status == STATUS_NOT_FOUND;
    if (status != STATUS_OK)
        return chat->is_first ? STATUS_OK : status;
    return turns_read(chat->history, context, &id, local ? HISTORY_TURNS_LOCAL : HISTORY_TURNS,
                      local ? HISTORY_BYTES_LOCAL : HISTORY_BYTES, error);
}

static void
answer_local(const struct request *request, struct chat *chat)
{
    struct local_note notes[RECALL_MAX + HISTORY_TURNS_LOCAL];
    size_t count = 0;
    for (size_t i = 0; i < chat->recall.count; i++) {
        const struct recalled *item = &chat->recall.items[i];
        notes[count++] = (struct local_note){item->words, item->id, item->at_us};
    }
    for (size_t i = chat->history->count; i > 0; i--) {
        struct turn turn = turns_at(chat->history, i - 1);
        if (text_equal_string(turn.role, "user"))
            notes[count++] = (struct local_note){turn.content, {0}, turn.at_us};
    }
    const struct local_question question = {chat_text(request, ENGINE_CHAT_MESSAGE), notes, count,
                                            chat->remembers};
    chat->citation_count = model_local_answer(&question, &chat->answer, chat->citations);
}

static enum status
answer_built_in(struct context *context, struct request *request, struct outcome *outcome,
                struct error *error)
{
    const struct engine *engine = context_state(context);
    struct chat *chat = request_progress(request);
    enum status status = read_history(context, request, chat, true, error);
    if (status != STATUS_OK)
        return status;
    struct text message = chat_text(request, ENGINE_CHAT_MESSAGE);
    buffer_reset(&chat->answer);
    if (chat->model == MODEL_MOCK)
        buffer_append_text(&chat->answer, message);
    else
        answer_local(request, chat);
    if (chat->answer.failed)
        return STATUS_NOMEM;
    chat->tokens = estimate_tokens(message.size + chat->answer.size);
    chat->tokens_estimated = true;
    send_words(outcome, chat, buffer_text(&chat->answer));
    if (chat->streams && says_notice(engine, chat)) {
        send_piece(outcome, text_of("\n\n"));
        send_piece(outcome, text_of(chat_notice));
    }
    return remember(context, request, outcome, error);
}

/* ---- the provider */

static void
report_try(struct context *context, struct chat *chat, bool counts, bool success)
{
    if (!chat->tried)
        return;
    if (counts)
        breaker_report(chat->tried, success, context_now(context).monotonic_us);
    else
        breaker_abandon(chat->tried);
    chat->tried = NULL;
}

static bool
may_fail_over(const struct chat *chat)
{
    return !chat->model_named && chat->sent == 0;
}

static enum status
give_up(struct context *context, struct request *request, struct outcome *outcome,
        const struct provider_failure *failure, struct error *error)
{
    const struct engine *engine = context_state(context);
    struct chat *chat = request_progress(request);
    report_try(context, chat, failure->counts, false);
    count_answer(engine, MODEL_OPENAI, "error");
    if (!may_fail_over(chat)) {
        *error = failure->error;
        return failure->status;
    }
    const struct log_fields fields = {.trace = request_trace(request),
                                      .error = failure->error.message};
    log_event(context_logger(context), LOG_WARN, &fields, "%s answers instead of %s",
              model_local_id, engine->provider.model);
    chat->failed_over = true;
    chat->failover = failure->error;
    chat->model = MODEL_LOCAL;
    completion_clear(&chat->completion);
    completion_init(&chat->completion);
    return answer_built_in(context, request, outcome, error);
}

static struct provider_failure
failure_of(const struct engine *engine, enum status status, const struct error *cause)
{
    struct provider_failure failure = {status, status != STATUS_NOMEM, *cause};
    error_wrap(&failure.error, "%s", engine->provider.model);
    return failure;
}

static enum status
on_provider(struct context *context, struct request *request, const struct event *event,
            struct outcome *outcome, struct error *error)
{
    struct engine *engine = context_state(context);
    struct chat *chat = request_progress(request);
    struct completion *completion = &chat->completion;
    struct error cause = ERROR_INIT;
    enum status status;

    if (event->type == EVENT_HTTP_DATA) {
        status = completion_feed(completion, engine->parser, event->payload, &cause);
        send_rest(outcome, chat, buffer_text(&completion->content));
        if (status == STATUS_OK || may_fail_over(chat))
            return STATUS_PENDING; /* the end of the exchange decides */
        struct provider_failure failure = failure_of(engine, status, &cause);
        return give_up(context, request, outcome, &failure, error);
    }

    bool good = event->status == STATUS_OK && event->http_status >= 200 && event->http_status < 300;
    if (event->http_status == 401)
        provider_key_refused(&engine->provider);
    if (!good) {
        struct provider_failure failure;
        provider_explain(&engine->provider, event, engine->parser, &failure);
        return give_up(context, request, outcome, &failure, error);
    }
    status = completion_feed(completion, engine->parser, event->payload, &cause);
    if (status == STATUS_OK)
        status = completion_end(completion, engine->parser, &cause);
    if (status != STATUS_OK) {
        struct provider_failure failure = failure_of(engine, status, &cause);
        return give_up(context, request, outcome, &failure, error);
    }

    report_try(context, chat, true, true);
    send_rest(outcome, chat, buffer_text(&completion->content));
    buffer_clear(&chat->answer);
    chat->answer = completion->content;
    buffer_init(&completion->content);
    chat->tokens_estimated = !completion->has_usage;
    chat->tokens =
        completion->has_usage
            ? completion->tokens
            : estimate_tokens(chat->answer.size + chat_text(request, ENGINE_CHAT_MESSAGE).size);
    return remember(context, request, outcome, error);
}

static enum status
ask_provider(struct context *context, struct request *request, struct outcome *outcome,
             struct error *error)
{
    struct engine *engine = context_state(context);
    struct chat *chat = request_progress(request);
    const struct provider *provider = &engine->provider;
    uint64_t now_us = context_now(context).monotonic_us;
    const char *trouble = provider_key_trouble(provider, context_now(context));
    if (trouble) {
        struct provider_failure failure = {.status = STATUS_MODEL_UNAVAILABLE};
        error_set(&failure.error, "%s: %s", provider->model, trouble);
        return give_up(context, request, outcome, &failure, error);
    }
    if (!breaker_admit(&chat->gate->breaker, now_us)) {
        struct provider_failure failure = {.status = STATUS_CIRCUIT_OPEN};
        uint64_t seconds = (breaker_retry_ms(&chat->gate->breaker, now_us) + 999) / 1000;
        error_set(&failure.error, "%s failed too often; it is tried again in %llu s",
                  provider->model, (unsigned long long)seconds);
        return give_up(context, request, outcome, &failure, error);
    }
    chat->tried = &chat->gate->breaker;

    enum status status = read_history(context, request, chat, false, error);
    if (status != STATUS_OK)
        return status;
    const struct prompt prompt = {chat_text(request, ENGINE_CHAT_AGENT_ID), &chat->recall,
                                  chat->history, chat_text(request, ENGINE_CHAT_MESSAGE)};
    struct buffer body;
    buffer_init(&body);
    provider_append_request(provider, &prompt, chat->streams, &body);
    const char *const headers[] = {"Content-Type: application/json",
                                   "Accept: text/event-stream, application/json",
                                   provider->authorization, NULL};
    if (!body.failed)
        outcome_http(outcome,
                     &(struct outcome_http){.method = "POST",
                                            .url = provider->url,
                                            .headers = headers,
                                            .body = buffer_bytes(&body),
                                            .timeout_ms = provider->timeout_ms,
                                            .answer_max = ANSWER_BYTES_MAX,
                                            .stream = true},
                     on_provider);
    status = body.failed ? STATUS_NOMEM : STATUS_PENDING;
    buffer_clear(&body);
    return status;
}

static enum status
generate(struct context *context, struct request *request, struct outcome *outcome,
         struct error *error)
{
    const struct chat *chat = request_progress(request);
    return chat->model == MODEL_OPENAI ? ask_provider(context, request, outcome, error)
                                       : answer_built_in(context, request, outcome, error);
}

/* ---- the beginning */

static enum status
on_recalled(struct context *context, struct request *request, const struct event *event,
            struct outcome *outcome, struct error *error)
{
    struct chat *chat = request_progress(request);
    struct event failed = *event;
    if (failed.status == STATUS_OK)
        failed.status = recall_read(&chat->recall, event->payload, &failed.error);
    if (failed.status != STATUS_OK)
        note_lapse(context, request, &failed, "nothing was recalled", &chat->recall_lapse);
    return generate(context, request, outcome, error);
}

static enum status
recall(struct context *context, struct request *request, struct outcome *outcome,
       struct error *error)
{
    const struct chat *chat = request_progress(request);
    if (!chat->remembers)
        return generate(context, request, outcome, error);
    struct buffer payload;
    buffer_init(&payload);
    recall_pack_query(&payload, chat_text(request, ENGINE_CHAT_AGENT_ID),
                      chat_text(request, ENGINE_CHAT_MESSAGE));
    if (!payload.failed)
        outcome_call(outcome,
                     &(struct outcome_call){.service = "memory",
                                            .type = "memory_query",
                                            .payload = buffer_bytes(&payload),
                                            .ttl_ms = SEARCH_TTL_MS},
                     on_recalled);
    enum status status = payload.failed ? STATUS_NOMEM : STATUS_PENDING;
    buffer_clear(&payload);
    return status;
}

static void
name_conversation(struct context *context, const struct request *request, struct chat *chat)
{
    struct text given = chat_text(request, ENGINE_CHAT_CONVERSATION_ID);
    if (text_is_empty(given)) {
        struct uuid id = context_uuid(context);
        uuid_format(&id, chat->conversation);
        return;
    }
    ASSERT(given.size <= CONVERSATION_ID_MAX); /* the contract's bound */
    memcpy(chat->conversation, given.data, given.size);
}

/* The policy's bound and the capability's: the smaller one. */
static void
limit_answer(struct chat *chat, const struct engine *engine, const struct constraints *constraints)
{
    chat->is_limited = (constraints->set & CONSTRAINT_MAX_RESPONSE_LENGTH) != 0;
    chat->characters_max = constraints->max_response_length;
    if (!engine->is_limited ||
        (chat->is_limited && (uint64_t)chat->characters_max <= engine->characters_max))
        return;
    chat->is_limited = true;
    chat->characters_max =
        engine->characters_max > INT64_MAX ? INT64_MAX : (int64_t)engine->characters_max;
}

static enum status
begin(struct context *context, struct request *request, struct outcome *outcome, bool wants_stream,
      struct error *error)
{
    struct engine *engine = context_state(context);
    struct text name = chat_text(request, ENGINE_CHAT_MODEL);
    enum model model;
    if (arguments_has(request_arguments(request), ENGINE_CHAT_METADATA) &&
        request_arguments(request)->values[ENGINE_CHAT_METADATA].raw.size > METADATA_SIZE_MAX) {
        error_set_field(error, "metadata", "came more than %d bytes", METADATA_SIZE_MAX);
        return STATUS_VALIDATION;
    }
    enum status status = choose_model(engine, name, &model, error);
    if (status != STATUS_OK)
        return status;
    if (engine->gate->running >= GATE_CHATS_MAX) {
        error_set(error, "%d chats are being answered; try again later", GATE_CHATS_MAX);
        return STATUS_BUSY;
    }
    struct chat *chat = calloc(1, sizeof *chat);
    if (!chat)
        return STATUS_NOMEM;
    chat->gate = gate_hold(engine->gate);
    chat->gate->running++;
    chat->model = model;
    chat->model_named = !text_is_empty(name);
    chat->streams = wants_stream && request_wants_stream(request);
    limit_answer(chat, engine, request_constraints(request));
    chat->remembers = chat_flag(request, ENGINE_CHAT_MEMORY_ENABLED);
    completion_init(&chat->completion);
    name_conversation(context, request, chat);
    request_set_progress(request, chat, chat_destroy);
    return recall(context, request, outcome, error);
}

enum status
chat_run(struct context *context, struct request *request, struct outcome *outcome,
         struct error *error)
{
    return begin(context, request, outcome, chat_flag(request, ENGINE_CHAT_STREAM), error);
}

enum status
chat_run_stream(struct context *context, struct request *request, struct outcome *outcome,
                struct error *error)
{
    return begin(context, request, outcome, true, error);
}
