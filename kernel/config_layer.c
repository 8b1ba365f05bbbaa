/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/config_layer.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

const struct option config_options[OPTIONS] = {
#define OPTION_ROW(id, key, type, fallback, min, max, help)                                        \
    [OPTION_##id] = {key, TYPE_##type, fallback, min, max, help},
    OPTION_MAP(OPTION_ROW)
#undef OPTION_ROW
};

/* Texts that are one of a few words. */
static const struct {
    enum option_id option;
    const char *words; /* apart by spaces */
} word_options[] = {
    {OPTION_EDITION, "business education kids art"},
    {OPTION_ENV, "development production"},
    {OPTION_IPC_MODE, "tcp"},
    {OPTION_LOG_LEVEL, "debug info warn error fatal"},
};

const char *
config_keep(struct config *config, struct text text)
{
    struct block *block = malloc(sizeof *block + text.size + 1);
    if (!block)
        return NULL;
    if (text.size > 0)
        memcpy(block->text, text.data, text.size);
    block->text[text.size] = '\0';
    block->next = config->blocks;
    config->blocks = block;
    return block->text;
}

bool
config_find_option(struct text key, size_t *option)
{
    for (size_t i = 0; i < OPTIONS; i++) {
        if (text_equal_string(key, config_options[i].key)) {
            *option = i;
            return true;
        }
    }
    return false;
}

const char *
layer_type_word(enum value_type type)
{
    static const char *const words[] = {
        [VALUE_NIL] = "null",     [VALUE_BOOL] = "a boolean",    [VALUE_UINT] = "a number",
        [VALUE_INT] = "a number", [VALUE_DOUBLE] = "a fraction", [VALUE_TEXT] = "text",
        [VALUE_BIN] = "binary",   [VALUE_ARRAY] = "a list",      [VALUE_MAP] = "an object",
        [VALUE_EXT] = "binary",
    };
    return words[type];
}

void
layer_warn_unknown(const struct layer *layer, const char *kind, struct text name)
{
    char message[256];
    int size = name.size > 100 ? 100 : (int)name.size;
    snprintf(message, sizeof message, "%s: unknown %s \"%.*s\"", layer->source, kind, size,
             name.data);
    if (layer->warn)
        layer->warn(layer->context, message);
}

enum status
layer_fail_nomem(const struct layer *layer)
{
    error_set(layer->error, "%s: out of memory", layer->source);
    return STATUS_NOMEM;
}

enum status
layer_fail_value(const struct layer *layer, const char *key, const char *came, const char *expected)
{
    error_set_field(layer->error, key, "%s: %s: came %s, expected %s", layer->source, key, came,
                    expected);
    return STATUS_VALIDATION;
}

enum status
layer_fail_text(const struct layer *layer, const char *key, struct text came, const char *expected)
{
    char quoted[80];
    bool cut = came.size > 60;
    snprintf(quoted, sizeof quoted, "\"%.*s%s\"", cut ? 60 : (int)came.size, came.data,
             cut ? "..." : "");
    return layer_fail_value(layer, key, quoted, expected);
}

static bool
holds_word(const char *words, struct text word)
{
    while (*words != '\0') {
        size_t size = strcspn(words, " ");
        if (text_equal(word, (struct text){words, size}))
            return true;
        words += size + (words[size] == ' ');
    }
    return false;
}

static bool
is_hex_key(struct text text)
{
    if (text.size != 64)
        return false;
    for (size_t i = 0; i < text.size; i++)
        if (!isxdigit((unsigned char)text.data[i]))
            return false;
    return true;
}

static enum status
check_text(const struct layer *layer, size_t option, struct text text)
{
    const char *key = config_options[option].key;
    if (text.size > config_options[option].max || text.size < config_options[option].min) {
        char expected[64];
        snprintf(expected, sizeof expected, "at most %" PRIu64 " bytes",
                 config_options[option].max);
        return layer_fail_value(layer, key, "a longer text", expected);
    }
    if (text.size > 0 && memchr(text.data, '\0', text.size))
        return layer_fail_value(layer, key, "text with a NUL", "text without");
    for (size_t i = 0; i < sizeof word_options / sizeof word_options[0]; i++)
        if (word_options[i].option == option && !holds_word(word_options[i].words, text))
            return layer_fail_text(layer, key, text, word_options[i].words);
    bool hex = option == OPTION_RIVER_KEY_HEX || option == OPTION_CAPABILITY_KEY_HEX;
    if (hex && text.size > 0 && !is_hex_key(text))
        return layer_fail_text(layer, key, text, "64 hex digits");
    return STATUS_OK;
}

static enum status
set_text(const struct layer *layer, size_t option, struct text text)
{
    enum status status = check_text(layer, option, text);
    if (status != STATUS_OK)
        return status;
    const char *kept = config_keep(layer->config, text);
    if (!kept)
        return layer_fail_nomem(layer);
    struct setting *setting = &layer->config->values.settings[option];
    setting->text = kept;
    setting->origin = layer->origin;
    return STATUS_OK;
}

static void
set_number(const struct layer *layer, size_t option, uint64_t number)
{
    struct setting *setting = &layer->config->values.settings[option];
    setting->number = number;
    setting->origin = layer->origin;
}

static enum status
fail_number(const struct layer *layer, size_t option, struct text came)
{
    char expected[96];
    snprintf(expected, sizeof expected, "a whole number from %" PRIu64 " to %" PRIu64,
             config_options[option].min, config_options[option].max);
    return layer_fail_text(layer, config_options[option].key, came, expected);
}

static bool
parse_number(struct text text, uint64_t *number)
{
    uint64_t result = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (!isdigit((unsigned char)text.data[i]))
            return false;
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (result > (UINT64_MAX - digit) / 10)
            return false;
        result = result * 10 + digit;
    }
    *number = result;
    return text.size > 0;
}

bool
layer_parse_boolean(struct text text, bool *value)
{
    bool yes = holds_word("1 true yes on", text);
    if (text.size == 0 || (!yes && !holds_word("0 false no off", text)))
        return false;
    *value = yes;
    return true;
}

enum status
layer_set_text(const struct layer *layer, size_t option, struct text text)
{
    uint64_t number;
    bool boolean;
    switch (config_options[option].type) {
    case TYPE_S:
        return set_text(layer, option, text);
    case TYPE_U:
        if (!parse_number(text, &number) || number < config_options[option].min ||
            number > config_options[option].max)
            return fail_number(layer, option, text);
        set_number(layer, option, number);
        return STATUS_OK;
    case TYPE_B:
        if (!layer_parse_boolean(text, &boolean))
            return layer_fail_text(layer, config_options[option].key, text, "1, 0, true or false");
        set_number(layer, option, boolean);
        return STATUS_OK;
    }
    return STATUS_INTERNAL;
}

enum status
layer_set_value(const struct layer *layer, size_t option, const struct value *value)
{
    const char *key = config_options[option].key;
    const char *came = layer_type_word(value->type);
    char text[32];
    switch (config_options[option].type) {
    case TYPE_S:
        if (value->type != VALUE_TEXT)
            return layer_fail_value(layer, key, came, "text");
        return set_text(layer, option, value->as.text);
    case TYPE_U:
        if (value->type == VALUE_INT || value->type == VALUE_UINT) {
            bool fits = value->type == VALUE_UINT && value->as.uint >= config_options[option].min &&
                        value->as.uint <= config_options[option].max;
            if (value->type == VALUE_INT)
                snprintf(text, sizeof text, "%" PRId64, value->as.integer);
            else
                snprintf(text, sizeof text, "%" PRIu64, value->as.uint);
            if (!fits)
                return fail_number(layer, option, text_of(text));
            set_number(layer, option, value->as.uint);
            return STATUS_OK;
        }
        return layer_fail_value(layer, key, came, "a whole number");
    case TYPE_B:
        if (value->type != VALUE_BOOL)
            return layer_fail_value(layer, key, came, "true or false");
        set_number(layer, option, value->as.boolean);
        return STATUS_OK;
    }
    return STATUS_INTERNAL;
}

/* ---- features ---- */

static bool
is_feature_name(struct text name)
{
    if (name.size == 0 || name.size > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < name.size; i++)
        if (!isalnum((unsigned char)name.data[i]) && !strchr("_-.", name.data[i]))
            return false;
    return true;
}

enum status
layer_set_feature(const struct layer *layer, struct text name, bool value)
{
    struct values *values = &layer->config->values;
    for (size_t i = 0; i < values->feature_count; i++) {
        if (text_equal_string(name, values->features[i].name)) {
            values->features[i].value = value;
            return STATUS_OK;
        }
    }
    if (!is_feature_name(name))
        return layer_fail_text(layer, "features", name,
                               "a name of 1 to 64 letters, digits and . _ -");
    if (values->feature_count == FEATURES_MAX)
        return layer_fail_value(layer, "features", "more than 64 features", "at most 64");
    const char *kept = config_keep(layer->config, name);
    if (!kept)
        return layer_fail_nomem(layer);
    values->features[values->feature_count++] = (struct feature){kept, value};
    return STATUS_OK;
}

static const struct {
    size_t option;
    bool may_name; /* a stored secret in its place */
    const char *instead;
} secret_options[] = {
    {OPTION_OPENAI_API_KEY, true,
     "keep it with sos secret set NAME and write secret:NAME here, or set the variable "
     "SOS_OPENAI_API_KEY, or openai.api_key_file to a file that holds the key"},
    {OPTION_SECRETS_PASSPHRASE, false,
     "set the variable SOS_SECRETS_PASSPHRASE, or let sos up --ask-passphrase ask for it"},
};

bool
layer_is_secret(size_t option)
{
    for (size_t i = 0; i < sizeof secret_options / sizeof secret_options[0]; i++)
        if (secret_options[i].option == option)
            return true;
    return false;
}

enum status
layer_set_secret(const struct layer *layer, size_t option, struct text text)
{
    const char *key = config_options[option].key;
    for (size_t i = 0; i < sizeof secret_options / sizeof secret_options[0]; i++) {
        if (secret_options[i].option != option)
            continue;
        if (secret_options[i].may_name && text_starts_with(text, SECRET_NAME_PREFIX))
            return layer_set_text(layer, option, text);
        error_set_field(layer->error, key, "%s: %s may not stand here: %s", layer->source, key,
                        secret_options[i].instead);
    }
    return STATUS_VALIDATION;
}
