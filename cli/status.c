/* SPDX-License-Identifier: Apache-2.0 */
/* cli/status.c - `sos status`: what of the swarm runs, how it is, and where its doors are. */
#include <stdio.h>
#include <string.h>

#include "cli/health.h"
#include "cli/home.h"
#include "cli/hosts.h"
#include "cli/lifecycle.h"
#include "cli/session.h"
#include "kernel/json.h"
#include "kernel/pack.h"

enum { HEALTH_MS = 2000 };

struct row {
    const char *service;
    char status[24];
    char version[24];
    double uptime_seconds;
    char detail[400]; /* why it is not ok */
};

static void
copy_text(const struct value *map, const char *key, char *out, size_t size)
{
    struct text text = {"", 0};
    value_find_text(map, key, &text);
    snprintf(out, size, "%.*s", TEXT_ARGS(text));
}

/* What an answer, or the lack of one, says. */
static struct row
row_of(const char *service, enum status status, const struct buffer *answer,
       const struct error *error)
{
    struct row row = {.service = service};
    struct value map;
    if (status == STATUS_OK && value_parse(buffer_bytes(answer), &map)) {
        copy_text(&map, "status", row.status, sizeof row.status);
        copy_text(&map, "version", row.version, sizeof row.version);
        value_find_double(&map, "uptime_seconds", &row.uptime_seconds);
    } else {
        snprintf(row.status, sizeof row.status, "unhealthy");
        snprintf(row.detail, sizeof row.detail, "%s", error->message);
    }
    return row;
}

static struct row
ask(struct peer *peer, const char *service)
{
    struct error error = ERROR_INIT;
    struct buffer answer;
    buffer_init(&answer);
    enum status status = health_ask(peer, service, HEALTH_MS, &answer, &error);
    struct row row = row_of(service, status, &answer, &error);
    buffer_clear(&answer);
    return row;
}

/* What it says of the services behind it stands in their own rows: that it answers is what counts.
 */
static struct row
ask_gateway(const struct cli *cli)
{
    struct error error = ERROR_INIT;
    struct buffer answer;
    buffer_init(&answer);
    enum status status = health_ask_gateway(cli->home, HEALTH_MS, &answer, &error);
    struct row row = row_of("gateway", status, &answer, &error);
    if (status == STATUS_OK)
        snprintf(row.status, sizeof row.status, "ok");
    buffer_clear(&answer);
    return row;
}

static void
print_json(const struct cli *cli, long pid, const struct row *rows, size_t count,
           const struct host_ports *ports)
{
    struct buffer packed;
    struct buffer json;
    buffer_init(&packed);
    buffer_init(&json);
    pack_map(&packed, 4);
    pack_pair_string(&packed, "home", cli->home);
    pack_pair_int(&packed, "pid", pid);
    pack_string(&packed, "services");
    pack_array(&packed, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        pack_map(&packed, 5);
        pack_pair_string(&packed, "service", rows[i].service);
        pack_pair_string(&packed, "status", rows[i].status);
        pack_pair_string(&packed, "version", rows[i].version);
        pack_pair_double(&packed, "uptime_seconds", rows[i].uptime_seconds);
        pack_pair_string(&packed, "detail", rows[i].detail);
    }
    pack_string(&packed, "ports");
    pack_map(&packed, (uint32_t)ports->count);
    for (size_t i = 0; i < ports->count; i++)
        pack_pair_uint(&packed, ports->ports[i].name, ports->ports[i].port);
    if (msgpack_to_json(buffer_bytes(&packed), &json, NULL) == STATUS_OK)
        printf("%.*s\n", TEXT_ARGS(buffer_text(&json)));
    buffer_clear(&json);
    buffer_clear(&packed);
}

static void
print_table(const struct cli *cli, long pid, const struct row *rows, size_t count,
            const struct host_ports *ports)
{
    printf("home %s  pid %ld\n\n%-12s %-10s %-10s %s\n", cli->home, pid, "SERVICE", "STATUS",
           "VERSION", "UPTIME");
    for (size_t i = 0; i < count; i++)
        printf("%-12s %-10s %-10s %.0f s%s%s\n", rows[i].service, rows[i].status, rows[i].version,
               rows[i].uptime_seconds, rows[i].detail[0] ? "  " : "", rows[i].detail);
    printf("\n");
    for (size_t i = 0; i < ports->count; i++) {
        char url[128];
        host_url(ports, ports->ports[i].name, url, sizeof url);
        printf("%-12s %s\n", ports->ports[i].name, url);
    }
}

static int
print_url(struct cli *cli, const char *door)
{
    struct host_ports ports;
    struct error error = ERROR_INIT;
    char url[128];
    if (host_ports_load(&ports, cli->home, &error) != STATUS_OK)
        return command_fail("status", EXIT_FAILED, "%s", error.message);
    if (!host_port(&ports, door))
        return command_fail("status", EXIT_USAGE, "--url: unknown door '%s'", door);
    host_url(&ports, door, url, sizeof url);
    printf("%s\n", url);
    return EXIT_OK;
}

int
run_status(struct cli *cli, int argc, char **argv)
{
    struct row rows[32];
    struct host_ports ports = {0};
    struct error error = ERROR_INIT;
    struct peer *peer = NULL;
    const char *door = NULL;
    size_t count = 0;
    long pid = 0;

    for (int i = 1; i < argc; i++)
        if (!command_option(argc, argv, &i, "--url", &door) || !door)
            return command_fail("status", EXIT_USAGE, "unexpected argument '%s'", argv[i]);
    if (!home_is_running(cli->home, &pid))
        return command_fail("status", EXIT_UNREACHABLE, "no swarm of home %s is running",
                            cli->home);
    if (door)
        return print_url(cli, door);
    if (session_open(&peer, cli, &(struct session_options){0}, &error) != STATUS_OK)
        return command_fail("status", EXIT_UNREACHABLE, "%s", error.message);

    rows[count++] = ask(peer, "bus");
    for (size_t i = 0; hosted_services[i] && count + 1 < sizeof rows / sizeof rows[0]; i++)
        rows[count++] = ask(peer, hosted_services[i]->contract->service);
    peer_close(&peer);
    rows[count++] = ask_gateway(cli);
    if (host_ports_load(&ports, cli->home, NULL) != STATUS_OK)
        ports.count = 0;

    if (cli->json)
        print_json(cli, pid, rows, count, &ports);
    else
        print_table(cli, pid, rows, count, &ports);
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].status, "ok") != 0)
            return EXIT_FAILED;
    return EXIT_OK;
}
