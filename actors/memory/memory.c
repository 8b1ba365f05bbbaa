/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/memory/memory.h"

#include <sodium.h>
#include <stdlib.h>

#include "actors/memory/answer.h"
#include "actors/memory/quota.h"
#include "contracts/memory.h"

enum {
    SCHEMA = 1,
    RELATED_MAX = 3,
    LIMIT_MAX = 100,                          /* the contract's, for search */
    RESULTS_SIZE_MAX = RECORD_SIZE_MAX - 4096 /* a reply is one record */
};

static const double related_similarity = 0.5;
static const char shared_agent[] = "shared";
static const uint8_t empty_map[] = {0x80};

/* ---- state */

struct memory_state {
    struct memories *memories;
    struct memories_limits built_in; /* of the configured edition */
    struct metric *embeddings, *embedding_seconds;
    struct metric *searches, *search_seconds;
};

static void
state_destroy(void **state_p)
{
    struct memory_state *state = *state_p;
    if (!state)
        return;
    memories_destroy(&state->memories);
    free(state);
    *state_p = NULL;
}

static struct metric *
open_metric(struct metrics *metrics, enum metric_type type, const char *name, const char *help)
{
    struct metric_family *family = metrics_family(metrics, type, name, help, NULL);
    return family ? metric_series(family, NULL) : NULL;
}

static void
open_metrics(struct memory_state *state, struct metrics *metrics)
{
    static const char *const names[] = {"backend", NULL};
    static const char *const values[] = {"local"};
    struct metric_family *family = metrics_family(metrics, METRIC_COUNTER, "sos_embeddings_total",
                                                  "Embeddings made for calls", names);
    state->embeddings = family ? metric_series(family, values) : NULL;
    state->embedding_seconds = open_metric(
        metrics, METRIC_HISTOGRAM, "sos_embedding_duration_seconds", "Time for one of them");
    state->searches =
        open_metric(metrics, METRIC_COUNTER, "sos_vector_searches_total", "Searches by embedding");
    state->search_seconds =
        open_metric(metrics, METRIC_HISTOGRAM, "sos_vector_search_duration_seconds",
                    "Time for one of them, words and ranking included");
}

static enum status
state_new(void **state_p, const struct config *config, struct metrics *metrics, struct error *error)
{
    struct memories_limits limits;
    enum status status = quota_find(text_of(config_string(config, OPTION_EDITION)), &limits, error);
    if (status != STATUS_OK)
        return status;
    struct memory_state *state = calloc(1, sizeof *state);
    if (!state)
        return STATUS_NOMEM;
    struct bm25_key key;
    randombytes_buf(key.bytes, sizeof key.bytes);
    status = memories_new(&state->memories, &limits, &key);
    if (status != STATUS_OK) {
        free(state);
        return status;
    }
    state->built_in = limits;
    open_metrics(state, metrics);
    *state_p = state;
    return STATUS_OK;
}

static void
follow_policy(struct context *context, const struct edition_policy *policy)
{
    struct memory_state *state = context_state(context);
    const struct memories_limits limits = quota_apply(&state->built_in, policy);
    memories_set_limits(state->memories, &limits);
}

static struct memories *
memories_of(const struct context *context)
{
    return ((struct memory_state *)context_state(context))->memories;
}

static enum status
apply_memory(struct memories *memories, const struct uuid *id, struct bytes value, bool deleted,
             struct error *error)
{
    if (deleted) {
        memories_remove(memories, id);
        return STATUS_OK;
    }
    struct record record;
    enum status status = record_decode(&record, value, error);
    return status == STATUS_OK ? memories_put(memories, id, &record) : status;
}

/* Nothing of it is kept in memory, but a row that could not be read later is found now. */
static enum status
apply_access(const struct memories *memories, const struct uuid *id, struct bytes value,
             bool deleted, struct error *error)
{
    struct access access;
    if (deleted)
        return STATUS_OK;
    if (!memories_has(memories, id)) {
        error_set(error, "counts the reads of a memory that is not there");
        return STATUS_INVALID;
    }
    return access_decode(&access, value, error);
}

static enum status
apply(void *state, store_space space, struct bytes key, struct bytes value, bool deleted,
      struct error *error)
{
    struct memories *memories = ((struct memory_state *)state)->memories;
    struct uuid id;
    enum status status = record_key_decode(&id, key, error);
    if (status != STATUS_OK)
        return status;
    switch (space) {
    case SPACE_MEMORIES:
        return apply_memory(memories, &id, value, deleted, error);
    case SPACE_ACCESSES:
        return apply_access(memories, &id, value, deleted, error);
    default:
        error_set(error, "no rows were expected in this space");
        return STATUS_INVALID;
    }
}

static uint32_t
health(struct context *context, struct buffer *checks, bool *degraded)
{
    const struct memories *memories = memories_of(context);
    struct memories_figures figures;
    memories_figures(memories, NULL, &figures);
    struct error error = ERROR_INIT;
    bool whole = figures.documents == figures.memories;
    bool room = memories_check_room(memories, &error) != STATUS_MEMORY_FULL;
    *degraded = !whole || !room;
    pack_pair_string(checks, "index", whole ? "ok" : "words and vectors do not agree");
    pack_pair_string(checks, "room", room ? "ok" : error.message);
    return 2;
}

/* ---- reading rows */

/* row keeps what record borrows. NOT_FOUND: its word is memory_not_found. */
static enum status
read_memory(struct context *context, const struct uuid *id, struct buffer *row,
            struct record *record, struct error *error)
{
    buffer_reset(row);
    enum status status = context_get(context, SPACE_MEMORIES, record_key(id), row, error);
    if (status == STATUS_NOT_FOUND)
        error_set_word(error, "memory_not_found", "there is no memory with this id");
    if (status != STATUS_OK)
        return status;
    status = record_decode(record, buffer_bytes(row), error);
    return status == STATUS_OK ? STATUS_OK : STATUS_INTERNAL;
}

static enum status
read_access(struct context *context, const struct uuid *id, struct access *access,
            struct error *error)
{
    struct buffer row;
    buffer_init(&row);
    *access = (struct access){0};
    enum status status = context_get(context, SPACE_ACCESSES, record_key(id), &row, error);
    if (status == STATUS_OK && access_decode(access, buffer_bytes(&row), error) != STATUS_OK)
        status = STATUS_INTERNAL;
    buffer_clear(&row);
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status
authorise_memory(struct context *context, const struct request *request, const struct uuid *id,
                 struct text owner, struct error *error)
{
    if (text_equal_string(owner, shared_agent))
        owner = text_of("");
    char id_text[UUID_TEXT_SIZE];
    uuid_format(id, id_text);
    struct buffer resource;
    buffer_init(&resource);
    buffer_append_format(&resource, "memory:%.*s/%s", TEXT_ARGS(owner), id_text);
    enum status status =
        resource.failed
            ? STATUS_NOMEM
            : request_authorise_resource(context, request, buffer_text(&resource), owner, error);
    buffer_clear(&resource);
    return status;
}

/* ---- embeddings */

static double
seconds_since(const struct context *context, struct now begin)
{
    return (double)(context_clock(context).monotonic_us - begin.monotonic_us) / 1e6;
}

static enum status
embed(const struct context *context, struct text text, struct embedding *embedding)
{
    const struct memory_state *state = context_state(context);
    struct now begin = context_clock(context);
    enum status status = embedding_make(embedding, text);
    metric_add(state->embeddings, 1);
    metric_observe(state->embedding_seconds, seconds_since(context, begin));
    return status;
}

/* ---- storing */

static enum status
keep(struct context *context, struct outcome *outcome, const struct record *record, struct uuid *id,
     struct error *error)
{
    enum status status = memories_check_room(memories_of(context), error);
    if (status == STATUS_OK)
        status = record_check_metadata(record->metadata, error);
    if (status != STATUS_OK)
        return status;
    struct buffer row;
    buffer_init(&row);
    record_encode(record, &row);
    *id = context_uuid(context);
    outcome_put(outcome, SPACE_MEMORIES, record_key(id), buffer_bytes(&row));
    status = row.failed ? STATUS_NOMEM : STATUS_OK;
    buffer_clear(&row);
    return status;
}

static struct bytes
metadata_of(const struct arguments *arguments, unsigned field)
{
    if (arguments_has(arguments, field))
        return arguments->values[field].raw;
    return (struct bytes){empty_map, sizeof empty_map};
}

/* ---- searching */

static unsigned
types_of(const struct value *list)
{
    unsigned types = 0;
    struct entries entries = value_entries(list);
    struct value word;
    enum memory_type type;
    while (entries_next(&entries, &word))
        if (word.type == VALUE_TEXT && memory_type_find(word.as.text, &type))
            types |= 1u << type;
    return types;
}

static struct memories_query
query_of(const struct arguments *arguments)
{
    bool is_shared = !arguments_has(arguments, MEMORY_SEARCH_AGENT_ID);
    struct memories_query query = {
        .agent_id =
            is_shared ? text_of(shared_agent) : arguments_text(arguments, MEMORY_SEARCH_AGENT_ID),
        .text = arguments_text(arguments, MEMORY_SEARCH_QUERY),
        .limit = (size_t)arguments_integer(arguments, MEMORY_SEARCH_LIMIT),
        .has_min_similarity = arguments_has(arguments, MEMORY_SEARCH_MIN_SIMILARITY)};
    if (query.has_min_similarity)
        query.min_similarity = arguments_number(arguments, MEMORY_SEARCH_MIN_SIMILARITY);
    if (arguments_has(arguments, MEMORY_SEARCH_MEMORY_TYPES))
        query.types = types_of(&arguments->values[MEMORY_SEARCH_MEMORY_TYPES]);
    return query;
}

static enum status
find(const struct context *context, struct memories_query *query, struct memories_hit *hits,
     size_t *count)
{
    const struct memory_state *state = context_state(context);
    struct embedding embedding;
    enum status status = embed(context, query->text, &embedding);
    if (status != STATUS_OK)
        return status;
    query->embedding = &embedding;
    struct now begin = context_clock(context);
    status = memories_search(state->memories, query, hits, count);
    query->embedding = NULL;
    metric_add(state->searches, 1);
    metric_observe(state->search_seconds, seconds_since(context, begin));
    return status;
}

/* The results, best first, as many as one reply holds. A memory that this batch has deleted is
 * left out. */
static enum status
pack_results(struct context *context, const struct memories_query *query, bool is_short,
             const struct memories_hit *hits, size_t count, struct buffer *reply,
             struct error *error)
{
    struct buffer row, results;
    buffer_init(&row);
    buffer_init(&results);
    struct query_words words;
    query_words_init(&words, query->text);
    enum status status = STATUS_OK;
    uint32_t packed = 0;
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        struct record record;
        struct answer_memory memory = {.id = &hits[i].id, .record = &record};
        status = read_memory(context, &hits[i].id, &row, &record, error);
        if (status == STATUS_NOT_FOUND) {
            status = STATUS_OK;
            continue;
        }
        if (status == STATUS_OK)
            status = read_access(context, &hits[i].id, &memory.access, error);
        if (status != STATUS_OK)
            break;
        size_t before = results.size;
        if (is_short)
            answer_short_result(&results, &memory, hits[i].similarity);
        else
            answer_result(&results, &memory, hits[i].similarity, &words);
        if (results.size > RESULTS_SIZE_MAX) {
            results.size = before;
            break;
        }
        packed++;
    }
    if (is_short) {
        pack_map(reply, 1);
        pack_string(reply, "results");
    }
    pack_array(reply, packed);
    buffer_append(reply, results.data, results.size);
    if (status == STATUS_OK && results.failed)
        status = STATUS_NOMEM;
    buffer_clear(&results);
    buffer_clear(&row);
    return status;
}

/* ---- handlers */

static handler_fn store, search, get, forget, add, stats;

#define ROW(operation, handler) [operation] = {operation, handler},
static const struct handler handlers[OP_MEMORY_COUNT] = {MEMORY_OPERATIONS(ROW)};
#undef ROW

static enum status
store(struct context *context, struct request *request, struct outcome *outcome,
      struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct record record = {.agent_id = arguments_text(arguments, MEMORY_STORE_AGENT_ID),
                            .content = arguments_text(arguments, MEMORY_STORE_CONTENT),
                            .type = MEMORY_ENGRAM,
                            .importance = arguments_number(arguments, MEMORY_STORE_IMPORTANCE),
                            .created_us = context_now(context).wall_us,
                            .metadata = metadata_of(arguments, MEMORY_STORE_METADATA)};
    memory_type_find(arguments_text(arguments, MEMORY_STORE_MEMORY_TYPE), &record.type);

    struct uuid id;
    struct embedding embedding;
    struct memories_hit related[RELATED_MAX];
    size_t related_count = 0;
    enum status status = keep(context, outcome, &record, &id, error);
    if (status == STATUS_OK)
        status = embed(context, record.content, &embedding);
    if (status == STATUS_OK)
        status = memories_alike(memories_of(context), record.agent_id, &embedding,
                                related_similarity, related, RELATED_MAX, &related_count);
    if (status != STATUS_OK)
        return status;

    struct buffer *reply = outcome_reply(outcome);
    pack_map(reply, 4);
    pack_string(reply, "memory_id");
    answer_id(reply, &id);
    pack_pair_bool(reply, "success", true);
    pack_string(reply, "extracted_facts");
    pack_array(reply, 0);
    pack_string(reply, "related_memories");
    pack_array(reply, (uint32_t)related_count);
    for (size_t i = 0; i < related_count; i++)
        answer_id(reply, &related[i].id);
    return STATUS_OK;
}

static enum status
add(struct context *context, struct request *request, struct outcome *outcome, struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    const struct record record = {.agent_id = text_of(shared_agent),
                                  .content = arguments_text(arguments, MEMORY_ADD_CONTENT),
                                  .type = MEMORY_ENGRAM,
                                  .importance = 0.5,
                                  .created_us = context_now(context).wall_us,
                                  .metadata = metadata_of(arguments, MEMORY_ADD_METADATA)};
    struct uuid id;
    enum status status = keep(context, outcome, &record, &id, error);
    if (status != STATUS_OK)
        return status;
    struct buffer *reply = outcome_reply(outcome);
    pack_map(reply, 2);
    pack_string(reply, "id");
    answer_id(reply, &id);
    pack_pair_string(reply, "status", "stored");
    return STATUS_OK;
}

static enum status
search(struct context *context, struct request *request, struct outcome *outcome,
       struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    bool is_short = !arguments_has(arguments, MEMORY_SEARCH_AGENT_ID);
    struct memories_query query = query_of(arguments);
    struct memories_hit hits[LIMIT_MAX];
    size_t count = 0;
    enum status status = find(context, &query, hits, &count);
    if (status == STATUS_OK)
        status =
            pack_results(context, &query, is_short, hits, count, outcome_reply(outcome), error);
    if (status != STATUS_STORE_FAILED && status != STATUS_INTERNAL)
        return status;

    /* The cause is for the log, not for the caller. */
    log_error(context_logger(context), "a found memory cannot be read: %s", error->message);
    error_set(error, "a memory that was found cannot be read");
    return STATUS_RETRIEVAL_FAILED;
}

static enum status
get(struct context *context, struct request *request, struct outcome *outcome, struct error *error)
{
    const struct arguments *arguments = request_arguments(request);
    struct uuid id;
    if (!uuid_parse(arguments_text(arguments, MEMORY_GET_ID), &id)) {
        error_set_word(error, "memory_not_found", "there is no memory with this id");
        return STATUS_NOT_FOUND;
    }
    struct buffer row;
    buffer_init(&row);
    struct record record;
    struct answer_memory memory = {.id = &id, .record = &record};
    struct embedding embedding;
    bool with_embedding = arguments_boolean(arguments, MEMORY_GET_EMBEDDING);
    enum status status = read_memory(context, &id, &row, &record, error);
    if (status == STATUS_OK)
        status = authorise_memory(context, request, &id, record.agent_id, error);
    if (status == STATUS_OK)
        status = read_access(context, &id, &memory.access, error);
    if (status == STATUS_OK && with_embedding)
        status = embed(context, record.content, &embedding);
    if (status == STATUS_OK) {
        struct buffer access;
        buffer_init(&access);
        memory.access.count++; /* this read counts, and shows */
        memory.access.accessed_us = context_now(context).wall_us;
        access_encode(&memory.access, &access);
        outcome_put(outcome, SPACE_ACCESSES, record_key(&id), buffer_bytes(&access));
        answer_memory(outcome_reply(outcome), &memory, with_embedding ? &embedding : NULL);
        status = access.failed ? STATUS_NOMEM : STATUS_OK;
        buffer_clear(&access);
    }
    buffer_clear(&row);
    return status;
}

static enum status
forget(struct context *context, struct request *request, struct outcome *outcome,
       struct error *error)
{
    struct uuid id;
    struct buffer row;
    buffer_init(&row);
    struct record record;
    enum status status = STATUS_NOT_FOUND;
    if (uuid_parse(arguments_text(request_arguments(request), MEMORY_DELETE_ID), &id))
        status = read_memory(context, &id, &row, &record, error);
    bool is_there = status == STATUS_OK;
    if (is_there)
        status = authorise_memory(context, request, &id, record.agent_id, error);
    buffer_clear(&row);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    if (is_there) {
        outcome_delete(outcome, SPACE_MEMORIES, record_key(&id));
        outcome_delete(outcome, SPACE_ACCESSES, record_key(&id));
    }
    pack_map(outcome_reply(outcome), 1);
    pack_pair_bool(outcome_reply(outcome), "deleted", is_there);
    return STATUS_OK;
}

static enum status
stats(struct context *context, struct request *request, struct outcome *outcome,
      struct error *error)
{
    (void)error;
    const struct arguments *arguments = request_arguments(request);
    const struct memories *memories = memories_of(context);
    struct text agent_id = arguments_text(arguments, MEMORY_STATS_AGENT_ID);
    const struct text *which = arguments_has(arguments, MEMORY_STATS_AGENT_ID) ? &agent_id : NULL;
    struct memories_figures figures;
    memories_figures(memories, which, &figures);
    answer_figures(outcome_reply(outcome), &figures, which, memories_limits(memories)->memories_max,
                   store_size(context_store(context)));
    return STATUS_OK;
}

const struct service memory_service = {.contract = &memory_contract,
                                       .handlers = handlers,
                                       .handler_count = OP_MEMORY_COUNT,
                                       .has_store = true,
                                       .schema = SCHEMA,
                                       .state_new = state_new,
                                       .state_destroy = state_destroy,
                                       .apply = apply,
                                       .health = health,
                                       .policy = follow_policy};
