/* SPDX-License-Identifier: Apache-2.0 */
#include "sdk/c/connection.h"

#include <jansson.h>
#include <string.h>

#include "kernel/identity.h"
#include "kernel/json.h"
#include "platform/file.h"

enum { FILE_SIZE_MAX = 64 * 1024 };

/* Frees a buffer that held a secret. It was reserved whole at first: growing would leave copies in
 * freed memory. */
static void
wipe(struct buffer *buffer)
{
    if (buffer->data)
        explicit_bzero(buffer->data, buffer->capacity);
    buffer_clear(buffer);
}

/* Takes member into value when it is there; an absent one leaves value as it was. */
static enum status
take_member(const json_t *object, const char *path, const char *member, char *value, size_t size,
            struct error *error)
{
    const json_t *found = json_object_get(object, member);
    if (!found)
        return STATUS_OK;
    if (!json_is_string(found)) {
        error_set(error, "%s: member \"%s\" must be text", path, member);
        return STATUS_VALIDATION;
    }
    size_t length = json_string_length(found);
    if (length == 0 || length >= size || memchr(json_string_value(found), '\0', length)) {
        error_set(error, "%s: member \"%s\" must be text of 1 to %zu bytes", path, member,
                  size - 1);
        return STATUS_VALIDATION;
    }
    memcpy(value, json_string_value(found), length + 1);
    return STATUS_OK;
}

static enum status
take_file(struct connection *connection, const char *path, bool secret, struct error *error)
{
    struct buffer text;
    buffer_init(&text);
    json_t *object = NULL;
    enum status status = STATUS_NOMEM;
    if (!buffer_reserve(&text, 2 * FILE_SIZE_MAX))
        goto done;
    status = file_load(path, FILE_SIZE_MAX, secret, &text, error);
    if (status != STATUS_OK)
        goto done;

    json_error_t reason;
    object = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, &reason);
    if (!json_is_object(object)) {
        if (object)
            error_set(error, "%s: expected a JSON object", path);
        else
            /* jansson's own words may quote the text near the fault: never print them. */
            error_set(error, "%s: not JSON, line %d column %d", path, reason.line, reason.column);
        status = STATUS_VALIDATION;
        goto done;
    }
    struct {
        const char *name;
        char *value;
        size_t size;
        bool secret;
    } members[] = {
        {"endpoint", connection->endpoint, sizeof connection->endpoint, false},
        {"broker_public_key", connection->broker_public_key, sizeof connection->broker_public_key,
         false},
        {"identity", connection->identity, sizeof connection->identity, true},
        {"curve_public_key", connection->keys.public_key, sizeof connection->keys.public_key, true},
        {"curve_secret_key", connection->keys.secret_key, sizeof connection->keys.secret_key, true},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members && status == STATUS_OK; i++)
        if (secret || !members[i].secret)
            status = take_member(object, path, members[i].name, members[i].value, members[i].size,
                                 error);

done:
    json_decref(object);
    wipe(&text);
    return status;
}

static enum status
check_key(const char *path, const char *member, const char *key, struct error *error)
{
    if (curve_key_is_valid(key))
        return STATUS_OK;
    error_set(error, "%s: member \"%s\" is %s, expected a CURVE key of 40 Z85 characters", path,
              member, *key ? "ill-formed" : "missing");
    return STATUS_VALIDATION;
}

static enum status
check(const struct connection *connection, const char *swarm_path, const char *key_path,
      struct error *error)
{
    const char *shared = swarm_path ? swarm_path : key_path;
    bool key_alone = !swarm_path && !*connection->endpoint && !*connection->broker_public_key;
    if (!key_alone && strncmp(connection->endpoint, "tcp://", 6) != 0 &&
        strncmp(connection->endpoint, "ipc://", 6) != 0) {
        error_set(error, "%s: member \"endpoint\" is %s, expected tcp://HOST:PORT", shared,
                  *connection->endpoint ? "ill-formed" : "missing");
        return STATUS_VALIDATION;
    }
    enum status status = STATUS_OK;
    if (!key_alone)
        status = check_key(shared, "broker_public_key", connection->broker_public_key, error);
    if (status == STATUS_OK)
        status = check_key(key_path, "curve_public_key", connection->keys.public_key, error);
    if (status == STATUS_OK)
        status = check_key(key_path, "curve_secret_key", connection->keys.secret_key, error);
    if (status != STATUS_OK)
        return status;
    if (!*connection->identity) {
        error_set(error, "%s: member \"identity\" is missing, expected TYPE:NAME", key_path);
        return STATUS_VALIDATION;
    }
    struct identity identity;
    status = identity_parse(text_of(connection->identity), &identity, error);
    if (status != STATUS_OK)
        error_wrap(error, "%s: member \"identity\"", key_path);
    return status;
}

enum status
connection_load(struct connection *connection, const char *swarm_path, const char *key_path,
                struct error *error)
{
    struct connection loaded;
    memset(&loaded, 0, sizeof loaded);
    enum status status = STATUS_OK;
    if (swarm_path)
        status = take_file(&loaded, swarm_path, false, error);
    if (status == STATUS_OK)
        status = take_file(&loaded, key_path, true, error);
    if (status == STATUS_OK)
        status = check(&loaded, swarm_path, key_path, error);
    if (status == STATUS_OK)
        *connection = loaded;
    connection_clear(&loaded);
    return status;
}

enum status
connection_load_home(struct connection *connection, const char *swarm_path, const char *key_path,
                     struct error *error)
{
    struct connection loaded;
    memset(&loaded, 0, sizeof loaded);
    enum status status = take_file(&loaded, key_path, true, error);
    bool complete = *loaded.endpoint && *loaded.broker_public_key;
    if (status == STATUS_OK) {
        status = take_file(&loaded, swarm_path, false, error);
        if (status == STATUS_NOT_FOUND && complete)
            status = STATUS_OK;
    }
    if (status == STATUS_OK)
        status = check(&loaded, swarm_path, key_path, error);
    if (status == STATUS_OK)
        *connection = loaded;
    connection_clear(&loaded);
    return status;
}

enum status
connection_check(const struct connection *connection, struct error *error)
{
    return check(connection, "connection", "connection", error);
}

static void
append_member(struct buffer *out, const char *separator, const char *name, const char *value)
{
    buffer_append_string(out, separator);
    json_append_text(out, text_of(name));
    buffer_append_string(out, ": ");
    json_append_text(out, text_of(value));
}

enum status
connection_save(const struct connection *connection, const char *path, struct error *error)
{
    struct buffer text;
    buffer_init(&text);
    buffer_reserve(&text, sizeof *connection * 6 + 256);
    append_member(&text, "{\n  ", "identity", connection->identity);
    append_member(&text, ",\n  ", "curve_public_key", connection->keys.public_key);
    append_member(&text, ",\n  ", "curve_secret_key", connection->keys.secret_key);
    if (*connection->endpoint)
        append_member(&text, ",\n  ", "endpoint", connection->endpoint);
    if (*connection->broker_public_key)
        append_member(&text, ",\n  ", "broker_public_key", connection->broker_public_key);
    buffer_append_string(&text, "\n}\n");

    enum status status = STATUS_NOMEM;
    if (!text.failed)
        status = file_save(path, buffer_bytes(&text), 0600, error);
    wipe(&text);
    return status;
}

void
connection_clear(struct connection *connection)
{
    explicit_bzero(connection, sizeof *connection);
}
