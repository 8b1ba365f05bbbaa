/* SPDX-License-Identifier: Apache-2.0 */
/* What the client of a feed says. */
#include <stdlib.h>

#include "gateway/session/feed_internal.h"
#include "gateway/websocket.h"
#include "kernel/capability.h"

/* ---- calls */

static void
unlink_call(struct feed_call *call)
{
    struct feed_call **link = &call->feed->calls;
    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
    call->feed->call_count--;
}

void
feed_call_drop(struct feed_call *call)
{
    exchange_abandon(call->feed->options.exchanges, call->exchange);
    unlink_call(call);
    free(call);
}

static void
call_reply(void *context, struct bytes payload)
{
    struct feed_call *call = context;
    struct feed *feed = call->feed;
    call->exchange = 0;
    if (!feed->over && !say_result(feed, &(struct feed_about){call->of, &call->ref, NULL}, payload))
        feed_overrun(feed);
    feed_call_drop(call);
}

static void
call_refuse(void *context, enum status status, struct bytes payload)
{
    struct feed_call *call = context;
    struct feed *feed = call->feed;
    call->exchange = 0;
    if (!feed->over &&
        !say_refusal(feed, &(struct feed_about){call->of, &call->ref, NULL}, status, payload))
        feed_overrun(feed);
    feed_call_drop(call);
}

static const struct exchange_sink call_sink = {.reply = call_reply, .refuse = call_refuse};

/* One message of the client, taken apart. */
struct said {
    const struct verb *verb;
    struct value value;
    struct feed_ref ref;
};

typedef enum status verb_fn(struct feed *feed, const struct said *said, struct error *error);

struct verb {
    const char *name;
    verb_fn *run;
    const char *type;  /* of a call: its message type */
    const char *owner; /* the field that says who calls: the feed's agent */
};

static bool
say_done(struct feed *feed, const struct said *said)
{
    return say_result(feed, &(struct feed_about){said->verb->name, &said->ref, NULL},
                      (struct bytes){0});
}

/* {…} are the arguments, […] is {ids: […]}. */
static enum status
fill_call(struct feed *feed, const struct said *said, struct error *error)
{
    struct buffer *payload = &feed->payload;
    struct value key;
    struct value member;
    buffer_reset(payload);
    if (said->value.type == VALUE_ARRAY) {
        pack_map(payload, 2);
        pack_pair_raw(payload, "ids", said->value.raw);
    } else if (said->value.type == VALUE_MAP) {
        uint32_t kept = 0;
        for (int round = 0; round < 2; round++) {
            if (round == 1)
                pack_map(payload, kept + 1);
            for (struct entries entries = value_entries(&said->value);
                 entries_next_pair(&entries, &key, &member);) {
                if (key.type != VALUE_TEXT || text_equal_string(key.as.text, said->verb->owner) ||
                    text_equal_string(key.as.text, "capability"))
                    continue;
                if (round == 0) {
                    kept++;
                    continue;
                }
                pack_text(payload, key.as.text);
                pack_raw(payload, member.raw);
            }
        }
    } else {
        error_set(error, "%s: expected an object", said->verb->name);
        return STATUS_INVALID;
    }
    pack_pair_string(payload, said->verb->owner, feed->agent);
    return payload->failed ? STATUS_NOMEM : STATUS_OK;
}

/* A capability as JSON text in feed->token. */
static enum status
read_token(struct feed *feed, const struct value *value, struct error *error)
{
    buffer_reset(&feed->token);
    if (value->type != VALUE_MAP) {
        error_set_word(error, "invalid_capability_payload",
                       "capability: expected a capability object");
        return STATUS_INVALID;
    }
    enum status status = msgpack_to_json(value->raw, &feed->token, error);
    return status == STATUS_OK && feed->token.failed ? STATUS_NOMEM : status;
}

static enum status
run_call(struct feed *feed, const struct said *said, struct error *error)
{
    const struct verb *verb = said->verb;
    const struct operation *operation = contract_operation(feed->options.bus, text_of(verb->type));
    if (!operation || !feed->agent) {
        error_set(error, "%s: not here", verb->name);
        return STATUS_NOT_FOUND;
    }
    struct text token = feed_token_for(feed, operation);
    struct value shown;
    enum status status = STATUS_OK;
    if (value_find(&said->value, "capability", &shown) && shown.type != VALUE_NIL) {
        status = read_token(feed, &shown, error);
        token = buffer_text(&feed->token);
    }
    if (status == STATUS_OK)
        status = fill_call(feed, said, error);
    if (status != STATUS_OK)
        return status;
    struct feed_call *call = calloc(1, sizeof *call);
    if (!call)
        return STATUS_NOMEM;
    *call = (struct feed_call){feed, verb->name, said->ref, 0, feed->calls};
    struct exchange_request request = {
        .service = operation->service,
        .type = operation->type,
        .flags = operation->flags,
        .ttl_ms = operation->timeout_ms,
        .payload = buffer_bytes(&feed->payload),
        .capability = token,
        .principal = feed->options.principal,
        .trace = &feed->options.trace,
        .sink = &call_sink,
        .context = call,
    };
    status = exchange_begin(feed->options.exchanges, &request, &call->exchange, error);
    if (status != STATUS_OK) {
        free(call);
        return status;
    }
    feed->calls = call;
    feed->call_count++;
    return STATUS_OK;
}

/* ---- capabilities */

enum status
feed_add_token(struct feed *feed, struct text json, struct error *error)
{
    struct capability *capability = NULL;
    enum status status = capability_parse(&capability, json, error);
    if (status != STATUS_OK)
        return status;
    struct feed_token token = {text_copy(json), text_copy(text_of(capability_action(capability)))};
    capability_destroy(&capability);
    size_t place = 0;
    while (place < feed->token_count && token.action &&
           strcmp(feed->tokens[place].action, token.action) != 0)
        place++;
    if (!token.json || !token.action || place == FEED_TOKENS_MAX) {
        error_set(error, "capability: more than %d actions", FEED_TOKENS_MAX);
        status = token.json && token.action ? STATUS_QUOTA_EXCEEDED : STATUS_NOMEM;
        free(token.json);
        free(token.action);
        return status;
    }
    if (place == feed->token_count) {
        feed->token_count++;
    } else {
        free(feed->tokens[place].json);
        free(feed->tokens[place].action);
    }
    feed->tokens[place] = token;
    return STATUS_OK;
}

/* Kept for what needs it from now on; what waits for one is tried again. */
static enum status
run_capability(struct feed *feed, const struct said *said, struct error *error)
{
    enum status status = read_token(feed, &said->value, error);
    if (status == STATUS_OK)
        status = feed_add_token(feed, buffer_text(&feed->token), error);
    if (status != STATUS_OK)
        return status;
    if (!say_done(feed, said))
        feed_overrun(feed);
    else if (feed->awaits_capability)
        feed_begin(feed);
    return STATUS_OK;
}

/* ---- subscriptions */

static enum status
read_channel(const struct feed *feed, const struct said *said, struct text *channel,
             struct error *error)
{
    if (!feed->agent) {
        error_set(error, "%s: not here", said->verb->name);
        return STATUS_NOT_FOUND;
    }
    *channel = said->value.as.text;
    if (said->value.type != VALUE_TEXT || channel->size == 0 || channel->size > 255 ||
        memchr(channel->data, ',', channel->size)) {
        error_set_word(error, "not_a_channel", "%s: expected the name of one channel, or a pattern",
                       said->verb->name);
        return STATUS_INVALID;
    }
    return STATUS_OK;
}

static struct feed_stream *
find_subscription(const struct feed *feed, struct text channel)
{
    struct feed_stream *stream = feed->subscriptions;
    while (stream && !text_equal_string(channel, stream->channel))
        stream = stream->next;
    return stream;
}

enum status
feed_subscribe(struct feed *feed, struct text channel, const struct feed_ref *ref,
               struct error *error)
{
    if (find_subscription(feed, channel)) {
        error_set(error, "subscribe: listens to it already");
        return STATUS_ALREADY_EXISTS;
    }
    if (feed->subscription_count == FEED_SUBSCRIPTIONS_MAX) {
        error_set_word(error, "too_many_subscriptions", "subscribe: more than %d channels",
                       FEED_SUBSCRIPTIONS_MAX);
        return STATUS_QUOTA_EXCEEDED;
    }
    struct feed_stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return STATUS_NOMEM;
    stream->feed = feed;
    stream->channel = text_copy(channel);
    if (!stream->channel) {
        free(stream);
        return STATUS_NOMEM;
    }
    if (ref)
        stream->ref = *ref;
    stream->next = feed->subscriptions;
    feed->subscriptions = stream;
    feed->subscription_count++;
    enum status status = feed_stream_begin(stream, error);
    if (status != STATUS_OK)
        feed_stream_drop(stream);
    return status;
}

static enum status
run_subscribe(struct feed *feed, const struct said *said, struct error *error)
{
    struct text channel;
    enum status status = read_channel(feed, said, &channel, error);
    return status == STATUS_OK ? feed_subscribe(feed, channel, &said->ref, error) : status;
}

static enum status
run_unsubscribe(struct feed *feed, const struct said *said, struct error *error)
{
    struct text channel;
    enum status status = read_channel(feed, said, &channel, error);
    if (status != STATUS_OK)
        return status;
    struct feed_stream *stream = find_subscription(feed, channel);
    if (!stream) {
        error_set(error, "unsubscribe: nobody said subscribe to it");
        return STATUS_NOT_FOUND;
    }
    feed_stream_drop(stream);
    if (!say_done(feed, said))
        feed_overrun(feed);
    return STATUS_OK;
}

/* ---- messages */

static const struct verb verbs[] = {
    {"send", run_call, "bus_send", "from"},         {"publish", run_call, "bus_publish", "from"},
    {"ack", run_call, "bus_ack", "agent_id"},       {"nack", run_call, "bus_nack", "agent_id"},
    {"extend", run_call, "bus_extend", "agent_id"}, {"subscribe", run_subscribe, NULL, NULL},
    {"unsubscribe", run_unsubscribe, NULL, NULL},   {"capability", run_capability, NULL, NULL},
};

static const struct verb *
verb_of(struct text name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (text_equal_string(name, verbs[i].name))
            return &verbs[i];
    return NULL;
}

static enum status
take_ref(const struct value *value, struct feed_ref *ref, struct error *error)
{
    bool scalar = value->type != VALUE_MAP && value->type != VALUE_ARRAY;
    if (!scalar || value->raw.size > sizeof ref->data) {
        error_set(error, "ref: expected a number or a text of at most %d bytes", FEED_REF_MAX - 5);
        return STATUS_INVALID;
    }
    memcpy(ref->data, value->raw.data, value->raw.size);
    ref->size = value->raw.size;
    return STATUS_OK;
}

static enum status
take_apart(struct feed *feed, struct text message, struct said *said, struct error *error)
{
    struct value map = {0};
    struct value key;
    struct value member;
    buffer_reset(&feed->packed);
    enum status status = json_to_msgpack(feed->options.parser, message, &feed->packed, error);
    if (status != STATUS_OK)
        return status;
    if (feed->packed.failed)
        return STATUS_NOMEM;
    bool known = value_parse(buffer_bytes(&feed->packed), &map) && map.type == VALUE_MAP;
    for (struct entries entries = value_entries(&map);
         known && entries_next_pair(&entries, &key, &member);) {
        if (key.type == VALUE_TEXT && text_equal_string(key.as.text, "ref")) {
            status = take_ref(&member, &said->ref, error);
            if (status != STATUS_OK)
                return status;
            continue;
        }
        const struct verb *verb = key.type == VALUE_TEXT ? verb_of(key.as.text) : NULL;
        known = verb && !said->verb;
        said->verb = verb;
        said->value = member;
    }
    if (known && said->verb)
        return STATUS_OK;
    said->verb = NULL;
    error_set(error, "message: expected an object with one of send, publish, ack, nack, extend, "
                     "subscribe, unsubscribe, capability, and perhaps ref");
    return STATUS_INVALID;
}

void
feed_receive(struct feed *feed, struct text message)
{
    struct error error = ERROR_INIT;
    struct said said = {0};
    if (feed->over)
        return;
    enum status status = take_apart(feed, message, &said, &error);
    if (status == STATUS_OK)
        status = said.verb->run(feed, &said, &error);
    if (status == STATUS_OK || feed->over)
        return;
    const char *of = said.verb ? said.verb->name : "message";
    if (!say_error(feed, &(struct feed_about){of, &said.ref, NULL}, status, &error))
        feed_overrun(feed);
}
