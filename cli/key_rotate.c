/* SPDX-License-Identifier: Apache-2.0 */
/* cli/key_rotate.c - `sos key rotate NAME`: gives an agent of the home a new CURVE key. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/agent.h"
#include "cli/bus_caller.h"
#include "cli/bus_show.h"
#include "cli/bus_values.h"
#include "cli/key.h"
#include "contracts/identity.h"
#include "sdk/c/connection.h"

#define OVERLAP_MAX_MS (UINT64_C(30) * 24 * 3600 * 1000)

struct rotation {
    struct agent_name agent;
    char next[PATH_SIZE + 8]; /* the new connection file, until the swarm knows its key */
    char public_key[CURVE_KEY_TEXT_SIZE];
    uint64_t overlap_s;
};

static enum status
pack(void *context, const struct bus_caller *caller, struct buffer *out, struct error *error)
{
    const struct rotation *rotation = context;
    (void)caller, (void)error;
    pack_map(out, 3);
    pack_pair_string(out, "agent_id", rotation->agent.identity);
    pack_pair_string(out, "curve_public_key", rotation->public_key);
    pack_pair_uint(out, "overlap_seconds", rotation->overlap_s);
    return STATUS_OK;
}

static int
show(void *context, const struct bus_caller *caller, struct bytes answer)
{
    const struct rotation *rotation = context;
    struct value agent;
    if (rename(rotation->next, rotation->agent.path) != 0)
        return command_fail(
            "key", EXIT_FAILED, "the new key of %s works, but %s cannot become %s: %s",
            rotation->agent.identity, rotation->next, rotation->agent.path, strerror(errno));
    if (caller->cli->json)
        return show_json(caller, answer);
    struct text until = {NULL, 0};
    if (value_parse(answer, &agent))
        until = show_text(&agent, "old_key_until");
    if (until.size > 0)
        printf("%s has a new key in %s; the old one works until %.*s\n", rotation->agent.identity,
               rotation->agent.path, TEXT_ARGS(until));
    else
        printf("%s has a new key in %s; the old one is revoked\n", rotation->agent.identity,
               rotation->agent.path);
    return EXIT_OK;
}

/* The new key is on disk before the swarm hears of it. A file of an earlier try is used again: its
 * key may be known already. */
static enum status
prepare(struct rotation *rotation, struct error *error)
{
    struct connection connection;
    enum status status = STATUS_OK;
    snprintf(rotation->next, sizeof rotation->next, "%s.next", rotation->agent.path);
    if (access(rotation->next, F_OK) == 0) {
        status = connection_load(&connection, NULL, rotation->next, error);
    } else {
        status = connection_load(&connection, NULL, rotation->agent.path, error);
        if (status != STATUS_OK)
            return status;
        curve_keys_make(&connection.keys);
        status = connection_save(&connection, rotation->next, error);
    }
    if (status == STATUS_OK)
        memcpy(rotation->public_key, connection.keys.public_key, sizeof rotation->public_key);
    connection_clear(&connection);
    return status;
}

int
key_rotate(struct cli *cli, int argc, char **argv)
{
    struct bus_caller caller = {0};
    struct rotation rotation = {.overlap_s = 3600};
    struct error error = ERROR_INIT;
    const char *name = NULL, *overlap = NULL;
    uint64_t overlap_ms = 0;
    const struct option_row rows[] = {{"--overlap", &overlap}};
    struct options_line line = {rows, 1, NULL, 0, &name, 1, 0};
    int code = options_parse("key", &line, argc, argv);
    if (code == EXIT_OK && !name)
        code = command_fail("key", EXIT_USAGE, "expected: sos key rotate NAME [--overlap TIME]");
    if (code == EXIT_OK)
        code = agent_name(cli, name, &rotation.agent);
    if (code != EXIT_OK)
        return code;
    if (overlap) {
        if (values_duration("--overlap", overlap, OVERLAP_MAX_MS, &overlap_ms, &error) != STATUS_OK)
            return command_fail("key", EXIT_USAGE, "%s", error.message);
        rotation.overlap_s = overlap_ms / 1000;
    }
    if (prepare(&rotation, &error) != STATUS_OK)
        return command_fail("key", EXIT_FAILED, "%s", error.message);
    return bus_caller_run(&caller, cli, "key",
                          &(struct bus_task){&identity_contract.operations[OP_IDENTITY_ROTATE_KEY],
                                             pack, show, &rotation});
}
