/* SPDX-License-Identifier: Apache-2.0 */
/* cli/up.c - `sos up`: starts a swarm, one process per part or all in one. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/health.h"
#include "cli/home.h"
#include "cli/hosts.h"
#include "cli/lifecycle.h"
#include "cli/production.h"
#include "cli/secret_input.h"
#include "cli/single.h"
#include "cli/supervisor.h"

enum {
    LEFTOVERS_MS = 15000, /* processes of a swarm whose supervisor died get this long to end */
    HEALTHY_MS = 30000
};

struct up {
    struct cli *cli;
    uint64_t began_us;
    int report_fd; /* detached: where the waiting foreground process reads the outcome; else -1 */
};

/* First line of a report: its first character says how it went, the rest is for people. */
static void
report(const struct up *up, char verdict, const char *text)
{
    if (up->report_fd < 0) {
        fprintf(verdict == '+' ? stdout : stderr, "%s", text);
        fflush(stdout);
        return;
    }
    if (dprintf(up->report_fd, "%c%s", verdict, text) < 0)
        log_warn(&up->cli->logger, "nobody waits for the start any more");
}

static enum status
announce(void *context, struct error *error)
{
    struct up *up = context;
    struct host_ports ports;
    char text[PATH_SIZE * 2 + 1024];
    char unified[128];
    char engine[128];

    enum status status = health_await(up->cli, HEALTHY_MS, error);
    if (status == STATUS_OK)
        status = host_ports_load(&ports, up->cli->home, error);
    if (status != STATUS_OK)
        return status;
    uint64_t took_ms = (clock_now(up->cli->clock).monotonic_us - up->began_us) / 1000;
    host_url(&ports, "unified", unified, sizeof unified);
    host_url(&ports, "engine", engine, sizeof engine);
    snprintf(text, sizeof text,
             "the swarm is up and healthy after %llu ms (home %s)\n"
             "  chat     %s/chat\n  docs     %s/docs\n  stop     sos --home %s down\n",
             (unsigned long long)took_ms, up->cli->home, engine, unified, up->cli->home);
    report(up, '+', text);
    if (up->report_fd >= 0)
        close(up->report_fd);
    up->report_fd = -1;
    return STATUS_OK;
}

static enum status
run_swarm(struct up *up, bool single, bool echo, struct error *error)
{
    if (single) {
        struct single_options options = {
            .cli = up->cli, .echo = echo, .on_up = announce, .context = up};
        return single_run(&options, error);
    }
    struct supervisor_options options = {
        .home = up->cli->home,
        .arguments = up->cli->set_arguments,
        .clock = up->cli->clock,
        .logger = &up->cli->logger,
        .echo = echo,
        .on_up = announce,
        .context = up,
    };
    return supervisor_run(&options, error);
}

/* Leaves the terminal: the caller goes on as the parent and reads the outcome from *report_fd. */
static pid_t
detach(int *report_fd)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid != 0) {
        close(ends[1]);
        *report_fd = ends[0];
        return pid;
    }
    setsid();
    int null_fd = open("/dev/null", O_RDWR);
    dup2(null_fd, STDIN_FILENO);
    dup2(null_fd, STDOUT_FILENO);
    dup2(null_fd, STDERR_FILENO);
    close(ends[0]);
    *report_fd = ends[1];
    return 0;
}

/* Prints what the detached process reports, once it is up or has failed. */
static int
await_report(int fd)
{
    char text[2048];
    size_t used = 0;
    ssize_t got;
    while (used < sizeof text - 1 && ((got = read(fd, text + used, sizeof text - 1 - used)) > 0 ||
                                      (got < 0 && errno == EINTR)))
        used += got > 0 ? (size_t)got : 0;
    close(fd);
    text[used] = '\0';
    if (used == 0)
        return command_fail("up", EXIT_FAILED, "the swarm ended without a word; see sos logs");
    if (text[0] == '+') {
        fputs(text + 1, stdout);
        return EXIT_OK;
    }
    fputs(text + 1, stderr);
    return EXIT_FAILED;
}

static int
start(struct cli *cli, bool single, int report_fd)
{
    struct up up = {cli, clock_now(cli->clock).monotonic_us, report_fd};
    struct home_lock lock = {-1, -1};
    struct error error = ERROR_INIT;
    enum status status = home_make_run(cli->home, &error);

    if (status == STATUS_OK)
        status = home_lock(&lock, cli->home, LEFTOVERS_MS, &error);
    if (status == STATUS_OK)
        status = home_prepare(cli->home, clock_now(cli->clock).wall_us, &error);
    if (status == STATUS_OK)
        status = run_swarm(&up, single, report_fd < 0, &error);
    home_unlock(&lock);
    if (status == STATUS_OK)
        return EXIT_OK;

    char text[sizeof error.message + 32];
    snprintf(text, sizeof text, "sos up: %s\n", error.message);
    report(&up, '-', text);
    return EXIT_FAILED;
}

/* For this process and those that it starts: their environment is for their owner's eyes alone. */
static int
ask_passphrase(struct cli *cli)
{
    enum { PASSPHRASE_MAX = 1024 };
    static const char name[] = "SOS_SECRETS_PASSPHRASE=";
    struct error error = ERROR_INIT;
    struct buffer typed, variable;
    buffer_init(&typed);
    buffer_init(&variable);
    enum status status = secret_ask_twice("Passphrase", PASSPHRASE_MAX, &typed, &error);
    if (status == STATUS_OK && memchr(typed.data, '\0', typed.size)) {
        error_set(&error, "a passphrase holds no NUL");
        status = STATUS_VALIDATION;
    }
    if (status == STATUS_OK && !buffer_reserve(&variable, sizeof name + typed.size))
        status = STATUS_NOMEM;
    if (status == STATUS_OK) {
        buffer_append_string(&variable, name);
        buffer_append_text(&variable, buffer_text(&typed));
        buffer_append_byte(&variable, 0);
        const char *const environment[] = {(const char *)variable.data, NULL};
        status = config_apply_environment(cli->config, environment, NULL, NULL, &error);
    }
    if (status == STATUS_OK &&
        setenv("SOS_SECRETS_PASSPHRASE", (const char *)variable.data + sizeof name - 1, 1) != 0)
        status = STATUS_NOMEM;
    secret_forget(&typed);
    secret_forget(&variable);
    return status == STATUS_OK
               ? EXIT_OK
               : command_fail("up", EXIT_FAILED, "--ask-passphrase: %s",
                              error.message[0] ? error.message : status_text(status));
}

int
run_up(struct cli *cli, int argc, char **argv)
{
    bool single = false;
    bool detached = false;
    bool asks = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--single") == 0)
            single = true;
        else if (strcmp(argv[i], "--detach") == 0)
            detached = true;
        else if (strcmp(argv[i], "--ask-passphrase") == 0)
            asks = true;
        else
            return command_fail("up", EXIT_USAGE,
                                "unknown argument '%s'; expected --single, --detach or "
                                "--ask-passphrase",
                                argv[i]);
    }
    if (asks && ask_passphrase(cli) != EXIT_OK)
        return EXIT_FAILED;
    int refused = production_gate(cli, "up", false);
    if (refused != EXIT_OK)
        return refused;
    if (!detached)
        return start(cli, single, -1);

    int report_fd = -1;
    pid_t pid = detach(&report_fd);
    if (pid < 0)
        return command_fail("up", EXIT_FAILED, "cannot detach: %s", strerror(errno));
    return pid > 0 ? await_report(report_fd) : start(cli, single, report_fd);
}
