/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/home.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "broker/net/keytable.h"
#include "platform/file.h"
#include "platform/river_key.h"

const struct home_identity home_identities[] = {
    {"service:gateway", "secrets/gateway.key", true},
    {"service:engine", "secrets/engine.key", true},
    {"service:memory", "secrets/memory.key", false},
    {"service:identity", "secrets/identity.key", true},
    {HOME_OPERATOR, HOME_OPERATOR_KEY, false},
    {NULL, NULL, false},
};

static bool
exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static enum status
make_folders(const char *home, struct error *error)
{
    char path[PATH_SIZE];
    enum status status = folder_make(home, error);
    for (size_t i = 0; status == STATUS_OK && paths_folders[i]; i++) {
        status = paths_join(path, home, paths_folders[i], error);
        if (status == STATUS_OK)
            status = folder_make(path, error);
    }
    return status;
}

enum status
home_make_run(const char *home, struct error *error)
{
    char path[PATH_SIZE];
    enum status status = folder_make(home, error);
    if (status == STATUS_OK)
        status = paths_join(path, home, "run", error);
    if (status == STATUS_OK)
        status = folder_make(path, error);
    return status;
}

/* Loads the key file of an identity, or makes it. */
static enum status
key_of(const char *home, const char *key_file, const char *identity, struct connection *connection,
       struct error *error)
{
    char path[PATH_SIZE];
    enum status status = paths_join(path, home, key_file, error);
    if (status != STATUS_OK)
        return status;
    if (exists(path))
        return connection_load(connection, NULL, path, error);

    memset(connection, 0, sizeof *connection);
    snprintf(connection->identity, sizeof connection->identity, "%s", identity);
    curve_keys_make(&connection->keys);
    return connection_save(connection, path, error);
}

static enum status
seed_key_table(const char *home, uint64_t now_us, struct error *error)
{
    char path[PATH_SIZE];
    struct keytable *table = NULL;
    enum status status = paths_join(path, home, HOME_KEY_TABLE, error);
    if (status == STATUS_OK)
        status = keytable_open(&table, path, error);
    for (size_t i = 0; status == STATUS_OK && home_identities[i].identity; i++) {
        const struct home_identity *row = &home_identities[i];
        struct connection connection;
        status = key_of(home, row->key_file, row->identity, &connection, error);
        if (status == STATUS_OK)
            status =
                keytable_add(table, text_of(row->identity), text_of(connection.keys.public_key),
                             row->act_for_others, now_us, error);
        connection_clear(&connection);
    }
    if (status == STATUS_OK)
        status = keytable_save(table, error);
    keytable_close(&table);
    return status;
}

enum status
home_prepare(const char *home, uint64_t now_us, struct error *error)
{
    struct connection broker;
    enum status status = make_folders(home, error);
    if (status == STATUS_OK)
        status = river_key_make(home, error);
    if (status == STATUS_OK) {
        status = key_of(home, HOME_BROKER_KEY, "service:bus", &broker, error);
        connection_clear(&broker);
    }
    if (status == STATUS_OK)
        status = seed_key_table(home, now_us, error);
    if (status != STATUS_OK)
        error_wrap(error, "prepare home %s", home);
    return status;
}

enum status
home_connection(const char *home, const char *key_file, struct connection *connection,
                struct error *error)
{
    char swarm[PATH_SIZE];
    char key[PATH_SIZE];
    enum status status = paths_join(swarm, home, HOME_SWARM_FILE, error);
    if (status == STATUS_OK)
        status = paths_join(key, home, key_file, error);
    if (status == STATUS_OK)
        status = connection_load_home(connection, swarm, key, error);
    return status;
}

enum status
home_save_swarm(const char *home, const char *endpoint, const char *broker_public_key,
                struct error *error)
{
    char path[PATH_SIZE];
    enum status status = paths_join(path, home, HOME_SWARM_FILE, error);
    if (status != STATUS_OK)
        return status;
    struct buffer content;
    buffer_init(&content);
    buffer_append_format(&content,
                         "{\n  \"endpoint\": \"%s\",\n  \"broker_public_key\": \"%s\"\n}\n",
                         endpoint, broker_public_key);
    status = content.failed ? STATUS_NOMEM : file_save(path, buffer_bytes(&content), 0600, error);
    buffer_clear(&content);
    return status;
}

static void
on_alarm(int signal_number)
{
    (void)signal_number; /* only there to end a blocking fcntl() with EINTR */
}

/* Open-file-description locks: they pass on to children with the descriptor, and can be asked
 * about without being taken. */
static bool
lock_now(int fd, int command)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, command, &whole) == 0;
}

/* Awaits the lock for at most wait_ms; an interval timer, because one signal may come just
 * before the call blocks. */
static bool
lock_within(int fd, uint32_t wait_ms)
{
    if (lock_now(fd, F_OFD_SETLK))
        return true;
    if (wait_ms == 0)
        return false;

    struct sigaction action = {.sa_handler = on_alarm}, before;
    struct itimerval timer = {.it_value = {wait_ms / 1000, (wait_ms % 1000) * 1000},
                              .it_interval = {0, 50000}};
    struct itimerval off = {{0, 0}, {0, 0}};
    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &timer, NULL);
    bool locked = lock_now(fd, F_OFD_SETLKW);
    setitimer(ITIMER_REAL, &off, NULL);
    sigaction(SIGALRM, &before, NULL);
    return locked;
}

static int
open_lock(const char *home, const char *name, int flags, struct error *error)
{
    char path[PATH_SIZE];
    if (paths_join(path, home, name, error) != STATUS_OK)
        return -1;
    int fd = open(path, O_RDWR | O_CREAT | flags, 0600);
    if (fd < 0)
        error_set(error, "open %s: %s", path, strerror(errno));
    return fd;
}

static long
read_pid(int fd)
{
    char text[32] = {0};
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    return size > 0 ? strtol(text, NULL, 10) : 0;
}

enum status
home_lock(struct home_lock *lock, const char *home, uint32_t wait_ms, struct error *error)
{
    struct home_lock made = {-1, -1};
    enum status status = STATUS_INTERNAL;

    made.supervisor_fd = open_lock(home, "run/supervisor.lock", O_CLOEXEC, error);
    if (made.supervisor_fd < 0)
        return status;
    if (!lock_now(made.supervisor_fd, F_OFD_SETLK)) {
        error_set_word(error, "already_running", "a swarm of home %s is already running (pid %ld)",
                       home, read_pid(made.supervisor_fd));
        status = STATUS_CONFLICT;
        goto fail;
    }
    made.processes_fd = open_lock(home, "run/processes.lock", 0, error);
    if (made.processes_fd < 0)
        goto fail;
    if (!lock_within(made.processes_fd, wait_ms)) {
        error_set(error, "processes of an earlier swarm of home %s still run after %u ms", home,
                  wait_ms);
        status = STATUS_CONFLICT;
        goto fail;
    }

    char pid[32];
    int size = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
    if (ftruncate(made.supervisor_fd, 0) != 0 ||
        pwrite(made.supervisor_fd, pid, (size_t)size, 0) != size) {
        error_set(error, "write run/supervisor.lock: %s", strerror(errno));
        goto fail;
    }
    *lock = made;
    return STATUS_OK;

fail:
    home_unlock(&made);
    return status;
}

void
home_unlock(struct home_lock *lock)
{
    if (lock->processes_fd >= 0)
        close(lock->processes_fd);
    if (lock->supervisor_fd >= 0)
        close(lock->supervisor_fd);
    *lock = (struct home_lock){-1, -1};
}

bool
home_is_running(const char *home, long *pid)
{
    *pid = 0;
    int fd = open_lock(home, "run/supervisor.lock", O_CLOEXEC, NULL);
    if (fd < 0)
        return false;
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    bool running = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
    if (running)
        *pid = read_pid(fd);
    close(fd);
    return running;
}

enum status
home_allow_key(const char *home, const char *identity, const char *public_key, uint64_t now_us,
               struct error *error)
{
    struct home_lock lock;
    struct keytable *table = NULL;
    char path[PATH_SIZE];
    enum status status = home_make_run(home, error);
    if (status == STATUS_OK)
        status = home_lock(&lock, home, 0, error);
    if (status != STATUS_OK)
        return status;
    status = home_prepare(home, now_us, error);
    if (status == STATUS_OK)
        status = paths_join(path, home, HOME_KEY_TABLE, error);
    if (status == STATUS_OK)
        status = keytable_open(&table, path, error);
    if (status == STATUS_OK)
        status = keytable_add(table, text_of(identity), text_of(public_key), false, now_us, error);
    if (status == STATUS_OK)
        status = keytable_save(table, error);
    keytable_close(&table);
    home_unlock(&lock);
    return status;
}
