/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/paths.h"

#include <stdio.h>

const char *const paths_folders[] = {
    "config",      "data",        "cache",       "logs",           "plugins",
    "secrets",     "tasks",       "run",         "agents",         "data/audit",
    "data/broker", "data/memory", "data/ledger", "data/artifacts", NULL,
};

static bool
is_set(const char *variable)
{
    return variable && variable[0] != '\0';
}

/* Joins into a scratch first, so that path may be one of the parts and stays as it was on failure.
 */
static enum status
join(char path[static PATH_SIZE], const char *first, const char *second, struct error *error)
{
    char joined[PATH_SIZE];
    size_t size = strlen(first);
    while (size > 1 && first[size - 1] == '/')
        size--;
    if (size >= PATH_SIZE || strlen(second) >= PATH_SIZE) {
        error_set(error, "path too long: more than %d bytes", PATH_SIZE - 1);
        return STATUS_VALIDATION;
    }
    const char *separator = size == 1 && first[0] == '/' ? "" : "/";
    int length = snprintf(joined, sizeof joined, "%.*s%s%s", (int)size, first,
                          second[0] != '\0' ? separator : "", second);
    if (length < 0 || length >= PATH_SIZE) {
        error_set(error, "path too long: \"%.100s...\" has more than %d bytes", joined,
                  PATH_SIZE - 1);
        return STATUS_VALIDATION;
    }
    memcpy(path, joined, (size_t)length + 1);
    return STATUS_OK;
}

enum status
paths_home(char path[static PATH_SIZE], const char *sos_home, const char *user_home,
           struct error *error)
{
    bool own = is_set(sos_home);
    const char *name = own ? "SOS_HOME" : "HOME";
    const char *base = own ? sos_home : user_home;
    if (!is_set(base)) {
        error_set(error, "neither SOS_HOME nor HOME is set: where should the home be?");
        return STATUS_VALIDATION;
    }
    if (base[0] != '/') {
        error_set(error, "%s is \"%.100s\": expected an absolute path", name, base);
        return STATUS_VALIDATION;
    }
    enum status status = join(path, base, own ? "" : ".sos", error);
    if (status != STATUS_OK)
        error_wrap(error, "%s", name);
    return status;
}

enum status
paths_join(char path[static PATH_SIZE], const char *home, const char *relative, struct error *error)
{
    return join(path, home, relative, error);
}
