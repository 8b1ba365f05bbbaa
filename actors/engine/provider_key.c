/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/engine/provider_key.h"

#include <stdlib.h>

#include "actors/engine/chat.h"

enum { CALL_MS = 8000 };

const char *
provider_key_trouble(const struct provider *provider, struct now now)
{
    if (!provider->secret)
        return NULL;
    if (provider->authorization && now.monotonic_us < provider->key_end_us)
        return NULL;
    return provider->key_trouble[0] ? provider->key_trouble : "its key was not read yet";
}

void
provider_key_refused(struct provider *provider)
{
    provider->key_due_us = 0;
}

static enum status
reply(struct context *context, struct outcome *outcome)
{
    const struct engine *engine = context_state(context);
    const char *trouble = provider_key_trouble(&engine->provider, context_now(context));
    pack_map(outcome_reply(outcome), 1);
    pack_pair_string(outcome_reply(outcome), "trouble", trouble);
    return STATUS_OK;
}

/* What was at hand stays where the reason is that nobody answered. */
static void
note_trouble(struct context *context, enum status status, const struct error *cause)
{
    struct engine *engine = context_state(context);
    struct provider *provider = &engine->provider;
    struct error words = ERROR_INIT;
    error_set(&words, "the secret %s of openai.api_key cannot be read: %.200s", provider->secret,
              cause->message[0] ? cause->message : status_text(status));
    bool away = status == STATUS_UNAVAILABLE || status == STATUS_TIMEOUT || status == STATUS_BUSY ||
                status == STATUS_UNKNOWN_OUTCOME;
    if (!away)
        provider_forget_key(provider);
    if (strcmp(words.message, provider->key_trouble) == 0)
        return;
    memcpy(provider->key_trouble, words.message, sizeof provider->key_trouble);
    log_warn(context_logger(context), "%s", provider->key_trouble);
}

static enum status
take_key(struct context *context, const struct event *event, struct error *error)
{
    struct engine *engine = context_state(context);
    struct provider *provider = &engine->provider;
    struct now now = context_now(context);
    struct value map;
    struct text value;
    if (!value_parse(event->payload, &map) || !value_find_text(&map, "value", &value)) {
        error_set(error, "the answer cannot be read");
        return STATUS_BAD_GATEWAY;
    }
    enum status status = provider_set_key(provider, value, error);
    if (status != STATUS_OK)
        return status;
    provider->key_due_us = now.monotonic_us + PROVIDER_KEY_FRESH_US;
    provider->key_end_us = now.monotonic_us + PROVIDER_KEY_KEEP_US;
    provider->key_trouble[0] = '\0';
    return STATUS_OK;
}

static enum status
on_secret(struct context *context, struct request *request, const struct event *event,
          struct outcome *outcome, struct error *error)
{
    const struct engine *engine = context_state(context);
    struct error cause = event->error;
    (void)request;
    (void)error;
    enum status status = event->status;
    if (status == STATUS_OK && engine->provider.secret)
        status = take_key(context, event, &cause);
    if (status != STATUS_OK)
        note_trouble(context, status, &cause);
    return reply(context, outcome);
}

static enum status
ask(struct context *context, struct outcome *outcome, const struct provider *provider,
    struct error *error)
{
    struct buffer resource, token, payload;
    buffer_init(&resource);
    buffer_init(&token);
    buffer_init(&payload);
    buffer_append_format(&resource, "%s%s", SECRET_NAME_PREFIX, provider->secret);
    buffer_append_byte(&resource, 0);
    pack_map(&payload, 1);
    pack_pair_string(&payload, "name", provider->secret);
    enum status status = resource.failed || payload.failed
                             ? STATUS_NOMEM
                             : context_own_capability(context, "secret:read",
                                                      (const char *)resource.data, &token, error);
    if (status == STATUS_OK)
        outcome_call(outcome,
                     &(struct outcome_call){.service = "identity",
                                            .type = "secret_get",
                                            .payload = buffer_bytes(&payload),
                                            .ttl_ms = CALL_MS,
                                            .capability = buffer_text(&token)},
                     on_secret);
    if (token.data)
        explicit_bzero(token.data, token.capacity);
    buffer_clear(&token);
    buffer_clear(&resource);
    buffer_clear(&payload);
    return status;
}

enum status
provider_key_refresh(struct context *context, struct request *request, struct outcome *outcome,
                     struct error *error)
{
    struct engine *engine = context_state(context);
    struct provider *provider = &engine->provider;
    uint64_t now_us = context_now(context).monotonic_us;
    (void)request;
    (void)error;
    if (!provider->secret || now_us < provider->key_due_us)
        return reply(context, outcome);
    /* Others may ask too: it is tried once in a while however often they do. */
    provider->key_due_us = now_us + PROVIDER_KEY_ROUTINE_MS * 900;
    struct error cause = ERROR_INIT;
    enum status status = ask(context, outcome, provider, &cause);
    if (status == STATUS_OK)
        return STATUS_PENDING;
    note_trouble(context, status, &cause);
    return reply(context, outcome);
}
