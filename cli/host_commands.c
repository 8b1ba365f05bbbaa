/* SPDX-License-Identifier: Apache-2.0 */
/* cli/host_commands.c - `sos broker`, `sos gateway`, `sos actor NAME…`: one process that hosts a
 * part of a swarm in the foreground. What `sos up`, systemd units and containers run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/hosts.h"
#include "cli/lifecycle.h"
#include "cli/production.h"
#include "cli/wait.h"

enum { SERVICES_MAX = 16 };

struct host_arguments {
    bool keep_ports;
    int ready_fd; /* -1: nobody waits */
    const struct service *services[SERVICES_MAX];
    size_t service_count;
};

static int
parse(const char *command, int argc, char **argv, bool names, struct host_arguments *arguments)
{
    *arguments = (struct host_arguments){.ready_fd = -1};
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        if (strcmp(argv[i], "--keep-ports") == 0) {
            arguments->keep_ports = true;
        } else if (command_option(argc, argv, &i, "--ready-fd", &value)) {
            char *end = NULL;
            long fd = value ? strtol(value, &end, 10) : -1;
            if (!value || *end || fd < 3 || fd > 1023)
                return command_fail(command, EXIT_USAGE,
                                    "--ready-fd: expected a descriptor number");
            arguments->ready_fd = (int)fd;
        } else if (names && argv[i][0] != '-') {
            const struct service *service = hosted_service(argv[i]);
            if (!service)
                return command_fail(command, EXIT_USAGE, "unknown service '%s'", argv[i]);
            if (arguments->service_count == SERVICES_MAX)
                return command_fail(command, EXIT_USAGE, "more than %d services", SERVICES_MAX);
            arguments->services[arguments->service_count++] = service;
        } else {
            return command_fail(command, EXIT_USAGE, "unexpected argument '%s'", argv[i]);
        }
    }
    if (names && arguments->service_count == 0)
        return command_fail(command, EXIT_USAGE, "expected the name of at least one service");
    return EXIT_OK;
}

/* Whoever waits for it to be ready has been warned already. */
static int
begin(struct cli *cli, const char *command, int argc, char **argv, bool names,
      struct host_arguments *arguments)
{
    int code = parse(command, argc, argv, names, arguments);
    return code == EXIT_OK ? production_gate(cli, command, arguments->ready_fd >= 0) : code;
}

static void
say_ready(const struct cli *cli, int ready_fd)
{
    if (ready_fd < 0)
        return;
    if (write(ready_fd, "+", 1) != 1)
        log_warn(&cli->logger, "cannot tell that this process is up: %s", strerror(errno));
    close(ready_fd);
}

static struct host_environment
environment_of(struct cli *cli, const char *part)
{
    cli->logger.service = part;
    return (struct host_environment){cli->home, cli->config, cli->clock, &cli->logger};
}

/* The end of a part: NULL pipe index means a signal. */
static int
end_code(struct cli *cli, int which, const struct error *failure)
{
    if (which < 0)
        return EXIT_OK;
    log_error(&cli->logger, "%s", failure->message);
    return EXIT_FAILED;
}

int
run_broker(struct cli *cli, int argc, char **argv)
{
    struct host_arguments arguments;
    struct error error = ERROR_INIT;
    struct broker *broker = NULL;
    int code = begin(cli, "broker", argc, argv, false, &arguments);
    if (code != EXIT_OK)
        return code;
    int signal_fd = wait_signals();
    struct host_environment environment = environment_of(cli, "bus");
    if (host_choose_ports(cli->config, cli->home, arguments.keep_ports, &error) != STATUS_OK ||
        host_broker(&broker, &environment, &error) != STATUS_OK)
        return command_fail("broker", EXIT_FAILED, "%s", error.message);
    log_info(&cli->logger, "broker at %s", broker_endpoint(broker));
    say_ready(cli, arguments.ready_fd);

    void *pipe = broker_pipe(broker);
    int which = wait_for_end(signal_fd, &pipe, 1);
    code = end_code(cli, which, broker_failure(broker));
    broker_stop(&broker);
    return code;
}

int
run_gateway(struct cli *cli, int argc, char **argv)
{
    struct host_arguments arguments;
    struct error error = ERROR_INIT;
    struct gateway *gateway = NULL;
    int code = begin(cli, "gateway", argc, argv, false, &arguments);
    if (code != EXIT_OK)
        return code;
    int signal_fd = wait_signals();
    struct host_environment environment = environment_of(cli, "gateway");
    if (host_choose_ports(cli->config, cli->home, arguments.keep_ports, &error) != STATUS_OK ||
        host_gateway(&gateway, &environment, &error) != STATUS_OK)
        return command_fail("gateway", EXIT_FAILED, "%s", error.message);
    say_ready(cli, arguments.ready_fd);

    void *pipe = gateway_pipe(gateway);
    int which = wait_for_end(signal_fd, &pipe, 1);
    code = end_code(cli, which, gateway_failure(gateway));
    gateway_stop(&gateway);
    return code;
}

int
run_actor(struct cli *cli, int argc, char **argv)
{
    struct host_arguments arguments;
    struct error error = ERROR_INIT;
    struct actor *actors[SERVICES_MAX] = {NULL};
    struct logger loggers[SERVICES_MAX];
    void *pipes[SERVICES_MAX];
    size_t started = 0;
    int code = begin(cli, "actor", argc, argv, true, &arguments);
    if (code != EXIT_OK)
        return code;

    int signal_fd = wait_signals();
    while (code == EXIT_OK && started < arguments.service_count) {
        const struct service *service = arguments.services[started];
        loggers[started] = cli->logger;
        loggers[started].service = service->contract->service;
        struct host_environment environment = {cli->home, cli->config, cli->clock,
                                               &loggers[started]};
        if (host_service(&actors[started], &environment, service, &error) == STATUS_OK) {
            pipes[started] = actor_pipe(actors[started]);
            started++;
        } else {
            code = command_fail("actor", EXIT_FAILED, "%s: %s", service->contract->service,
                                error.message);
        }
    }
    if (code == EXIT_OK) {
        say_ready(cli, arguments.ready_fd);
        int which = wait_for_end(signal_fd, pipes, started);
        if (which >= 0)
            cli->logger.service = arguments.services[which]->contract->service;
        code = end_code(cli, which, which >= 0 ? actor_failure(actors[which]) : NULL);
    }
    while (started > 0)
        actor_stop(&actors[--started]);
    return code;
}
