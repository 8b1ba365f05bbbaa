/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/session/feed_internal.h"
#include "gateway/translate.h"

static struct buffer *
begin(struct feed *feed, const char *kind)
{
    buffer_reset(&feed->json);
    buffer_append_string(&feed->json, "{\"kind\":\"");
    buffer_append_string(&feed->json, kind);
    buffer_append_byte(&feed->json, '"');
    return &feed->json;
}

static void
append_about(struct buffer *json, const struct feed_about *about)
{
    buffer_append_string(json, ",\"of\":\"");
    buffer_append_string(json, about->of);
    buffer_append_byte(json, '"');
    if (about->ref && about->ref->size > 0) {
        buffer_append_string(json, ",\"ref\":");
        if (msgpack_to_json((struct bytes){about->ref->data, about->ref->size}, json, NULL) !=
            STATUS_OK)
            buffer_append_string(json, "null");
    }
    if (about->channel) {
        buffer_append_string(json, ",\"channel\":");
        json_append_text(json, text_of(about->channel));
    }
}

static bool
finish(struct feed *feed)
{
    const struct feed_options *options = &feed->options;
    return !feed->json.failed && options->say(options->context, buffer_text(&feed->json));
}

/* What stands at `at` is an object's JSON: its members become those of the message. */
static void
join(struct buffer *json, size_t at)
{
    if (json->failed)
        return;
    if (json->size - at <= 2)
        json->size = at + 1;
    json->data[at] = json->size == at + 1 ? '}' : ',';
}

bool
say_map(struct feed *feed, const char *kind, struct bytes map)
{
    struct value value;
    struct buffer *json = begin(feed, kind);
    size_t at = json->size;
    if (!value_parse(map, &value) || value.type != VALUE_MAP)
        return true;
    if (msgpack_to_json(map, json, NULL) != STATUS_OK)
        return false;
    join(json, at);
    return finish(feed);
}

bool
say_dropped(struct feed *feed, uint64_t dropped)
{
    buffer_append_format(begin(feed, "dropped"), ",\"dropped\":%llu}", (unsigned long long)dropped);
    return finish(feed);
}

bool
say_ready(struct feed *feed, const char *of)
{
    struct buffer *json = begin(feed, "ready");
    append_about(json, &(struct feed_about){.of = of});
    buffer_append_byte(json, '}');
    return finish(feed);
}

bool
say_result(struct feed *feed, const struct feed_about *about, struct bytes result)
{
    struct buffer *json = begin(feed, "result");
    append_about(json, about);
    buffer_append_string(json, ",\"result\":");
    if (result.size == 0 || msgpack_to_json(result, json, NULL) != STATUS_OK)
        buffer_append_string(json, "{}");
    buffer_append_byte(json, '}');
    return finish(feed);
}

bool
say_refusal(struct feed *feed, const struct feed_about *about, enum status status,
            struct bytes payload)
{
    struct buffer *json = begin(feed, "error");
    append_about(json, about);
    size_t at = json->size;
    translate_refusal(status, payload, json);
    join(json, at);
    return finish(feed);
}

bool
say_error(struct feed *feed, const struct feed_about *about, enum status status,
          const struct error *error)
{
    struct buffer payload;
    buffer_init(&payload);
    error_pack(&payload, status, error);
    bool said = say_refusal(feed, about, status, buffer_bytes(&payload));
    buffer_clear(&payload);
    return said;
}
