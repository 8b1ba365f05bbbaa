/* SPDX-License-Identifier: Apache-2.0 */
#include "broker/net/audit_log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "broker/net/audit_limit.h"
#include "platform/audit.h"

enum { LINES_MAX = 4096, MILLION = 1000000 };

struct line {
    struct line *next;
    uint64_t ticket;
    bool written;
    struct buffer text; /* its members */
};

struct lines {
    struct line *first;
    struct line **last;
};

struct audit_log {
    struct audit *file; /* the thread's */
    const struct clock *clock;
    const struct logger *logger;
    bool failing;          /* the thread's: the last write failed, which was logged */
    pthread_mutex_t mutex; /* of all that follows */
    pthread_cond_t told;
    struct lines waiting;
    size_t count; /* lines that wait */
    struct lines answers;
    struct audit_limit limit;
    uint64_t lost;
    bool stopping;
    int answered_fd;
    pthread_t thread;
    bool running;
};

static void
append(struct lines *lines, struct line *line)
{
    line->next = NULL;
    *lines->last = line;
    lines->last = &line->next;
}

static struct line *
take_first(struct lines *lines)
{
    struct line *line = lines->first;
    if (!line)
        return NULL;
    lines->first = line->next;
    if (!lines->first)
        lines->last = &lines->first;
    return line;
}

static void
destroy_line(struct line *line)
{
    buffer_clear(&line->text);
    free(line);
}

static struct line *
make_line(const struct audit_log *log, const struct audit_entry *entry, uint64_t ticket)
{
    struct line *line = calloc(1, sizeof *line);
    if (!line)
        return NULL;
    line->ticket = ticket;
    buffer_init(&line->text);
    audit_format(entry, clock_now(log->clock).wall_us, &line->text);
    if (line->text.failed) {
        destroy_line(line);
        return NULL;
    }
    return line;
}

bool
audit_log_tell(struct audit_log *log, const struct audit_entry *entry, uint64_t ticket)
{
    if (!log)
        return false;
    uint64_t now_us = clock_now(log->clock).monotonic_us;
    pthread_mutex_lock(&log->mutex);
    bool wanted = ticket != 0 || audit_limit_take(&log->limit, entry->event, now_us);
    struct line *line = NULL;
    if (wanted && log->count < LINES_MAX)
        line = make_line(log, entry, ticket);
    if (line) {
        append(&log->waiting, line);
        log->count++;
    } else if (wanted && ticket == 0) {
        log->lost++;
    }
    /* Also for a line that is left out: the thread is to say so when its second is over. */
    pthread_cond_signal(&log->told);
    pthread_mutex_unlock(&log->mutex);
    return line != NULL;
}

int
audit_log_fd(const struct audit_log *log)
{
    return log->answered_fd;
}

bool
audit_log_answer(struct audit_log *log, uint64_t *ticket, bool *written)
{
    uint64_t count;
    pthread_mutex_lock(&log->mutex);
    struct line *line = take_first(&log->answers);
    if (!line && read(log->answered_fd, &count, sizeof count) < 0)
        errno = 0; /* it was not set: fine */
    pthread_mutex_unlock(&log->mutex);
    if (!line)
        return false;
    *ticket = line->ticket;
    *written = line->written;
    destroy_line(line);
    return true;
}

/* ---- the thread */

/* What is told of lines that are not there. The mutex is held. */
static void
add_own_line(struct audit_log *log, const char *event, const char *of, uint64_t count)
{
    char detail[128];
    snprintf(detail, sizeof detail, "%llu lines%s%s %s", (unsigned long long)count,
             *of ? " of " : "", of,
             strcmp(event, "audit.lost") == 0 ? "could not be written" : "were left out");
    struct audit_entry entry = {.event = event,
                                .actor = text_of("service:bus"),
                                .resource = text_of(of),
                                .outcome = "left_out",
                                .detail = text_of(detail)};
    struct line *line = make_line(log, &entry, 0);
    if (!line)
        return;
    append(&log->waiting, line);
    log->count++;
}

static void
add_left_out(struct audit_log *log, uint64_t now_us)
{
    const char *event;
    uint64_t left_out;
    while (audit_limit_due(&log->limit, now_us, &event, &left_out))
        add_own_line(log, "audit.left_out", event, left_out);
}

/* Until there is something to do. The mutex is held. */
static void
await(struct audit_log *log)
{
    while (!log->waiting.first && !log->stopping) {
        uint64_t now_us = clock_now(log->clock).monotonic_us;
        uint64_t next_us = audit_limit_next(&log->limit);
        if (next_us <= now_us) {
            add_left_out(log, now_us);
        } else if (next_us == UINT64_MAX) {
            pthread_cond_wait(&log->told, &log->mutex);
        } else {
            struct timespec until;
            clock_gettime(CLOCK_MONOTONIC, &until);
            uint64_t left_us = next_us - now_us + (uint64_t)until.tv_nsec / 1000;
            until.tv_sec += (time_t)(left_us / MILLION);
            until.tv_nsec = (long)(left_us % MILLION) * 1000;
            pthread_cond_timedwait(&log->told, &log->mutex, &until);
        }
    }
    /* At the end also of the second under way. */
    add_left_out(log, clock_now(log->clock).monotonic_us + (log->stopping ? MILLION : 0));
}

/* How many were not written. */
static uint64_t
write_lines(struct audit_log *log, struct lines *lines)
{
    uint64_t wall_us = clock_now(log->clock).wall_us;
    struct error error = ERROR_INIT;
    enum status status = STATUS_OK;
    uint64_t failed = 0;
    for (struct line *line = lines->first; line; line = line->next) {
        enum status one = audit_append(log->file, audit_last(log->file).seq + 1,
                                       buffer_text(&line->text), wall_us, &error);
        line->written = one == STATUS_OK;
        if (one != STATUS_OK) {
            status = one;
            failed++;
        }
    }
    enum status synced = audit_sync(log->file, status == STATUS_OK ? &error : NULL);
    for (struct line *line = lines->first; line && synced != STATUS_OK; line = line->next)
        line->written = false; /* it may be there, but nobody may build on it */
    if (status == STATUS_OK)
        status = synced;
    if (status != STATUS_OK && !log->failing)
        log_error(log->logger, "%s", error.message);
    log->failing = status != STATUS_OK;
    return failed;
}

static void
give_answers(struct audit_log *log, struct lines *lines)
{
    struct line *line;
    bool any = false;
    while ((line = take_first(lines))) {
        if (line->ticket == 0) {
            destroy_line(line);
            continue;
        }
        append(&log->answers, line);
        any = true;
    }
    if (any)
        eventfd_write(log->answered_fd, 1);
}

static void *
run(void *argument)
{
    struct audit_log *log = argument;
    pthread_mutex_lock(&log->mutex);
    for (;;) {
        await(log);
        uint64_t lost = log->lost;
        if (!log->waiting.first && (lost == 0 || log->failing))
            break;
        if (lost > 0 && !log->failing) {
            log->lost = 0;
            add_own_line(log, "audit.lost", "", lost);
        }
        struct lines lines = {log->waiting.first, log->waiting.last};
        log->waiting = (struct lines){NULL, &log->waiting.first};
        log->count = 0;
        pthread_mutex_unlock(&log->mutex);
        uint64_t failed = write_lines(log, &lines);
        pthread_mutex_lock(&log->mutex);
        log->lost += failed;
        give_answers(log, &lines);
    }
    pthread_mutex_unlock(&log->mutex);
    return NULL;
}

static bool
init_sync(struct audit_log *log)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    bool made = pthread_mutex_init(&log->mutex, NULL) == 0 &&
                pthread_cond_init(&log->told, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    return made;
}

enum status
audit_log_start(struct audit_log **log_p, const char *path, const struct clock *clock,
                const struct logger *logger, struct error *error)
{
    struct audit_log *log = calloc(1, sizeof *log);
    if (!log)
        return STATUS_NOMEM;
    log->clock = clock;
    log->logger = logger;
    log->waiting.last = &log->waiting.first;
    log->answers.last = &log->answers.first;
    log->answered_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    enum status status = audit_open(&log->file, path, 0, clock_now(clock).wall_us, error);
    if (status == STATUS_OK && (log->answered_fd < 0 || !init_sync(log))) {
        error_set(error, "open the audit trail: %s", strerror(errno));
        status = STATUS_INTERNAL;
    }
    if (status == STATUS_OK) {
        int failed = pthread_create(&log->thread, NULL, run, log);
        log->running = failed == 0;
        if (failed) {
            error_set(error, "start the audit trail's thread: %s", strerror(failed));
            status = STATUS_INTERNAL;
        }
    }
    if (status != STATUS_OK) {
        audit_log_stop(&log);
        return status;
    }
    *log_p = log;
    return STATUS_OK;
}

void
audit_log_stop(struct audit_log **log_p)
{
    struct audit_log *log = *log_p;
    if (!log)
        return;
    if (log->running) {
        pthread_mutex_lock(&log->mutex);
        log->stopping = true;
        pthread_cond_signal(&log->told);
        pthread_mutex_unlock(&log->mutex);
        pthread_join(log->thread, NULL);
        pthread_cond_destroy(&log->told);
        pthread_mutex_destroy(&log->mutex);
    }
    struct line *line;
    while ((line = take_first(&log->answers)))
        destroy_line(line);
    audit_close(&log->file);
    if (log->answered_fd >= 0)
        close(log->answered_fd);
    free(log);
    *log_p = NULL;
}
