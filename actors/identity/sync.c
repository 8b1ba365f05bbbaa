/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/identity/sync.h"

#include <stdlib.h>

#include "actors/identity/register.h"

/* What one run has done, and the agent it asks the broker about. */
struct run {
    char agent[MESSAGE_NAME_MAX + 1];
    char key[CURVE_KEY_TEXT_SIZE]; /* the last one that was listed */
    unsigned adopted, finished;
};

/* ---- unfinished agents */

struct first {
    const char *after;
    char found[MESSAGE_NAME_MAX + 1];
};

static const enum status FOUND = STATUS_PENDING;

static enum status
take_first(void *context, struct bytes key, struct bytes value, struct error *error)
{
    struct first *first = context;
    (void)value;
    (void)error;
    if (key.size >= sizeof first->found)
        return STATUS_OK;
    memcpy(first->found, key.data, key.size);
    first->found[key.size] = '\0';
    return strcmp(first->found, first->after) > 0 ? FOUND : STATUS_OK;
}

static resume_fn on_confirmed;

static enum status
finish_next(struct context *context, struct request *request, struct outcome *outcome,
            struct error *error)
{
    struct run *run = request_progress(request);
    struct first first = {.after = run->agent};
    struct agent agent;
    enum status status =
        context_scan(context, SPACE_OPEN, (struct bytes){0}, false, take_first, &first, error);
    if (status == STATUS_OK) {
        pack_map(outcome_reply(outcome), 2);
        pack_pair_uint(outcome_reply(outcome), "adopted", run->adopted);
        pack_pair_uint(outcome_reply(outcome), "finished", run->finished);
        return STATUS_OK;
    }
    if (status != FOUND)
        return status;
    memcpy(run->agent, first.found, sizeof run->agent);
    status = agent_get(context, text_of(run->agent), &agent, error);
    if (status != STATUS_OK)
        return status;
    ask_broker(outcome, &agent, on_confirmed);
    return STATUS_PENDING;
}

static enum status
on_confirmed(struct context *context, struct request *request, const struct event *event,
             struct outcome *outcome, struct error *error)
{
    struct run *run = request_progress(request);
    struct agent agent;
    enum status status = agent_get(context, text_of(run->agent), &agent, error);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    bool open = status == STATUS_OK && agent_is_open(&agent);
    if (open && event->status == STATUS_OK) {
        close_agent(context, outcome, &agent);
        run->finished++;
    } else if (open && agent.status == AGENT_PENDING && broker_refuses(event->status)) {
        log_warn(context_logger(context), "%s is not registered: %s", agent.id,
                 event->error.message);
        agent_delete(outcome, &agent);
        run->finished++;
    } else if (event->status != STATUS_OK) {
        *error = event->error;
        return event->status;
    }
    return finish_next(context, request, outcome, error);
}

/* ---- keys that were added offline */

static enum status
adopt(struct context *context, struct outcome *outcome, struct run *run, const struct value *entry,
      struct error *error)
{
    struct agent agent;
    struct text id, key;
    bool revoked = false;
    if (!value_find_text(entry, "identity", &id) || !text_starts_with(id, "agent:") ||
        id.size >= sizeof agent.id || !value_find_text(entry, "curve_public_key", &key) ||
        key.size >= sizeof agent.curve_public_key)
        return STATUS_OK;
    value_find_bool(entry, "revoked", &revoked);
    uint64_t now_us = context_now(context).wall_us;
    enum status status = agent_get(context, id, &agent, error);
    if (status == STATUS_NOT_FOUND) {
        agent = (struct agent){.status = revoked ? AGENT_REVOKED : AGENT_REGISTERED,
                               .created_us = now_us,
                               .revoked_us = revoked ? now_us : 0};
        memcpy(agent.id, id.data, id.size);
        memcpy(agent.curve_public_key, key.data, key.size);
    } else if (status == STATUS_OK && revoked && agent.status == AGENT_REGISTERED &&
               text_equal_string(key, agent.curve_public_key)) {
        agent.status = AGENT_REVOKED;
        agent.revoked_us = now_us;
    } else if (status == STATUS_OK && !revoked && agent.status == AGENT_REVOKED &&
               !text_equal_string(key, agent.curve_public_key)) {
        agent.status = AGENT_REGISTERED; /* given a new key offline */
        agent.revoked_us = 0;
        memcpy(agent.curve_public_key, key.data, key.size);
        agent.curve_public_key[key.size] = '\0';
    } else {
        return status;
    }
    agent_put(outcome, &agent);
    run->adopted++;
    return STATUS_OK;
}

static resume_fn on_keys;

static void
list_keys(struct outcome *outcome, const struct run *run)
{
    struct buffer payload;
    buffer_init(&payload);
    pack_map(&payload, 1);
    pack_pair_string(&payload, "after", run->key);
    if (payload.failed)
        outcome_reply(outcome)->failed = true;
    else
        outcome_call(outcome,
                     &(struct outcome_call){
                         .service = "bus", .type = "key_list", .payload = buffer_bytes(&payload)},
                     on_keys);
    buffer_clear(&payload);
}

static void
remember_key(struct run *run, const struct value *entry)
{
    struct text key;
    if (!value_find_text(entry, "curve_public_key", &key) || key.size >= sizeof run->key)
        return;
    memcpy(run->key, key.data, key.size);
    run->key[key.size] = '\0';
}

static enum status
on_keys(struct context *context, struct request *request, const struct event *event,
        struct outcome *outcome, struct error *error)
{
    struct identities *identities = context_state(context);
    struct run *run = request_progress(request);
    char after[CURVE_KEY_TEXT_SIZE];
    struct value map, keys, entry;
    bool more = false;
    if (event->status != STATUS_OK) {
        *error = event->error;
        return event->status;
    }
    if (!value_parse(event->payload, &map) || !value_find(&map, "keys", &keys) ||
        keys.type != VALUE_ARRAY) {
        error_set(error, "the broker's list of keys cannot be read");
        return STATUS_BAD_GATEWAY;
    }
    memcpy(after, run->key, sizeof after);
    struct entries entries = value_entries(&keys);
    while (entries_next(&entries, &entry)) {
        enum status status = adopt(context, outcome, run, &entry, error);
        if (status != STATUS_OK)
            return status;
        remember_key(run, &entry);
    }
    value_find_bool(&map, "more", &more);
    if (more && strcmp(run->key, after) == 0) {
        error_set(error, "the broker's list of keys does not go on");
        return STATUS_BAD_GATEWAY;
    }
    if (more) {
        list_keys(outcome, run);
        return STATUS_PENDING;
    }
    identities->list_us = context_now(context).monotonic_us + SYNC_LIST_US;
    return finish_next(context, request, outcome, error);
}

enum status
sync_agents(struct context *context, struct request *request, struct outcome *outcome,
            struct error *error)
{
    const struct identities *identities = context_state(context);
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        return STATUS_NOMEM;
    request_set_progress(request, run, free);
    if (context_now(context).monotonic_us < identities->list_us)
        return finish_next(context, request, outcome, error);
    list_keys(outcome, run);
    return STATUS_PENDING;
}
