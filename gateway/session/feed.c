/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/session/feed.h"

#include <stdlib.h>

#include "gateway/session/feed_internal.h"
#include "gateway/websocket.h"
#include "kernel/message.h"

static const char global_channel[] = "system:events";

/* ---- ends */

void
feed_end(struct feed *feed, unsigned code, const char *reason)
{
    if (feed->over)
        return;
    feed->over = true;
    feed->options.end(feed->options.context, code, reason);
}

void
feed_overrun(struct feed *feed)
{
    feed_end(feed, WEBSOCKET_TRY_LATER, "too slow for what is left of memory");
}

static unsigned
code_of(enum status status)
{
    static const struct {
        enum status status;
        unsigned code;
    } rows[] = {
        {STATUS_UNAVAILABLE, WEBSOCKET_RESTART},     {STATUS_UNKNOWN_OUTCOME, WEBSOCKET_RESTART},
        {STATUS_BUSY, WEBSOCKET_TRY_LATER},          {STATUS_QUOTA_EXCEEDED, WEBSOCKET_TRY_LATER},
        {STATUS_RATE_LIMITED, WEBSOCKET_TRY_LATER},  {STATUS_NOMEM, WEBSOCKET_TRY_LATER},
        {STATUS_INTERNAL, WEBSOCKET_INTERNAL},       {STATUS_BAD_GATEWAY, WEBSOCKET_INTERNAL},
        {STATUS_NOT_IMPLEMENTED, WEBSOCKET_INTERNAL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            return rows[i].code;
    return WEBSOCKET_POLICY;
}

/* ---- capabilities */

bool
feed_has_token(const struct feed *feed, const char *action)
{
    for (size_t i = 0; i < feed->token_count; i++)
        if (strcmp(feed->tokens[i].action, action) == 0)
            return true;
    return false;
}

struct text
feed_token_of_action(const struct feed *feed, const char *action)
{
    for (size_t i = 0; action && i < feed->token_count; i++)
        if (strcmp(feed->tokens[i].action, action) == 0)
            return text_of(feed->tokens[i].json);
    return feed->token_count > 0 ? text_of(feed->tokens[0].json) : text_of("");
}

struct text
feed_token_for(const struct feed *feed, const struct operation *operation)
{
    return feed_token_of_action(feed, operation->capability_action);
}

/* ---- what comes from a stream */

static struct feed_about
about_stream(const struct feed_stream *stream)
{
    if (stream->channel)
        return (struct feed_about){"subscribe", &stream->ref, stream->channel};
    return (struct feed_about){.of = stream->feed->options.operation->name};
}

static bool
say_each(struct feed *feed, const struct value *chunk, const char *member, const char *kind)
{
    struct value list;
    struct value item;
    if (!value_find(chunk, member, &list) || list.type != VALUE_ARRAY)
        return true;
    for (struct entries entries = value_entries(&list); entries_next(&entries, &item);)
        if (!say_map(feed, kind, item.raw))
            return false;
    return true;
}

/* The bus has taken the stream on. */
static void
become_ready(struct feed_stream *stream)
{
    struct feed *feed = stream->feed;
    if (feed->over || stream->ready)
        return;
    stream->ready = true;
    struct feed_about about = about_stream(stream);
    bool said =
        stream->channel ? say_result(feed, &about, (struct bytes){0}) : say_ready(feed, about.of);
    if (!said)
        feed_overrun(feed);
}

static enum status
stream_chunk(void *context, struct bytes payload)
{
    struct feed_stream *stream = context;
    struct feed *feed = stream->feed;
    struct value chunk;
    uint64_t dropped = 0;
    become_ready(stream);
    if (feed->over)
        return STATUS_OK;
    if (!value_parse(payload, &chunk) || chunk.type != VALUE_MAP)
        return STATUS_BAD_GATEWAY;
    if (!feed->agent)
        return say_map(feed, "records", payload) ? STATUS_OK : STATUS_BUSY;
    value_find_uint(&chunk, "dropped", &dropped);
    bool said = say_each(feed, &chunk, "mail", "mail") &&
                say_each(feed, &chunk, "events", "event") &&
                (dropped == 0 || say_dropped(feed, dropped));
    return said ? STATUS_OK : STATUS_BUSY;
}

static void
unlink_stream(struct feed_stream *stream)
{
    struct feed *feed = stream->feed;
    struct feed_stream **link = &feed->subscriptions;
    while (*link != stream)
        link = &(*link)->next;
    *link = stream->next;
    feed->subscription_count--;
}

void
feed_stream_drop(struct feed_stream *stream)
{
    struct feed *feed = stream->feed;
    exchange_abandon(feed->options.exchanges, stream->exchange);
    exchange_abandon(feed->options.exchanges, stream->probe);
    stream->exchange = stream->probe = 0;
    if (!stream->channel)
        return;
    unlink_stream(stream);
    free(stream->channel);
    free(stream);
}

static bool
is_about_rights(enum status status)
{
    int http = status_http(status);
    return http == 401 || http == 403;
}

/* A request carries one capability, and that was one for the agent's inbox: other channels than the
 * agent's own need one of their own, and so a stream of their own. */
static bool
split_off_channels(struct feed *feed, enum status status, struct bytes payload)
{
    if (!feed->agent || feed->split || feed->token_count == 0 || !is_about_rights(status))
        return false;
    feed->split = true;
    struct buffer channels;
    buffer_init(&channels);
    feed_append_other_channels(feed, &channels);
    struct text rest = buffer_text(&channels);
    bool shown = feed_has_token(feed, "bus:subscribe");
    if (!shown)
        say_refusal(feed, &(struct feed_about){.of = "subscribe"}, status, payload);
    while (shown && rest.size > 0) {
        const char *comma = memchr(rest.data, ',', rest.size);
        size_t size = comma ? (size_t)(comma - rest.data) : rest.size;
        struct error error = ERROR_INIT;
        enum status refused = feed_subscribe(feed, (struct text){rest.data, size}, NULL, &error);
        if (refused != STATUS_OK)
            say_error(feed, &(struct feed_about){.of = "subscribe"}, refused, &error);
        size_t step = comma ? size + 1 : size;
        rest.data += step;
        rest.size -= step;
    }
    buffer_clear(&channels);
    return true;
}

/* The feed's own stream has ended with no good word: waits for a capability, or ends the feed. */
static void
own_refused(struct feed *feed, enum status status, struct bytes payload)
{
    struct error error = ERROR_INIT;
    error_unpack(payload, &error);
    struct feed_about about = about_stream(&feed->own);
    if (!say_refusal(feed, &about, status, payload))
        feed_overrun(feed);
    else if (is_about_rights(status))
        feed->awaits_capability = true;
    else
        feed_end(feed, code_of(status), error.word[0] ? error.word : status_word(status));
}

static void
refused(struct feed_stream *stream, enum status status, struct bytes payload)
{
    struct feed *feed = stream->feed;
    if (!stream->channel) {
        own_refused(feed, status, payload);
        return;
    }
    struct feed_about about = about_stream(stream);
    if (!say_refusal(feed, &about, status, payload))
        feed_overrun(feed);
    feed_stream_drop(stream);
}

static void
begin_again(struct feed_stream *stream)
{
    struct error error = ERROR_INIT;
    struct buffer words;
    enum status status = feed_stream_begin(stream, &error);
    if (status == STATUS_OK)
        return;
    buffer_init(&words);
    error_pack(&words, status, &error);
    refused(stream, status, buffer_bytes(&words));
    buffer_clear(&words);
}

static void
stream_ended(struct feed_stream *stream)
{
    stream->exchange = 0;
    exchange_abandon(stream->feed->options.exchanges, stream->probe);
    stream->probe = 0;
}

static void
stream_refuse(void *context, enum status status, struct bytes payload)
{
    struct feed_stream *stream = context;
    stream_ended(stream);
    if (stream->feed->over)
        return;
    if (!stream->channel && split_off_channels(stream->feed, status, payload))
        begin_again(stream);
    else if (status == STATUS_TIMEOUT && stream->ready)
        begin_again(stream);
    else
        refused(stream, status, payload);
}

/* A stream ends well when its time is over. */
static void
stream_reply(void *context, struct bytes payload)
{
    struct feed_stream *stream = context;
    (void)payload;
    stream_ended(stream);
    if (!stream->feed->over)
        begin_again(stream);
}

static const struct exchange_sink stream_sink = {stream_reply, stream_refuse, stream_chunk};

/* ---- beginning one */

static void
probe_reply(void *context, struct bytes payload)
{
    struct feed_stream *stream = context;
    (void)payload;
    stream->probe = 0;
    become_ready(stream);
}

static void
probe_refuse(void *context, enum status status, struct bytes payload)
{
    struct feed_stream *stream = context;
    (void)status;
    (void)payload;
    stream->probe = 0;
}

static const struct exchange_sink probe_sink = {.reply = probe_reply, .refuse = probe_refuse};

static void
append_channel(struct buffer *channels, struct text channel)
{
    if (channel.size == 0)
        return;
    if (channels->size > 0)
        buffer_append_byte(channels, ',');
    buffer_append_text(channels, channel);
}

void
feed_append_other_channels(const struct feed *feed, struct buffer *channels)
{
    struct value arguments;
    struct text asked = {"", 0};
    if (value_parse(buffer_bytes(&feed->arguments), &arguments))
        value_find_text(&arguments, "channels", &asked);
    append_channel(channels, asked);
    append_channel(channels, text_of(global_channel));
}

/* The channels of the feed's own stream. */
static void
fill_channels(const struct feed *feed, struct buffer *channels)
{
    buffer_append_string(channels, feed->agent);
    buffer_append_string(channels, ":*");
    if (!feed->split)
        feed_append_other_channels(feed, channels);
}

static bool
is_own_member(struct text key)
{
    return text_equal_string(key, "channels") || text_equal_string(key, "inbox");
}

/* The arguments of a stream into feed->payload. */
static enum status
fill_payload(const struct feed_stream *stream, struct error *error)
{
    struct feed *feed = stream->feed;
    struct value arguments;
    struct value key;
    struct value member;
    buffer_reset(&feed->payload);
    if (!feed->agent) {
        buffer_append(&feed->payload, feed->arguments.data, feed->arguments.size);
        return feed->payload.failed ? STATUS_NOMEM : STATUS_OK;
    }
    if (!value_parse(buffer_bytes(&feed->arguments), &arguments)) {
        error_set(error, "the arguments cannot be read");
        return STATUS_INVALID;
    }
    uint32_t kept = 0;
    struct text inbox = text_of("watch");
    value_find_text(&arguments, "inbox", &inbox);
    for (struct entries entries = value_entries(&arguments);
         entries_next_pair(&entries, &key, &member);)
        kept += key.type == VALUE_TEXT && !is_own_member(key.as.text);

    struct buffer channels;
    buffer_init(&channels);
    if (stream->channel)
        append_channel(&channels, text_of(stream->channel));
    else
        fill_channels(feed, &channels);
    pack_map(&feed->payload, kept + 2);
    for (struct entries entries = value_entries(&arguments);
         entries_next_pair(&entries, &key, &member);) {
        if (key.type != VALUE_TEXT || is_own_member(key.as.text))
            continue;
        pack_text(&feed->payload, key.as.text);
        pack_raw(&feed->payload, member.raw);
    }
    pack_pair_text(&feed->payload, "inbox", stream->channel ? text_of("none") : inbox);
    pack_pair_text(&feed->payload, "channels", buffer_text(&channels));
    bool failed = channels.failed || feed->payload.failed;
    buffer_clear(&channels);
    return failed ? STATUS_NOMEM : STATUS_OK;
}

enum status
feed_stream_begin(struct feed_stream *stream, struct error *error)
{
    struct feed *feed = stream->feed;
    const struct operation *operation = feed->options.operation;
    enum status status = fill_payload(stream, error);
    if (status != STATUS_OK)
        return status;
    struct exchange_request request = {
        .service = operation->service,
        .type = operation->type,
        .flags = operation->flags,
        .ttl_ms = operation->timeout_ms,
        .payload = buffer_bytes(&feed->payload),
        .capability = stream->channel ? feed_token_of_action(feed, "bus:subscribe")
                                      : feed_token_for(feed, operation),
        .principal = feed->options.principal,
        .trace = &feed->options.trace,
        .stream = true,
        .sink = &stream_sink,
        .context = stream,
    };
    status = exchange_begin(feed->options.exchanges, &request, &stream->exchange, error);
    if (status == STATUS_OK && !stream->ready)
        exchange_probe(feed->options.exchanges, operation->service, &feed->options.trace,
                       &probe_sink, stream, &stream->probe);
    return status;
}

void
feed_begin(struct feed *feed)
{
    struct error error = ERROR_INIT;
    const struct operation *operation = feed->options.operation;
    feed->awaits_capability = false;
    if ((operation->flags & OPERATION_DANGEROUS) && feed->token_count == 0) {
        feed->awaits_capability = true;
        return;
    }
    enum status status = feed_stream_begin(&feed->own, &error);
    if (status == STATUS_OK)
        return;
    say_error(feed, &(struct feed_about){.of = operation->name}, status, &error);
    feed_end(feed, code_of(status), status_word(status));
}

/* ---- the rest */

void
feed_drained(struct feed *feed)
{
    struct exchanges *exchanges = feed->options.exchanges;
    exchange_drained(exchanges, feed->own.exchange);
    for (const struct feed_stream *stream = feed->subscriptions; stream; stream = stream->next)
        exchange_drained(exchanges, stream->exchange);
}

bool
feed_takes_messages(const struct feed *feed)
{
    return feed->call_count < FEED_CALLS_MAX;
}

bool
feed_awaits_capability(const struct feed *feed)
{
    return feed->awaits_capability && !feed->over;
}

struct feed *
feed_new(const struct feed_options *options)
{
    struct feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        return NULL;
    feed->options = *options;
    feed->own.feed = feed;
    buffer_append(&feed->arguments, options->arguments.data, options->arguments.size);
    feed->agent = options->agent.size > 0 ? text_copy(options->agent) : NULL;
    bool failed = feed->arguments.failed || (options->agent.size > 0 && !feed->agent);
    if (!failed && options->capability.size > 0)
        failed = feed_add_token(feed, options->capability, NULL) != STATUS_OK;
    if (failed)
        feed_destroy(&feed);
    return feed;
}

void
feed_destroy(struct feed **feed_p)
{
    struct feed *feed = *feed_p;
    if (!feed)
        return;
    feed->over = true;
    feed_stream_drop(&feed->own);
    while (feed->subscriptions)
        feed_stream_drop(feed->subscriptions);
    while (feed->calls)
        feed_call_drop(feed->calls);
    for (size_t i = 0; i < feed->token_count; i++) {
        free(feed->tokens[i].json);
        free(feed->tokens[i].action);
    }
    free(feed->agent);
    buffer_clear(&feed->arguments);
    buffer_clear(&feed->json);
    buffer_clear(&feed->packed);
    buffer_clear(&feed->payload);
    buffer_clear(&feed->token);
    free(feed);
    *feed_p = NULL;
}
