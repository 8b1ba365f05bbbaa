/* SPDX-License-Identifier: Apache-2.0 */
/* Damage to the files of a real store: what was acknowledged is there, or the store refuses to
 * open and names the place. Never is a row skipped. */
#include "fixture_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/wal_scan.h"

enum { RECORDS_MAX = 16, HEADER = 7, ROWS = 5 };

/* A closed store whose rows r0…r4 stand in its log, each in a record of its own. */
struct damage {
    struct fixture *base;
    char wal[FIXTURE_PATH];
    uint8_t *log;
    size_t size;
    size_t starts[RECORDS_MAX + 1]; /* of records; starts[count] is the end */
    size_t count;
};

static void
find_records(struct damage *damage)
{
    size_t at = 0;
    damage->count = 0;
    while (at < damage->size) {
        assert_true(damage->count < RECORDS_MAX);
        damage->starts[damage->count++] = at;
        at += HEADER + (damage->log[at + 4] | (size_t)damage->log[at + 5] << 8);
    }
    assert_int_equal(at, damage->size);
    damage->starts[damage->count] = at;
}

static int
setup(void **state)
{
    struct damage *damage = calloc(1, sizeof *damage);
    void *base = NULL;
    if (fixture_setup(&base) != 0)
        return -1;
    damage->base = base;
    struct store *store = fixture_open(damage->base, damage->base->folder);
    for (int i = 0; i < ROWS; i++) {
        char key[8];
        snprintf(key, sizeof key, "r%d", i);
        store_put(store, key, "a value of some length");
    }
    store_close(&store);
    assert_int_equal(fixture_files(damage->base->folder, ".log", damage->wal), 1);
    damage->log = fixture_read(damage->base->folder, damage->wal, &damage->size);
    find_records(damage);
    assert_true(damage->count >= ROWS);
    *state = damage;
    return 0;
}

static int
teardown(void **state)
{
    struct damage *damage = *state;
    void *base = damage->base;
    free(damage->log);
    free(damage);
    return fixture_teardown(&base);
}

/* A copy of the store with another log. */
static void
copy_with_log(const struct damage *damage, char folder[static FIXTURE_PATH], const uint8_t *log,
              size_t size)
{
    fixture_path(damage->base, "copy", folder);
    fixture_remove(folder);
    fixture_copy(damage->base->folder, folder);
    fixture_write(folder, damage->wal, log, size);
}

static void
rows_are(struct store *store, int count)
{
    for (int i = 0; i < ROWS; i++) {
        char key[8];
        snprintf(key, sizeof key, "r%d", i);
        if (i < count)
            store_has(store, key, "a value of some length");
        else
            store_lacks(store, key);
    }
}

static void
refused_naming(struct damage *damage, const char *folder, const char *name, size_t offset)
{
    char place[64];
    snprintf(place, sizeof place, "%s is damaged at offset %zu:", name, offset);
    assert_int_equal(fixture_try(damage->base, folder), STATUS_STORE_FAILED);
    if (!strstr(damage->base->error.message, place))
        fail_msg("expected \"%s\" in \"%s\"", place, damage->base->error.message);
    assert_non_null(strstr(damage->base->error.message, folder));
}

static void
an_undamaged_copy_opens_with_every_row(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    copy_with_log(damage, folder, damage->log, damage->size);
    struct store *store = fixture_open(damage->base, folder);
    rows_are(store, ROWS);
    store_close(&store);
}

/* Checksum, length, type and payload of every record. */
static void
a_flip_in_any_byte_class_of_any_record_is_refused(void **state)
{
    struct damage *damage = *state;
    static const struct {
        size_t byte;
        uint8_t mask;
    } flips[] = {{0, 0x01}, {3, 0x80}, {4, 0x01}, {4, 0x80}, {5, 0x01}, {5, 0x40}, {5, 0x80},
                 {6, 0x01}, {6, 0x02}, {6, 0x04}, {6, 0x08}, {6, 0x80}, {7, 0x01}, {20, 0x10}};
    char folder[FIXTURE_PATH];

    for (size_t record = 0; record < damage->count; record++) {
        for (size_t i = 0; i < sizeof flips / sizeof flips[0]; i++) {
            size_t at = damage->starts[record] + flips[i].byte;
            if (at >= damage->starts[record + 1])
                continue;
            damage->log[at] ^= flips[i].mask;
            copy_with_log(damage, folder, damage->log, damage->size);
            damage->log[at] ^= flips[i].mask;
            refused_naming(damage, folder, damage->wal, damage->starts[record]);
        }
    }
}

static void
a_refused_store_is_left_as_it_was(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    size_t at = damage->starts[2] + 10;
    damage->log[at] ^= 1;
    copy_with_log(damage, folder, damage->log, damage->size);
    damage->log[at] ^= 1;
    assert_int_equal(fixture_try(damage->base, folder), STATUS_STORE_FAILED);
    assert_int_equal(fixture_try(damage->base, folder), STATUS_STORE_FAILED);

    fixture_write(folder, damage->wal, damage->log, damage->size);

    struct store *store = fixture_open(damage->base, folder);
    rows_are(store, ROWS);
    store_close(&store);
}

static void
a_header_of_zeros_in_the_middle_is_refused(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    memset(damage->log + damage->starts[2], 0, HEADER);
    copy_with_log(damage, folder, damage->log, damage->size);
    refused_naming(damage, folder, damage->wal, damage->starts[2]);
}

static void
a_log_cut_at_any_byte_of_its_last_record_opens_without_it(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    for (size_t size = damage->starts[damage->count - 1]; size < damage->size; size++) {
        copy_with_log(damage, folder, damage->log, size);

        struct store *store = fixture_open(damage->base, folder);
        rows_are(store, ROWS - 1);
        store_put(store, "r4", "a value of some length");
        store_close(&store);

        store = fixture_open(damage->base, folder);
        rows_are(store, ROWS);
        store_close(&store);
    }
}

static void
zeros_behind_the_last_record_open_with_every_row(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    static const size_t zeros[] = {1, 6, 7, 4096, 70000};
    for (size_t i = 0; i < sizeof zeros / sizeof zeros[0]; i++) {
        size_t size = damage->size + zeros[i];
        uint8_t *log = calloc(1, size);
        memcpy(log, damage->log, damage->size);
        copy_with_log(damage, folder, log, size);
        free(log);
        struct store *store = fixture_open(damage->base, folder);
        rows_are(store, ROWS);
        store_close(&store);
    }
}

/* As when the machine stops during the first commit ever, or right after a switch of logs. */
static void
a_log_with_nothing_but_a_torn_record_opens(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    copy_with_log(damage, folder, damage->log, 9);
    struct store *store = fixture_open(damage->base, folder);
    rows_are(store, 0);
    assert_int_equal(store_epoch(store), 1);
    store_put(store, "r0", "a value of some length");
    store_close(&store);

    store = fixture_open(damage->base, folder);
    rows_are(store, 1);
    store_close(&store);
}

/* A second log after the torn one: opening begins it before the torn one is retired. */
static void
write_next_log(const struct damage *damage, const char *folder, const uint8_t *record, size_t size)
{
    char name[FIXTURE_PATH];
    snprintf(name, sizeof name, "%06lu.log", strtoul(damage->wal, NULL, 10) + 100);
    fixture_write(folder, name, record, size);
}

static void
only_the_last_log_with_writes_may_be_torn(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    size_t last = damage->starts[damage->count - 1];
    uint8_t empty_batch[HEADER + 12] = {0, 0, 0, 0, 12, 0, 1, 99};
    struct bytes covered = {empty_batch + 6, 13};
    uint32_t crc = wal_crc32c_mask(wal_crc32c(covered));
    for (int i = 0; i < 4; i++)
        empty_batch[i] = (uint8_t)(crc >> (8 * i));

    copy_with_log(damage, folder, damage->log, last + 9);
    write_next_log(damage, folder, empty_batch, 0);
    assert_int_equal(fixture_try(damage->base, folder), STATUS_OK);

    copy_with_log(damage, folder, damage->log, last + 9);
    write_next_log(damage, folder, empty_batch, sizeof empty_batch);
    assert_int_equal(fixture_try(damage->base, folder), STATUS_OK);

    copy_with_log(damage, folder, damage->log, last + 9);
    write_next_log(damage, folder, damage->log + last, damage->size - last);
    assert_int_equal(fixture_try(damage->base, folder), STATUS_STORE_FAILED);
    assert_non_null(strstr(damage->base->error.message, damage->wal));
    assert_non_null(strstr(damage->base->error.message, "a piece of the log is lost"));
}

static void
records_of_many_blocks_follow_the_same_rules(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    struct store *store = fixture_open(damage->base, damage->base->folder);
    uint8_t *value = malloc(100000);
    for (size_t i = 0; i < 100000; i++)
        value[i] = (uint8_t)(i * 7919 >> 8);
    assert_int_equal(store_put_status(store, "large", (struct bytes){value, 100000}, NULL),
                     STATUS_OK);
    store_close(&store);
    free(value);
    free(damage->log);
    assert_int_equal(fixture_files(damage->base->folder, ".log", damage->wal), 1);
    damage->log = fixture_read(damage->base->folder, damage->wal, &damage->size);
    assert_true(damage->size > 3 * WAL_BLOCK_SIZE);

    static const size_t cuts[] = {1, 500, WAL_BLOCK_SIZE, 2 * WAL_BLOCK_SIZE};
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        copy_with_log(damage, folder, damage->log, damage->size - cuts[i]);
        store = fixture_open(damage->base, folder);
        rows_are(store, ROWS);
        store_lacks(store, "large");
        store_close(&store);
    }
    /* at block ends: the file ends between fragments */
    for (size_t blocks = 1; blocks <= 3; blocks++) {
        copy_with_log(damage, folder, damage->log, blocks * WAL_BLOCK_SIZE);
        store = fixture_open(damage->base, folder);
        rows_are(store, ROWS);
        store_lacks(store, "large");
        store_close(&store);
    }
    static const size_t flips[] = {4, 5, 6, 7, 5000};
    for (size_t block = 1; block <= 3; block++) {
        for (size_t i = 0; i < 4 + (block < 3); i++) {
            size_t at = block * WAL_BLOCK_SIZE + flips[i];
            damage->log[at] ^= 1;
            copy_with_log(damage, folder, damage->log, damage->size);
            damage->log[at] ^= 1;
            refused_naming(damage, folder, damage->wal, block * WAL_BLOCK_SIZE);
        }
    }
}

static void
a_damaged_manifest_is_refused_and_named(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    char name[FIXTURE_PATH] = "";
    size_t size;
    size_t current_size;
    uint8_t *current = fixture_read(damage->base->folder, "CURRENT", &current_size);
    snprintf(name, sizeof name, "%.*s", (int)current_size - 1, (char *)current);
    free(current);
    uint8_t *manifest = fixture_read(damage->base->folder, name, &size);

    size_t last = 0;
    for (size_t at = 0; at < size;
         at += HEADER + (manifest[at + 4] | (size_t)manifest[at + 5] << 8))
        last = at;
    /* the length of its last entry, which RocksDB takes for an unfinished write */
    manifest[last + 5] ^= 0x10;
    copy_with_log(damage, folder, damage->log, damage->size);
    fixture_write(folder, name, manifest, size);
    free(manifest);

    refused_naming(damage, folder, name, last);
}

static void
a_lost_current_file_is_no_empty_store(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    char path[FIXTURE_PATH + 16];
    copy_with_log(damage, folder, damage->log, damage->size);
    snprintf(path, sizeof path, "%s/CURRENT", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fixture_try(damage->base, folder), STATUS_STORE_FAILED);
    assert_non_null(strstr(damage->base->error.message, "CURRENT"));

    fixture_write(folder, "CURRENT", (const uint8_t *)"../../etc/passwd\n", 17);
    assert_int_equal(fixture_try(damage->base, folder), STATUS_STORE_FAILED);
    assert_non_null(strstr(damage->base->error.message, "CURRENT"));
}

static void
a_lost_table_is_refused(void **state)
{
    struct damage *damage = *state;
    char folder[FIXTURE_PATH];
    char path[2 * FIXTURE_PATH];
    copy_with_log(damage, folder, damage->log, damage->size);
    struct store *store = fixture_open(damage->base, folder);
    uint8_t *value = calloc(1, 3 << 20);
    /* Enough to fill a write buffer, so that it becomes a table. */
    for (int i = 0; i < 3; i++)
        assert_int_equal(store_put_status(store,
                                          i == 0   ? "x"
                                          : i == 1 ? "y"
                                                   : "z",
                                          (struct bytes){value, 3 << 20}, NULL),
                         STATUS_OK);
    free(value);
    store_close(&store);
    char name[FIXTURE_PATH];
    if (fixture_files(folder, ".sst", name) == 0)
        fail_msg("the write buffer was not flushed");
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(fixture_try(damage->base, folder), STATUS_STORE_FAILED);
    assert_string_not_equal(damage->base->error.message, "");
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_undamaged_copy_opens_with_every_row),
        TEST(a_flip_in_any_byte_class_of_any_record_is_refused),
        TEST(a_refused_store_is_left_as_it_was),
        TEST(a_header_of_zeros_in_the_middle_is_refused),
        TEST(a_log_cut_at_any_byte_of_its_last_record_opens_without_it),
        TEST(zeros_behind_the_last_record_open_with_every_row),
        TEST(a_log_with_nothing_but_a_torn_record_opens),
        TEST(only_the_last_log_with_writes_may_be_torn),
        TEST(records_of_many_blocks_follow_the_same_rules),
        TEST(a_damaged_manifest_is_refused_and_named),
        TEST(a_lost_current_file_is_no_empty_store),
        TEST(a_lost_table_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
