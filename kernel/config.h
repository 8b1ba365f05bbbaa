/* SPDX-License-Identifier: Apache-2.0 */
/* kernel/config.h - settings in layers, later wins: defaults, /etc/sos/config.json,
 * $SOS_HOME/config/sos.json, environment SOS_*, command line.
 *
 * Pure: file contents and variables are handed in by the process edge
 * (cli/settings.c). Unknown keys warn; a wrong type or a value out of bounds is VALIDATION with
 * file (or variable) and key named. The rows are kernel/options.h. */
#ifndef SOS_KERNEL_CONFIG_H
#define SOS_KERNEL_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/bytes.h"
#include "kernel/error.h"
#include "kernel/options.h"
#include "kernel/status.h"

enum option_id {
#define OPTION_ENUM(id, key, type, fallback, min, max, help) OPTION_##id,
    OPTION_MAP(OPTION_ENUM)
#undef OPTION_ENUM
        OPTIONS
};

/* In place of a secret value: the name of one that the identity service keeps. */
#define SECRET_NAME_PREFIX "secret:"

struct config;

/* Every apply is whole: when it fails, nothing of its layer counts. */

/* Called for each thing worth a warning ("config/sos.json: unknown key "x""). */
typedef void config_warn_fn(void *context, const char *message);

struct config *config_new(void); /* defaults; NULL when out of memory */
void config_destroy(struct config **config_p);

/* `source` names the file in messages. A secret in a file is refused: it is the path of
 * a file, the name of a stored one (secret:NAME), or stands in the environment. `features` is an
 * object name -> boolean; `services` an object that is kept for its reader. */
enum status config_apply_json(struct config *config, struct text json, const char *source,
                              config_warn_fn *warn, void *context, struct error *error);

/* environment: NULL-terminated "NAME=value" strings; others than SOS_* are passed over,
 * SOS_FEATURE_X=1|0 sets feature x; SOS_HOME is known but no option; other SOS_ names warn. */
enum status config_apply_environment(struct config *config, const char *const *environment,
                                     config_warn_fn *warn, void *context, struct error *error);

/* key=value as it stands on a command line; features.x=true sets feature x. An unknown key is
 * VALIDATION here, and a secret is refused: others can read a command line. */
enum status config_apply_argument(struct config *config, const char *assignment,
                                  struct error *error);

const char *config_string(const struct config *config, enum option_id option);
uint64_t config_uint(const struct config *config, enum option_id option);

/* require_capabilities that no layer has set is true where env is production. */
bool config_bool(const struct config *config, enum option_id option);
bool config_feature(const struct config *config, const char *name, bool fallback);

/* The `services` object as JSON, "{}" when no file has one. Borrowed until the next apply. */
struct text config_services(const struct config *config);

/* Name of the layer that set it: "default", a file, "SOS_X", "command line". */
const char *config_origin(const struct config *config, enum option_id option);
const char *option_key(enum option_id option);
const char *option_help(enum option_id option);

#endif
