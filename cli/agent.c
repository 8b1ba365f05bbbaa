/* SPDX-License-Identifier: Apache-2.0 */
/* cli/agent.c - `sos agent`; and `sos agent new NAME`: makes an agent's keys, registers it, writes
 * its connection file. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/agent.h"
#include "cli/home.h"
#include "cli/lifecycle.h"
#include "cli/session.h"
#include "kernel/identity.h"
#include "kernel/pack.h"
#include "platform/river_key.h"

enum { CALL_MS = 10000, GRANT_US = 60 * 1000 * 1000 };

/* The running swarm: service:identity records the agent and tells the broker. The right to do so is
 * a short-lived capability that the home's owner signs with the River key. */
static enum status
register_online(struct cli *cli, const char *agent_id, const char *public_key, struct error *error)
{
    struct peer *peer = NULL;
    struct river_key river;
    struct buffer token;
    struct buffer payload;
    struct buffer answer;
    buffer_init(&token);
    buffer_init(&payload);
    buffer_init(&answer);

    uint64_t now_us = clock_now(cli->clock).wall_us;
    struct capability_grant grant = {.subject = agent_id,
                                     .action = "agent:spawn",
                                     .resource = agent_id,
                                     .issued_us = now_us,
                                     .expires_us = now_us + GRANT_US};
    enum status status = river_key_load(cli->home, &river, error);
    if (status == STATUS_OK) {
        status = capability_issue(&token, &grant, &river.secret_key, error);
        river_key_clear(&river);
    }
    if (status == STATUS_OK)
        status = session_open(&peer, cli, &(struct session_options){0}, error);
    if (status == STATUS_OK) {
        pack_map(&payload, 2);
        pack_pair_string(&payload, "agent_id", agent_id);
        pack_pair_string(&payload, "curve_public_key", public_key);
        struct peer_request request = {
            .kind = KIND_REQUEST,
            .target = text_of("service:identity"),
            .type = text_of("identity_register"),
            .payload = buffer_bytes(&payload),
            .flags = MESSAGE_WRITE,
            .ttl_ms = CALL_MS,
            .capability = buffer_text(&token),
        };
        status = peer_call_wait(peer, &request, &answer, error);
    }
    peer_close(&peer);
    buffer_clear(&answer);
    buffer_clear(&payload);
    buffer_clear(&token);
    return status;
}

/* Endpoint and broker key, when the swarm has ever run. */
static void
fill_swarm(struct connection *connection, const struct cli *cli)
{
    struct connection operator;
    memset(&operator, 0, sizeof operator);
    if (home_connection(cli->home, HOME_OPERATOR_KEY, &operator, NULL) == STATUS_OK) {
        memcpy(connection->endpoint, operator.endpoint, sizeof connection->endpoint);
        memcpy(connection->broker_public_key, operator.broker_public_key,
               sizeof connection->broker_public_key);
    }
    connection_clear(&operator);
}

int
agent_name(struct cli *cli, const char *name, struct agent_name *agent)
{
    struct error error = ERROR_INIT;
    struct identity identity;
    char relative[MESSAGE_NAME_MAX + 16];
    if (snprintf(agent->identity, sizeof agent->identity, "agent:%s", name) >=
            (int)sizeof agent->identity ||
        identity_parse(text_of(agent->identity), &identity, &error) != STATUS_OK ||
        strchr(name, '/'))
        return command_fail("agent", EXIT_USAGE,
                            "NAME: came '%.64s', expected letters, digits and . _ - : @, beginning "
                            "with a letter or digit",
                            name);
    snprintf(relative, sizeof relative, "agents/%s.json", name);
    if (paths_join(agent->path, cli->home, relative, &error) != STATUS_OK)
        return command_fail("agent", EXIT_FAILED, "%s", error.message);
    return EXIT_OK;
}

static int
new_agent(struct cli *cli, const char *name)
{
    struct connection connection;
    struct error error = ERROR_INIT;
    struct agent_name agent;
    long pid = 0;

    int code = agent_name(cli, name, &agent);
    if (code != EXIT_OK)
        return code;
    const char *path = agent.path;
    memset(&connection, 0, sizeof connection);
    memcpy(connection.identity, agent.identity, sizeof connection.identity);
    if (access(path, F_OK) == 0)
        return command_fail("agent", EXIT_FAILED, "%s is there already: %s has keys", path,
                            connection.identity);

    curve_keys_make(&connection.keys);
    uint64_t now_us = clock_now(cli->clock).wall_us;
    enum status status =
        home_is_running(cli->home, &pid)
            ? register_online(cli, connection.identity, connection.keys.public_key, &error)
            : home_allow_key(cli->home, connection.identity, connection.keys.public_key, now_us,
                             &error);
    if (status == STATUS_OK) {
        fill_swarm(&connection, cli);
        status = connection_save(&connection, path, &error);
    }
    char id[sizeof connection.identity];
    memcpy(id, connection.identity, sizeof id);
    connection_clear(&connection);
    if (status != STATUS_OK)
        return command_fail("agent", EXIT_FAILED, "new %s: %s", id, error.message);
    if (cli->json)
        printf("{\"agent_id\":\"%s\",\"connection_file\":\"%s\"}\n", id, path);
    else
        printf("%s may connect; its connection file (keep it secret): %s\n", id, path);
    return EXIT_OK;
}

int
run_agent(struct cli *cli, int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "new") == 0)
        return new_agent(cli, argv[2]);
    if (argc >= 2 && strcmp(argv[1], "list") == 0)
        return agent_list(cli, argc - 1, argv + 1);
    if (argc >= 2 && strcmp(argv[1], "rm") == 0)
        return agent_remove(cli, argc - 1, argv + 1);
    if (argc >= 2 && agent_is_step(argv[1]))
        return agent_take_step(cli, argc - 1, argv + 1);
    return command_fail("agent", EXIT_USAGE,
                        "expected: sos agent new NAME | list | rm NAME | assign NAME SQUAD | "
                        "reject, activate, suspend, reactivate or terminate NAME");
}
