/* SPDX-License-Identifier: Apache-2.0 */
/* The client: one thread that owns the peer, and what every public function begins and ends with.
 *
 * What others want done stands in lists and states that hang on the client; the thread looks
 * through them in each turn, so nothing has to be handed over twice when a session is lost. */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include "kernel/assert.h"
#include "platform/system_clock.h"
#include "sdk/c/sos_internal.h"

enum {
    CONNECT_TIMEOUT_MS = 5000,
    CLOSE_MS = 1000,
    CALLS_MAX = 4096,
    SENDS_MAX = 4096,
    SEND_BYTES_MAX = 64 * 1024 * 1024
};

/* ---- in and out */

bool
client_lock(struct sos *sos)
{
    if (sos->pid != getpid())
        return false;
    atomic_fetch_add(&sos->knocking, 1);
    pthread_mutex_lock(&sos->lock);
    atomic_fetch_sub(&sos->knocking, 1);
    return true;
}

void
client_unlock(struct sos *sos)
{
    pthread_mutex_unlock(&sos->lock);
}

enum status
client_enter(struct sos *sos, struct error *error)
{
    if (!client_lock(sos)) {
        error_set_word(error, "forked", "this client belongs to the parent process: connect anew");
        return STATUS_CONFLICT;
    }
    if (sos->closing) {
        client_unlock(sos);
        error_set(error, "the client is being closed");
        return STATUS_CANCELLED;
    }
    sos->users++;
    return STATUS_OK;
}

int
client_leave(struct sos *sos, bool entered, enum status status, const struct error *error,
             struct sos_error *told)
{
    if (entered) {
        sos->users--;
        if (sos->closing && sos->users == 0)
            wait_wake(sos, &sos->users);
        client_unlock(sos);
    }
    return status == STATUS_OK ? SOS_OK : basic_fail(told, status, error);
}

void
client_retain(struct sos *sos)
{
    atomic_fetch_add(&sos->references, 1);
}

static void
destroy(struct sos *sos)
{
    buffer_clear(&sos->scratch);
    timers_clear(&sos->timers);
    if (sos->wake_fd >= 0)
        close(sos->wake_fd);
    if (sos->ready_fd >= 0)
        close(sos->ready_fd);
    pthread_mutex_destroy(&sos->lock);
    free(sos);
}

void
client_release(struct sos *sos)
{
    if (atomic_fetch_sub(&sos->references, 1) == 1)
        destroy(sos);
}

/* ---- facts */

uint64_t
client_now_us(const struct sos *sos)
{
    (void)sos;
    return clock_now(&system_clock).monotonic_us;
}

uint64_t
client_deadline_us(const struct sos *sos, int timeout_ms)
{
    return timeout_ms < 0 ? NEVER_US : client_now_us(sos) + (uint64_t)timeout_ms * 1000;
}

bool
client_is_connected(const struct sos *sos)
{
    return sos->state == PEER_READY || sos->state == PEER_WELCOME;
}

bool
client_is_refused(const struct sos *sos, enum status *status, struct error *error)
{
    if (client_is_connected(sos) ||
        (sos->state != PEER_REFUSED && sos->refusal_status != STATUS_UNAUTHORIZED))
        return false;
    *status = sos->refusal_status == STATUS_OK ? STATUS_UNAVAILABLE : sos->refusal_status;
    *error = sos->refusal;
    return true;
}

void
client_absent(const struct sos *sos, struct error *error)
{
    error_set(error, "not connected to %s%s%s", sos->endpoint, *sos->refusal.message ? ": " : "",
              sos->refusal.message);
}

struct uuid
client_new_id(struct sos *sos)
{
    return uuid_next(&sos->ids, clock_now(&system_clock).wall_us);
}

void
client_stir(struct sos *sos)
{
    sos->stirred = true;
    if (!sos->asleep)
        return;
    sos->asleep = false; /* once is enough */
    uint64_t one = 1;
    ssize_t done = write(sos->wake_fd, &one, sizeof one);
    (void)done;
}

enum sos_state
sos_state(struct sos *sos)
{
    if (!client_lock(sos))
        return SOS_REFUSED;
    enum peer_state state = sos->state;
    client_unlock(sos);
    return state == PEER_REFUSED                          ? SOS_REFUSED
           : state == PEER_READY || state == PEER_WELCOME ? SOS_CONNECTED
                                                          : SOS_CONNECTING;
}

const char *
sos_identity(struct sos *sos)
{
    return sos->identity;
}

/* ---- what the peer tells */

struct state_work {
    struct work work;
    enum sos_state state;
};

static void
run_state(struct sos *sos, struct work *work)
{
    struct state_work *told = (struct state_work *)(void *)work;
    if (!sos->closing) {
        client_unlock(sos);
        sos->on_state(sos->context, told->state);
        client_lock(sos);
    }
    free(told);
}

static void
tell_state(struct sos *sos, enum sos_state state)
{
    if (!sos->on_state || sos->closing)
        return;
    struct state_work *told = malloc(sizeof *told);
    if (!told)
        return;
    *told = (struct state_work){.work.run = run_state, .state = state};
    work_add(sos, &told->work);
}

static void
on_state(void *context, enum peer_state state)
{
    struct sos *sos = context;
    bool was_connected = client_is_connected(sos);
    sos->state = state;
    sos->stirred = true;
    bool connected = client_is_connected(sos);
    if (was_connected && !connected) {
        outgoing_lost(sos);
        inbox_lost(sos);
        channels_lost(sos);
        serving_lost(sos);
    }
    if (connected) {
        sos->refusal_status = STATUS_OK;
        if (sos->epoch != peer_epoch(sos->peer))
            channels_new_epoch(sos);
        sos->epoch = peer_epoch(sos->peer);
    }
    if (state == PEER_READY || state == PEER_REFUSED)
        serving_ready(sos);
    if (was_connected != connected || state == PEER_REFUSED)
        tell_state(sos, state == PEER_REFUSED ? SOS_REFUSED
                        : connected           ? SOS_CONNECTED
                                              : SOS_CONNECTING);
    wait_wake(sos, &sos->state);
    if (state == PEER_REFUSED)
        wait_wake_all(sos);
}

static void
on_message(void *context, const struct message *message)
{
    serving_receive(context, message);
}

static void
on_bus(void *context, const struct message *message)
{
    struct sos *sos = context;
    if (!outgoing_receive(sos, message) && !inbox_receive(sos, message) &&
        !channels_receive(sos, message) && message->kind == KIND_ERROR) {
        struct error error = ERROR_INIT;
        error_unpack(message->payload, &error);
        log_warn(&sos->logger, "the broker refused a record: %s", error.message);
    }
}

static void
log_line(void *context, enum log_level level, struct text line)
{
    const struct sos *sos = context;
    if (!sos->on_log)
        return;
    char *copy = text_copy(line);
    if (copy)
        sos->on_log(sos->context, log_level_word(level), copy);
    free(copy);
}

/* ---- the thread */

static void
look_for_refusal(struct sos *sos)
{
    enum status status = peer_refusal_status(sos->peer);
    if (client_is_connected(sos) || status == STATUS_OK || status == sos->refusal_status)
        return;
    sos->refusal_status = status;
    sos->refusal = *peer_refusal(sos->peer);
    wait_wake_all(sos);
}

static bool
is_quiet(const struct sos *sos)
{
    return outgoing_is_quiet(sos) && acks_are_quiet(sos);
}

static void
turn(struct sos *sos)
{
    sos->stirred = false;
    timers_fire(&sos->timers, client_now_us(sos), sos);
    job_step(sos);
    serving_step(sos);
    inbox_step(sos);
    channels_step(sos);
    outgoing_step(sos);
}

/* Lets those in who want the lock. */
static void
breathe(struct sos *sos)
{
    enum { YIELDS_MAX = 64 };
    client_unlock(sos);
    for (int i = 0; i < YIELDS_MAX && atomic_load(&sos->knocking) > 0; i++)
        sched_yield();
    pthread_mutex_lock(&sos->lock);
}

static long
sleep_ms(struct sos *sos)
{
    uint64_t now_us = client_now_us(sos);
    uint64_t deadline_us = peer_deadline_us(sos->peer);
    uint64_t timers_us = timers_next(&sos->timers);
    if (timers_us < deadline_us)
        deadline_us = timers_us;
    if (deadline_us <= now_us)
        return 0;
    uint64_t left_ms = (deadline_us - now_us + 999) / 1000;
    return left_ms > INT_MAX ? INT_MAX : (long)left_ms;
}

static void
sleep_once(struct sos *sos)
{
    zmq_pollitem_t items[] = {{.socket = peer_socket(sos->peer), .events = ZMQ_POLLIN},
                              {.socket = peer_monitor(sos->peer), .events = ZMQ_POLLIN},
                              {.fd = sos->wake_fd, .events = ZMQ_POLLIN}};
    long timeout_ms = sleep_ms(sos);
    sos->asleep = true;
    client_unlock(sos);
    zmq_poll(items, sizeof items / sizeof *items, timeout_ms);
    uint64_t count;
    ssize_t done = items[2].revents ? read(sos->wake_fd, &count, sizeof count) : 0;
    (void)done;
    pthread_mutex_lock(&sos->lock);
    sos->asleep = false;
}

static void *
run(void *argument)
{
    struct sos *sos = argument;
    bool told_stop = false;
    pthread_mutex_lock(&sos->lock);
    while (!sos->ended) {
        turn(sos);
        bool more = peer_process(sos->peer);
        look_for_refusal(sos);
        if (atomic_load(&sos->stopped) && !told_stop) {
            told_stop = true;
            work_wake(sos);
        }
        if (is_quiet(sos))
            wait_wake(sos, &sos->outbound);
        if (more || sos->stirred)
            breathe(sos);
        else
            sleep_once(sos);
    }
    peer_close(&sos->peer);
    pthread_mutex_unlock(&sos->lock);
    return NULL;
}

/* ---- connecting */

static enum status
start_thread(struct sos *sos, struct error *error)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&sos->thread, NULL, run, sos);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        error_set(error, "start a thread: %s", strerror(failed));
        return STATUS_INTERNAL;
    }
    sos->started = true;
    return STATUS_OK;
}

static void
take_options(struct sos *sos, const struct sos_options *options)
{
    sos->calls_max = options->calls_max ? options->calls_max : CALLS_MAX;
    sos->sends_max = options->sends_max ? options->sends_max : SENDS_MAX;
    sos->send_bytes_max = options->send_bytes_max ? options->send_bytes_max : SEND_BYTES_MAX;
    sos->close_ms = options->close_ms > 0 ? (uint32_t)options->close_ms : CLOSE_MS;
    sos->on_state = options->on_state;
    sos->on_log = options->on_log;
    sos->context = options->context;
    sos->logger =
        (struct logger){.service = "sdk",
                        .level = options->on_log ? (enum log_level)LOG_AT_INFO : LOG_FATAL,
                        .clock = &system_clock,
                        .sink = log_line,
                        .context = sos};
}

static struct sos *
client_new(const struct sos_options *options)
{
    struct sos *sos = calloc(1, sizeof *sos);
    if (!sos)
        return NULL;
    sos->pid = getpid();
    atomic_init(&sos->references, 1);
    atomic_init(&sos->knocking, 0);
    atomic_init(&sos->stopped, false);
    pthread_mutex_init(&sos->lock, NULL);
    link_init(&sos->waiters);
    link_init(&sos->jobs);
    link_init(&sos->asked_jobs);
    link_init(&sos->granting_jobs);
    id_table_init(&sos->jobs_by_id);
    sos->work_end = &sos->work_first;
    buffer_init(&sos->scratch);
    take_options(sos, options);
    outgoing_init(sos);
    inbox_init(sos, options);
    sos->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sos->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return sos;
}

static enum status
open_client(struct sos *sos, const struct connection *connection, const struct sos_options *options,
            struct error *error)
{
    memcpy(sos->identity, connection->identity, sizeof sos->identity);
    memcpy(sos->endpoint, connection->endpoint, sizeof sos->endpoint);
    if (sos->wake_fd < 0 || sos->ready_fd < 0) {
        error_set(error, "make an eventfd: %s", strerror(errno));
        return STATUS_INTERNAL;
    }
    enum status status = channels_init(sos);
    if (status == STATUS_OK)
        status = serving_init(sos);
    if (status != STATUS_OK)
        return status;
    struct peer_options peer_options = {
        .connection = connection,
        .callbacks = {on_message, on_state, sos, on_bus},
        .clock = &system_clock,
        .logger = &sos->logger,
        .heartbeat_ms = options->heartbeat_ms,
        .calls_max = sos->calls_max,
    };
    status = peer_open(&sos->peer, &peer_options, error);
    if (status == STATUS_OK)
        status = start_thread(sos, error);
    return status;
}

static enum status
await_welcome(struct sos *sos, int timeout_ms, struct error *error)
{
    uint64_t deadline_us = client_deadline_us(sos, timeout_ms ? timeout_ms : CONNECT_TIMEOUT_MS);
    enum status status = STATUS_OK;
    client_lock(sos);
    while (!client_is_connected(sos) && status == STATUS_OK) {
        if (client_is_refused(sos, &status, error))
            break;
        status = wait_for(sos, &sos->state, deadline_us, error);
    }
    if (status == STATUS_TIMEOUT) {
        client_absent(sos, error);
        status = STATUS_UNAVAILABLE;
    }
    client_unlock(sos);
    return status;
}

static void
discard(struct sos **sos_p)
{
    struct sos *sos = *sos_p;
    *sos_p = NULL;
    if (!sos)
        return;
    if (sos->started) {
        sos_close(&sos);
        return;
    }
    peer_close(&sos->peer);
    inbox_clear(sos);
    outgoing_clear(sos);
    channels_clear(sos);
    serving_clear(sos);
    client_release(sos);
}

int
sos_connect(struct sos **sos_p, const struct sos_options *given, struct sos_error *told)
{
    static const struct sos_options none = {0};
    const struct sos_options *options = given ? given : &none;
    struct error error = ERROR_INIT;
    struct connection connection;
    memset(&connection, 0, sizeof connection);
    struct sos *sos = NULL;
    enum status status = connect_find(&connection, options, &error);
    if (status == STATUS_OK && !(sos = client_new(options)))
        status = STATUS_NOMEM;
    if (status == STATUS_OK)
        status = open_client(sos, &connection, options, &error);
    if (status == STATUS_OK && options->timeout_ms >= 0)
        status = await_welcome(sos, options->timeout_ms, &error);
    connection_clear(&connection);
    if (status != STATUS_OK) {
        discard(&sos);
        return basic_fail(told, status, &error);
    }
    *sos_p = sos;
    return SOS_OK;
}

/* ---- closing */

int
sos_flush(struct sos *sos, int timeout_ms, struct sos_error *told)
{
    struct error error = ERROR_INIT;
    enum status status = client_enter(sos, &error);
    bool entered = status == STATUS_OK;
    uint64_t deadline_us = entered ? client_deadline_us(sos, timeout_ms) : 0;
    while (status == STATUS_OK && !is_quiet(sos))
        status = wait_for(sos, &sos->outbound, deadline_us, &error);
    if (status == STATUS_TIMEOUT) {
        if (client_is_connected(sos))
            error_set(&error, "not everything was confirmed in time");
        else
            client_absent(sos, &error);
    }
    return client_leave(sos, entered, status, &error, told);
}

/* Nobody else is in a public function; the thread goes on until what was said is confirmed. */
static void
finish(struct sos *sos)
{
    uint64_t deadline_us = client_deadline_us(sos, (int)sos->close_ms);
    while (!is_quiet(sos) && sos->state != PEER_REFUSED &&
           wait_sleep(sos, &sos->outbound, deadline_us))
        continue;
    sos->ended = true;
    client_stir(sos);
}

/* Callbacks of what ended stand in the works; the others are handles that nobody took. */
static void
run_rest(struct sos *sos)
{
    struct work *work;
    while ((work = sos->work_first)) {
        work_remove(sos, work);
        work->run(sos, work);
    }
}

void
sos_close(struct sos **sos_p)
{
    struct sos *sos = *sos_p;
    *sos_p = NULL;
    if (!sos || !client_lock(sos))
        return;
    struct error error;
    error_set(&error, "the client was closed");
    sos->closing = true;
    work_wake(sos);
    while (sos->users > 0)
        wait_sleep(sos, &sos->users, NEVER_US);
    finish(sos);
    client_unlock(sos);
    pthread_join(sos->thread, NULL);

    client_lock(sos);
    job_end_all(sos, STATUS_CANCELLED, &error);
    outgoing_end_all(sos, STATUS_CANCELLED, &error);
    channels_end_all(sos);
    run_rest(sos);
    inbox_clear(sos);
    outgoing_clear(sos);
    channels_clear(sos);
    serving_clear(sos);
    client_unlock(sos);
    client_release(sos);
}
