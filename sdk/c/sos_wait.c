/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that wait, each on a condition of its own, and callbacks that wait for a thread. */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sdk/c/sos_internal.h"

/* ---- waiting */

static bool
is_ended(const struct sos *sos, uint64_t deadline_us, struct error *error)
{
    if (sos->closing) {
        error_set(error, "the client is being closed");
        return true;
    }
    if (deadline_us == NEVER_US && atomic_load(&sos->stopped)) {
        error_set(error, "stopped");
        return true;
    }
    return false;
}

bool
wait_sleep(struct sos *sos, const void *what, uint64_t deadline_us)
{
    struct waiter waiter = {.what = what};
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&waiter.cond, &attributes);
    pthread_condattr_destroy(&attributes);
    link_append(&waiter.link, &sos->waiters);
    int failed = 0;
    if (deadline_us == NEVER_US) {
        pthread_cond_wait(&waiter.cond, &sos->lock);
    } else {
        struct timespec until = {.tv_sec = (time_t)(deadline_us / 1000000),
                                 .tv_nsec = (long)(deadline_us % 1000000) * 1000};
        failed = pthread_cond_timedwait(&waiter.cond, &sos->lock, &until);
    }
    link_remove(&waiter.link);
    pthread_cond_destroy(&waiter.cond);
    return failed == 0;
}

enum status
wait_for(struct sos *sos, const void *what, uint64_t deadline_us, struct error *error)
{
    if (is_ended(sos, deadline_us, error))
        return STATUS_CANCELLED;
    if (deadline_us != NEVER_US && client_now_us(sos) >= deadline_us)
        return STATUS_TIMEOUT;
    wait_sleep(sos, what, deadline_us);
    return is_ended(sos, deadline_us, error) ? STATUS_CANCELLED : STATUS_OK;
}

void
wait_wake(struct sos *sos, const void *what)
{
    for (struct link *at = sos->waiters.next; at != &sos->waiters; at = at->next) {
        struct waiter *waiter = LINK_ENTRY(at, struct waiter, link);
        if (waiter->what == what)
            pthread_cond_signal(&waiter->cond);
    }
}

void
wait_wake_all(struct sos *sos)
{
    for (struct link *at = sos->waiters.next; at != &sos->waiters; at = at->next)
        pthread_cond_signal(&LINK_ENTRY(at, struct waiter, link)->cond);
}

/* ---- callbacks */

static void
set_ready(struct sos *sos, bool ready)
{
    uint64_t count = 1;
    ssize_t done = ready ? write(sos->ready_fd, &count, sizeof count)
                         : read(sos->ready_fd, &count, sizeof count);
    (void)done; /* it says so already */
}

void
work_add(struct sos *sos, struct work *work)
{
    work->next = NULL;
    work->queued = true;
    if (!sos->work_first)
        set_ready(sos, true);
    *sos->work_end = work;
    sos->work_end = &work->next;
    wait_wake(sos, &sos->work_first);
}

void
work_wake(struct sos *sos)
{
    set_ready(sos, true);
    wait_wake_all(sos);
}

static struct work *
take_work(struct sos *sos)
{
    struct work *work = sos->work_first;
    if (!work)
        return NULL;
    sos->work_first = work->next;
    if (!sos->work_first) {
        sos->work_end = &sos->work_first;
        if (!atomic_load(&sos->stopped))
            set_ready(sos, false);
    }
    work->next = NULL;
    work->queued = false;
    return work;
}

void
work_remove(struct sos *sos, struct work *work)
{
    if (!work->queued)
        return;
    struct work **at = &sos->work_first;
    while (*at != work)
        at = &(*at)->next;
    *at = work->next;
    if (!work->next)
        sos->work_end = at;
    work->next = NULL;
    work->queued = false;
    if (!sos->work_first && !atomic_load(&sos->stopped))
        set_ready(sos, false);
}

/* Runs what is there now, and not what that brings along: others wait too. */
static unsigned
run_works(struct sos *sos)
{
    enum { WORKS_MAX = 64 };
    unsigned count = 0;
    struct work *work;
    while (count < WORKS_MAX && !sos->closing && !atomic_load(&sos->stopped) &&
           (work = take_work(sos))) {
        work->run(sos, work);
        count++;
    }
    return count;
}

static enum status
run_until(struct sos *sos, uint64_t deadline_us, bool once, bool *nothing, struct error *error)
{
    for (;;) {
        if (atomic_load(&sos->stopped)) {
            error_set(error, "stopped");
            return STATUS_CANCELLED;
        }
        if (run_works(sos) > 0) {
            if (once)
                return STATUS_OK;
            continue;
        }
        enum status status = STATUS_OK;
        if (sos->state == PEER_REFUSED && client_is_refused(sos, &status, error))
            return status;
        status = wait_for(sos, &sos->work_first, deadline_us, error);
        if (status == STATUS_TIMEOUT) {
            *nothing = true;
            return STATUS_OK;
        }
        if (status != STATUS_OK)
            return status;
    }
}

int
sos_poll(struct sos *sos, int timeout_ms, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    bool nothing = false;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered)
        status = run_until(sos, client_deadline_us(sos, timeout_ms), true, &nothing, &error);
    int result = client_leave(sos, entered, status, &error, told);
    return nothing ? SOS_NOTHING : result;
}

int
sos_run(struct sos *sos, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    bool nothing = false;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    if (entered) {
        status = run_until(sos, NEVER_US, false, &nothing, &error);
        if (status == STATUS_CANCELLED && !sos->closing)
            status = STATUS_OK; /* sos_stop() */
    }
    return client_leave(sos, entered, status, &error, told);
}

void
sos_stop(struct sos *sos)
{
    int saved = errno;
    uint64_t one = 1;
    atomic_store(&sos->stopped, true);
    ssize_t done = write(sos->wake_fd, &one, sizeof one);
    (void)done; /* full: it wakes anyway */
    errno = saved;
}

int
sos_fd(struct sos *sos)
{
    return sos->ready_fd;
}
