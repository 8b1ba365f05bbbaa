/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/hosts.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actors/engine/engine.h"
#include "actors/identity/identity.h"
#include "actors/memory/memory.h"
#include "broker/mail/mailbox.h"
#include "cli/home.h"
#include "kernel/assert.h"
#include "platform/file.h"
#include "platform/river_key.h"

enum { GATEWAY_FILE_MAX = 16 * 1024, CAPABILITY_KEYS_MAX = 3 };

#define GATEWAY_FILE "run/gateway.json"

const struct service *const hosted_services[] = {
    &memory_service,
    &engine_service,
    &identity_service,
    NULL,
};

const struct service *
hosted_service(const char *name)
{
    for (size_t i = 0; hosted_services[i]; i++)
        if (strcmp(hosted_services[i]->contract->service, name) == 0)
            return hosted_services[i];
    return NULL;
}

size_t
host_stores(struct host_store stores[static HOST_STORES_MAX])
{
    size_t count = 0;
    stores[count++] =
        (struct host_store){.service = "bus", .folder = HOME_MAIL, .schema = MAILBOX_SCHEMA};
    for (size_t i = 0; hosted_services[i]; i++) {
        const struct service *service = hosted_services[i];
        if (!service->has_store)
            continue;
        ASSERT(count < HOST_STORES_MAX);
        struct host_store *store = &stores[count++];
        *store =
            (struct host_store){.service = service->contract->service, .schema = service->schema};
        snprintf(store->folder, sizeof store->folder, "data/%s", store->service);
    }
    return count;
}

static enum status
set_port(struct config *config, enum option_id option, unsigned port, struct error *error)
{
    char assignment[96];
    snprintf(assignment, sizeof assignment, "%s=%u", option_key(option), port);
    return config_apply_argument(config, assignment, error);
}

static unsigned
last_broker_port(const char *home)
{
    struct connection connection;
    unsigned port = 0;
    memset(&connection, 0, sizeof connection);
    if (home_connection(home, HOME_OPERATOR_KEY, &connection, NULL) == STATUS_OK) {
        const char *colon = strrchr(connection.endpoint, ':');
        port = colon ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
    }
    connection_clear(&connection);
    return port <= UINT16_MAX ? port : 0;
}

enum status
host_choose_ports(struct config *config, const char *home, bool keep, struct error *error)
{
    static const struct {
        enum option_id option;
        const char *name; /* of the gateway's port; NULL: the broker's */
    } rows[] = {
        {OPTION_BROKER_PORT, NULL},
        {OPTION_GATEWAY_PORT, "unified"},
        {OPTION_GATEWAY_ENGINE_PORT, "engine"},
        {OPTION_GATEWAY_MEMORY_PORT, "memory"},
        {OPTION_GATEWAY_MEMORY_PORT2, "memory2"},
        {OPTION_GATEWAY_ECONOMY_PORT, "economy"},
        {OPTION_GATEWAY_TOOLS_PORT, "tools"},
        {OPTION_GATEWAY_TOOLS_PORT2, "tools2"},
        {OPTION_GATEWAY_IDENTITY_PORT, "identity"},
        {OPTION_GATEWAY_VOICE_PORT, "voice"},
    };
    bool automatic = strcmp(config_string(config, OPTION_PORTS), "auto") == 0;
    struct host_ports last;
    enum status status = STATUS_OK;

    memset(&last, 0, sizeof last);
    if (keep && host_ports_load(&last, home, NULL) != STATUS_OK)
        last.count = 0;
    for (size_t i = 0; status == STATUS_OK && i < sizeof rows / sizeof rows[0]; i++) {
        unsigned port = 0;
        if (keep)
            port = rows[i].name ? host_port(&last, rows[i].name) : last_broker_port(home);
        if (automatic || port)
            status = set_port(config, rows[i].option, port, error);
    }
    return status;
}

/* Keys that capabilities verify with: the home's River key and the ones that settings name. */
static enum status
capability_keys(const struct host_environment *environment,
                struct ed25519_public_key keys[static CAPABILITY_KEYS_MAX], size_t *count,
                struct error *error)
{
    struct river_key river;
    enum status status = river_key_load(environment->home, &river, error);
    if (status != STATUS_OK)
        return status;
    keys[0] = river.public_key;
    river_key_clear(&river);
    *count = 1;

    static const enum option_id options[] = {OPTION_RIVER_KEY_HEX, OPTION_CAPABILITY_KEY_HEX};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        const char *hex = config_string(environment->config, options[i]);
        size_t made = 0;
        if (!*hex)
            continue;
        if (strlen(hex) != 64 ||
            sodium_hex2bin(keys[*count].bytes, 32, hex, 64, NULL, &made, NULL) != 0 || made != 32) {
            error_set(error, "%s (from %s): expected 64 hex digits", option_key(options[i]),
                      config_origin(environment->config, options[i]));
            return STATUS_VALIDATION;
        }
        (*count)++;
    }
    return STATUS_OK;
}

enum status
host_broker(struct broker **broker_p, const struct host_environment *environment,
            struct error *error)
{
    const struct config *config = environment->config;
    char key_path[PATH_SIZE];
    char table_path[PATH_SIZE];
    char revoked_path[PATH_SIZE];
    char mail_path[PATH_SIZE];
    char audit_path[PATH_SIZE];
    struct connection identity;
    struct ed25519_public_key keys[CAPABILITY_KEYS_MAX];
    size_t key_count = 0;

    memset(&identity, 0, sizeof identity);
    enum status status = paths_join(key_path, environment->home, HOME_BROKER_KEY, error);
    if (status == STATUS_OK)
        status = paths_join(table_path, environment->home, HOME_KEY_TABLE, error);
    if (status == STATUS_OK)
        status = paths_join(revoked_path, environment->home, HOME_REVOKED, error);
    if (status == STATUS_OK)
        status = paths_join(mail_path, environment->home, HOME_MAIL, error);
    if (status == STATUS_OK)
        status = paths_join(audit_path, environment->home, HOME_BUS_AUDIT, error);
    if (status == STATUS_OK)
        status = connection_load(&identity, NULL, key_path, error);
    if (status == STATUS_OK)
        status = capability_keys(environment, keys, &key_count, error);
    if (status == STATUS_OK) {
        struct broker_options options = {
            .bind = config_string(config, OPTION_BROKER_BIND),
            .port = (uint16_t)config_uint(config, OPTION_BROKER_PORT),
            .keys = &identity.keys,
            .key_table = table_path,
            .revoked = revoked_path,
            .mail_folder = mail_path,
            .audit = audit_path,
            .config = config,
            .capability_keys = keys,
            .capability_key_count = key_count,
            .clock = environment->clock,
            .logger = environment->logger,
        };
        status = broker_start(broker_p, &options, error);
    }
    if (status == STATUS_OK) {
        status = home_save_swarm(environment->home, broker_endpoint(*broker_p),
                                 identity.keys.public_key, error);
        if (status != STATUS_OK)
            broker_stop(broker_p);
    }
    connection_clear(&identity);
    return status;
}

static enum status
load_connection(struct connection *connection, const char *home, const char *service,
                struct error *error)
{
    char key_file[128];
    snprintf(key_file, sizeof key_file, "secrets/%s.key", service);
    return home_connection(home, key_file, connection, error);
}

static enum status
save_ports(const struct gateway *gateway, const struct host_environment *environment,
           struct error *error)
{
    struct gateway_port ports[GATEWAY_PORTS_MAX];
    size_t count = gateway_ports(gateway, ports);
    char path[PATH_SIZE];
    enum status status = paths_join(path, environment->home, GATEWAY_FILE, error);
    if (status != STATUS_OK)
        return status;

    json_t *named = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(named, ports[i].name, json_integer(ports[i].port));
    json_t *root =
        json_pack("{s:I, s:s, s:o}", "pid", (json_int_t)getpid(), "bind",
                  config_string(environment->config, OPTION_GATEWAY_BIND), "ports", named);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    if (text)
        status = file_save(path, (struct bytes){(const uint8_t *)text, strlen(text)}, 0600, error);
    else
        status = STATUS_NOMEM;
    free(text);
    json_decref(root);
    return status;
}

enum status
host_gateway(struct gateway **gateway_p, const struct host_environment *environment,
             struct error *error)
{
    struct connection connection;
    enum status status = load_connection(&connection, environment->home, "gateway", error);
    if (status != STATUS_OK)
        return status;
    struct gateway_options options = {
        .connection = &connection,
        .config = environment->config,
        .clock = environment->clock,
        .logger = environment->logger,
    };
    status = gateway_start(gateway_p, &options, error);
    connection_clear(&connection);
    if (status != STATUS_OK)
        return status;
    status = save_ports(*gateway_p, environment, error);
    if (status != STATUS_OK)
        gateway_stop(gateway_p);
    return status;
}

enum status
host_service(struct actor **actor_p, const struct host_environment *environment,
             const struct service *service, struct error *error)
{
    const char *name = service->contract->service;
    const struct config *config = environment->config;
    struct connection connection;
    struct ed25519_public_key keys[CAPABILITY_KEYS_MAX];
    size_t key_count = 0;
    char relative[128];
    char folder[PATH_SIZE];

    enum status status = load_connection(&connection, environment->home, name, error);
    if (status != STATUS_OK)
        return status;
    status = capability_keys(environment, keys, &key_count, error);
    snprintf(relative, sizeof relative, "data/%s", name);
    if (status == STATUS_OK)
        status = paths_join(folder, environment->home, relative, error);
    if (status == STATUS_OK) {
        bool production = strcmp(config_string(config, OPTION_ENV), "production") == 0;
        struct actor_options options = {
            .service = service,
            .connection = &connection,
            .store_folder = folder,
            .home = environment->home,
            .config = config,
            .clock = environment->clock,
            .logger = environment->logger,
            .capability_keys = keys,
            .capability_key_count = key_count,
            .require_capabilities = production || config_bool(config, OPTION_REQUIRE_CAPABILITIES),
        };
        status = actor_start(actor_p, &options, error);
    }
    connection_clear(&connection);
    return status;
}

enum status
host_ports_load(struct host_ports *ports, const char *home, struct error *error)
{
    char path[PATH_SIZE];
    struct buffer content;
    buffer_init(&content);
    enum status status = paths_join(path, home, GATEWAY_FILE, error);
    if (status == STATUS_OK)
        status = file_load(path, GATEWAY_FILE_MAX, false, &content, error);
    if (status == STATUS_OK) {
        json_t *root = json_loadb((const char *)content.data, content.size, 0, NULL);
        const char *bind = json_string_value(json_object_get(root, "bind"));
        const char *name;
        json_t *port;
        memset(ports, 0, sizeof *ports);
        snprintf(ports->bind, sizeof ports->bind, "%s", bind ? bind : "127.0.0.1");
        json_object_foreach(json_object_get(root, "ports"), name, port)
        {
            if (ports->count == GATEWAY_PORTS_MAX)
                break;
            struct gateway_port *row = &ports->ports[ports->count];
            char *copy = ports->names[ports->count++];
            snprintf(copy, sizeof ports->names[0], "%s", name);
            row->name = copy;
            row->port = (uint16_t)json_integer_value(port);
        }
        if (!ports->count) {
            error_set(error, "%s: expected {\"ports\": {name: number}}", path);
            status = STATUS_INVALID;
        }
        json_decref(root);
    }
    buffer_clear(&content);
    return status;
}

uint16_t
host_port(const struct host_ports *ports, const char *name)
{
    for (size_t i = 0; i < ports->count; i++)
        if (strcmp(ports->ports[i].name, name) == 0)
            return ports->ports[i].port;
    return 0;
}

void
host_url(const struct host_ports *ports, const char *name, char *url, size_t size)
{
    bool any = strcmp(ports->bind, "0.0.0.0") == 0 || strcmp(ports->bind, "::") == 0;
    snprintf(url, size, "http://%s:%u", any ? "127.0.0.1" : ports->bind, host_port(ports, name));
}
