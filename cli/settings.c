/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/settings.h"

#include <string.h>
#include <unistd.h>

#include "platform/file.h"

enum { SETTINGS_FILE_MAX = 1024 * 1024 };

static void
warn(void *context, const char *message)
{
    log_warn((const struct logger *)context, "%s", message);
}

static enum status
apply_file(struct cli *cli, const char *path, struct error *error)
{
    struct buffer content;
    buffer_init(&content);
    enum status status = file_load(path, SETTINGS_FILE_MAX, false, &content, error);
    if (status == STATUS_OK)
        status =
            config_apply_json(cli->config, buffer_text(&content), path, warn, &cli->logger, error);
    else if (status == STATUS_NOT_FOUND)
        status = STATUS_OK;
    buffer_clear(&content);
    return status;
}

static bool
is_one_of(const char *value, const char *const *words)
{
    while (*words && strcmp(*words, value) != 0)
        words++;
    return *words != NULL;
}

static enum status
check_words(struct cli *cli, struct error *error)
{
    static const char *const environments[] = {"development", "production", NULL};
    static const char *const port_modes[] = {"configured", "auto", NULL};
    static const char *const ipc_modes[] = {"tcp", NULL};
    static const struct {
        enum option_id option;
        const char *const *words;
        const char *expected;
    } rows[] = {
        {OPTION_ENV, environments, "development or production"},
        {OPTION_PORTS, port_modes, "configured or auto"},
        {OPTION_IPC_MODE, ipc_modes, "tcp"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *value = config_string(cli->config, rows[i].option);
        if (is_one_of(value, rows[i].words))
            continue;
        error_set(error, "%s (from %s): came '%s', expected %s", option_key(rows[i].option),
                  config_origin(cli->config, rows[i].option), value, rows[i].expected);
        return STATUS_VALIDATION;
    }
    const char *level = config_string(cli->config, OPTION_LOG_LEVEL);
    if (!log_level_parse(text_of(level), &cli->logger.level)) {
        error_set(error,
                  "log_level (from %s): came '%s', expected debug, info, warn, error or fatal",
                  config_origin(cli->config, OPTION_LOG_LEVEL), level);
        return STATUS_VALIDATION;
    }
    return STATUS_OK;
}

enum status
settings_load(struct cli *cli, struct error *error)
{
    char path[PATH_SIZE];
    enum status status = apply_file(cli, SETTINGS_SYSTEM_FILE, error);
    if (status == STATUS_OK)
        status = paths_join(path, cli->home, "config/sos.json", error);
    if (status == STATUS_OK)
        status = apply_file(cli, path, error);
    if (status == STATUS_OK)
        status = config_apply_environment(cli->config, (const char *const *)environ, warn,
                                          &cli->logger, error);
    for (size_t i = 0; status == STATUS_OK && cli->set_arguments[i]; i += 2)
        status = config_apply_argument(cli->config, cli->set_arguments[i + 1], error);
    if (status == STATUS_OK)
        status = check_words(cli, error);
    return status;
}
