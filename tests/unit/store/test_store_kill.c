/* SPDX-License-Identifier: Apache-2.0 */
/* Real deaths and real full disks. The writer is this program again, with the folder as its
 * argument, so that the test itself never forks with RocksDB's threads running: it says each
 * commit on its standard output after the commit returned. */
#include "fixture_store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 20, LIMIT = 12 << 20 };

extern char **environ;

/* ---- the writers */

static void
counter_key(uint64_t counter, char key[static 32])
{
    snprintf(key, 32, "n%012" PRIu64, counter);
}

/* Values of 1 byte to 40 KiB, so that records end everywhere in a block and buffers fill up. */
static size_t
counter_size(uint64_t counter)
{
    return 1 + (size_t)(counter * 2654435761u % 40960);
}

static enum status
write_counter(struct store *store, uint64_t counter, uint8_t *value, struct error *error)
{
    char key[32];
    counter_key(counter, key);
    memset(value, (int)(counter & 0xff), counter_size(counter));
    return store_put_status(store, key, (struct bytes){value, counter_size(counter)}, error);
}

static int
write_until_killed(const char *folder, uint64_t counter)
{
    struct store *store = NULL;
    struct error error = ERROR_INIT;
    uint8_t value[40960];
    if (store_open(&store, folder, FIXTURE_SCHEMA, NULL, &error) != STATUS_OK) {
        fprintf(stderr, "writer: %s\n", error.message);
        return 1;
    }
    for (;; counter++) {
        if (write_counter(store, counter, value, &error) != STATUS_OK) {
            fprintf(stderr, "writer: %s\n", error.message);
            return 1;
        }
        if (write(STDOUT_FILENO, &counter, sizeof counter) != sizeof counter)
            return 1;
    }
}

/* Files cannot grow beyond LIMIT: the log cannot either. */
static int
write_until_full(const char *folder)
{
    struct store *store = NULL;
    struct error error = ERROR_INIT;
    static uint8_t value[1 << 20];
    struct rlimit limit = {LIMIT, RLIM_INFINITY};
    signal(SIGXFSZ, SIG_IGN);
    if (store_open(&store, folder, FIXTURE_SCHEMA, NULL, &error) != STATUS_OK)
        return 1;
    for (size_t i = 0; i < sizeof value; i++)
        value[i] = (uint8_t)(i * 2654435761u >> 11);
    store_put(store, "first", "1");
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;

    /* One commit larger than a file may be. */
    struct store_batch *batch = store_batch_new();
    for (int i = 0; i < 13; i++) {
        char key[16];
        snprintf(key, sizeof key, "large-%d", i);
        if (store_batch_add(batch, STORE_PUT, FIXTURE_SPACE, bytes_of(key),
                            (struct bytes){value, sizeof value}) != STATUS_OK)
            return 3;
    }
    if (store_commit(store, batch, &error) != STATUS_UNKNOWN_OUTCOME || !error.message[0])
        return 4;
    store_batch_destroy(&batch);
    limit.rlim_cur = RLIM_INFINITY;
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 5;
    /* There is room again, but the store stays closed to writers, and open to readers. */
    if (store_put_status(store, "second", bytes_of("2"), &error) != STATUS_STORE_FAILED)
        return 6;
    store_has(store, "first", "1");
    store_lacks(store, "large-0");
    if (store_verify(store, &error) != STATUS_OK)
        return 7;
    store_close(&store);
    return 0;
}

/* ---- the tests */

static pid_t
start_writer(const char *mode, const char *folder, uint64_t counter, int *output)
{
    int ends[2];
    char number[32];
    snprintf(number, sizeof number, "%" PRIu64, counter);
    char *arguments[] = {"writer", (char *)(uintptr_t)mode, (char *)(uintptr_t)folder, number,
                         NULL};
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO), 0);
    pid_t writer;
    assert_int_equal(posix_spawn(&writer, "/proc/self/exe", &actions, NULL, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *output = ends[0];
    return writer;
}

/* Reads acks, kills after `kills_after` of them, and returns the first number never acked. */
static uint64_t
kill_after(pid_t writer, int output, uint64_t next, unsigned kills_after)
{
    uint64_t acked;
    unsigned seen = 0;
    ssize_t size;
    while ((size = read(output, &acked, sizeof acked)) == sizeof acked) {
        assert_int_equal(acked, next);
        next++;
        if (++seen == kills_after)
            assert_int_equal(kill(writer, SIGKILL), 0);
    }
    assert_int_equal(size, 0);
    close(output);
    int result;
    assert_int_equal(waitpid(writer, &result, 0), writer);
    assert_true(WIFSIGNALED(result));
    return next;
}

static void
check_counters(struct store *store, uint64_t end)
{
    struct buffer out;
    buffer_init(&out);
    for (uint64_t counter = 0; counter < end; counter++) {
        char key[32];
        counter_key(counter, key);
        buffer_reset(&out);
        if (store_get(store, FIXTURE_SPACE, bytes_of(key), &out, NULL) != STATUS_OK)
            fail_msg("acknowledged row %" PRIu64 " of %" PRIu64 " is lost", counter, end);
        assert_int_equal(out.size, counter_size(counter));
        for (size_t i = 0; i < out.size; i++)
            if (out.data[i] != (uint8_t)counter)
                fail_msg("row %" PRIu64 " has wrong bytes", counter);
    }
    buffer_clear(&out);
}

static void
what_was_acknowledged_survives_kill_9(void **state)
{
    struct fixture *fixture = *state;
    uint64_t next = 0;
    uint64_t epoch = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        int output;
        pid_t writer = start_writer("kill", fixture->folder, next, &output);
        next = kill_after(writer, output, next, 1 + round * round % 97);

        struct store *store = fixture_open(fixture, fixture->folder);
        check_counters(store, next);
        assert_true(store_epoch(store) >= epoch + 2);
        epoch = store_epoch(store);
        assert_int_equal(store_verify(store, &fixture->error), STATUS_OK);
        store_close(&store);
    }
}

static void
a_full_disk_fails_the_commit_and_every_later_one(void **state)
{
    struct fixture *fixture = *state;
    int output;
    pid_t writer = start_writer("full", fixture->folder, 0, &output);
    int result;
    assert_int_equal(waitpid(writer, &result, 0), writer);
    close(output);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 0);

    struct store *store = fixture_open(fixture, fixture->folder);
    store_has(store, "first", "1");
    store_lacks(store, "large-0");
    store_lacks(store, "second");
    store_put(store, "second", "2");
    store_close(&store);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int
main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "kill") == 0)
        return write_until_killed(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 4 && strcmp(argv[1], "full") == 0)
        return write_until_full(argv[2]);

    const struct CMUnitTest tests[] = {
        TEST(what_was_acknowledged_survives_kill_9),
        TEST(a_full_disk_fails_the_commit_and_every_later_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
