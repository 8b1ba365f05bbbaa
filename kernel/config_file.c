/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/config_layer.h"

#include <stdio.h>

#include "kernel/assert.h"
#include "kernel/json.h"

enum { KEY_SIZE = 128 };

/* Do options stand below this key ("broker")? */
static bool
is_group(struct text key)
{
    for (size_t i = 0; i < OPTIONS; i++)
        if (key.size > 0 && strncmp(config_options[i].key, key.data, key.size) == 0 &&
            strlen(config_options[i].key) > key.size && config_options[i].key[key.size] == '.')
            return true;
    return false;
}

static enum status
apply_features(const struct layer *layer, const struct value *features)
{
    if (features->type != VALUE_MAP)
        return layer_fail_value(layer, "features", layer_type_word(features->type), "an object");
    struct entries entries = value_entries(features);
    struct value name, value;
    while (entries_next_pair(&entries, &name, &value)) {
        if (value.type != VALUE_BOOL) {
            char key[KEY_SIZE];
            snprintf(key, sizeof key, "features.%.64s",
                     name.as.text.size <= NAME_MAX_BYTES ? "" : "...");
            if (name.as.text.size <= NAME_MAX_BYTES)
                snprintf(key, sizeof key, "features.%.*s", TEXT_ARGS(name.as.text));
            return layer_fail_value(layer, key, layer_type_word(value.type), "true or false");
        }
        enum status status = layer_set_feature(layer, name.as.text, value.as.boolean);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status
apply_services(const struct layer *layer, const struct value *services)
{
    if (services->type != VALUE_MAP)
        return layer_fail_value(layer, "services", layer_type_word(services->type), "an object");
    struct buffer json;
    buffer_init(&json);
    enum status status = msgpack_to_json(services->raw, &json, layer->error);
    const char *kept = status == STATUS_OK ? config_keep(layer->config, buffer_text(&json)) : NULL;
    if (kept)
        layer->config->values.services = (struct text){kept, json.size};
    else if (status == STATUS_OK)
        status = layer_fail_nomem(layer);
    buffer_clear(&json);
    return status;
}

static enum status apply_map(const struct layer *layer, const char *prefix,
                             const struct value *map);

static enum status
apply_entry(const struct layer *layer, const char *key, const struct value *value)
{
    size_t option;
    if (strcmp(key, "features") == 0)
        return apply_features(layer, value);
    if (strcmp(key, "services") == 0)
        return apply_services(layer, value);
    if (config_find_option(text_of(key), &option)) {
        if (layer_is_secret(option))
            return layer_set_secret(layer, option,
                                    value->type == VALUE_TEXT ? value->as.text : (struct text){0});
        return layer_set_value(layer, option, value);
    }
    if (is_group(text_of(key))) {
        if (value->type != VALUE_MAP)
            return layer_fail_value(layer, key, layer_type_word(value->type), "an object");
        return apply_map(layer, key, value);
    }
    layer_warn_unknown(layer, "key", text_of(key));
    return STATUS_OK;
}

/* Nests only as deep as option keys have dots: an unknown key is not entered. */
static enum status
apply_map(const struct layer *layer, const char *prefix, const struct value *map)
{
    struct entries entries = value_entries(map);
    struct value name, value;
    while (entries_next_pair(&entries, &name, &value)) {
        struct text text = name.as.text;
        char key[KEY_SIZE];
        bool fits = text.size + strlen(prefix) + 2 <= sizeof key &&
                    (text.size == 0 || !memchr(text.data, '\0', text.size));
        if (!fits) {
            layer_warn_unknown(layer, "key", text);
            continue;
        }
        snprintf(key, sizeof key, "%s%s%.*s", prefix, prefix[0] != '\0' ? "." : "",
                 TEXT_ARGS(text));
        enum status status = apply_entry(layer, key, &value);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status
apply_file(const struct layer *layer, struct text json, struct json_parser *parser,
           struct buffer *packed)
{
    enum status status = json_to_msgpack(parser, json, packed, layer->error);
    if (status != STATUS_OK) {
        error_wrap(layer->error, "%s", layer->source);
        return status;
    }
    struct value value;
    bool whole = value_parse(buffer_bytes(packed), &value);
    ASSERT(whole);
    if (value.type != VALUE_MAP) {
        error_set(layer->error, "%s: came %s, expected an object", layer->source,
                  layer_type_word(value.type));
        return STATUS_VALIDATION;
    }
    return apply_map(layer, "", &value);
}

enum status
config_apply_json(struct config *config, struct text json, const char *source, config_warn_fn *warn,
                  void *context, struct error *error)
{
    struct values before = config->values;
    struct layer layer = {config, source,  config_keep(config, text_of(source)),
                          warn,   context, error};
    struct json_parser *parser = json_parser_new();
    struct buffer packed;
    buffer_init(&packed);

    enum status status;
    if (layer.origin && parser)
        status = apply_file(&layer, json, parser, &packed);
    else
        status = layer_fail_nomem(&layer);
    if (status != STATUS_OK)
        config->values = before;
    buffer_clear(&packed);
    json_parser_destroy(&parser);
    return status;
}
