/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/hosts.h"
#include "cli/log_file.h"
#include "kernel/assert.h"

enum {
    CHILDREN_MAX = 16,
    ARGUMENTS_MAX_CHILD = 64,
    LINE_MAX_BYTES = 16 * 1024,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 10000,
    STEADY_MS = 1000, /* a child that lived this long starts its back-off anew */
    STOP_STAGE_MS = 10000
};

/* Started upwards, stopped downwards: the bus carries everybody's last answers. */
enum stage { STAGE_BROKER, STAGE_SERVICES, STAGE_GATEWAY, STAGES };

/* Gathers the bytes of one pipe into whole lines. */
struct line_pipe {
    int fd;
    size_t used;
    char line[LINE_MAX_BYTES];
};

struct child {
    const char *name;
    enum stage stage;
    pid_t pid; /* 0: not running */
    int pid_fd;
    int ready_fd;
    struct line_pipe out;
    struct line_pipe err;
    bool up;     /* this process said that it is ready */
    bool was_up; /* one of its processes did */
    unsigned failures;
    uint64_t started_us;
    uint64_t start_at_us; /* 0: no start is planned */
    char last_words[256]; /* its last line on stderr */
};

struct supervisor {
    const struct supervisor_options *options;
    struct log_file *log;
    int signal_fd;
    struct child children[CHILDREN_MAX];
    size_t child_count;
    bool up;      /* all were up once */
    int stopping; /* stage that is being stopped, or -1 */
    bool failed;
    uint64_t stop_deadline_us;
    struct error *error;
};

static uint64_t
monotonic_us(const struct supervisor *supervisor)
{
    return clock_now(supervisor->options->clock).monotonic_us;
}

static void
close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- log lines */

static void
take_lines(struct supervisor *supervisor, struct child *child, struct line_pipe *pipe, int echo_fd)
{
    ssize_t got = read(pipe->fd, pipe->line + pipe->used, sizeof pipe->line - pipe->used);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (got > 0)
        pipe->used += (size_t)got;

    const char *end = memrchr(pipe->line, '\n', pipe->used);
    size_t whole = end ? (size_t)(end - pipe->line) + 1 : 0;
    if (pipe->used == sizeof pipe->line || got <= 0)
        whole = pipe->used; /* an over-long line is cut, a last one may lack its end */
    if (whole > 0) {
        struct text lines = {pipe->line, whole};
        log_file_write(supervisor->log, lines);
        if (supervisor->options->echo && write(echo_fd, lines.data, lines.size) < 0)
            log_debug(supervisor->options->logger, "cannot write to the terminal");
        if (pipe == &child->err) {
            size_t start = whole;
            while (start > 0 && pipe->line[start - 1] == '\n')
                start--;
            size_t last = start;
            while (start > 0 && pipe->line[start - 1] != '\n')
                start--;
            snprintf(child->last_words, sizeof child->last_words, "%.*s", (int)(last - start),
                     pipe->line + start);
        }
        memmove(pipe->line, pipe->line + whole, pipe->used - whole);
        pipe->used -= whole;
    }
    if (got <= 0)
        close_fd(&pipe->fd);
}

static void
drain_lines(struct supervisor *supervisor, struct child *child)
{
    while (child->out.fd >= 0)
        take_lines(supervisor, child, &child->out, STDOUT_FILENO);
    while (child->err.fd >= 0)
        take_lines(supervisor, child, &child->err, STDERR_FILENO);
}

/* ---- starting */

static void
child_exec(const struct supervisor *supervisor, const struct child *child, int ready_fd, int out_fd,
           int err_fd, pid_t parent)
{
    const char *arguments[ARGUMENTS_MAX_CHILD];
    char ready[16];
    size_t count = 0;
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(1);  /* the supervisor died before prctl took effect */
    setpgid(0, 0); /* Ctrl-C is for the supervisor; it stops children in order */
    int null_fd = open("/dev/null", O_RDONLY);
    dup2(null_fd, STDIN_FILENO);
    dup2(out_fd, STDOUT_FILENO);
    dup2(err_fd, STDERR_FILENO);
    fcntl(ready_fd, F_SETFD, 0);
    snprintf(ready, sizeof ready, "%d", ready_fd);

    arguments[count++] = "sos";
    arguments[count++] = "--home";
    arguments[count++] = supervisor->options->home;
    for (const char *const *more = supervisor->options->arguments; more && *more; more++)
        if (count < ARGUMENTS_MAX_CHILD - 8)
            arguments[count++] = *more;
    if (child->stage == STAGE_SERVICES)
        arguments[count++] = "actor";
    arguments[count++] = child->name;
    if (child->stage != STAGE_SERVICES && child->was_up)
        arguments[count++] = "--keep-ports";
    arguments[count++] = "--ready-fd";
    arguments[count++] = ready;
    arguments[count] = NULL;
    execv("/proc/self/exe", (char *const *)(uintptr_t)arguments);
    fprintf(stderr, "sos: cannot start %s: %s\n", child->name, strerror(errno));
    _exit(127);
}

static enum status
child_start(struct supervisor *supervisor, struct child *child, struct error *error)
{
    int ready[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    pid_t parent = getpid();

    child->start_at_us = 0;
    child->up = false;
    child->last_words[0] = '\0';
    if (pipe2(ready, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0)
        goto fail;
    pid_t pid = fork();
    if (pid < 0)
        goto fail;
    if (pid == 0)
        child_exec(supervisor, child, ready[1], out[1], err[1], parent);

    close_fd(&ready[1]);
    close_fd(&out[1]);
    close_fd(&err[1]);
    child->pid = pid;
    child->pid_fd = (int)syscall(SYS_pidfd_open, pid, 0);
    child->ready_fd = ready[0];
    child->out = (struct line_pipe){.fd = out[0]};
    child->err = (struct line_pipe){.fd = err[0]};
    child->started_us = monotonic_us(supervisor);
    if (child->pid_fd < 0) {
        error_set(error, "watch %s: pidfd_open: %s", child->name, strerror(errno));
        return STATUS_INTERNAL;
    }
    return STATUS_OK;

fail:
    error_set(error, "start %s: %s", child->name, strerror(errno));
    for (int i = 0; i < 2; i++) {
        close_fd(&ready[i]);
        close_fd(&out[i]);
        close_fd(&err[i]);
    }
    return STATUS_INTERNAL;
}

static void begin_stop(struct supervisor *supervisor);

static void
give_up(struct supervisor *supervisor, const struct error *cause)
{
    if (!supervisor->failed) {
        supervisor->failed = true;
        if (supervisor->error)
            *supervisor->error = *cause;
    }
    begin_stop(supervisor);
}

static bool
stage_is_up(const struct supervisor *supervisor, enum stage stage)
{
    for (size_t i = 0; i < supervisor->child_count; i++)
        if (supervisor->children[i].stage <= stage && !supervisor->children[i].up)
            return false;
    return true;
}

/* Starts what waits for its time and its stage. The first start is in order; later each restarts
 * alone. */
static void
start_due(struct supervisor *supervisor)
{
    uint64_t now = monotonic_us(supervisor);
    for (size_t i = 0; i < supervisor->child_count && supervisor->stopping < 0; i++) {
        struct child *child = &supervisor->children[i];
        struct error error = ERROR_INIT;
        if (child->pid || child->start_at_us > now)
            continue;
        if (!child->was_up && child->stage > STAGE_BROKER && !stage_is_up(supervisor, STAGE_BROKER))
            continue;
        if (child_start(supervisor, child, &error) != STATUS_OK)
            give_up(supervisor, &error);
    }
}

/* ---- events */

static void
child_is_ready(struct supervisor *supervisor, struct child *child)
{
    char byte;
    ssize_t got = read(child->ready_fd, &byte, 1);
    if (got < 0 && errno == EINTR)
        return;
    close_fd(&child->ready_fd);
    if (got != 1)
        return; /* closed without a word: its exit tells the rest */
    child->up = true;
    child->was_up = true;
    log_info(supervisor->options->logger, "%s is up (pid %ld) after %lu ms", child->name,
             (long)child->pid,
             (unsigned long)((monotonic_us(supervisor) - child->started_us) / 1000));
    if (supervisor->up || !stage_is_up(supervisor, STAGE_GATEWAY))
        return;
    struct error error = ERROR_INIT;
    supervisor->up = true;
    if (supervisor->options->on_up &&
        supervisor->options->on_up(supervisor->options->context, &error) != STATUS_OK)
        give_up(supervisor, &error);
}

static void
describe_exit(int wait_status, char *text, size_t size)
{
    if (WIFSIGNALED(wait_status))
        snprintf(text, size, "was killed by signal %d", WTERMSIG(wait_status));
    else
        snprintf(text, size, "ended with exit code %d", WEXITSTATUS(wait_status));
}

static void
child_ended(struct supervisor *supervisor, struct child *child)
{
    int wait_status = 0;
    char how[64];
    if (waitpid(child->pid, &wait_status, WNOHANG) != child->pid)
        return;
    drain_lines(supervisor, child);
    close_fd(&child->pid_fd);
    close_fd(&child->ready_fd);
    describe_exit(wait_status, how, sizeof how);
    uint64_t now = monotonic_us(supervisor);
    uint64_t lived_ms = (now - child->started_us) / 1000;
    pid_t pid = child->pid;
    child->pid = 0;
    child->up = false;
    if (supervisor->stopping >= 0)
        return;

    if (!child->was_up) {
        struct error error;
        error_set(&error, "%s did not start: %s", child->name,
                  child->last_words[0] ? child->last_words : how);
        give_up(supervisor, &error);
        return;
    }
    child->failures = lived_ms >= STEADY_MS ? 1 : child->failures + 1;
    uint64_t delay_ms = 0;
    if (child->failures > 1) {
        unsigned doublings = child->failures - 2 < 10 ? child->failures - 2 : 10;
        delay_ms = (uint64_t)BACKOFF_FIRST_MS << doublings;
        if (delay_ms > BACKOFF_MAX_MS)
            delay_ms = BACKOFF_MAX_MS;
    }
    child->start_at_us = now + delay_ms * 1000;
    log_warn(supervisor->options->logger,
             "%s (pid %ld) %s after %lu ms; starting it again in %lu ms", child->name, (long)pid,
             how, (unsigned long)lived_ms, (unsigned long)delay_ms);
}

/* ---- stopping */

static void
signal_stage(const struct supervisor *supervisor, int stage, int signal_number)
{
    for (size_t i = 0; i < supervisor->child_count; i++) {
        const struct child *child = &supervisor->children[i];
        if (child->pid && (int)child->stage == stage)
            kill(child->pid, signal_number);
    }
}

static bool
stage_runs(const struct supervisor *supervisor, int stage)
{
    for (size_t i = 0; i < supervisor->child_count; i++)
        if (supervisor->children[i].pid && (int)supervisor->children[i].stage == stage)
            return true;
    return false;
}

static void
stop_stage(struct supervisor *supervisor, int stage)
{
    supervisor->stopping = stage;
    supervisor->stop_deadline_us = monotonic_us(supervisor) + STOP_STAGE_MS * 1000ull;
    signal_stage(supervisor, stage, SIGTERM);
}

static void
begin_stop(struct supervisor *supervisor)
{
    if (supervisor->stopping < 0)
        stop_stage(supervisor, STAGES - 1);
}

/* Moves on to the stage below once this one is gone. True when all is stopped. */
static bool
go_on_stopping(struct supervisor *supervisor)
{
    while (!stage_runs(supervisor, supervisor->stopping)) {
        if (supervisor->stopping == STAGE_BROKER)
            return true;
        stop_stage(supervisor, supervisor->stopping - 1);
    }
    if (monotonic_us(supervisor) >= supervisor->stop_deadline_us) {
        log_warn(supervisor->options->logger, "processes did not stop within %d ms; killing them",
                 STOP_STAGE_MS);
        signal_stage(supervisor, supervisor->stopping, SIGKILL);
        supervisor->stop_deadline_us += STOP_STAGE_MS * 1000ull;
    }
    return false;
}

/* ---- the loop */

enum watch { WATCH_SIGNAL, WATCH_READY, WATCH_OUT, WATCH_ERR, WATCH_PID };

struct watched {
    enum watch what;
    struct child *child;
};

static nfds_t
watch_all(struct supervisor *supervisor, struct pollfd *polls, struct watched *watched)
{
    nfds_t count = 0;
    polls[count] = (struct pollfd){supervisor->signal_fd, POLLIN, 0};
    watched[count++] = (struct watched){WATCH_SIGNAL, NULL};
    for (size_t i = 0; i < supervisor->child_count; i++) {
        struct child *child = &supervisor->children[i];
        const struct {
            enum watch what;
            int fd;
        } rows[] = {{WATCH_READY, child->ready_fd},
                    {WATCH_OUT, child->out.fd},
                    {WATCH_ERR, child->err.fd},
                    {WATCH_PID, child->pid ? child->pid_fd : -1}};
        for (size_t row = 0; row < sizeof rows / sizeof rows[0]; row++) {
            if (rows[row].fd < 0)
                continue;
            polls[count] = (struct pollfd){rows[row].fd, POLLIN, 0};
            watched[count++] = (struct watched){rows[row].what, child};
        }
    }
    return count;
}

static int
wait_ms(const struct supervisor *supervisor)
{
    uint64_t now = monotonic_us(supervisor);
    uint64_t next = UINT64_MAX;
    if (supervisor->stopping >= 0)
        next = supervisor->stop_deadline_us;
    else
        for (size_t i = 0; i < supervisor->child_count; i++) {
            const struct child *child = &supervisor->children[i];
            if (!child->pid && child->start_at_us && child->start_at_us < next)
                next = child->start_at_us;
        }
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : (int)((next - now) / 1000 + 1);
}

static void
handle(struct supervisor *supervisor, const struct watched *watched)
{
    struct child *child = watched->child;
    struct signalfd_siginfo signal_info;
    switch (watched->what) {
    case WATCH_SIGNAL:
        if (read(supervisor->signal_fd, &signal_info, sizeof signal_info) > 0) {
            log_info(supervisor->options->logger, "stopping (signal %u)", signal_info.ssi_signo);
            begin_stop(supervisor);
        }
        break;
    case WATCH_READY:
        if (child->ready_fd >= 0)
            child_is_ready(supervisor, child);
        break;
    case WATCH_OUT:
        if (child->out.fd >= 0)
            take_lines(supervisor, child, &child->out, STDOUT_FILENO);
        break;
    case WATCH_ERR:
        if (child->err.fd >= 0)
            take_lines(supervisor, child, &child->err, STDERR_FILENO);
        break;
    case WATCH_PID:
        if (child->pid)
            child_ended(supervisor, child);
        break;
    }
}

static void
loop(struct supervisor *supervisor)
{
    struct pollfd polls[1 + CHILDREN_MAX * 4];
    struct watched watched[1 + CHILDREN_MAX * 4];
    for (;;) {
        if (supervisor->stopping < 0)
            start_due(supervisor);
        if (supervisor->stopping >= 0 && go_on_stopping(supervisor))
            return;
        nfds_t count = watch_all(supervisor, polls, watched);
        if (poll(polls, count, wait_ms(supervisor)) < 0 && errno != EINTR)
            return;
        for (nfds_t i = 0; i < count; i++)
            if (polls[i].revents)
                handle(supervisor, &watched[i]);
    }
}

static void
add_child(struct supervisor *supervisor, const char *name, enum stage stage)
{
    ASSERT(supervisor->child_count < CHILDREN_MAX);
    struct child *child = &supervisor->children[supervisor->child_count++];
    child->name = name;
    child->stage = stage;
    child->pid_fd = child->ready_fd = child->out.fd = child->err.fd = -1;
}

enum status
supervisor_run(const struct supervisor_options *options, struct error *error)
{
    struct supervisor *supervisor = calloc(1, sizeof *supervisor);
    if (!supervisor)
        return STATUS_NOMEM;
    supervisor->options = options;
    supervisor->stopping = -1;
    supervisor->error = error;
    add_child(supervisor, "broker", STAGE_BROKER);
    for (size_t i = 0; hosted_services[i]; i++)
        add_child(supervisor, hosted_services[i]->contract->service, STAGE_SERVICES);
    add_child(supervisor, "gateway", STAGE_GATEWAY);

    sigset_t signals;
    sigset_t before;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &before);
    supervisor->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);

    enum status status = log_file_open(&supervisor->log, options->home, error);
    if (status == STATUS_OK) {
        loop(supervisor);
        if (supervisor->failed)
            status = STATUS_UNAVAILABLE;
    }
    log_file_close(&supervisor->log);
    close_fd(&supervisor->signal_fd);
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(supervisor);
    return status;
}
