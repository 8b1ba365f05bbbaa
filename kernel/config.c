/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/config_layer.h"

#include <ctype.h>
#include <stdlib.h>

#include "kernel/assert.h"

static const char ENVIRONMENT_PREFIX[] = "SOS_";
static const char FEATURE_VARIABLE_PREFIX[] = "SOS_FEATURE_";
static const char FEATURE_KEY_PREFIX[] = "features.";

/* Variables of SOS that are no settings. */
static const char *const other_variables[] = {"SOS_HOME"};

/* ---- making ---- */

struct config *
config_new(void)
{
    struct config *config = calloc(1, sizeof *config);
    if (!config)
        return NULL;
    for (size_t i = 0; i < OPTIONS; i++) {
        struct setting *setting = &config->values.settings[i];
        setting->text = config_options[i].fallback;
        setting->origin = "default";
        if (config_options[i].type == TYPE_U)
            setting->number = strtoull(config_options[i].fallback, NULL, 10);
        else if (config_options[i].type == TYPE_B)
            setting->number = strcmp(config_options[i].fallback, "true") == 0;
    }
    config->values.services = text_of("{}");
    return config;
}

void
config_destroy(struct config **config_p)
{
    struct config *config = *config_p;
    if (!config)
        return;
    while (config->blocks) {
        struct block *next = config->blocks->next;
        explicit_bzero(config->blocks->text, strlen(config->blocks->text)); /* one may be a key */
        free(config->blocks);
        config->blocks = next;
    }
    free(config);
    *config_p = NULL;
}

/* ---- variables ---- */

/* "broker.port" and "SOS_BROKER_PORT"? */
static bool
is_variable_of(const char *key, struct text name)
{
    size_t prefix = sizeof ENVIRONMENT_PREFIX - 1;
    if (name.size != prefix + strlen(key))
        return false;
    for (size_t i = 0; key[i] != '\0'; i++) {
        char expected = key[i] == '.' ? '_' : (char)toupper((unsigned char)key[i]);
        if (name.data[prefix + i] != expected)
            return false;
    }
    return true;
}

static enum status
apply_feature_variable(const struct layer *layer, struct text name, struct text value)
{
    size_t prefix = sizeof FEATURE_VARIABLE_PREFIX - 1;
    char feature[NAME_MAX_BYTES + 1];
    bool on;
    if (name.size - prefix > NAME_MAX_BYTES) {
        layer_warn_unknown(layer, "variable", name);
        return STATUS_OK;
    }
    for (size_t i = prefix; i < name.size; i++)
        feature[i - prefix] = (char)tolower((unsigned char)name.data[i]);
    if (!layer_parse_boolean(value, &on))
        return layer_fail_text(layer, "features", value, "1 or 0");
    return layer_set_feature(layer, (struct text){feature, name.size - prefix}, on);
}

static enum status
apply_variable(struct layer *layer, struct text name, struct text value)
{
    layer->source = layer->origin = config_keep(layer->config, name);
    if (!layer->origin) {
        layer->source = "environment";
        return layer_fail_nomem(layer);
    }
    if (text_starts_with(name, FEATURE_VARIABLE_PREFIX))
        return apply_feature_variable(layer, name, value);
    for (size_t i = 0; i < OPTIONS; i++)
        if (is_variable_of(config_options[i].key, name))
            return layer_set_text(layer, i, value);
    for (size_t i = 0; i < sizeof other_variables / sizeof other_variables[0]; i++)
        if (text_equal_string(name, other_variables[i]))
            return STATUS_OK;
    layer->source = "environment";
    layer_warn_unknown(layer, "variable", name);
    return STATUS_OK;
}

enum status
config_apply_environment(struct config *config, const char *const *environment,
                         config_warn_fn *warn, void *context, struct error *error)
{
    struct values before = config->values;
    struct layer layer = {config, "environment", "environment", warn, context, error};
    for (; *environment; environment++) {
        const char *equals = strchr(*environment, '=');
        if (!equals || strncmp(*environment, ENVIRONMENT_PREFIX, sizeof ENVIRONMENT_PREFIX - 1))
            continue;
        struct text name = {*environment, (size_t)(equals - *environment)};
        enum status status = apply_variable(&layer, name, text_of(equals + 1));
        if (status != STATUS_OK) {
            config->values = before;
            return status;
        }
    }
    return STATUS_OK;
}

/* ---- the command line ---- */

static enum status
apply_assignment(const struct layer *layer, struct text key, struct text value)
{
    size_t option;
    bool on;
    if (text_starts_with(key, FEATURE_KEY_PREFIX)) {
        size_t prefix = sizeof FEATURE_KEY_PREFIX - 1;
        if (!layer_parse_boolean(value, &on))
            return layer_fail_text(layer, "features", value, "true or false");
        return layer_set_feature(layer, (struct text){key.data + prefix, key.size - prefix}, on);
    }
    if (!config_find_option(key, &option)) {
        error_set(layer->error, "%s: unknown key \"%.*s\"", layer->source,
                  key.size > 100 ? 100 : (int)key.size, key.data);
        return STATUS_VALIDATION;
    }
    if (layer_is_secret(option))
        return layer_set_secret(layer, option, value);
    return layer_set_text(layer, option, value);
}

enum status
config_apply_argument(struct config *config, const char *assignment, struct error *error)
{
    struct layer layer = {config, "command line", "command line", NULL, NULL, error};
    const char *equals = strchr(assignment, '=');
    if (!equals) {
        error_set(error, "command line: \"%.100s\": expected key=value", assignment);
        return STATUS_VALIDATION;
    }
    struct values before = config->values;
    struct text key = {assignment, (size_t)(equals - assignment)};
    enum status status = apply_assignment(&layer, key, text_of(equals + 1));
    if (status != STATUS_OK)
        config->values = before;
    return status;
}

/* ---- reading ---- */

static const struct setting *
setting_of(const struct config *config, enum option_id option, enum option_type type)
{
    ASSERT((size_t)option < OPTIONS && config_options[option].type == type);
    return &config->values.settings[option];
}

const char *
config_string(const struct config *config, enum option_id option)
{
    return setting_of(config, option, TYPE_S)->text;
}

uint64_t
config_uint(const struct config *config, enum option_id option)
{
    return setting_of(config, option, TYPE_U)->number;
}

bool
config_bool(const struct config *config, enum option_id option)
{
    const struct setting *setting = setting_of(config, option, TYPE_B);
    if (option == OPTION_REQUIRE_CAPABILITIES && strcmp(setting->origin, "default") == 0)
        return strcmp(config_string(config, OPTION_ENV), "production") == 0;
    if (option == OPTION_BUS_ANONYMOUS && strcmp(setting->origin, "default") == 0)
        return strcmp(config_string(config, OPTION_ENV), "production") != 0;
    return setting->number != 0;
}

bool
config_feature(const struct config *config, const char *name, bool fallback)
{
    for (size_t i = 0; i < config->values.feature_count; i++)
        if (strcmp(config->values.features[i].name, name) == 0)
            return config->values.features[i].value;
    return fallback;
}

struct text
config_services(const struct config *config)
{
    return config->values.services;
}

const char *
config_origin(const struct config *config, enum option_id option)
{
    ASSERT((size_t)option < OPTIONS);
    return config->values.settings[option].origin;
}

const char *
option_key(enum option_id option)
{
    ASSERT((size_t)option < OPTIONS);
    return config_options[option].key;
}

const char *
option_help(enum option_id option)
{
    ASSERT((size_t)option < OPTIONS);
    return config_options[option].help;
}
