/* SPDX-License-Identifier: Apache-2.0 */
/* Two lists under one lock: questions in, answers out. What gathers in the first while a commit
 * runs is the next batch. */
#include "broker/mail/mail_thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "broker/mail/mail_store.h"

enum {
    BATCH_OPS = 4096,
    BATCH_BYTES = 8 << 20,
    BATCH_WIDE = 64,        /* questions that may each make a thousand arrivals */
    READ_GUESS = 32 * 1024, /* what the answer of a question that reads is taken to have */
    ARRIVALS_MAX = 1 << 16, /* untaken beyond ops_max: the thread pauses */
    WAIT_MAX_US = 1000000   /* the wall clock may be set, and then other things are due */
};

struct queue {
    struct mail_op *first;
    struct mail_op **end;
    size_t count;
    size_t bytes;
};

struct mail_thread {
    struct mail_thread_options options;
    char *folder;
    struct mail_store store; /* the thread's */
    pthread_t thread;
    bool runs;
    int event; /* readable: something was put into out */

    pthread_mutex_t lock;
    pthread_cond_t changed; /* in, out or stopping, for the thread */
    struct queue in;
    struct queue out;
    size_t count; /* between give and take: in, under work, out */
    size_t bytes;
    bool stopping;
    struct mail_thread_figures figures;

    struct mail_op *taken; /* the router's: out, taken as a whole */
};

static void
queue_init(struct queue *queue)
{
    *queue = (struct queue){.end = &queue->first};
}

static size_t
question_size(const struct mail_op *op)
{
    bool reads = op->type == MAIL_READ || op->type == MAIL_READ_ONE || op->type == MAIL_DEAD_READ;
    return sizeof *op + op->name.size + op->source.size + op->text.size + op->record.size +
           (reads ? READ_GUESS : 0);
}

static size_t
answer_size(const struct mail_op *op)
{
    return sizeof *op + op->name.size + op->source.size + op->text.size + op->record.size +
           op->out.capacity + op->row_count * sizeof *op->rows;
}

static void
queue_put(struct queue *queue, struct mail_op *op, size_t size)
{
    op->next = NULL;
    *queue->end = op;
    queue->end = &op->next;
    queue->count++;
    queue->bytes += size;
}

/* Of questions. */
static struct mail_op *
queue_take(struct queue *queue)
{
    struct mail_op *op = queue->first;
    queue->first = op->next;
    if (!queue->first)
        queue->end = &queue->first;
    queue->count--;
    queue->bytes -= question_size(op);
    return op;
}

static void
destroy_all(struct mail_op *op)
{
    while (op) {
        struct mail_op *next = op->next;
        mail_op_destroy(&op);
        op = next;
    }
}

/* ---- the thread's side */

static bool
is_wide(const struct mail_op *op)
{
    return op->type == MAIL_DEAD_REPLAY || op->type == MAIL_DEAD_DROP ||
           (op->type == MAIL_APPEND && op->squad);
}

/* Under the lock. */
static struct mail_op *
cut_batch(struct mail_thread *thread)
{
    struct queue batch;
    size_t wide = 0;
    queue_init(&batch);
    while (thread->in.first && batch.count < BATCH_OPS && batch.bytes < BATCH_BYTES &&
           wide < BATCH_WIDE) {
        struct mail_op *op = queue_take(&thread->in);
        wide += is_wide(op);
        queue_put(&batch, op, question_size(op));
    }
    return batch.first;
}

/* Under the lock. Questions were counted when they were given; arrivals are now. */
static void
put_out(struct mail_thread *thread, struct mail_op *list, bool asked)
{
    while (list) {
        struct mail_op *next = list->next;
        size_t size = answer_size(list);
        thread->count += !asked;
        thread->bytes += size - (asked ? question_size(list) : 0);
        queue_put(&thread->out, list, size);
        list = next;
    }
}

static void
wake_router(struct mail_thread *thread)
{
    uint64_t one = 1;
    while (write(thread->event, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Under the lock; waits for a question, an end, or the time. */
static void
wait_until(struct mail_thread *thread, uint64_t due_us)
{
    uint64_t now_us = clock_now(thread->options.clock).monotonic_us;
    if (due_us == UINT64_MAX) {
        pthread_cond_wait(&thread->changed, &thread->lock);
        return;
    }
    uint64_t left_us = due_us > now_us ? due_us - now_us : 0;
    if (left_us > WAIT_MAX_US)
        left_us = WAIT_MAX_US;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)left_us % 1000000 * 1000;
    until.tv_sec += (time_t)(left_us / 1000000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&thread->changed, &thread->lock, &until);
}

/* Under the lock, but not while it works. */
static void
work(struct mail_thread *thread, struct mail_op *batch)
{
    struct mail_op *arrived = NULL;
    pthread_mutex_unlock(&thread->lock);
    if (batch)
        mail_store_run(&thread->store, batch, &arrived);
    if (mail_store_due_us(&thread->store) <= clock_now(thread->options.clock).monotonic_us)
        mail_store_tick(&thread->store, &arrived);
    struct mailbox_figures figures = mail_store_figures(&thread->store);
    pthread_mutex_lock(&thread->lock);

    bool tell = batch || arrived || thread->figures.health != thread->store.health;
    thread->figures.health = thread->store.health;
    thread->figures.inboxes = figures.inboxes;
    thread->figures.expired = figures.expired;
    thread->figures.commits += batch != NULL;
    put_out(thread, batch, true);
    put_out(thread, arrived, false);
    if (tell)
        wake_router(thread);
}

static bool
must_pause(const struct mail_thread *thread)
{
    return !thread->stopping && (thread->out.count > thread->options.ops_max + ARRIVALS_MAX ||
                                 thread->out.bytes > thread->options.bytes_max);
}

static void *
run(void *argument)
{
    struct mail_thread *thread = argument;
    pthread_mutex_lock(&thread->lock);
    while (!thread->stopping || thread->in.first) {
        uint64_t due_us = mail_store_due_us(&thread->store);
        if (must_pause(thread))
            pthread_cond_wait(&thread->changed, &thread->lock);
        else if (thread->in.first || due_us <= clock_now(thread->options.clock).monotonic_us)
            work(thread, cut_batch(thread));
        else
            wait_until(thread, due_us);
    }
    pthread_mutex_unlock(&thread->lock);
    return NULL;
}

/* ---- starting and stopping */

static bool
init_sync(struct mail_thread *thread)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&thread->lock, NULL) != 0)
        return false;
    bool made = pthread_condattr_init(&attributes) == 0;
    if (made) {
        made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&thread->changed, &attributes) == 0;
        pthread_condattr_destroy(&attributes);
    }
    if (!made)
        pthread_mutex_destroy(&thread->lock);
    return made;
}

enum status
mail_thread_start(struct mail_thread **thread_p, const struct mail_thread_options *options,
                  struct error *error)
{
    struct mail_thread *thread = calloc(1, sizeof *thread);
    if (!thread)
        return STATUS_NOMEM;
    if (!init_sync(thread)) {
        free(thread);
        return STATUS_NOMEM;
    }
    queue_init(&thread->in);
    queue_init(&thread->out);
    thread->options = *options;
    thread->folder = options->folder ? strdup(options->folder) : NULL;
    thread->options.folder = thread->folder;
    thread->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    enum status status = thread->folder || !options->folder ? STATUS_OK : STATUS_NOMEM;
    if (status == STATUS_OK && thread->event < 0) {
        error_set(error, "the mailbox's event: %s", strerror(errno));
        status = STATUS_INTERNAL;
    }
    if (status == STATUS_OK)
        status = mail_store_open(&thread->store, &thread->options, error);
    if (status == STATUS_OK && pthread_create(&thread->thread, NULL, run, thread) != 0) {
        error_set(error, "the mailbox's thread cannot be started");
        status = STATUS_UNAVAILABLE;
    }
    if (status != STATUS_OK) {
        mail_thread_stop(&thread);
        return status;
    }
    thread->runs = true;
    *thread_p = thread;
    return STATUS_OK;
}

void
mail_thread_stop(struct mail_thread **thread_p)
{
    struct mail_thread *thread = *thread_p;
    if (!thread)
        return;
    if (thread->runs) {
        pthread_mutex_lock(&thread->lock);
        thread->stopping = true;
        pthread_cond_signal(&thread->changed);
        pthread_mutex_unlock(&thread->lock);
        pthread_join(thread->thread, NULL);
    }
    mail_store_close(&thread->store);
    destroy_all(thread->out.first);
    destroy_all(thread->taken);
    if (thread->event >= 0)
        close(thread->event);
    pthread_cond_destroy(&thread->changed);
    pthread_mutex_destroy(&thread->lock);
    free(thread->folder);
    free(thread);
    *thread_p = NULL;
}

/* ---- the router's side */

bool
mail_thread_give(struct mail_thread *thread, struct mail_op **op_p)
{
    size_t size = question_size(*op_p);
    pthread_mutex_lock(&thread->lock);
    bool fits = thread->count < thread->options.ops_max &&
                (thread->count == 0 || thread->bytes + size <= thread->options.bytes_max);
    if (fits) {
        thread->count++;
        thread->bytes += size;
        bool first = !thread->in.first;
        queue_put(&thread->in, *op_p, size);
        *op_p = NULL;
        if (first)
            pthread_cond_signal(&thread->changed);
    }
    pthread_mutex_unlock(&thread->lock);
    return fits;
}

static void
take_all(struct mail_thread *thread)
{
    uint64_t events;
    while (read(thread->event, &events, sizeof events) < 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&thread->lock);
    bool paused = must_pause(thread);
    thread->taken = thread->out.first;
    thread->count -= thread->out.count;
    thread->bytes -= thread->out.bytes;
    queue_init(&thread->out);
    if (paused)
        pthread_cond_signal(&thread->changed);
    pthread_mutex_unlock(&thread->lock);
}

struct mail_op *
mail_thread_take(struct mail_thread *thread)
{
    if (!thread->taken)
        take_all(thread);
    struct mail_op *op = thread->taken;
    if (op) {
        thread->taken = op->next;
        op->next = NULL;
    }
    return op;
}

int
mail_thread_fd(struct mail_thread *thread)
{
    return thread->event;
}

struct mail_thread_figures
mail_thread_figures(struct mail_thread *thread)
{
    pthread_mutex_lock(&thread->lock);
    struct mail_thread_figures figures = thread->figures;
    figures.waiting = thread->count;
    pthread_mutex_unlock(&thread->lock);
    return figures;
}
