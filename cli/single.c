/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/single.h"

#include <pthread.h>
#include <unistd.h>

#include "cli/home.h"
#include "cli/hosts.h"
#include "cli/log_file.h"
#include "cli/wait.h"

enum { PARTS_MAX = 16 };

struct parts {
    struct broker *broker;
    struct gateway *gateway;
    struct actor *actors[PARTS_MAX];
    struct logger loggers[PARTS_MAX + 2];
    size_t actor_count;
};

/* Lines of every part go to the home's log and, when wanted, on to the terminal. Several threads
 * log at once: each line is one write to a file opened for appending. */
struct sink {
    struct log_file *file;
    const struct logger *terminal;
    pthread_mutex_t lock;
};

static void
write_line(void *context, enum log_level level, struct text line)
{
    struct sink *sink = context;
    pthread_mutex_lock(&sink->lock);
    log_file_write(sink->file, line);
    if (sink->terminal)
        sink->terminal->sink(sink->terminal->context, level, line);
    pthread_mutex_unlock(&sink->lock);
}

static struct host_environment
environment_of(struct cli *cli, struct logger *logger, const struct logger *base, const char *part)
{
    *logger = *base;
    logger->service = part;
    return (struct host_environment){cli->home, cli->config, cli->clock, logger};
}

static enum status
start_parts(struct parts *parts, struct cli *cli, const struct logger *base, struct error *error)
{
    struct host_environment environment = environment_of(cli, &parts->loggers[0], base, "bus");
    enum status status = host_choose_ports(cli->config, cli->home, false, error);
    if (status == STATUS_OK)
        status = host_broker(&parts->broker, &environment, error);
    for (size_t i = 0; status == STATUS_OK && hosted_services[i]; i++) {
        environment = environment_of(cli, &parts->loggers[2 + i], base,
                                     hosted_services[i]->contract->service);
        status = host_service(&parts->actors[i], &environment, hosted_services[i], error);
        if (status == STATUS_OK)
            parts->actor_count++;
        else
            error_wrap(error, "%s", hosted_services[i]->contract->service);
    }
    environment = environment_of(cli, &parts->loggers[1], base, "gateway");
    if (status == STATUS_OK)
        status = host_gateway(&parts->gateway, &environment, error);
    return status;
}

static void
stop_parts(struct parts *parts)
{
    gateway_stop(&parts->gateway);
    while (parts->actor_count > 0)
        actor_stop(&parts->actors[--parts->actor_count]);
    broker_stop(&parts->broker);
}

static enum status
await_end(struct parts *parts, int signal_fd, struct error *error)
{
    void *pipes[PARTS_MAX + 2];
    size_t count = 0;
    pipes[count++] = broker_pipe(parts->broker);
    pipes[count++] = gateway_pipe(parts->gateway);
    for (size_t i = 0; i < parts->actor_count; i++)
        pipes[count++] = actor_pipe(parts->actors[i]);

    int which = wait_for_end(signal_fd, pipes, count);
    if (which < 0)
        return STATUS_OK;
    const struct error *failure = which == 0   ? broker_failure(parts->broker)
                                  : which == 1 ? gateway_failure(parts->gateway)
                                               : actor_failure(parts->actors[which - 2]);
    *error = *failure;
    return STATUS_UNAVAILABLE;
}

enum status
single_run(const struct single_options *options, struct error *error)
{
    struct cli *cli = options->cli;
    struct parts parts = {0};
    struct sink sink = {NULL, options->echo ? &cli->logger : NULL, PTHREAD_MUTEX_INITIALIZER};
    struct logger base = cli->logger;
    base.sink = write_line;
    base.context = &sink;

    int signal_fd = wait_signals();
    enum status status = log_file_open(&sink.file, cli->home, error);
    if (status == STATUS_OK) {
        status = start_parts(&parts, cli, &base, error);
        if (status == STATUS_OK && options->on_up)
            status = options->on_up(options->context, error);
        if (status == STATUS_OK)
            status = await_end(&parts, signal_fd, error);
        stop_parts(&parts);
    }
    log_file_close(&sink.file);
    if (signal_fd >= 0)
        close(signal_fd);
    return status;
}
