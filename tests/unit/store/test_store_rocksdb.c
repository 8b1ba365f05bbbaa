/* SPDX-License-Identifier: Apache-2.0 */
/* What only a store on disk does: come back, be alone, be copied, be checked. */
#include "fixture_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <rocksdb/c.h>

static void
rows_id_and_epoch_survive_closing(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture_open(fixture, fixture->folder);
    struct uuid first = store_uuid(store);
    store_put(store, "a", "1");
    store_close(&store);

    for (uint64_t epoch = 2; epoch < 5; epoch++) {
        store = fixture_open(fixture, fixture->folder);
        struct uuid uuid = store_uuid(store);
        assert_true(uuid_equal(&uuid, &first));
        assert_int_equal(store_epoch(store), epoch);
        store_has(store, "a", "1");
        store_close(&store);
    }
}

static void
two_stores_have_different_ids(void **state)
{
    struct fixture *fixture = *state;
    char other_folder[FIXTURE_PATH];
    fixture_path(fixture, "other", other_folder);
    struct store *store = fixture_open(fixture, fixture->folder);
    struct store *other = fixture_open(fixture, other_folder);
    struct uuid a = store_uuid(store);
    struct uuid b = store_uuid(other);
    assert_false(uuid_equal(&a, &b));
    store_put(store, "a", "1");
    store_lacks(other, "a");
    store_close(&store);
    store_close(&other);
}

static void
another_schema_is_refused_naming_both(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture_open(fixture, fixture->folder);
    store_close(&store);

    assert_int_equal(store_open(&store, fixture->folder, 12, NULL, &fixture->error),
                     STATUS_CONFLICT);
    assert_null(store);
    assert_non_null(strstr(fixture->error.message, "schema 7"));
    assert_non_null(strstr(fixture->error.message, "12"));

    store = fixture_open(fixture, fixture->folder);
    assert_int_equal(store_epoch(store), 2);
    store_close(&store);
}

static void
a_second_opener_is_refused_naming_the_folder(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture_open(fixture, fixture->folder);

    assert_int_equal(fixture_try(fixture, fixture->folder), STATUS_CONFLICT);
    assert_non_null(strstr(fixture->error.message, fixture->folder));
    store_put(store, "a", "still works");
    store_close(&store);
    assert_int_equal(fixture_try(fixture, fixture->folder), STATUS_OK);
}

static void
a_database_opened_by_another_tool_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char *message = NULL;
    struct store *store = fixture_open(fixture, fixture->folder);
    store_close(&store);
    rocksdb_options_t *options = rocksdb_options_create();
    rocksdb_t *db = rocksdb_open(options, fixture->folder, &message);
    assert_null(message);

    assert_int_equal(fixture_try(fixture, fixture->folder), STATUS_CONFLICT);
    assert_non_null(strstr(fixture->error.message, fixture->folder));

    rocksdb_close(db);
    rocksdb_options_destroy(options);
}

static void
folders_are_private_and_made_with_their_parents(void **state)
{
    struct fixture *fixture = *state;
    char parent[FIXTURE_PATH];
    char folder[FIXTURE_PATH];
    struct stat info;
    fixture_path(fixture, "p", parent);
    fixture_path(fixture, "p/q/r//", folder);

    assert_int_equal(fixture_try(fixture, folder), STATUS_OK);
    assert_int_equal(stat(folder, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    assert_int_equal(stat(parent, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
}

static void
what_is_no_folder_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char folder[FIXTURE_PATH];
    struct store *store = fixture_open(fixture, fixture->folder);
    store_close(&store);

    fixture_path(fixture, "link", folder);
    assert_int_equal(symlink(fixture->folder, folder), 0);
    assert_int_equal(fixture_try(fixture, folder), STATUS_INVALID);
    assert_non_null(strstr(fixture->error.message, folder));
    fixture_path(fixture, "link/", folder);
    assert_int_equal(fixture_try(fixture, folder), STATUS_INVALID);

    fixture_write(fixture->root, "file", (const uint8_t *)"x", 1);
    fixture_path(fixture, "file", folder);
    assert_int_equal(fixture_try(fixture, folder), STATUS_INVALID);
    fixture_path(fixture, "file/below", folder);
    assert_int_equal(fixture_try(fixture, folder), STATUS_STORE_FAILED);
    assert_int_equal(fixture_try(fixture, ""), STATUS_INVALID);
}

static void
rocksdb_runs_with_the_options_that_were_asked_for(void **state)
{
    struct fixture *fixture = *state;
    char name[FIXTURE_PATH];
    size_t size;
    struct store *store = fixture_open(fixture, fixture->folder);
    store_close(&store);
    const char *const expected[] = {"track_and_verify_wals_in_manifest=true",
                                    "recycle_log_file_num=0",
                                    "wal_recovery_mode=kAbsoluteConsistency",
                                    "write_buffer_size=8388608",
                                    "compression=kZSTD",
                                    "max_bgerror_resume_count=0",
                                    "max_open_files=256",
                                    "max_compaction_bytes=33554432",
                                    "info_log_level=FATAL_LEVEL",
                                    "index_type=kTwoLevelIndexSearch",
                                    "partition_filters=true"};

    char path[FIXTURE_PATH] = "";
    for (int number = 1; number < 20 && !path[0]; number++) {
        char full[2 * FIXTURE_PATH];
        snprintf(name, sizeof name, "OPTIONS-%06d", number);
        snprintf(full, sizeof full, "%s/%s", fixture->folder, name);
        if (access(full, R_OK) == 0)
            snprintf(path, sizeof path, "%s", name);
    }
    uint8_t *text = fixture_read(fixture->folder, path, &size);
    text[size] = '\0';
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++)
        if (!strstr((char *)text, expected[i]))
            fail_msg("no %s in %s", expected[i], path);
    free(text);
}

static void
a_copy_opens_alone_with_all_rows_and_the_same_id(void **state)
{
    struct fixture *fixture = *state;
    char copy[FIXTURE_PATH];
    struct stat info;
    fixture_path(fixture, "copy", copy);
    struct store *store = fixture_open(fixture, fixture->folder);
    struct uuid uuid = store_uuid(store);
    store_put(store, "a", "before");

    assert_int_equal(store_checkpoint(store, copy, &fixture->error), STATUS_OK);
    store_put(store, "a", "after");
    store_put(store, "b", "after");

    assert_int_equal(stat(copy, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0700);
    struct store *copied = fixture_open(fixture, copy);
    struct uuid copied_uuid = store_uuid(copied);
    assert_true(uuid_equal(&uuid, &copied_uuid));
    store_has(copied, "a", "before");
    store_lacks(copied, "b");
    assert_int_equal(store_verify(copied, &fixture->error), STATUS_OK);
    store_put(copied, "c", "1");
    store_lacks(store, "c");

    assert_int_equal(store_checkpoint(store, copy, &fixture->error), STATUS_ALREADY_EXISTS);
    assert_non_null(strstr(fixture->error.message, copy));
    fixture_path(fixture, "no/such/parent", copy);
    assert_int_equal(store_checkpoint(store, copy, &fixture->error), STATUS_STORE_FAILED);
    store_put(store, "d", "the store goes on");
    store_close(&copied);
    store_close(&store);
}

/* A checkpoint writes the rows to a table; its first blocks hold data. */
static void
verify_finds_a_flipped_byte_in_a_table(void **state)
{
    struct fixture *fixture = *state;
    char copy[FIXTURE_PATH];
    char table[FIXTURE_PATH];
    size_t size;
    fixture_path(fixture, "copy", copy);
    struct store *store = fixture_open(fixture, fixture->folder);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "row-%d", i * 7919);
        store_put(store, key, "a value");
    }
    assert_int_equal(store_verify(store, &fixture->error), STATUS_OK);
    assert_int_equal(store_checkpoint(store, copy, &fixture->error), STATUS_OK);
    assert_int_equal(store_verify(store, &fixture->error), STATUS_OK);

    assert_true(fixture_files(fixture->folder, ".sst", table) >= 1);
    uint8_t *data = fixture_read(fixture->folder, table, &size);
    data[40] ^= 0x20;
    fixture_write(fixture->folder, table, data, size);

    assert_int_equal(store_verify(store, &fixture->error), STATUS_STORE_FAILED);
    assert_non_null(strstr(fixture->error.message, table));
    data[40] ^= 0x20;
    fixture_write(fixture->folder, table, data, size);
    assert_int_equal(store_verify(store, &fixture->error), STATUS_OK);
    free(data);
    store_close(&store);
}

static void
verify_finds_a_flipped_byte_in_the_live_log(void **state)
{
    struct fixture *fixture = *state;
    char log[FIXTURE_PATH];
    char path[2 * FIXTURE_PATH];
    struct store *store = fixture_open(fixture, fixture->folder);
    store_put(store, "a", "needle in the log");
    assert_int_equal(fixture_files(fixture->folder, ".log", log), 1);
    size_t size;
    uint8_t *data = fixture_read(fixture->folder, log, &size);
    const uint8_t *needle = memmem(data, size, "needle", 6);
    assert_non_null(needle);
    snprintf(path, sizeof path, "%s/%s", fixture->folder, log);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, needle - data, SEEK_SET), 0);
    assert_int_equal(fputc('N', file), 'N');
    assert_int_equal(fclose(file), 0);
    free(data);

    assert_int_equal(store_verify(store, &fixture->error), STATUS_STORE_FAILED);
    assert_non_null(strstr(fixture->error.message, log));
    store_close(&store);
}

static void
rows_survive_the_flush_of_many_write_buffers(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture_open(fixture, fixture->folder);
    uint8_t *value = malloc(1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        value[i] = (uint8_t)(i * 2654435761u >> 13);
    for (int i = 0; i < 40; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(store_put_status(store, key, (struct bytes){value, 1 << 20}, NULL),
                         STATUS_OK);
    }
    assert_int_equal(store_verify(store, &fixture->error), STATUS_OK);
    store_close(&store);

    store = fixture_open(fixture, fixture->folder);
    for (int i = 0; i < 40; i++) {
        char key[16];
        struct buffer out;
        buffer_init(&out);
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(store_get(store, FIXTURE_SPACE, bytes_of(key), &out, NULL), STATUS_OK);
        assert_int_equal(out.size, 1 << 20);
        assert_memory_equal(out.data, value, 1 << 20);
        buffer_clear(&out);
    }
    free(value);
    store_close(&store);
}

/* Compactions begin only while there is room for them (store_compaction.h): here there is. */
static void
rows_written_over_do_not_pile_up(void **state)
{
    enum { KEYS = 8, ROUNDS = 16, VALUE = 1 << 20, LIMIT_MIB = 72, PATIENCE = 400 };
    struct fixture *fixture = *state;
    struct store *store = fixture_open(fixture, fixture->folder);
    uint8_t *value = malloc(VALUE);
    uint64_t random = 1;
    assert_non_null(value);

    for (int i = 0; i < KEYS * ROUNDS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i % KEYS);
        for (size_t byte = 0; byte < VALUE; byte++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            value[byte] = (uint8_t)(random >> 56);
        }
        assert_int_equal(
            store_put_status(store, key, (struct bytes){value, VALUE}, &fixture->error), STATUS_OK);
    }
    for (int i = 0; i < PATIENCE && store_size(store) > (uint64_t)LIMIT_MIB << 20; i++)
        usleep(50000); /* RocksDB tells nobody when it has done it */
    assert_in_range(store_size(store) >> 20, KEYS, LIMIT_MIB);
    free(value);
    store_close(&store);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_id_and_epoch_survive_closing),
        TEST(two_stores_have_different_ids),
        TEST(another_schema_is_refused_naming_both),
        TEST(a_second_opener_is_refused_naming_the_folder),
        TEST(a_database_opened_by_another_tool_is_refused),
        TEST(folders_are_private_and_made_with_their_parents),
        TEST(what_is_no_folder_is_refused),
        TEST(rocksdb_runs_with_the_options_that_were_asked_for),
        TEST(a_copy_opens_alone_with_all_rows_and_the_same_id),
        TEST(verify_finds_a_flipped_byte_in_a_table),
        TEST(verify_finds_a_flipped_byte_in_the_live_log),
        TEST(rows_survive_the_flush_of_many_write_buffers),
        TEST(rows_written_over_do_not_pile_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
