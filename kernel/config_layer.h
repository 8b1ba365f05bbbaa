/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/config_layer.h - inside of config: its data, and how one layer sets one option.
 *
 * Private to kernel/config*.c. A setter checks the value against the option's row; its error
 * names the layer's source and the key. */
#ifndef SOS_KERNEL_CONFIG_LAYER_H
#define SOS_KERNEL_CONFIG_LAYER_H

#include "kernel/config.h"
#include "kernel/pack.h"

enum option_type { TYPE_S, TYPE_U, TYPE_B };

enum {
    FEATURES_MAX = 64,
    NAME_MAX_BYTES = 64 /* of a feature */
};

struct option {
    const char *key;
    enum option_type type;
    const char *fallback;
    uint64_t min, max; /* of a number, or the bytes of a text */
    const char *help;
};

extern const struct option config_options[OPTIONS];

struct setting {
    const char *text;
    uint64_t number; /* a boolean as 0 or 1 */
    const char *origin;
};

struct feature {
    const char *name;
    bool value;
};

/* Plain data whose strings belong to the config's blocks: assigning it back undoes a layer. */
struct values {
    struct setting settings[OPTIONS];
    struct feature features[FEATURES_MAX];
    size_t feature_count;
    struct text services;
};

struct block {
    struct block *next;
    char text[];
};

struct config {
    struct values values;
    struct block *blocks;
};

/* The layer that is being applied. */
struct layer {
    struct config *config;
    const char *source; /* for messages */
    const char *origin; /* kept with each setting */
    config_warn_fn *warn;
    void *context;
    struct error *error;
};

/* A copy that lives as long as the config; NULL when out of memory. */
const char *config_keep(struct config *config, struct text text);

bool config_find_option(struct text key, size_t *option);

/* Sets from text, as in a variable or on the command line, or from a value of a file. */
enum status layer_set_text(const struct layer *layer, size_t option, struct text text);
enum status layer_set_value(const struct layer *layer, size_t option, const struct value *value);
enum status layer_set_feature(const struct layer *layer, struct text name, bool value);

/* 1 true yes on, 0 false no off; false for any other text. */
bool layer_parse_boolean(struct text text, bool *value);

/* "config/sos.json: broker.port: came text, expected a whole number". */
enum status layer_fail_value(const struct layer *layer, const char *key, const char *came,
                             const char *expected);
enum status layer_fail_text(const struct layer *layer, const char *key, struct text came,
                            const char *expected);
enum status layer_fail_nomem(const struct layer *layer);

/* Is the option's value a secret, which may stand in the environment alone? */
bool layer_is_secret(size_t option);
/* In another layer: sets the name of a stored secret ("secret:openai"); anything else is refused
 * with where it may stand. A value that is no text comes as an empty one. */
enum status layer_set_secret(const struct layer *layer, size_t option, struct text text);

void layer_warn_unknown(const struct layer *layer, const char *kind, struct text name);

/* "text", "a list"… Static. */
const char *layer_type_word(enum value_type type);

#endif
