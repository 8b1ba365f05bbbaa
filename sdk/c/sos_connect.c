/* SPDX-License-Identifier: Apache-2.0 */
/* Whom to be and where the broker is: the order stands in sos.h at struct sos_options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/identity.h"
#include "kernel/paths.h"
#include "sdk/c/sos_internal.h"

static enum status
take_field(char *to, size_t capacity, const char *from, const char *name, struct error *error)
{
    size_t size = from ? strlen(from) : 0;
    if (size == 0 || size >= capacity) {
        error_set_field(error, name,
                        "%s: endpoint, broker_public_key, identity, public_key and "
                        "secret_key go together",
                        size ? "too long" : "missing");
        return STATUS_VALIDATION;
    }
    memcpy(to, from, size + 1);
    return STATUS_OK;
}

static enum status
from_fields(struct connection *connection, const struct sos_options *options, struct error *error)
{
    const struct {
        const char *name;
        const char *from;
        char *to;
        size_t capacity;
    } fields[] = {
        {"endpoint", options->endpoint, connection->endpoint, sizeof connection->endpoint},
        {"broker_public_key", options->broker_public_key, connection->broker_public_key,
         CURVE_KEY_TEXT_SIZE},
        {"identity", options->identity, connection->identity, sizeof connection->identity},
        {"public_key", options->public_key, connection->keys.public_key, CURVE_KEY_TEXT_SIZE},
        {"secret_key", options->secret_key, connection->keys.secret_key, CURVE_KEY_TEXT_SIZE},
    };
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof fields / sizeof *fields && status == STATUS_OK; i++)
        status =
            take_field(fields[i].to, fields[i].capacity, fields[i].from, fields[i].name, error);
    if (status == STATUS_OK)
        status = connection_check(connection, error);
    return status;
}

/* "kasra" is agent:kasra, whose file is agents/kasra.json; others have secrets/<name>.key. */
static enum status
key_file(const char *name, char *relative, size_t capacity, struct error *error)
{
    char id[MESSAGE_NAME_MAX + 1];
    struct identity identity;
    int size = snprintf(id, sizeof id, "%s%s", strchr(name, ':') ? "" : "agent:", name);
    enum status status = STATUS_VALIDATION;
    if (size < 0 || (size_t)size >= sizeof id)
        error_set(error, "too long");
    else
        status = identity_parse(text_of(id), &identity, error);
    if (status == STATUS_OK && memchr(identity.name.data, '/', identity.name.size)) {
        error_set(error, "%s names no file", id);
        status = STATUS_VALIDATION;
    }
    if (status != STATUS_OK) {
        error_wrap(error, "name");
        return status;
    }
    bool agent = identity.type == IDENTITY_AGENT;
    snprintf(relative, capacity, "%s/%.*s%s", agent ? "agents" : "secrets",
             TEXT_ARGS(identity.name), agent ? ".json" : ".key");
    return STATUS_OK;
}

static enum status
from_home(struct connection *connection, const char *given_home, const char *name,
          struct error *error)
{
    char home[PATH_SIZE];
    char swarm[PATH_SIZE];
    char key[PATH_SIZE];
    char relative[MESSAGE_NAME_MAX + sizeof "secrets/.json"];
    enum status status = key_file(name, relative, sizeof relative, error);
    if (status == STATUS_OK)
        status =
            paths_home(home, given_home ? given_home : getenv("SOS_HOME"), getenv("HOME"), error);
    if (status == STATUS_OK)
        status = paths_join(swarm, home, "config/swarm.json", error);
    if (status == STATUS_OK)
        status = paths_join(key, home, relative, error);
    if (status == STATUS_OK)
        status = connection_load_home(connection, swarm, key, error);
    if (status == STATUS_NOT_FOUND)
        error_wrap(error, "no key of %s in this home (`sos agent new` makes those of agents)",
                   name);
    return status;
}

enum status
connect_find(struct connection *connection, const struct sos_options *options, struct error *error)
{
    if (options->connection_file)
        return connection_load(connection, NULL, options->connection_file, error);
    if (options->endpoint || options->broker_public_key || options->identity ||
        options->public_key || options->secret_key)
        return from_fields(connection, options, error);
    if (options->name)
        return from_home(connection, options->home, options->name, error);
    const char *file = getenv("SOS_CONNECTION");
    if (file && *file) {
        enum status status = connection_load(connection, NULL, file, error);
        if (status != STATUS_OK)
            error_wrap(error, "$SOS_CONNECTION");
        return status;
    }
    const char *name = getenv("SOS_AGENT");
    if (name && *name)
        return from_home(connection, options->home, name, error);
    error_set(error, "whom to connect as? Give connection_file or name, or set $SOS_CONNECTION to "
                     "the file that `sos agent new` wrote, or $SOS_AGENT to its name");
    return STATUS_VALIDATION;
}
